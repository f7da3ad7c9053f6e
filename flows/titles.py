"""Lines above a header (a title, "made on ...", units, comments): recognised, never skipped unasked.

- Believed where a header of filled, distinct names begins below them, with records of its width to
  the end of what is looked at. Either numbers stand below some name, or a few texts that it is none
  of, or no line above has more than half as many fields.
- A line that may be the header itself, with a name too few or too many, is no title; nor is anything
  believed where two lines could be the header.
- `penstock init` proposes `data.skip_lines`; a run only names it where it refuses a table.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from expectations.failure import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from expectations.failure import Failure
    from flows.data_spec import DataSpec

Numbered = tuple[int, list[str]]
"""The line, from 1, at which a record begins, and its cells without the blanks around them."""

NUMBER = re.compile(r"[+-]?(\d[\d.,']*|\.\d+)([eE][+-]?\d+)?%?")
NAME = re.compile(r"#?[^\W\d]")
ABBREVIATED = re.compile(r"(\w\.\s?)+\w?")
RECORDS = 400  # looked at
LEAST = 3  # records below a header, all of its width
ODD = 0.02  # share of the records below a header that may have another width
SHARE = 0.2  # distinct texts by cells of a column that repeats some of them
COMMENT = "#"
TOLD, LONGEST = 3, 40  # lines that are quoted, and characters of one


@dataclass(frozen=True, kw_only=True)
class Title:
    """The lines above a header, as found."""

    lines: int
    """How many, blank ones too; the header is the next one."""
    place: int
    """Of the header among the records."""
    width: int
    """Fields of the header."""
    above: Sequence[Sequence[str]]
    """Records of the lines."""
    below: int
    """Records looked at below the header."""
    odd: int
    """Those of them that have another width."""
    stands_out: bool
    """Whether what stands below some name is of another kind than it."""

    def why(self, unit: str = "line") -> str:
        """Say what was seen, for a person who has the file before him."""
        these = f"the first {self.lines:,} {unit}s ({self.said})"
        these = f"the first {unit} ({self.said})" if self.lines == 1 else these
        counts = [sum(map(bool, cells)) for cells in self.above]
        most = max(counts, default=0)
        blank = self.lines > len(self.above) or min(counts, default=0) < most
        have = "has" if self.lines == 1 else "have"
        fields = f"{'at most ' * blank}{most} field{'s' * (most != 1)}"
        fields += " each" * (self.lines > 1 and not blank)
        fitting = f"{self.below - self.odd:,} of " if self.odd else "all "
        return (
            f"{these} {have} {fields}, {unit} {self.lines + 1:,} and {fitting}{self.below:,} "
            f"records looked at below it have {self.width}"
        )

    @property
    def said(self) -> str:
        """The beginning of each of the first lines."""
        texts = [" ".join(cell for cell in cells if cell) for cells in self.above]
        starts = [text if len(text) <= LONGEST else f"{text[: LONGEST - 4]} ..." for text in texts]
        return "; ".join([shown(text) for text in starts if text][:TOLD]) or "blank"


def numbered(text: str, separator: str, quote: str, most: int = RECORDS) -> list[Numbered]:
    """Return the first records that are no empty lines; `separator = " "`: any run of blanks."""
    csv.field_size_limit(1 << 30)
    found: list[Numbered] = []
    for line, cells in _records(io.StringIO(text, newline=""), separator, quote):
        if cells:
            found.append((line, [cell.strip() for cell in cells]))
        if len(found) >= most:
            break
    return found


def _records(lines: io.StringIO, separator: str, quote: str) -> Iterator[Numbered]:
    if separator == " ":
        yield from ((place, line.split()) for place, line in enumerate(lines, start=1))
        return
    quoting: dict[str, Any] = {"quotechar": quote} if quote else {"quoting": csv.QUOTE_NONE}
    reader = csv.reader(lines, delimiter=separator, **quoting)
    line = 1
    for cells in reader:
        yield line, cells
        line = reader.line_num + 1


def found(records: Sequence[Numbered]) -> Title | None:
    """Return the lines above the header of these records; None where nothing is sure to be one."""
    for width in sorted({len(cells) for _, cells in records} - {0, 1}, reverse=True):
        fitting = (
            place
            for place, (_, cells) in enumerate(records)
            if len(cells) == width and not _is_padded(cells) and not _is_comment(cells)
        )
        place = next(fitting, 0)
        if place and (title := _title(records, place)):
            return title
    return None


def _title(records: Sequence[Numbered], place: int) -> Title | None:
    line, head = records[place]
    above = [cells for _, cells in records[:place]]
    rest = [cells for _, cells in records[place + 1 :]]
    width = len(head)
    body = [cells for cells in rest if len(cells) == width]
    odd = len(rest) - len(body)
    if len(body) < LEAST or odd > ODD * len(rest) or any(len(c) != width for c in rest[:LEAST]):
        return None
    if not may_be_header(head) or no_header(head, body) or _is_row(head, above[-1]):
        return None
    stands_out = _stands_out(head, body)
    if may_be_header(body[0]) and _stands_out(body[0], body[1:]):
        return None  # a header and units, or another line of the title and the header
    if any(_may_be_short(cells, width, sure=stands_out) for cells in above):
        return None
    most = max(sum(map(bool, cells)) for cells in above)
    if not stands_out and most > min(width // 2, width - 2):
        return None
    return Title(
        lines=line - 1, place=place, width=width, above=above, below=len(rest), odd=odd,
        stands_out=stands_out,
    )  # fmt: skip


def _is_padded(cells: Sequence[str]) -> bool:
    """Whether half of the cells are empty: a title that a spreadsheet filled up to the table's width."""
    return 2 * sum(map(bool, cells)) <= len(cells)


