"""Rows drawn evenly from all of a source while it goes by, the same ones each time.

- Every row draws a number, and those with the smallest numbers are kept: any so many rows are as
  likely as any other (a sample "bottom k"), whatever the order of the rows.
- At most twice as many rows as are wanted are in memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

SEED = 0


class Spread:
    """Keeps `most` of the rows that `add` is given."""

    def __init__(self, most: int, *, seed: int = SEED) -> None:
        """Nothing is drawn yet."""
        self.most = most
        self.seen = 0
        """Rows that have gone by."""
        self._random = np.random.default_rng(seed)
        self._bound = 1.0
        self._kept: list[tuple[pa.Table, NDArray[np.float64], NDArray[np.int64]]] = []

    def add(self, table: pa.Table) -> None:
        """Take in the next rows."""
        import pyarrow as pa

        drawn = self._random.random(table.num_rows)
        there = np.flatnonzero(drawn < self._bound)
        if len(there):
            some = table if len(there) == table.num_rows else table.take(pa.array(there))
            self._kept.append((some, drawn[there], there + self.seen))
        self.seen += table.num_rows
        if sum(len(places) for _, _, places in self._kept) > 2 * self.most:
            self._narrow()

    def rows(self) -> tuple[pa.Table, NDArray[np.int64]]:
        """Return the rows in their order, and the place of each in the source, from 0."""
        if not self._kept:
            raise ValueError("no row has gone by")
        self._narrow()
        table, _, places = self._kept[0]
        return table, places

    def _narrow(self) -> None:
        """Keep the rows with the smallest numbers."""
        import pyarrow as pa

        table = pa.concat_tables(one for one, _, _ in self._kept)
        drawn = np.concatenate([one for _, one, _ in self._kept])
        places = np.concatenate([one for _, _, one in self._kept])
        if len(drawn) > self.most:
            self._bound = float(np.partition(drawn, self.most - 1)[self.most - 1])
            there = np.flatnonzero(drawn <= self._bound)
            table, drawn, places = table.take(pa.array(there)), drawn[there], places[there]
        self._kept = [(table, drawn, places)]
