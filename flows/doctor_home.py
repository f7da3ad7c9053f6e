"""The state of a home: its disk, its databases, its locks, what was left half made.

- SQLite databases are checked as far as a few seconds allow; whoever writes for long is named.
- What a run under way is still making is no leftover.
- A home without credentials may be read by whom it likes.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import stat
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.findings import well, wrong
from flows.home import GIGABYTE
from flows.json_files import read_json
from flows.turns import runs_under_way

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flows.findings import Finding
    from flows.home import Home

LEAST_FREE = 2 * GIGABYTE
LEAST_FILES = 10_000
WRITER_SECONDS = 5.0
"""How long a writer may keep others from a database."""
CHECK_SECONDS = 8.0
"""How long a database may be read for faults."""
OLD = 3600.0  # seconds; what is younger may still be in the making
CLOCK_SLACK = 60.0  # seconds
NAMED = 5
MLFLOW = "MLflow database"
DATABASES = {
    MLFLOW: "mlflow.db",
    "MLflow users": "mlflow-auth.db",
    "Prefect database": "prefect/prefect.db",
}
CREDENTIALS = ("mlflow-secret", "mlflow-auth.db", "prefect/profiles.toml")
"""Files of a home that hold keys, passwords or their digests."""


def place(home: Home) -> Iterator[Finding]:
    """Say where the home is, whether it can be written, and who can read its credentials."""
    there = _nearest(home.root)
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        advice = "make it writable for this user, or let PENSTOCK_HOME name another place"
        yield wrong("home", f"{home.root} cannot be written: see {there}", advice)
    elif there != home.root:
        yield well("home", f"there is none at {home.root} yet; the first run makes it")
    else:
        yield well("home", str(home.root))
    if os.name != "posix" or there != home.root or not home.root.stat().st_mode & stat.S_IXOTH:
        return
    known = [home.root / name for name in CREDENTIALS]
    bare = [path for path in known if path.is_file() and path.stat().st_mode & stat.S_IROTH]
    if bare:
        text = f"every user of this machine can read {', '.join(map(str, bare))}"
        yield wrong("credentials", text, f"chmod go-rwx {' '.join(map(str, bare))}")


def disk(home: Home) -> Iterator[Finding]:
    """See whether there is room for files, in bytes and in number."""
    there = _nearest(home.root)
    free = shutil.disk_usage(there).free
    text = f"{free / GIGABYTE:.1f} GB free at {there}"
    advice = "free some; `penstock clean` removes what can be made again"
    yield well("disk", text) if free > LEAST_FREE else wrong("disk", text, advice)
    if not hasattr(os, "statvfs"):
        return
    room = os.statvfs(there)
    if room.f_files and room.f_favail < LEAST_FILES:  # a file system without a limit says 0
        text = f"{room.f_favail:,} more files fit at {there}, of {room.f_files:,}"
        yield wrong("files", text, "remove small files there; `penstock clean` removes some")


def databases(home: Home) -> Iterator[Finding]:
    """Check the databases of the home that are there, or the one that the environment names."""
    for what, name in DATABASES.items():
        path = tracking_file(home) if what == MLFLOW else home.root / name
        if path is not None and path.is_file():
            yield _database(what, path)


def tracking_file(home: Home) -> Path | None:
    """The file of MLflow's database; None where it is no file."""
    scheme, found, path = home.tracking_uri.partition("sqlite:///")
    return Path(path) if found and not scheme else None


def _database(what: str, path: Path) -> Finding:
    """Wait for its writer, then read it for faults; nothing is written."""
    deadline = time.monotonic() + WRITER_SECONDS + CHECK_SECONDS
    try:
        uri = f"{path.resolve().as_uri()}?mode=rw"
        opened = sqlite3.connect(uri, uri=True, timeout=WRITER_SECONDS, isolation_level=None)
        with contextlib.closing(opened) as database:
            database.execute("begin immediate")  # waits for a writer; writes nothing itself
            database.execute("rollback")
            database.set_progress_handler(lambda: time.monotonic() > deadline, 10_000)
            found = database.execute("pragma quick_check(3)").fetchall()
    except sqlite3.Error as error:
        return _trouble(what, path, error)
    if found == [("ok",)]:
        return well(what, f"{path} is sound")
    said = "; ".join(str(row[0]) for row in found)
    return wrong(what, f"{path}: {said}", _restore(path))


