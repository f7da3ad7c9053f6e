"""Parquet as a source: types are kept, checksums are verified, what is no table is refused.

- Pages with a CRC are verified, so a flipped bit is an error where the writer left checksums.
- Whole numbers stay whole beside missing cells (nullable), dictionaries become their values,
  dates become timestamps; lists, structs and bytes are refused with the column's name.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from expectations.failure import Failure, shown
from flows import diagnose, header
from flows.delimited import Piece, unreadable

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from flows.errors import DataRefused


def read_columns(content: bytes, name: str) -> Piece:
    """Return the table of a Parquet file.

    Raises:
        DataRefused: the file is cut off or damaged, a page differs from its checksum, a column
            is nested or binary, or there are no rows.

    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True)
        table = file.read()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        raise _damaged(content[-4:], len(content), name, str(error)) from None
    table, notes = without_index(table)
    return from_arrow(table.replace_schema_metadata(None), name, notes)


def from_arrow(
    table: pa.Table, name: str, notes: tuple[str, ...] = (), *, rows: int | None = None
) -> Piece:
    """Return a typed table with clean names and plain types; refuse what has no cell values.

    `rows` are those of the whole that `table` is the beginning of; left out: its own.
    """
    import pyarrow as pa

    names, renamed, failures = header.clean_names(table.column_names, name)
    columns, fields = [], []
    for column, clean in zip(table.columns, names, strict=True):
        plain = _plain_type(column.type)
        if plain is None:
            failures.append(_nested(clean, str(column.type)))
            continue
        columns.append(column.cast(plain) if plain != column.type else column)
        fields.append(pa.field(clean, plain))
    failures += diagnose.no_rows(table.num_rows if rows is None else rows, name)
    if failures:
        raise unreadable(failures, name)
    return Piece(table=pa.table(columns, schema=pa.schema(fields)), renamed=renamed, notes=notes)


def damaged(path: Path, name: str, reason: str) -> DataRefused:
    """Return the refusal of a Parquet file that cannot be read on."""
    with path.open("rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(max(size - 4, 0))
        return _damaged(stream.read(), size, name, reason)


def _damaged(end: bytes, size: int, name: str, reason: str) -> DataRefused:
    if end != b"PAR1":
        message = f"the Parquet file is cut off: its last bytes are not PAR1 ({size:,} bytes read)"
    elif "crc" in reason.lower() or "checksum" in reason.lower():
        message = f"a page of the Parquet file differs from its checksum: {shown(reason, 200)}"
    else:
        message = f"the Parquet file is damaged: {shown(reason, 200)}"
    failure = Failure(
        rule="file.damaged", column=None, count=1, total=1, message=message,
        advice=f"copy {shown(name)} again, or make it again where it was written",
    )  # fmt: skip
    return unreadable([failure], name)


def without_index(table: pa.Table) -> tuple[pa.Table, tuple[str, ...]]:
    """Drop the unnamed row index that pandas wrote; it is bookkeeping, no column of the data."""
    stored = (table.schema.metadata or {}).get(b"pandas")
    try:
        kept = json.loads(stored)["index_columns"] if stored else []
    except (ValueError, KeyError, TypeError):
        kept = []
    drop = [c for c in kept if isinstance(c, str) and c.startswith("__index_level_")]
    drop = [c for c in drop if c in table.column_names]
    if not drop:
        return table, ()
    return table.drop_columns(drop), (f"pandas' unnamed row index ({', '.join(drop)}) is not read",)


def _plain_type(kind: pa.DataType) -> pa.DataType | None:
    """Return the type in which cells of `kind` are kept; None where they are no single values."""
    import pyarrow as pa

    types = pa.types
    if types.is_dictionary(kind):
        return _plain_type(kind.value_type)
    if types.is_large_string(kind) or types.is_string_view(kind) or types.is_null(kind):
        return pa.string()
    if types.is_date(kind):
        return pa.timestamp("us")
    if types.is_float16(kind):
        return pa.float32()
    fine = (
        types.is_integer, types.is_floating, types.is_boolean, types.is_string,
        types.is_timestamp, types.is_decimal,
    )  # fmt: skip
    return kind if any(test(kind) for test in fine) else None


def _nested(column: str, kind: str) -> Failure:
    return Failure(
        rule=f"{column}.nested",
        column=column,
        count=1,
        total=1,
        message=f"a column must hold one value per cell, {shown(column)} holds {shown(kind)}",
        advice="spread it over columns, turn it into text, or leave it out of the file",
    )
