"""What a run says of its sweep: in `summary.json`, in the report, and in one line on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flows import sweep_charts
from flows.sweep_words import STATES, sentence

if TYPE_CHECKING:
    from collections.abc import Mapping

LEADERS = 10


def summary_of(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return `sweep` of summary.json from `sweep.json`; None where nothing was searched."""
    if not found:
        return None
    best = found["best"]
    basis = found["importance"]
    return {
        "trials": len(found["trials"]),
        **{state: found[state] for state in STATES},
        "seconds": found["seconds"],
        "stopped": found["stopped"],
        "sampler": found["sampler"],
        "unit": found["unit"],
        "best": {
            "number": best["number"],
            "score": best["score"],
            "error": best["error"],
            "within_one_error": best["within_one_error"],
            "parameters": best["parameters"],
        },
        "first": found["first"],
        "rungs": found["rungs"],
        "importance": {
            "shares": basis["shares"],
            "trials": basis["trials"],
            "epoch": basis["epoch"],
        },
        "learning_curve": _curve(found.get("learning_curve")),
        "sentence": sentence(found),
    }


def _curve(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The learning curve without its single folds."""
    if not found:
        return None
    kept = ("share", "rows", "score", "error", "train")
    points = [{name: point[name] for name in kept} for point in found["points"]]
    return {"helps": found["helps"], "sentence": found["sentence"], "points": points}


def section(summary: Mapping[str, Any], parts: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what the report's section about the sweep says; None where nothing was searched."""
    found, said = parts.get("sweep"), summary.get("sweep")
    if not found or not said:
        return None
    ranked = sorted(
        (t for t in found["trials"] if t["score"] is not None),
        key=lambda t: (t["state"] != "finished", t["score"]),
    )
    names = [n for n in found["space"] if any(n in t["parameters"] for t in found["trials"])]
    drawn = [
        draw(found)
        for draw in (sweep_charts.history, sweep_charts.importance, sweep_charts.learning)
    ]
    return {
        "sentence": _capital(sentence(found)),
        "first": _first(found),
        "close": _close(found),
        "bought": _bought(parts.get("fitted") or {}),
        "curve": (said.get("learning_curve") or {}).get("sentence"),
        "counts": {state: found[state] for state in STATES},
        "seconds": found["seconds"],
        "names": names,
        "leaders": [_leader(t, names) for t in ranked[:LEADERS]],
        "rungs": found["rungs"],
        "factor": (found["halving"] or {}).get("factor"),
        "failed": [t for t in found["trials"] if t["state"] == "failed"],
        "notes": found["notes"],
        "published": found["published"],
        "space": [(name, _axis(axis)) for name, axis in found["space"].items()],
        "parallel": sweep_charts.parallel(found),
        "figures": [figure for figure in drawn if figure],
        "unit": found["unit"],
    }


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


def _first(found: Mapping[str, Any]) -> str | None:
    """How the family's own settings, which are tried first, stand to the best."""
    first, best = found["first"], found["best"]
    if first["number"] == best["number"]:
        return "The network's own default settings were tried first, and none did better."
    if first["score"] is None:
        return None
    gain = first["score"] - best["score"]
    ended = "" if first["state"] == "finished" else f", where they were {first['state']}"
    return (
        f"The network's own default settings were tried first and came to {first['score']:.4g}"
        f"{ended}; the best trial is {gain:.2g} below."
    )


def _close(found: Mapping[str, Any]) -> str | None:
    """How many trials cannot be told from the best."""
    best = found["best"]
    others = best["within_one_error"] - 1
    if best["error"] is None or not others:
        return None
    trials = "one other trial lies" if others == 1 else f"{others} other trials lie"
    return f"{_capital(trials)[:-1]} within one standard error of the best, over the folds."


def _bought(fitted: Mapping[str, Any]) -> str | None:
    """What the ensemble bought over the single best candidate."""
    chosen = fitted.get("ensemble") or {}
    gain, error = chosen.get("gain"), chosen.get("standard_error")
    if gain is None or error is None:
        return None
    if chosen.get("kind") == "best":
        return (
            "An ensemble did not beat the single best candidate by more than its own uncertainty."
        )
    return (
        f"The ensemble is {gain:.2g} \N{PLUS-MINUS SIGN} {error:.2g} better than the single best "
        f"candidate, cross-fitted on validation rows{'' if gain > error else ': within noise'}."
    )


def _leader(trial: Mapping[str, Any], names: list[str]) -> dict[str, Any]:
    return {**trial, "values": [trial["parameters"].get(name) for name in names]}


def _axis(axis: Any) -> str:
    """An axis in words."""
    if not isinstance(axis, dict):
        return ", ".join(map(str, axis)) if isinstance(axis, list) else str(axis)
    how = " (logarithmic)" if axis.get("log") else ""
    step = f" in steps of {axis['step']:g}" if axis.get("step") else ""
    return f"{axis['low']:g} to {axis['high']:g}{step}{how}"