def _trouble(what: str, path: Path, error: sqlite3.Error) -> Finding:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code == sqlite3.SQLITE_INTERRUPT:
        text = f"{path} is large ({path.stat().st_size / GIGABYTE:.1f} GB); no fault in its first"
        return well(what, f"{text} {CHECK_SECONDS:g} s of reading")
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        text = f"{path} was locked for {WRITER_SECONDS:g} s{_who_has(path)}"
        return wrong(what, text, "wait, or end the process that holds it")
    if code == sqlite3.SQLITE_READONLY:
        return wrong(what, f"{path} cannot be written: {error}", f"make {path} writable")
    return wrong(what, f"{path}: {error}", _restore(path))


def _restore(path: Path) -> str:
    return f"`penstock down`, then restore {path.name} from a backup, with nothing writing to it"


def _who_has(path: Path) -> str:
    """Name the processes that have a file open, as far as this user may know."""
    import psutil

    found, real = [], str(path.resolve())
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and real in {f.path for f in process.open_files()}:
                found.append(f"{process.pid} ({process.name()})")
    return f"; it is open in process {', '.join(found[:NAMED])}" if found else ""


def locks(home: Home) -> Iterator[Finding]:
    """Say which runs are under way, and which publications none of them is at."""
    under_way = runs_under_way(home)
    for run in under_way:
        text = f"{run['name']}, process {run['process']}, since {run['since']}"
        yield well("run under way", text)
    busy = {run["name"] for run in under_way}
    for path in sorted(home.locks.glob("publish-*.json")):
        intent: dict[str, Any] = {}
        with contextlib.suppress(OSError, ValueError):
            intent = read_json(path)
        if intent.get("name") in busy:
            continue
        named = repr(intent["name"]) if intent.get("name") else path.name
        text = f"a run of {named} ended while publishing ({path})"
        advice = "run it again: the same version is found or made, and its aliases are moved"
        yield wrong("unfinished publication", text, advice)


def leftovers(home: Home) -> Iterator[Finding]:
    """Find what was never finished and never removed."""
    begun = [datetime.fromisoformat(run["since"]).timestamp() for run in runs_under_way(home)]
    before = min([time.time() - OLD, *begun])
    patterns = ("cache/*/.making-*", "*.partial", ".*.part", "*/.*.part", "*/*/.*.part")
    found = [path for pattern in patterns for path in home.root.glob(pattern)]
    old = sorted(path for path in found if _changed(path) < before)
    if old:
        named = ", ".join(str(path.relative_to(home.root)) for path in old[:NAMED])
        more = f" and {len(old) - NAMED:,} more" if len(old) > NAMED else ""
        text = f"left half made in {home.root}: {named}{more}"
        yield wrong("leftovers", text, "remove them: nothing reads them, they only take space")


def newest_run(home: Home) -> Iterator[Finding]:
    """See that the clock has not been set back behind a run: what is due follows from it."""
    began = [time_of for path in home.runs.glob("*") if (time_of := _began(path.name))]
    now = datetime.now(UTC)
    if began and (max(began) - now).total_seconds() > CLOCK_SLACK:
        text = f"the clock says {now:%Y-%m-%d %H:%M} UTC, but a run began {max(began):%Y-%m-%d %H:%M} UTC"
        yield wrong("clock", text, "set the clock of this machine, and let it follow a time server")
    else:
        yield well("clock", f"{now:%Y-%m-%d %H:%M} UTC, after every run")


def _began(run: str) -> datetime | None:
    """When a run began, from its id."""
    with contextlib.suppress(ValueError):
        return datetime.strptime(run[:15], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    return None


def _nearest(path: Path) -> Path:
    """The path, or the nearest folder above it that is there."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # finished or removed meanwhile
        return time.time()
