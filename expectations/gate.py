"""The verdict on a model: evidence and rules in, promote, reject or inconclusive out, with reasons.

- A judge is one function: evidence and rules in, at most one finding per rule out. The comparison
  with the champion will be one more judge in `JUDGES`; nothing else changes.
- One reason to reject outweighs all else; one doubt outweighs every promotion.
- Floors are held against the value on the test rows; the reason says when the interval reaches
  across the floor.
- A model that does not beat the dummy, by an interval over identities on the test rows, has not
  earned its place: significantly worse is rejected, not shown to be better is inconclusive.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from expectations.metrics import DEFAULT_METRIC, METRICS, lookup

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Outcome = Literal["promote", "reject", "inconclusive"]
DUMMY = "dummy"


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What a model must reach; `[gate]` of the settings."""

    metric: str | None = None
    """The metric that decides; None: roc_auc, log_loss or rmse by task."""
    floors: Mapping[str, float] = field(default_factory=dict)
    """Metric -> the least it may be on the test rows; for an error or a cost: the most."""

    def __post_init__(self) -> None:
        """Refuse metrics that do not exist, naming the nearest."""
        for name in (*([self.metric] if self.metric else []), *self.floors):
            lookup(name)


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What is known of a model on the test rows; `Evidence.of` takes it from evidence.json."""

    task: str
    metrics: Mapping[str, Mapping[str, Any]]
    """Metric -> {"value", "low", "high", ...} of the model on the test rows."""
    gains: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Rung -> {"metric", "value", "low", "high"}: how much better the model is, by row."""

    @classmethod
    def of(cls, evidence: Mapping[str, Any]) -> Evidence:
        """Take what the gate needs from the evidence that `flows.assess` wrote."""
        gains = {rung["name"]: rung["gain"]["test"] for rung in evidence.get("ladder", ())}
        return cls(task=evidence["task"], metrics=evidence["metrics"]["test"], gains=gains)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one rule says."""

    outcome: Outcome
    reason: str
    by: str


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The outcome, why, and the one rule that decided."""

    outcome: Outcome
    reasons: tuple[str, ...]
    """Every finding in words, those that decided first."""
    decided_by: str
    """Metric or rung of the first deciding finding; "none" where no rule had anything to say."""

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "outcome": self.outcome,
            "reasons": list(self.reasons),
            "decided_by": self.decided_by,
        }


def judge(evidence: Evidence | Mapping[str, Any], rules: Rules) -> Verdict:
    """Judge the evidence by every rule; ValueError where a floor's metric does not fit the task."""
    known = evidence if isinstance(evidence, Evidence) else Evidence.of(evidence)
    findings = [finding for judged in JUDGES for finding in judged(known, rules)]
    if not findings:
        return Verdict(outcome="promote", reasons=("no rule was set",), decided_by="none")
    order: tuple[Outcome, ...] = ("reject", "inconclusive", "promote")
    findings.sort(key=lambda finding: order.index(finding.outcome))
    return Verdict(
        outcome=findings[0].outcome,
        reasons=tuple(finding.reason for finding in findings),
        decided_by=findings[0].by,
    )


def floors(evidence: Evidence, rules: Rules) -> list[Finding]:
    """One finding per floor, in the settings' order."""
    return [_floor(evidence, name, float(bound)) for name, bound in rules.floors.items()]


def earned(evidence: Evidence, rules: Rules) -> list[Finding]:
    """Whether the model beats the dummy on the metric that decides."""
    del rules
    gain = evidence.gains.get(DUMMY)
    if gain is None:
        return []
    name, value, low, high = (gain.get(key) for key in ("metric", "value", "low", "high"))
    if value is None or low is None or high is None:
        reason = f"whether {name} is better than the dummy's cannot be told from these test rows"
        return [Finding(outcome="inconclusive", reason=reason, by=DUMMY)]
    found = f"{name} is better than the dummy's by {_number(value)} ({_span(gain)}) on test"
    if low > 0:
        return [Finding(outcome="promote", reason=found, by=DUMMY)]
    if high < 0:
        reason = (
            f"{name} is worse than the dummy's by {_number(-value)} on test "
            f"(gain {_span(gain)}): the model has learned nothing of use"
        )
        return [Finding(outcome="reject", reason=reason, by=DUMMY)]
    reason = f"{found}: the interval reaches 0, so the model is not shown to beat the dummy"
    return [Finding(outcome="inconclusive", reason=reason, by=DUMMY)]


JUDGES: tuple[Callable[[Evidence, Rules], list[Finding]], ...] = (floors, earned)


def deciding_metric(task: str, rules: Rules) -> str:
    """The metric that decides for this task; ValueError where the settings name another task's."""
    name = rules.metric or DEFAULT_METRIC[task]
    _fitting(name, task, "gate.metric")
    return name


def fitting(task: str, rules: Rules) -> None:
    """Refuse, before anything is trained, rules that name another task's metrics (ValueError)."""
    deciding_metric(task, rules)
    for name in rules.floors:
        _fitting(name, task, "gate.floors")


def _fitting(name: str, task: str, key: str) -> None:
    if task not in lookup(name).tasks:
        fitting = ", ".join(n for n, m in METRICS.items() if task in m.tasks)
        message = f"{key} must be a metric of a {task} task ({fitting}), however: {name!r}"
        raise ValueError(message)


def _floor(evidence: Evidence, name: str, bound: float) -> Finding:
    _fitting(name, evidence.task, "gate.floors")
    metric, found = METRICS[name], evidence.metrics.get(name, {})
    value, low, high = (found.get(key) for key in ("value", "low", "high"))
    if value is None:
        reason = (
            f"{name} is undefined on these test rows, so its floor {_number(bound)} is untested"
        )
        return Finding(outcome="inconclusive", reason=reason, by=name)
    largest = metric.direction == "max"
    holds = value >= bound if largest else value <= bound
    wanted = "at least" if largest else "at most"
    spread = "" if low is None else f" ({_span(found)})"
    says = f"{name} {_number(value)}{spread} on test"
    verb = "is" if holds else "must be"
    reason = f"{says} {verb} {wanted} {_number(bound)}"
    across = low is not None and high is not None and low < bound < high
    if across:
        reason += "; the interval reaches across it"
    return Finding(outcome="promote" if holds else "reject", reason=reason, by=name)


def _number(value: float) -> str:
    return f"{value:.4g}"


def _span(found: Mapping[str, Any]) -> str:
    return f"95 % {_number(found['low'])} to {_number(found['high'])}"
