"""A job of a sweep on a worker of a cluster, which sees the sweep's folder and nothing else.

- Only names and numbers travel: the table, the states and what a job leaves lie in the folder.
- A process reads the table once, and does one job at a time with one torch thread.
- A worker that is believed dead may be alive, and a run that was killed may come back: a job's
  folder is locked, so that nobody trains what another is training.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from filelock import FileLock, Timeout

from models.checkpoint import NAME
from models.phase import Job, train_job
from models.stored import load_table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from models.fit import Encoded
    from models.phase import Done

    Progress = Callable[[dict[str, Any]], None]

LOCK = "lock"
PATIENCE = 60.0
"""Seconds in which a file that another machine has written must be seen."""
_ONE_JOB = threading.Lock()


class Trains(Protocol):
    """Who trains the jobs of a batch: `models.crew.Crew`, or the workers of a cluster."""

    folder: Path
    workers: int

    def train(self, jobs: Sequence[Job], progress: Progress) -> list[Done]:
        """Do the jobs; return what they left, in their order."""
        ...


class UnfitWorkerError(Exception):
    """A worker does not see the folder, or would not come to what the others come to."""


def train_remotely(
    table: str, folder: str, job: dict[str, Any], *, digest: str, device: str, progress: Progress
) -> str:
    """Do a job, or wait for whoever is doing it; return what it left, as JSON.

    Args:
        table: the folder of the saved table.
        folder: the folder of the jobs.
        job: as `Job.to_json` has it.
        digest: of the table made ready, by the run that asks.
        device: on which that run would train.
        progress: hears of every epoch; what it raises ends the job.

    Raises:
        UnfitWorkerError: the folder is not seen, or what is read there is not what was meant.

    """
    asked = Job.of(job)
    with _ONE_JOB:
        progress({})  # it may have waited long
        torch.set_num_threads(1)  # of this thread; the executor has others
        encoded = _encoded(table, digest, device)
        for source in asked.sources:
            _see(Path(folder) / source / NAME / "state.json")
        with _alone(Path(folder) / asked.name, progress):
            done = train_job(encoded, asked, Path(folder), progress)
    return json.dumps(asdict(done), allow_nan=False)


@lru_cache(maxsize=1)
def _encoded(table: str, digest: str, device: str) -> Encoded:
    _see(Path(table) / "table.json")
    encoded = load_table(Path(table))
    own = encoded.rows.values.device.type
    if own != device:
        raise UnfitWorkerError(
            f"every worker must train on the run's device, {device}, found {own} on "
            f"{socket.gethostname()}; set train.device"
        )
    if encoded.digest != digest:
        raise UnfitWorkerError(
            f"every worker must make of {table} what the run has made of it, however "
            f"{socket.gethostname()} does not: another folder of that name, or another kind of "
            "machine"
        )
    return encoded


def _see(path: Path) -> None:
    """Wait until a file is there that has been written: other machines see it a little later."""
    ends = time.monotonic() + (PATIENCE if path.parent.parent.is_dir() else 0.0)
    while not path.is_file():
        if time.monotonic() > ends:
            raise UnfitWorkerError(
                f"the sweep's folder must be one that all workers see, under the same path: "
                f"{path} is not there on {socket.gethostname()}"
            )
        time.sleep(0.2)


class _alone:  # noqa: N801 - read as a word: with _alone(folder)
    """Hold a job's folder; while another does, ask `progress` whether to go on waiting."""

    def __init__(self, folder: Path, progress: Progress) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.lock, self.progress = FileLock(folder / LOCK), progress

    def __enter__(self) -> None:
        while True:
            try:
                self.lock.acquire(timeout=1.0)
            except Timeout:
                self.progress({})
            else:
                return

    def __exit__(self, *_: object) -> None:
        self.lock.release()
