"""A worker process that trains populations for this one, and the pipe to it; spares get ready early.

- It loads its libraries when it starts and reads a table when it is given one, while others train.
- `warm` starts processes before there is work, so that a sweep need not wait for them; whoever
  needs one takes a spare, or a new one. `dismiss` ends the spares that nobody took.
"""

from __future__ import annotations

import contextlib
import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models import child

if TYPE_CHECKING:
    from collections.abc import Callable

    from models.phase import Done, Job

    Progress = Callable[[dict[str, Any]], None]

_SPARE: list[Helper] = []


class Helper:
    """A worker process and the pipe to it."""

    def __init__(self) -> None:
        """Start it; it loads what it needs."""
        threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        self.process = child.start("models.worker", environment=threads)
        self.started, self.well = threading.Event(), False

    def begin(self, table: Path, folder: Path) -> None:
        """Let it read the table, and train in `folder` from then on."""
        self._tell({"table": str(table), "folder": str(folder)})
        threading.Thread(target=self._await, daemon=True).start()

    def _await(self) -> None:
        """Wait until it has read the table, or has died."""
        self.well = self._line() is not None
        self.started.set()

    def lives(self) -> bool:
        """Whether it has read the table and is there."""
        return self.well and self.process.poll() is None

    def train(self, job: Job, progress: Progress) -> Done | None:
        """Have a job done; None where the worker has died."""
        from models.phase import Done

        self._tell(job.to_json())
        while (said := self._line()) is not None:
            if "done" in said:
                return Done.read(Path(said["done"]))
            progress(said)
        return None

    def _tell(self, what: dict[str, Any]) -> None:
        assert self.process.stdin is not None  # noqa: S101 - a pipe was asked for
        with contextlib.suppress(OSError):  # it has died, and will say nothing
            self.process.stdin.write(json.dumps(what) + "\n")
            self.process.stdin.flush()

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


def warm(count: int) -> None:
    """Have `count` spares get ready."""
    while len(_SPARE) < count:
        _SPARE.append(Helper())


def spares() -> int:
    """Return how many are waiting."""
    _SPARE[:] = [helper for helper in _SPARE if helper.process.poll() is None]
    return len(_SPARE)


def take() -> Helper:
    """Return a spare, or a new one."""
    return _SPARE.pop() if spares() else Helper()


def dismiss() -> None:
    """End the spares."""
    while _SPARE:
        _SPARE.pop().end()
