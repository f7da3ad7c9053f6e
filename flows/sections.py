"""What each section of the report says, worked out before any markup: plain values and figures.

- A section whose material is absent is None, and the page has no trace of it.
- Whatever the stages left out (an older version's file, a run that was refused) is left out here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from expectations.failure import shown
from flows import figures
from flows.charts import interval_bar, share_bar, sparkline
from flows.features_words import lines as features

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SIDES = ("train", "validation", "test")
TONES = {
    "promoted": "good", "unchanged": "good", "rejected": "bad", "refused": "bad", "failed": "bad",
    "kept": "doubt", "inconclusive": "doubt", "dry_run": "doubt",
}  # fmt: skip
WORDS = {
    "promoted": "Promoted", "unchanged": "Unchanged", "rejected": "Rejected",
    "refused": "Data refused", "failed": "Failed", "kept": "Kept what was in service",
    "inconclusive": "Inconclusive", "dry_run": "Dry run",
}  # fmt: skip
COLUMNS_SHOWN = 40
IMPORTANT_SHOWN = 15


def verdict(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The verdict, its number and its reasons."""
    found = summary.get("verdict") or {}
    outcome = found.get("outcome") or "failed"
    reasons = list(found.get("reasons") or [])
    sentence = found.get("sentence") or _sentence(outcome, found, reasons)
    error = summary.get("error")
    return {
        **found,
        "outcome": outcome,
        "word": WORDS.get(outcome, outcome),
        "tone": TONES.get(outcome, "doubt"),
        "sentence": sentence,
        "reasons": [r for r in reasons if r.rstrip(".") not in sentence],
        "failures": list(summary.get("failures") or []),
        "error": error if error and not summary.get("failures") else None,
    }


def _sentence(outcome: str, found: Mapping[str, Any], reasons: Sequence[str]) -> str:
    head = WORDS.get(outcome, outcome)
    if found.get("value") is not None:
        head += f", {found['metric']} {found['value']:.4g} on {found.get('split') or 'test'}"
    return f"{head}: {reasons[0]}." if reasons else f"{head}."


def data(summary: Mapping[str, Any], parts: Mapping[str, Any]) -> dict[str, Any] | None:
    """Rows, contract, alarms, columns."""
    rows = {k: v for k, v in (summary.get("rows") or {}).items() if v is not None}
    profile, checked = parts.get("profile") or {}, parts.get("validation") or {}
    load, split = parts.get("load") or {}, parts.get("split") or {}
    columns = [_column(c) for c in profile.get("columns") or []]
    if not (rows or columns or checked):
        return None
    columns.sort(key=lambda c: (c["role"] != "target", -(c["association"] or 0.0)))
    flow = [(f"s-{name}", rows[name]) for name in (*SIDES, "quarantined") if rows.get(name)]
    sizes = {key.removeprefix("s-"): n for key, n in flow}
    missing = [c["missing_share"] for c in columns if c["role"] == "feature"]
    return {
        "rows": rows,
        "flow": share_bar(flow, ", ".join(f"{n:,} {k}" for k, n in sizes.items()))
        if flow
        else None,
        "sides": sizes,
        "classes": _classes(split),
        "contract": summary.get("contract"),
        "failures": list(checked.get("failures") or []),
        "warnings": list(checked.get("warnings") or []),
        "alarms": list(summary.get("alarms") or profile.get("alarms") or []),
        "notes": [
            *(load.get("notes") or []),
            *(split.get("reasons") or []),
            *(split.get("warnings") or []),
        ],
        "missing_share": sum(missing) / len(missing) if missing else None,
        "duplicates": (profile.get("duplicates") or {}).get("rows"),
        "columns": columns[:COLUMNS_SHOWN],
        "more_columns": columns[COLUMNS_SHOWN:],
        "pairs": list(profile.get("pairs") or [])[:10],
    }


