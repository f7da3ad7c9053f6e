"""How a text file is written: separator, encoding, quotes, header, what stands above it. Only `init` guesses.

- Each decision comes with its reason, for the person who reads the settings.
- The separator is chosen by `flows/separators.py`, lines above a header by `flows/titles.py`.
- A first record is a header when none of its cells is a number and they are distinct, and either
  numbers stand below or none of them occurs again in its column.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from expectations.failure import describe, shown
from flows import delimited, diagnose, encodings, separators, titles
from flows.data_spec import DataSpec
from flows.errors import DataRefused
from flows.file_kind import GZIP
from flows.text_glance import Glanced, glance_at, is_large

if TYPE_CHECKING:
    from collections.abc import Sequence

    from expectations.failure import Failure
    from flows.parts import Part

SAMPLE = 1 << 20  # bytes looked at
PLAIN = "quotes are ordinary characters here: every line is a record without them"


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


def sniff(
    part: Part,
    *,
    names: list[str] | None = None,
    others: Sequence[Part] = (),
    skip: int | None = None,
) -> Writing:
    """Return how a text part is written.

    Args:
        part: the part.
        names: its columns, where it has no header.
        others: parts that are read with the same settings.
        skip: lines above the header; None: as found.

    Raises:
        DataRefused: the bytes are no text in any encoding known here, or one column only.

    """
    seen = _seen(part)
    content = seen.content
    writing = Writing()
    text = _decoded(seen, part.name, writing)
    if content.isascii() and "encoding" not in writing.options:
        _look_at_others(others, writing)
    if skip is not None:
        text = "".join([*io.StringIO(text, newline="")][skip:])
        writing.options["skip_lines"] = skip
        writing.why["skip_lines"] = "given to init"
    records = _separated(text, part.name, writing)
    _refuse_lines_above(records, part.name)
    writing.width = len(records[0])
    _look_for_header(records, names, writing)
    _quotes(content[: seen.head], part.name, writing)
    return writing


def _seen(part: Part) -> Glanced:
    """Return a part's text, or what is looked at of a large one."""
    if part.path is not None and is_large(part.path):
        return glance_at(part.path)
    content = part.path.read_bytes() if part.path else b""
    if content.startswith(GZIP):
        content = delimited.unpacked(content, part.name)
    return Glanced(content=content, head=len(content))


def _decoded(seen: Glanced, name: str, writing: Writing) -> str:
    """Return the start of the text; record the encoding where it is not UTF-8."""
    content = seen.content
    found = encodings.proposal(content, seen.place)
    if found is None or not found.believed:
        plain = DataSpec(source=name, target="-")
        failures = diagnose.whole(content, plain, name) or _no_utf8(seen, name)
        if failures:
            raise delimited.unreadable(failures, name)
        return content[:SAMPLE].decode("utf-8", "ignore").lstrip("\ufeff")
    writing.options["encoding"] = found.encoding
    writing.why["encoding"] = f"{found.encoding}: {found.why}"
    return content[: SAMPLE * 2].decode(found.encoding, "ignore").lstrip("\ufeff")


def _no_utf8(seen: Glanced, name: str) -> list[Failure]:
    at = encodings.first_odd(seen.content)
    line, offset = seen.place(at)
    above = line - 1 - seen.content.count(b"\n", 0, at)
    return diagnose.encoding(seen.content, "utf-8", name, lines=above, offset=offset - at)


def _look_at_others(others: Sequence[Part], writing: Writing) -> None:
    """Take the encoding from the first part that shows one: plain ASCII fits nearly all of them."""
    for part in others:
        seen = _seen(part)
        content = seen.content
        if content.isascii():
            continue
        found = encodings.proposal(content, seen.place)
        if found and found.believed and not found.encoding.startswith(("utf-16", "utf-32")):
            writing.options["encoding"] = found.encoding
            writing.why["encoding"] = f"{found.encoding}: in {shown(part.name)}, {found.why}"
        return


def _separated(text: str, name: str, writing: Writing) -> list[list[str]]:
    """Return the first records from the header on, cut by the separator that fits best."""
    whole = text if len(text) < SAMPLE // 2 else text[: text.rfind("\n")]
    found = separators.best(whole, titled="skip_lines" not in writing.options)
    if found is None:
        known = ", ".join(separators.SEPARATORS.values())
        raise DataRefused(
            f"{shown(name)}: no separator ({known}) cuts the first records into columns; is it a "
            "table of text?",
            [diagnose.unknown(name)],
        )
    if found.separator != ",":
        writing.options["separator"] = found.separator
        writing.why["separator"] = found.why
    if found.title:
        writing.options["skip_lines"] = found.title.lines
        writing.why["skip_lines"] = found.title.why()
    return found.records


def _refuse_lines_above(records: list[list[str]], name: str) -> None:
    """Refuse a title above the table, or a header that lacks a name, with what it looks like."""
    usual, share = separators.width_of(records)
    above = next((place for place, record in enumerate(records) if len(record) == usual), 0)
    longer = any(len(record) > usual for record in records[:above])
    if not above or longer or share < separators.MOSTLY:
        return
    lines = "; ".join(shown(" ".join(record), 30) for record in records[:above][:3])
    message = (
        f"the table must begin with its header, but {share:.0%} of the first records have {usual} "
        f"fields and the first {above:,} ({lines}) have fewer"
    )
    lacks = ", or add the name that it lacks" if len(records[0]) == usual - 1 else ""
    advice = (
        f"remove what stands above the header, or say how many lines it has (--skip-lines){lacks}"
    )
    failure = diagnose.failure("file.header", name, message, advice)
    raise DataRefused(f"{shown(name)} has no header at its top:\n{describe([failure])}", [failure])


def _look_for_header(records: list[list[str]], names: list[str] | None, writing: Writing) -> None:
    first, rest = records[0], [r for r in records[1:] if len(r) == len(records[0])]
    reason = titles.no_header(first, rest)
    if names is not None and first != names:
        reason = "names were given"
    if reason is None:
        writing.header = first
        return
    chosen = names or [f"column_{i}" for i in range(1, len(first) + 1)]
    writing.options |= {"header": False, "names": chosen}
    cells = ", ".join(shown(cell, 20) for cell in first[:4])
    writing.why["header"] = f"the first record ({cells}, ...) is data: {reason}"


def _quotes(content: bytes, name: str, writing: Writing) -> None:
    """Try quotes as they usually are; where that fails and plain text works, say so."""
    options = {"source": name, "target": "-", **writing.options}
    quoted, plain = _rows(content, options, name, '"'), None
    if b'"' in content and (quoted is None or b'\n"' not in content[:SAMPLE]):
        plain = _rows(content, options, name, "")
    if plain is not None and plain > (quoted or 0):
        writing.options["quote"] = ""
        writing.why["quote"] = PLAIN


def _rows(content: bytes, options: dict[str, Any], name: str, quote: str) -> int | None:
    """Return the number of records read with this quoting; None where it cannot be read."""
    try:
        data = DataSpec(**options, quote=quote)
        return delimited.read_text(content, data, name).table.num_rows
    except DataRefused:
        return None
