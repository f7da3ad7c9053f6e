"""What a file is: by its first bytes, and by its ending where those say nothing.

- What cannot be read as a table (a web page, an archive, a pickle) is refused by name.
- Workbooks, JSON lines and feeds are known by their endings, which the bytes must not contradict.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from expectations.failure import shown
from flows.failed import refuse

if TYPE_CHECKING:
    from pathlib import Path

Kind = Literal["text", "parquet", "jsonl", "excel", "feed", "sklearn", "function", "unreadable"]

FOLDER_TABLES = (".csv", ".tsv", ".parquet", ".pq", ".jsonl", ".ndjson", ".xlsx")
"""Endings of the files that a folder of parts is made of, text with or without `.gz`."""
BY_ENDING: dict[str, Kind] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".xlsx": "excel",
    ".xlsm": "excel",
    ".rss": "feed",
    ".atom": "feed",
}
DATABASE = 'a database (source = "sql:sqlite:///FILE" with data.query reads one)'
REFUSED_ENDINGS = {
    ".pkl": "a pickle, which runs code when it is read",
    ".pickle": "a pickle, which runs code when it is read",
    ".joblib": "a pickle, which runs code when it is read",
    ".json": "JSON (JSON lines, one object per line, can be read: .jsonl)",
    ".xls": "an old Excel workbook (.xlsx can be read)",
    ".ods": "a spreadsheet",
    ".db": DATABASE,
    ".sqlite": DATABASE,
    ".sql": "SQL",
    ".feather": "a Feather file",
    ".orc": "an ORC file",
}
GZIP = b"\x1f\x8b"
ZIP = b"PK\x03\x04"
MAGIC = {
    ZIP: "a zip archive or an Excel workbook (xlsx)",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "an old Excel workbook (xls)",
    b"%PDF": "a PDF document",
    b"SQLite format 3\x00": "an SQLite database",
    b"ARROW1": "a Feather file",
    b"ORC": "an ORC file",
    b"\x89HDF": "an HDF5 file",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"\x28\xb5\x2f\xfd": "a zstd archive",
    b"\x7fELF": "a program",
}
READABLE = "what can be read: CSV, TSV, JSON lines (with gzip, too), Parquet and .xlsx files"
MARKUP = re.compile(rb"(\xef\xbb\xbf)?\s*<")


def kind_of(path: Path) -> Kind:
    """Return how a file is read.

    Raises:
        DataRefused: it is no table, or not what its name says.

    """
    start, ending = head(path, 4096), ending_of(path)
    kind = BY_ENDING.get(ending)
    if (kind == "excel" and start.startswith(ZIP)) or (kind == "feed" and MARKUP.match(start)):
        return kind
    what = _pretender(start) or REFUSED_ENDINGS.get(ending)
    if what:
        advice = f"{READABLE}; convert it first"
        raise refuse("source.format", f"{path} is {what}, not a table of text", advice)
    if kind == "excel":
        message = f"{path} must start as a workbook does (PK), found {shown(repr(start[:4]))}"
        raise refuse("source.format", message, "the file is damaged or misnamed; save it again")
    if start.startswith(b"PAR1"):
        if ending in (".csv", ".tsv", ".tab"):
            message = f"{path} is a Parquet file by its first bytes"
            raise refuse("source.format", message, "name it .parquet")
        return "parquet"
    if ending in (".parquet", ".pq"):
        message = f"{path} must start as a Parquet file does (PAR1), found {shown(repr(start[:4]))}"
        raise refuse("source.format", message, "the file is damaged or misnamed; make it again")
    return kind or "text"


def _pretender(start: bytes) -> str | None:
    """Say what a file that is no table is, by its first bytes."""
    for magic, what in MAGIC.items():
        if start.startswith(magic):
            return what
    if re.match(rb"\x80[\x02-\x05].", start, re.DOTALL) and b"\n" not in start[:2]:
        return "a pickle, which runs code when it is read"
    if re.match(rb"(\xef\xbb\xbf)?\s*<(!doctype|html|table|\?xml)", start, re.IGNORECASE):
        return "a web page (HTML or XML)"
    return None


def ending_of(path: Path) -> str:
    """Return a file's ending in lower case, without `.gz`; "" where it has none."""
    name = path.name.lower().removesuffix(".gz")
    return "." + name.rpartition(".")[2] if "." in name else ""


def has_lines(entry: str) -> bool:
    """Whether an entry of a source may be text of lines, or a workbook of rows, by its name."""
    if entry.startswith(("sklearn:", "sql:", "feed:")) or re.search(r"\.py:[^\W\d]\w*$", entry):
        return False
    ending = "." + entry.lower().removesuffix(".gz").rpartition(".")[2]
    return ending not in (".parquet", ".pq") and BY_ENDING.get(ending, "excel") == "excel"


def head(path: Path, size: int) -> bytes:
    """Return the first bytes of a file."""
    with path.open("rb") as stream:
        return stream.read(size)


def is_gzip(path: Path) -> bool:
    """Return whether a file begins as gzip data does."""
    return head(path, len(GZIP)) == GZIP
