"""A first contract from a profile: generous, so that it warns of what is new and not of noise.

- How far each rule reaches is `margins.py`'s, and is said in the file above the rule.
- Identifiers, free text, constants and empty columns are ignored, and say why in a note.
- Kinds, the target and emptiness bind at once; all of the above only warns until accepted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from pydantic import ValidationError

from expectations import margins
from expectations.column import KINDS_OF_ROLE, NUMERIC, Column
from expectations.contract import Contract
from expectations.failure import shown

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A contract that nobody has read yet."""

    contract: Contract
    why: Mapping[tuple[str, str], str]
    """The margin of each rule in words, by column and key."""


def propose(
    profile: Mapping[str, Any],
    *,
    target: str | None = None,
    roles: Mapping[str, str] | None = None,
    hints: Mapping[str, str] | None = None,
) -> Proposal:
    """Return a contract that the profiled table meets, with its margins in words.

    Args:
        profile: what `flows.analyze` wrote: columns with kind, role, range, levels, reading.
        target: the column to be predicted; left out: the profile's.
        roles: by column name; they win over the profile's.
        hints: notes for people by column name, beside what the profile says.

    Raises:
        ValueError: a column cannot have the role it was given.

    """
    given: dict[str, str] = {**(roles or {})} | ({target: "target"} if target else {})
    names = [entry["name"] for entry in profile["columns"]]
    if target is not None and target not in names:
        listed = ", ".join(shown(n) for n in names[:20])
        msg = f"the target must be a column of the table, found {shown(target)}; it has {listed}"
        raise ValueError(msg)
    columns: dict[str, Column] = {}
    why: dict[tuple[str, str], str] = {}
    for entry in profile["columns"]:
        name = entry["name"]
        role = given.get(name) or entry.get("role") or "feature"
        values, said = _column(profile, entry, role)
        why |= {(name, key): text for key, text in said.items()}
        if note := (hints or {}).get(name):
            values["note"] = note
        try:
            columns[name] = Column.model_validate(values)
        except ValidationError as error:
            said = error.errors()[0]["msg"].removeprefix("Value error, ")
            msg = f"column {shown(name)}: {said}; declare how it is read in the settings, "
            msg += f"[data.columns.{shown(name)}]"
            raise ValueError(msg) from None
    return Proposal(contract=Contract(columns=columns, unique=_unique(profile, columns)), why=why)


def _column(profile: Mapping[str, Any], entry: Mapping[str, Any], role: str) -> margins.Margins:
    kind, rows = entry["kind"], profile.get("rows") or 0
    values = {"role": role, "kind": kind} | _reading(entry)
    if role == "target":
        rules, why = _target_rules(profile, entry)
        return values | {"kind": _target_kind(profile, entry)} | rules, why
    if role in ("id", "group"):
        kept = {k: v for k, v in _reading(entry).items() if k == "missing"}
        rules, why = margins.length(entry) if entry.get("levels") else ({}, {})
        return {"role": role, "kind": "text"} | kept | rules, why
    if role == "weight":
        return values | {"min": 0, "strict_min": True, "severity": {"range": "critical"}}, {}
    if role == "time":
        return values | ({"zone": entry["zone"]} if entry.get("zone") else {}), {}
    if role != "feature" or kind not in KINDS_OF_ROLE["feature"] or _useless(entry):
        if kind not in get_args(Column.model_fields["kind"].annotation):
            kind = "ignored"
        return {"role": "ignored", "kind": kind, "note": _why(entry, role)} | _reading(entry), {}
    rules, why = margins.rules(entry, rows)
    return values | rules, why


def _reading(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Copy how the cells are read, where it is not the default."""
    kind = entry["kind"]
    found: dict[str, Any] = {"missing": tuple(entry.get("missing_tokens") or ())}
    if kind in NUMERIC:
        decimal, thousands = entry.get("decimal"), entry.get("thousands")
        found |= {"decimal": None if decimal == "." else decimal, "thousands": thousands}
    if kind == "date":
        found["format"] = entry.get("format")
    if kind == "boolean":
        found |= {"true": tuple(entry.get("true") or ()), "false": tuple(entry.get("false") or ())}
    return {name: value for name, value in found.items() if value}


def _target_kind(profile: Mapping[str, Any], entry: Mapping[str, Any]) -> str:
    kind = (profile.get("target") or {}).get("kind") or entry["kind"]
    return kind if kind in KINDS_OF_ROLE["target"] else "category"


def _target_rules(profile: Mapping[str, Any], entry: Mapping[str, Any]) -> margins.Margins:
    target = profile.get("target") or {}
    classes = target.get("classes") or []
    if classes and target.get("classes_complete", True) and len(classes) <= margins.MOST_LEVELS:
        why = {"levels": f"{len(classes)} labels; the rarest has {classes[-1][1]:,} rows"}
        return {"levels": tuple(sorted(str(label) for label, _ in classes))}, why
    return margins.reach(entry) if _target_kind(profile, entry) in NUMERIC else ({}, {})


def _useless(entry: Mapping[str, Any]) -> bool:
    flags = entry.get("flags") or ()
    return not entry.get("given") and bool({"constant", "identifier", "row_number"} & set(flags))


def _why(entry: Mapping[str, Any], role: str) -> str:
    if role == "ignored" and entry.get("role") == "ignored":
        return "dropped in the settings"
    reasons = {
        "constant": "constant: every cell holds the same",
        "row_number": "counts the rows",
        "identifier": "identifies rows: nearly every cell is different",
        "high_cardinality": "free text or an identifier: too many different values",
    }
    flags = entry.get("flags") or ()
    said = next((text for flag, text in reasons.items() if flag in flags), "")
    if entry.get("seen") == "empty":
        said = "empty: no row has a cell"
    return shown(said or entry.get("reason") or f"kind {entry['kind']} is never a feature", 200)


def _unique(profile: Mapping[str, Any], columns: Mapping[str, Column]) -> tuple[str, ...]:
    """Return the id where no two rows share it; an id of several columns is not looked at."""
    ids = [entry for entry in profile["columns"] if columns[entry["name"]].role == "id"]
    rows = profile.get("rows") or 0
    if len(ids) == 1 and rows and ids[0].get("distinct") == rows:
        return (ids[0]["name"],)
    return ()
