"""From the source named in the settings to the files behind it, in a stable order.

- A file, a glob, a folder of parts, or a list of these; parts are sorted by path.
- A relative path, or a symbolic link, that leads out of the settings' folder is refused unless
  `data.outside = true`; an absolute path is somebody's explicit word and is followed.
- What is in a file is decided by its first bytes, not by its name; what cannot be read as a table
  (a workbook, a web page, an archive, a pickle) is refused by name.
- Addresses are never fetched here, and a password in one is never printed.
"""

from __future__ import annotations

import glob
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from expectations.failure import Failure, shown
from flows.errors import DataRefused

Kind = Literal["text", "parquet", "sklearn", "function"]

TABLES = (".csv", ".tsv", ".txt", ".tab", ".data", ".parquet", ".pq")
"""Endings of the files that a folder of parts is made of, each with or without `.gz`."""
FOLDER_TABLES = (".csv", ".tsv", ".parquet", ".pq")
REFUSED_ENDINGS = {
    ".pkl": "a pickle, which runs code when it is read",
    ".pickle": "a pickle, which runs code when it is read",
    ".joblib": "a pickle, which runs code when it is read",
    ".json": "JSON",
    ".jsonl": "JSON lines",
    ".ndjson": "JSON lines",
    ".xlsx": "an Excel workbook",
    ".xls": "an Excel workbook",
    ".ods": "a spreadsheet",
    ".db": "a database",
    ".sqlite": "a database",
    ".sql": "SQL",
    ".feather": "a Feather file",
    ".orc": "an ORC file",
}
MAGIC = {
    b"PK\x03\x04": "a zip archive or an Excel workbook (xlsx)",
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
READABLE = "what can be read: CSV, TSV and Parquet files (text also with gzip)"


@dataclass(frozen=True, kw_only=True)
class Part:
    """One file, or one thing that yields a table."""

    kind: Kind
    name: str
    """What provenance calls it: the file's name, or the reference itself."""
    path: Path | None = None
    """The file; None for what comes with scikit-learn."""
    function: str = ""
    """The function in `path` that returns the table."""
    key: str = "data.source"
    """The settings key that named it."""

    @property
    def gzipped(self) -> bool:
        """Whether the file is compressed text."""
        return self.kind == "text" and self.path is not None and head(self.path, 2) == b"\x1f\x8b"


def refuse(rule: str, message: str, advice: str, *, source: str = "") -> DataRefused:
    """Return the refusal of a source as a whole."""
    failure = Failure(rule=rule, column=None, count=1, total=1, message=message, advice=advice)
    where = f"{shown(source, 300)}: " if source and source not in message else ""
    return DataRefused(f"{where}{message}; {advice}", [failure])


def find_parts(
    source: str | tuple[str, ...],
    *,
    folder: Path,
    outside: bool = False,
    key: str = "data.source",
) -> list[Part]:
    """Return the parts of a source, sorted within each of its entries.

    Raises:
        DataRefused: nothing is there, it cannot be read, or it is no table.

    """
    parts: list[Part] = []
    for entry in (source,) if isinstance(source, str) else source:
        parts += _entry(entry, folder, outside, key)
    return _distinct(parts)


def _with_environment(entry: str, key: str) -> str:
    """Put the values of environment variables, written ${NAME}, into a path."""

    def value(named: re.Match[str]) -> str:
        found = os.environ.get(named[1])
        if found is None:
            message = f"{key} names the environment variable {named[1]}, which is not set"
            raise refuse("source.environment", message, f"set {named[1]}, or write the path itself")
        return found

    return re.sub(r"\$\{(\w+)\}", value, entry)


def _entry(entry: str, folder: Path, outside: bool, key: str) -> list[Part]:
    entry = _with_environment(entry, key)
    if entry.startswith("sklearn:"):
        return [Part(kind="sklearn", name=entry, key=key)]
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", entry):
        shown_url = re.sub(r"//[^/@]*@", "//***@", entry).split("?")[0]
        message = f"{key} must name a table on this machine, found the address {shown(shown_url)}"
        raise refuse("source.address", message, "download it first and give the file's path")
    if named := re.fullmatch(r"(.+\.py):([^\W\d]\w*)", entry):
        path = _resolved(named[1], folder, outside, key)
        _present(path, key)
        return [Part(kind="function", name=entry, path=path, function=named[2], key=key)]
    if glob.has_magic(entry) and not (folder / entry).exists():
        return _matches(entry, folder, outside, key)
    path = _resolved(entry, folder, outside, key)
    _present(path, key)
    if path.is_dir():
        return _folder_parts(path, outside, key)
    return [_file_part(path, key)]


def _resolved(entry: str, folder: Path, outside: bool, key: str) -> Path:
    """Return the absolute path, links unresolved; refuse one that escapes the folder."""
    path = Path(entry).expanduser()
    if path.is_absolute():
        return path
    _inside(folder / path, folder, outside, key)
    return folder / path


def _inside(path: Path, root: Path, outside: bool, key: str) -> None:
    real = path.resolve()
    if outside or real.is_relative_to(root.resolve()):
        return
    message = f"{key} must stay within {root}, but {shown(str(path), 200)} leads to {real}"
    advice = "give the absolute path, or set data.outside = true"
    raise refuse("source.outside", message, advice)


def _present(path: Path, key: str) -> None:
    try:
        if not path.exists():
            near = _nearest(path)
            hint = f"did you mean {near}?" if near else "correct the path"
            raise refuse("source.missing", f"{key}: no file at {path}", hint)
        if path.is_file():
            with path.open("rb"):
                pass
        elif not path.is_dir():
            message = f"{key} must be a file or a folder, {path} is neither"
            raise refuse("source.special", message, "give a regular file")
    except PermissionError:
        raise refuse(
            "source.permission", _unreadable(path, key), "change its permissions"
        ) from None


def _nearest(path: Path) -> str | None:
    import difflib

    if not path.parent.is_dir():
        return None
    names = [p.name for p in path.parent.iterdir()]
    return next(iter(difflib.get_close_matches(path.name, names, n=1)), None)


def _unreadable(path: Path, key: str) -> str:
    try:
        facts = path.stat()
        who = f" (owner {facts.st_uid}, mode {facts.st_mode & 0o777:o})"
    except OSError:
        who = " (its folder is closed to this user)"
    return f"{key}: {path} may not be read by this user{who}"


def _matches(pattern: str, folder: Path, outside: bool, key: str) -> list[Part]:
    full = Path(pattern).expanduser()
    absolute = full if full.is_absolute() else folder / full
    fixed = next(p for p in absolute.parents if not glob.has_magic(str(p)))
    found = sorted(Path(p) for p in glob.glob(str(absolute), recursive=True))  # noqa: PTH207 - `**`
    files = [p for p in found if p.is_file()]
    if not files:
        raise refuse("source.missing", f"{key}: nothing matches {absolute}", "correct the pattern")
    root = fixed if full.is_absolute() else folder
    for path in files:
        _inside(path, root, outside, key)
        _present(path, key)
    return [_file_part(path, key) for path in files]


def _folder_parts(path: Path, outside: bool, key: str) -> list[Part]:
    inside = sorted(p for p in path.iterdir() if p.is_file() and p.name[0] not in "._")
    files = [p for p in inside if _ending(p) in FOLDER_TABLES]
    if not files:
        names = ", ".join(shown(p.name) for p in inside[:5]) or "no files"
        message = (
            f"{key}: the folder {path} must hold parts ({', '.join(FOLDER_TABLES)}), has {names}"
        )
        raise refuse("source.missing", message, "name the files, or use a pattern such as folder/*")
    for file in files:
        _inside(file, path, outside, key)
        _present(file, key)
    return [_file_part(file, key) for file in files]


def _ending(path: Path) -> str:
    name = path.name.lower().removesuffix(".gz")
    return "." + name.rpartition(".")[2] if "." in name else ""


def _file_part(path: Path, key: str) -> Part:
    start = head(path, 4096)
    advice = f"{READABLE}; convert it first"
    what = _pretender(start) or REFUSED_ENDINGS.get(_ending(path))
    if what:
        raise refuse("source.format", f"{path} is {what}, not a table of text", advice)
    if start.startswith(b"PAR1"):
        if _ending(path) in (".csv", ".tsv", ".tab"):
            message = f"{path} is a Parquet file by its first bytes"
            raise refuse("source.format", message, "name it .parquet")
        return Part(kind="parquet", name=path.name, path=path, key=key)
    if _ending(path) in (".parquet", ".pq"):
        message = f"{path} must start as a Parquet file does (PAR1), found {shown(repr(start[:4]))}"
        raise refuse("source.format", message, "the file is damaged or misnamed; make it again")
    return Part(kind="text", name=path.name, path=path, key=key)


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


def head(path: Path, size: int) -> bytes:
    """Return the first bytes of a file."""
    with path.open("rb") as stream:
        return stream.read(size)


def _distinct(parts: list[Part]) -> list[Part]:
    """Refuse a file named twice; tell files of one name in two folders apart."""
    seen: dict[Path, Part] = {}
    for part in parts:
        if part.path and part.kind != "function":
            if part.path.resolve() in seen:
                message = f"{part.key} must name each file once, found {part.path} twice"
                raise refuse("source.twice", message, "remove one of them")
            seen[part.path.resolve()] = part
    names = [part.name for part in parts]
    return [
        Part(**{**part.__dict__, "name": f"{part.path.parent.name}/{part.name}"})
        if part.path and names.count(part.name) > 1
        else part
        for part in parts
    ]
