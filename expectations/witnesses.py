"""A few cells of a column that answer for all of them, and what one look at the column leaves.

- A range holds of all numbers or dates if and only if it holds of the least and the greatest; any
  other rule of single cells if and only if it holds of each distinct cell. Great Expectations judges
  these first, and whole columns only where they fail.
- A look counts what is missing, and cells that differ from the first: so much as tells, without
  reading the column again, whether anything is left of it, and varies, once some rows are gone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

CELLS = 1 << 22
"""That are looked at together, about."""
SHORT = 1_000
"""Witnesses of a column, above which it is judged alone."""
COLUMNS = 16
"""Of short ones that are judged together."""
ORDERED = "iufM"  # kinds of cells that have a least and a greatest one
ENDS = frozenset({"range", "present"})
"""Rules for which the ends of a column answer."""


class Frame(Protocol):
    """A table of which columns are taken by name: a data frame, or one that lies on disk."""

    def __len__(self) -> int:
        """Return the number of rows."""
        ...

    def __contains__(self, name: object, /) -> bool:
        """Whether there is a column of that name."""
        ...

    def __getitem__(self, name: Any, /) -> Any:
        """Return one column as a series, or a list of them as a frame; rows count from 0."""
        ...


@dataclass(frozen=True, kw_only=True)
class Look:
    """What one look at a column leaves."""

    missing: int
    cells: pd.Series
    """Those that answer for all, none of them missing."""
    same: int
    """Cells that equal the first one that is there."""
    other: int
    """Cells that do not."""

    def is_left(self, gone: int) -> bool | None:
        """Whether a cell is left without some `gone` rows; None where it takes another look."""
        present = self.same + self.other
        return True if present > gone else None if present else False

    def varies(self, gone: int) -> bool | None:
        """Whether the cells that are left differ; None where it takes another look."""
        if not self.other:
            return False
        return True if min(self.same, self.other) > gone else None


def looks(frame: Frame, rules: Mapping[str, Collection[str]]) -> dict[str, Look]:
    """Look once at each column; `rules` holds the types of rules that its cells answer for."""
    return {
        str(name): look(cells, ends=ENDS.issuperset(rules[str(name)]))
        for part in blocks(frame, list(rules))
        for name, cells in part.items()
    }


def blocks(frame: Frame, names: Sequence[str]) -> Iterator[pd.DataFrame]:
    """Yield the columns, so many at once as memory need not notice."""
    width = max(CELLS // max(len(frame), 1), 1)
    for start in range(0, len(names), width):
        yield frame[list(names[start : start + width])]


def look(cells: pd.Series, *, ends: bool) -> Look:
    """Look at one column; `ends`: the least and the greatest cell answer for it, where it has one."""
    if cells.dtype == np.float64:
        return _doubles(cells, ends=ends)
    there = cells.dropna()
    ordered = ends and cells.dtype.kind in ORDERED and len(there)
    distinct, counts = _counted(there)
    few = pd.Series([there.min(), there.max()], dtype=cells.dtype) if ordered else distinct
    same = int(counts[0]) if len(counts) else 0
    return Look(missing=len(cells) - len(there), cells=few, same=same, other=len(there) - same)


def _doubles(cells: pd.Series, *, ends: bool) -> Look:
    values = cells.to_numpy()
    gaps = np.isnan(values)
    missing = int(np.count_nonzero(gaps))
    there = len(values) - missing
    if not there:
        return Look(missing=missing, cells=pd.Series([], dtype=cells.dtype), same=0, other=0)
    same = int(np.count_nonzero(values == values[int(np.argmin(gaps))]))
    few = [np.fmin.reduce(values), np.fmax.reduce(values)] if ends else np.unique(values[~gaps])
    few = pd.Series(few, dtype=cells.dtype)
    return Look(missing=missing, cells=few, same=same, other=there - same)


def _counted(there: pd.Series) -> tuple[pd.Series, np.ndarray]:
    """Return the distinct cells in the order in which they come, and how often each does."""
    codes, distinct = pd.factorize(there)
    return pd.Series(distinct, dtype=there.dtype), np.bincount(codes, minlength=len(distinct))


def side_by_side(found: Mapping[str, Look]) -> pd.DataFrame:
    """Return the witnesses of several columns as one frame.

    A shorter column repeats its last cell.
    """
    rows = max([1, *(len(one.cells) for one in found.values())])
    columns: dict[str, pd.Series] = {}
    for name, one in found.items():
        places = np.minimum(np.arange(rows), len(one.cells) - 1)  # -1: there is none, so missing
        columns[name] = one.cells.reindex(places).set_axis(range(rows))
    return pd.DataFrame(columns)


def together(names: Sequence[str], found: Mapping[str, Look]) -> Iterator[list[str]]:
    """Yield the columns that are judged together: few witnesses with few, many of them alone."""
    short = [name for name in names if len(found[name].cells) <= SHORT]
    for start in range(0, len(short), COLUMNS):
        yield short[start : start + COLUMNS]
    yield from ([name] for name in names if len(found[name].cells) > SHORT)
