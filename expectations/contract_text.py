"""Writing a contract as a TOML file: readable, and in a stable order.

- One `[columns."name"]` table per column; names in any script, with quotes or newlines, round-trip.
- What has its default value is not written, so a difference between two files is a difference.
- A proposal states its margins in a comment above each rule.
"""

from __future__ import annotations

import json
import os
import re
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expectations.failure import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from expectations.contract import Contract

WIDTH = 96  # characters of a line; longer lists take a line per item
LONGEST_COMMENT = 300
TABLES = ("history", "freshness")
LISTS = ("rules", "expectations", "acceptances")

HEADER = """\
# The contract: what must be true of the table before a model learns from it.
#
# The columns, their kinds, the target and emptiness are critical from the start: bad rows are set
# aside (up to data.max_fraction of the settings), a bad table is refused. Proposed ranges, levels
# and missing shares only warn while accepted = false. Read them, correct them, then
#   penstock contract accept SETTINGS      (or --rule age.range, or --column age)
# `penstock contract propose` adds what newer data needs and changes nothing that stands here.
# A single rule binds or warns by hand: severity = { range = "critical" }.
#
# Rules over several columns of a row, and any Great Expectations expectation of the whole table:
#   [[rules]]
#   check = 'if status = "paid" then amount present'
#   [[expectations]]
#   type = "expect_column_mean_to_be_between"
#   kwargs = { column = "age", min_value = 20, max_value = 60 }
#   severity = "warning"
"""


def dumps(contract: Contract, comments: Mapping[tuple[str, str], str] | None = None) -> str:
    """Return the contract as TOML text; `load` gives an equal contract back.

    Args:
        contract: what is written.
        comments: why a value is what it is, by (column, key).

    """
    apart = {"columns", *TABLES, *LISTS}
    values = contract.model_dump(exclude_defaults=True, exclude=apart)
    values = {"version": contract.version, "accepted": contract.accepted} | values
    values["min_rows"] = contract.min_rows
    head = [HEADER, *(f"{name} = {toml(value)}" for name, value in values.items())]
    blocks = ["\n".join(head)]
    said = {name: getattr(contract, name) for name in TABLES}
    blocks += [
        table(f"[{name}]", part.model_dump(exclude_defaults=True))
        for name, part in said.items()
        if part is not None
    ]
    blocks += [column_block(contract, name, comments) for name in contract.columns]
    for name in LISTS:
        for part in getattr(contract, name):
            blocks.append(table(f"[[{name}]]", _listed(name, part.model_dump())))
    return "\n\n".join(blocks) + "\n"


def column_block(
    contract: Contract, name: str, comments: Mapping[tuple[str, str], str] | None = None
) -> str:
    """Return one column as a table of TOML."""
    column = contract.columns[name]
    said = {"role": column.role, "kind": column.kind}
    said |= column.model_dump(exclude_defaults=True, exclude={"role", "kind"})
    why = {key: text for (of, key), text in (comments or {}).items() if of == name}
    return table(f"[columns.{string(name)}]", said, why)


def _listed(name: str, values: dict[str, Any]) -> dict[str, Any]:
    """What is written of an entry: always what makes it readable, else what is not the default."""
    always = {"rules": ("check",), "expectations": ("type", "kwargs", "severity")}
    kept = always.get(name, ())
    return {k: v for k, v in values.items() if k in kept or v not in (None, "", "both", "critical")}


def write(text: str, path: Path | str) -> None:
    """Replace the file at `path` in one step."""
    file = Path(path)
    beside = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)


def table(header: str, values: Mapping[str, Any], comments: Mapping[str, str] | None = None) -> str:
    """Return one table of TOML, a comment above each value that has one."""
    lines = [header]
    for name, value in values.items():
        if why := (comments or {}).get(name):
            lines.append(f"# {shown(why, LONGEST_COMMENT)}")
        lines.append(f"{name} = {toml(value)}")
    return "\n".join(lines)


def toml(value: Any) -> str:
    """Return a value as TOML."""
    if isinstance(value, bool | str):
        return string(value) if isinstance(value, str) else str(value).lower()
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, dict):
        inner = ", ".join(f"{_key(k)} = {toml(v)}" for k, v in value.items() if v is not None)
        return f"{{ {inner} }}" if inner else "{}"
    items = [toml(item) for item in value]
    line = f"[{', '.join(items)}]"
    if len(line) <= WIDTH:
        return line
    return "[\n" + "".join(f"    {item},\n" for item in items) + "]"


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else string(name)


def string(text: str) -> str:
    """Return a text as a quoted TOML string."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        msg = f"a contract is UTF-8 text, which cannot hold {shown(text)}"
        raise ValueError(msg) from None
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")
