"""Who trains: this process, and worker processes beside it, a population at a time each.

- One torch thread per process: two threads on one small product get into each other's way, two
  processes do not.
- Workers read the table from a folder once and get jobs on standard input; what they leave lies in
  the jobs' folders. They end when their input does, also when this process is killed.
- A job whose worker dies is done again, once, by this process.
"""

from __future__ import annotations

import threading
from collections import deque
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Self

from models import helper as helpers
from models.phase import Done, Job, train_job
from models.stored import save_table
from models.threads import one_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from models.fit import Encoded
    from models.helper import Helper
    from models.settings import TrainSettings

    Progress = Callable[[dict[str, Any]], None]


HIRE = 6.0  # seconds of work from which on it pays to start another process
ENGAGE = 0.5  # the same for one that has been started already
GLANCE = 0.05  # seconds between two looks at whether it has started


class Crew:
    """Trains jobs; a context manager that leaves no process behind."""

    def __init__(
        self, encoded: Encoded, settings: TrainSettings, folder: Path, *, workers: int = 1
    ) -> None:
        """Take a table made ready, the settings that it was made ready by, and a folder.

        `workers` processes train at a time, this one included; others than this one start when
        there is enough to do.
        """
        self.encoded, self.settings, self.folder = encoded, settings, folder
        self.workers = max(1, workers)
        self.helpers: list[Helper] = []

    def __enter__(self) -> Self:
        """Open the folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        """End the helpers."""
        for helper in self.helpers:
            helper.end()

    def train(self, jobs: Sequence[Job], progress: Progress) -> list[Done]:
        """Do the jobs, the first ones first; return what they left, in their order."""
        waiting, done = deque(enumerate(jobs)), dict[int, Done]()
        board = Board(progress, jobs)
        worth = ENGAGE if self.helpers or helpers.spares() else HIRE
        if len(jobs) > 1 and sum(job.seconds for job in jobs) > worth:
            self._hire(min(self.workers, len(jobs)) - 1)
        # What hears the progress may look at where it runs: a logger that asks a server, for one.
        threads = [
            threading.Thread(
                target=copy_context().run,
                args=(self._fetch, helper, waiting, done, board),
                daemon=True,
            )
            for helper in self.helpers
        ]
        for thread in threads:
            thread.start()
        self._work(waiting, done, board)
        for thread in threads:
            thread.join()
        self._work(waiting, done, board)  # what a dead helper has left
        return [done[place] for place in range(len(jobs))]

    def _work(self, waiting: deque[tuple[int, Job]], done: dict[int, Done], board: Board) -> None:
        with one_thread():
            while waiting:
                try:
                    place, job = waiting.popleft()
                except IndexError:  # a helper was quicker
                    return
                done[place] = train_job(self.encoded, job, self.folder, board.of(place))
                board.close(place, done[place])

    def _fetch(
        self,
        helper: Helper,
        waiting: deque[tuple[int, Job]],
        done: dict[int, Done],
        board: Board,
    ) -> None:
        while waiting:
            if not helper.started.wait(GLANCE):
                continue  # it still reads the table; others may have done all by then
            if not helper.lives():
                return
            try:
                place, job = waiting.popleft()
            except IndexError:
                return
            found = helper.train(job, board.of(place))
            if found is None:
                waiting.append((place, job))
                return
            done[place] = found
            board.close(place, found)

    def _hire(self, count: int) -> None:
        self.helpers = [helper for helper in self.helpers if helper.process.poll() is None]
        if count <= len(self.helpers):
            return
        place = self.folder / "table"
        save_table(self.encoded, self.settings, place)
        while len(self.helpers) < count:
            helper = helpers.take()
            helper.begin(place, self.folder)
            self.helpers.append(helper)


class Board:
    """What all jobs of a phase have come to, told as one."""

    def __init__(self, progress: Progress, jobs: Sequence[Job]) -> None:
        """Know of the jobs."""
        self.progress, self.lock, self.jobs = progress, threading.Lock(), jobs
        self.known: list[dict[str, Any]] = [
            {"epoch": 0, "epochs": job.plan.epochs, "trials": len(job.trials)} for job in jobs
        ]
        self.closed = 0

    def of(self, place: int) -> Progress:
        """Return what a job tells its progress to."""

        def tell(said: dict[str, Any]) -> None:
            with self.lock:
                self.known[place] |= said
                self.progress(self._told(place))

        return tell

    def close(self, place: int, done: Done) -> None:
        """Note that a job is done; of trials that are done with it, tell what became of them."""
        with self.lock:
            self.closed += 1
            if self.jobs[place].last:
                self.progress({**self._told(place), "ended": done.results})

    def _told(self, place: int) -> dict[str, Any]:
        best = [each["best"] for each in self.known if each.get("best") is not None]
        return {
            "epoch": self.known[place]["epoch"],
            "epochs": self.known[place]["epochs"],
            "until": self.jobs[place].until,
            "trials": sum(each["trials"] for each in self.known),
            "best": min(best, default=None),
            "jobs": len(self.known),
            "done": self.closed,
        }
