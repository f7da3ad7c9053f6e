"""Changing single keys of a TOML text without touching anything else that a person wrote.

- Works on lines: a text is a list of statements (headers, keys with their values over one line or
  more), found with the standard parser itself; comments, order, blanks and line ends stay.
- What comes out is parsed again and must hold exactly what was asked for, else nothing is changed.
- tomlkit keeps comments too, but puts a new key behind the comment that belongs to the next table,
  and moves tables that stand apart together.
"""

from __future__ import annotations

import copy
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from expectations.contract_text import toml
from expectations.failure import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

Path = tuple[str, ...]
DROP = object()
"""As the value of an edit: the key goes."""


@dataclass(frozen=True, kw_only=True)
class Edit:
    """One key to be set or dropped."""

    path: Path
    value: Any
    comment: str = ""
    """What is said behind it, where it was not there before."""


@dataclass(frozen=True, kw_only=True)
class Statement:
    """A header or a key of a TOML text."""

    path: Path
    """From the top; the entries of `[[lists]]` are counted."""
    first: int
    last: int
    """Numbers of its lines."""
    section: Path
    """The header that it stands under; its own, where it is one."""
    header: bool


def edited(text: str, edits: Sequence[Edit], blocks: Sequence[str] = ()) -> str:
    """Return `text` with keys set or dropped, and tables added at its end.

    Raises:
        ValueError: a table is written in a form that cannot be changed line by line.

    """
    wanted: dict[str, Any] = tomllib.loads(text)
    end = "\r\n" if "\r\n" in text else "\n"
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += end
    for edit in edits:
        _hold(wanted, edit)
    lines = _written(lines, {edit.path: edit for edit in edits}.values(), end)
    for block in blocks:
        _join(wanted, tomllib.loads(block))
        lines += [end, *(f"{line}{end}" for line in block.splitlines())]
    made = "".join(lines)
    if tomllib.loads(made) != wanted:
        where = ", ".join(shown(".".join(edit.path), 40) for edit in edits[:5])
        msg = f"the file must have a table of its own for each part to be changed: {where}"
        raise ValueError(msg)
    return made


def statements(lines: Sequence[str]) -> Iterator[Statement]:
    """Yield the headers and keys of valid TOML, in order."""
    section: Path = ()
    counts: dict[Path, int] = {}
    at = 0
    while at < len(lines):
        line = lines[at].strip()
        first = at
        at += 1
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            section = _numbered(_header(line), counts, entry=line.startswith("[["))
            yield Statement(path=section, first=first, last=first, section=section, header=True)
            continue
        while at < len(lines) and not _parses("".join(lines[first:at])):
            at += 1
        path = (*section, *_key(lines[first]))
        yield Statement(path=path, first=first, last=at - 1, section=section, header=False)


def _parses(text: str) -> bool:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return True


def _header(line: str) -> Path:
    return names_of(tomllib.loads(line))


def _key(line: str) -> Path:
    """Return the dotted key of a line; what stands before the first `=` that is one."""
    for place, character in enumerate(line):
        if character == "=" and _parses(f"{line[:place]}= 0"):
            return names_of(tomllib.loads(f"{line[:place]}= 0"))
    return ()


def names_of(values: Any) -> Path:
    """Return the names that lead to the one value of parsed TOML, list entries left out."""
    names: list[str] = []
    while isinstance(values, dict | list) and values:
        if isinstance(values, list):
            values = values[0]
            continue
        name = next(iter(values))
        names.append(name)
        values = values[name]
    return tuple(names)


def _numbered(path: Path, counts: dict[Path, int], *, entry: bool) -> Path:
    """Return a header's path with the number of each list entry behind the list's name."""
    found: list[str] = []
    for place, name in enumerate(path):
        found.append(name)
        here = path[: place + 1]
        if entry and here == path:
            counts[here] = counts.get(here, -1) + 1
        if here in counts:
            found.append(str(counts[here]))
    return tuple(found)


