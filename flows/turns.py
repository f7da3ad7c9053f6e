"""Whose turn it is: one run of a name at a time in a home, and what the others do.

- The lock is the operating system's, so that of a killed process is free at once; beside it lies
  who holds it.
- A run that somebody starts is refused while another is under way. One that the servers start
  waits or is skipped, by `schedule.overlap`.
- Runs that pile up behind a long one, or while the servers are down, become one: a run of the
  schedule is skipped when another began after it was due, as that one saw its data too.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from flows.errors import Busy, Skipped
from flows.home import file_name
from flows.json_files import read_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from filelock import FileLock

    from flows.home import Home

Overlap = Literal["refuse", "wait", "skip"]
SAY_EVERY = 60.0  # seconds
GLANCE = 0.3  # seconds; whoever only looks whether a lock is held, holds it for less
ENDED_WELL = ("promoted", "kept", "rejected", "unchanged", "dry_run", "refused")
"""The outcomes of runs that have looked at the data."""


@contextlib.contextmanager
def one_run_at_a_time(
    home: Home,
    name: str,
    overlap: Overlap = "refuse",
    due: datetime | None = None,
    said: Callable[[str], None] = lambda _: None,
) -> Iterator[None]:
    """Hold the lock of `name`; `due` is when a schedule wanted this run.

    Raises:
        Busy: another run of the name is under way; says which process, since when.
        Skipped: the same for overlap = "skip"; or another run has seen the data of this one.

    """
    from filelock import FileLock

    owner = home.locks / f"run-{file_name(name)}.json"
    lock = FileLock(owner.with_suffix(".lock"))
    _acquire(lock, home, name, owner, overlap, said)
    try:
        if due is not None and (later := _begun_since(home, name, due)):
            when = f"{due:%Y-%m-%d %H:%M:%S %Z}"
            raise Skipped(
                f"run {later} of {name!r} began after this one was due ({when}), and saw its data"
            )
        since = datetime.now(UTC).isoformat(timespec="seconds")
        facts = {"name": name, "process": os.getpid(), "since": since}
        owner.write_text(json.dumps(facts, ensure_ascii=False), encoding="utf-8")
        yield
    finally:
        owner.unlink(missing_ok=True)
        lock.release()


def _acquire(
    lock: FileLock,
    home: Home,
    name: str,
    owner: Any,
    overlap: Overlap,
    said: Callable[[str], None],
) -> None:
    from filelock import Timeout

    spoke = -SAY_EVERY
    while True:
        with contextlib.suppress(Timeout):
            lock.acquire(timeout=GLANCE if overlap != "wait" else 1.0)
            return
        under_way = f"another run of {name!r} is under way in {home.root}{_holder(owner)}"
        if overlap == "refuse":
            raise Busy(f"{under_way}; wait for it to end")
        if overlap == "skip":
            raise Skipped(under_way)
        if time.monotonic() - spoke >= SAY_EVERY:
            spoke = time.monotonic()
            said(f"  waits: {under_way}")


def _begun_since(home: Home, name: str, due: datetime) -> str | None:
    """Return a run of `name` that began after `due` and has looked at the data."""
    for path in home.runs.glob("*/summary.json"):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            if path.stat().st_mtime < due.timestamp():  # it ended before; spares reading thousands
                continue
            summary = read_json(path)
            looked = summary["name"] == name and summary["verdict"]["outcome"] in ENDED_WELL
            if looked and datetime.fromisoformat(summary["started"]) >= due:
                return str(summary["run"])
    return None


def _holder(owner: Path) -> str:
    with contextlib.suppress(OSError, ValueError, KeyError):
        held = json.loads(owner.read_text(encoding="utf-8"))
        return f" (process {held['process']}, since {held['since']})"
    return ""


def runs_under_way(home: Home) -> list[dict[str, Any]]:
    """Return name, process and since of the runs whose lock is held; a dead process holds none."""
    from filelock import FileLock, Timeout

    found = []
    for owner in sorted(home.locks.glob("run-*.json")):
        try:
            with FileLock(owner.with_suffix(".lock"), timeout=0):
                continue
        except Timeout:
            with contextlib.suppress(OSError, ValueError):
                found.append(json.loads(owner.read_text(encoding="utf-8")))
    return found
