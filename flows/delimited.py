"""Strict reading of delimited text: every cell a string, every record as wide as the header.

- Arrow's parser does the work on the good path (1,000,000 x 20 in seconds) and itself refuses a
  record that is too long or too short; only then does `flows/records.py` read slowly to say where.
- Nothing is inferred and nothing is missing here: a cell is its text without the blanks around it.
- Empty lines are no records. Record numbers count from 1 after the header; a line break inside
  quotes does not start a new record.
- `separator = " "` stands for any run of blanks and tabs, as in files aligned by columns.
"""

from __future__ import annotations

import csv
import io
import re
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flows import diagnose, header, records, skipped, titles
from flows.errors import DataRefused

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from expectations.failure import Failure
    from flows.data_spec import DataSpec

BLOCK = 1 << 24  # bytes that Arrow parses at once; a record must fit
LARGEST_BLOCK = 1 << 28
HEAD = 1 << 18  # bytes in which a title above the header is looked for
LONGEST_CELL = 1_000_000  # bytes of one cell
BOMB_BYTES = 1 << 30
BOMB_RATIO = 200
BOMS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


@dataclass(frozen=True, kw_only=True)
class Piece:
    """One part as read."""

    table: pa.Table
    """Columns by clean name."""
    renamed: dict[str, str] = field(default_factory=dict)
    """Names of the source that were put right."""
    notes: tuple[str, ...] = ()
    """What a person should know about the reading."""
    aside: records.Aside | None = None
    """Records of another width, which are not in the table."""

    def numbers(self) -> np.ndarray | None:
        """Return the record numbers of the rows, from 1; None where no record is set aside."""
        import numpy as np

        if self.aside is None:
            return None
        total = self.table.num_rows + len(self.aside.numbers)
        return np.setdiff1d(np.arange(1, total + 1), self.aside.numbers)


def read_text(content: bytes, data: DataSpec, name: str, *, lenient: bool = False) -> Piece:
    """Return the table in `content` (already unpacked), all columns text.

    Args:
        content: of the part.
        data: how it is read.
        name: the part's.
        lenient: records of another width are left out (`Piece.aside`) where they are the exception.

    Raises:
        DataRefused: anything about the text is wrong; every problem at once, up to a cap.

    """
    failures = diagnose.whole(content, data, name)
    if failures := failures or diagnose.declared(content, data.encoding, name):
        raise unreadable(failures, name)
    above, text = skipped.below(to_utf8(content, data, name), data, name)
    offset = len(content) - len(text)
    if data.separator == " ":
        text = squeezed(text)
    raw, names, renamed = names_at_top(text, data, name, above)
    table = _parse(text, len(raw), data)
    if _doubtful(table, text, data):
        failures = records.problems(text, raw, data, name, offset=offset)
    single = {failure.rule for failure in failures} <= {"record.long", "record.short"}
    aside = None
    if failures and single and lenient:
        aside = records.settable(text, raw, data, name)
    if aside is not None:
        table = _without(text, data, aside)
        failures = failures if table is None else []
    if failures or table is None:
        raise unreadable(failures or [diagnose.unknown(name)], name)
    table = table.slice(1) if data.header else table
    table = stripped(table.rename_columns(names))
    if failures := [*diagnose.no_rows(table.num_rows, name), *long_cells(table, name)]:
        raise unreadable(failures, name)
    notes = diagnose.odd_reading(content, data)
    return Piece(table=table, renamed=renamed, notes=notes, aside=aside)


def unreadable(failures: list[Failure], name: str) -> DataRefused:
    """Return one refusal for everything that is wrong with a part."""
    from expectations.failure import describe, shown

    return DataRefused(f"{shown(name, 300)} cannot be read:\n{describe(failures)}", failures)


def to_utf8(content: bytes, data: DataSpec, name: str) -> bytes:
    """Return the text as UTF-8 bytes without a byte-order mark.

    Raises:
        DataRefused: the bytes are not text in the declared encoding.

    """
    import codecs

    declared = codecs.lookup(data.encoding).name
    if declared in ("utf-8", "utf-8-sig", "ascii"):
        if declared == "ascii" and not content.isascii():
            raise unreadable(diagnose.encoding(content, data.encoding, name), name)
        return content.removeprefix(b"\xef\xbb\xbf")
    try:
        return content.decode(data.encoding).removeprefix("\ufeff").encode()
    except UnicodeError:
        raise unreadable(diagnose.encoding(content, data.encoding, name), name) from None


def squeezed(text: bytes) -> bytes:
    """Return the text with each run of blanks as one, none at the ends of lines."""
    text = re.sub(rb"[ \t]+", b" ", text)
    return re.sub(rb"(?m)^ | (?=\r?$)", b"", text)


def first_record(text: bytes, data: DataSpec) -> list[str]:
    """Return the cells of the first record that is no empty line; [] where there is none."""
    start = text[: 1 << 20].decode("utf-8", "replace").lstrip("\r\n")
    csv.field_size_limit(1 << 30)
    return next(csv.reader(io.StringIO(start, newline=""), **dialect(data)), [])


