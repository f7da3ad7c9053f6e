"""Who trains: this process, and worker processes beside it, a population at a time each.

- One torch thread per process: two threads on one small product get into each other's way, two
  processes do not.
- Workers read the table from a folder once and get jobs on standard input; what they leave lies in
  the jobs' folders. They end when their input does, also when this process is killed.
- A job whose worker dies is done again, once, by this process.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections import deque
from contextvars import copy_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from models.phase import Done, Job, train_job
from models.stored import save_table
from models.threads import one_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from models.fit import Encoded
    from models.settings import TrainSettings

    Progress = Callable[[dict[str, Any]], None]


HIRE = 6.0  # seconds of work from which on it pays to start another process
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
        if len(jobs) > 1 and _seconds(jobs, self.encoded) > HIRE:
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
                board.close(place)

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
            board.close(place)

    def _hire(self, count: int) -> None:
        self.helpers = [helper for helper in self.helpers if helper.process.poll() is None]
        if count <= len(self.helpers):
            return
        place = self.folder / "table"
        save_table(self.encoded, self.settings, place)
        while len(self.helpers) < count:
            self.helpers.append(Helper(place, self.folder))


class Helper:
    """A worker process and the pipe to it."""

    def __init__(self, table: Path, folder: Path) -> None:
        """Start it; it reads the table while others train."""
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        root = str(Path(__file__).resolve().parent.parent)
        environment["PYTHONPATH"] = os.pathsep.join(
            [root, *filter(None, [os.environ.get("PYTHONPATH")])]
        )
        log = folder / "worker.log"
        with log.open("ab") as errors:
            self.process = subprocess.Popen(  # noqa: S603 - our own interpreter, no shell
                [sys.executable, "-P", "-m", "models.worker", str(table), str(folder)],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                encoding="utf-8",
                start_new_session=True,  # Ctrl-C is for the run, which ends its helpers
            )
        self.started, self.well = threading.Event(), False
        threading.Thread(target=self._begin, daemon=True).start()

    def _begin(self) -> None:
        """Wait until it has read the table, or has died."""
        self.well = self._line() is not None
        self.started.set()

    def lives(self) -> bool:
        """Whether it has read the table and is there."""
        return self.well and self.process.poll() is None

    def train(self, job: Job, progress: Progress) -> Done | None:
        """Have a job done; None where the worker has died."""
        try:
            assert self.process.stdin is not None  # noqa: S101 - a pipe was asked for
            self.process.stdin.write(json.dumps(job.to_json()) + "\n")
            self.process.stdin.flush()
        except OSError:
            return None
        while (said := self._line()) is not None:
            if "done" in said:
                return Done.read(Path(said["done"]))
            progress(said)
        return None

    def _line(self) -> dict[str, Any] | None:
        assert self.process.stdout is not None  # noqa: S101 - a pipe was asked for
        line = self.process.stdout.readline()
        try:
            return json.loads(line) if line else None
        except ValueError:
            return None

    def end(self) -> None:
        """End it: it is waiting, or what it does is not wanted any more."""
        self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self.process.wait()


class Board:
    """What all jobs of a phase have come to, told as one."""

    def __init__(self, progress: Progress, jobs: Sequence[Job]) -> None:
        """Know of the jobs."""
        self.progress, self.lock = progress, threading.Lock()
        self.known: list[dict[str, Any]] = [
            {"epoch": 0, "epochs": j.plan.epochs, "alive": None, "trials": len(j.trials)}
            for j in jobs
        ]
        self.until = [job.until for job in jobs]
        self.closed = 0

    def of(self, place: int) -> Progress:
        """Return what a job tells its progress to."""

        def tell(said: dict[str, Any]) -> None:
            with self.lock:
                self.known[place] |= said
                best = [each["best"] for each in self.known if each.get("best") is not None]
                told = {
                    "epoch": self.known[place]["epoch"],
                    "epochs": self.known[place]["epochs"],
                    "until": self.until[place],
                    "trials": sum(each["trials"] for each in self.known),
                    "best": min(best, default=None),
                    "jobs": len(self.known),
                    "done": self.closed,
                }
                self.progress(told)

        return tell

    def close(self, _: int) -> None:
        """Note that a job is done."""
        with self.lock:
            self.closed += 1


def _seconds(jobs: Sequence[Job], encoded: Encoded) -> float:
    """Estimate what the jobs take one thread."""
    from models.shapes import group

    outputs = encoded.table.classes or 1
    trials = [trial for job in jobs for trial in job.trials]
    shapes = group(trials, encoded.encoder, size=encoded.size, outputs=outputs)
    return sum(shape.seconds_per_epoch for shape in shapes) * max(job.until for job in jobs)
