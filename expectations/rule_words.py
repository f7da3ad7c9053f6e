"""What a row rule demands, and what to do about rows that break it, in words.

- One place for reports, refusals, quarantine and diffs; takes rules as `Contract.row_rules` gives
  them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from expectations.failure import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

LISTED = 10  # levels in a sentence
KEYS = {
    "range": "min and max",
    "levels": "levels",
    "length": "min_length and max_length",
    "alphabet": "alphabet",
    "pattern": "pattern",
}


def must_hold(rule: Mapping[str, Any]) -> str:
    """Return what a row rule demands, without a full stop."""
    kind = rule["type"]
    if kind == "present":
        return "every row must have a cell"
    if kind == "levels":
        levels = [shown(level, 30) for level in rule["levels"][:LISTED]]
        more = len(rule["levels"]) - LISTED
        return f"must be one of {', '.join(levels)}{f' and {more:,} more' if more > 0 else ''}"
    if kind == "length":
        least = "" if rule.get("min") is None else f"at least {rule['min']:,}"
        most = "" if rule.get("max") is None else f"at most {rule['max']:,}"
        return f"a text may have {' and '.join(p for p in (least, most) if p)} characters"
    if kind in ("alphabet", "pattern"):
        alone = f"a text may hold the characters {shown(rule.get('alphabet', ''))} alone"
        whole = f"a text must match {shown(rule['pattern'])} from its first character to its last"
        return alone if kind == "alphabet" else whole
    if kind == "check":
        return f"in every row it must hold: {shown(rule['text'], 200)}"
    return _range(rule)


def _range(rule: Mapping[str, Any]) -> str:
    low, high = rule.get("min"), rule.get("max")
    least = "" if low is None else f"{'above' if rule.get('strict_min') else 'at least'} {low}"
    most = "" if high is None else f"{'below' if rule.get('strict_max') else 'at most'} {high}"
    return f"must be {' and '.join(part for part in (least, most) if part)}"


def what_to_do(rule: Mapping[str, Any], *, target: str | None = None) -> str:
    """Return advice about rows that break a rule; `target` names the column to be predicted."""
    column = rule["column"]
    if rule["type"] == "present":
        if column == target:
            return "leave out rows without a target at the source, or raise data.max_fraction"
        return "fill the cells at the source, or leave the rows out"
    if rule["type"] == "check":
        return "correct the cells, or change the check in [[rules]] of the contract"
    what = KEYS[rule["type"]]
    return f"correct the cells, or change {what} of [columns.{shown(column)}] in the contract"
