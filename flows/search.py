"""The search of a sweep: ask a batch, train it, tell the study, until trials, budget or patience end.

- What a batch came to is written down at once, so a killed search goes on where it was: told
  batches are read back, an open one is trained on from its last rung.
- A batch is compared at each rung with all batches before it, never with a later one: the course
  does not depend on when it was killed, nor on how many processes trained it.
- The clock counts earlier sittings too.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from flows.json_files import read_json, write_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from flows.progress import Voice
    from flows.study import Asked, Study
    from flows.sweep_spec import SweepSpec
    from models.batch import BatchResult
    from models.trials import TrialResult

MOST_BATCH = 32
EVERY_SECONDS = 2.0
"""How often the clock is written down while a batch trains."""
OUT_OF_BUDGET = "the budget ended before its first epoch did"


class Train(Protocol):
    """Trains a batch of trials; `models.batch.train_batch` with its table and crew."""

    def __call__(
        self,
        asked: Sequence[Asked],
        *,
        standing: Mapping[int, Sequence[float]],
        deadline: float | None,
        progress: Callable[[Mapping[str, Any]], None],
    ) -> BatchResult:
        """Return what became of each, in order."""
        ...


@dataclass(kw_only=True)
class Found:
    """What a search came to."""

    trials: list[dict[str, Any]] = field(default_factory=list)
    """A result per trial, with its parameters, by number."""
    fitted: list[Path] = field(default_factory=list)
    """Folders of fitted populations."""
    rungs: list[dict[str, Any]] = field(default_factory=list)
    """Per batch and rung: epoch, how many reached it, how many were stopped."""
    notes: list[str] = field(default_factory=list)
    stopped: str = ""
    """Why it ended: "trials", "budget" or "patience"."""
    seconds: float = 0.0

    @property
    def scores(self) -> list[float]:
        """Scores of the finished trials, by number."""
        return [t["score"] for t in self.trials if t["state"] == "finished"]


class Clock:
    """The seconds that a search has taken, those of killed sittings included."""

    def __init__(self, path: Path) -> None:
        """Read what earlier sittings took."""
        self.path = path
        self.before = float(read_json(path)["seconds"]) if path.is_file() else 0.0
        self.began = self.written = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds so far."""
        return self.before + time.monotonic() - self.began

    def keep(self, *, now: bool = False) -> None:
        """Write it down, now and then."""
        if now or time.monotonic() - self.written > EVERY_SECONDS:
            self.written = time.monotonic()
            write_json(self.path, {"seconds": round(self.seconds, 3)})


