"""From the source named in the settings to the files behind it, in a stable order.

- A file, a glob, a pattern with a date, a folder of parts, or a list of these; parts are sorted by
  path, dated ones by date.
- A relative path, or a symbolic link, that leads out of the settings' folder is refused unless
  `data.outside = true`; an absolute path is somebody's explicit word and is followed.
- An address (HTTP, FTP, S3, a database) is fetched by `flows/fetch.py` and then a file like others.
"""

from __future__ import annotations

import glob
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from expectations.failure import shown
from flows import dated
from flows.addresses import address_of, with_environment
from flows.errors import DataRefused
from flows.failed import refuse
from flows.file_kind import FOLDER_TABLES, Kind, ending_of, is_gzip, kind_of

if TYPE_CHECKING:
    import datetime as dt

    from flows.data_spec import DataSpec

__all__ = ["Part", "find_parts", "refuse"]


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
    date: dt.datetime | None = None
    """The date in its name, where the settings say `{date}`."""
    refusal: DataRefused | None = None
    """Why a file that was found is no table; of kind "unreadable" alone."""

    @property
    def gzipped(self) -> bool:
        """Whether the file is compressed text."""
        return self.kind == "text" and self.path is not None and is_gzip(self.path)


def find_parts(
    source: str | tuple[str, ...],
    *,
    folder: Path,
    outside: bool = False,
    key: str = "data.source",
    lenient: bool = False,
    data: DataSpec | None = None,
) -> list[Part]:
    """Return the parts of a source, sorted within each of its entries.

    `lenient` lets a file that is no table be a part of kind "unreadable". `data` says how addresses
    are fetched and which dates are wanted; left out: in the plain way.

    Raises:
        DataRefused: nothing is there, it cannot be read, or it is no table.

    """
    look = _Look(folder=folder, outside=outside, key=key, lenient=lenient, data=data)
    parts: list[Part] = []
    for entry in (source,) if isinstance(source, str) else source:
        parts += look.fetched(entry) or look.entry(with_environment(entry, key))
    return _distinct(parts)


@dataclass(frozen=True, kw_only=True)
class _Look:
    """How sources are looked for."""

    folder: Path
    outside: bool
    key: str
    lenient: bool
    data: DataSpec | None
    feed: bool = False

    def fetched(self, entry: str) -> list[Part]:
        """Return the parts behind an address; [] where the entry is none."""
        address = address_of(entry, self.key)
        if address is None:
            return []
        from flows.data_spec import DataSpec
        from flows.fetch import fetch

        files = fetch(address, self.data or DataSpec(source="-", target="-"), self.folder)
        if address.feed:
            return [Part(kind="feed", name=name, path=path, key=self.key) for name, path in files]
        return [replace(self.file(path), name=name) for name, path in files]

    def entry(self, entry: str) -> list[Part]:
        key = self.key
        if entry.startswith("sklearn:"):
            return [Part(kind="sklearn", name=entry, key=key)]
        if entry.startswith("feed:"):
            return replace(self, feed=True).entry(entry.removeprefix("feed:"))
        if dated.is_dated(entry):
            return self.dated(entry)
        if named := re.fullmatch(r"(.+\.py):([^\W\d]\w*)", entry):
            path = _resolved(named[1], self.folder, self.outside, key)
            _present(path, key)
            return [Part(kind="function", name=entry, path=path, function=named[2], key=key)]
        if glob.has_magic(entry) and not (self.folder / entry).exists():
            return self.matches(entry)
        path = _resolved(entry, self.folder, self.outside, key)
        _present(path, key)
        return self.parts_in(path) if path.is_dir() else [self.file(path)]

    def dated(self, entry: str) -> list[Part]:
        """Return the parts with a date in their names, the oldest first, as far as wanted."""
        pattern = dated.Pattern(entry, self.key)
        parts = [(pattern.date_of(p.path or Path()), p) for p in self.matches(pattern.glob)]
        kept = dated.wanted(parts, self.data.last if self.data else None)
        return [replace(part, date=date) for date, part in kept]

    def matches(self, pattern: str) -> list[Part]:
        full = Path(pattern).expanduser()
        absolute = full if full.is_absolute() else self.folder / full
        fixed = next(p for p in absolute.parents if not glob.has_magic(str(p)))
        found = sorted(Path(p) for p in glob.glob(str(absolute), recursive=True))  # noqa: PTH207 - `**`
        files = [p for p in found if p.is_file()]
        if not files:
            message = f"{self.key}: nothing matches {absolute}"
            raise refuse("source.missing", message, "correct the pattern")
        root = fixed if full.is_absolute() else self.folder
        for path in files:
            _inside(path, root, self.outside, self.key)
            _present(path, self.key)
        return [self.file(path) for path in files]

    def parts_in(self, path: Path) -> list[Part]:
        """Return the parts in a folder."""
        inside = sorted(p for p in path.iterdir() if p.is_file() and p.name[0] not in "._")
        files = [p for p in inside if ending_of(p) in FOLDER_TABLES]
        if not files:
            names = ", ".join(shown(p.name) for p in inside[:5]) or "no files"
            endings = ", ".join(FOLDER_TABLES)
            message = f"{self.key}: the folder {path} must hold parts ({endings}), has {names}"
            raise refuse("source.missing", message, "name the files, or a pattern such as folder/*")
        for file in files:
            _inside(file, path, self.outside, self.key)
            _present(file, self.key)
        return [self.file(file) for file in files]

    def file(self, path: Path) -> Part:
        """Return a file as a part; one that is no table is refused, or kept as unreadable."""
        if self.feed:
            return Part(kind="feed", name=path.name, path=path, key=self.key)
        try:
            return Part(kind=kind_of(path), name=path.name, path=path, key=self.key)
        except DataRefused as refusal:
            if not self.lenient:
                raise
            return Part(kind="unreadable", name=path.name, path=path, key=self.key, refusal=refusal)


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
        replace(part, name=f"{part.path.parent.name}/{part.name}")
        if part.path and names.count(part.name) > 1
        else part
        for part in parts
    ]
