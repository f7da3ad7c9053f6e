"""Changing a contract's file: what is proposed is written into it, what is accepted binds.

- Only machine-made keys are touched (`proposed`, `accepted`, and on acceptance the values that were
  proposed); comments, order, notes and severities of people stay as they are.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from expectations.contract_changes import Change, proposed
from expectations.contract_text import column_block, table
from expectations.failure import shown
from expectations.toml_lines import DROP, Edit, edited

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from expectations.column import Proposed
    from expectations.contract import Contract
    from expectations.propose import Proposal

KEYS = {
    "range": ("min", "max"),
    "levels": ("levels",),
    "length": ("max_length",),
    "alphabet": ("alphabet",),
    "missing_share": ("missing_share",),
    "kind": ("kind",),
}
"""The keys of `proposed` that belong to a rule."""
ALL = "everything"
NUMBERS_OWN = (
    *("min", "max", "strict_min", "strict_max", "decimal", "thousands"),
    *("format", "zone", "true", "false"),
)
"""Keys that a column loses when it turns out to be a category."""


def with_proposal(
    text: str,
    old: Contract,
    new: Proposal,
    found: list[Change],
    tables: Mapping[str, Mapping[str, Any]],
) -> str:
    """Return a contract's text with today's proposal written beside what stands.

    Args:
        text: the file.
        old: what it says.
        new: today's proposal, for the columns that the file does not name.
        found: the changes, as `contract_changes.changes` tells them.
        tables: to be added at the end, by name.

    """
    edits: list[Edit] = []
    waits = {"accepted": False} if old.accepted else {}
    blocks = [table(f"[{name}]", {**values, **waits}) for name, values in tables.items()]
    for name, column in old.columns.items():
        wanted = proposed(found, name)
        if wanted != column.proposed:
            said = wanted.model_dump(exclude_defaults=True) if wanted else DROP
            why = "; ".join(c.why for c in found if c.column == name and c.now and c.why)
            edits.append(Edit(path=("columns", name, "proposed"), value=said, comment=why))
    for change in found:
        if change.what == "new column":
            block = column_block(new.contract, change.column, new.why)
            blocks.append(f"{block}\naccepted = false" if waits else block)
    return edited(text, edits, blocks)


@dataclass(kw_only=True)
class _Taken:
    """What one acceptance changes."""

    edits: list[Edit] = field(default_factory=list)
    rules: list[str] = field(default_factory=list)


def with_acceptance(
    text: str,
    contract: Contract,
    *,
    by: str,
    because: str = "",
    rules: Sequence[str] = (),
    columns: Sequence[str] = (),
    now: datetime | None = None,
) -> tuple[str, list[str]]:
    """Return a contract's text in which rules bind that only warned, and their ids.

    Args:
        text: the file.
        contract: what it says.
        by: who accepts.
        because: why, in their words.
        rules: ids such as `age.range`; with no columns either: everything.
        columns: names; all their rules.
        now: when; left out: now.

    Raises:
        ValueError: a rule or a column is not in the contract, or everything is accepted already.

    """
    from expectations.contract_toml import loads

    steps = [partial(_whole_column, name=name) for name in columns]
    steps += [partial(_one_rule, rule=rule) for rule in rules]
    made, accepted = text, []
    for step in steps or [_everything]:
        taken = _Taken()
        step(loads(made), taken=taken)
        made = edited(made, taken.edits)
        accepted += taken.rules
    if not accepted:
        raise ValueError("everything asked for is accepted already")
    moment = (now or datetime.now(UTC)).replace(microsecond=0)
    record = {"version": contract.number + 1, "at": moment, "by": by, "what": tuple(accepted)}
    record |= {"digest": loads(made).digest()} | ({"because": because} if because else {})
    return edited(made, [], [table("[[acceptances]]", record)]), accepted


def open_rules(contract: Contract, name: str) -> list[str]:
    """Return the ids of a column's rules that only warn, or have something proposed."""
    column = contract.columns[name]
    if column.role == "ignored":
        return []
    kinds: list[Any] = [rule for rule, _ in column.row_rules() if rule != "present"]
    kinds += ["missing_share"] * (column.missing_share is not None) + ["unique"] * column.unique
    waiting = _waiting(column.proposed)
    warned = [rule for rule in kinds if not contract.binds(name, rule)]
    return [f"{name}.{rule}" for rule in dict.fromkeys([*warned, *waiting])]


