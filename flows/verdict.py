"""A run's verdict, and the one sentence that says it aloud with the number that decided."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.comparison_words import compared
from flows.errors import PenstockError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from expectations.gate import Verdict

SAID = {
    "promoted": "Promoted",
    "kept": "Kept what was in service",
    "rejected": "Rejected",
    "unchanged": "Unchanged",
    "dry_run": "Dry run",
    "refused": "Refused",
    "failed": "Failed",
}
"""How a run may end, in words."""
ENDS = {"promote": "promoted", "reject": "rejected", "inconclusive": "kept"}
"""What becomes of a model, by the gate's outcome."""
WOULD = {"promote": "be promoted", "reject": "be rejected", "inconclusive": "not be promoted"}
MOST_DIGITS = 7


def verdict_of(
    outcome: str,
    judged: Verdict | None,
    evidence: Mapping[str, Any],
    *,
    floors: Mapping[str, float],
    subject: str = "",
    rows: int | None = None,
    error: BaseException | None = None,
    hindered: str = "",
) -> dict[str, Any]:
    """Return `verdict` of summary.json.

    Args:
        outcome: a key of SAID.
        judged: what the gate said, if it was asked.
        evidence: what `flows.assess` found; empty where the run ended before.
        floors: metric -> floor of the settings.
        subject: the version that was registered, in words.
        rows: how many test rows the number rests on.
        error: what ended the run, if anything did.
        hindered: why the model is not champion although the gate would have it.

    """
    metric = evidence.get("metric")
    if judged is not None and judged.decided_by in floors:
        metric = judged.decided_by
    found = evidence.get("metrics", {}).get("test", {}).get(metric) or {}
    reasons = list(judged.reasons) if judged else []
    if error is not None:
        reasons = [_first_line(error)]
    if hindered:
        reasons = [hindered, *reasons]
    verdict = {
        "outcome": outcome,
        "reasons": reasons,
        "decided_by": judged.decided_by if judged else None,
        "rule": judged.rule if judged else "",
        "metric": metric,
        "split": "test",
        **{key: found.get(key) for key in ("value", "low", "high")},
        "decided": _decided(judged),
    }
    number = "" if judged is None else _number_decided(verdict, judged, floors, rows)
    return {**verdict, "sentence": _sentence(verdict, judged, subject, number, error, hindered)}


def _decided(judged: Verdict | None) -> dict[str, Any]:
    """The numbers of the first finding; a list among them stands with the findings alone."""
    if judged is None or not judged.findings:
        return {}
    numbers = judged.findings[0].numbers
    return {key: value for key, value in numbers.items() if not isinstance(value, list | tuple)}


def _sentence(
    verdict: Mapping[str, Any],
    judged: Verdict | None,
    subject: str,
    number: str,
    error: BaseException | None,
    hindered: str,
) -> str:
    head, outcome = SAID.get(verdict["outcome"], verdict["outcome"]), verdict["outcome"]
    if error is not None or judged is None:
        why = verdict["reasons"][0].rstrip(".:") if verdict["reasons"] else "the run did not end"
        return f"{head}: {why}."
    if hindered:
        return f"{head}: {subject or 'the model'} has earned its place, but {hindered}."
    words = compared(judged, subject or "the model")
    if outcome == "dry_run":
        said = words or number
        return f"{head}, nothing is published: {said}, and so it would {WOULD[judged.outcome]}."
    if words:
        return f"{head}: {words}."
    if outcome == "kept":
        subject = f"{subject} has not earned its place" if subject else ""
    if outcome == "unchanged":
        subject = f"{subject} is in service already" if subject else ""
    return f"{head}: {'; '.join(part for part in (subject, number) if part)}."


def _first_line(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "the run was interrupted"
    if type(error).__name__ == "TerminationSignal":  # Prefect's word for SIGTERM
        return (
            "the run was told to end; what it had made is kept, and the next one goes on from there"
        )
    kind = "" if isinstance(error, PenstockError) else f"{type(error).__name__}: "
    return kind + (str(error).splitlines() or ["no more is known"])[0]


def _number_decided(
    verdict: Mapping[str, Any], judged: Verdict, floors: Mapping[str, float], rows: int | None
) -> str:
    """Say the deciding metric's value, its interval, and how it stands to what was asked."""
    metric, value = verdict["metric"], verdict["value"]
    where = f"on {rows:,} test rows" if rows else "on the test rows"
    if value is None:
        return f"{metric} is undefined {where}"
    bound = floors.get(metric) if judged.decided_by == metric else None
    digits = _digits(value, bound)
    text = f"{metric} is {_shown(value, digits)}"
    if verdict["low"] is not None and verdict["high"] is not None:
        low, high = (_shown(verdict[key], digits) for key in ("low", "high"))
        text += f" (95 % interval {low} to {high})"
    standing = _against_floor(metric, value, bound) if bound is not None else _against_dummy(judged)
    return f"{text} {where}{standing}"


def _against_floor(metric: str, value: float, bound: float) -> str:
    from expectations.metrics import METRICS

    if METRICS[metric].direction == "max":
        word = "at least" if value >= bound else "below"
        return f", {word} the floor of {bound:,g}"
    word = "at most" if value <= bound else "above"
    return f", {word} the limit of {bound:,g}"


def _against_dummy(judged: Verdict) -> str:
    if judged.decided_by != "dummy":
        return ""
    words = {"promote": "better", "reject": "worse", "inconclusive": "not shown to be better"}
    return f", {words[judged.outcome]} than the dummy's"


def _digits(value: float, bound: float | None) -> int:
    """As many digits as tell a value from its floor, at least three."""
    if bound is None or value == bound:
        return 3
    enough = (
        d for d in range(3, MOST_DIGITS) if float(f"{value:.{d}g}") != float(f"{bound:.{d}g}")
    )
    return next(enough, MOST_DIGITS)


def _shown(value: float, digits: int) -> str:
    if abs(value) >= 10 ** max(digits, 4):
        return f"{value:,.0f}"
    return f"{value:.{max(digits, 4) if abs(value) >= 1000 else digits}g}"


def beside(summary: Mapping[str, Any]) -> str | None:
    """How the network stands to the best rung of the ladder, in a sentence; None without rungs."""
    from flows.ladder import comparison

    ladder = summary.get("ladder") or []
    if not ladder:
        return None
    found = comparison(ladder, ladder[0]["gain"]["test"]["metric"])
    return found["sentence"] if found else None


def as_text(summary: dict[str, Any]) -> str:
    """The end of a run for a terminal."""
    lines = [summary["verdict"]["sentence"]]
    registered = summary.get("registered")
    if registered and "champion" in registered["aliases"]:
        lines.append(
            f"  load it   mlflow.pyfunc.load_model({json.dumps(registered['uri'], ensure_ascii=False)})"
        )
    if swept := summary.get("sweep"):
        lines.append(f"  sweep     {swept['sentence']}")
    if stands := beside(summary):
        lines.append(f"  ladder    {stands}")
    lines.append(f"  report    {Path(summary['folder']) / 'report.html'}")
    lines.append(f"  MLflow    {summary['links']['mlflow']}")
    return "\n".join(lines)
