"""Numbers that stand for "missing" (-200, 999, -1, 9999, an impossible 0), told by their improbable pile-up.

- Looked for at both ends of a column: a value that occurs far more often than what lies beside it,
  beyond a gap that the rest of the column does not explain. The gap is measured in spreads of the
  rest towards that end (for amounts with a long tail: of their logarithms).
- How far is far depends on the value: nines, -1 and the ends of a machine's numbers are usual
  stand-ins; 0 is impossible only where the rest keeps well away from it; any other value needs more.
- Strong evidence is proposed by `init`, weak evidence is only said; the target is never proposed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

SAMPLE = 200_000  # rows that are looked at
LEAST = 20  # cells that the rest must have
FEW = 3  # cells that make a pile
STRAYS = 2  # cells of a small table that may lie between
TOGETHER = 4  # codes that may lie side by side: 96, 97, 98, 99
MANY = 20  # different values of a rest that a value of no usual form must stand apart from
FAR, USUAL, MAYBE = 5.0, 2.0, 1.0  # spreads of the rest
NEAR, STEPS = 12, 5.0  # values near an end, and how much wider than theirs a gap must be
NEIGHBOURS = 3  # times as often as the values beside it
ZERO_SHARE = 0.2  # more zeros than this may mean "none" as well as "unknown"
TAIL = 3.09  # standard deviations from the middle to the 0.1 % point of a bell curve
SKEWED = 3.0  # how much longer the tail is than the other side
USUAL_FORM = re.compile(
    r"-?9{2,}(\.[09]*)?|-?9+9\.9+|-9(\.0*)?|-1(\.0*)?|-?(8{2,}|7{3,})(\.0*)?|-?9{2,}0*"
)
MACHINE = (-32768.0, 32767.0, 65535.0, -2147483648.0, 2147483647.0, 4294967295.0)
EPOCHS = ("1900-01-01", "1899-12-30", "1899-12-31", "1970-01-01", "1800-01-01", "2099-12-31",
          "2100-01-01", "2200-01-01")  # fmt: skip
DAYS = tuple(float(np.datetime64(day, "D").astype(np.int64)) for day in EPOCHS)


@dataclass(frozen=True, kw_only=True)
class Pile:
    """One value that may stand for missing, in one column."""

    column: str
    token: str
    """As the table writes it."""
    count: int
    sure: bool
    """Whether it is proposed; else it is only said."""
    why: str


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How one value at an end of a column stands to the rest."""

    value: float
    count: int
    share: float
    gap: float
    """In spreads of the rest towards that end."""
    beside: int
    """How often the commonest of the three nearest values occurs."""
    distinct: int
    """Different values of the rest."""
    low: float
    high: float
    """Between which the rest lies."""
    alone: bool
    """Whether no other value has its sign."""
    steps: float
    """How many times as far from the nearest value as values near that end are from each other."""


def piles(table: pd.DataFrame, profile: Mapping[str, Any]) -> list[Pile]:
    """Return the numbers that pile up apart, sure ones first."""
    few = table
    if len(table) > SAMPLE:
        few = table.iloc[np.linspace(0, len(table) - 1, SAMPLE).astype(np.int64)]
    found: list[Pile] = []
    for column in profile["columns"]:
        if column["role"] not in {"feature", "target"} or column["kind"] == "ignored":
            continue
        if column["seen"] not in {"number", "integer", "date"} or _counts(column):
            continue
        found += _column(column, few, table)
    return sorted(_shared(found, profile), key=lambda pile: not pile.sure)


def _counts(column: Mapping[str, Any]) -> bool:
    return bool({"identifier", "row_number"} & set(column.get("flags") or ()))


def _column(column: Mapping[str, Any], few: pd.DataFrame, table: pd.DataFrame) -> list[Pile]:
    import pandas as pd

    cells = numbers_of(pd.Series(few[column["name"]]), column)
    values = pd.Series(table[column["name"]])
    dates = column["seen"] == "date"
    if dates and values.dtype.kind == "M":  # a typed date has no text to be declared
        return []
    found = []
    for standing in standings(cells):
        grade = _grade(standing, dates=dates)
        if grade is None:
            continue
        whole = cells if few is table else numbers_of(values, column)
        count = int(np.count_nonzero(whole == standing.value))
        token = _token(values, whole, standing.value)
        sure = grade and column["role"] == "feature"
        why = _why(standing, column)
        found.append(Pile(column=column["name"], token=token, count=count, sure=sure, why=why))
    return found