class Search:
    """One search; `run` may be called again after a kill, with the same folder and study."""

    def __init__(
        self,
        sweep: SweepSpec,
        study: Study,
        train: Train,
        folder: Path,
        voice: Voice,
        resolved: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict,
    ) -> None:
        """Keep the clock and what batches came to in `folder`; `resolved` names whole settings."""
        self.sweep, self.study, self.train, self.voice = sweep, study, train, voice
        self.resolved = resolved
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.clock = Clock(folder / "clock.json")
        self.size = batch_size(sweep)
        self.found = Found()
        self.standing: dict[int, list[float]] = {}

    def run(self) -> Found:
        """Search until an end is reached."""
        place = 0
        while True:
            kept = self._kept(place)
            if not kept.is_file():
                if end := self._ended(place):
                    self.found.stopped = end
                    break
                self._train(place, kept)
            self._take(read_json(kept))
            place += 1
        self._leave(place)
        self.clock.keep(now=True)
        self.found.seconds = round(self.clock.seconds, 3)
        return self.found

    def _kept(self, place: int) -> Path:
        return self.folder / f"batch-{place:04d}.json"

    def _ended(self, place: int) -> str:
        """Why no further batch is trained; "" while one is."""
        if place * self.size >= self.sweep.trials:
            return "trials"
        if self.sweep.seconds is not None and self.clock.seconds >= self.sweep.seconds:
            return "budget"
        since = without_better(self.found.trials)
        if self.sweep.patience is not None and since >= self.sweep.patience:
            return "patience"
        return ""

    def _asked(self, place: int) -> list[Asked]:
        """Return the batch, asking for what is missing of it."""
        start, stop = place * self.size, min((place + 1) * self.size, self.sweep.trials)
        known = self.study.asked()
        return [*known, *self.study.ask(max(0, stop - len(known)))][start:stop]

    def _train(self, place: int, kept: Path) -> None:
        asked = self._asked(place)
        left = None if self.sweep.seconds is None else self.sweep.seconds - self.clock.seconds
        done = self.train(
            asked,
            standing=self.standing,
            deadline=None if left is None else time.time() + left,
            progress=self._progress(place, asked),
        )
        trials = self._described(done.results, asked, place)
        self._tell(trials)
        self.study.flush()
        self.clock.keep(now=True)
        folders = [str(path.relative_to(self.folder)) for path in done.fitted]
        batch = {"trials": trials, "fitted": folders, "rungs": done.rungs, "notes": done.notes}
        write_json(kept, batch)

    def _described(
        self, results: Sequence[TrialResult], asked: Sequence[Asked], place: int
    ) -> list[dict[str, Any]]:
        """Join results with what was asked for."""
        by_number = {one.number: one.parameters for one in asked}
        return [
            {
                **asdict(result),
                "parameters": by_number[result.number],
                "settings": dict(self.resolved(by_number[result.number])),
                "batch": place,
            }
            for result in results
        ]

    def _tell(self, trials: Sequence[Mapping[str, Any]]) -> None:
        for trial in trials:
            self.study.tell(
                trial["number"],
                trial["state"],
                trial["score"],
                at=trial["rung"] or trial["epochs"],
                reason=trial["reason"],
            )

    def _take(self, batch: Mapping[str, Any]) -> None:
        """Take in a batch as it was written down."""
        self.found.trials += batch["trials"]
        self.found.fitted += [self.folder / name for name in batch["fitted"]]
        self.found.notes += batch["notes"]
        for rung in batch["rungs"]:
            scores = list(rung["scores"].values())
            self.standing.setdefault(rung["epoch"], []).extend(scores)
            entered, stopped = len(scores), len(rung["stopped"])
            self.found.rungs.append(
                {"epoch": rung["epoch"], "entered": entered, "stopped": stopped}
            )
        self.voice.trials(batch["trials"])

    def _leave(self, place: int) -> None:
        """Tell the study of trials that were asked for and never trained: the budget had ended."""
        for one in self.study.asked()[place * self.size :]:
            if not one.told:
                self.study.tell(one.number, "failed", None, reason=OUT_OF_BUDGET)

    def _progress(self, place: int, asked: Sequence[Asked]) -> Callable[[Mapping[str, Any]], None]:
        """Return what hears how a batch gets on; trials are handed on as they end.

        That is done by the thread that searches alone, as it may raise what ends the search.
        """
        scores, before = self.found.scores, len(self.found.trials)
        ours, ended = threading.get_ident(), deque[Any]()

        def tell(told: Mapping[str, Any]) -> None:
            ended.extend(told.get("ended", ()))
            if ended and threading.get_ident() == ours:
                self.voice.trials(
                    self._described([ended.popleft() for _ in range(len(ended))], asked, place)
                )
            self.clock.keep()
            known = [*scores, *([told["best"]] if told.get("best") is not None else [])]
            rung = f", compared at {told['until']}" if told["until"] < told["epochs"] else ""
            rows = {
                "trials": f"{before} of {self.sweep.trials} done, {told['trials']} of "
                f"{len(asked)} in training",
                "epoch": f"{told['epoch']} of at most {told['epochs']}{rung}",
                "best": f"{min(known):.4g}" if known else "none yet",
                "time": self._time(before),
            }
            if told["jobs"] > 1:
                rows["group"] = f"{told['done'] + 1} of {told['jobs']} in batch {place + 1}"
            self.voice.board(rows)

        return tell

    def _time(self, before: int) -> str:
        """How long it has taken, and may still take."""
        spent, ends = self.clock.seconds, list[float]()
        if before:
            ends.append(spent * (self.sweep.trials - before) / before)
        if self.sweep.seconds is not None:
            ends.append(max(self.sweep.seconds - spent, 0.0))
        left = f", at most {_clock(min(ends))} left" if ends else ""
        return f"{_clock(spent)}{left}"


def batch_size(sweep: SweepSpec) -> int:
    """Return how many trials are asked for at once: MOST_BATCH, or as given.

    Rungs compare the trials of a batch, and populations are the quicker per trial the bigger.
    """
    return min(MOST_BATCH if sweep.batch == "auto" else sweep.batch, sweep.trials)


def without_better(trials: Sequence[Mapping[str, Any]]) -> int:
    """Return how many trials there were since the best one."""
    best, since = float("inf"), 0
    for trial in trials:
        since += 1
        if trial["state"] == "finished" and trial["score"] < best:
            best, since = trial["score"], 0
    return since


def identity(study: Mapping[str, Any]) -> str:
    """Return the digest by which a study is known, of all that decides its course."""
    import hashlib

    text = json.dumps(study, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _clock(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole // 60}m {whole % 60:02d}s" if whole >= 60 else f"{whole}s"
