"""What is being published, on disk before anything is: the trace that a killed process leaves.

- The record is flushed to disk before the first write into MLflow, and removed after the last.
- It says whose it is in the words of `stale.py`, so that a living process is never taken for dead.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flows.stale import owner, why_gone

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from flows.home import Home


@dataclass(frozen=True, kw_only=True)
class Intent:
    """What a process that is gone was about to publish."""

    path: Path
    name: str
    run: str
    """Penstock's run id."""
    tracking_run: str
    """MLflow's."""
    why: str
    """How it is known that the process is gone."""


@contextlib.contextmanager
def intended(home: Home, *, name: str, key: str, run: str, tracking_run: str) -> Iterator[None]:
    """Keep the record of what is about to be published for as long as the block lasts."""
    path = home.locks / f"publish-{key[:32]}-{os.getpid()}.json"
    facts = {
        "name": name,
        "key": key,
        "run": run,
        "tracking_run": tracking_run,
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
        **owner(home),
        "penstock.name": name,
    }
    _write(path, facts)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _write(path: Path, facts: Mapping[str, Any]) -> None:
    """Whole or not at all, and there after a power cut."""
    draft = path.with_name(f".{path.name}.part")
    with draft.open("w", encoding="utf-8") as stream:
        json.dump(facts, stream, ensure_ascii=False)
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def left_behind(home: Home, name: str) -> list[Intent]:
    """Return the records of this model whose process is known to be gone."""
    found = []
    for path in sorted(home.locks.glob("publish-*.json")):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            facts = json.loads(path.read_text(encoding="utf-8"))
            if facts["name"] != name:
                continue
            why = why_gone(facts, home) if "penstock.process" in facts else "it is of an old run"
            if why:
                run, tracking_run = facts["run"], facts.get("tracking_run", "")
                found.append(
                    Intent(path=path, name=name, run=run, tracking_run=tracking_run, why=why)
                )
    return found