def numbers_of(values: pd.Series, column: Mapping[str, Any]) -> np.ndarray:
    """Return a column's numbers, dates as days since 1970; NaN where there is none."""
    from models.served import Column, read_cells

    keys = ("name", "decimal", "thousands", "unit", "format")
    entry = {key: column[key] for key in keys if column.get(key)} | {"kind": column["seen"]}
    known = [*(column.get("missing_tokens") or ()), *(column.get("tokens") or ())]
    cells, _ = read_cells(values, Column.of(entry, known))
    if cells.dtype.kind == "M":
        return (cells - np.datetime64(0, "us")) / np.timedelta64(1, "D")
    return cells


def _token(values: pd.Series, cells: np.ndarray, value: float) -> str:
    """Return the value as the table writes it most often."""
    raw = values.iloc[np.flatnonzero(cells == value)]
    if raw.dtype.kind in "biuf":
        return f"{value:.0f}" if float(value).is_integer() else repr(value)
    return str(raw.astype(str).str.strip().mode().iloc[0])


def standings(cells: np.ndarray) -> list[Standing]:
    """Return the values at both ends of a column that are cut off from the rest, outermost first."""
    ordered = np.sort(cells[np.isfinite(cells)])
    found: list[Standing] = []
    for high in (False, True):
        here = ordered[~np.isin(ordered, [s.value for s in found if usual_form(s.value)])]
        for _ in range(TOGETHER):
            outer = _outermost(here, high=high)
            if not outer:
                break
            found += outer
            here = here[~np.isin(here, [standing.value for standing in outer])]
    return found


def _outermost(ordered: np.ndarray, *, high: bool) -> list[Standing]:
    """Return the few values beyond the first gap from one end; [] where there is no such gap."""
    values, counts = np.unique(ordered, return_counts=True)
    if high:
        values, counts = values[::-1], counts[::-1]
    if not any(
        _worth(value, count) for value, count in zip(values[:TOGETHER], counts, strict=False)
    ):
        return []
    most = TOGETHER if usual_form(float(values[0])) else 1
    for take in range(1, min(most, len(values) - FEW) + 1):
        cut = int(counts[:take].sum())
        rest = ordered[: len(ordered) - cut] if high else ordered[cut:]
        if len(rest) < LEAST:
            return []
        gap = _gap(rest, float(values[take - 1]), int(counts[take - 1]), high=high)
        near = np.abs(np.diff(values[take : take + NEAR]))
        steps = float(abs(values[take - 1] - values[take]) / near.max())
        cut_off = gap >= MAYBE or (usual_form(float(values[take - 1])) and steps >= STEPS)
        if cut_off or _wrong_sign(float(values[take - 1]), rest):
            beside = int(counts[take : take + 3].max())
            return [
                Standing(
                    value=float(values[place]), count=int(counts[place]), gap=gap, beside=beside,
                    share=float(counts[place]) / len(ordered), distinct=len(values) - take, steps=steps,
                    low=float(rest[0]), high=float(rest[-1]), alone=_wrong_sign(float(values[place]), rest),
                )
                for place in range(take)
            ]  # fmt: skip
    return []


def _worth(value: float, count: int) -> bool:
    return count >= FEW or usual_form(value)


def _wrong_sign(value: float, rest: np.ndarray) -> bool:
    return value < 0 <= rest[0] or value > 0 >= rest[-1]


