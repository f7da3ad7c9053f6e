"""A sample of a table's rows that stays the same: the rows whose content has the smallest hashes.

- A row is known by its declared id, else by all its cells (`flows/identity.py`), so neither its
  place nor the other rows decide; of a table that grows, rows leave the sample only for new ones.
- Rows go by once. What might still be among the smallest is written aside, and read again when the
  last row was seen: about k (1 + ln(N / k)) of N rows for a sample of k.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flows.identity import identities, salted
from flows.tables import Writer, batches, frame_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa
    from numpy.typing import NDArray

SALT = "sample"
DRAWN = "__drawn__"


class Sample:
    """Chooses at most `most` rows of the tables that `of` is given."""

    def __init__(self, most: int, ids: Sequence[str], draft: Path) -> None:
        """`draft` is a file that may be written meanwhile; `ids` are the columns of an id."""
        self.most, self.ids, self.draft = most, list(ids), draft
        self.seen = self.kept = 0

    def of(self, tables: Iterable[pa.Table], own: Sequence[str]) -> Iterator[pa.Table]:
        """Yield the chosen rows in their order, when the last of `tables` was seen.

        Args:
            tables: all rows, block by block.
            own: the source's own columns, by which a row is known that has no id.

        """
        import pyarrow as pa

        lowest = np.zeros(0)
        writer: Writer | None = None
        try:
            for table in tables:
                drawn = self._drawn(table, own)
                self.seen += len(drawn)
                lowest = _lowest(np.concatenate([lowest, drawn]), self.most)
                there = np.flatnonzero(drawn <= lowest.max(initial=0))
                some = table.take(pa.array(there))
                some = some.append_column(DRAWN, pa.array(drawn[there]))
                writer = writer or Writer(self.draft, some.schema)
                writer.write(some)
        finally:
            if writer is not None:
                writer.close()
        if writer is not None:
            yield from self._chosen(lowest)
        self.draft.unlink(missing_ok=True)

    def _drawn(self, table: pa.Table, own: Sequence[str]) -> NDArray[np.float64]:
        names = self.ids or list(own)
        frame = frame_of(table.select(names))
        return salted(identities(frame, names, as_text=bool(self.ids)), SALT)

    def _chosen(self, lowest: NDArray[np.float64]) -> Iterator[pa.Table]:
        """Rows below the largest of the lowest; of those that equal it, as many as there is room."""
        import pyarrow as pa

        bound = lowest.max(initial=0)
        room = self.most - int((lowest < bound).sum())
        for table in batches(self.draft):
            drawn = table[DRAWN].to_numpy()
            equal = np.cumsum(drawn == bound)
            there = np.flatnonzero((drawn < bound) | ((drawn == bound) & (equal <= room)))
            room -= int(equal[-1]) if len(equal) else 0
            self.kept += len(there)
            yield table.take(pa.array(there)).drop_columns([DRAWN]).replace_schema_metadata(None)


def _lowest(values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    return values if len(values) <= count else np.partition(values, count - 1)[:count]
