"""Who is on which side: test rows of their own, groups that are whole, time that goes forward.

- The ledger says it all; what is declared is proved, what is not declared is suspected.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from expectations.failure import shown
from expectations.leaks import Leak

if TYPE_CHECKING:
    from collections.abc import Sequence

FITTED, JUDGED = ("train", "validation"), "test"
ID_LIKE = re.compile(
    r"(^|[\W_])(id|ids|key|uuid|guid|code|nr|no|num|number)$"
    r"|(번호|아이디|코드)$",
    re.IGNORECASE,
)
CAMEL = re.compile(r"[a-z](Id|ID|No|Num)$")
LEAST_VALUES = 20
REPEATED = 1.3  # rows per value from which a column names what rows share
MANY, UNIQUE = 0.02, 0.95  # distinct values per row of a name that is not said to be one
SHARED = 0.05  # share of values on both sides
ALIKE = 0.1  # how much of the target goes with the value
SURE_ALIKE = 5.0  # standard errors
NEIGHBOURS = 0.2  # correlation of the target with that of the row before
SORTED = 0.9
STEPS = 0.95


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """One line per row (N): its number, identity, side, and group and time where declared."""

    row: np.ndarray
    identity: np.ndarray
    """Equal for rows with the same cells; of any type."""
    side: np.ndarray
    by: str
    """row, group, time or given."""
    group: np.ndarray | None = None
    time: np.ndarray | None = None
    group_name: str = ""
    time_name: str = ""
    time_dates: bool = False
    """Whether times are microseconds since 1970, and no numbers of their own."""
    by_given: bool = True
    """Whether the settings say themselves how rows are split."""

    @cached_property
    def fitted(self) -> np.ndarray:
        """Rows that anything may be learned from or chosen by."""
        return np.isin(self.side, FITTED)

    @cached_property
    def judged(self) -> np.ndarray:
        """Test rows."""
        return self.side == JUDGED


def own_test_set(book: Ledger) -> list[Leak]:
    """Prove that test rows are there, once, and on no other side."""
    found: list[Leak] = []
    rows = int(book.judged.sum())
    if not rows or not book.fitted.any():
        said = f"there must be rows to learn from and rows to judge by, found {rows:,} test rows of"
        found.append(_row_leak("test_set", "none", f"{said} {len(book.side):,}", 0))
    twice = len(book.row) - len(np.unique(book.row))
    if twice:
        said = f"a row must be in the ledger once, {twice:,} are twice"
        found.append(_row_leak("test_set", "twice", said, twice))
    both = np.intersect1d(book.identity[book.fitted], book.identity[book.judged])
    if len(both) and book.by != "time":
        count = int(np.isin(book.identity[book.judged], both).sum())
        said = f"{count:,} test rows have the identity of a row that is learned from"
        found.append(_row_leak("test_set", "identity", said, count))
    return found


def whole_groups(book: Ledger) -> list[Leak]:
    """Prove that no declared group is on both sides; where the split is by time, count them."""
    if book.group is None:
        return []
    both = np.intersect1d(book.group[book.fitted], book.group[book.judged])
    if not len(both):
        return []
    count = int(np.isin(book.group[book.judged], both).sum())
    said = f"{len(both):,} groups of {shown(book.group_name)} have train and test rows"
    said += f" ({count:,} test rows)"
    if book.by == "time":
        said += ": the split is by time, so the model is judged on groups that it knows"
    advice = 'split.by = "group" keeps each on one side'
    return [_row_leak("dependent", "group", said, count, sure=book.by != "time", advice=advice)]


def forward_in_time(book: Ledger) -> list[Leak]:
    """Prove that a declared time goes forward from train to test, or say that rows are mixed."""
    if book.time is None:
        return []
    known = np.isfinite(book.time)
    train, test = (book.time[side & known] for side in (book.fitted, book.judged))
    if not len(train) or not len(test) or train.max() < test.min():
        return []
    late = int((train >= test.min()).sum())
    name = shown(book.time_name)
    if book.by == "time":
        said = f"{late:,} rows that are learned from are not before the first test row by {name}"
        return [_row_leak("temporal", "order", said, late)]
    said = (
        f"{name} is declared as time and rows are split by {book.by}: {late:,} of {len(train):,} "
        "rows that are learned from are as late as a test row, so the future helps to foretell it"
    )
    advice = 'set [split] by = "time", or say by = "row" where the order of rows is of no matter'
    return [_row_leak("temporal", "mixed", said, late, sure=not book.by_given, advice=advice)]


def _row_leak(
    type_: str, kind: str, said: str, rows: int, *, sure: bool = True, advice: str = ""
) -> Leak:
    return Leak(
        type=type_, kind=kind, sure=sure, sentence=said, numbers={"rows": rows}, advice=advice
    )


# ------------------------------------------------------------- undeclared


def shared_names(
    name: str, codes: np.ndarray, book: Ledger, target: np.ndarray, *, textual: bool
) -> list[Leak]:
    """Suspect a column (level codes, -1 missing) of naming what rows share.

    `target` is float64 (N,); of classes, whether a row is of the commonest.
    """
    known = (codes >= 0) & (book.fitted | book.judged)
    values = codes[known]
    distinct = len(np.unique(values))
    said_so = bool(ID_LIKE.search(name) or CAMEL.search(name))
    dense = MANY <= distinct / max(len(values), 1) <= UNIQUE
    if distinct < LEAST_VALUES or len(values) < REPEATED * distinct:
        return []
    if not (said_so and distinct >= 0.002 * len(values)) and not (textual and dense):
        return []
    inside = np.unique(codes[known & book.fitted])
    both = np.intersect1d(inside, np.unique(codes[known & book.judged]))
    if len(both) < SHARED * distinct:
        return []
    alike, error = together(values, target[known])
    if alike < max(ALIKE, SURE_ALIKE * error) and not said_so:
        return []
    rows = int(np.isin(codes[book.judged], both).sum())
    said = (
        f"{len(both):,} of {distinct:,} values of {shown(name)} stand on both sides "
        f"({rows:,} test rows)"
    )
    if alike > SURE_ALIKE * error:
        said += f", and rows that share one have alike targets (correlation {alike:.2f})"
    numbers = {"rows": rows, "values": len(both), "correlation": round(alike, 4)}
    return [
        Leak(
            type="dependent",
            kind="repeats",
            columns=(name,),
            sentence=said,
            numbers=numbers,
            advice=f'if it names a customer, a patient, a device: [data] group = "{shown(name)}", '
            '[split] by = "group"',
            droppable=False,
        )
    ]


def together(codes: np.ndarray, target: np.ndarray) -> tuple[float, float]:
    """Return the intraclass correlation of the target in the values, and its standard error.

    The estimator of the analysis of variance with unequal sizes (Donner 1986).
    """
    known = np.isfinite(target)
    _, codes = np.unique(codes[known], return_inverse=True)
    values = target[known]
    count, groups = len(values), int(codes.max(initial=-1)) + 1
    if groups < 2 or count <= groups or values.std() == 0:
        return 0.0, 1.0
    sizes = np.bincount(codes)
    means = np.bincount(codes, values) / sizes
    between = float(np.sum(sizes * (means - values.mean()) ** 2)) / (groups - 1)
    within = float(np.sum((values - means[codes]) ** 2)) / (count - groups)
    size = (count - float(np.sum(sizes**2)) / count) / (groups - 1)
    if between + (size - 1) * within <= 0:
        return 0.0, 1.0
    found = (between - within) / (between + (size - 1) * within)
    error = np.sqrt(2 / (size * max(size - 1, 0.1) * groups))
    return float(found), float(error)


def like_time(name: str, moments: np.ndarray, book: Ledger, target: np.ndarray) -> list[Leak]:
    """Suspect an undeclared column of being the time of rows that are split at random."""
    if book.by == "time" or book.time is not None:
        return []
    known = np.isfinite(moments)
    order = np.flatnonzero(known)[np.argsort(moments[known], kind="stable")]
    near = neighbours(target[order])
    if near is None:
        return []
    said = (
        f"rows are split by {book.by}, and {shown(name)} looks like their time: in its order the "
        f"target of a row goes with that of the row before (correlation {near:.2f})"
    )
    advice = f'declare it: [data] time = "{shown(name)}", [split] by = "time"'
    return [_time_leak("like_time", said, near, advice, (name,))]


def like_series(book: Ledger, target: np.ndarray) -> list[Leak]:
    """Suspect the file of being a series: neighbours in it have alike targets."""
    if book.by != "row" or book.time is not None:
        return []
    order = np.argsort(book.row, kind="stable")
    near = neighbours(target[order])
    if near is None:
        return []
    said = (
        "rows are split at random, and in the order of the file the target of a row goes with that "
        f"of the row before (correlation {near:.2f}): rows that stand side by side are alike, as in "
        "a series or on a map, and lie on both sides"
    )
    advice = "where rows follow one another in time, declare data.time; where they share a place, data.group"
    return [_time_leak("like_series", said, near, advice, ())]


def neighbours(target: np.ndarray) -> float | None:
    """Return the correlation of each value with the one before; None where it tells nothing.

    A table that is merely sorted by its target is no series.
    """
    values = target[np.isfinite(target)]
    if len(values) < 5 * LEAST_VALUES or values.std() == 0:
        return None
    place = np.arange(len(values), dtype=np.float64)
    runs = 1 + int(np.count_nonzero(np.diff(values)))
    if abs(float(np.corrcoef(place, values)[0, 1])) > SORTED or runs <= max(10, len(values) // 100):
        return None
    if abs(float(np.corrcoef(place, _ranks(values))[0, 1])) > SORTED:
        return None
    steps = np.diff(values)
    up = float((steps[steps != 0] > 0).mean())
    if max(up, 1 - up) > STEPS:  # sorted piece by piece
        return None
    near = float(np.corrcoef(values[1:], values[:-1])[0, 1])
    return near if near > max(NEIGHBOURS, SURE_ALIKE / np.sqrt(len(values))) else None


def _ranks(values: np.ndarray) -> np.ndarray:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]


def _time_leak(kind: str, said: str, near: float, advice: str, columns: Sequence[str]) -> Leak:
    numbers: dict[str, Any] = {"correlation": round(near, 4)}
    return Leak(
        type="temporal",
        kind=kind,
        columns=tuple(columns),
        sentence=said,
        numbers=numbers,
        advice=advice,
        droppable=False,
    )
