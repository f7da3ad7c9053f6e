"""What is wrong with a delimited text: slow and careful, after fast reading has failed.

- `whole` looks at the bytes, `shape` at the first record; `flows/records.py` at every record.
- Each problem says file, record number, what was found and what to do; all of them, up to a cap.
"""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

from expectations.failure import Example, Failure, shown
from flows import encodings

if TYPE_CHECKING:
    import pyarrow as pa

    from flows.data_spec import DataSpec

SEPARATORS = (";", "\t", "|", ",", ":")
HEAD = 1 << 16  # bytes in which a table below a title is looked for


def failure(  # one problem of one file
    rule: str, name: str, message: str, advice: str, *, row: int | None = None, value: str = "",
    count: int = 1, total: int = 1, column: str | None = None,
) -> Failure:  # fmt: skip
    """Return one problem of one file."""
    examples = (Example(row=row, value=value, source=name),) if value or row else ()
    return Failure(
        rule=rule,
        column=column,
        count=count,
        total=total,
        message=message,
        examples=examples,
        advice=advice,
    )


def whole(content: bytes, data: DataSpec, name: str) -> list[Failure]:
    """Return what is wrong with the bytes: empty, blank, not text, of another encoding."""
    if not content:
        return [failure("file.empty", name, "the file is empty (0 bytes)", "make it again")]
    mark = encodings.marked(content)
    if mark and mark not in _same(data.encoding):
        message = (
            f"the file is {mark.upper()} by its byte-order mark, the settings say {data.encoding}"
        )
        return [failure("file.encoding", name, message, f'set encoding = "{mark}" in [data]')]
    if "16" not in data.encoding and "32" not in data.encoding:
        at = content.find(b"\0")
        if at >= 0:
            return [_nul(content, at, name)]
        if not content.strip():
            message = f"the file holds blank lines only ({len(content):,} bytes)"
            return [failure("file.empty", name, message, "make it again")]
    return []


def _same(declared: str) -> tuple[str, ...]:
    """Return the marks that a declared encoding agrees with."""
    plain = declared.lower().replace("_", "-")
    for family in ("utf-16", "utf-32"):
        if plain.startswith((family, family.replace("-", ""))):
            return (family,)
    return ("utf-8",) if plain in {"utf-8", "utf8", "utf-8-sig", "ascii", "us-ascii"} else ()


def declared(content: bytes, encoding: str, name: str) -> list[Failure]:
    """Return the failure of UTF-8 text that is declared to be UTF-16 or UTF-32; else []."""
    wide = any(family in _same(encoding) for family in ("utf-16", "utf-32"))
    if not wide or encodings.marked(content) or b"\0" in content or not encodings.is_utf8(content):
        return []
    message = f"the settings say {encoding}, but the file has no zero byte and is UTF-8 text"
    return [failure("file.encoding", name, message, "remove encoding from [data]")]


def odd_reading(content: bytes, data: DataSpec) -> tuple[str, ...]:
    """Return a note where the bytes are UTF-8 but are read in the declared encoding, as it says."""
    utf8 = codecs.lookup(data.encoding).name in {"utf-8", "utf-8-sig", "ascii"}
    if utf8 or encodings.marked(content) or content.isascii() or not encodings.is_utf8(content):
        return ()
    line = next(line for line in content.split(b"\n") if not line.isascii())
    read, meant = (
        shown(line.decode(data.encoding, "replace").strip(), 40),
        shown(line.decode().strip(), 40),
    )
    return (
        f"all bytes are UTF-8, but the settings say {data.encoding}: {meant} is read as {read}",
    )


def _nul(content: bytes, at: int, name: str) -> Failure:
    if wide := encodings.wide(content):
        message = (
            f"the file holds NUL bytes from offset {at:,} on, at every second place as {wide} has"
        )
        return failure("file.nul", name, message, f'set encoding = "{wide}" in [data]')
    line = content.count(b"\n", 0, at) + 1
    near = content[max(at - 20, 0) : at + 20].decode("utf-8", "replace")
    found = f"found {content.count(bytes(1)):,}, the first at byte offset {at:,} (line {line:,})"
    message = f"text must not hold NUL bytes, {found}"
    return failure(
        "file.nul", name, message, "the file is damaged or binary; make it again", value=near
    )


