"""How a model answers when its rows are moved on purpose: declared directions, disturbed cells.

- A direction is held where at most the allowed share of rows answers against it; it is broken where
  even the lower bound of that share lies above.
- A floor of stability is held against the share of answers that stayed, as every floor is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from expectations.verdict import Finding, at_most, number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from expectations.evidence import Evidence
    from expectations.gate_rules import Rules

DIRECTIONS, ROBUSTNESS = "directions", "robustness"


def directions(evidence: Evidence, rules: Rules) -> list[Finding]:
    """One finding per direction that the settings declare."""
    del rules
    return [_direction(each) for each in evidence.checks.get(DIRECTIONS) or ()]


def robustness(evidence: Evidence, rules: Rules) -> list[Finding]:
    """One finding per floor of stability."""
    measured = evidence.checks.get(ROBUSTNESS) or {}
    return [
        _stable(name, float(floor), measured.get(name)) for name, floor in rules.robustness.items()
    ]


def _direction(each: Mapping[str, Any]) -> Finding:
    text, share, rows = each["text"], each.get("share"), each.get("rows", 0)
    setting = f'gate.directions = "{text}"'
    numbers = {key: value for key, value in each.items() if key != "sentence"}
    numbers["setting"] = setting
    if each.get("holds") is None or share is None:
        reason = f"no row could be moved to test {setting}"
        return Finding(outcome="not judged", reason=reason, by=DIRECTIONS, numbers=numbers)
    allowed = float(each.get("allowed", 0.0))
    found = f"{each['violations']:,} of {rows:,} rows ({share:.1%}) answer against {setting}"
    if share <= allowed:
        reason = f"{found}, at most {allowed:.0%} may"
        return Finding(outcome="promote", reason=reason, by=DIRECTIONS, numbers=numbers)
    low = each.get("low")
    surely = low is None or low > allowed
    reason = f"{found}, where at most {allowed:.0%} may"
    reason += "" if surely else ", which so few rows do not show for certain"
    otherwise = f"without this direction it would not be {'rejected' if surely else 'kept'} for it"
    return Finding(
        outcome="reject" if surely else "inconclusive",
        reason=reason,
        by=DIRECTIONS,
        otherwise=otherwise,
        numbers=numbers,
    )


def _stable(name: str, floor: float, found: Mapping[str, Any] | None) -> Finding:
    setting = f"gate.robustness.{name} = {floor:g}"
    share = None if found is None else found.get("share")
    if found is None or share is None:
        reason = f"no cell could be disturbed to test {setting}"
        return Finding(
            outcome="not judged", reason=reason, by=ROBUSTNESS, numbers={"setting": setting}
        )
    keys = ("low", "high", "rows")
    numbers = {"metric": name, "value": share, "floor": floor, "setting": setting}
    numbers |= {key: found.get(key) for key in keys}
    holds = share >= floor
    reason = f"{number(share)} of the answers stay under {name} cells, "
    reason += f"{'at least' if holds else 'where it must be at least'} {floor:g} ({setting})"
    otherwise = "" if holds else f"a floor of {at_most(share)} would have let it pass"
    return Finding(
        outcome="promote" if holds else "reject",
        reason=reason,
        by=ROBUSTNESS,
        otherwise=otherwise,
        numbers=numbers,
    )
