"""`penstock up` and `penstock down`: the servers of a home, kept running by one process.

- A run that is cut short by `down`, or by a crash of everything, goes back to the queue and is
  resumed by the next `up`.
- Schedules belong to the Prefect server: stopping pauses none of them, and what came due
  meanwhile is late, not lost.
- Whatever the servers have started carries a mark in its environment, so nothing is left behind
  even where the keeping process was killed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from flows import interrupted, servers
from flows.errors import Busy, PenstockError
from flows.fleet import FLOW_RUN, MARK, POOL, Fleet
from flows.supervise import end_all, marked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from flows.fleet import Where
    from flows.home import Home
    from flows.supervise import Service

DETACHED_SECONDS = 240.0
DOWN_SECONDS = 90.0


class Keeper:
    """Keeps a fleet up until it is told to stop."""

    def __init__(self, home: Home, fleet: Fleet, said: Callable[[str], None]) -> None:
        """Start nothing yet."""
        self.home, self.fleet, self.said = home, fleet, said
        self.stop = threading.Event()
        self.services: list[Service] = []

    def keep(self, ready: Callable[[], None]) -> None:
        """Start the servers, call `ready` when all are well, keep them until `stop` is set.

        Raises:
            PenstockError: one of them did not come up.

        """
        me = servers.identity(os.getpid())
        servers.record(self.home.root, {"supervisor": me, "starting": True})  # for `down`
        try:
            self._start()
            if not self.stop.is_set():
                self._record()
                ready()
            while not self.stop.wait(0.5):
                anew = [service.look(self.said) for service in self.services]
                if any(anew):
                    self._record()
        finally:
            self._end()
            servers.forget(self.home.root)

    def _start(self) -> None:
        prefect, mlflow, worker = self.fleet.prefect(), self.fleet.mlflow(), self.fleet.worker()
        self._begin(prefect)
        with _first_use(self.home, self.fleet):
            self._begin(mlflow)
            self._wait(prefect)
            if not self.stop.is_set():
                left = interrupted.under_way(self.fleet.prefect_url, POOL)
                interrupted.requeue(self.fleet.prefect_url, left, self.said)
                self._begin(worker)
            self._wait(mlflow)
        if not self.stop.is_set():
            self._wait(worker)

    def _begin(self, service: Service) -> None:
        self.services.append(service)
        service.start()

    def _wait(self, service: Service) -> None:
        service.wait(self.said, self.stop)

    def _record(self) -> None:
        if self.fleet.store != "home":
            self.home.elsewhere.touch()
        facts = {
            "supervisor": servers.identity(os.getpid()),
            "mlflow": self.fleet.mlflow_url,
            "prefect": self.fleet.prefect_url,
            "store": self.fleet.store,
            "pool": POOL,
            "processes": {service.name: service.identity for service in self.services},
        }
        servers.record(self.home.root, facts)

    def _end(self) -> None:
        """End the runs, then the worker, then what both need; the runs go back to the queue."""
        kept = {service.name: service for service in self.services}
        if "worker" in kept:
            with _told(self.said, "runs under way could not be put back into the queue"):
                taken = interrupted.under_way(self.fleet.prefect_url, POOL)
                end_all(_flow_runs(self.home))
                kept["worker"].end()
                interrupted.requeue(self.fleet.prefect_url, taken, self.said)
            kept["worker"].end()
        for name in ("mlflow", "prefect"):
            if name in kept:
                kept[name].end()
        end_all(list(marked(MARK, str(self.home.root))), seconds=5)


@contextlib.contextmanager
def _told(said: Callable[[str], None], what: str) -> Iterator[None]:
    """Stopping goes on whatever fails; the failure is said."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - the servers must end in any case
        said(f"{what}: {type(error).__name__}: {error}")


@contextlib.contextmanager
def _first_use(home: Home, fleet: Fleet) -> Iterator[None]:
    """Hold the lock under which a fresh MLflow database is made: two at once break it."""
    if fleet.store != "home":
        yield
        return
    from filelock import FileLock

    with FileLock(home.locks / "mlflow.lock"):
        yield
        (home.locks / "mlflow.ready").touch()


def _flow_runs(home: Home) -> list[int]:
    """The processes of the worker's runs."""
    ours = marked(MARK, str(home.root))
    return [number for number, environment in ours.items() if environment.get(FLOW_RUN)]


def up(home: Home, where: Where, said: Callable[[str], None], ready: Callable[[], None]) -> None:
    """Keep the servers of `home` up until SIGINT or SIGTERM.

    Raises:
        Busy: another process keeps them already.
        SettingsError: they would be open to strangers, or a port that was asked for is taken.
        PenstockError: one of them did not come up.

    """
    from filelock import FileLock, Timeout

    lock = FileLock(home.locks / "up.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise _kept_already(home) from None
    with lock:
        end_all(list(marked(MARK, str(home.root))))  # of one that was killed
        servers.forget(home.root)
        # Now: the ports of last time are free, and nobody else's choice of ports is overwritten.
        keeper = Keeper(home, Fleet(home, where), said)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: keeper.stop.set())
        keeper.keep(ready)


def _kept_already(home: Home) -> Busy:
    up_there = servers.living(home.root) or {}
    where = "".join(
        f"\n  {name:<8} {up_there[name]}" for name in ("prefect", "mlflow") if name in up_there
    )
    return Busy(f"the servers of {home.root} are up already; `penstock down` stops them{where}")


def up_detached(home: Home, arguments: Sequence[str]) -> dict[str, Any]:
    """Start `penstock up` in a session of its own; return what it wrote when all are well.

    Raises:
        Busy: another process keeps them already.
        PenstockError: they did not come up, with the end of the log.

    """
    if servers.living(home.root):
        raise _kept_already(home)
    log = home.logs / "up.log"
    with log.open("wb") as out:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter, no shell
            [sys.executable, "-m", "flows", "up", *arguments],
            env={**os.environ, "PENSTOCK_HOME": str(home.root), "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    deadline = time.monotonic() + DETACHED_SECONDS
    while time.monotonic() < deadline:
        if found := servers.living(home.root):
            return found
        if process.poll() is not None:
            text = log.read_text(encoding="utf-8", errors="replace").strip()
            raise PenstockError(text.rpartition("penstock: ")[2] or f"see {log}")
        time.sleep(0.1)
    process.terminate()
    msg = f"the servers were not up within {DETACHED_SECONDS:.0f} s; see {log}"
    raise PenstockError(msg)


def down(home: Home, said: Callable[[str], None]) -> bool:
    """Stop the servers of `home`, and whatever a killed `up` left; return whether there were any.

    Raises:
        PenstockError: they are there still.

    """
    found = servers.recorded(home.root) or {}
    keeper = found.get("supervisor") or {}
    was_up = servers.alive(keeper)
    if was_up:
        os.kill(keeper["pid"], signal.SIGTERM)
        deadline = time.monotonic() + DOWN_SECONDS
        while servers.alive(keeper) and time.monotonic() < deadline:
            time.sleep(0.1)
        if servers.alive(keeper):
            said(f"`penstock up` (process {keeper['pid']}) did not end; it is made to")
            os.kill(keeper["pid"], signal.SIGKILL)
    left = list(marked(MARK, str(home.root)))
    end_all(left)
    servers.forget(home.root)
    if still := list(marked(MARK, str(home.root))):
        msg = f"processes {still} of the servers must end, but did not"
        raise PenstockError(msg)
    return was_up or bool(left)
