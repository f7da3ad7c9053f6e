"""Where state lives: `.penstock/` beside the settings, or the servers that the environment names.

- The embedded default is one folder: an MLflow database with an explicit artifact location, a
  Prefect home of its own, the cache of stages, quarantined rows and the folders of runs.
- `MLFLOW_TRACKING_URI` and `PREFECT_API_URL` are used instead where they are set: same code.
- Where `penstock up` keeps servers, its home and its servers are used: in the settings' folder,
  one above it, or the working directory.
- A fresh MLflow database breaks when two processes create it at once, so it is made under a lock.
- Telemetry of the frameworks is off.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows import servers
from flows.errors import PenstockError

if TYPE_CHECKING:
    from collections.abc import Mapping

OWN_PREFECT = "PENSTOCK_OWN_PREFECT_API_URL"
"""Set, for as long as it runs, by a Prefect server that a run has started for itself."""
GIGABYTE = 1_000_000_000  # bytes
FOLDER = ".penstock"

QUIET = {
    "DO_NOT_TRACK": "1",
    "GIT_PYTHON_REFRESH": "quiet",
    "GX_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # standard output is for the result
    # Threads that spin while they wait make a step 5 to 15 times slower on a busy machine.
    "OMP_WAIT_POLICY": "PASSIVE",
    "PREFECT_API_REQUEST_TIMEOUT": "180",  # seconds; a busy machine is no reason to fail
    "PREFECT_CLI_COLORS": "false",
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",  # an error is said once, by the command
    "PREFECT_LOGGING_LEVEL": "WARNING",
    "PREFECT_LOGGING_LOGGERS_PREFECT_FLOW_RUNS_LEVEL": "INFO",  # a run's own lines, for the UI
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
    """The Prefect API of the environment or of `penstock up`; None: one of our own for the run."""
    servers: Mapping[str, Any] | None = None
    """What `penstock up` wrote of the servers it keeps for this home; None: they are not up."""

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
    def logs(self) -> Path:
        """What the servers of `penstock up` say, a file each."""
        return self.root / "logs"

    @property
    def work(self) -> Path:
        """The working directory of runs that the servers start; empty."""
        return self.root / "work"

    @property
    def locks(self) -> Path:
        """Locks, and what their holders say of themselves."""
        return self.root / "locks"

    @property
    def database(self) -> str:
        """The MLflow database of this home, as a URI."""
        return f"sqlite:///{self.root / 'mlflow.db'}"

    @property
    def elsewhere(self) -> Path:
        """There once the servers have kept MLflow in another database than the home's."""
        return self.root / "mlflow-is-elsewhere"

    @property
    def embedded(self) -> bool:
        """Whether a run opens the MLflow database of this home by itself."""
        return self.tracking_uri == self.database

    @property
    def local_store(self) -> bool:
        """Whether MLflow's artifacts are files of this home, with or without a server before them.

        They keep their place whether the servers are up or not, so both ways see the same models.
        """
        up = self.servers or {}
        return self.embedded or (
            up.get("store") == "home" and self.tracking_uri == up.get("mlflow")
        )


def _named_prefect() -> str | None:
    """The API that the environment names; our own server, while it runs, is nobody's address."""
    url = os.environ.get("PREFECT_API_URL") or None
    return None if url == os.environ.get(OWN_PREFECT) else url


def file_name(name: str) -> str:
    """A name of any script as the name of a file: readable, and never that of another name."""
    readable = re.sub(r"[^\w-]", "_", name)[:40]
    return f"{readable}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def told_apart(name: str, readable: str) -> str:
    """Return `readable` where nothing of the name was lost in it, else with the name's digest."""
    if readable == name:
        return readable
    return f"{readable}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"


def root_of(folder: Path) -> Path:
    """Return the home for settings in `folder`: named, with servers up, or beside the settings."""
    if named := os.environ.get("PENSTOCK_HOME"):
        return Path(named).expanduser().resolve()
    folder = folder.resolve()
    for place in (folder, *folder.parents, Path.cwd()):
        if servers.living(place / FOLDER):
            return place / FOLDER
    return folder / FOLDER


def find_home(folder: Path) -> Home:
    """Return the home for settings in `folder`, making nothing; sets the frameworks' environment.

    What only looks takes this one, so that looking leaves no empty home behind.
    """
    root = root_of(folder)
    up = servers.living(root)
    home = Home(
        root=root,
        tracking_uri=os.environ.get("MLFLOW_TRACKING_URI") or (up or {}).get("mlflow") or "",
        prefect_url=_named_prefect() or (up or {}).get("prefect"),
        servers=up,
    )
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("PREFECT_HOME", str(root / "prefect"))
    if secret := os.environ.get("PREFECT_SERVER_API_AUTH_STRING"):
        os.environ.setdefault("PREFECT_API_AUTH_STRING", secret)
    return home if home.tracking_uri else replace(home, tracking_uri=home.database)


def set_aside(folder: Path, home: Home) -> str | None:
    """Say that runs of `folder` have a home of their own beside them that is not used now."""
    own = folder.resolve() / FOLDER
    if os.environ.get("PENSTOCK_HOME") or own == home.root or not (own / "mlflow.db").exists():
        return None
    return (
        f"the servers of {home.root} are up and used; earlier models in {own} are not seen there "
        "(PENSTOCK_HOME chooses a home)"
    )


def open_home(folder: Path) -> Home:
    """Return the home for settings in `folder`, making its folders; sets the frameworks' environment.

    Raises:
        PenstockError: the home cannot be written.

    """
    home = find_home(folder)
    try:
        for path in (
            home.cache,
            home.runs,
            home.quarantine,
            home.artifacts,
            home.locks,
            home.logs,
            home.work,
        ):
            path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home.locks):
            pass  # a folder that is there already may still be somebody else's
    except OSError as error:
        found = f"{error.strerror} ({error.filename})" if error.filename else error.strerror
        msg = f"the home {home.root} must be writable: {found}; PENSTOCK_HOME names another place"
        raise PenstockError(msg) from None
    return home


def prepare_tracking(home: Home) -> None:
    """Create the embedded MLflow database, once, under a lock; a server is left to itself.

    Raises:
        PenstockError: the home's runs and models are in a server's database, and it is down.

    """
    if home.embedded and home.elsewhere.exists():
        msg = (
            f"the models of {home.root} are in a server's database, and that server is down: start "
            "it as it was (`python infra/stack.py up`, or `penstock up` with MLFLOW_BACKEND_STORE_URI), "
            f"or set MLFLOW_TRACKING_URI; {home.elsewhere.name} in the home says so, remove it to begin anew"
        )
        raise PenstockError(msg)
    ready = home.locks / "mlflow.ready"
    if not home.embedded or (ready.exists() and (home.root / "mlflow.db").exists()):
        return
    from filelock import FileLock

    from flows.registry import client

    with FileLock(home.locks / "mlflow.lock"):
        client(home).search_experiments(max_results=1)
        ready.touch()
