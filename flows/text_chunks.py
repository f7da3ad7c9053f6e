"""A text file as tables of some rows each, in constant memory, read as strictly as a whole one.

- Arrow's streaming reader does the work. Whatever it, or the bytes, leave in doubt is read again,
  slowly, to say what is wrong and where: as a whole where that fits memory, else line by line.
- An open quote is only seen at the end of the file: what came before must not be used before that.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from flows import diagnose, records
from flows.delimited import (
    LARGEST_BLOCK,
    first_record,
    long_cells,
    names_at_top,
    read_text,
    stripped,
    unpacked,
    unreadable,
)
from flows.skipped import nothing_below
from flows.text_blocks import Blocks, Doubtful, Stream

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from flows.data_spec import DataSpec
    from flows.parts import Part

BLOCK = 1 << 20  # bytes that Arrow parses at once; it reads some thirty ahead
WHOLE = 1 << 28  # bytes of a file that is read again as a whole
GZIP_RATIO = 10  # about how much text packs


class Text:
    """One text file: its clean column names, then its rows."""

    def __init__(self, part: Part, data: DataSpec, *, block: int = BLOCK) -> None:
        """Read the first record; `block` is about how many bytes are handled at once.

        Raises:
            DataRefused: the file is empty, is not text, or its first record gives no names.

        """
        if part.path is None:
            raise ValueError(f"{part.name} is no file")
        self.part, self.block = part, block
        self.blocks = Blocks(part.path, data, piece=block)
        try:
            head = next(iter(self.blocks), b"")
        except Doubtful as reason:
            self._look_closely(data, str(reason))
            raise
        if data.skip_lines and not head.strip():
            raise unreadable([nothing_below(data, part.name)], part.name)
        if failures := diagnose.whole(head, data, part.name):
            raise unreadable(failures, part.name)
        first = first_record(head, data)
        if not data.header and data.names and len(first) == len(data.names) - 1:
            names = tuple(name for name in data.names if name != data.target)
            data = data.model_copy(update={"names": names})  # rows to be scored lack the target
        above = self.blocks.skip.above
        self.data = data
        self.raw, self.names, self.renamed = names_at_top(head, data, part.name, above)

    @property
    def schema(self) -> pa.Schema:
        """Columns by clean name, all of text."""
        import pyarrow as pa

        return pa.schema([(name, pa.string()) for name in self.names])

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self.blocks.size

    @property
    def bytes_read(self) -> int:
        """Bytes of the file that were read so far."""
        return self.blocks.bytes_read

    def tables(self) -> Iterator[pa.Table]:
        """Yield the rows in order, all cells text without the blanks around it.

        Raises:
            DataRefused: a record is too long, too short or never closed, a cell is beyond all
                reason, or the bytes are not text in the declared encoding; at the end, too.

        """
        import pyarrow as pa

        rows, block = 0, self.block
        while True:
            try:
                for table in self._parsed(block, skip=rows):
                    rows += table.num_rows
                    yield table
                break
            except pa.ArrowInvalid as error:
                if "straddl" in str(error) and block < LARGEST_BLOCK:
                    block *= 4
                    continue
                self._look_closely(self.data, str(error))
                raise unreadable([diagnose.unknown(self.part.name)], self.part.name) from error
            except Doubtful as reason:
                self._look_closely(self.data, str(reason))
                raise
        if self.blocks.quotes % 2:
            self._look_closely(self.data, "a quote that may be open")
        if failures := diagnose.no_rows(rows, self.part.name):
            raise unreadable(failures, self.part.name)

    def _parsed(self, block: int, *, skip: int) -> Iterator[pa.Table]:
        """Yield the tables after the first `skip` rows, as Arrow cuts them."""
        import pyarrow as pa
        from pyarrow import csv

        types = {f"f{i}": pa.string() for i in range(len(self.raw))}
        reader = csv.open_csv(
            pa.PythonFile(Stream(self.blocks), mode="r"),
            read_options=csv.ReadOptions(autogenerate_column_names=True, block_size=block),
            parse_options=csv.ParseOptions(
                delimiter=self.data.separator,
                quote_char=self.data.quote or False,
                newlines_in_values=bool(self.data.quote),
            ),
            convert_options=csv.ConvertOptions(column_types=types),
        )
        if len(reader.schema) != len(self.raw):
            raise pa.ArrowInvalid("the records are not as wide as the header")
        skip += bool(self.data.header)
        for batch in reader:
            table = pa.Table.from_batches([batch]).rename_columns(self.names)
            table, skip = table.slice(skip), max(skip - table.num_rows, 0)
            if table.num_rows:
                yield self._clean(table)

    def _clean(self, table: pa.Table) -> pa.Table:
        table = stripped(table)
        if failures := long_cells(table, self.part.name):
            self._look_closely(self.data, "a long cell")  # which knows the record's number
            raise unreadable(failures, self.part.name)
        return table

    def _look_closely(self, data: DataSpec, reason: str) -> None:
        """Raise what is wrong with the file; return where nothing is."""
        path, name = self.blocks.path, self.part.name
        packed = self.part.gzipped
        if self.blocks.size * (GZIP_RATIO if packed else 1) <= WHOLE:
            content = path.read_bytes()
            read_text(unpacked(content, name) if packed else content, data, name)
            return
        lines = io.TextIOWrapper(
            io.BufferedReader(Stream(self.blocks), BLOCK), encoding="utf-8", newline=""
        )
        try:
            head = next(iter(self.blocks), b"")
            failures = records.problems_in(lines, head, self.raw, data, name)
        except (Doubtful, UnicodeError) as error:
            message = f"the text is odd after {self.bytes_read:,} bytes: {error or reason}"
            failures = [diagnose.failure("file.text", name, message, "make the file again")]
        if failures:
            raise unreadable(failures, name)