def _waiting(said: Proposed | None) -> list[str]:
    values = said.model_dump(exclude_defaults=True) if said else {}
    return [rule for rule, keys in KEYS.items() if any(key in values for key in keys)]


def _everything(contract: Contract, taken: _Taken) -> None:
    waiting = [rule for name in contract.columns for rule in open_rules(contract, name)]
    parts = {"history": contract.history, "freshness": contract.freshness}
    for name, part in parts.items():
        if part is not None and part.accepted is not None:
            taken.edits.append(Edit(path=(name, "accepted"), value=DROP))
            waiting += [f"[{name}]"] * (not part.accepted)
    if contract.accepted and not waiting:
        return
    for name, column in contract.columns.items():
        _apply(contract, name, list(KEYS), taken)
        if column.accepted is not None:
            taken.edits.append(Edit(path=("columns", name, "accepted"), value=DROP))
    taken.edits.append(Edit(path=("accepted",), value=True))
    taken.rules.append(ALL)


def _whole_column(contract: Contract, name: str, taken: _Taken) -> None:
    _known(name, contract.columns, "columns")
    if not (waiting := open_rules(contract, name)):
        return
    _apply(contract, name, list(KEYS), taken)
    value = DROP if contract.accepted else True
    if value is True or contract.columns[name].accepted is not None:
        taken.edits.append(Edit(path=("columns", name, "accepted"), value=value))
    taken.rules += waiting


def _one_rule(contract: Contract, rule: str, taken: _Taken) -> None:
    name = next((n for n in contract.columns if rule.startswith(f"{n}.")), "")
    known = [r for n in contract.columns for r in open_rules(contract, n)]
    settled = name and any(
        rule == f"{name}.{kind}" for kind, _ in contract.columns[name].row_rules()
    )
    if settled and rule not in known:
        return
    _known(rule, known, "rules that wait to be accepted")
    name, _, kind = rule.rpartition(".")
    _apply(contract, name, [kind], taken)
    column = contract.columns[name]
    if kind != "kind" and not contract.binds(name, kind):  # type: ignore[arg-type]
        said: dict[Any, bool] = {}
        if isinstance(column.accepted, dict):
            said = dict(column.accepted)
        if column.accepted is False:  # the others go on warning
            others = [r.rpartition(".")[2] for r in open_rules(contract, name)]
            said = {other: False for other in others if other in KEYS and other != "kind"}
        taken.edits.append(Edit(path=("columns", name, "accepted"), value={**said, kind: True}))
    taken.rules.append(rule)


def _apply(contract: Contract, name: str, rules: Sequence[str], taken: _Taken) -> None:
    """Put what is proposed for some rules of a column in their place."""
    column = contract.columns[name]
    if column.proposed is None:
        return
    values = column.proposed.model_dump(exclude_defaults=True)
    moved = {key: values.pop(key) for rule in rules for key in KEYS[rule] if key in values}
    for key, value in moved.items():
        whole = (*(column.levels or ()), *value) if key == "levels" else value
        taken.edits.append(Edit(path=("columns", name, key), value=whole))
    if moved.get("kind") == "category":
        said = column.model_dump(exclude_defaults=True)
        old = [key for key in NUMBERS_OWN if key in said]
        taken.edits += [Edit(path=("columns", name, key), value=DROP) for key in old]
    if moved:
        left = Edit(path=("columns", name, "proposed"), value=values or DROP)
        taken.edits.append(left)


def _known(name: str, known: Any, what: str) -> None:
    if name in known:
        return
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    hint = f"; did you mean {shown(near[0])}?" if near else ""
    listed = ", ".join(shown(n) for n in list(known)[:10]) or "none"
    raise ValueError(f"the contract has no {shown(name)} among its {what} ({listed}){hint}")
