"""What today's table needs that a contract does not allow yet, rule by rule.

- Only what the data does not fit is told: a margin that would come out otherwise today is none.
- Nothing is taken away: a level that is not seen any more, a column that is gone, is only named.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from expectations.column import Proposed
from expectations.failure import shown, written
from expectations.margins import alphabet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from expectations.column import Column
    from expectations.contract import Contract
    from expectations.propose import Proposal

Entry = Mapping[str, Any]
What = Literal["new column", "other kind", "wider", "new levels", "not seen", "gone"]
WIDER_KINDS = {
    "integer": ("number", "category"),
    "number": ("category",),
    "boolean": ("category",),
    "date": ("category",),
}
INFORMS = ("not seen", "gone")
"""Changes that nothing is proposed for."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """One rule that today's table does not fit, or that does not fit the table."""

    rule: str
    """`<column>.<rule>`; for a whole column `<column>.column`."""
    column: str
    what: What
    was: Mapping[str, Any] = field(default_factory=dict)
    now: Mapping[str, Any] = field(default_factory=dict)
    """The keys that would change, as the contract writes them."""
    why: str = ""
    """What was seen."""
    binds: bool = False
    """Whether the rule as it stands is accepted: the rows beyond it are set aside."""

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {**asdict(self), "was": _plain(self.was), "now": _plain(self.now)}

    @property
    def line(self) -> str:
        """The change in one line."""
        said = ", ".join(f"{key} {_values(value)}" for key, value in self.was.items())
        then = ", ".join(f"{key} {_values(value)}" for key, value in self.now.items())
        told = " -> ".join(part for part in (said, then) if part)
        return f"{shown(self.rule)}: {self.what}{f': {told}' if told else ''}"


def changes(old: Contract, new: Proposal, profile: Mapping[str, Any]) -> list[Change]:
    """Return what a proposal of today would add to a contract.

    Args:
        old: as it stands, with the settings' roles.
        new: proposed from the profile.
        profile: of today's table, read as the contract reads it.

    """
    entries = {entry["name"]: entry for entry in profile["columns"]}
    found: list[Change] = []
    for name, column in new.contract.columns.items():
        if name in old.columns:
            found += _column(name, old, column, entries[name], new.why)
            continue
        said = column.model_dump(exclude_defaults=True, exclude={"note"}) | {"kind": column.kind}
        found.append(Change(rule=f"{name}.column", column=name, what="new column", now=said))
    absent = [n for n in old.columns if n not in entries and old.columns[n].role != "ignored"]
    found += [Change(rule=f"{n}.column", column=n, what="gone", binds=True) for n in absent]
    return found


def proposed(found: list[Change], name: str) -> Proposed | None:
    """Return what a column's table in the file gets; None for nothing."""
    values: dict[str, Any] = {}
    for change in found:
        if change.column == name and change.what not in (*INFORMS, "new column"):
            values |= change.now
    return Proposed.model_validate(values) if values else None


def _column(
    name: str, old: Contract, new: Column, entry: Entry, why: Mapping[tuple[str, str], str]
) -> Iterator[Change]:
    column = old.columns[name]
    if column.role == "ignored" or column.kind == "ignored":
        return
    if new.kind in WIDER_KINDS.get(column.kind, ()) and column.role in ("feature", "target"):
        was, now = {"kind": column.kind}, {"kind": new.kind}
        seen = shown(entry.get("reason") or "", 200)
        yield Change(
            rule=f"{name}.kind",
            column=name,
            what="other kind",
            was=was,
            now=now,
            why=seen,
            binds=True,
        )
        if new.kind == "category":
            return
    for change in (
        _reach(name, column, new, entry),
        *_levels(name, column, entry),
        _length(name, column, new, entry),
        _alphabet(name, column, entry),
        _share(name, column, new, entry, why),
    ):
        if change is not None:
            rule: Any = change.rule.rpartition(".")[2]
            yield Change(**{**vars(change), "binds": old.severity(name, rule) == "critical"})


