"""What `penstock up` leaves to be found: `servers.json`, which says what lives where.

- A process is known by its number and the moment it was made, so a number that the system has
  given to another process since means nothing.
- The file says nothing secret; credentials come from the environment of whoever asks, so a file
  that somebody else has put there is not believed.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE = "servers.json"


def identity(number: int) -> dict[str, Any]:
    """Return what tells this process from any other, also from a later one of the same number.

    Raises:
        ProcessLookupError: there is no such process.

    """
    born, _ = _born(number)
    return {"pid": number, "born": born}


def alive(process: Mapping[str, Any] | None) -> bool:
    """Whether the process of this identity runs; one that ended and was not yet awaited does not."""
    try:
        born, ended = _born(int((process or {})["pid"]))
        return born == (process or {})["born"] and not ended
    except (ProcessLookupError, KeyError, TypeError, ValueError):
        return False


def _born(number: int) -> tuple[str, bool]:
    """When a process was made, and whether it has ended; unmoved when the clock is set."""
    stat = Path(f"/proc/{number}/stat")
    if stat.parent.parent.joinpath("stat").exists():  # Linux: ticks since this boot
        try:
            fields = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            raise ProcessLookupError(number) from None
        return f"{boot()[:8]}:{fields[19]}", fields[0] in "ZX"
    import psutil

    try:
        found = psutil.Process(number)
        return f"{found.create_time():.2f}", found.status() == psutil.STATUS_ZOMBIE
    except psutil.Error:
        raise ProcessLookupError(number) from None


def boot() -> str:
    """Return what no other start of this machine has.

    Raises:
        OSError: this is not Linux.

    """
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def recorded(root: Path) -> dict[str, Any] | None:
    """Return what the last `penstock up` of this home wrote, alive or not."""
    with contextlib.suppress(OSError, ValueError):
        found = json.loads((root / FILE).read_text(encoding="utf-8"))
        return found if isinstance(found, dict) else None
    return None


def living(root: Path) -> dict[str, Any] | None:
    """Return what `penstock up` wrote of its servers, while they are up; else None."""
    found = recorded(root)
    if not found or found.get("starting") or not _ours(root / FILE):
        return None
    return found if alive(found.get("supervisor")) else None


def _ours(path: Path) -> bool:
    """Whether a file is of this user: homes are looked for in folders that others may write to."""
    with contextlib.suppress(OSError):
        return path.stat().st_uid == os.getuid()
    return False


def record(root: Path, facts: Mapping[str, Any]) -> None:
    """Write the file at once and whole, for nobody else to read."""
    place = root / FILE
    partial = place.with_suffix(".partial")
    partial.unlink(missing_ok=True)  # one that is there keeps its mode
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(facts, file, indent=1)
    partial.replace(place)


def forget(root: Path) -> None:
    """Remove the file: the servers are down."""
    (root / FILE).unlink(missing_ok=True)
