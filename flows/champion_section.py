"""The report on the comparison: with whom, on which rows, what each rule found, and earlier versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flows.charts import Plot, interval_bar
from flows.figures import figure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TONES = {"promote": "good", "reject": "bad", "inconclusive": "doubt", "not judged": "doubt"}
SAID = {"promote": "passes", "reject": "rejects", "inconclusive": "in doubt"}
COMPARED = ("champion", "anchor", "calibration")
FEWEST = 2  # versions that make a chart


def section(
    gate: Mapping[str, Any] | None, history: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any] | None:
    """Everything that `champion.html.j2` shows; `gate` is that of summary.json."""
    if not gate:
        return None
    findings = [_finding(found) for found in gate["findings"]]
    bars = [found for found in gate["findings"] if found["by"] in COMPARED and _told(found)]
    return {
        "title": f"Against version {gate['champion']}" if gate["champion"] else "The gate",
        "sentence": _sentence(gate),
        "findings": findings,
        "bars": [_bar(found) for found in bars],
        "counts": _counts(gate["counts"]) if gate["status"] == "compared" else [],
        "changes": gate["changes"],
        "alarms": gate["alarms"],
        "chart": _chart(history),
    }


def slices_of(gate: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    """Return the slices as they were judged against the champion; empty where none was."""
    for found in (gate or {}).get("findings", ()):
        if found["by"] == "slices" and "slices" in found["numbers"]:
            return list(found["numbers"]["slices"])
    return []


def _sentence(gate: Mapping[str, Any]) -> str:
    if gate["status"] != "compared":
        return f"{gate['reason'][:1].upper()}{gate['reason'][1:]}." if gate["reason"] else ""
    counts, look = gate["counts"], gate["look"]
    anchor = f", and version {gate['anchor']} as the anchor" if gate["anchor"] else ""
    text = (
        f"Version {gate['champion']}, in service{anchor}, answered {counts['referee']:,} of this "
        f"run's {counts['test']:,} test rows, from their raw cells, beside the new model; none of "
        f"them was used to make either."
    )
    times = "once" if look == 2 else f"{look - 1:,} times"
    again = f" These rows were looked at {times} before, which the bounds pay for."
    return text + (again if look > 1 else "")


def _finding(found: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "tone": TONES[found["outcome"]],
        "word": SAID.get(found["outcome"], found["outcome"]),
        "reason": found["reason"],
        "otherwise": found["otherwise"],
    }


def _told(found: Mapping[str, Any]) -> bool:
    keys = ("value", "low", "high", "challenger", "champion")
    return all(isinstance(found["numbers"].get(key), float | int) for key in keys)


def _bar(found: Mapping[str, Any]) -> dict[str, Any]:
    told = found["numbers"]
    margin = told.get("margin") if found["by"] != "calibration" else None
    marks = [0.0] + ([-margin] if margin else [])
    reach = max(abs(x) for x in (told["low"], told["high"], *marks)) * 1.05 or 1.0
    title = f"gain in {told['metric']}"
    bar = interval_bar(
        told["value"], told["low"], told["high"], (-reach, reach), title=title, marks=marks
    )
    keys = ("metric", "challenger", "champion", "value", "low", "high", "rows", "mcnemar")
    other = told.get("against") or "the champion"
    return {**{key: told.get(key) for key in keys}, "margin": margin, "other": other, "bar": bar}


def _counts(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    words = {
        "test": "Test rows",
        "champion_trained": "Known to the champion",
        "champion_validated": "That it was chosen by",
        "anchor_trained": "Known to the anchor",
        "anchor_validated": "That it was chosen by (anchor)",
        "champion_refused": "Refused by the champion",
        "referee": "Referee rows",
    }
    return [
        (text, counts[key]) for key, text in words.items() if counts.get(key) or key == "referee"
    ]


def _chart(history: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The leading metric by version, those that were put in service joined by a line."""
    metric = history[-1]["metric"] if history else ""
    known = [each for each in history if each["metric"] == metric and each["value"] is not None]
    if len(known) < FEWEST:
        return None
    values = [each["value"] for each in known]
    numbers = [each["version"] for each in known]
    plot = Plot(
        (numbers[0], numbers[-1]),
        (min(values), max(values)),
        x_label="version",
        y_label=metric,
        whole=True,
    )
    served = [(each["version"], each["value"]) for each in known if each["promoted"]]
    plot.dots([(e["version"], e["value"]) for e in known if not e["promoted"]], "dot grey")
    plot.line(served, "main")
    plot.dots(served, "dot")
    note = (
        "Each version's value on its own test rows; the line joins those that were put in service. "
        "Different test rows move it too: what decides is the comparison above."
    )
    head = ("version", "verdict", "in service", metric)
    rows = [
        [e["version"], e["verdict"], "yes" if e["promoted"] else "no", e["value"]]
        for e in reversed(known)
    ]
    return figure("Versions", note, plot.svg(f"{metric} by version"), head, rows)
