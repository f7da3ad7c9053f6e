"""Every record of a delimited text, slowly: which are too long, too short, or never closed.

- Runs only after fast reading has failed, or where a quote may be open to the end of the file.
- Records of another width than the header may be set aside one by one, where it is no matter of the
  whole file: not where the first one is too long (the header lacks a name), the last is cut off, or
  most are wrong.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from expectations.failure import Example, Failure
from flows import diagnose, titles

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from flows.data_spec import DataSpec

HEAD = 1 << 16  # bytes that tell another separator
SENTINEL = "\x01end of file\x01"


@dataclass(frozen=True, kw_only=True)
class Aside:
    """Records of one part that have not as many fields as its header."""

    width: int
    """Fields of the header."""
    numbers: tuple[int, ...] = ()
    """From 1, ascending."""
    rules: tuple[str, ...] = ()
    """`record.long` or `record.short`, of each."""
    texts: tuple[str, ...] = ()
    """As they stand in the file, without the line end."""
    failures: tuple[Failure, ...] = field(default=(), compare=False)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        failures = [failure.to_json() for failure in self.failures]
        listed = {name: list(getattr(self, name)) for name in ("numbers", "rules", "texts")}
        return {"width": self.width, **listed, "failures": failures}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Aside:
        """Return what `to_json` gave."""
        failures = tuple(Failure.from_json(each) for each in values["failures"])
        listed = {name: tuple(values[name]) for name in ("numbers", "rules", "texts")}
        return cls(width=values["width"], **listed, failures=failures)


def problems(
    text: bytes, raw: list[str], data: DataSpec, name: str, *, offset: int = 0
) -> list[Failure]:
    """Return what is wrong with single records: too long, too short, an open quote.

    `offset` counts the bytes of the file that are not in the text, all of them above it.
    """
    if failures := diagnose.encoding(text, "utf-8", name, lines=data.skip_lines, offset=offset):
        return failures
    lines = io.StringIO(text.decode(), newline="")
    return problems_in(lines, text[:HEAD], raw, data, name)


def settable(text: bytes, raw: list[str], data: DataSpec, name: str) -> Aside | None:
    """Return the records that may be set aside one by one; None where the part is to be refused."""
    widths = _Widths(io.StringIO(text.decode(), newline=""), text[:HEAD], raw, data, name)
    widths.keeping = True
    failures = widths.failures()
    numbers = [number for number, _, _ in widths.bad]
    header = bool(widths.long) and widths.long[0].row == 1
    if header or widths.is_cut_off or not numbers or 2 * len(numbers) > widths.total:
        return None
    return Aside(
        width=len(raw),
        numbers=tuple(numbers),
        rules=tuple(rule for _, rule, _ in widths.bad),
        texts=tuple(text for _, _, text in widths.bad),
        failures=tuple(failures),
    )


def problems_in(
    lines: Iterable[str], head: bytes, raw: list[str], data: DataSpec, name: str
) -> list[Failure]:
    """The same of lines as a file gives them, which need not fit memory; `head` starts the text."""
    return _Widths(lines, head, raw, data, name).failures()


class _Widths:
    """One slow pass over all records with the standard library's reader."""

    def __init__(
        self, lines: Iterable[str], head: bytes, raw: list[str], data: DataSpec, name: str
    ) -> None:
        self.lines, self.head = lines, head
        self.raw, self.data, self.name = raw, data, name
        self.ended = True  # whether the last line has an end
        self.long: list[Example] = []
        self.short: list[Example] = []
        self.counts = {"long": 0, "short": 0}
        self.total = 0
        self.keeping = False
        self.bad: list[tuple[int, str, str]] = []
        """Number, rule and text of each record of another width, where they are kept."""
        self.lines_of_one: list[str] = []
        self.last: list[str] = []
        self.start_line = 1  # of the last record, in the text

    def failures(self) -> list[Failure]:
        from flows.delimited import dialect

        csv.field_size_limit(1 << 30)
        reader = csv.reader(self._with_sentinel(), **dialect(self.data))
        line, width, number = 1, len(self.raw), -1 if self.data.header else 0
        record: list[str] = []
        for record in reader:
            if record == [SENTINEL]:
                break
            if record:
                number += 1
                self._see(record, number, width)
                self.last, self.start_line = record, line
            self.lines_of_one.clear()
            line = reader.line_num + 1
        self.total = max(number, 1)
        if record != [SENTINEL]:
            return [self._open_quote(number)]
        return self._widths(width)

    def _with_sentinel(self) -> Iterator[str]:
        """Yield the lines, and one more that is no record: an open quote would swallow it."""
        for line in self.lines:
            self.ended = line.endswith(("\n", "\r"))
            self.lines_of_one.append(line)
            yield line
        yield SENTINEL

    def _see(self, record: list[str], number: int, width: int) -> None:
        if len(record) == width:
            return
        kind = "long" if len(record) > width else "short"
        self.counts[kind] += 1
        if self.keeping:
            text = "".join(self.lines_of_one).rstrip("\r\n")
            self.bad.append((number, f"record.{kind}", text))
        kept = getattr(self, kind)
        if len(kept) < 5:
            value = f"{len(record)} fields: {self.data.separator.join(record)[:200]}"
            kept.append(Example(row=number, value=value, source=self.name))

    def _open_quote(self, number: int) -> Failure:
        line = self.data.skip_lines + self.start_line
        message = (
            f"a quote opened in record {number:,} (line {line:,}) is never closed, "
            "so the rest of the file is one cell"
        )
        advice = 'close the quote; set quote = "" in [data] if quotes are ordinary characters here'
        value = self.data.separator.join(self.last)[:200]
        return diagnose.failure("file.quote", self.name, message, advice, row=number, value=value)

    @property
    def is_cut_off(self) -> bool:
        """Whether the last record is too short and its line has no end."""
        return len(self.last) < len(self.raw) and not self.ended

    def _widths(self, width: int) -> list[Failure]:
        found = []
        first = bool(self.long) and self.long[0].row == 1
        if first or 2 * sum(self.counts.values()) > self.total:
            found = titles.above(self.head, self.data, self.name)
        if found:
            return found
        if self.counts["long"]:
            message = f"every record must have {width} fields as the header has; these have more"
            message += (
                ", the first data record already: does the header lack a name?" if first else ""
            )
            advice = (
                diagnose.other_separator(self.head, self.data)
                or "quote cells that hold the separator, or correct the records"
            )
            found.append(
                self._failure("record.long", self.counts["long"], message, advice, self.long)
            )
        if self.counts["short"]:
            message = f"every record must have {width} fields as the header has; these have fewer"
            advice = diagnose.other_separator(self.head, self.data) or "correct the records"
            if self.is_cut_off:
                message += (
                    f"; the last record has {len(self.last)} of {width} fields and no line end: "
                    "the file may be cut off"
                )
                whole = "copy the file again, or remove the note below the table"
                advice = whole if self.counts["short"] == 1 else advice
            found.append(
                self._failure("record.short", self.counts["short"], message, advice, self.short)
            )
        return found

    def _failure(
        self, rule: str, count: int, message: str, advice: str, examples: list[Example]
    ) -> Failure:
        return Failure(
            rule=rule,
            column=None,
            count=count,
            total=self.total,
            message=message,
            examples=tuple(examples),
            advice=advice,
        )
