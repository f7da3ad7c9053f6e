"""The jobs of a sweep on a Dask cluster: one that is there already, or one made for the run.

- It trains what `models.crew.Crew` would train, with the same outcome: who trains a population does
  not matter to it. Jobs that a killed run had done are read, not sent.
- A worker that dies costs what its job has done since its last checkpoint: another goes on there.
  A job that several workers died of fails with its trials, and the sweep goes on.
- A job of which the run is gone, or has enough, ends with its epoch.
"""

from __future__ import annotations

import contextlib
import json
import queue
import time
import uuid
from collections import deque
from typing import TYPE_CHECKING, Any, Self

from flows.dask_client import CONNECT, connected, muster, require
from flows.errors import PenstockError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from distributed import Future

    from models.fit import Encoded
    from models.phase import Done, Job
    from models.settings import TrainSettings

    Progress = Callable[[dict[str, Any]], None]

RETRIES = 2
"""Times that a job is tried again after an error of its worker or the network."""
OFTEN = 0.5
"""Seconds between two words of a job on how far it is."""


class DaskCrew:
    """Trains jobs on a cluster; a context manager that leaves nothing behind."""

    def __init__(
        self,
        encoded: Encoded,
        settings: TrainSettings,
        folder: Path,
        *,
        workers: int | None = None,
        address: str | None = None,
    ) -> None:
        """Take a table made ready, the settings that it was made ready by, and a folder.

        Args:
            encoded: the table.
            settings: by which it was made ready.
            folder: of the jobs; workers must see it under this path.
            workers: processes of a cluster made for the run; with an address, how many jobs are
                with it at a time (left out: as many as it has workers now).
            address: of a scheduler; left out, a cluster is made.

        Raises:
            SettingsError: Dask is not installed.

        """
        require()
        self.encoded, self.settings, self.folder = encoded, settings, folder.resolve()
        self.address = address
        self.workers = workers or 1
        self._asked = workers
        self._stack = contextlib.ExitStack()
        self._said: queue.Queue[tuple[str, dict[str, Any] | None]] = queue.Queue()
        self._name = f"penstock-{uuid.uuid4().hex[:12]}"

    def __enter__(self) -> Self:
        """Save the table, reach the cluster and see that its workers will do.

        Raises:
            PenstockError: no scheduler, no worker, or one that does not see the folder.

        """
        from models.stored import save_table

        self.folder.mkdir(parents=True, exist_ok=True)
        save_table(self.encoded, self.settings, self.folder / "table")
        with contextlib.ExitStack() as stack:
            line = connected(self.folder, address=self.address, workers=self.workers)
            self.client = stack.enter_context(line)
            count = muster(self.client, self.folder / "table" / "table.json")
            self.workers = self._asked or count
            self.client.subscribe_topic(self._name, self._hear)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the cluster, or end it where it is ours."""
        self._stack.close()

    def train(self, jobs: Sequence[Job], progress: Progress) -> list[Done]:
        """Have the jobs done, the first ones first; return what they left, in their order.

        Raises:
            PenstockError: the cluster went away, or a worker could not do a job.

        """
        from models.crew import Board
        from models.phase import Done

        board, done, waiting = Board(progress, jobs), dict[int, Done](), deque[int]()
        for place, job in enumerate(jobs):
            if (left := Done.read(self.folder / job.name)) is not None:
                done[place] = left
                board.close(place, left)
            else:
                waiting.append(place)
        sent: dict[str, tuple[int, Future]] = {}
        try:
            while sent or waiting:
                # As many as train at once: a job that waits where another's worker dies is not
                # to blame, and Dask would blame it.
                while waiting and len(sent) < self.workers:
                    place = waiting.popleft()
                    sent[self._key(jobs[place])] = place, self._send(jobs[place])
                key, said = self._next()
                if key not in sent:
                    continue  # a last word of an earlier job
                place, future = sent[key]
                if said is not None:
                    board.of(place)(said)
                elif future.cancelled() and self._is_back():
                    sent[key] = place, self._send(jobs[place])
                else:
                    done[place] = self._taken(future, jobs[place])
                    del sent[key]
                    board.close(place, done[place])
                    if len(done) < len(jobs):
                        board.of(place)({})
        finally:
            for _, future in sent.values():
                future.release()
        return [done[place] for place in range(len(jobs))]

    def _key(self, job: Job) -> str:
        return f"{self._name}/{job.name}"

    def _send(self, job: Job) -> Future:
        key = self._key(job)
        asked = {
            "table": str(self.folder / "table"),
            "folder": str(self.folder),
            "job": job.to_json(),
            "digest": self.encoded.digest,
            "device": self.encoded.rows.values.device.type,
        }
        # Not pure: what is done depends on the folder, and Dask must not know better.
        future = self.client.submit(_work, self._name, asked, key=key, pure=False, retries=RETRIES)
        future.add_done_callback(lambda _: self._said.put((key, None)))
        return future

    def _hear(self, event: tuple[float, dict[str, Any]]) -> None:
        """Take a job's word on how far it is; called by the client's thread."""
        _, said = event
        self._said.put((said.pop("key"), said))

    def _next(self) -> tuple[str, dict[str, Any] | None]:
        while True:  # in steps: whoever ends the run by a signal is not kept waiting
            with contextlib.suppress(queue.Empty):
                return self._said.get(timeout=1.0)

    def _is_back(self) -> bool:
        """Whether the scheduler is, after the line to it was lost and with it what was asked."""
        ends = time.monotonic() + CONNECT
        while self.client.status == "connecting" and time.monotonic() < ends:
            time.sleep(0.1)
        return self.client.status == "running"

    def _taken(self, future: Future, job: Job) -> Done:
        """Return what a job left."""
        from concurrent.futures import CancelledError as Cancelled

        from distributed import CancelledError, KilledWorker

        from models.phase import Done
        from models.remote import UnfitWorkerError

        try:
            return Done.of(json.loads(future.result(timeout=CONNECT)))
        except KilledWorker as killed:
            count = killed.allowed_failures
            who = f"{count + 1} workers died, each while it" if count else "a worker died while it"
            reason = f"{who} trained {len(job.trials)} trials with this one; short of memory?"
            return Done.failed(job, reason)
        except (CancelledError, Cancelled, TimeoutError) as error:
            where = f"at {self.address}" if self.address else "of this run"
            msg = f"the Dask scheduler {where} must stay while a sweep trains, and went away"
            raise PenstockError(msg) from error
        except UnfitWorkerError as error:
            raise PenstockError(str(error)) from error
        except Exception as error:
            msg = f"a Dask worker could not train: {type(error).__name__}: {error}"
            raise PenstockError(msg[:500]) from error


def _work(topic: str, asked: dict[str, Any]) -> str:
    """Do a job on a worker, telling the run how far it is; return what it left, as JSON."""
    from distributed import get_worker

    from models.remote import train_remotely

    worker = get_worker()
    key = str(worker.get_current_task())
    told = 0.0

    def progress(said: dict[str, Any]) -> None:
        nonlocal told
        task = worker.state.tasks.get(key)
        if task is None or task.state == "cancelled":
            raise _UnwantedError("the run has ended, or has given the job to another worker")
        if said and time.monotonic() - told >= OFTEN:
            told = time.monotonic()
            worker.log_event(topic, {**said, "key": key})

    return train_remotely(**asked, progress=progress)


class _UnwantedError(Exception):
    """Raised in a worker: nobody waits for the job any more."""
