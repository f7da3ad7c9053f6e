"""A batch of trials through all phases: rung by rung, the worse ones stopped at each.

- All trials of a batch reach a rung before any goes on, so what is stopped depends neither on the
  order in which populations train nor on how many processes there are.
- What is done is found again in the folder: a killed sweep goes on from its last rung.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from models.phase import Job
from models.shapes import Group, divided, group

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from models.fit import Encoded
    from models.halving import Halving
    from models.remote import Trains
    from models.trials import Trial, TrialResult

    Progress = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, kw_only=True)
class BatchResult:
    """What became of a batch: results in the order of its trials, folders of fitted populations."""

    results: list[TrialResult]
    fitted: list[Path]
    notes: list[str]
    rungs: list[dict[str, Any]]
    """Per rung: its epoch, scores by trial that reached it, and how many went on."""


def train_batch(
    encoded: Encoded,
    trials: Sequence[Trial],
    *,
    crew: Trains,
    halving: Halving | None = None,
    standing: Mapping[int, Sequence[float]] | None = None,
    deadline: float | None = None,
    progress: Progress = lambda _: None,
) -> BatchResult:
    """Train trials in populations of one shape each, and stop the worse at each rung.

    Args:
        encoded: the table, made ready.
        trials: with numbers of their own; equal in task, epochs and bins.
        crew: who trains, and in which folder.
        halving: where trials are compared; None: nowhere.
        standing: scores of earlier trials per rung.
        deadline: seconds since 1970 after which no epoch begins; trials end there as they are.
        progress: hears {"epoch", "epochs", "until", "trials", "best", "jobs", "done"}, and "ended",
            the results of trials that a population has finished; from any of the crew's threads.
    """
    outputs = encoded.table.classes or 1
    shapes = group(trials, encoded.encoder, size=encoded.size, outputs=outputs)
    epochs = max(shape.plan.epochs for shape in shapes)
    known: dict[int, TrialResult] = {}
    ends = [rung for rung in (halving.rungs if halving else ()) if rung < epochs]
    rungs, notes, done = [], [], []
    sources: dict[int, str] = {}
    for place, until in enumerate([*ends, epochs]):
        last = place == len(ends)
        jobs = _jobs(shapes, sources, until=until, last=last, crew=crew, deadline=deadline)
        done = crew.train(jobs, progress)
        for each in done:
            known |= {result.number: result for result in each.results}
            notes += each.notes
        if last or halving is None:
            break
        reached = {
            n: r.score for n, r in known.items() if r.state == "running" and r.score is not None
        }
        late = deadline is not None and time.time() > deadline  # who came how far is then chance
        stopped = set() if late else halving.stopped(reached, (standing or {}).get(until, ()))
        for number in stopped:
            known[number].prune(f"among the worse after {until} epochs", rung=until)
        rungs.append({"epoch": until, "scores": reached, "stopped": sorted(stopped)})
        sources = {n: name for each in done for name, own in each.states.items() for n in own}
        shapes = _onward(shapes, known)
        if not shapes:
            break
    fitted = [crew.folder / name for each in done for name in each.fitted]
    results = [known[trial.number] for trial in trials]
    return BatchResult(results=results, fitted=fitted, notes=notes, rungs=rungs)


def _jobs(
    shapes: Sequence[Group],
    sources: Mapping[int, str],
    *,
    until: int,
    last: bool,
    crew: Trains,
    deadline: float | None,
) -> list[Job]:
    jobs = []
    for part in divided(shapes, workers=crew.workers, epochs=until):
        before = tuple(sorted({sources[t.number] for t in part.trials if t.number in sources}))
        named = [[trial.to_json() for trial in part.trials], part.plan.config.width, until, last]
        digest = hashlib.sha256(json.dumps([*named, before], sort_keys=True).encode()).hexdigest()
        job = Job(
            name=f"{until:04d}-{digest[:16]}",
            trials=part.trials,
            plan=part.plan,
            until=until,
            last=last,
            sources=before,
            deadline=deadline,
            seconds=part.seconds_per_epoch * until,
        )
        jobs.append(job)
    return jobs


def _onward(shapes: Sequence[Group], known: Mapping[int, TrialResult]) -> list[Group]:
    """Drop the trials that do not go on."""
    kept = []
    for shape in shapes:
        trials = tuple(t for t in shape.trials if known[t.number].state == "running")
        if trials:
            kept.append(replace(shape, trials=trials))
    return kept
