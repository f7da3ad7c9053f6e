"""What `init` proposes of a source beside how its text is written: derived columns, old names, gaps.

- A derived target: the columns that it is made from are dropped, as the features would hold the
  answer; who knows one of them when a row is scored takes it out again.
- Parts whose columns differ: names that differ in spelling alone are mapped; what some parts lack
  is filled with missing cells. Both are said, with counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from expectations.failure import shown
from flows.aliases import plain
from flows.data_spec import DataSpec
from flows.derive import formulas, sources
from flows.errors import SettingsError
from flows.formula_parse import FormulaError
from flows.parts import find_parts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from flows.settings_text import Draft
    from flows.spec import Spec

TOLD = 5


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a person says of the source on the command line."""

    derive: Sequence[str] = ()
    """`name = formula`, one per derived column."""
    query: str | None = None
    sheet: str | None = None
    skip_lines: int | None = None
    """Lines above the header; None: as found."""

    @property
    def formulas(self) -> dict[str, str]:
        """Formula by name.

        Raises:
            SettingsError: one is not written `name = formula`, or is no formula.

        """
        found: dict[str, str] = {}
        for text in self.derive:
            name, sign, formula = text.partition("=")
            if not sign or not name.strip() or formula.startswith("="):
                msg = f"--derive takes 'name = formula', such as 'tipped = tips > 0.2 * fare', found {text!r}"
                raise SettingsError(msg)
            found[name.strip()] = formula.strip()
        try:
            formulas(found)
        except FormulaError as error:
            msg = f"--derive {error.name}: {error}"
            raise SettingsError(msg) from None
        return found

    @property
    def options(self) -> dict[str, Any]:
        """The keys of `[data]` that are said."""
        sheet = int(self.sheet) if self.sheet and self.sheet.isdecimal() else self.sheet
        said = {"query": self.query, "sheet": sheet, "skip_lines": self.skip_lines}
        said |= {"derive": self.formulas or None}
        return {key: value for key, value in said.items() if value is not None}


@dataclass(kw_only=True)
class Mapped:
    """How parts that differ come to one set of columns."""

    columns: dict[str, dict[str, Any]] = field(default_factory=dict)
    """`[data.columns."name"]` by column."""
    options: dict[str, Any] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)


def mapped(entry: str, folder: Path, options: Mapping[str, Any]) -> Mapped:
    """Return what the settings must say so that the parts of a source have one set of columns."""
    from flows.chunks import stream_of

    data = DataSpec(source=entry, target="-", **options)
    parts = find_parts(entry, folder=folder, data=data)
    found = Mapped()
    if len(parts) < 2 or parts[0].kind in ("sklearn", "function"):
        return found
    heads = [stream_of(part, data).schema.names for part in parts]
    if all(set(head) == set(heads[0]) for head in heads):
        return found
    newest = heads[-1 if parts[-1].date else 0]
    spelled = {plain(name): name for name in newest}
    others = {name for head in heads for name in head if name not in newest}
    for old in sorted(others):
        new = spelled.get(plain(old))
        if new and not any(old in head and new in head for head in heads):
            found.columns.setdefault(new, {}).setdefault("aliases", []).append(old)
    known: dict[str, str] = {
        old: new for new, keys in found.columns.items() for old in keys["aliases"]
    }
    found.said += [
        f"{shown(old)} is read as {shown(new)}: spelled alike" for old, new in known.items()
    ]
    clean = [{known.get(name, name) for name in head} for head in heads]
    every: list[Any] = list(dict.fromkeys(name for names in clean for name in names))
    absent = sorted(name for name in every if any(name not in names for names in clean))
    if absent:
        found.options["columns_differ"] = "fill"
        listed = ", ".join(map(shown, absent[:TOLD])) + (", ..." if len(absent) > TOLD else "")
        found.said.append(
            f'columns_differ = "fill": not every part has {listed}; map those that were renamed by '
            "[data.columns.NAME] aliases"
        )
    return found


def with_derived(table: pd.DataFrame, spec: Spec, profile: Mapping[str, Any]) -> pd.DataFrame:
    """Return a raw table with what formulas make of it, as the profile reads its columns."""
    from models.served import read

    if not spec.data.formulas:
        return table
    seen = {column["name"]: column for column in profile["columns"]}
    needed = {name for formula in spec.data.formulas for name in formula.uses} - {*spec.data.derive}
    keys = ("name", "decimal", "thousands", "unit", "format", "true", "false")
    entries = [
        {key: seen[name][key] for key in keys if seen[name].get(key)}
        | {"kind": seen[name]["kind"], "missing": seen[name].get("missing_tokens") or []}
        for name in sorted(needed)
    ]
    formulas_ = [formula.entry() for formula in spec.data.formulas]
    schema = {"missing": list(spec.data.missing), "columns": entries, "formulas": formulas_}
    made = read(table, schema)[0]
    return table.assign(**{name: made[name].to_numpy() for name in spec.data.derive})


def without_answers(draft: Draft) -> list[str]:
    """Drop the columns that a derived target is made from; return what to say of it."""
    derive = draft.data.get("derive") or {}
    if draft.data["target"] not in derive:
        return []
    behind = sorted(sources(formulas(derive), draft.data["target"]))
    draft.data["drop"] = [*dict.fromkeys([*draft.data.get("drop", []), *behind])]
    listed = ", ".join(map(shown, behind))
    return [
        (
            f"dropped {listed}: the target is made from {'it' if len(behind) == 1 else 'them'}; take one "
            "out of data.drop if it is known when a row is scored"
        )
    ]
