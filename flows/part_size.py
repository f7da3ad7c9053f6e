"""What a part of a source will hold, estimated from its head: rows, columns, bytes.

- Parquet and workbooks say how many rows they have; text and JSON lines by the bytes of the first.
- Columns that `data.only` leaves out count for nothing, where they are not read.
"""

from __future__ import annotations

import gzip
import json
import re
import zipfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flows import text_blocks
from flows.file_kind import is_gzip
from flows.tables import BUFFER

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from flows.data_spec import DataSpec
    from flows.parts import Part

HEAD_ROWS, AT_ONCE = 2_000, 64  # rows, and columns, of a head
HEAD_BYTES = 1 << 20
OFFSET = 8  # bytes that a text cell takes beside its text
PACKED = 6  # times that gzip's text unpacks to, where nobody has unpacked it yet
OBJECT = 100  # bytes of a workbook's cell while it is read
LARGE = {"text": 1 << 28, "jsonl": 1 << 26}
"""Bytes of unpacked text from which a part is never whole in memory; or SHARE of what is allowed."""
SHARE = 1 / 16
DIMENSION = re.compile(rb'<dimension ref="[A-Z]+\d+:([A-Z]+)(\d+)"')


@dataclass(frozen=True, kw_only=True)
class Size:
    """What a part, or a whole source, will hold."""

    rows: int = 0
    columns: int = 0
    bytes: int = 0
    """Of all cells, as plain values in memory."""
    widest: int = 0
    """Of the cells of the widest column."""
    whole: int = 0
    """What is in memory at once while it is read, where that is not by blocks."""

    def __add__(self, other: Size) -> Size:
        """Return both, one below the other."""
        return Size(
            rows=self.rows + other.rows,
            columns=max(self.columns, other.columns),
            bytes=self.bytes + other.bytes,
            widest=self.widest + other.widest,
            whole=max(self.whole, other.whole),
        )


def size_of(part: Part, data: DataSpec) -> Size:
    """Estimate what a part will hold; nothing where nobody can know."""
    if part.path is None or part.kind not in MEASURES:
        return Size()
    return MEASURES[part.kind](part, part.path, data)


def _read(names: Iterable[str], data: DataSpec) -> list[str]:
    """Return those of a part's columns that are read."""
    if not data.only:
        return list(names)
    used = {name for formula in data.formulas for name in formula.uses}
    used |= {data.target, *data.id, *(n for n in (data.group, data.time, data.weight) if n)}
    return [name for name in names if name.strip() in {*data.only, *used}]


def _parquet(_: Part, path: Path, data: DataSpec) -> Size:
    """The rows are in the footer, what one takes is seen in the first ones."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    cells: list[int] = []
    try:
        with pq.ParquetFile(path, pre_buffer=False, buffer_size=BUFFER) as file:
            rows, names = file.metadata.num_rows, _read(file.schema_arrow.names, data)
            for start in range(0, len(names), AT_ONCE):
                some = names[start : start + AT_ONCE]
                head = next(file.iter_batches(batch_size=HEAD_ROWS, columns=some), None)
                if head is not None:
                    each = [_cells(head.column(name)) / head.num_rows for name in some]
                    cells += [int(size * rows) for size in each]
    except (pa.ArrowException, OSError, KeyError):  # pyarrow's word for a name that is there twice
        return Size()  # whoever reads it says what is wrong
    pa.default_memory_pool().release_unused()
    return Size(rows=rows, columns=len(names), bytes=sum(cells), widest=max(cells, default=0))


def _cells(column: Any) -> int:
    """Return the bytes of a column's cells as plain values."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
    text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    return column.nbytes + (OFFSET * len(column) if text else 0)


def _text(part: Part, path: Path, data: DataSpec) -> Size:
    """By the first block: bytes and cells of a record, and the records that so many bytes hold."""
    blocks = text_blocks.Blocks(path, data)
    try:
        head = next(iter(blocks), b"")
    except text_blocks.Doubtful:
        return Size()
    records = max(head.count(b"\n"), 1)
    first = head.partition(b"\n")[0]
    separator = data.separator.encode(data.encoding, "ignore") or b","
    columns = first.count(separator) + 1
    whole = blocks.size * (PACKED if part.gzipped and blocks.bytes_read < blocks.size else 1)
    whole = len(head) if blocks.bytes_read >= blocks.size else whole
    rows = round(whole / len(head) * records) if head else 0
    return _of_text(rows, columns, whole)


def _jsonl(_: Part, path: Path, data: DataSpec) -> Size:
    """The same of lines, whose keys are the columns."""
    del data
    size = path.stat().st_size
    packed = is_gzip(path)
    try:
        with gzip.open(path) if packed else path.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
    except (OSError, EOFError, zlib.error):
        return Size()
    lines = [line for line in head.split(b"\n") if line.strip()]
    if not lines:
        return Size()
    whole = len(head) if len(head) < HEAD_BYTES else size * (PACKED if packed else 1)
    columns, share = _keys(lines[:100])
    return _of_text(round(whole / len(head) * len(lines)), columns, int(whole * share))


def _keys(lines: list[bytes]) -> tuple[int, float]:
    """Return how many keys the lines have, and which share of their bytes the values are."""
    keys: set[str] = set()
    size = 0
    try:
        for line in lines:
            found = json.loads(line.decode("utf-8-sig"))
            keys |= set(found)
            size += sum(len(str(value).encode()) for value in found.values())
    except (ValueError, TypeError, AttributeError):
        return lines[0].count(b":"), 1.0  # whoever reads it says what is wrong
    return len(keys), size / sum(map(len, lines))


def _of_text(rows: int, columns: int, whole: int) -> Size:
    cells = whole + rows * columns * OFFSET
    return Size(rows=rows, columns=columns, bytes=cells, widest=2 * cells // max(columns, 1))


def _excel(_: Part, path: Path, data: DataSpec) -> Size:
    """The largest sheet, by what it says of itself; all of its cells are in memory at once."""
    del data
    found = Size()
    try:
        with zipfile.ZipFile(path) as book:
            for name in book.namelist():
                if name.startswith("xl/worksheets/") and name.endswith(".xml"):
                    with book.open(name) as sheet:
                        said = DIMENSION.search(sheet.read(1 << 16))
                    found = max(found, _of_sheet(said), key=lambda one: one.whole)
    except (zipfile.BadZipFile, OSError, EOFError, zlib.error, NotImplementedError, RuntimeError):
        return Size()
    return found


def _of_sheet(said: re.Match[bytes] | None) -> Size:
    if said is None:
        return Size()
    columns = 0
    for letter in said[1].decode():
        columns = columns * 26 + ord(letter) - 64
    rows = int(said[2])
    cells = rows * columns * OBJECT
    return Size(
        rows=rows, columns=columns, bytes=cells, widest=cells // max(columns, 1), whole=cells
    )


MEASURES = {"parquet": _parquet, "text": _text, "jsonl": _jsonl, "excel": _excel}
"""How the size of each kind of part is estimated."""
