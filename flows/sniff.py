"""How a text file is written: separator, encoding, quotes, header. Only `init` guesses; a run never does.

- Each decision comes with its reason, for the person who reads the settings.
- A separator is believed when it cuts the first records into one width; the widest wins.
- A first record is a header when none of its cells is a number and they are distinct, and either
  numbers stand below or none of them occurs again in its column.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from expectations.failure import describe, shown
from flows import delimited, diagnose, encodings
from flows.candidates import TOKENS
from flows.data_spec import DataSpec
from flows.errors import DataRefused
from flows.file_kind import GZIP

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flows.parts import Part

QUOTED: Literal[0] = csv.QUOTE_MINIMAL
PLAIN: Literal[3] = csv.QUOTE_NONE
SAMPLE = 1 << 20  # bytes looked at
RECORDS = 200
MOSTLY = 0.9  # share of the first records that must have one width
SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar", " ": "blanks"}
NUMBER = re.compile(r"[+-]?(\d[\d.,']*|\.\d+)([eE][+-]?\d+)?%?")


@dataclass(kw_only=True)
class Writing:
    """How a file is written, as keys of `[data]`, and why."""

    options: dict[str, Any] = field(default_factory=dict)
    """Only what differs from the defaults."""
    why: dict[str, str] = field(default_factory=dict)
    """One sentence per option."""
    header: list[str] | None = None
    """The names of the header; None where there is none."""
    width: int = 0


def sniff(part: Part, *, names: list[str] | None = None, others: Sequence[Part] = ()) -> Writing:
    """Return how a text part is written; `others` are read with the same settings.

    Raises:
        DataRefused: the bytes are no text in any encoding known here, or one column only.

    """
    content = _content(part)
    writing = Writing()
    text = _decoded(content, part.name, writing)
    if content.isascii() and "encoding" not in writing.options:
        _look_at_others(others, writing)
    records = _separated(text, part.name, writing)
    _refuse_lines_above(records, part.name)
    writing.width = len(records[0])
    _look_for_header(records, names, writing)
    _quotes(content, part.name, writing)
    return writing


def _content(part: Part) -> bytes:
    content = part.path.read_bytes() if part.path else b""
    return delimited.unpacked(content, part.name) if content.startswith(GZIP) else content


def _decoded(content: bytes, name: str, writing: Writing) -> str:
    """Return the start of the text; record the encoding where it is not UTF-8."""
    found = encodings.proposal(content)
    if found is None or not found.believed:
        plain = DataSpec(source=name, target="-")
        failures = diagnose.whole(content, plain, name) or diagnose.encoding(content, "utf-8", name)
        if failures:
            raise delimited.unreadable(failures, name)
        return content[:SAMPLE].decode("utf-8", "ignore").lstrip("\ufeff")
    writing.options["encoding"] = found.encoding
    writing.why["encoding"] = f"{found.encoding}: {found.why}"
    return content[: SAMPLE * 2].decode(found.encoding, "ignore").lstrip("\ufeff")


def _look_at_others(others: Sequence[Part], writing: Writing) -> None:
    """Take the encoding from the first part that shows one: plain ASCII fits nearly all of them."""
    for part in others:
        content = _content(part)
        if content.isascii():
            continue
        found = encodings.proposal(content)
        if found and found.believed and not found.encoding.startswith(("utf-16", "utf-32")):
            writing.options["encoding"] = found.encoding
            writing.why["encoding"] = f"{found.encoding}: in {shown(part.name)}, {found.why}"
        return


def _separated(text: str, name: str, writing: Writing) -> list[list[str]]:
    """Return the first records, cut by the separator that fits best."""
    best: tuple[tuple[float, int], str, list[list[str]]] | None = None
    cuts: dict[str, tuple[int, float]] = {}
    for separator in SEPARATORS:
        for quoting in (QUOTED, PLAIN):
            records = _records(text, separator, quoting)
            width, share = _width(records)
            if width < 2:
                continue
            cuts.setdefault(separator, (width, share))
            rank = (round(share, 2), 0 if separator == " " else width)
            if best is None or rank > best[0]:
                best = rank, separator, records
    if best is None or best[0][0] < 0.5:
        failure = diagnose.unknown(name)
        raise DataRefused(
            f"{shown(name)}: no separator ({', '.join(SEPARATORS.values())}) cuts the first records "
            "into columns; is it a table of text?",
            [failure],
        )
    if best[1] != ",":
        writing.options["separator"] = best[1]
        writing.why["separator"] = _cut_evidence(best[1], best[2], cuts)
    return best[2]


def _cut_evidence(
    best: str, records: list[list[str]], cuts: Mapping[str, tuple[int, float]]
) -> str:
    """Say what the separator makes of the first records, and what the next best one would."""
    width, share = _width(records)
    fitting = (
        f"all {len(records):,}" if share == 1 else f"{share:.0%} of the first {len(records):,}"
    )
    said = f"{SEPARATORS[best]}: it cuts {fitting} records looked at into {width} fields"
    others = [s for s in cuts if s not in (best, " ")]
    if not others:
        return f"{said}; no other separator cuts them"
    other = max(others, key=lambda s: cuts[s][1])
    return (
        f"{said}; the {SEPARATORS[other]} cuts {cuts[other][1]:.0%} of them into {cuts[other][0]}"
    )


def _records(text: str, separator: str, quoting: Literal[0, 3]) -> list[list[str]]:
    whole = text if len(text) < SAMPLE // 2 else text[: text.rfind("\n")]
    if separator == " ":
        lines = [line.split() for line in whole.splitlines()[:RECORDS]]
        return [line for line in lines if line]
    csv.field_size_limit(1 << 30)
    reader = csv.reader(io.StringIO(whole, newline=""), delimiter=separator, quoting=quoting)
    found: list[list[str]] = []
    for record in reader:
        if record:
            found.append([cell.strip() for cell in record])
        if len(found) >= RECORDS:
            break
    return found


def _refuse_lines_above(records: list[list[str]], name: str) -> None:
    """Refuse a title above the table, or a header that lacks a name, with what it looks like."""
    usual, share = _width(records)
    above = next((place for place, record in enumerate(records) if len(record) == usual), 0)
    longer = any(len(record) > usual for record in records[:above])
    if not above or longer or share < MOSTLY:
        return
    lines = "; ".join(shown(" ".join(record), 30) for record in records[:above][:3])
    message = (
        f"the table must begin with its header, but {share:.0%} of the first records have {usual} "
        f"fields and the first {above:,} ({lines}) have fewer"
    )
    advice = "remove what stands above the header" + (
        ", or add the name that it lacks" if len(records[0]) == usual - 1 else ""
    )
    failure = diagnose.failure("file.header", name, message, advice)
    raise DataRefused(f"{shown(name)} has no header at its top:\n{describe([failure])}", [failure])


def _width(records: list[list[str]]) -> tuple[int, float]:
    """Return the width of most records, and how many have it."""
    if not records:
        return 0, 0.0
    widths = [len(record) for record in records]
    usual = max(set(widths), key=widths.count)
    return usual, widths.count(usual) / len(widths)


def _look_for_header(records: list[list[str]], names: list[str] | None, writing: Writing) -> None:
    first, rest = records[0], [r for r in records[1:] if len(r) == len(records[0])]
    reason = _no_header(first, rest)
    if names is not None and first != names:
        reason = "names were given"
    if reason is None:
        writing.header = first
        return
    chosen = names or [f"column_{i}" for i in range(1, len(first) + 1)]
    writing.options |= {"header": False, "names": chosen}
    cells = ", ".join(shown(cell, 20) for cell in first[:4])
    writing.why["header"] = f"the first record ({cells}, ...) is data: {reason}"


def _no_header(first: list[str], rest: list[list[str]]) -> str | None:
    """Say why the first record is no header; None where it is one."""
    for place, cell in enumerate(first, start=1):
        if NUMBER.fullmatch(cell):
            return f"column {place} of it is the number {shown(cell, 20)}"
    columns = list(zip(*rest, strict=True)) if rest else []
    twice = [cell for cell in first if first.count(cell) > 1]
    numbers = any(_mostly_numbers(column) for column in columns)
    if twice and (not numbers or not twice[0] or twice[0] in TOKENS):
        return "a cell stands in it twice"
    if numbers:
        return None  # where a name stands in it twice, the reader says which
    again = [cell for cell, column in zip(first, columns, strict=False) if cell and cell in column]
    return f"{shown(again[0], 20)} occurs again below it" if again else None


def _mostly_numbers(column: tuple[str, ...]) -> bool:
    present = [cell for cell in column if cell]
    return bool(present) and sum(map(bool, map(NUMBER.fullmatch, present))) > 0.8 * len(present)


def _quotes(content: bytes, name: str, writing: Writing) -> None:
    """Try quotes as they usually are; where that fails and plain text works, say so."""
    options = {"source": name, "target": "-", **writing.options}
    quoted, plain = _rows(content, options, name, '"'), None
    if b'"' in content and (quoted is None or b'\n"' not in content[:SAMPLE]):
        plain = _rows(content, options, name, "")
    if plain is not None and plain > (quoted or 0):
        writing.options["quote"] = ""
        writing.why["quote"] = (
            "quotes are ordinary characters here: every line is a record without them"
        )


def _rows(content: bytes, options: dict[str, Any], name: str, quote: str) -> int | None:
    """Return the number of records read with this quoting; None where it cannot be read."""
    try:
        data = DataSpec(**options, quote=quote)
        return delimited.read_text(content, data, name).table.num_rows
    except DataRefused:
        return None