def encoding(
    content: bytes, declared: str, name: str, *, lines: int = 0, offset: int = 0
) -> list[Failure]:
    """Return the failure of bytes that are not text in the declared encoding; [] if they are.

    `lines` and `offset` count what stands above them in the file.
    """
    try:
        content.decode(declared)
    except UnicodeDecodeError as error:
        at = error.start
    except UnicodeError:
        at = 0
    else:
        return []
    line = content.count(b"\n", 0, at) + 1 + lines
    found = content[at : at + 1].hex()
    fits = encodings.proposal(content)
    advice = "convert the file to UTF-8"
    if encodings.is_utf8(content):
        advice = 'all bytes are UTF-8: set encoding = "utf-8" in [data]'
    elif fits and fits.believed:
        advice = f'set encoding = "{fits.encoding}" in [data], which fits all bytes'
    elif fits:
        advice += f"; {fits.encoding} fits the bytes, but gives no words"
    message = f"line {line:,} is not {declared} text: byte 0x{found} at offset {at + offset:,}"
    near = content[content.rfind(b"\n", 0, at) + 1 : at + 20].decode(
        fits.encoding if fits else "latin-1", "replace"
    )
    return [failure("file.encoding", name, message, advice, value=near)]


def shape(
    text: bytes, first: list[str], raw: list[str], data: DataSpec, name: str
) -> list[Failure]:
    """Return what the first record says: a wrong separator, or names of another number."""
    if not data.header and len(first) != len(raw):
        message = f"data.names has {len(raw)} names, the first record has {len(first)} fields"
        advice = other_separator(text, data) or "name every column, in the file's order"
        return [
            failure("file.names", name, message, advice, row=1, value=data.separator.join(first))
        ]
    if len(first) == 1 and (advice := other_separator(text, data) or _below_a_title(text, data)):
        message = f"the separator is {data.separator!r}, which cuts the first record into one field"
        return [failure("file.separator", name, message, advice, value=first[0])]
    return []


def other_separator(text: bytes, data: DataSpec) -> str:
    """Return a hint where another separator cuts the first records into equal widths."""
    lines = [line for line in text[: 1 << 16].decode("utf-8", "replace").splitlines()[:20] if line]
    best = ""
    for separator in SEPARATORS:
        counts = {line.count(separator) for line in lines}
        if separator != data.separator and len(counts) == 1 and counts != {0}:
            best = (
                best
                or f"it looks like {separator!r}: set separator = {toml_text(separator)} in [data]"
            )
    return best


def _below_a_title(text: bytes, data: DataSpec) -> str:
    """Return a hint where another separator cuts what stands below a title into a table."""
    from flows import separators

    start = text[:HEAD]
    start = start[: start.rfind(b"\n") + 1] or start
    cut = separators.best(start.decode("utf-8", "replace"))
    if cut is None or cut.title is None or cut.separator == data.separator:
        return ""
    return (
        f"it looks like {cut.separator!r} below a title: set separator = "
        f"{toml_text(cut.separator)} and skip_lines = {data.skip_lines + cut.title.lines} in [data]"
    )


def toml_text(text: str) -> str:
    """Return a text as a TOML basic string."""
    import json

    return json.dumps(text, ensure_ascii=False)


def no_rows(rows: int, name: str) -> list[Failure]:
    """Return the failure of a table without rows."""
    if rows:
        return []
    message = "the table must have rows, found 0 below the header"
    return [failure("table.rows", name, message, "make the file again, with its rows")]


def long_cell(column: str, row: int, found: int, limit: int, table: pa.Table, name: str) -> Failure:
    """Return the failure of a cell beyond all reason."""
    value = str(table[column][row - 1])[:100]
    message = (
        f"a cell must have at most {limit:,} bytes, the longest in {shown(column)} has {found:,}"
    )
    advice = "remove the column or shorten the cell"
    return failure("cell.long", name, message, advice, row=row, value=value, column=column)


def unknown(name: str) -> Failure:
    """Return the failure where the two readers disagree and no record stands out."""
    message = "the records cannot be told apart reliably"
    return failure("file.records", name, message, "check quotes and separators")


def early_gzip(name: str, size: int, packed: int) -> Failure:
    """Return the failure of gzip data that ends before its end mark."""
    message = f"the compressed file ends early: {packed:,} bytes read, {size:,} unpacked"
    return failure("file.truncated", name, message, "copy the file again")


def damaged_gzip(name: str, size: int, reason: str) -> Failure:
    """Return the failure of gzip data that does not unpack."""
    message = f"the compressed file is damaged after {size:,} unpacked bytes ({reason})"
    return failure("file.damaged", name, message, "copy the file again")


def bomb(name: str, size: int, packed: int) -> Failure:
    """Return the failure of a small file that unpacks to an absurd size."""
    message = f"{packed:,} bytes unpack to more than {size:,}, which no honest table does"
    return failure("file.bomb", name, message, "unpack it yourself if it is meant")
