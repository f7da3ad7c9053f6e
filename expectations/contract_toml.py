"""Reading a contract's TOML file: what is wrong is refused with file, line and key.

- Every problem of a file is listed at once, each with the nearest right name.
- `contract_text.py` writes such files, `contract_edit.py` changes those that a person has edited.
"""

from __future__ import annotations

import difflib
import importlib.util
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from pydantic import ValidationError

from expectations.acceptance import Acceptance
from expectations.column import Column
from expectations.contract import Contract, Custom
from expectations.cross import Rule
from expectations.failure import shown
from expectations.toml_lines import names_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LARGEST_FILE = 20_000_000  # bytes; 5,000 columns with 50 levels each stay below
PROBLEMS_SHOWN = 10


def load(path: Path | str) -> Contract:
    """Read the contract in `path`.

    Raises:
        ValueError: the file cannot be read, is not a contract, or contradicts itself; every
            problem is listed with its line, what was found, and the nearest right name.

    """
    file = Path(path)
    return loads(_read(file), str(file))


def loads(text: str, file: str = "the contract") -> Contract:
    """Read a contract's text; ValueError as `load` gives it, with `file` as its name."""
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
    plain = {name.replace("_", "") for name in known}  # chi_square lies in chisquare.py
    problems = []
    for number, custom in enumerate(contract.expectations):
        if custom.name.replace("_", "") not in plain:
            said = f"Great Expectations has no {custom.type!r}{_nearest(custom.name, known)}"
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
    if len(location) == 0:
        return (), Contract.model_fields
    if location[:1] == ("columns",) and len(location) > 2:
        return location[:3], Column.model_fields
    listed: dict[str, Mapping[str, Any]] = {"expectations": Custom.model_fields}
    listed |= {"rules": Rule.model_fields, "acceptances": Acceptance.model_fields}
    if location[0] in listed and len(location) > 2:
        return location[:3], listed[location[0]]
    top = 1 if location[0] not in ("columns", *listed) else 2
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
    return names_of(values) or None


def _line(places: Mapping[tuple[str, ...], int], keys: tuple[str, ...]) -> int | None:
    ends = (keys[:length] for length in range(len(keys), 0, -1))
    return next((places[end] for end in ends if end in places), None)
