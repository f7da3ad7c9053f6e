"""Keeping a few long-lived processes: started until healthy, restarted when they end, ended cleanly.

- Each process has a session of its own, so Ctrl-C in a terminal reaches the supervisor alone, and
  ending one ends whatever it has started.
- One that ends by itself, or stays dumb for minutes, is started again after a pause that doubles
  up to a minute: nobody is there to do it.
- A log is copied away and emptied when it has grown large.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flows import servers
from flows.errors import PenstockError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from threading import Event

START_SECONDS = 180.0
END_SECONDS = 15.0
LONGEST_PAUSE = 60.0  # seconds before a process that keeps ending is started again
SOUND_SECONDS = 300.0  # one that ran this long is not one that keeps ending
HEALTH_EVERY = 30.0  # seconds
DUMB_TIMES = 6
"""How often in a row a process may fail to answer before it is started anew."""
LARGEST_LOG = 20_000_000  # bytes
TAIL_LINES = 12


@dataclass(kw_only=True)
class Service:
    """One process to be kept, and how to tell that it is well."""

    name: str
    title: str
    """What a person calls it."""
    command: Sequence[str]
    environment: Mapping[str, str]
    healthy: Callable[[], bool]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    began: float = 0.0
    ended: int = 0
    """How often in a row it has ended by itself."""
    due: float = 0.0
    """When it is started again."""
    dumb: int = 0
    asked: float = 0.0

    def start(self) -> None:
        """Start the process; does not wait."""
        _keep_small(self.log, limit=LARGEST_LOG // 4)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own interpreter, no shell
                self.command,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.began = self.asked = time.monotonic()
        self.dumb = 0

    def wait(self, said: Callable[[str], None], stop: Event) -> None:
        """Return when it is healthy, or when asked to `stop`.

        Raises:
            PenstockError: it ended, or is not well in time; with the end of its log.

        """
        while True:
            well = self.healthy()
            # Asked after: who answers at its address may be another, while it ended for that.
            if self.process and (code := self.process.poll()) is not None:
                msg = f"{self.title} ended with code {code}; the end of {self.log}:\n{self.tail()}"
                raise PenstockError(msg)
            if well:
                break
            if stop.wait(0.2):
                return
            if time.monotonic() - self.began > START_SECONDS:
                msg = f"{self.title} did not answer within {START_SECONDS:.0f} s; the end of {self.log}:\n"
                raise PenstockError(msg + self.tail())
        said(f"{self.title} is up ({time.monotonic() - self.began:.0f} s)")

    def tail(self) -> str:
        """The last lines of its log, indented."""
        with contextlib.suppress(OSError):
            lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
            return "\n".join(f"  {line}" for line in lines[-TAIL_LINES:])
        return ""

    def look(self, said: Callable[[str], None]) -> bool:
        """See to it that it runs; return whether it was started anew."""
        now = time.monotonic()
        if self.process is None:
            return now >= self.due and self._start_again(now, said)
        if (code := self.process.poll()) is not None:
            self._end_group(signal.SIGKILL)
            self.process = None
            self.ended = 0 if now - self.began > SOUND_SECONDS else self.ended
            self._pause(now, said, f"ended with code {code}")
        elif now - self.asked > HEALTH_EVERY:
            self._ask(now, said)
        return False

    def _start_again(self, now: float, said: Callable[[str], None]) -> bool:
        try:
            self.start()
        except OSError as error:  # no memory, no room on the disk: that may pass
            self._pause(now, said, f"could not be started ({error})")
            return False
        return True

    def _pause(self, now: float, said: Callable[[str], None], what: str) -> None:
        self.ended += 1
        pause = min(LONGEST_PAUSE, 2.0 ** min(self.ended - 1, 10))
        self.due = now + pause
        said(f"{self.title} {what}; it is started again in {pause:.0f} s")

    def _ask(self, now: float, said: Callable[[str], None]) -> None:
        self.asked = now
        self.dumb = 0 if self.healthy() else self.dumb + 1
        _keep_small(self.log, limit=LARGEST_LOG)
        if self.dumb >= DUMB_TIMES:
            said(f"{self.title} has not answered for {DUMB_TIMES * HEALTH_EVERY:.0f} s")
            self._end_group(signal.SIGKILL)

    def end(self, seconds: float = END_SECONDS) -> None:
        """End it and all that it has started: asked first, then made to."""
        if self.process is None:
            return
        self._end_group(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=seconds)
        self._end_group(signal.SIGKILL)
        self.process.wait()
        self.process = None

    def _end_group(self, how: signal.Signals) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, how)

    @property
    def identity(self) -> dict[str, object] | None:
        """Its process, told from any other."""
        with contextlib.suppress(ProcessLookupError):
            return servers.identity(self.process.pid) if self.process else None
        return None


def end_all(numbers: Sequence[int], seconds: float = END_SECONDS) -> None:
    """End processes that are not our children: asked first, then made to."""
    import psutil

    found = []
    for number in numbers:
        with contextlib.suppress(psutil.Error):
            found.append(psutil.Process(number))
    for process in found:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    _, left = psutil.wait_procs(found, timeout=seconds)
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(left, timeout=5)


def marked(name: str, value: str) -> dict[int, dict[str, str]]:
    """Return the environments, by process number, of our processes that hold `name=value`."""
    import psutil

    found = {}
    for process in psutil.process_iter():
        if process.pid == os.getpid():
            continue
        with contextlib.suppress(psutil.Error, OSError):
            environment = process.environ()
            if environment.get(name) == value and process.status() != psutil.STATUS_ZOMBIE:
                found[process.pid] = environment
    return found


def _keep_small(log: Path, *, limit: int) -> None:
    """Copy a log that has grown large away, and empty it; whoever writes goes on at its start."""
    with contextlib.suppress(OSError):
        if log.stat().st_size > limit:
            shutil.copyfile(log, log.with_suffix(".1.log"))
            os.truncate(log, 0)
