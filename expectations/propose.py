"""A first contract from a profile: generous, so that it warns of what is new and not of noise.

- Numbers may reach half their observed span further on both sides, but no new sign; dates a span
  back and five years on; categories with few levels may hold those; shares get slack.
- Identifiers, free text, constants and empty columns are ignored, and say why in a note.
- Kinds, the target and emptiness bind at once; all of the above only warns until accepted.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeGuard, get_args

from pydantic import ValidationError

from expectations.column import KINDS_OF_ROLE, NUMERIC, Column
from expectations.contract import Contract
from expectations.failure import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_LEVELS = 50  # a column with more levels is open-ended
LEAST_PER_LEVEL = 5  # cells per level on average, below which new levels are to be expected
WIDER = 0.5  # of the observed span, on each side
YEARS_AHEAD = 5  # tables grow with time
SLACK = 0.05  # of all rows, on top of half as many missing cells again as were seen
LONGER = 2  # times the longest text seen


def propose(
    profile: Mapping[str, Any],
    *,
    target: str | None = None,
    roles: Mapping[str, str] | None = None,
    hints: Mapping[str, str] | None = None,
) -> Contract:
    """Return a contract that the profiled table meets.

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
    for entry in profile["columns"]:
        name = entry["name"]
        values = _column(profile, entry, given.get(name) or entry.get("role") or "feature")
        if note := (hints or {}).get(name):
            values["note"] = note
        try:
            columns[name] = Column.model_validate(values)
        except ValidationError as error:
            said = error.errors()[0]["msg"].removeprefix("Value error, ")
            msg = f"column {shown(name)}: {said}; declare how it is read in the settings, "
            msg += f"[data.columns.{shown(name)}]"
            raise ValueError(msg) from None
    return Contract(columns=columns, unique=_unique(profile, columns))


def _column(profile: Mapping[str, Any], entry: Mapping[str, Any], role: str) -> dict[str, Any]:
    kind = entry["kind"]
    values = {"role": role, "kind": kind} | _reading(entry)
    if role == "target":
        return values | {"kind": _target_kind(profile, entry)} | _target_rules(profile, entry)
    if role in ("id", "group"):
        return {"role": role, "kind": "text"} | {
            k: v for k, v in _reading(entry).items() if k == "missing"
        }
    if role == "weight":
        return values | {"min": 0, "strict_min": True, "severity": {"range": "critical"}}
    if role == "time":
        return values
    if role != "feature" or kind not in KINDS_OF_ROLE["feature"] or _useless(entry):
        if kind not in get_args(Column.model_fields["kind"].annotation):
            kind = "ignored"
        return {"role": "ignored", "kind": kind, "note": _why(entry, role)} | _reading(entry)
    return values | _rules(entry)


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


def _target_rules(profile: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    target = profile.get("target") or {}
    classes = target.get("classes") or []
    if classes and target.get("classes_complete", True) and len(classes) <= MOST_LEVELS:
        return {"levels": tuple(sorted(str(label) for label, _ in classes))}
    return _range(entry) if _target_kind(profile, entry) in NUMERIC else {}


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


def _rules(entry: Mapping[str, Any]) -> dict[str, Any]:
    kind = entry["kind"]
    rules: dict[str, Any] = {}
    if kind in NUMERIC:
        rules |= _range(entry)
    elif kind == "date":
        rules |= _period(entry)
    elif kind == "category":
        rules |= _levels(entry)
    share = entry.get("missing_share") or 0.0
    allowed = math.ceil((1.5 * share + SLACK) * 100) / 100
    return rules | ({"missing_share": allowed} if allowed < 1 else {})


def _range(entry: Mapping[str, Any]) -> dict[str, Any]:
    low, high = entry.get("min"), entry.get("max")
    if not _is_number(low) or not _is_number(high) or low == high == 0:
        return {}
    span = (high - low) or abs(high) or 1.0
    floor, ceiling = (
        _rounded(low - WIDER * span, math.floor),
        _rounded(high + WIDER * span, math.ceil),
    )
    floor = max(floor, 0) if low >= 0 else floor
    ceiling = min(ceiling, 0) if high <= 0 else ceiling
    low, high = min(floor, low), max(ceiling, high)
    if entry["kind"] == "integer" or (float(low).is_integer() and float(high).is_integer()):
        low, high = int(low), int(high)
    return {"min": low, "max": high}


def _is_number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _rounded(value: float, towards: Any) -> int | float:
    """Round outwards to two digits, so that a person reads 150 and not 148.73."""
    if value == 0 or not math.isfinite(value):
        return 0
    digits = 1 - math.floor(math.log10(abs(value)))
    if digits <= 0:
        step = 10**-digits
        return int(towards(value / step)) * step
    scaled = round(value * 10.0**digits, 6)  # 1.5e-9 * 1e10 is not quite 15
    return float(f"{towards(scaled)}e{-digits}")


def _period(entry: Mapping[str, Any]) -> dict[str, Any]:
    try:
        low = datetime.fromisoformat(entry["min"])
        high = datetime.fromisoformat(entry["max"])
        ahead = max(high - low, timedelta(days=366 * YEARS_AHEAD))
        first, last = low - (high - low), high + ahead
    except (KeyError, TypeError, ValueError, OverflowError):
        return {}
    return {
        "min": first.date().replace(month=1, day=1),
        "max": last.date().replace(month=12, day=31),
    }


def _levels(entry: Mapping[str, Any]) -> dict[str, Any]:
    levels = [str(level) for level, _ in entry.get("levels") or []]
    cells = sum(count for _, count in entry.get("levels") or [])
    few = entry.get("levels_complete") and 0 < len(levels) <= MOST_LEVELS
    if few and cells >= LEAST_PER_LEVEL * len(levels):
        return {"levels": tuple(sorted(set(levels)))}
    longest = (entry.get("length") or {}).get("max")
    return {"max_length": max(LONGER * int(longest), 10)} if longest else {}


def _unique(profile: Mapping[str, Any], columns: Mapping[str, Column]) -> tuple[str, ...]:
    """Return the id where no two rows share it; an id of several columns is not looked at."""
    ids = [entry for entry in profile["columns"] if columns[entry["name"]].role == "id"]
    rows = profile.get("rows") or 0
    if len(ids) == 1 and rows and ids[0].get("distinct") == rows:
        return (ids[0]["name"],)
    return ()
