"""What the report says beside the metrics: slices by harm, rates, coverage, disturbances, directions.

- `judged` are the slices' states against the champion (`expectations.slices.judge_slices`); without
  a champion the table has the model's own figures alone.
- A slice with too few test rows says so instead of a value that means nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from expectations.failure import shown
from flows.charts import interval_bar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SLICES_SHOWN = 25
TONES = {"harmed": "bad", "held": "good", "not judged": "doubt"}
DISTURBED = {
    "missing": "a tenth of the cells missing",
    "unseen": "a tenth of the text cells holding a level never seen",
    "noise": "noise of 1 % of each number's spread",
}
COVERED_SHOWN = 10


def section(
    evidence: Mapping[str, Any] | None, judged: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any] | None:
    """Everything that `gate.html.j2` shows; None where nothing of it was looked at."""
    if not evidence or "slices" not in evidence:
        return None
    found = {
        "slices": _slices(evidence["slices"], judged),
        "fairness": evidence.get("fairness") or [],
        "conformal": _conformal(evidence.get("conformal")),
        "robustness": _robustness(evidence.get("robustness") or {}, evidence["task"]),
        "directions": evidence.get("direction_tests") or [],
    }
    return found if any(found.values()) else None


def _slices(found: Mapping[str, Any], judged: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The table of slices, harmed ones first, then by how far the metric falls short."""
    if not found["found"] and not found.get("uncut"):
        return None
    states = {entry["name"]: entry for entry in judged}
    few = found["min_support"]
    told = [entry for entry in found["found"] if entry["test"]["rows"] >= few] or found["found"]
    span = _span([*told, {"test": found["whole"]["test"]}])
    mark = [value] if (value := found["whole"]["test"]["value"]) is not None else []
    rows = []
    for entry in found["found"]:
        test, state = entry["test"], states.get(entry["name"]) or {}
        bar = interval_bar(
            test["value"], test["low"], test["high"], span, title=shown(entry["name"]), marks=mark
        )
        rows.append(
            {
                **entry,
                "few": test["rows"] < few,
                "bar": bar,
                "against": state or None,
                "tone": TONES.get(str(state.get("state")), ""),
            }
        )
    rows.sort(key=lambda row: (row["against"] or {}).get("state") != "harmed")
    return {
        "metric": found["metric"],
        "min_support": few,
        "whole": found["whole"],
        "rows": rows[:SLICES_SHOWN],
        "more": rows[SLICES_SHOWN:],
        "judged": bool(states),
        "sentence": _sentence(rows, judged, found),
        "left_out": found["left_out"],
        "uncut": found.get("uncut") or [],
    }


def _span(entries: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    ends = [
        entry["test"][key]
        for entry in entries
        for key in ("value", "low", "high")
        if entry["test"][key] is not None
    ]
    return (min(ends), max(ends)) if ends else (0.0, 1.0)


def _sentence(
    rows: Sequence[Mapping[str, Any]],
    judged: Sequence[Mapping[str, Any]],
    found: Mapping[str, Any],
) -> str:
    """The slices in one sentence: what was judged, else where the model is worst."""
    if judged:
        counts = {state: sum(e["state"] == state for e in judged) for state in TONES}
        return (
            f"Against the champion {counts['harmed']:,} of {len(judged):,} slices got worse, "
            f"{counts['held']:,} did not, and {counts['not judged']:,} have too few rows to tell."
        )
    worst = next((row for row in rows if not row["few"] and (row["harm"] or 0) > 0), None)
    if worst is None:
        few = found["min_support"]
        return f"No slice of at least {few:,} test rows is worse than the whole."
    return (
        f"The model is worst where {shown(worst['name'], 200).strip(chr(34))}: {found['metric']} "
        f"{worst['test']['value']:.4g} there, {found['whole']['test']['value']:.4g} over all rows."
    )


def _conformal(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if not found:
        return None
    if found.get("quantile") is None:
        return {"sentence": f"No intervals: {found['note']}.", "slices": []}
    test, wanted = found["test"], found["coverage"]
    covered = test["coverage"]
    held = (
        f"{covered['value']:.1%} of the test rows ({covered['low']:.1%} to {covered['high']:.1%}), "
        f"where {wanted:.0%} was asked for"
    )
    if found["kind"] == "interval":
        sentence = f"The answer plus or minus {found['quantile']:.4g} covers the truth of {held}."
    else:
        sentence = (
            f"All classes of at least {1 - found['quantile']:.3g} probability hold the true one "
            f"of {held}; a set has {test['size']['value']:.3g} classes on average, and "
            f"{test['empty']:,} of {test['rows']:,} sets are empty."
        )
    slices = [
        {**entry, "short": entry["coverage"]["high"] < wanted}
        for entry in found["slices"][:COVERED_SHOWN]
    ]
    return {**found, "sentence": sentence, "slices": slices}


def _robustness(found: Mapping[str, Any], task: str) -> list[dict[str, Any]]:
    """One line per disturbance that applied."""
    stays = "keep within a tenth of the target's spread" if task == "regression" else "stay"
    return [
        {**figure, "name": name, "words": DISTURBED[name], "stays": stays}
        for name, figure in found.items()
        if figure is not None
    ]
