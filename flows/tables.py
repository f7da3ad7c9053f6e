"""Tables on disk: Parquet whose pages carry checksums that are verified when read.

- Without page checksums a flipped bit in a Parquet file reads back silently as another value.
- A large table is written and read by blocks of rows (`Writer`, `blocks`, `read_rows`), or a few
  columns at a time; row groups have one size, whatever blocks were written.
- Whole numbers and booleans stay what they are beside missing cells.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy as np
    import pandas as pd
    import pyarrow as pa

PANDAS = b"pandas"
BUFFER = 1 << 17  # bytes of a column that are read at once
ROWS, LEAST_ROWS, CELLS = 65_536, 4_096, 8_000_000  # of one row group
COLUMNS = 16  # that are read at once, where they have no more than CELLS


def write_parquet(frame: pd.DataFrame, path: Path) -> None:
    """Write `frame` to `path` without its index, each page with a CRC."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(frame, preserve_index=False)
    pq.write_table(
        table, path, row_group_size=group_rows(table.num_columns), **_options(table.schema)
    )


def read_parquet(path: Path, columns: list[str] | None = None) -> pd.DataFrame:
    """Read a table that was written here; a page whose CRC differs raises OSError."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        return _selected(file.read(columns=columns), columns, file).to_pandas()


def blocks(
    path: Path, columns: list[str] | None = None, *, rows: int = ROWS
) -> Iterator[pd.DataFrame]:
    """Yield a table in its order, at most `rows` rows at once; a damaged page raises OSError."""
    for table in batches(path, columns, rows=rows):
        yield table.to_pandas()


def batches(
    path: Path, columns: list[str] | None = None, *, rows: int = ROWS
) -> Iterator[pa.Table]:
    """Yield a table in its order as Arrow has it, at most `rows` rows at once.

    The schema's metadata let `to_pandas` give every block the same types. A page whose CRC differs
    raises OSError.
    """
    import pyarrow as pa

    with _open(path) as file:
        for batch in file.iter_batches(batch_size=rows, columns=columns):
            yield _selected(pa.Table.from_batches([batch]), columns, file)


def _open(path: Path) -> Any:
    """Open a table of which less than all is to be in memory."""
    import pyarrow.parquet as pq

    # Buffered ahead, all row groups that were read would stay in memory.
    options: Any = {"page_checksum_verification": True, "pre_buffer": False}
    return pq.ParquetFile(path, buffer_size=BUFFER, **options)


def _selected(table: pa.Table, columns: list[str] | None, file: Any) -> pa.Table:
    """Return these columns ("a" brings "a.b" along), with what pandas has to know of them."""
    if columns is not None:
        table = table.select(columns)
    known = file.metadata.metadata or {}
    return table.replace_schema_metadata({PANDAS: known[PANDAS]} if PANDAS in known else None)


def columns_of(path: Path, names: Sequence[str]) -> Iterator[pd.Series]:
    """Yield columns one after the other, a few in memory; a damaged page raises OSError."""
    with _open(path) as file:
        at_once = max(1, min(COLUMNS, CELLS // max(file.metadata.num_rows, 1)))
        for start in range(0, len(names), at_once):
            wanted = list(names[start : start + at_once])
            table = _selected(file.read(columns=wanted), wanted, file)
            for name in wanted:
                yield table.select([name]).to_pandas()[name]
            del table  # or it stays while the next one is read


def names_in(path: Path) -> list[str]:
    """Return the columns of a table."""
    import pyarrow.parquet as pq

    return list(pq.read_schema(path).names)


def rows_in(path: Path) -> int:
    """Return how many rows a table has."""
    import pyarrow.parquet as pq

    return int(pq.read_metadata(path).num_rows)


def read_rows(
    path: Path, at: np.ndarray | Sequence[int], columns: list[str] | None = None
) -> pd.DataFrame:
    """Return the rows at the positions `at`, in that order; never the whole table in memory."""
    import numpy as np
    import pyarrow as pa

    wanted, place = np.unique(np.asarray(at, np.int64), return_inverse=True)
    found, start = [], 0
    for table in batches(path, columns):
        first, end = np.searchsorted(wanted, [start, start + table.num_rows])
        if end > first:
            found.append(table.take(pa.array(wanted[first:end] - start)))
        start += table.num_rows
    if len(wanted) and not 0 <= wanted[0] <= wanted[-1] < start:
        msg = f"{path} has {start:,} rows, asked for {wanted[0]:,} to {wanted[-1]:,}"
        raise IndexError(msg)
    if not found:
        return (
            read_parquet(path, columns).iloc[:0]
            if not start
            else next(blocks(path, columns)).iloc[:0]
        )
    table = pa.concat_tables(found)
    if not np.array_equal(place, np.arange(len(wanted))):
        table = table.take(pa.array(place))
    return table.to_pandas()


class Writer:
    """Writes one table block by block: `with Writer(path, schema) as writer: writer.write(table)`.

    The types are those of `schema`; which columns of whole numbers and booleans have missing cells
    is known at the end, and kept beside them for whoever reads the table into pandas.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        """Open the file; the first row group is written when it is full."""
        import pyarrow.parquet as pq

        self.schema = schema.remove_metadata()
        self.rows = 0
        self._writer: Any = pq.ParquetWriter(path, self.schema, **_options(self.schema))
        self._group = group_rows(len(self.schema))
        self._waiting: list[pa.Table] = []
        self._waits = 0
        self._gaps: set[str] = set()

    def write(self, table: pa.Table | pd.DataFrame) -> None:
        """Take in rows, in the columns and types of the schema."""
        import pyarrow as pa

        if not isinstance(table, pa.Table):
            table = pa.Table.from_pandas(table, schema=self.schema, preserve_index=False)
        table = table.replace_schema_metadata(None).cast(self.schema)
        self._gaps |= {n for n in table.column_names if table[n].null_count}
        self.rows += table.num_rows
        while self._waits + table.num_rows >= self._group:
            head = table.slice(0, self._group - self._waits)
            table = table.slice(head.num_rows)
            self._waiting.append(head)
            self._flush()
        if table.num_rows:
            self._waiting.append(table)
            self._waits += table.num_rows

    def _flush(self) -> None:
        import pyarrow as pa

        if self._waiting:
            group = pa.concat_tables(self._waiting)
            self._writer.write_table(group, row_group_size=max(group.num_rows, 1))
        self._waiting, self._waits = [], 0

    def close(self) -> None:
        """Write what waits, and what pandas has to know."""
        self._flush()
        if known := _for_pandas(self.schema, self._gaps):
            self._writer.add_key_value_metadata(known)
        self._writer.close()

    def __enter__(self) -> Self:
        """Return the writer itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Close the file; after an error it is left as it is, and is no table."""
        if kind is None:
            self.close()
        else:
            with contextlib.suppress(Exception):
                self._writer.close()


