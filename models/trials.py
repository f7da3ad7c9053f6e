"""A trial of a sweep and what became of it, as plain data that travels between processes."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any, Literal

from models.settings import TrainSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.course import Courses, MemberRecord


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One set of hyperparameters: every fold of it is a member."""

    number: int
    settings: TrainSettings

    def to_json(self) -> dict[str, Any]:
        """Return the trial as JSON."""
        return {"number": self.number, "settings": asdict(self.settings)}

    @classmethod
    def of(cls, described: dict[str, Any]) -> Trial:
        """Read back what `to_json` returned."""
        settings = TrainSettings(**described["settings"])
        return cls(number=described["number"], settings=settings)


@dataclass(kw_only=True)
class TrialResult:
    """What became of a trial.

    Attributes:
        number: the trial's.
        state: "running" between two rungs; "pruned" was stopped at a rung, or by the budget
            before its first epoch.
        reason: why it failed or was pruned.
        score: mean over folds of the best validation loss (nats, or squared standardised error).
        error: standard error of the score over folds, None for one fold.
        folds: best validation loss per fold.
        epochs: epochs that it was trained for.
        best_epoch: mean epoch (from 0) of the kept weights.
        rung: the epoch at which it was stopped as one of the worse.
        train: mean training loss over folds per epoch.
        validation: mean validation loss over folds per epoch.
        seconds: its share of the training time.
        stopped: why its members ended: "patience", "epochs", "budget", "halving" or "failed".
    """

    number: int
    state: Literal["running", "finished", "pruned", "failed"]
    reason: str = ""
    score: float | None = None
    error: float | None = None
    folds: list[float] = field(default_factory=list)
    epochs: int = 0
    best_epoch: float | None = None
    rung: int | None = None
    train: list[float | None] = field(default_factory=list)
    validation: list[float | None] = field(default_factory=list)
    seconds: float = 0.0
    stopped: str | None = None

    @property
    def alive(self) -> bool:
        """Whether it may still become better or be a candidate."""
        return self.state in ("running", "finished")

    def prune(self, reason: str, *, rung: int | None = None) -> None:
        """Stop it here."""
        self.state, self.reason, self.rung = "pruned", reason, rung
        self.stopped = "budget" if rung is None else "halving"


def best_of(courses: Courses) -> float | None:
    """Return the best score so far of any trial: the mean over its folds."""
    folds: dict[int, list[float]] = {}
    for record in courses.records:
        folds.setdefault(record.settings["trial"], []).append(record.best)
    scores = [score for score in map(fmean, folds.values()) if math.isfinite(score)]
    return min(scores, default=None)


def results(courses: Courses, trials: Sequence[Trial], *, last: bool) -> list[TrialResult]:
    """Return what became of the trials whose members' records the courses hold."""
    found = []
    for trial in trials:
        own = [
            (record, seconds)
            for record, seconds in zip(courses.records, courses.seconds, strict=True)
            if record.settings["trial"] == trial.number
        ]
        records = [record for record, _ in own]
        result = _result(trial.number, records, last=last)
        result.seconds = sum(seconds for _, seconds in own)
        found.append(result)
    return found


def _result(number: int, records: Sequence[MemberRecord], *, last: bool) -> TrialResult:
    curves: dict[str, Any] = {
        "train": _mean_curve([record.train for record in records]),
        "validation": _mean_curve([record.validation for record in records]),
        "epochs": max(len(record.train) for record in records),
    }
    reasons = [record.failed for record in records if record.failed]
    if reasons:
        reason = f"{reasons[0]} ({len(reasons)} of {len(records)} members)"
        return TrialResult(number=number, state="failed", reason=reason, stopped="failed", **curves)
    if any(record.best_epoch < 0 for record in records):
        result = TrialResult(number=number, state="running", **curves)
        if last:
            result.prune("the budget ended before its first epoch did")
        return result
    folds = [record.best for record in records]
    return TrialResult(
        number=number,
        state="finished" if last else "running",
        score=fmean(folds),
        error=stdev(folds) / math.sqrt(len(folds)) if len(folds) > 1 else None,
        folds=folds,
        best_epoch=fmean(record.best_epoch for record in records),
        stopped=next((record.stopped for record in records if record.stopped), None),
        **curves,
    )


def _mean_curve(curves: Sequence[Sequence[float]]) -> list[float | None]:
    """Return the mean per epoch over the members that reached it; None where it is not finite."""
    longest = max(map(len, curves))
    mean = (fmean(c[epoch] for c in curves if epoch < len(c)) for epoch in range(longest))
    return [value if math.isfinite(value) else None for value in mean]
