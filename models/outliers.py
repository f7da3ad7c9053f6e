"""Train rows that a fold does not learn from: those with a number far from where most of them lie.

- Bounds are each fold's own, by its train rows: so many widths on either side of the median, where
  a width is the middle half's, as the deviation of a bell curve with such a middle half.
- A column of which the middle half is one value has no width and leaves no row out; nor does a
  missing cell.
- Rows that a fold judges say nothing about bounds and are never left out.
- What is left out is left out of everything that a fold learns: encoder, imputer, target scale,
  networks, rungs of the ladder.
- Column by column: nothing as large as the table is made of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from models.table import folds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from models.table import TrainingTable

HALF = 1.3489795003921634  # deviations of a bell curve from its lower quartile to its upper one
MOST = 0.5  # share of a fold's train rows that may be left out
NAMED = 5  # columns that a refusal names


@dataclass(frozen=True, kw_only=True)
class Outliers:
    """What was found.

    Attributes:
        limit: widths from the median beyond which a number is far out.
        rows: bool (F, N), train rows that a fold does not learn from.
        train: per fold, train rows that there were.
        columns: per fold, how many of them each column would leave out by itself, the most first.
    """

    limit: float
    rows: np.ndarray
    train: Sequence[int]
    columns: Sequence[Mapping[str, int]]

    @property
    def counts(self) -> list[int]:
        """How many rows each fold leaves out."""
        return [int(each.sum()) for each in self.rows]

    def at(self, rows: np.ndarray) -> Outliers:
        """Return the same for some rows of the table, by position."""
        return replace(self, rows=self.rows[:, rows])


def without_outliers(
    table: TrainingTable, limit: float | None, *, labels: Sequence[str] = (), strict: bool = True
) -> TrainingTable:
    """Return the table with the rows marked that folds do not learn from; None: no rows.

    `labels` name the classes in refusals. Without `strict`, a fold that would be refused keeps its
    rows: a sample says nothing about the table.

    Raises:
        ValueError: a fold would lose more than half of its train rows, or all of a class.

    """
    known = table.outliers
    if limit == (None if known is None else known.limit):
        return table
    if limit is None:
        return replace(table, outliers=None)
    table = replace(table, outliers=None)
    found, bounds = _found(table, limit)
    for fold, own in enumerate(bounds):
        message = _refusal(table, found, own, fold, labels)
        if message and strict:
            raise ValueError(message)
        if message:
            found.rows[fold] = False
    return replace(table, outliers=found)


def bounds_of(cells: np.ndarray, limit: float) -> tuple[float, float]:
    """Return between which values cells (N,) lie that are no more than so many widths out."""
    finite = cells[np.isfinite(cells)]
    if not len(finite):
        return -np.inf, np.inf
    with np.errstate(over="ignore", invalid="ignore"):  # cells near the largest float
        median = np.quantile(finite, 0.5, overwrite_input=True)
        # Cells that are there, or the middle half of a yes-no column would end between yes and no.
        first = np.quantile(finite, 0.25, method="higher", overwrite_input=True)
        third = np.quantile(finite, 0.75, method="lower", overwrite_input=True)
        most = limit * ((third - first) / HALF)
        if not (most > 0 and np.isfinite(most)):
            return -np.inf, np.inf
        return median - most, median + most


def _found(table: TrainingTable, limit: float) -> tuple[Outliers, np.ndarray]:
    """Return what every fold would leave out, and its bounds of every number (F, n, 2)."""
    trains = [table.train(fold) for fold in range(folds(table))]
    rows = np.zeros((len(trains), len(table.target)), dtype=bool)
    counts = np.zeros((len(trains), table.numbers.shape[1]), dtype=np.int64)
    bounds = np.zeros((*counts.shape, 2))
    for j, cells in enumerate(table.numbers.T):  # each is read once: it may be mapped from a file
        for fold, train in enumerate(trains):
            bounds[fold, j] = bounds_of(cells[train], limit)
            far = _far(cells, *bounds[fold, j]) & train
            counts[fold, j] = far.sum()
            rows[fold] |= far
    found = Outliers(
        limit=limit,
        rows=rows,
        train=[int(train.sum()) for train in trains],
        columns=[_ranked(table.columns.numbers, each) for each in counts],
    )
    return found, bounds


def _far(cells: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return which cells lie beyond bounds; missing ones do not."""
    return (cells < low) | (cells > high)


def _ranked(names: Sequence[str], counts: np.ndarray) -> dict[str, int]:
    order = [int(j) for j in np.argsort(-counts, kind="stable")]
    return {names[j]: int(counts[j]) for j in order if counts[j]}


def _refusal(
    table: TrainingTable, found: Outliers, bounds: np.ndarray, fold: int, labels: Sequence[str]
) -> str:
    """Return why a fold cannot do without its rows, "" where it can."""
    out, train, count = found.rows[fold], found.train[fold], int(found.rows[fold].sum())
    if count > MOST * train:
        must = f"must leave a fold at least {1 - MOST:.0%} of its train rows"
        what = f"fold {fold} would lose {count:,} of {train:,}"
        return _worded(found.limit, must, what, found.columns[fold])
    counts = table.weight > 0  # rows that weigh nothing teach nothing
    if count and not (table.train(fold) & ~out & counts).any():
        must = "must leave a fold train rows that weigh something"
        what = f"fold {fold} would lose all {int((out & counts).sum()):,}"
        return _worded(found.limit, must, what, found.columns[fold])
    if not table.classes or not count:
        return ""
    there = np.bincount(table.target[table.train(fold) & counts], minlength=table.classes)
    gone = np.bincount(table.target[out & counts], minlength=table.classes)
    lost = np.flatnonzero((there > 0) & (gone == there))
    if not len(lost):
        return ""
    code = int(lost[0])
    own = np.flatnonzero(out & counts & (table.target == code))
    far = np.array([_far(cells[own], *bounds[j]).sum() for j, cells in enumerate(table.numbers.T)])
    must = "must leave a fold train rows of every class"
    name = f'"{labels[code]}"' if len(labels) else f"number {code}"
    what = f"fold {fold} would lose all {len(own):,} of class {name}"
    return _worded(found.limit, must, what, _ranked(table.columns.numbers, far))


def _worded(limit: float, must: str, what: str, columns: Mapping[str, int]) -> str:
    named = ", ".join(f"{name} ({count:,})" for name, count in list(columns.items())[:NAMED])
    return (
        f"drop_outliers = {limit:g} {must}, however: {what}, most by {named}; raise it, put a "
        "skewed column's logarithm in its place, leave such columns out, or hold cells by clip "
        "instead"
    )
