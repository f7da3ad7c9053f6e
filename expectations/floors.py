"""What a model must reach on its own: floors by value, floors with confidence, and the dummy.

- A floor is held against the value on the test rows; the reason says when the interval reaches
  across it. A floor with confidence is held against the bound that speaks against the model.
- A model that does not beat the dummy, by an interval over identities on the test rows, has not
  earned its place: significantly worse is rejected, not shown to be better is inconclusive.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from expectations.gate_rules import fits
from expectations.metrics import METRICS
from expectations.verdict import Finding, at_least, at_most, number, span

if TYPE_CHECKING:
    from collections.abc import Mapping

    from expectations.evidence import Evidence
    from expectations.gate_rules import Rules

DUMMY = "dummy"
CONFIDENT = "floors_lower"


def floors(evidence: Evidence, rules: Rules) -> list[Finding]:
    """One finding per floor, in the settings' order."""
    return [_floor(evidence, name, float(bound)) for name, bound in rules.floors.items()]


def floors_lower(evidence: Evidence, rules: Rules) -> list[Finding]:
    """One finding per floor that must be held with confidence, in the settings' order."""
    return [_confident(evidence, name, float(bound)) for name, bound in rules.floors_lower.items()]


def earned(evidence: Evidence, rules: Rules) -> list[Finding]:
    """Whether the model beats the dummy on the metric that decides."""
    del rules
    gain = evidence.gains.get(DUMMY)
    if gain is None:
        return []
    name, value, low, high = (gain.get(key) for key in ("metric", "value", "low", "high"))
    numbers = {**_numbers(str(name), gain, evidence), "setting": "the dummy must be beaten"}
    if value is None or low is None or high is None:
        reason = f"whether {name} is better than the dummy's cannot be told from these test rows"
        return [Finding(outcome="inconclusive", reason=reason, by=DUMMY, numbers=numbers)]
    found = f"{name} is better than the dummy's by {number(value)} ({_interval(gain)}) on test"
    if low > 0:
        return [Finding(outcome="promote", reason=found, by=DUMMY, numbers=numbers)]
    if high < 0:
        reason = (
            f"{name} is worse than the dummy's by {number(-value)} on test "
            f"(gain {_interval(gain)}): the model has learned nothing of use"
        )
        return [Finding(outcome="reject", reason=reason, by=DUMMY, numbers=numbers)]
    reason = f"{found}: the interval reaches 0, so the model is not shown to beat the dummy"
    needed = _needed(evidence, value, low, 0.0)
    return [
        Finding(
            outcome="inconclusive",
            reason=reason,
            by=DUMMY,
            otherwise=_more(needed),
            numbers={**numbers, "needed": needed},
        )
    ]


def _floor(evidence: Evidence, name: str, bound: float) -> Finding:
    fits(name, evidence.task, "gate.floors")
    metric, found = METRICS[name], evidence.metrics.get(name, {})
    value, low, high = (found.get(key) for key in ("value", "low", "high"))
    setting = f"gate.floors.{name} = {bound:g}"
    numbers = {**_numbers(name, found, evidence), "floor": bound, "setting": setting}
    if value is None:
        reason = f"{name} is undefined on these test rows, so its floor ({setting}) is untested"
        return Finding(outcome="inconclusive", reason=reason, by=name, numbers=numbers)
    largest = metric.direction == "max"
    holds = value >= bound if largest else value <= bound
    reason = f"{_said(name, found)} {'is' if holds else 'must be'} {_wanted(largest, setting)}"
    if low is not None and high is not None and low < bound < high:
        reason += ", and its interval reaches across it"
    edge = at_most(value) if largest else at_least(value)
    otherwise = "" if holds else f"a floor of {edge} would have let it pass"
    outcome = "promote" if holds else "reject"
    return Finding(outcome=outcome, reason=reason, by=name, otherwise=otherwise, numbers=numbers)


def _confident(evidence: Evidence, name: str, bound: float) -> Finding:
    fits(name, evidence.task, "gate.floors_lower")
    largest, found = METRICS[name].direction == "max", evidence.metrics.get(name, {})
    against, speaks_for = ("low", "high") if largest else ("high", "low")
    value, worst, best = (found.get(key) for key in ("value", against, speaks_for))
    setting = f"gate.floors_lower.{name} = {bound:g}"
    numbers = {**_numbers(name, found, evidence), "floor": bound, "setting": setting}
    if value is None or worst is None or best is None:
        reason = f"{name} has no interval on these test rows, so {setting} is untested"
        return Finding(outcome="inconclusive", reason=reason, by=CONFIDENT, numbers=numbers)
    sign = 1 if largest else -1
    said = f"{_said(name, found)}: its {'lower' if largest else 'upper'} bound {number(worst)}"
    if sign * (worst - bound) >= 0:
        reason = f"{said} is {_wanted(largest, setting)}"
        return Finding(outcome="promote", reason=reason, by=CONFIDENT, numbers=numbers)
    reason = f"{said} must be {_wanted(largest, setting)}"
    edge = at_most(worst) if largest else at_least(worst)
    otherwise = f"a floor of {edge} would have let it pass"
    if sign * (best - bound) < 0:
        outcome, needed = "reject", None
    else:
        outcome, needed = "inconclusive", _needed(evidence, value, worst, bound)
        otherwise += f", or {_more(needed)}" if needed else ""
    numbers["needed"] = needed
    return Finding(
        outcome=outcome, reason=reason, by=CONFIDENT, otherwise=otherwise, numbers=numbers
    )


def _wanted(largest: bool, setting: str) -> str:
    bound = setting.rpartition(" = ")[2]
    return f"{'at least' if largest else 'at most'} {bound} ({setting})"


def _said(name: str, found: Mapping[str, Any]) -> str:
    spread = "" if found.get("low") is None else f" ({_interval(found)})"
    return f"{name} {number(found['value'])}{spread} on test"


def _interval(found: Mapping[str, Any]) -> str:
    return f"95 % {span(found['low'], found['high'])}"


def _numbers(name: str, found: Mapping[str, Any], evidence: Evidence) -> dict[str, Any]:
    return {
        "metric": name,
        **{key: found.get(key) for key in ("value", "low", "high")},
        "rows": evidence.rows,
        "units": evidence.units,
    }


def _needed(evidence: Evidence, value: float, worst: float, bound: float) -> int | None:
    """Units at which the bound would clear, were the value the truth."""
    short, reach = abs(value - bound), abs(value - worst)
    on_its_side = (value - bound) * (value - worst) > 0
    if evidence.units is None or not short or not on_its_side:
        return None
    return math.ceil(evidence.units * (reach / short) ** 2)


def _more(needed: int | None) -> str:
    return f"about {needed:,} test rows would tell" if needed else ""