def _hold(values: dict[str, Any], edit: Edit) -> None:
    """Apply an edit to the parsed text."""
    inner: Any = values
    for name in edit.path[:-1]:
        inner = inner[int(name)] if isinstance(inner, list) else inner.setdefault(name, {})
    inner.pop(edit.path[-1], None)
    if edit.value is not DROP:
        inner[edit.path[-1]] = tomllib.loads(f"x = {toml(edit.value)}")["x"]


def _join(values: dict[str, Any], more: dict[str, Any]) -> None:
    for name, value in copy.deepcopy(more).items():
        if isinstance(value, list) and name in values:
            values[name] += value
        elif isinstance(value, dict) and name in values:
            _join(values[name], value)
        else:
            values[name] = value


def _written(lines: list[str], edits: Iterable[Edit], end: str) -> list[str]:
    """Apply edits to the lines, in one pass."""
    own: dict[Path, list[Statement]] = {}
    place: dict[Path, int] = {(): 0}
    for statement in statements(lines):
        place[statement.section] = statement.last + 1
        for length in range(0 if statement.header else len(statement.path), 0, -1):
            own.setdefault(statement.path[:length], []).append(statement)
    ends: dict[int, int] = {}
    fresh: dict[int, list[str]] = {}
    for edit in edits:
        said = []
        if edit.value is not DROP:
            said = [f"{edit.path[-1]} = {toml(edit.value)}{_behind(edit)}{end}"]
        held = own.get(edit.path, [])
        if said and len(held) == 1 and held[0].path == edit.path:
            said = _replaced(lines[held[0].first : held[0].last + 1], edit, end)
        ends |= {statement.first: statement.last + 1 for statement in held}
        at = held[0].first if held else place.get(edit.path[:-1], 0)
        fresh.setdefault(at, []).extend(said)
    made, at = [], 0
    while at <= len(lines):
        made += fresh.get(at, [])
        if at not in ends:
            made += lines[at : at + 1]
        at = ends.get(at, at + 1)
    return made


def _behind(edit: Edit) -> str:
    return f"  # {shown(edit.comment, 200)}" if edit.comment else ""


def _replaced(old: Sequence[str], edit: Edit, end: str) -> list[str]:
    """Return a key's lines with another value, and with its comments."""
    if len(old) > 1:
        return _longer(old, edit, end)
    comment = _comment(old[0])
    return [f"{edit.path[-1]} = {toml(edit.value)}{comment or _behind(edit)}{end}"]


def _longer(old: Sequence[str], edit: Edit, end: str) -> list[str]:
    """Return a list over several lines with the new items before its end.

    Where that is not what is asked for, what was said between the lines stands above the value.
    """
    held = tomllib.loads("".join(old))[edit.path[-1]]
    kept = [f"{said}{end}" for line in old if (said := _comment(line).strip())]
    short = [*kept, f"{edit.path[-1]} = {toml(edit.value)}{end}"]
    if not isinstance(held, list) or not isinstance(edit.value, list | tuple):
        return short
    fresh = [f"    {toml(item)},{end}" for item in edit.value if item not in held]
    for comma in ("", ","):
        last = old[-2].rstrip()
        at = len(last) - len(_comment(last).strip())
        made = [
            *old[:-2],
            f"{last[:at].rstrip()}{comma} {last[at:]}".rstrip() + end,
            *fresh,
            old[-1],
        ]
        if _parses("".join(made)) and tomllib.loads("".join(made))[edit.path[-1]] == list(
            edit.value
        ):
            return made
    return short


def _comment(line: str) -> str:
    """Return the comment at the end of a line, with the blanks before it."""
    for place, character in enumerate(line):
        before = line[:place].rstrip()
        parts = [before, before.partition("=")[2]] if "=" in before else [before]
        if character != "#":
            continue
        if any(_parses(f"x = [\n{part}\n]") for part in parts):
            return line[len(before) :].rstrip()
    return ""