def _is_comment(cells: Sequence[str]) -> bool:
    """Whether a record as wide as the table is a comment that cannot be its header ("#id,name")."""
    return cells[0].startswith(COMMENT) and not may_be_header([cells[0][1:], *cells[1:]])


def _may_be_short(cells: Sequence[str], width: int, *, sure: bool) -> bool:
    """Whether a line may be the header, with a name too few or too many."""
    comment = sure and cells[0].startswith(COMMENT)
    end = next((end for end in range(len(cells), 0, -1) if cells[end - 1]), 0)  # "a,b," has two
    return end >= width - 1 and not comment and may_be_header(cells[:end])


def may_be_header(cells: Sequence[str]) -> bool:
    """Whether these are names: distinct, none a number, none empty but perhaps the first."""
    if len(cells) < 2 or not all(cells[1:]) or len({*cells}) < len(cells):
        return False
    return not any(map(NUMBER.fullmatch, cells))


def _is_row(head: Sequence[str], before: Sequence[str]) -> bool:
    """Whether a line may be a row with "n.d." or "<5" in it, below a header that lacks names."""
    comment = before[0].startswith(COMMENT)
    return not comment and may_be_header(before) and not all(map(_is_name, head))


def _is_name(cell: str) -> bool:
    """Whether a cell reads like a name, not like a cell of a row that is no number ("<5", "n.d.")."""
    return not cell or (bool(NAME.match(cell)) and not ABBREVIATED.fullmatch(cell))


def _stands_out(head: Sequence[str], body: Sequence[Sequence[str]]) -> bool:
    """Whether numbers, or few texts again and again, stand below some name: no record has it there."""
    from flows.candidates import TOKENS

    columns = zip(head, zip(*body, strict=True), strict=True)
    named = [(name, cells) for name, cells in columns if name and name not in TOKENS]
    return any(mostly_numbers(cells) or _repeats(name, cells) for name, cells in named)


def _repeats(name: str, column: Sequence[str]) -> bool:
    counts = Counter(column)
    few = len(counts) <= SHARE * len(column) and min(counts.values()) > 1
    return few and name not in counts


def no_header(first: Sequence[str], rest: Sequence[Sequence[str]]) -> str | None:
    """Say why a first record is no header of the others, which are as wide; None where it is one."""
    from flows.candidates import TOKENS

    for place, cell in enumerate(first, start=1):
        if NUMBER.fullmatch(cell):
            return f"column {place} of it is the number {shown(cell, 20)}"
    columns = list(zip(*rest, strict=True)) if rest else []
    twice = [cell for cell in first if list(first).count(cell) > 1]
    numbers = any(mostly_numbers(column) for column in columns)
    if twice and (not numbers or not twice[0] or twice[0] in TOKENS):
        return "a cell stands in it twice"
    if numbers:
        return None  # where a name stands in it twice, the reader says which
    again = [cell for cell, column in zip(first, columns, strict=False) if cell and cell in column]
    return f"{shown(again[0], 20)} occurs again below it" if again else None


def mostly_numbers(column: Sequence[str]) -> bool:
    """Whether most cells that hold something hold a number."""
    present = [cell for cell in column if cell]
    return bool(present) and sum(map(bool, map(NUMBER.fullmatch, present))) > 0.8 * len(present)


def named(title: Title, data: DataSpec, name: str, unit: str = "line") -> Failure:
    """Return the failure of a part that has more lines above its header than the settings say."""
    from flows import diagnose

    lines = data.skip_lines + title.lines
    what = f"{title.lines:,} {unit}s above the header look like a title"
    what = f"a {unit} above the header looks like a title" if title.lines == 1 else what
    message = f"{what} ({title.said}), and {unit} {lines + 1:,} like the header"
    advice = f"set skip_lines = {lines} in [data], which `penstock init` proposes, too"
    return diagnose.failure("file.title", name, message, advice)


def above(text: bytes, data: DataSpec, name: str) -> list[Failure]:
    """Return the failure of a text that begins with a title; [] where none is recognised.

    `text` is the beginning of what is below `data.skip_lines`; what may be cut off is left out.
    """
    if not data.header:
        return []
    start = text[: text.rfind(b"\n") + 1] or text
    records = numbered(start.decode("utf-8", "replace"), data.separator, data.quote)
    title = found(records)
    return [named(title, data, name)] if title else []
