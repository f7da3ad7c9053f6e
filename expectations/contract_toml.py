"""A contract as a TOML file: readable, in a stable order, and refused with file, line and key.

- One `[columns."name"]` table per column; names in any script, with quotes or newlines, round-trip.
- What has its default value is not written, so a difference between two files is a difference.
- Every problem of a file is listed at once, each with the nearest right name.
"""

from __future__ import annotations

import difflib
import importlib.util
import json
import os
import re
import tomllib
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from pydantic import ValidationError

from expectations.column import Column
from expectations.contract import Contract, Custom
from expectations.failure import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LARGEST_FILE = 20_000_000  # bytes; 5,000 columns with 50 levels each stay below
PROBLEMS_SHOWN = 10
WIDTH = 96  # characters of a line; longer lists take a line per item

HEADER = """\
# The contract: what must be true of the table before a model learns from it.
#
# The columns, their kinds, the target and emptiness are critical from the start: bad rows are set
# aside (up to data.max_fraction of the settings), a bad table is refused. Proposed ranges, levels
# and missing shares only warn while accepted = false. Read them, correct them, then write
# accepted = true. A single rule binds or warns by hand: severity = { range = "critical" }.
#
# Any Great Expectations expectation can be added, judged on the whole table:
#   [[expectations]]
#   type = "expect_column_mean_to_be_between"
#   kwargs = { column = "age", min_value = 20, max_value = 60 }
#   severity = "warning"
"""


def load(path: Path | str) -> Contract:
    """Read the contract in `path`.

    Raises:
        ValueError: the file cannot be read, is not a contract, or contradicts itself; every
            problem is listed with its line, what was found, and the nearest right name.

    """
    file = Path(path)
    text = _read(file)
    try:
        values = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        msg = f"{file}: not valid TOML: {error}"
        raise ValueError(msg) from None
    try:
        contract = Contract.model_validate(values)
        problems = _unknown_types(contract)
    except ValidationError as error:
        contract, problems = None, list(problems_of(error))
    if contract is not None and not problems:
        return contract
    places = _places(text)
    lines = sorted((_line(places, keys) or 0, ".".join(keys), said) for keys, said in problems)
    shown_lines = [
        f"{file}{f':{line}' if line else ''}: {f'{shown(key)}: ' if key else ''}{said}"
        for line, key, said in lines[:PROBLEMS_SHOWN]
    ]
    if len(lines) > PROBLEMS_SHOWN:
        shown_lines.append(f"... and {len(lines) - PROBLEMS_SHOWN} more")
    raise ValueError("\n".join(shown_lines))


def _read(file: Path) -> str:
    try:
        size = file.stat().st_size
        if size > LARGEST_FILE:
            msg = f"{file}: a contract has at most {LARGEST_FILE:,} bytes, found {size:,}"
            raise ValueError(msg)
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        msg = f"{file}: a contract is UTF-8 text, byte {error.start} is not"
        raise ValueError(msg) from None
    except OSError as error:
        msg = f"{file.absolute()}: the contract cannot be read: {error.strerror}"
        raise ValueError(msg) from None


def _unknown_types(contract: Contract) -> list[tuple[tuple[str, ...], str]]:
    if not contract.expectations:
        return []
    known = expectation_types()
    problems = []
    for number, custom in enumerate(contract.expectations):
        if custom.type not in known:
            said = f"Great Expectations has no {custom.type!r}{_nearest(custom.type, known)}"
            problems.append((("expectations", str(number), "type"), said))
    return problems


def expectation_types() -> list[str]:
    """Return the names of all expectations that GX ships, without importing it."""
    spec = importlib.util.find_spec("great_expectations")
    folders = spec.submodule_search_locations if spec else None
    core = Path(next(iter(folders or ["."]))) / "expectations" / "core"
    return sorted(path.stem for path in core.glob("expect_*.py"))


def problems_of(error: ValidationError) -> Iterable[tuple[tuple[str, ...], str]]:
    """Yield each problem once; the branches of a union are one problem."""
    merged: dict[tuple[str, ...], list[str]] = {}
    for item in error.errors(include_url=False):
        location = tuple(str(part) for part in item["loc"])
        keys, fields = _keys(location)
        if item["type"] == "extra_forbidden":
            said = f"unknown key{_nearest(location[-1], list(fields))}"
        elif item["type"] == "missing":
            said = "is required"
        elif item["type"] == "value_error":
            said = item["msg"].removeprefix("Value error, ")
        else:
            found = f", found {shown(repr(item['input']))}"
            near = _nearest_choice(item["input"], fields.get(keys[-1]) if keys else None)
            said = f"must {item['msg'].removeprefix('Input should ')}{found}{near}"
        merged.setdefault(keys, []).append(said)
    for keys, found in merged.items():
        yield keys, " or ".join(dict.fromkeys(found))


