"""What a table holds as one SHA-256: its columns, types and cells, taken in block by block.

- Where blocks and row groups end makes no difference, nor whether text is large_string; every
  column has digests of its own, over its values and over where cells are missing.
- A missing cell is a missing cell, whatever lies in its place in memory.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

ALGORITHM = "penstock-table-2"


class TableDigest:
    """Gathers a table of one schema; `hexdigest` says what it was."""

    def __init__(self, schema: pa.Schema) -> None:
        """Nothing was seen yet."""
        self._columns = [(field.name, _kind(field.type)) for field in schema]
        self._values = [hashlib.sha256() for _ in self._columns]
        self._shapes = [hashlib.sha256() for _ in self._columns]
        self._rows = 0

    def add(self, table: pa.Table) -> None:
        """Take in the next rows."""
        for place in range(len(self._columns)):
            for chunk in table.column(place).chunks:
                values, shape = _parts(chunk)
                self._values[place].update(values)
                self._shapes[place].update(shape)
        self._rows += table.num_rows

    def hexdigest(self) -> str:
        """Return the digest of everything that was taken in."""
        columns = [
            [name, kind, values.hexdigest(), shapes.hexdigest()]
            for (name, kind), values, shapes in zip(
                self._columns, self._values, self._shapes, strict=True
            )
        ]
        text = json.dumps([ALGORITHM, self._rows, columns])
        return hashlib.sha256(text.encode()).hexdigest()


def table_digest(frame: pd.DataFrame) -> str:
    """Return the digest of a table that is in memory."""
    import pyarrow as pa

    table = pa.Table.from_pandas(frame, preserve_index=False)
    found = TableDigest(table.schema)
    found.add(table)
    return found.hexdigest()


def _kind(kind: pa.DataType) -> str:
    import pyarrow as pa

    return "string" if _is_text(kind) or pa.types.is_null(kind) else str(kind)


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _parts(cells: pa.Array) -> tuple[Any, Any]:
    """Return the bytes of the cells that are there, and those that say which are and how long."""
    import pyarrow as pa

    kind = cells.type
    if not _is_text(kind) and (pa.types.is_primitive(kind) or pa.types.is_boolean(kind)):
        return _plain(cells)
    return _texts(cells if _is_text(kind) else cells.cast(pa.string()))


def _plain(cells: pa.Array) -> tuple[Any, Any]:
    """Numbers, dates and booleans: as wide as their type, zeros where a cell is missing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    ask: Any = pc  # its functions are made when it is imported; checkers do not see them
    there = np.ones(len(cells), np.uint8)
    if cells.null_count:
        there = np.asarray(cells.is_valid().cast(pa.uint8()))
    if pa.types.is_boolean(cells.type):
        cells = cells.cast(pa.uint8())
    elif pa.types.is_temporal(cells.type):
        cells = cells.view({64: pa.int64(), 32: pa.int32()}[cells.type.bit_width])
    if cells.null_count:
        cells = ask.fill_null(cells, 0)
    return np.ascontiguousarray(cells.to_numpy(zero_copy_only=False)), there


def _texts(cells: pa.Array) -> tuple[Any, Any]:
    """Texts: one after the other, and the bytes that each has, -1 where it is missing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    ask: Any = pc
    sizes = ask.binary_length(cells).cast(pa.int64())
    lengths = ask.fill_null(sizes, -1).to_numpy(zero_copy_only=False)
    known = cells.drop_null() if cells.null_count else cells
    _, offsets, data = known.buffers()
    if data is None or not len(known):
        return b"", lengths
    width = np.int64 if pa.types.is_large_string(known.type) else np.int32
    ends = np.frombuffer(offsets, width, len(known) + known.offset + 1)
    return memoryview(data)[int(ends[known.offset]) : int(ends[-1])], lengths
