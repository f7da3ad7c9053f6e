"""Where state lives: `.penstock/` beside the settings, or the servers that the environment names.

- The embedded default is one folder: an MLflow database with an explicit artifact location, a
  Prefect home of its own, the cache of stages, quarantined rows and the folders of runs.
- `MLFLOW_TRACKING_URI` and `PREFECT_API_URL` are used instead where they are set: same code.
- A fresh MLflow database breaks when two processes create it at once, so it is made under a lock.
- One run of a name at a time; the lock says who holds it.
- Telemetry of the frameworks is off.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import re
import shutil
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.errors import Busy, PenstockError

if TYPE_CHECKING:
    from collections.abc import Iterator

OWN_PREFECT = "PENSTOCK_OWN_PREFECT_API_URL"
"""Set, for as long as it runs, by a Prefect server that a run has started for itself."""
DAY = 86_400.0  # seconds
GIGABYTE = 1_000_000_000  # bytes

QUIET = {
    "DO_NOT_TRACK": "1",
    "GIT_PYTHON_REFRESH": "quiet",
    "GX_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    # Threads that spin while they wait make a step 5 to 15 times slower on a busy machine.
    "OMP_WAIT_POLICY": "PASSIVE",
    "PREFECT_API_REQUEST_TIMEOUT": "180",  # seconds; a busy machine is no reason to fail
    "PREFECT_CLI_COLORS": "false",
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",  # an error is said once, by the command
    "PREFECT_LOGGING_LEVEL": "WARNING",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "TQDM_DISABLE": "1",
}
"""No telemetry, no chatter, no spinning: set where the environment does not say otherwise."""


@dataclass(frozen=True, kw_only=True)
class Home:
    """The folders and addresses of one home; all paths are absolute."""

    root: Path
    tracking_uri: str
    """Where MLflow keeps runs and models; a URI with a database file when embedded."""
    prefect_url: str | None
    """The Prefect API that the environment names; None: a server of our own for the run."""

    @property
    def cache(self) -> Path:
        """The artifacts of stages."""
        return self.root / "cache"

    @property
    def checkpoints(self) -> Path:
        """What a killed stage goes on from, by stage and key; empty between runs."""
        return self.root / "checkpoints"

    @property
    def runs(self) -> Path:
        """One folder per run, with summary.json and report.html."""
        return self.root / "runs"

    @property
    def quarantine(self) -> Path:
        """Rows that broke the contract, one Parquet file per run."""
        return self.root / "quarantine"

    @property
    def artifacts(self) -> Path:
        """Artifacts of the embedded MLflow."""
        return self.root / "artifacts"

    @property
    def embedded(self) -> bool:
        """Whether MLflow is the database of this home."""
        return self.tracking_uri == _database(self.root)


def _named_prefect() -> str | None:
    """The API that the environment names; our own server, while it runs, is nobody's address."""
    url = os.environ.get("PREFECT_API_URL") or None
    return None if url == os.environ.get(OWN_PREFECT) else url


def _database(root: Path) -> str:
    return f"sqlite:///{root / 'mlflow.db'}"


def file_name(name: str) -> str:
    """A name of any script as the name of a file: readable, and never that of another name."""
    readable = re.sub(r"[^\w-]", "_", name)[:40]
    return f"{readable}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def open_home(folder: Path) -> Home:
    """Return the home for settings in `folder`, making its folders; sets the frameworks' environment.

    Raises:
        PenstockError: the home cannot be written.

    """
    root = Path(os.environ.get("PENSTOCK_HOME") or folder / ".penstock").expanduser().resolve()
    home = Home(
        root=root,
        tracking_uri=os.environ.get("MLFLOW_TRACKING_URI") or _database(root),
        prefect_url=_named_prefect(),
    )
    try:
        for path in (home.cache, home.runs, home.quarantine, home.artifacts, root / "locks"):
            path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=root / "locks"):
            pass  # a folder that is there already may still be somebody else's
    except OSError as error:
        found = f"{error.strerror} ({error.filename})" if error.filename else error.strerror
        msg = f"the home {root} must be writable: {found}; PENSTOCK_HOME names another place"
        raise PenstockError(msg) from None
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("PREFECT_HOME", str(root / "prefect"))
    return home


def prepare_tracking(home: Home) -> None:
    """Create the embedded MLflow database, once, under a lock; a server is left to itself."""
    ready = home.root / "locks" / "mlflow.ready"
    if not home.embedded or (ready.exists() and (home.root / "mlflow.db").exists()):
        return
    from filelock import FileLock

    from flows.registry import client

    with FileLock(home.root / "locks" / "mlflow.lock"):
        client(home).search_experiments(max_results=1)
        ready.touch()


@contextlib.contextmanager
def one_run_at_a_time(home: Home, name: str) -> Iterator[None]:
    """Hold the lock of `name`.

    Raises:
        Busy: another run of the name is under way; says which process, since when.

    """
    from filelock import FileLock, Timeout

    owner = home.root / "locks" / f"run-{file_name(name)}.json"
    lock = FileLock(owner.with_suffix(".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        msg = f"another run of {name!r} is under way in {home.root}{_holder(owner)}; wait for it to end"
        raise Busy(msg) from None
    try:
        since = datetime.now(UTC).isoformat(timespec="seconds")
        facts = {"name": name, "process": os.getpid(), "since": since}
        owner.write_text(json.dumps(facts, ensure_ascii=False), encoding="utf-8")
        yield
    finally:
        owner.unlink(missing_ok=True)
        lock.release()


def _holder(owner: Path) -> str:
    with contextlib.suppress(OSError, ValueError, KeyError):
        held = json.loads(owner.read_text(encoding="utf-8"))
        return f" (process {held['process']}, since {held['since']})"
    return ""


def runs_under_way(home: Home) -> list[dict[str, Any]]:
    """Return name, process and since of the runs whose lock is held; a dead process holds none."""
    from filelock import FileLock, Timeout

    found = []
    for owner in sorted((home.root / "locks").glob("run-*.json")):
        try:
            with FileLock(owner.with_suffix(".lock"), timeout=0):
                continue
        except Timeout:
            with contextlib.suppress(OSError, ValueError):
                found.append(json.loads(owner.read_text(encoding="utf-8")))
    return found


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
