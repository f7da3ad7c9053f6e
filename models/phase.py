"""One population through one phase of a sweep: from its start, or the last rung, to the next.

- A phase reads the states that earlier phases left, keeps the members of the trials that go on,
  and leaves a state and its results; the last phase leaves a fitted population.
- A job that is done says so in `done.json`, written last: what is done is not done again, and a
  killed one goes on from its last checkpoint.
- A job that runs out of memory is halved and tried once more; trials of which the training fails
  otherwise are tried one by one, and fail alone.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch

from models.checkpoint import Checkpoints, part_of
from models.fit import learner_of
from models.harvest import harvest
from models.learner import TrainingFailed, run
from models.networks import CONFIGS
from models.population import Member
from models.settings import Plan
from models.trials import Trial, TrialResult, best_of, results

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

    from models.fit import Encoded
    from models.learner import Learner

    Progress = Callable[[dict[str, Any]], None]

DONE = "done.json"


@dataclass(frozen=True, kw_only=True)
class Job:
    """A population and how far it is trained.

    Attributes:
        name: the folder's name, of which the trials and the phase follow.
        trials: those that train.
        plan: of the widest of them.
        sources: folders of the jobs of the phase before, empty at the start.
        until: the epoch before which the phase ends.
        last: whether the trials are finished then.
        deadline: seconds since 1970 after which no further epoch begins, None for never.
        seconds: what it should take one thread.
    """

    name: str
    trials: tuple[Trial, ...]
    plan: Plan
    until: int
    last: bool
    sources: tuple[str, ...] = ()
    deadline: float | None = None
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Return the job as JSON."""
        return {**asdict(self), "trials": [trial.to_json() for trial in self.trials]}

    @classmethod
    def of(cls, described: dict[str, Any]) -> Job:
        """Read back what `to_json` returned."""
        trials = tuple(Trial.of(trial) for trial in described["trials"])
        plan = dict(described["plan"])
        plan["config"] = CONFIGS[trials[0].settings.network](**plan["config"])
        sources = tuple(described["sources"])
        return cls(**{**described, "trials": trials, "plan": Plan(**plan), "sources": sources})


@dataclass(kw_only=True)
class Done:
    """What a job left: results, the folders of states with their trials, of fitted populations."""

    results: list[TrialResult] = field(default_factory=list)
    states: dict[str, list[int]] = field(default_factory=dict)
    fitted: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What went otherwise than planned, such as a population that was halved."""

    def add(self, other: Done) -> None:
        """Take in what a part of the job left."""
        self.results += other.results
        self.states |= other.states
        self.fitted += other.fitted
        self.notes += other.notes

    def write(self, folder: Path) -> None:
        """Say that the job is done: whole or not at all."""
        draft = folder / f".{DONE}"
        draft.write_text(json.dumps(asdict(self), allow_nan=False), encoding="utf-8")
        draft.replace(folder / DONE)

    @classmethod
    def read(cls, folder: Path) -> Done | None:
        """Return what `write` has written, None where the job is not done."""
        try:
            found = json.loads((folder / DONE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return cls.of(found)

    @classmethod
    def of(cls, described: dict[str, Any]) -> Done:
        """Read back what `asdict` gave."""
        results = [TrialResult(**each) for each in described["results"]]
        return cls(**{**described, "results": results})

    @classmethod
    def failed(cls, job: Job, reason: str) -> Done:
        """Return what a job leaves whose trials all failed for one reason."""
        results = [
            TrialResult(number=trial.number, state="failed", reason=reason, stopped="failed")
            for trial in job.trials
        ]
        return cls(results=results)


def train_job(encoded: Encoded, job: Job, folder: Path, progress: Progress) -> Done:
    """Do a job whose folder is `folder / job.name`, or return what it has left before."""
    own = folder / job.name
    if (done := Done.read(own)) is not None:
        return done
    own.mkdir(parents=True, exist_ok=True)
    done = _attempt(encoded, job, folder, progress, again=True)
    done.write(own)
    return done


def _attempt(encoded: Encoded, job: Job, folder: Path, progress: Progress, *, again: bool) -> Done:
    """Train; on failure halve (memory) or try the trials one by one, once."""
    try:
        return _train(encoded, job, folder, progress)
    except (RuntimeError, ValueError, MemoryError, ArithmeticError) as error:
        short = _short_of_memory(error)
        reason = f"{type(error).__name__}: {error}"[:300]
        if not again or len(job.trials) == 1:
            return Done.failed(job, reason)
        pieces = 2 if short else len(job.trials)
        done = Done(notes=[f"{len(job.trials)} trials were divided: {reason}"])
        for place in range(pieces):
            trials = job.trials[place::pieces]
            if trials:
                part = replace(job, trials=trials, name=f"{job.name}/{place}")
                done.add(_attempt(encoded, part, folder, progress, again=False))
        return done


def _short_of_memory(error: BaseException) -> bool:
    text = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in text or "can't allocate" in text


def _train(encoded: Encoded, job: Job, folder: Path, progress: Progress) -> Done:
    """Train the job's population from its sources to the end of the phase."""
    own = folder / job.name
    learner = _begin(encoded, job, folder)
    rungs = Checkpoints(own, key=f"{job.name} {encoded.digest}")
    rungs.resume(learner)

    def after_epoch(learner: Learner) -> None:
        rungs(learner)
        late = job.deadline is not None and time.time() > job.deadline
        if late and learner.courses.alive:
            learner.courses.close("budget")
            learner.courses.alive = []
        if late:
            learner.trainer.should_stop = True
        progress(
            {
                "trials": len(job.trials),
                "alive": len(learner.courses.alive),
                "epoch": learner.epoch,
                "epochs": job.plan.epochs,
                "best": best_of(learner.courses),
            }
        )

    learner.after_epoch = after_epoch
    if job.deadline is not None and time.time() > job.deadline:
        learner.courses.close("budget")
        learner.courses.alive = []
    run(learner)
    done = Done(results=results(learner.courses, job.trials, last=job.last))
    if job.last:
        _harvest(encoded, job, learner, own, done)
        rungs.clear()
    else:
        rungs.write(learner)
        done.states[job.name] = [trial.number for trial in job.trials]
    return done


