"""Slices of the rows: what they are, who is in them, whether a challenger is worse in one.

- A slice is a name and conditions that all hold; it is defined on rows that decide nothing (train
  and validation) and then asked of any frame: a level unseen there is nobody's.
- Judged one-sided against "not worse than the champion", with Holm's correction over all slices
  that are large enough: one alarm among equal models in a share alpha of all judgements.
- A slice that could not have shown the drop is "not judged", with the rows that it would need;
  never a pass.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from expectations.cuts import cuts, inside, words
from expectations.holm import holm
from expectations.slice_difference import told

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from expectations.evidence import Rows
    from expectations.slice_difference import Told

MIN_SUPPORT = 50
MOST_CELLS = 40
FEWEST_UNITS = 10  # below them an error is itself too uncertain to be trusted


def declared(
    columns: Sequence[Sequence[str]], frame: pd.DataFrame, *, min_support: int = MIN_SUPPORT
) -> list[dict[str, Any]]:
    """The slices of each column, or combination of columns, as they lie in `frame`.

    Of a combination only cells with support are slices, the 40 largest of them.
    """
    found: dict[str, dict[str, Any]] = {}
    for wanted in columns:
        parts = [cuts(frame.loc[:, name], min_support=min_support) for name in wanted]
        cells = [named(cell, "declared") for cell in itertools.product(*parts)]
        if len(wanted) > 1:
            rows = {name: int(mask.sum()) for name, mask in members(cells, frame).items()}
            cells = [cell for cell in cells if rows[cell["name"]] >= min_support]
            cells = sorted(cells, key=lambda cell: -rows[cell["name"]])[:MOST_CELLS]
        found |= {cell["name"]: cell for cell in cells if cell["name"] not in found}
    return list(found.values())


def named(conditions: Sequence[Mapping[str, Any]], found: str) -> dict[str, Any]:
    """A slice of these conditions; its name says them."""
    name = " and ".join(words(condition) for condition in conditions)
    return {"name": name, "found": found, "conditions": [dict(each) for each in conditions]}


def members(definitions: Sequence[Mapping[str, Any]], frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """Name -> who is in it, bool (n,).

    Raises:
        ValueError: a slice asks for a column that the frame does not have.

    """
    found = {}
    for definition in definitions:
        held = np.ones(len(frame), dtype=bool)
        for condition in definition["conditions"]:
            if condition["column"] not in frame:
                raise ValueError(
                    f"the slice {definition['name']!r} needs the column {condition['column']!r}, "
                    f"however the table has {', '.join(map(str, list(frame)[:20]))}"
                )
            held &= inside(condition, frame.loc[:, condition["column"]])
        found[definition["name"]] = held
    return found


def judge_slices(
    rows: Rows,
    metric: str,
    alpha: float,
    drop: float,
    min_support: int,
    seed: int = 0,
    *,
    found: Mapping[str, str] | None = None,
) -> list[dict[str, Any]]:
    """Challenger against champion in every slice of the referee rows, those worst off first.

    Each is {"name", "found", "rows", "units", "value", "low", "high", "p", "p_holm", "state",
    "needed", "reason"}; `value` is by how much the challenger is better, with bounds that leave
    `alpha` on each side. `state` is "harmed", "held" or "not judged"; `needed` are the rows that
    such a slice would need.
    """
    if drop <= 0:
        raise ValueError(f"the drop that a slice must show must be above 0, however: {drop}")
    large = {name: mask for name, mask in rows.slices.items() if mask.sum() >= min_support}
    known = {name: told(rows, mask, metric, seed) for name, mask in large.items()}
    adjusted = dict(zip(known, holm([each.p for each in known.values()]), strict=True))
    tail = alpha / max(len(known), 1)
    result = []
    for name, mask in rows.slices.items():
        entry = {"name": name, "found": (found or {}).get(name, "declared")}
        if name in known:
            result.append(entry | _judged(known[name], adjusted[name], metric, alpha, drop, tail))
        else:
            units = len(np.unique(rows.unit[mask]))
            result.append(entry | _small(int(mask.sum()), units, min_support))
    order = ("harmed", "held", "not judged")
    return sorted(result, key=lambda e: (order.index(e["state"]), e["value"] or 0.0))


def _judged(
    told: Told, adjusted: float, metric: str, alpha: float, drop: float, tail: float
) -> dict[str, Any]:
    low, high = told.interval(alpha)
    needed = told.needed(drop, tail)
    state, reason = "held", ""
    if adjusted <= alpha:
        state = "harmed"
    elif needed is None:
        state, reason = "not judged", f"{metric} cannot be told on these rows"
    elif told.units < FEWEST_UNITS:
        state, reason = "not judged", f"its rows belong to {told.units} units only"
    elif told.rarest is not None and told.rarest < FEWEST_UNITS:
        needed = math.ceil(told.rows * FEWEST_UNITS / max(told.rarest, 1))
        state, reason = "not judged", f"the rarer class has {told.rarest} units there"
    elif needed > told.rows:
        state = "not judged"
        reason = f"a drop of {drop:.4g} would need about {needed:,} rows"
    return {
        "rows": told.rows,
        "units": told.units,
        "value": told.value,
        "low": low,
        "high": high,
        "p": told.p,
        "p_holm": float(adjusted),
        "state": state,
        "needed": None if state != "not judged" else needed,
        "reason": reason,
    }


def _small(rows: int, units: int, min_support: int) -> dict[str, Any]:
    nothing = dict.fromkeys(("value", "low", "high", "p", "p_holm"))
    reason = f"{rows:,} rows are fewer than gate.min_support = {min_support:,}"
    return {
        "rows": rows,
        "units": units,
        **nothing,
        "state": "not judged",
        "needed": min_support,
        "reason": reason,
    }
