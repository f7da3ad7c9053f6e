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
import json
import os
import shutil
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from flows.errors import Busy, PenstockError

if TYPE_CHECKING:
    from collections.abc import Iterator

DAY = 86_400.0  # seconds
GIGABYTE = 1_000_000_000  # bytes

QUIET = {
    "DO_NOT_TRACK": "1",
    "GIT_PYTHON_REFRESH": "quiet",
    "GX_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "PREFECT_CLI_COLORS": "false",
    "PREFECT_LOGGING_LEVEL": "WARNING",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "TQDM_DISABLE": "1",
}
"""No telemetry, no chatter: set where the environment does not say otherwise."""


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


def _database(root: Path) -> str:
    return f"sqlite:///{root / 'mlflow.db'}"


def open_home(folder: Path) -> Home:
    """Return the home for settings in `folder`, making its folders; sets the frameworks' environment.

    Raises:
        PenstockError: the home cannot be written.

    """
    root = Path(os.environ.get("PENSTOCK_HOME") or folder / ".penstock").expanduser().resolve()
    home = Home(
        root=root,
        tracking_uri=os.environ.get("MLFLOW_TRACKING_URI") or _database(root),
        prefect_url=os.environ.get("PREFECT_API_URL") or None,
    )
    try:
        for path in (home.cache, home.runs, home.quarantine, home.artifacts, root / "locks"):
            path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = (
            f"the home {root} must be writable: {error.strerror}; PENSTOCK_HOME names another place"
        )
        raise PenstockError(msg) from None
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("PREFECT_HOME", str(root / "prefect"))
    os.environ.setdefault("MLFLOW_REGISTRY_URI", home.tracking_uri)
    return home


def prepare_tracking(home: Home) -> None:
    """Create the embedded MLflow database, once, under a lock; a server is left to itself."""
    if not home.embedded or (home.root / "locks" / "mlflow.ready").exists():
        return
    from filelock import FileLock
    from mlflow.tracking import MlflowClient

    with FileLock(home.root / "locks" / "mlflow.lock"):
        MlflowClient(tracking_uri=home.tracking_uri).search_experiments(max_results=1)
        (home.root / "locks" / "mlflow.ready").touch()


@contextlib.contextmanager
def one_run_at_a_time(home: Home, name: str) -> Iterator[None]:
    """Hold the lock of `name`.

    Raises:
        Busy: another run of the name is under way; says which process, since when.

    """
    from filelock import FileLock, Timeout

    safe = name.encode("utf-8").hex()[:120]
    owner = home.root / "locks" / f"run-{safe}.json"
    lock = FileLock(home.root / "locks" / f"run-{safe}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        msg = f"another run of {name!r} is under way in {home.root}{_holder(owner)}; wait for it to end"
        raise Busy(msg) from None
    try:
        since = datetime.now(UTC).isoformat(timespec="seconds")
        owner.write_text(json.dumps({"process": os.getpid(), "since": since}), encoding="utf-8")
        yield
    finally:
        owner.unlink(missing_ok=True)
        lock.release()


def _holder(owner: Path) -> str:
    with contextlib.suppress(OSError, ValueError, KeyError):
        held = json.loads(owner.read_text(encoding="utf-8"))
        return f" (process {held['process']}, since {held['since']})"
    return ""


def retire(home: Home, *, days: int, gigabytes: float) -> list[str]:
    """Remove what is older than `days` and what exceeds `gigabytes` of cache; say what went.

    Only what can be made again is touched: never the database, nor the artifacts of models.
    """
    oldest = time.time() - days * DAY
    known = (*home.cache.glob("*/*"), *home.runs.glob("*"), *home.quarantine.glob("*/*"))
    removed = [_remove(path, home.root) for path in known if path.stat().st_mtime < oldest]
    return removed + _shrink(home, int(gigabytes * GIGABYTE))


def _shrink(home: Home, allowed: int) -> list[str]:
    folders = sorted(home.cache.glob("*/*"), key=lambda p: p.stat().st_mtime, reverse=True)
    total, removed = 0, []
    for folder in folders:
        total += sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
        if total > allowed:
            removed.append(_remove(folder, home.root))
    return removed


def _remove(path: Path, root: Path) -> str:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
    return str(path.relative_to(root))
