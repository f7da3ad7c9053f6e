"""A source as tables of some thousand rows, one schema for all, in constant memory.

- The sources are those of training: a file, a glob, a folder of parts, "sklearn:...", a function;
  text is read by `flows/text_chunks.py`, Parquet by its row groups.
- Parts must agree on their columns before the first row is read; types are promoted as in training.
- What scikit-learn brings and what a function returns is in memory anyway, and is cut up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from expectations.failure import describe, shown
from flows import columnar, diagnose
from flows.delimited import unreadable
from flows.errors import DataRefused
from flows.parts import Part, find_parts, refuse
from flows.sources import SOURCES
from flows.text_chunks import Text
from flows.union import differences

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa

    from flows.data_spec import DataSpec

ROWS, CELLS = 32_768, 800_000  # of one chunk at most


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
        for name, stream in self.streams:
            for table in stream.tables():
                try:
                    whole = table.select(self.schema.names).cast(self.schema)
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

    parts = find_parts(source, folder=folder, outside=True, key="IN")
    streams: list[tuple[str, Rows]] = [(p.name, _stream(p, data)) for p in parts]
    first, schema = streams[0][0], streams[0][1].schema
    failures = [
        failure
        for name, stream in streams[1:]
        for failure in differences(name, stream.schema.names, first, schema.names)
    ]
    if failures:
        text = f"IN: parts must have one set of columns:\n{describe(failures)}"
        raise DataRefused(text, failures)
    for name, stream in streams[1:]:
        try:
            schema = pa.unify_schemas([schema, stream.schema], promote_options="permissive")
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise _types(name, error) from None
    files = [part.path for part in parts if part.path is not None]
    return Source(schema=schema, streams=streams, files=files)


def _types(name: str, error: Exception) -> DataRefused:
    message = f"IN: {shown(name)} holds a column in another type: {shown(str(error), 300)}"
    return refuse("parts.types", message, "write all parts with the same types")


def _stream(part: Part, data: DataSpec) -> Rows:
    if part.kind == "text":
        return Text(part, data)
    if part.kind == "parquet":
        return _Parquet(part)
    return _Whole(SOURCES[part.kind](part, data).piece.table)


class _Whole:
    """A table that is in memory."""

    def __init__(self, table: pa.Table) -> None:
        self.table, self.schema = table, table.schema
        self.size, self.bytes_read = table.nbytes, 0

    def tables(self) -> Iterator[pa.Table]:
        yield self.table
        self.bytes_read = self.size


class _Parquet:
    """A Parquet file by its row groups; pages with a checksum are verified."""

    def __init__(self, part: Part) -> None:
        if part.path is None:
            raise ValueError(f"{part.name} is no file")
        self.path, self.name = part.path, part.name
        self.size, self.bytes_read = part.path.stat().st_size, 0
        first = next(self._batches(1), None)
        if first is None:
            raise unreadable(diagnose.no_rows(0, self.name), self.name)
        self.schema = first.schema

    def tables(self) -> Iterator[pa.Table]:
        rows = 0
        for table in self._batches(ROWS):
            rows += table.num_rows
            self.bytes_read = int(self.size * rows / self.rows)
            yield table

    def _batches(self, rows: int) -> Iterator[pa.Table]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        # Buffered ahead, all row groups that were read would stay in memory.
        options: Any = {"page_checksum_verification": True, "pre_buffer": False}
        try:
            with pq.ParquetFile(self.path, **options) as file:
                self.rows = max(file.metadata.num_rows, 1)
                for batch in file.iter_batches(batch_size=rows):
                    table, _ = columnar.without_index(pa.Table.from_batches([batch]))
                    if table.num_rows:
                        plain = table.replace_schema_metadata(None)
                        yield columnar.from_arrow(plain, self.name).table
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
            raise columnar.damaged(self.path, self.name, str(error)) from None