def _classes(split: Mapping[str, Any]) -> dict[str, Any] | None:
    """Rows per class and side, where the split counted them."""
    sides = (split.get("counts") or {}).items()
    counts = {s: c["classes"] for s, c in sides if isinstance(c, dict) and c.get("classes")}
    if not counts:
        return None
    labels = list(dict.fromkeys(label for found in counts.values() for label in found))
    rows = [[label, *(found.get(label, 0) for found in counts.values())] for label in labels]
    return {"sides": list(counts), "rows": rows[:60]}


def _column(found: Mapping[str, Any]) -> dict[str, Any]:
    """One line about a column."""
    hist = found.get("histogram") or {}
    low, high = found.get("min"), found.get("max")
    if found.get("seen") == "integer" and low is not None and high is not None:
        low, high = int(low), int(high)  # 0 to 2, not 0 to 2.000
    words = [*(found.get("false") or ()), *(found.get("true") or ())]  # No, Yes, not 0 to 1
    levels = words or [str(level) for level, _ in (found.get("levels") or [])[:5]]
    more = (found.get("distinct") or len(levels)) - len(levels)
    alone = found.get("alone") or {}
    return {
        "name": found["name"],
        "role": found.get("role") or "feature",
        "kind": found.get("kind") or "",
        "range": (low, high) if low is not None and high is not None else None,
        "levels": levels,
        "more_levels": max(more, 0) if levels else 0,
        "missing_share": found.get("missing_share") or 0.0,
        "association": found.get("association"),
        "alone": alone if alone.get("value") is not None else None,
        "flags": list(found.get("flags") or []),
        "spark": sparkline(hist["counts"], f"distribution of {shown(found['name'])}")
        if hist.get("counts")
        else None,
    }


def network(parts: Mapping[str, Any]) -> dict[str, Any] | None:
    """Layers, parameters, inputs, outputs, curves, ensemble."""
    fitted, curves = parts.get("fitted") or {}, parts.get("curves") or {}
    members = list(curves.get("members") or fitted.get("members") or [])
    if not (fitted or members):
        return None
    weighed = any((m.get("weight") or 0) > 0 for m in members)
    chosen = [m for m in members if not weighed or (m.get("weight") or 0) > 0]
    facts = {
        key: fitted.get(key)
        for key in (
            "network",
            "parameters",
            "layers",
            "inputs",
            "output",
            "ensemble",
            "calibration",
        )
    }
    return {
        **facts,
        "choices": _choices(fitted),
        "settings": fitted.get("settings") or {},
        "members": len(members),
        "chosen": len(chosen),
        "failed": [m for m in members if m.get("failed")],
        "diagnosis": figures.diagnosis(chosen),
        "figures": [f for f in [figures.learning(chosen, curves.get("loss") or "loss")] if f],
    }


