"""A source as tables of some thousand rows, one schema for all, in constant memory.

- The sources are those of training, addresses and databases too: what lies elsewhere is a file of
  the home first. Text is read by `flows/text_chunks.py`, JSON lines line by line, Parquet by its
  row groups.
- Parts must agree on their columns before the first row is read, by the aliases that training had;
  types are promoted as in training.
- What scikit-learn brings, what a function returns, a workbook and a feed are in memory anyway, and
  are cut up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from expectations.failure import shown
from flows import aliases, columnar
from flows.fetch import forget
from flows.parts import Part, find_parts, refuse
from flows.source_jsonl import JsonLines
from flows.sources import SOURCES
from flows.tables import BUFFER
from flows.text_chunks import Text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    import pyarrow as pa

    from flows.data_spec import DataSpec
    from flows.delimited import Piece
    from flows.errors import DataRefused

ROWS, CELLS = 32_768, 800_000  # of one chunk at most
WIDE, LEAST = 2_500_000, 1_024  # cells, and rows, of a Parquet file that are decoded at once


class Rows(Protocol):
    """The rows of one part."""

    @property
    def size(self) -> int:
        """Bytes of the part."""
        ...

    @property
    def bytes_read(self) -> int:
        """Bytes of it that were read so far."""
        ...

    @property
    def schema(self) -> pa.Schema:
        """Columns by clean name."""
        ...

    def tables(self) -> Iterator[pa.Table]:
        """Yield the rows in order."""
        ...


@dataclass(kw_only=True)
class Source:
    """A source that was found and whose parts agree; `tables` reads it."""

    schema: pa.Schema
    streams: list[tuple[str, Rows]]
    agreed: aliases.Agreed
    files: list[Path]
    """What is read."""

    @property
    def share(self) -> float:
        """How much of the source was read so far, by bytes."""
        size = sum(stream.size for _, stream in self.streams)
        return sum(stream.bytes_read for _, stream in self.streams) / max(size, 1)

    def tables(self) -> Iterator[pa.Table]:
        """Yield all rows in order, in tables of at most ROWS rows.

        Raises:
            DataRefused: something is wrong with a part; it may have been the last thing in it.

        """
        import pyarrow as pa

        rows = max(min(ROWS, CELLS // max(len(self.schema), 1)), 64)
        for place, (name, stream) in enumerate(self.streams):
            for table in stream.tables():
                try:
                    whole = self.agreed.table(place, table).cast(self.schema)
                except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                    raise _types(name, error) from None
                for start in range(0, whole.num_rows, rows):
                    yield whole.slice(start, rows)


def open_source(source: str, data: DataSpec, folder: Path) -> Source:
    """Return a source whose rows can be read, after a look at the head of every part.

    Raises:
        DataRefused: nothing is there, a part is no table, or parts differ in their columns.

    """
    import pyarrow as pa

    forget()
    parts = find_parts(source, folder=folder, outside=True, key="IN", data=data)
    streams: list[tuple[str, Rows]] = [(p.name, stream_of(p, data)) for p in parts]
    named = [(name, stream.schema.names) for name, stream in streams]
    newest = len(parts) - 1 if parts[-1].date else 0
    agreed = aliases.agree(named, data, key="IN", newest=newest)
    schema = pa.schema([])
    for place, (name, stream) in enumerate(streams):
        renames = agreed.renames[place]
        fields = [field.with_name(renames.get(field.name, field.name)) for field in stream.schema]
        try:
            schema = pa.unify_schemas([schema, pa.schema(fields)], promote_options="permissive")
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise _types(name, error) from None
    schema = pa.schema([schema.field(name) for name in agreed.names])
    files = [part.path for part in parts if part.path is not None]
    return Source(schema=schema, streams=streams, agreed=agreed, files=files)


def _types(name: str, error: Exception) -> DataRefused:
    message = f"IN: {shown(name)} holds a column in another type: {shown(str(error), 300)}"
    return refuse("parts.types", message, "write all parts with the same types")


def stream_of(part: Part, data: DataSpec) -> Rows:
    """Return the rows of one part, after a look at its head."""
    if part.kind == "text":
        return Text(part, data)
    if part.kind == "parquet":
        return ParquetRows(part)
    if part.kind == "jsonl" and part.path is not None:
        return JsonLines(part.path, part.name)
    return _Whole(SOURCES[part.kind](part, data).piece.table)


class _Whole:
    """A table that is in memory."""

    def __init__(self, table: pa.Table) -> None:
        self.table, self.schema = table, table.schema
        self.size, self.bytes_read = table.nbytes, 0

    def tables(self) -> Iterator[pa.Table]:
        yield self.table
        self.bytes_read = self.size


class ParquetRows:
    """A Parquet file by its row groups; pages with a checksum are verified."""

    def __init__(self, part: Part) -> None:
        """Look at the footer.

        Raises:
            DataRefused: the file is cut off or damaged, holds no rows, or a column is no column.

        """
        if part.path is None:
            raise ValueError(f"{part.name} is no file")
        self.path, self.name = part.path, part.name
        self.size, self.bytes_read = part.path.stat().st_size, 0
        self.wanted: list[str] | None = None
        """Names in the file of the columns that are read; None: all."""
        self.rows = 0
        first = self._head()
        self.schema, self.renamed, self.notes = first.table.schema, first.renamed, first.notes

    def narrow(self, names: Collection[str]) -> None:
        """Read these columns, by clean name, and no others."""
        raw = {clean: old for old, clean in self.renamed.items()}
        kept = [str(name) for name in self.schema.names if name in names]
        self.wanted = [raw.get(name, name) for name in kept]

    def tables(self) -> Iterator[pa.Table]:
        """Yield the rows in order."""
        rows = 0
        for piece in self._pieces(max(min(ROWS, WIDE // len(self.schema)), LEAST)):
            rows += piece.table.num_rows
            self.bytes_read = int(self.size * rows / max(self.rows, rows))
            yield piece.table

    def _head(self) -> Piece:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            with pq.ParquetFile(self.path, pre_buffer=False) as file:
                self.rows, schema = file.metadata.num_rows, file.schema_arrow
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
            raise columnar.damaged(self.path, self.name, str(error)) from None
        table, notes = columnar.without_index(schema.empty_table())
        table = table.replace_schema_metadata(None)
        return columnar.from_arrow(table, self.name, notes, rows=self.rows)

    def _pieces(self, rows: int) -> Iterator[Piece]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        # Buffered ahead, all row groups that were read would stay in memory; and a row group may be
        # as large as the table.
        options: Any = {"page_checksum_verification": True, "pre_buffer": False}
        options["buffer_size"] = BUFFER
        try:
            with pq.ParquetFile(self.path, **options) as file:
                for batch in file.iter_batches(batch_size=rows, columns=self.wanted):
                    table = pa.Table.from_batches([batch])
                    if self.wanted is not None:
                        table = table.select(self.wanted)  # "a" would bring "a.b" along
                    table = table.replace_schema_metadata(file.schema_arrow.metadata)
                    table, notes = columnar.without_index(table)
                    named = [self.renamed.get(name, name) for name in table.column_names]
                    table = table.rename_columns(named)
                    if table.num_rows:
                        plain = table.replace_schema_metadata(None)
                        yield columnar.from_arrow(plain, self.name, notes)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
            raise columnar.damaged(self.path, self.name, str(error)) from None