def _reach(name: str, column: Column, new: Column, entry: Entry) -> Change | None:
    was: dict[str, Any] = {}
    now: dict[str, Any] = {}
    low, high = (_seen(entry.get(key), column) for key in ("min", "max"))
    for key, value, bound, outside in (
        ("min", low, column.low, lambda v, b: v < b),
        ("max", high, column.high, lambda v, b: v > b),
    ):
        wider = getattr(new, key)
        if value is not None and bound is not None and wider is not None and outside(value, bound):
            was[key], now[key] = getattr(column, key), wider
    if not now:
        return None
    why = f"seen {written(entry['min'])} to {written(entry['max'])}"
    return Change(rule=f"{name}.range", column=name, what="wider", was=was, now=now, why=why)


def _seen(value: Any, column: Column) -> Any:
    if column.kind == "date":
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    return value if isinstance(value, int | float) else None


def _levels(name: str, column: Column, entry: Entry) -> Iterator[Change]:
    if column.levels is None:
        return
    counted = {str(level): int(count) for level, count in entry.get("levels") or ()}
    rule, fresh = f"{name}.levels", [level for level in counted if level not in column.levels]
    if fresh:
        more = "" if entry.get("levels_complete") else ", and others that were not counted"
        cells = sum(counted.values())
        why = ", ".join(f"{shown(level, 30)} {counted[level]:,}" for level in fresh[:10])
        why = f"cells of {cells:,}: {why}{f' and {len(fresh) - 10} more levels' if len(fresh) > 10 else ''}"
        now = {"levels": tuple(fresh)}
        yield Change(rule=rule, column=name, what="new levels", now=now, why=why + more)
    gone = tuple(level for level in column.levels if level not in counted)
    if gone and entry.get("levels_complete"):
        yield Change(rule=rule, column=name, what="not seen", was={"levels": gone})


def _length(name: str, column: Column, new: Column, entry: Entry) -> Change | None:
    longest = (entry.get("length") or {}).get("max")
    if column.max_length is None or not longest or longest <= column.max_length:
        return None
    now = {"max_length": max(new.max_length or 0, 2 * int(longest))}
    was, why = {"max_length": column.max_length}, f"the longest text has {longest:,} characters"
    return Change(rule=f"{name}.length", column=name, what="wider", was=was, now=now, why=why)


def _alphabet(name: str, column: Column, entry: Entry) -> Change | None:
    """Only codes have few characters; others are told by the rows that break the rule."""
    fits = re.compile(column.character_class or "").fullmatch
    if column.alphabet is None or not entry.get("characters"):
        return None
    strange = "".join(c for c in entry["characters"] if not fits(c))
    if not strange:
        return None
    more = alphabet(strange) or strange
    hyphen = "-" if more.endswith("-") or column.alphabet.endswith("-") else ""
    now = {"alphabet": f"{column.alphabet.rstrip('-')}{more.rstrip('-')}{hyphen}"}
    was, why = {"alphabet": column.alphabet}, f"characters seen beside them: {strange}"
    rule = f"{name}.alphabet"
    return Change(rule=rule, column=name, what="wider", was=was, now=now, why=why)


def _share(
    name: str, column: Column, new: Column, entry: Entry, why: Mapping[tuple[str, str], str]
) -> Change | None:
    share = entry.get("missing_share") or 0.0
    if column.missing_share is None or share <= column.missing_share:
        return None
    now = {"missing_share": 1.0 if new.missing_share is None else new.missing_share}
    said = why.get((name, "missing_share"), f"{share:.2%} of the cells are missing")
    was = {"missing_share": column.missing_share}
    return Change(
        rule=f"{name}.missing_share", column=name, what="wider", was=was, now=now, why=said
    )


def _values(value: Any) -> str:
    if isinstance(value, list | tuple):
        more = f" and {len(value) - 5} more" if len(value) > 5 else ""
        return ", ".join(shown(item, 30) for item in value[:5]) + more
    return shown(value)


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        k: v if isinstance(v, int | float | list | tuple) else str(v) for k, v in values.items()
    }
