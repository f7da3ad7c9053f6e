r"""The lines above a header that `data.skip_lines` passes over, in every part alike.

- They are lines as an editor counts them: blank ones too, quotes mean nothing, and `\r\n`, `\n` and
  `\r` each end one. In a workbook they are rows.
- A part that ends within them, or whose header stands among them, is refused in words.
"""

from __future__ import annotations

import codecs
import re
from itertools import islice
from typing import TYPE_CHECKING

from expectations.failure import shown
from flows import diagnose, header, titles

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from expectations.failure import Failure
    from flows.data_spec import DataSpec

KEPT = 1 << 16  # bytes of what is passed over that are looked at for a header
ENDS = re.compile(rb"\r\n|\n|\r(?!\Z)")
r"""Line ends; a `\r` that is the last byte so far may be half of one."""
OTHERWISE = "; a table to be scored may be read by settings of its own (`penstock score --spec`)"


class TooFewLines(ValueError):  # noqa: N818 - what is wrong with the text
    """The text ends within the lines that are passed over."""


class Skip:
    """So many lines at the top of a text, passed over in constant memory."""

    def __init__(self, lines: int) -> None:
        """Remember how many."""
        self.lines = lines
        self.above = b""
        """The beginning of what was passed over."""

    def below(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the text below the lines; the first piece is more than the rest of one.

        Raises:
            TooFewLines: the text ends within them.

        """
        self.above = b""
        pieces, left, rest = iter(pieces), self.lines, b""
        while left:
            piece = next(pieces, None)
            rest += piece or b""
            at, ended = _past(rest, left)
            left -= ended
            if left and piece is None:
                raise TooFewLines(f"it ends within its first {self.lines:,} lines")
            if left:
                at = len(rest) - rest.endswith(b"\r")
            self.above += rest[: min(at, KEPT - len(self.above))]
            rest = rest[at:]
        if self.lines:  # lines were put above a file that had a byte-order mark of its own
            yield (rest + next(pieces, b"")).removeprefix(codecs.BOM_UTF8)
        yield from pieces


def _past(text: bytes, lines: int) -> tuple[int, int]:
    """Return where the text goes on behind so many lines, or all that it has, and how many."""
    at = ended = 0
    for ended, found in enumerate(islice(ENDS.finditer(text), lines), start=1):  # noqa: B007
        at = found.end()
    return at, ended


def below(text: bytes, data: DataSpec, name: str) -> tuple[bytes, bytes]:
    """Return what `data.skip_lines` passes over, and the text below it.

    Raises:
        DataRefused: nothing stands below.

    """
    from flows.delimited import unreadable

    if not data.skip_lines:
        return b"", text
    skip = Skip(data.skip_lines)
    try:
        rest = b"".join(skip.below([text]))
    except TooFewLines:
        rest = b""
    if not rest.strip():
        raise unreadable([nothing_below(data, name)], name)
    return skip.above, rest


def nothing_below(data: DataSpec, name: str, unit: str = "line") -> Failure:
    """Return the failure of a part that ends within the lines, or rows, that are passed over."""
    message = (
        f"the table must begin below the first {_counted(data.skip_lines, unit)} "
        "(data.skip_lines), but nothing stands there"
    )
    advice = "set skip_lines in [data] to what stands above the header in every part" + OTHERWISE
    return diagnose.failure("file.skipped", name, message, advice)


def misplaced(
    above: Sequence[titles.Numbered],
    first: Sequence[str],
    data: DataSpec,
    name: str,
    unit: str = "line",
) -> list[Failure]:
    """Return the failure of a part whose header stands among what is passed over; else [].

    It does where a record as wide as the table holds a name of the settings, and the header none.
    """
    if not data.header:
        return _passed_over(above, first, data, name, unit)
    wanted = _named(data)
    if len(first) < 2 or wanted & _clean(first):
        return []
    for line, cells in above:
        if len(cells) == len(first) and wanted & _clean(cells):
            message = (
                f"the header must be {unit} {data.skip_lines + 1:,} (data.skip_lines = "
                f"{data.skip_lines}), but it is {unit} {line:,} ({shown(', '.join(cells))})"
            )
            advice = f"set skip_lines = {line - 1} in [data] if every part is so{OTHERWISE}"
            return [diagnose.failure("file.skipped", name, message, advice)]
    return []


def _passed_over(
    above: Sequence[titles.Numbered], first: Sequence[str], data: DataSpec, name: str, unit: str
) -> list[Failure]:
    """Return the failure of a part without a header of which a row is among what is passed over.

    A row is as wide as the table and holds a number, unless the cells only count the columns.
    """
    for line, cells in above:
        filled = [cell.strip("()[]") for cell in cells if cell]
        counted = [str(place) for place in range(1, len(cells) + 1)]
        numbers = any(map(titles.NUMBER.fullmatch, filled))
        if (
            len(cells) == len(first)
            and 2 * len(filled) > len(cells)
            and numbers
            and filled != counted
        ):
            message = (
                f"the first {_counted(data.skip_lines, unit)} (data.skip_lines) must be no rows of "
                f"the table, but {unit} {line:,} is as wide as it and holds numbers "
                f"({shown(', '.join(cells))})"
            )
            advice = f"set skip_lines = {line - 1} in [data] if every part is so{OTHERWISE}"
            return [diagnose.failure("file.skipped", name, message, advice)]
    return []


def records_of(above: bytes, data: DataSpec) -> list[titles.Numbered]:
    """Return the records of what is passed over, each with the line at which it begins."""
    return titles.numbered(above.decode("utf-8", "replace"), data.separator, data.quote)


def _named(data: DataSpec) -> set[str]:
    """Return the columns of the source that the settings name."""
    roles = (data.target, data.group, data.time, data.weight)
    named = {name for name in roles if name} | {*data.id, *data.drop, *data.keep, *data.only}
    named |= {*data.columns, *(old for column in data.columns.values() for old in column.aliases)}
    return (named | {name for formula in data.formulas for name in formula.uses}) - {*data.derive}


def _clean(names: Sequence[str]) -> set[str]:
    return {*header.clean_names(list(names), "")[0]}


def _counted(lines: int, unit: str) -> str:
    return f"{lines:,} {unit}{'s' * (lines != 1)}"
