"""How long a home keeps what can be made again: by age, and by the size of cache and quarantine.

- Never touched: the database, the artifacts of models, and what a run under way has made or used.
"""

from __future__ import annotations

import math
import shutil
import time
from datetime import datetime
from typing import TYPE_CHECKING

from flows.home import GIGABYTE
from flows.turns import runs_under_way

if TYPE_CHECKING:
    from pathlib import Path

    from flows.home import Home

DAY = 86_400.0  # seconds


def retire(home: Home, *, days: int, gigabytes: float, quarantine: float = math.inf) -> list[str]:
    """Remove what is older than `days` and what exceeds `gigabytes` of cache; say what went.

    `quarantine` is the most gigabytes of rows that runs set aside. Otherwise only what can be made
    again is touched: never the database, nor the artifacts of models, nor what a run under way has
    made or used.
    """
    begun = [datetime.fromisoformat(run["since"]).timestamp() for run in runs_under_way(home)]
    in_use = min(begun, default=math.inf)
    oldest = min(time.time() - days * DAY, in_use)
    aside = [path for path in home.quarantine.rglob("*") if path.is_file()]
    cached = list(home.cache.glob("*/*"))
    known = [*home.runs.glob("*"), *cached, *home.checkpoints.glob("*/*"), *aside]
    removed = [_remove(path, home.root) for path in known if _used(path) < oldest]
    removed += _shrink(home, cached, gigabytes, in_use)
    return removed + _shrink(home, aside, quarantine, in_use)


def _used(path: Path) -> float:
    """When a path was used last; another process may have removed it since it was listed."""
    try:
        return path.stat().st_mtime
    except OSError:
        return math.inf


def _shrink(home: Home, places: list[Path], gigabytes: float, in_use: float) -> list[str]:
    """Remove those of the places that were used longest ago until the others are small enough."""
    total, removed = 0, []
    for place in sorted((p for p in places if p.exists()), key=_used, reverse=True):
        inside = place.rglob("*") if place.is_dir() else (place,)
        total += sum(_size(path) for path in inside)
        if total > gigabytes * GIGABYTE and _used(place) < in_use:
            removed.append(_remove(place, home.root))
    return removed


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _remove(path: Path, root: Path) -> str:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
    return str(path.relative_to(root))
