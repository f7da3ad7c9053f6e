"""A model's card: what it predicts, from what, on which evidence, and where it should not be trusted.

- Markdown, in the bundle and on the version's page; every figure is one of the evidence.
- What the model is for only its owner knows: the card leaves room for it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from expectations.failure import shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from expectations.gate import Verdict
    from flows.spec import Spec

NAME = "model_card.md"
LONGEST = 1_000  # characters of a name or a sentence
METRICS_SHOWN, SLICES_SHOWN, IMPORTANT, LEAKS_SHOWN = 6, 8, 8, 8
OWNER = (
    "_To be written by the owner: for which decisions, on whom, and for what it must not be used._"
)


def model_card(
    spec: Spec,
    evidence: Mapping[str, Any],
    referee: Mapping[str, Any],
    verdict: Verdict,
    *,
    leaks: Sequence[Mapping[str, Any]] = (),
) -> str:
    """Return the card as Markdown; `leaks` are the findings of leaks.json."""
    blocks = [
        f"# {plain(spec.name)}",
        _predicts(spec, evidence),
        "## Intended use",
        OWNER,
        "## Data",
        _data(spec, evidence),
        "## Evidence",
        _metrics(evidence),
        _compared(referee, verdict),
        *_slices(evidence),
        "## Limits",
        _limits(spec, evidence, verdict),
        _leaks(leaks),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def plain(text: Any) -> str:
    """Return a name or a sentence as Markdown shows it, whatever marks it holds."""
    return re.sub(r"([\\`*_{}\[\]<>#|!])", r"\\\1", shown(text, LONGEST))


def _predicts(spec: Spec, evidence: Mapping[str, Any]) -> str:
    target = plain(spec.data.target)
    if evidence["task"] == "regression":
        return f"Predicts the number **{target}**."
    labels = [plain(label) for label in evidence["classes"]]
    more = f" and {len(labels) - 10:,} more" if len(labels) > 10 else ""
    return f"Predicts **{target}**: {', '.join(labels[:10])}{more}, each with a probability."


def _data(spec: Spec, evidence: Mapping[str, Any]) -> str:
    rows = evidence["rows"]
    split = (
        f"- Split by {spec.split.by}; {rows['validation']:,} rows chose the model, out of fold "
        f"where folds are used, and {rows['test']:,} test rows judged it."
    )
    lines = [split]
    columns = [plain(e["column"]) for e in evidence.get("importance", {}).get("columns", ())]
    if columns:
        lines.append(f"- What it rests on most: {', '.join(columns[:IMPORTANT])}.")
    return "\n".join(lines)


def _metrics(evidence: Mapping[str, Any]) -> str:
    test = evidence["metrics"]["test"]
    names = [evidence["metric"], *(name for name in test if name != evidence["metric"])]
    lines = ["| on the test rows | value | 95 % interval |", "|---|---|---|"]
    for name in names[:METRICS_SHOWN]:
        found = test.get(name) or {}
        if found.get("value") is None:
            continue
        has = found.get("low") is not None
        span = f"{found['low']:.4g} to {found['high']:.4g}" if has else ""
        lines.append(f"| {name} | {found['value']:.4g} | {span} |")
    beside = (evidence.get("comparison") or {}).get("sentence", "")
    return "\n".join(lines) + (f"\n\n{beside}" if beside else "")


def _compared(referee: Mapping[str, Any], verdict: Verdict) -> str:
    said = [f"- {plain(finding.reason)}." for finding in verdict.findings]
    head = {"promote": "Promoted", "reject": "Rejected"}.get(verdict.outcome, "Kept back")
    with_whom = ""
    if referee["status"] == "compared":
        with_whom = f", compared with version {referee['champion']['version']}"
    return f"{head} by the gate{with_whom}:\n\n" + "\n".join(said or ["- no rule was set."])


def _slices(evidence: Mapping[str, Any]) -> list[str]:
    found = (evidence.get("slices") or {}).get("found") or []
    few = (evidence.get("slices") or {}).get("min_support", 0)
    told = [s for s in found if s["test"]["value"] is not None and s["test"]["rows"] >= few]
    if not told:
        return []
    lines = [f"| slice | test rows | {evidence['slices']['metric']} |", "|---|---|---|"]
    lines += [
        f"| {plain(s['name'])} | {s['test']['rows']:,} | {s['test']['value']:.4g} |"
        for s in told[:SLICES_SHOWN]
    ]
    return ["## Slices, the worst first", "\n".join(lines)]


def _limits(spec: Spec, evidence: Mapping[str, Any], verdict: Verdict) -> str:
    known = (
        "- It knows rows like those that it was trained on; `penstock score` and the served model "
        "name the contract's rule that a row breaks, and do not answer it."
    )
    lines = [known]
    unsure = [finding.reason for finding in verdict.findings if finding.outcome == "not judged"]
    lines += [f"- {plain(reason)}." for reason in unsure]
    if not spec.gate.fairness:
        lines.append("- Rates between groups of people were not looked at (`gate.fairness`).")
    for name, share in (evidence.get("robustness") or {}).items():
        if share:
            lines.append(f"- {share['share']:.1%} of its answers stay under disturbance: {name}.")
    return "\n".join(lines)


def _leaks(findings: Sequence[Mapping[str, Any]]) -> str:
    """What looked like a leak, and why it was let pass."""
    lines = []
    for found in findings[:LEAKS_SHOWN]:
        why = f" Accepted: {plain(found['accepted'])}" if found["accepted"] else ""
        lines.append(f"- Suspected leak ({plain(found['type'])}): {plain(found['sentence'])}.{why}")
    more = len(findings) - len(lines)
    return "\n".join(
        [*lines, *([f"- And {more:,} more suspicions, in `leaks.json`."] if more else [])]
    )
