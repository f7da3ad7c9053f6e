"""How long a home keeps what can be made again: by age, and by the size of the cache.

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


def retire(home: Home, *, days: int, gigabytes: float) -> list[str]:
    """Remove what is older than `days` and what exceeds `gigabytes` of cache; say what went.

    Only what can be made again is touched: never the database, nor the artifacts of models, nor
    what a run under way has made or used.
    """
    begun = [datetime.fromisoformat(run["since"]).timestamp() for run in runs_under_way(home)]
    in_use = min(begun, default=math.inf)
    oldest = min(time.time() - days * DAY, in_use)
    folders = (home.cache, home.checkpoints, home.quarantine)
    known = [*home.runs.glob("*"), *(path for folder in folders for path in folder.glob("*/*"))]
    removed = [_remove(path, home.root) for path in known if _used(path) < oldest]
    return removed + _shrink(home, int(gigabytes * GIGABYTE), in_use)


def _used(path: Path) -> float:
    """When a path was used last; another process may have removed it since it was listed."""
    try:
        return path.stat().st_mtime
    except OSError:
        return math.inf


def _shrink(home: Home, allowed: int, in_use: float) -> list[str]:
    total, removed = 0, []
    for folder in sorted(home.cache.glob("*/*"), key=_used, reverse=True):
        total += sum(_size(path) for path in folder.rglob("*"))
        if total > allowed and _used(folder) < in_use:
            removed.append(_remove(folder, home.root))
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
