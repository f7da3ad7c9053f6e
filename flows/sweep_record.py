"""What a sweep leaves in `sweep.json`: trials, the best, rungs, importance, in words and numbers.

- The best trial is the one of least score, the mean over folds of its best validation loss; how
  many others lie within one standard error of it is said beside it.
- Importance rests on trials that are comparable: on those that finished, or on the loss of all of
  them after the first rung's epochs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flows.importance import FEWEST, importance
from flows.sweep_words import STATES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flows.search import Found
    from flows.space import Space
    from flows.sweep_spec import SweepSpec


def record(
    found: Found,
    sweep: SweepSpec,
    space: Space,
    *,
    classes: int,
    seed: int,
) -> dict[str, Any]:
    """Return what `sweep.json` says; at least one trial must have finished."""
    trials = [{**trial, "within_one_error": False} for trial in found.trials]
    finished = sorted(
        (t for t in trials if t["state"] == "finished"), key=lambda t: (t["score"], t["number"])
    )
    best = finished[0]
    limit = best["score"] + (best["error"] or 0.0)
    for trial in finished:
        trial["within_one_error"] = trial["score"] <= limit
    return {
        "unit": "log loss" if classes else "squared error of the standardised target",
        "sampler": sweep.sampler,
        "seed": seed,
        "space": space.described(),
        "published": space.published,
        "halving": {"factor": sweep.factor} if sweep.halving else None,
        "trials": trials,
        "best": {
            "number": best["number"],
            "score": best["score"],
            "error": best["error"],
            "parameters": best["parameters"],
            "settings": best["settings"],
            "within_one_error": sum(t["within_one_error"] for t in finished),
        },
        "first": _first(trials),
        "rungs": rungs(found.rungs),
        "importance": _importance(space, trials, found.rungs, seed),
        "notes": found.notes,
        "stopped": found.stopped,
        "seconds": found.seconds,
        **counts(trials),
    }


def counts(trials: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Return how many trials ended in each state."""
    return {state: sum(t["state"] == state for t in trials) for state in STATES}


def rungs(reached: Sequence[Mapping[str, Any]]) -> list[dict[str, int]]:
    """Return, per rung of all batches: its epoch, how many reached it and how many went on."""
    found: dict[int, dict[str, int]] = {}
    for rung in reached:
        sums = found.setdefault(rung["epoch"], {"epoch": rung["epoch"], "entered": 0, "left": 0})
        sums["entered"] += rung["entered"]
        sums["left"] += rung["entered"] - rung["stopped"]
    return [found[epoch] for epoch in sorted(found)]


def _first(trials: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """What the family's own settings came to, which are tried first."""
    trial = trials[0]
    return {"number": trial["number"], "state": trial["state"], "score": trial["score"]}


def _importance(
    space: Space,
    trials: Sequence[Mapping[str, Any]],
    reached: Sequence[Mapping[str, Any]],
    seed: int,
) -> dict[str, Any]:
    """Return shares by parameter, and the trials and epoch that they rest on."""
    known = [(t["parameters"], t["score"]) for t in trials if t["state"] == "finished"]
    epoch = None
    if len(known) < FEWEST and reached:
        epoch = min(rung["epoch"] for rung in reached)
        early = [(t["parameters"], _best_by(t, epoch)) for t in trials if t["state"] != "failed"]
        known = [(parameters, score) for parameters, score in early if score is not None]
    shares = importance(space, known, seed)
    return {"shares": shares, "trials": len(known) if shares else 0, "epoch": epoch}


def _best_by(trial: Mapping[str, Any], epoch: int) -> float | None:
    return min((v for v in trial["validation"][:epoch] if v is not None), default=None)