def _keys(location: tuple[str, ...]) -> tuple[tuple[str, ...], Mapping[str, Any]]:
    """The keys of the file in a pydantic location, and the fields known at that place."""
    if location[:1] == ("columns",) and len(location) > 2:
        return location[:3], Column.model_fields
    if location[:1] == ("expectations",) and len(location) > 2:
        return location[:3], Custom.model_fields
    top = 1 if location[:1] not in (("columns",), ("expectations",)) else 2
    return location[:top], Contract.model_fields


def _nearest(name: str, known: Iterable[str]) -> str:
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; the keys here are {', '.join(known)}" if len(known) < 30 else ""


def _nearest_choice(value: Any, field: Any) -> str:
    annotation = getattr(field, "annotation", None)
    if get_origin(annotation) is not Literal or not isinstance(value, str):
        return ""
    near = difflib.get_close_matches(value, [str(c) for c in get_args(annotation)], n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""


def _places(text: str) -> dict[tuple[str, ...], int]:
    """The line of every key that stands on a line of its own, by its path from the top."""
    section: tuple[str, ...] = ()
    places: dict[tuple[str, ...], int] = {}
    tables: dict[tuple[str, ...], int] = {}
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        keys = _path_of(line if line.startswith("[") else f"{line.partition('=')[0]} = 0")
        if keys is None:
            continue
        if line.startswith("[["):
            tables[keys] = tables.get(keys, -1) + 1
            section = (*keys, str(tables[keys]))
        elif line.startswith("["):
            section = keys
        here = section if line.startswith("[") else (*section, *keys)
        places.setdefault(here, number)
    return places


def _path_of(line: str) -> tuple[str, ...] | None:
    try:
        values: Any = tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        return None
    keys: list[str] = []
    while isinstance(values, dict | list) and values:
        if isinstance(values, list):
            values = values[0]
            continue
        key = next(iter(values))
        keys.append(key)
        values = values[key]
    return tuple(keys) or None


def _line(places: Mapping[tuple[str, ...], int], keys: tuple[str, ...]) -> int | None:
    ends = (keys[:length] for length in range(len(keys), 0, -1))
    return next((places[end] for end in ends if end in places), None)


def dumps(contract: Contract) -> str:
    """Return the contract as TOML text; `load` gives an equal contract back."""
    head = [HEADER]
    values = contract.model_dump(exclude_defaults=True, exclude={"columns", "expectations"})
    values = {"version": contract.version, "accepted": contract.accepted} | values
    values["min_rows"] = contract.min_rows
    head += [f"{name} = {_value(value)}" for name, value in values.items()]
    blocks = ["\n".join(head)]
    for name, column in contract.columns.items():
        said = {"role": column.role, "kind": column.kind}
        said |= column.model_dump(exclude_defaults=True, exclude={"role", "kind"})
        blocks.append(_table(f"[columns.{_string(name)}]", said))
    for custom in contract.expectations:
        said = {"type": custom.type, "kwargs": custom.kwargs, "severity": custom.severity}
        said |= {"note": custom.note} if custom.note else {}
        blocks.append(_table("[[expectations]]", said))
    return "\n\n".join(blocks) + "\n"


def write(text: str, path: Path | str) -> None:
    """Replace the file at `path` in one step."""
    file = Path(path)
    beside = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)


def _table(header: str, values: Mapping[str, Any]) -> str:
    return "\n".join([header, *(f"{name} = {_value(value)}" for name, value in values.items())])


def _value(value: Any) -> str:
    if isinstance(value, bool | str):
        return _string(value) if isinstance(value, str) else str(value).lower()
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, dict):
        inner = ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    items = [_value(item) for item in value]
    line = f"[{', '.join(items)}]"
    if len(line) <= WIDTH:
        return line
    return "[\n" + "".join(f"    {item},\n" for item in items) + "]"


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _string(name)


def _string(text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        msg = f"a contract is UTF-8 text, which cannot hold {shown(text)}"
        raise ValueError(msg) from None
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")
