"""What is wrong with a delimited text: slow and careful, after fast reading has failed.

- `whole` looks at the bytes, `shape` at the first record; `flows/records.py` at every record.
- Each problem says file, record number, what was found and what to do; all of them, up to a cap.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from expectations.failure import Example, Failure, shown

if TYPE_CHECKING:
    import pyarrow as pa

    from flows.data_spec import DataSpec

CANDIDATES = ("utf-8", "cp949", "euc-kr", "shift_jis", "gb18030", "cp1252", "latin-1")
SEPARATORS = (";", "\t", "|", ",", ":")


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
    if content[:2] in (b"\xff\xfe", b"\xfe\xff") and "16" not in data.encoding:
        message = f"the file is UTF-16 by its byte-order mark, the settings say {data.encoding}"
        return [failure("file.encoding", name, message, 'set encoding = "utf-16" in [data]')]
    if "16" not in data.encoding and "32" not in data.encoding:
        at = content.find(b"\0")
        if at >= 0:
            return [_nul(content, at, name)]
        if not content.strip():
            message = f"the file holds blank lines only ({len(content):,} bytes)"
            return [failure("file.empty", name, message, "make it again")]
    return []


def _nul(content: bytes, at: int, name: str) -> Failure:
    if content[:4000].count(b"\0") > len(content[:4000]) // 4:
        message = f"the file holds NUL bytes from offset {at:,} on, as UTF-16 does"
        return failure(
            "file.nul", name, message, 'set encoding = "utf-16-le" or "utf-16-be" in [data]'
        )
    line = content.count(b"\n", 0, at) + 1
    near = content[max(at - 20, 0) : at + 20].decode("utf-8", "replace")
    found = f"found {content.count(bytes(1)):,}, the first at byte offset {at:,} (line {line:,})"
    message = f"text must not hold NUL bytes, {found}"
    return failure(
        "file.nul", name, message, "the file is damaged or binary; make it again", value=near
    )


def encoding(content: bytes, declared: str, name: str) -> list[Failure]:
    """Return the failure of bytes that are not text in the declared encoding; [] if they are."""
    try:
        content.decode(declared)
    except UnicodeDecodeError as error:
        at = error.start
    except UnicodeError:
        at = 0
    else:
        return []
    line = content.count(b"\n", 0, at) + 1
    found = content[at : at + 1].hex()
    fits = likely_encoding(content)
    advice = (
        f'set encoding = "{fits}" in [data], which fits all bytes' if fits else "convert the file"
    )
    message = f"line {line:,} is not {declared} text: byte 0x{found} at offset {at:,}"
    near = content[content.rfind(b"\n", 0, at) + 1 : at + 20].decode(fits or "latin-1", "replace")
    return [failure("file.encoding", name, message, advice, value=near)]


def likely_encoding(content: bytes) -> str | None:
    """Return the encoding that most likely made the bytes: it fits, and its letters make sense."""
    sample = content if len(content) < 1 << 22 else content[: content.rfind(b"\n", 0, 1 << 22)]
    for candidate in CANDIDATES:
        try:
            text = sample.decode(candidate)
        except UnicodeError:
            continue
        if candidate == "cp949" and not _mostly(text, r"[\uac00-\ud7a3]"):
            continue
        if candidate == "shift_jis" and not _mostly(text, r"[\u3040-\u30ff\u4e00-\u9fff]"):
            continue
        if candidate == "gb18030" and not _mostly(text, r"[\u4e00-\u9fff]"):
            continue
        if candidate == "euc-kr":
            continue
        return candidate
    return None


def _mostly(text: str, wanted: str) -> bool:
    """Whether most letters beyond ASCII are of the wanted script, in runs as words have them."""
    beyond = len(re.findall(r"[^\x00-\x7f]", text))
    runs = re.findall(f"{wanted}{{2,}}", text)
    return beyond > 0 and sum(map(len, runs)) > 0.6 * beyond


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
    if len(first) == 1 and (advice := other_separator(text, data)):
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