def names_at_top(
    text: bytes, data: DataSpec, name: str, above: bytes
) -> tuple[list[str], list[str], dict[str, str]]:
    """Return the column names as they stand in a text, as they are put right, and which were.

    Args:
        text: from the header on, or its beginning.
        data: how it is read.
        name: the part's.
        above: what is passed over above it.

    Raises:
        DataRefused: they are no names, or the header is elsewhere.

    """
    first = first_record(text, data)
    raw = first if data.header else list(data.names or ())
    names, renamed, failures = header.clean_names(raw, name)
    failures += diagnose.shape(text, first, raw, data, name)
    if failures:
        failures = titles.above(text[:HEAD], data, name) or failures
    if data.skip_lines:
        failures = skipped.misplaced(skipped.records_of(above, data), raw, data, name) or failures
    if failures:
        raise unreadable(failures, name)
    return raw, names, renamed


def dialect(data: DataSpec) -> dict[str, Any]:
    """Return the options of the standard library's reader for these settings."""
    if not data.quote:
        return {"delimiter": data.separator, "quoting": csv.QUOTE_NONE}
    return {"delimiter": data.separator, "quotechar": data.quote}


def _without(text: bytes, data: DataSpec, aside: records.Aside) -> pa.Table | None:
    """Return the other records; None where the two readers do not agree which these are."""
    skipped: list[str] = []

    def skip(row: Any) -> str:
        skipped.append(row.text)
        return "skip"

    table = _parse(text, aside.width, data, LARGEST_BLOCK, skip)  # once: no record is asked twice
    return table if len(skipped) == len(aside.numbers) else None


def _parse(
    text: bytes, width: int, data: DataSpec, block: int = BLOCK, bad: Any = None
) -> pa.Table | None:
    """Return all records, the header among them; None where one is not as wide as the first.

    `bad` is asked about each record of another width, where it is given.
    """
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    types = {f"f{i}": pa.string() for i in range(width)}
    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(text),
            read_options=arrow_csv.ReadOptions(autogenerate_column_names=True, block_size=block),
            parse_options=arrow_csv.ParseOptions(
                delimiter=data.separator,
                quote_char=data.quote or False,
                newlines_in_values=bool(data.quote) and data.quote.encode() in text,
                invalid_row_handler=bad,
            ),
            convert_options=arrow_csv.ConvertOptions(column_types=types),
        )
    except pa.ArrowInvalid as error:
        if "straddl" in str(error) and block < LARGEST_BLOCK:
            return _parse(text, width, data, block * 4, bad)
        return None
    return table if table.num_columns == width else None


def _doubtful(table: pa.Table | None, text: bytes, data: DataSpec) -> bool:
    """Whether to look closely: Arrow gave up, or a quote may be open to the end of the file."""
    odd = bool(data.quote) and text.count(data.quote.encode()) % 2 == 1
    return table is None or odd


def stripped(table: pa.Table) -> pa.Table:
    """Return text columns without the blanks around cells."""
    import pyarrow as pa
    import pyarrow.compute as pc

    strip: Any = getattr(pc, "utf8_trim_whitespace")  # noqa: B009 - made on import, unseen by checkers
    columns = [strip(column) for column in table.columns]
    return pa.table(columns, names=table.column_names)


def long_cells(table: pa.Table, name: str) -> list[Failure]:
    """Return a failure for each column that holds a cell beyond all reason."""
    import pyarrow.compute as pc

    measure: Any = pc  # its functions are made when it is imported; checkers do not see them
    failures = []
    for column in table.column_names:
        sizes = measure.binary_length(table[column])
        longest = measure.max(sizes).as_py() or 0
        if longest > LONGEST_CELL:
            at = measure.index(sizes, longest).as_py()
            failures.append(diagnose.long_cell(column, at + 1, longest, LONGEST_CELL, table, name))
    return failures


def unpacked(packed: bytes, name: str) -> bytes:
    """Return the content of gzip data, several members too.

    Raises:
        DataRefused: the data ends early, is damaged, or unpacks to an absurd size.

    """
    pieces: list[bytes] = []
    size, rest = 0, packed
    while rest.strip(b"\0"):
        worker = zlib.decompressobj(wbits=31)
        while not worker.eof:
            try:
                piece = worker.decompress(rest, 1 << 24)
            except zlib.error as error:
                raise unreadable([diagnose.damaged_gzip(name, size, str(error))], name) from None
            if not piece and not worker.eof and not worker.unconsumed_tail:
                raise unreadable([diagnose.early_gzip(name, size, len(packed))], name)
            pieces.append(piece)
            size += len(piece)
            rest = worker.unconsumed_tail
            if size > BOMB_BYTES and size > BOMB_RATIO * len(packed):
                raise unreadable([diagnose.bomb(name, size, len(packed))], name)
        rest = worker.unused_data
    return b"".join(pieces)