def group_rows(columns: int) -> int:
    """Return how many rows of so many columns one row group has."""
    return min(max(CELLS // max(columns, 1), LEAST_ROWS), ROWS)


def _options(schema: pa.Schema) -> dict[str, Any]:
    """Return how a table is written: cells that repeat as a dictionary, numbers as they are."""
    import pyarrow as pa

    floats = [f.name for f in schema if pa.types.is_floating(f.type)]
    return {
        "compression": "zstd",
        "write_page_checksum": True,
        "write_statistics": False,  # nobody asks for them
        "use_dictionary": [f.name for f in schema if f.name not in floats],
    }


def frame_of(table: pa.Table) -> pd.DataFrame:
    """To pandas; whole numbers and booleans stay what they are beside missing cells."""
    import pandas as pd

    gaps = {name for name in table.column_names if table[name].null_count}
    return pd.DataFrame(_cells(table, gaps), copy=False)


def _cells(table: pa.Table, gaps: set[str]) -> dict[str, Any]:
    import pandas as pd
    import pyarrow as pa

    nullable = {
        pa.int8(): pd.Int8Dtype(), pa.int16(): pd.Int16Dtype(), pa.int32(): pd.Int32Dtype(),
        pa.int64(): pd.Int64Dtype(), pa.uint8(): pd.UInt8Dtype(), pa.uint16(): pd.UInt16Dtype(),
        pa.uint32(): pd.UInt32Dtype(), pa.uint64(): pd.UInt64Dtype(), pa.bool_(): pd.BooleanDtype(),
    }  # fmt: skip
    whole = [name for name in table.column_names if name not in gaps]
    found: dict[str, Any] = {**table.select(whole).to_pandas()}
    found |= table.select(list(gaps)).to_pandas(types_mapper=nullable.get)
    return {name: found[name] for name in table.column_names}


def _for_pandas(schema: pa.Schema, gaps: set[str]) -> dict[bytes, bytes]:
    """Return what lets pandas read the columns with gaps as what they are."""
    import pandas as pd
    import pyarrow as pa

    kinds = (pa.types.is_integer, pa.types.is_boolean)
    whole = [f.name for f in schema if f.name in gaps and any(kind(f.type) for kind in kinds)]
    cells = _cells(schema.empty_table().select(whole), set(whole))
    known = pa.Schema.from_pandas(pd.DataFrame(cells), preserve_index=False).metadata or {}
    return {PANDAS: known[PANDAS]} if whole else {}
