"""What a better average must not hide: a slice that got worse, probabilities that got worse.

- Slices, declared and found, are tested on referee rows with Holm's correction over all of them; a
  drop that is sure but small is no harm. A slice too small to show the drop that matters
  is named as not judged, never counted as a pass.
- Calibration is worse where its error grew by more than its interval and by more than .01.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from expectations.champion import compared
from expectations.compare import compare
from expectations.gate_rules import deciding_metric
from expectations.standing import champions_value
from expectations.verdict import Finding, number, numbers_of, span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from expectations.evidence import Evidence, Rows
    from expectations.gate_rules import Rules

SLICES, CALIBRATION = "slices", "calibration"
ERROR = "ece"
NOTICEABLE = 0.01
NAMED = 5  # slices in one sentence


def slices(evidence: Evidence, rules: Rules) -> list[Finding]:
    """Whether the model got worse anywhere."""
    known = compared(evidence, rules)
    if known is None or not known[1].slices:
        return []
    referee, rows = known
    metric = deciding_metric(evidence.task, rules)
    judged = judged_slices(rows, metric, rules, referee.look)
    harmed = [each for each in judged if each["state"] == "harmed"]
    untold = [each for each in judged if each["state"] == "not judged"]
    held = len(judged) - len(harmed) - len(untold)
    other, many = referee.champion or "the champion", len(judged) - len(untold)
    findings = [_harmed(each, metric, other, many) for each in harmed[:NAMED]]
    if findings:  # one finding has them all, for the report
        numbers = {**findings[0].numbers, "slices": judged}
        findings[0] = replace(findings[0], numbers=numbers)
    if held and not harmed:
        reason = f"none of the {held:,} slices that could be judged got worse"
        numbers = {"slices": judged, "setting": "gate.slices"}
        findings.append(Finding(outcome="promote", reason=reason, by=SLICES, numbers=numbers))
    if untold:
        findings.append(_untold(untold, judged))
    return findings


def judged_slices(rows: Rows, metric: str, rules: Rules, look: int) -> list[dict[str, Any]]:
    """Each slice's difference and state, as the report shows them.

    Two retrains differ truly somewhere, and on many rows any difference is sure: harm is one beyond
    `gate.margin` and half of `gate.slice_drop`.
    """
    from expectations.slices import judge_slices

    base, tail = champions_value(rows, metric), rules.tail(look)
    drop, margin = rules.drop_in(metric, base), rules.margin_in(metric, base)
    judged = judge_slices(rows, metric, tail, drop.value, rules.min_support, 0, found=rows.found)
    least = max(margin.value, drop.value / 2)
    return [_within(each, least) for each in judged]


def _within(each: dict[str, Any], least: float) -> dict[str, Any]:
    if each["state"] != "harmed" or -each["value"] > least:
        return each
    return {**each, "state": "held", "reason": f"worse, by no more than {number(least)}"}


def calibration(evidence: Evidence, rules: Rules) -> list[Finding]:
    """Whether probabilities got worse calibrated."""
    known = compared(evidence, rules)
    if known is None or evidence.task == "regression" or rules.calibration == "off":
        return []
    referee, rows = known
    found = compare(
        rows.challenger,
        rows.champion,
        ERROR,
        weight=rows.weight,
        unit=rows.codes,
        block=rows.block,
        tail=rules.tail(referee.look),
    )
    setting = f'gate.calibration = "{rules.calibration}"'
    numbers = numbers_of(found, setting=setting, noticeable=NOTICEABLE)
    told = found.told
    if told is None:
        reason = f"whether calibration got worse cannot be told from these referee rows ({setting})"
        return [Finding(outcome="not judged", reason=reason, by=CALIBRATION, numbers=numbers)]
    said = (
        f"calibration error {number(told.challenger)} against {number(told.champion)} of the "
        f"champion, gain {number(told.value)} ({span(told.low, told.high)})"
    )
    if told.high < 0 and told.value < -NOTICEABLE:
        reason = f"{said}: worse calibrated ({setting})"
        otherwise = 'with gate.calibration = "off" it would not be rejected for it'
        return [
            Finding(
                outcome="reject",
                reason=reason,
                by=CALIBRATION,
                otherwise=otherwise,
                numbers=numbers,
            )
        ]
    reason = f"{said}: not worse calibrated ({setting})"
    return [Finding(outcome="promote", reason=reason, by=CALIBRATION, numbers=numbers)]


def _harmed(each: dict[str, Any], metric: str, other: str, judged: int) -> Finding:
    """One slice that got worse."""
    reason = (
        f"{metric} is worse than that of {other} by {number(-each['value'])} "
        f"(gain {span(each['low'], each['high'])}) in the slice {each['name']} on "
        f"{each['rows']:,} rows, p {number(each['p_holm'])} by Holm over {judged:,} slices "
        "(gate.slices)"
    )
    otherwise = f"without the slice {each['name']} it would not be rejected for it"
    numbers = {**each, "metric": metric, "slice": each["name"], "setting": "gate.slices"}
    return Finding(outcome="reject", reason=reason, by=SLICES, otherwise=otherwise, numbers=numbers)


def _untold(untold: Sequence[dict[str, Any]], judged: Sequence[dict[str, Any]]) -> Finding:
    named = [
        f"{each['name']} ("
        + (f"needs about {each['needed']:,} rows, " if each["needed"] else "")
        + f"has {each['rows']:,})"
        for each in untold[:NAMED]
    ]
    more = f" and {len(untold) - NAMED:,} more" if len(untold) > NAMED else ""
    reason = f"not judged, too few rows to show gate.slice_drop: {', '.join(named)}{more}"
    numbers = {"slices": list(judged), "setting": "gate.slice_drop"}
    return Finding(outcome="not judged", reason=reason, by=SLICES, numbers=numbers)
