"""Parts whose columns differ: old names mapped to new ones, gaps filled where the settings say so.

- `[data.columns."new name"] aliases = ["old name"]`: a part with an old name is read as if it had
  the new one. A part with both is refused: which of them is meant, nobody can know.
- `data.columns_differ = "fill"`: a part without a column has missing cells there, which is said,
  with its rows. A column that is dropped need not be in every part.
- Else the parts are refused with what each lacks and adds, and the lines that would map it.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from expectations.failure import Failure, describe, shown
from flows.errors import DataRefused
from flows.failed import refuse
from flows.settings_text import key_text, value_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from flows.data_spec import DataSpec

TOLD = 5


@dataclass(frozen=True, kw_only=True)
class Agreed:
    """The columns of all parts, and how each part comes to them."""

    names: list[str]
    renames: list[dict[str, str]]
    """Old name -> new name, for each part."""
    parts: Sequence[tuple[str, list[str]]] = ()
    """Name and columns of each part."""

    def table(self, place: int, table: pa.Table, names: Sequence[str] = ()) -> pa.Table:
        """Return the table of the part at `place` with these columns, or all, in order."""
        import pyarrow as pa

        renames, wanted = self.renames[place], list(names or self.names)
        table = table.rename_columns([renames.get(name, name) for name in table.column_names])
        there = frozenset(table.column_names)  # which Arrow makes anew each time
        for name in (name for name in wanted if name not in there):
            table = table.append_column(name, pa.nulls(table.num_rows, pa.string()))
        return table.select(wanted)

    def said(self, rows: Sequence[int]) -> list[str]:
        """Say which parts had old names, and which columns were filled; `rows` of each part."""
        return _notes(self.parts, self.renames, self.names, rows)


def agree(
    parts: Sequence[tuple[str, list[str]]],
    data: DataSpec,
    *,
    key: str = "data.source",
    newest: int = 0,
) -> Agreed:
    """Return how parts come to one set of columns.

    Args:
        parts: name and columns of each part, in order.
        data: for aliases, `columns_differ` and dropped columns.
        key: the settings key that named the source.
        newest: which part the others are compared with.

    Raises:
        DataRefused: parts differ in a way that the settings do not say anything about.

    """
    renames = [_renames(name, columns, data) for name, columns in parts]
    found = [
        [old_new.get(column, column) for column in columns]
        for (_, columns), old_new in zip(parts, renames, strict=True)
    ]
    names = list(found[newest])
    if data.columns_differ == "fill":
        names = list(dict.fromkeys([*names, *(name for columns in found for name in columns)]))
    else:
        names += [n for columns in found for n in columns if n in data.drop and n not in names]
        names = list(dict.fromkeys(names))
    optional = set(names) if data.columns_differ == "fill" else set(data.drop)
    failures = [
        failure
        for (name, _), columns in zip(parts, found, strict=True)
        for failure in differences(name, columns, parts[newest][0], names, optional)
    ]
    if failures:
        said = _lines(found, names, optional) + _said_skipped(data)
        text = f"{key}: parts must have one set of columns:\n{describe(failures)}{said}"
        raise DataRefused(text, failures)
    return Agreed(names=names, renames=renames, parts=parts)


def aliases_of(data: DataSpec) -> dict[str, str]:
    """Return old name -> new name, as the settings say."""
    return {old: new for new, column in data.columns.items() for old in column.aliases}


def kept_aliases(data: DataSpec) -> dict[str, Any]:
    """Return what scoring has to know of old names, as keys of `[data]`."""
    columns = {n: {"aliases": list(c.aliases)} for n, c in data.columns.items() if c.aliases}
    kept: dict[str, Any] = {"columns": columns} if columns else {}
    return kept | ({"columns_differ": "fill"} if data.columns_differ == "fill" else {})


def _renames(name: str, columns: list[str], data: DataSpec) -> dict[str, str]:
    found = {old: new for old, new in aliases_of(data).items() if old in columns}
    for new in sorted(set(found.values())):
        both = [old for old, to in found.items() if to == new]
        if new in columns or len(both) > 1:
            listed = " and ".join(map(shown, [*([new] if new in columns else []), *both]))
            message = f"{shown(name)} has {listed}, which data.columns says are one column"
            raise refuse("parts.aliases", message, "take the alias out, or the column")
    return found


def differences(
    name: str,
    here: list[str],
    first: str,
    names: list[str],
    optional: set[str] = frozenset(),  # pyright: ignore[reportArgumentType]
) -> list[Failure]:
    """Return how the columns `here` of one part differ from those of the first."""
    missing = [n for n in names if n not in here and n not in optional]
    extra = [n for n in here if n not in names and n not in optional]
    if not missing and not extra:
        return []
    said = [f"lacks {', '.join(map(shown, missing[:5]))}"] if missing else []
    said += [f"adds {', '.join(map(shown, extra[:5]))}"] if extra else []
    return [
        Failure(
            rule="parts.columns",
            column=(missing or extra)[0],
            count=len(missing) + len(extra),
            total=len(names),
            message=f"{shown(name)} {' and '.join(said)}, compared with {shown(first)}",
            advice="leave the part out, or give it the same columns",
        )
    ]


def plain(name: str) -> str:
    """Return a name without case, blanks and signs: what two spellings share."""
    return re.sub(r"[\W_]+", "", name.casefold())


def likely(extra: Sequence[str], missing: Sequence[str]) -> dict[str, str]:
    """Return old name -> new name for columns that seem to have been renamed."""
    spelled = {plain(new): new for new in missing}
    found = {old: spelled[plain(old)] for old in extra if plain(old) in spelled}
    rest = [new for new in missing if new not in found.values()]
    for old in (old for old in extra if old not in found):
        near = difflib.get_close_matches(
            old.casefold(), [n.casefold() for n in rest], n=1, cutoff=0.6
        )
        if near:
            new = next(n for n in rest if n.casefold() == near[0])
            found[old] = new
            rest.remove(new)
    return found


def _lines(found: Sequence[list[str]], names: list[str], optional: set[str]) -> str:
    """Return the settings that would let differing parts pass."""
    renamed: dict[str, str] = {}
    for columns in found:
        missing = [n for n in names if n not in columns and n not in optional]
        renamed |= likely([n for n in columns if n not in names and n not in optional], missing)
    lines = [
        f"\n  [data.columns.{key_text(new)}] aliases = {value_text(olds)}"
        for new, olds in list(_by_new(renamed).items())[:TOLD]
    ]
    head = "\nif these are old and new names of one column, say so:" if lines else ""
    tail = '\ncolumns that some parts lack can be filled with missing cells: data.columns_differ = "fill"'
    return head + "".join(lines) + tail


def _said_skipped(data: DataSpec) -> str:
    if not data.skip_lines:
        return ""
    return (
        f"\nin every part, data.skip_lines = {data.skip_lines} passes over what stands above the "
        "header: one that has not so many lines there has lost its header"
    )


def _by_new(renamed: Mapping[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for old, new in renamed.items():
        found.setdefault(new, []).append(old)
    return found


def _notes(
    parts: Sequence[tuple[str, list[str]]],
    renames: Sequence[dict[str, str]],
    names: list[str],
    rows: Sequence[int],
) -> list[str]:
    found = [
        {old_new.get(column, column) for column in columns}
        for (_, columns), old_new in zip(parts, renames, strict=True)
    ]
    mapped = Counter((old, new) for renamed in renames for old, new in renamed.items())
    notes = [
        f"{count:,} of {len(parts):,} parts have {shown(old)}, read as {shown(new)}"
        for (old, new), count in mapped.items()
    ]
    for name in names:
        without = [place for place, columns in enumerate(found) if name not in columns]
        if without:
            counted = f", {sum(rows[p] for p in without):,} rows" if rows else ""
            said = f"{shown(name)} is missing in {len(without):,} of {len(parts):,} parts{counted}"
            notes.append(f"{said}, first in {shown(parts[without[0]][0])}")
    return notes
