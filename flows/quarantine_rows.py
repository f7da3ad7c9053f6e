"""The rows that are set aside, as two tables: what is wrong with them, and the rows themselves.

- `quarantined.parquet`: one line per offence: `row` (position in the raw table), `source`, `record`
  (from 1, within the part), `rule`, `column`, `value`: the cell as it stood in the source.
- `set_aside.parquet`: the rows as they were loaded, every column, with `__row__`: what a later
  contract or reader judges again.
- Records of another width than the header are lines with their whole text, without a row.
- No cap on rows or offences. A value of more than LONGEST characters is shortened in the first
  table, and whole in the second.
- The raw table is streamed, so that it need not fit memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pyarrow as pa

    from expectations.witnesses import Frame
    from flows.quarantine import Offence

LINES, ROWS = "quarantined.parquet", "set_aside.parquet"
LONGEST = 1_000
"""Characters of a cell in the table of offences."""
BATCH = 65_536
COLUMNS = ("row", "source", "record", "rule", "column", "value")


def write(
    folder: Path,
    table: Path,
    typed: Frame,
    found: Sequence[Offence],
    bad: np.ndarray,
    records: pa.Table | None = None,
) -> None:
    """Write both tables of the rows that are `bad` (bool, one per row of the raw `table`).

    `records` of another width are lines without a row (`quarantine_records.py`).
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    options: Any = {"compression": "zstd", "write_page_checksum": True}
    rows = taken(table, np.flatnonzero(bad))
    pq.write_table(rows, folder / ROWS, **options)
    whole = lines(rows, typed, found)
    if records is not None:
        whole = pa.concat_tables([whole, records], promote_options="default").select(COLUMNS)
    pq.write_table(whole, folder / LINES, **options)


def taken(table: Path, rows: np.ndarray) -> pa.Table:
    """Return some rows (positions, ascending) of a Parquet file, with `__row__` before them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pieces: list[pa.RecordBatch] = []
    with pq.ParquetFile(table, page_checksum_verification=True, pre_buffer=False) as file:
        schema, start = file.schema_arrow, 0
        for batch in file.iter_batches(batch_size=BATCH) if len(rows) else ():
            ends = np.searchsorted(rows, [start, start + batch.num_rows])
            if ends[0] < ends[1]:
                places = pa.array(rows[slice(*ends)] - start)
                pieces.append(batch.take(places).replace_schema_metadata(None))
            start += batch.num_rows
    whole = pa.Table.from_batches(pieces, schema=schema.remove_metadata())
    whole = whole.replace_schema_metadata(schema.metadata)  # what pandas knows of its columns
    return whole.add_column(0, "__row__", pa.array(rows, pa.int64()))


def lines(rows: pa.Table, typed: Frame, found: Sequence[Offence]) -> pa.Table:
    """Return one line per critical offence and column, by row.

    Args:
        rows: the rows that are set aside, as `taken` returns them.
        typed: all rows; for columns that the raw table lacks.
        found: all offences.

    """
    import pyarrow as pa

    known = rows["__row__"].to_numpy()
    pieces = [
        _piece(rows, np.searchsorted(known, offence.rows), typed, offence, column)
        for offence in found
        if offence.severity == "critical"
        for column in offence.columns or (None,)
    ]
    if not pieces:
        return _schema(pa).empty_table()
    whole = pa.concat_tables(pieces)
    order = np.argsort(whole["row"].to_numpy(), kind="stable")
    return whole.take(pa.array(order))


def _schema(pa: Any) -> Any:
    kinds = dict.fromkeys(COLUMNS, pa.string()) | {"row": pa.int64(), "record": pa.int64()}
    return pa.schema(list(kinds.items()))


def _piece(
    rows: pa.Table, at: np.ndarray, typed: Frame, offence: Offence, column: str | None
) -> pa.Table:
    import pyarrow as pa

    places, count = pa.array(at), len(at)
    names = rows.column_names
    source = rows["__source__"].take(places) if "__source__" in names else pa.nulls(count)
    record = rows["__record__"].take(places) if "__record__" in names else offence.rows + 1
    columns = [
        offence.rows,
        source,
        record,
        pa.repeat(offence.rule, count),
        pa.nulls(count) if column is None else pa.repeat(column, count),
        _cells(rows, places, typed, offence.rows, column),
    ]
    schema = _schema(pa)
    made = [
        (c if isinstance(c, pa.Array | pa.ChunkedArray) else pa.array(c)).cast(field.type)
        for c, field in zip(columns, schema, strict=True)
    ]
    return pa.Table.from_arrays(made, schema=schema)


def _cells(
    rows: pa.Table, places: pa.Array, typed: Frame, where: np.ndarray, column: str | None
) -> Any:
    """Return cells as text, null where they are missing; long ones shortened."""
    import pyarrow as pa

    if column is None:
        return pa.nulls(len(where), pa.string())
    if column in rows.column_names:
        found = rows[column].take(places)
    elif column in typed:  # made by the reader, so that the source has no cell of it
        found = pa.array(typed[column].iloc[where], from_pandas=True)
    else:
        return pa.nulls(len(where), pa.string())
    return shortened(found.cast(pa.string()))


def shortened(texts: Any) -> Any:
    """Return texts of at most LONGEST characters, with the length of what was longer."""
    import pyarrow as pa
    import pyarrow.compute as pc

    measure: Any = pc  # its functions are made when it is imported; checkers do not see them
    sizes = measure.utf8_length(texts)
    if not len(texts) or (measure.max(sizes).as_py() or 0) <= LONGEST:
        return texts
    said = [
        text if text is None or len(text) <= LONGEST else _cut(text) for text in texts.to_pylist()
    ]
    return pa.array(said, pa.string())


def _cut(text: str) -> str:
    tail = f"... ({len(text):,} characters)"
    return text[: LONGEST - len(tail)] + tail
