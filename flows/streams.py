"""One part of a source as rows that go by, with its digest and what a person should know of it.

- Parquet goes by row groups; text and JSON lines block by block where they are large. Other parts,
  and text of ordinary size, are in memory anyway, and are read as `flows/sources.py` has it.
- A file is hashed before it is read, and refused where it is another one after.
- Many parts are not all kept: past HELD bytes they are let go and read again when their turn comes,
  from what was kept of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from flows.chunks import ParquetRows, Rows, stream_of
from flows.errors import DataRefused
from flows.file_kind import is_gzip
from flows.memory import allowed, free
from flows.part_size import LARGE, PACKED, SHARE
from flows.parts import Part, refuse
from flows.sources import digest_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    import pyarrow as pa

    from flows.data_spec import DataSpec
    from flows.part_cache import Parts
    from flows.records import Aside

HELD = 1 << 29
COPIES = 4  # of a text that is read as a whole
WIDTHS = frozenset(("record.short", "record.long"))
"""Rules of records that may be set aside one by one."""


@dataclass(kw_only=True)
class Stream:
    """The rows of one part: its schema now, its cells when `tables` is iterated."""

    part: Part
    rows: Rows
    digest: str
    """SHA-256 of the file's bytes, or of what stands for it."""
    size: int | None
    """Bytes of the file."""
    renamed: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    state: tuple[int, int, int] | None = None
    """Of the file when it was hashed; None: what was parsed is what was hashed."""
    read: int = 0
    """Rows that have gone by."""

    @property
    def held(self) -> int:
        """Bytes that it holds in memory."""
        return self.rows.held if isinstance(self.rows, _Whole) else 0

    @property
    def aside(self) -> Aside | None:
        """Records of another width, which are not among the rows."""
        return self.rows.aside if isinstance(self.rows, _Whole) else None

    def let_go(self) -> None:
        """Hold nothing; it is read again when its turn comes."""
        if isinstance(self.rows, _Whole):
            self.rows.let_go()

    def empty(self, name: str) -> bool:
        """Whether a column has missing cells only."""
        return all(
            table[name].null_count == table.num_rows
            for table in self._narrowed([name])
            if table.num_rows
        )

    def tables(self, names: Collection[str] | None = None) -> Iterator[tuple[pa.Table, Any]]:
        """Yield the rows in order, of these columns or of all, with their record numbers (n,).

        Raises:
            DataRefused: something is wrong with the part; it may have been the last thing in it.

        """
        self.read = 0
        numbers = self.rows.numbers if isinstance(self.rows, _Whole) else None
        for table in self._narrowed(names):
            start, self.read = self.read, self.read + table.num_rows
            if numbers is None:
                yield table, np.arange(start + 1, self.read + 1)
            else:
                yield table, numbers[start : self.read]
        if self.state is not None and self.part.path and self.state != _state(self.part.path):
            message = f"{self.part.name} changed while it was read"
            raise refuse("source.changed", message, "run again when the writer is done")

    def _narrowed(self, names: Collection[str] | None) -> Iterator[pa.Table]:
        if isinstance(self.rows, ParquetRows):
            self.rows.narrow(self.rows.schema.names if names is None else names)
            yield from self.rows.tables()
            return
        for table in self.rows.tables():
            kept = [name for name in table.column_names if names is None or name in names]
            yield table.select(kept)


class _Whole:
    """A part that is read as a whole, and can be read again."""

    def __init__(self, part: Part, reader: Parts) -> None:
        read = reader.read(part)
        self.part, self.reader = part, reader
        self.digest, self.read_size = read.digest, read.size
        self.renamed, self.notes = read.piece.renamed, read.piece.notes
        self.numbers, self.aside = read.piece.numbers(), read.piece.aside
        self.table: pa.Table | None = read.piece.table
        self.schema = read.piece.table.schema
        self.size, self.bytes_read = read.piece.table.nbytes, 0

    @property
    def held(self) -> int:
        return self.size if self.table is not None else 0

    def let_go(self) -> None:
        self.table = None

    def tables(self) -> Iterator[pa.Table]:
        self.bytes_read = self.size
        if self.table is not None:
            yield self.table
            return
        again = self.reader.read(self.part)
        if again.digest != self.digest:
            message = f"{self.part.name} changed while it was read"
            raise refuse("source.changed", message, "run again when the writer is done")
        yield again.piece.table


def open_stream(part: Part, data: DataSpec, reader: Parts, *, whole: bool = False) -> Stream:
    """Return the rows of one part, after a look at its head, or at all of it (with `whole`, always).

    Raises:
        DataRefused: it cannot be read, as far as that is seen by now.

    """
    if not whole and (part.kind == "parquet" or _is_large(part)):
        return _streamed(part, data)
    rows = _Whole(part, reader)
    return Stream(
        part=part, rows=rows, digest=rows.digest, size=rows.read_size, renamed=rows.renamed,
        notes=rows.notes,
    )  # fmt: skip


def opened_again(part: Part, why: DataRefused, data: DataSpec, reader: Parts) -> Stream | None:
    """Return a large text of which single records may be set aside, read as a whole.

    None where something else is wrong with it, or where it is too large to be in memory.
    """
    if part.kind != "text" or not WIDTHS.intersection(f.rule for f in why.failures):
        return None
    if _text_size(part) * COPIES > free():
        return None
    try:
        return open_stream(part, data, reader, whole=True)
    except DataRefused:
        return None


def _is_large(part: Part) -> bool:
    return part.kind in LARGE and _text_size(part) > min(LARGE[part.kind], allowed() * SHARE)


def _text_size(part: Part) -> int:
    """Return about how many bytes of text a part holds."""
    if part.path is None:
        return 0
    return part.path.stat().st_size * (PACKED if is_gzip(part.path) else 1)


def _streamed(part: Part, data: DataSpec) -> Stream:
    if part.path is None:
        raise ValueError(f"{part.name} is no file")
    state = _state(part.path)
    digest = digest_of(part)
    rows: Any = stream_of(part, data)
    return Stream(
        part=part, rows=rows, digest=digest, size=state[0], renamed=rows.renamed,
        notes=getattr(rows, "notes", ()), state=state,
    )  # fmt: skip


def _state(path: Path) -> tuple[int, int, int]:
    facts = path.stat()
    return facts.st_size, facts.st_mtime_ns, facts.st_ino
