"""The parts into which one column falls: its levels, bins between stated edges, the missing cells.

- A part is one condition, plain JSON: {"column", "levels": [...]}, {"column", "low", "high"} (above
  low, up to high; None is open) or {"column", "missing": true}.
- Numbers of few distinct values are levels; others are cut at their quartiles. Dates are cut too.
- Levels that are too rare to be judged alone are one part together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

FEW_VALUES = 6  # a number of so few distinct values is a choice, not an amount
BINS = 4
MOST_LEVELS = 24
MOST_RARE = 500  # rare levels that are one part; of more the column names its rows, not their kind
NAMED = 3  # levels that a name spells out


def cuts(cells: pd.Series, *, min_support: int, most: int = MOST_LEVELS) -> list[dict[str, Any]]:
    """The conditions that part the rows of one column, largest level first; missing last."""
    name = str(cells.name)
    there = cells.dropna()
    found: list[dict[str, Any]] = []
    if cells.dtype.kind in "fiuM" and there.nunique() > FEW_VALUES:
        found += _bins(name, there)
    else:
        found += _levels(name, there, min_support, most)
    if len(there) < len(cells):
        found.append({"column": name, "missing": True})
    return found


def _bins(name: str, cells: pd.Series) -> list[dict[str, Any]]:
    values = cells.to_numpy()
    edges: list[Any]
    if values.dtype.kind == "M":
        days = values.astype("datetime64[D]").astype(np.int64)
        cut = np.unique(np.quantile(days, np.linspace(0, 1, BINS + 1)[1:-1]).round())
        cut = cut[cut < days.max()]
        edges = [str(np.datetime64(int(day), "D")) for day in cut]
    else:
        cut = np.quantile(values.astype(np.float64), np.linspace(0, 1, BINS + 1)[1:-1])
        edges = sorted({float(f"{edge:.6g}") for edge in cut})
        edges = [edge for edge in edges if edge < values.max()]
    ends = zip([None, *edges], [*edges, None], strict=True)
    return [{"column": name, "low": low, "high": high} for low, high in ends]


def _levels(name: str, cells: pd.Series, min_support: int, most: int) -> list[dict[str, Any]]:
    counts = cells.value_counts(sort=True)
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], str(pair[0])))
    often = [level for level, rows in ordered if rows >= min_support][:most]
    rare = [level for level, _ in ordered if level not in set(often)]
    parts = [{"column": name, "levels": [_plain(level)]} for level in often]
    if 0 < len(rare) <= MOST_RARE:
        parts.append({"column": name, "levels": [_plain(level) for level in rare]})
    return parts


def _plain(level: Any) -> Any:
    """A level as JSON holds it."""
    return level.item() if isinstance(level, np.generic) else level


def inside(condition: Mapping[str, Any], cells: pd.Series) -> np.ndarray:
    """Which cells meet the condition, bool (n,); a level or a kind that it does not know: none."""
    if condition.get("missing"):
        return cells.isna().to_numpy(dtype=bool)
    if "levels" in condition:
        return cells.isin(condition["levels"]).to_numpy(dtype=bool)
    values = cells.to_numpy()
    if values.dtype.kind not in "fiuM":
        return np.zeros(len(cells), dtype=bool)
    held = ~np.asarray(cells.isna(), dtype=bool)
    for end, beyond in (("low", np.less_equal), ("high", np.greater)):
        if condition[end] is not None:
            held &= ~beyond(values, _edge(condition[end], values.dtype.kind))
    return held


def _edge(edge: Any, kind: str) -> Any:
    if kind == "M":  # a day's edge takes the whole day
        return np.datetime64(edge, "us") + np.timedelta64(1, "D") - np.timedelta64(1, "us")
    return edge


def words(condition: Mapping[str, Any]) -> str:
    """The condition as a person reads it: sex = male, 25 < age ≤ 40, cabin is missing."""
    name = condition["column"]
    if condition.get("missing"):
        return f"{name} is missing"
    if "levels" in condition:
        return f"{name} = {_listed(condition['levels'])}"
    low, high = (level_words(condition[end]) for end in ("low", "high"))
    if condition["low"] is None and condition["high"] is None:
        return f"{name} is there"
    if condition["low"] is None:
        return f"{name} \N{LESS-THAN OR EQUAL TO} {high}"
    if condition["high"] is None:
        return f"{name} > {low}"
    return f"{low} < {name} \N{LESS-THAN OR EQUAL TO} {high}"


def _listed(levels: list[Any]) -> str:
    said = [level_words(level) for level in levels[:NAMED]]
    more = len(levels) - len(said)
    return " or ".join(said) + (f" or {more} more" if more else "")


def level_words(value: Any) -> str:
    """A level or an edge as text; a whole number without its point."""
    if isinstance(value, float):
        return str(int(value)) if value == int(value) else f"{value:.6g}"
    return str(value)
