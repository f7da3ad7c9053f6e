"""The verdict on a model: evidence and rules in, promote, reject or inconclusive out, with reasons.

- A judge is one function: evidence and rules in, at most one finding per rule out. `JUDGES` lists
  them in the order in which their findings are told.
- One reason to reject outweighs all else; one doubt outweighs every promotion.
- `on_inconclusive = "promote"` waives doubts about the champion and the anchor, never those about a
  floor, a direction or the dummy; the verdict says so.
- Judging reads nothing but its two arguments: the same evidence has the same verdict, always.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from expectations.behaviour import directions, robustness
from expectations.champion import ANCHOR, CHAMPION, anchor, champion
from expectations.evidence import Evidence, Referee, Rows
from expectations.floors import DUMMY, earned, floors, floors_lower
from expectations.gate_rules import Rules, deciding_metric, fitting
from expectations.harm import calibration, slices
from expectations.verdict import NOBODY, Finding, Outcome, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = [
    "DUMMY",
    "JUDGES",
    "Evidence",
    "Finding",
    "Outcome",
    "Referee",
    "Rows",
    "Rules",
    "Verdict",
    "deciding_metric",
    "fitting",
    "judge",
]

JUDGES: tuple[Callable[[Evidence, Rules], list[Finding]], ...] = (
    champion,
    anchor,
    floors,
    floors_lower,
    earned,
    slices,
    calibration,
    directions,
    robustness,
)
ORDER = ("reject", "inconclusive", "promote", "not judged")


def judge(evidence: Evidence | Mapping[str, Any], rules: Rules) -> Verdict:
    """Judge the evidence by every rule; ValueError where a rule's metric does not fit the task."""
    known = evidence if isinstance(evidence, Evidence) else Evidence.of(evidence)
    findings = [finding for judged in JUDGES for finding in judged(known, rules)]
    if rules.on_inconclusive == "promote":
        findings = [_waived(finding) for finding in findings]
    # That there is no champion is told last: it decides nothing.
    findings.sort(key=lambda each: (ORDER.index(each.outcome), each.by == NOBODY))
    if not findings:
        return Verdict(outcome="promote", reasons=("no rule was set",), decided_by=NOBODY)
    outcome, decided_by = _decided(findings[0])
    return Verdict(
        outcome=outcome,
        reasons=tuple(finding.sentence for finding in findings),
        decided_by=decided_by,
        findings=tuple(findings),
        rule=_rule(findings) if outcome == "promote" else "",
    )


def _decided(first: Finding) -> tuple[Outcome, str]:
    """The outcome that the foremost finding brings; what was not judged forbids nothing."""
    return ("promote", NOBODY) if first.outcome == "not judged" else (first.outcome, first.by)


def _waived(finding: Finding) -> Finding:
    if finding.outcome != "inconclusive" or finding.by not in {CHAMPION, ANCHOR}:
        return finding
    return replace(
        finding,
        outcome="promote",
        reason=f'{finding.reason} (waived: gate.on_inconclusive = "promote")',
        otherwise="",
        numbers={**finding.numbers, "won": "unsure"},
    )


def _rule(findings: Sequence[Finding]) -> str:
    """By what the promotion stands: the weakest of what champion and anchor say."""
    won = {finding.numbers.get("won") for finding in findings if finding.by != ANCHOR}
    doubted = any(finding.numbers.get("won") == "unsure" for finding in findings)
    known = ("first", "better", "no_worse", "off")
    return "unsure" if doubted else next((rule for rule in known if rule in won), "")