def _gap(rest: np.ndarray, value: float, count: int, *, high: bool) -> float:
    """Return how far a value lies from the nearest of the rest, in spreads towards that end."""
    edge = 0.999 if high else 0.001
    low, quarter, middle, upper, top = np.quantile(rest, (0.001, 0.25, 0.5, 0.75, 0.999))
    nearest = float(rest[-1] if high else rest[0])
    if high and rest[0] >= 0 and top - middle > SKEWED * (middle - low):
        logs = np.log1p(np.quantile(rest, (0.25, 0.5, 0.75, edge)))
        spread = max((logs[2] - logs[0]) / 1.349, (logs[3] - logs[1]) / TAIL)
        distance = np.log1p(value) - np.log1p(nearest)
    else:
        reach = (top - middle) if high else (middle - low)
        spread = max((upper - quarter) / 1.349, reach / TAIL)
        if value == 0 or usual_form(value):
            nearest = _without_strays(rest, value, count, high=high)
        distance = abs(value - nearest)
    return float(distance / spread) if spread > 0 else 0.0


def _without_strays(rest: np.ndarray, value: float, count: int, *, high: bool) -> float:
    """Return the nearest of the rest, but for a stray cell or two, which do not hide a gap."""
    drop = max(len(rest) // 1_000, STRAYS if len(rest) >= 100 * STRAYS else 0)
    ends = rest[::-1] if high else rest
    bound = float(ends[drop])
    between = np.count_nonzero(np.abs(ends[:drop] - value) < abs(bound - value) / 2)
    return bound if count >= NEIGHBOURS * between else float(ends[0])


def _grade(standing: Standing, *, dates: bool) -> bool | None:
    """Return True where the value is proposed, False where it is only said, None for neither."""
    piled = standing.count >= FEW
    if dates:
        return True if standing.value in DAYS and piled and standing.gap >= USUAL else None
    if standing.value == 0:
        if not piled or standing.distinct < MANY or standing.gap < MAYBE:
            return None
        apart = standing.gap >= USUAL or standing.steps >= STEPS
        return apart and standing.share <= ZERO_SHARE
    towers = standing.count >= NEIGHBOURS * standing.beside
    if usual_form(standing.value) or (standing.alone and -9 <= standing.value < 0):
        return _grade_usual(standing, piled=piled, towers=towers)
    apart = standing.gap >= FAR and standing.distinct >= MANY
    return True if piled and towers and apart else None


def _grade_usual(standing: Standing, *, piled: bool, towers: bool) -> bool | None:
    if not piled:
        return False if standing.gap >= 2 * FAR else None  # one cell of -9999 among degrees
    if abs(standing.value) < 9 and standing.distinct < MANY // 2 and standing.gap < FAR:
        return None  # -1, 0, 1, 2 may be grades
    apart = standing.gap >= FAR or (standing.gap >= USUAL and towers)
    alone = standing.alone and usual_form(standing.value)
    if apart or (alone and (towers or standing.steps >= STEPS)):
        return True
    likely = standing.gap >= MAYBE or standing.alone or (towers and standing.steps >= STEPS)
    return False if likely else None


def usual_form(value: float) -> bool:
    """Whether people and machines write missing numbers so: nines, -1, the ends of a number type."""
    text = f"{value:.0f}" if float(value).is_integer() and abs(value) < 1e16 else repr(float(value))
    return bool(USUAL_FORM.fullmatch(text)) or value in MACHINE or abs(value) >= 1e30


def _shared(found: Sequence[Pile], profile: Mapping[str, Any]) -> list[Pile]:
    """Propose a value that is only likely in one feature where another is sure of it."""
    sure = {pile.token for pile in found if pile.sure}
    features = {c["name"] for c in profile["columns"] if c["role"] == "feature"}
    return [
        replace(pile, sure=True, why=f"{pile.why}; as in other columns")
        if pile.token in sure and not pile.sure and pile.column in features
        else pile
        for pile in found
    ]


def _why(standing: Standing, column: Mapping[str, Any]) -> str:
    sign = "negative" if standing.value < 0 else "positive"
    alone = f", none of them {sign}" if standing.alone else ""
    return f"all others lie between {_said(standing.low, column)} and {_said(standing.high, column)}{alone}"


def _said(value: float, column: Mapping[str, Any]) -> str:
    if column["seen"] == "date":
        return str(np.datetime64(int(value), "D"))
    return f"{value:,.6g}"