def _harvest(encoded: Encoded, job: Job, learner: Learner, own: Path, done: Done) -> None:
    """Leave the fitted population of the trials that are whole."""
    try:
        fitted = harvest(encoded.table, encoded.encoder, encoded.target, learner, job.plan)
    except TrainingFailed:
        return  # each trial's result says why
    place = own / "fitted"
    place.mkdir(parents=True, exist_ok=True)  # a part of a divided job has no folder of its own
    fitted.save(place)
    done.fitted.append(f"{job.name}/fitted")


def _begin(encoded: Encoded, job: Job, folder: Path) -> Learner:
    """Return a learner with newly drawn members, or with those that go on."""
    if job.sources:
        learner = _resumed(encoded, job, folder)
        learner.until = job.until
        return learner
    width = job.plan.config.width
    members = [
        member
        for trial in job.trials
        for member in trial.settings.population(
            encoded.count,
            trial=trial.number,
            width=_own_width(trial.settings.plan(encoded.size).config.width, width),
        )
    ]
    learner = learner_of(encoded, job.trials[0].settings, job.plan, members)
    learner.until = job.until
    return learner


def _own_width(own: int, width: int) -> int | None:
    return None if own == width else own


def _resumed(encoded: Encoded, job: Job, folder: Path) -> Learner:
    """Put together what goes on of the earlier phase's states."""
    numbers = {trial.number for trial in job.trials}
    states = [_read(encoded, folder / source, source) for source in job.sources]
    kept = [_chosen(state, tensors, numbers) for state, tensors in states]
    records = [record for state, _ in kept for record in state["courses"]["records"]]
    alive, start = [], 0
    for state, _ in kept:
        alive += [start + place for place in state["courses"]["alive"]]
        start += len(state["courses"]["records"])
    tensors = {
        name: torch.cat([own[name] for _, own in kept if name in own])
        for name in dict.fromkeys(name for _, own in kept for name in own)
    }
    # With nobody left to train, the best weights stand in: something must give the shapes.
    part = "population." if alive else "best."
    living = [records[i]["settings"] for i in (alive or range(len(records)))]
    members = [Member.of(settings) for settings in living]
    learner = learner_of(encoded, job.trials[0].settings, job.plan, members)
    learner.population.load_state_dict(part_of(tensors, part))
    courses: dict[str, Any] = {"alive": alive, "records": records}
    courses["seconds"] = [s for state, _ in kept for s in state["courses"]["seconds"]]
    learner.courses.take(courses, part_of(tensors, "best."))
    if alive:
        steps = max(state["steps"] for state, _ in states)
        learner.optimizer.load_tensors(part_of(tensors, "optimizer."), steps=steps)
    learner.epoch = max(state["epoch"] for state, _ in states)
    return learner


def _read(encoded: Encoded, folder: Path, name: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    found = Checkpoints(folder, key=f"{name} {encoded.digest}").read()
    if found is None:
        msg = f"the state that the phase before left must be whole, however: {folder} is damaged"
        raise ValueError(msg)
    return found


def _chosen(
    state: dict[str, Any], tensors: dict[str, Tensor], numbers: set[int]
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Cut a state to the members of some trials."""
    courses = state["courses"]
    records = [i for i, r in enumerate(courses["records"]) if r["settings"]["trial"] in numbers]
    living = [place for place, i in enumerate(courses["alive"]) if i in records]
    cut = {
        "records": [courses["records"][i] for i in records],
        "seconds": [courses["seconds"][i] for i in records],
        "alive": [records.index(courses["alive"][place]) for place in living],
    }
    chosen = {
        name: tensor[records if name.startswith("best.") else living]
        for name, tensor in tensors.items()
    }
    return {**state, "courses": cut}, chosen