def _choices(fitted: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What was chosen on validation, in words: ensemble, calibration, decision."""
    ensemble, calibration, decision = (
        fitted.get(key) or {} for key in ("ensemble", "calibration", "decision")
    )
    lines = features(fitted.get("features") or {})
    if kind := ensemble.get("kind"):
        words = "the single best seed" if kind == "best" else str(kind)
        lines.append(("Ensemble", words + _gained(ensemble, "")))
    if kind := calibration.get("kind"):
        words = "none, it would not have helped" if kind == "none" else str(kind)
        lines.append(("Calibration", words + _gained(calibration, " in log loss")))
    if kind := decision.get("kind"):
        known = {"likeliest": "the likeliest class", "bayes": "the least expected cost"}
        at = decision.get("threshold")
        where = f", threshold {at:.4g}" if isinstance(at, float) and kind != "likeliest" else ""
        lines.append(("Decision", known.get(kind, str(kind)) + where))
    return lines


def _gained(found: Mapping[str, Any], unit: str) -> str:
    gain, error = found.get("gain"), found.get("standard_error")
    if not gain or error is None:
        return ""
    return f"; cross-fitted gain {gain:.2g} \N{PLUS-MINUS SIGN} {error:.2g}{unit}"


def evidence(parts: Mapping[str, Any], floors: Mapping[str, float]) -> dict[str, Any] | None:
    """Metrics, the ladder, curves, importance, worst rows."""
    found = parts.get("evidence")
    if not found:
        return None
    binary = found["task"] == "binary"
    drawn: list[dict[str, Any] | None] = []
    if binary:
        drawn += figures.rates(found.get("curves") or {}, str(found.get("positive")))
    drawn.append(figures.calibration(found.get("calibration") or [], binary))
    if found.get("scatter"):
        drawn.append(figures.predicted_true(found["scatter"], str(found.get("target") or "value")))
    if found.get("residuals"):
        drawn.append(figures.residuals(found["residuals"]))
    return {
        **found,
        "ladder": _ladder(found, floors),
        "table": _metrics(found),
        "figures": [f for f in drawn if f],
        "confusion": _confusion(found.get("confusion")),
        "importance": _importance(found.get("importance")),
        "sides": [s for s in ("test", "validation") if found["metrics"].get(s)],
    }


def _metrics(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    test, validation = (found["metrics"].get(side) or {} for side in ("test", "validation"))
    names = list(dict.fromkeys([found["metric"], *test, *validation]))
    better = {"max": "higher", "min": "lower"}
    return [
        {
            "name": name,
            "better": better.get(found.get("directions", {}).get(name, ""), ""),
            "test": test.get(name),
            "validation": validation.get(name),
            "decides": name == found["metric"],
        }
        for name in names
    ]


def _ladder(found: Mapping[str, Any], floors: Mapping[str, float]) -> dict[str, Any]:
    """Network and rungs in the deciding metric, best first, on one scale."""
    metric = found["metric"]
    rungs = [{"name": "network", "label": "network", "metrics": found["metrics"], "own": True}]
    rungs += [{**rung, "own": False} for rung in found.get("ladder") or []]
    marks = [float(floors[metric])] if metric in floors else []
    span = _span(rungs, metric, marks)
    for rung in rungs:
        sides = {
            side: (rung["metrics"].get(side) or {}).get(metric) or {}
            for side in ("test", "validation")
        }
        rung.update(sides)
        value, low, high = (sides["test"].get(key) for key in ("value", "low", "high"))
        title = f"{rung['label']}, test"
        rung["test_bar"] = interval_bar(value, low, high, span, title=title, marks=marks)
    sign = -1 if found.get("directions", {}).get(metric) == "max" else 1
    rungs.sort(key=lambda r: _last(r["test"].get("value"), sign))
    return {"metric": metric, "rungs": rungs, "floor": marks[0] if marks else None}


def _span(
    rungs: Sequence[Mapping[str, Any]], metric: str, marks: list[float]
) -> tuple[float, float]:
    """The common scale: the dummy is far from all others and would leave them one dot."""
    near = [rung for rung in rungs if rung["name"] != "dummy"]
    ends = [
        bound
        for rung in (near if len(near) > 1 else rungs)
        for key in ("value", "low", "high")
        if (bound := (rung["metrics"].get("test") or {}).get(metric, {}).get(key)) is not None
    ]
    return (min([*ends, *marks]), max([*ends, *marks])) if ends else (0.0, 1.0)


def _last(value: float | None, sign: int) -> float:
    return float("inf") if value is None else sign * value


def _confusion(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if not found:
        return None
    counts = found.get("counts")
    if not counts:
        return {**found, "matrix": None}
    rows = [
        {"label": label, "cells": [(n, n / (sum(row) or 1)) for n in row], "rows": sum(row)}
        for label, row in zip(found["labels"], counts, strict=True)
    ]
    return {**found, "matrix": rows}


def _importance(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if not found or not found.get("columns"):
        return None
    columns = found["columns"]
    ends = [c[key] for c in columns for key in ("low", "high") if c.get(key) is not None]
    span = (min([0.0, *ends]), max([0.0, *ends]))
    drawn = [
        {
            **c,
            "bar": interval_bar(
                c["value"], c["low"], c["high"], span, title=shown(c["column"]), marks=[0.0]
            ),
        }
        for c in columns
    ]
    return {**found, "columns": drawn[:IMPORTANT_SHOWN], "more": drawn[IMPORTANT_SHOWN:]}
