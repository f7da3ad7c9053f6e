"""How many values of a column differ, counted while its rows go by in bounded memory.

- A value is its 64-bit hash. Up to `most` values all are followed, and the count is exact; beyond,
  only those of half the hashes, of a quarter, ...: each of them in all rows, so that what repeats is
  seen.
- Whole numbers that count the rows one by one are told too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

MOST = 1 << 22


@dataclass(frozen=True, kw_only=True)
class Counted:
    """What all rows say of a column."""

    rows: int
    present: int
    """Cells that hold something."""
    distinct: int
    """Different values; an estimate where there are more than can be followed."""
    repeats: bool
    """Whether a value occurs twice."""
    in_steps: bool
    """Whether it counts the rows one by one."""
    exact: bool = True
    """Whether all values were followed; else a repeat may have gone by unseen."""

    @property
    def unique(self) -> bool:
        """Whether every row has a value of its own."""
        return self.present == self.rows and not self.repeats

    @property
    def share(self) -> float:
        """Different values per cell."""
        return self.distinct / max(self.present, 1)


class Distinct:
    """Counts the values of one column, of texts or whole numbers."""

    def __init__(self, *, most: int = MOST) -> None:
        """Nothing has gone by yet."""
        self.rows = self.present = 0
        self._most, self._bits = most, 0
        self._values, self._sizes = np.empty(0, np.uint64), np.empty(0, np.int64)
        self._waiting: list[NDArray[np.uint64]] = []
        self._last: int | None = None
        self._in_steps = True

    def add(self, cells: pa.ChunkedArray) -> None:
        """Take in the next cells."""
        there = _there(cells)
        self.rows += len(cells)
        self.present += len(there)
        self._in_steps = self._in_steps and self.present == self.rows and self._steps(there)
        self._waiting.append(self._followed(_hashes(there)))
        if sum(map(len, self._waiting)) > max(len(self._values), self._most // 4):
            self._merge()

    def counted(self) -> Counted:
        """Return what is known of all cells so far."""
        self._merge()
        followed = int(self._sizes.sum())
        distinct = len(self._values)
        if self._bits:
            distinct = round(self.present * distinct / max(followed, 1))
        return Counted(
            rows=self.rows, present=self.present, distinct=distinct,
            repeats=followed > len(self._values), in_steps=self._in_steps and self.rows > 1,
            exact=not self._bits,
        )  # fmt: skip

    def _steps(self, cells: pa.ChunkedArray) -> bool:
        """Whether each of these whole numbers is one more than the one before."""
        import pyarrow as pa

        if not len(cells):
            return True
        try:
            numbers = cells.cast(pa.int64()).to_numpy()
        except pa.ArrowInvalid:
            return False
        before, self._last = self._last, int(numbers[-1])
        follows = before is None or int(numbers[0]) == before + 1
        return follows and bool((np.diff(numbers) == 1).all())

    def _followed(self, hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
        return hashes[hashes >> np.uint64(64 - self._bits) == 0] if self._bits else hashes

    def _merge(self) -> None:
        """Count what waits; follow half as many hashes while there are too many values."""
        if self._waiting:
            new, sizes = np.unique(np.concatenate(self._waiting), return_counts=True)
            both = np.concatenate([self._values, new])
            self._values, where = np.unique(both, return_inverse=True)
            counts = np.bincount(where, np.concatenate([self._sizes, sizes]), len(self._values))
            self._sizes, self._waiting = counts.astype(np.int64), []
        while len(self._values) > self._most:
            self._bits += 1
            kept = self._followed(self._values)  # ascending, so these stand first
            self._values, self._sizes = kept, self._sizes[: len(kept)]


def hashed(cells: pa.ChunkedArray) -> NDArray[np.uint64]:
    """Return a hash of each cell that holds something."""
    return _hashes(_there(cells))


def _there(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the cells that hold something."""
    import pyarrow as pa
    import pyarrow.compute as pc

    ask: Any = pc  # its functions are made when it is imported; checkers do not see them
    if pa.types.is_string(cells.type):
        return cells.filter(ask.not_equal(cells, ""))
    return cells.drop_null()


def _hashes(cells: pa.ChunkedArray) -> NDArray[np.uint64]:
    """Return a hash per cell."""
    import pandas as pd
    import pyarrow as pa

    of: Any = pd.util.hash_array  # pyright: ignore[reportAttributeAccessIssue]
    if not pa.types.is_string(cells.type):
        return of(cells.to_numpy())
    coded = cells.combine_chunks().dictionary_encode()
    texts = np.asarray(coded.dictionary.to_pylist(), object)
    return (
        of(texts, categorize=False)[coded.indices.to_numpy()]
        if len(texts)
        else np.empty(0, np.uint64)
    )
