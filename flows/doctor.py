"""Is this installation and this home fit to run unattended? Findings with what to do."""

from __future__ import annotations

import contextlib
import importlib.metadata
import re
import shutil
import sqlite3
import urllib.request
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.home import GIGABYTE, open_home, runs_under_way
from flows.track import public

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flows.home import Home

KNOWN_BAD = {
    "lightning": ("2.6.2", "2.6.3"),
}
"""Versions that were published with a credential stealer; uninstall at once."""
LEAST_FREE = 2 * GIGABYTE


def examine(folder: Path) -> list[dict[str, Any]]:
    """Return findings: what was looked at, whether it is fine, what was found and what to do."""
    home = open_home(folder)
    installed, home_of_ours = (_versions(), _bad_versions()), (_disk(home), _database(home))
    checks = (*installed, *home_of_ours, _servers(home), _locks(home))
    return [finding for findings in checks for finding in findings]


def _finding(what: str, found: str, *, ok: bool) -> dict[str, Any]:
    return {"what": what, "ok": ok, "found": found}


def _versions() -> Iterator[dict[str, Any]]:
    """Compare what is installed with the constraints beside this code."""
    path = Path(__file__).resolve().parent.parent / "constraints.txt"
    if not path.is_file():
        yield _finding("constraints", f"{path} is missing; install from a checkout", ok=False)
        return
    pinned = dict(re.findall(r"^([\w.-]+)==(\S+)$", path.read_text(encoding="utf-8"), re.MULTILINE))
    other = []
    for name, version in pinned.items():
        try:
            found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        if found.partition("+")[0] != version.partition("+")[0]:
            other.append(f"{name} {found}, not {version}")
    text = (
        "; ".join(other[:10]) + "; install with -c constraints.txt"
        if other
        else "as in constraints.txt"
    )
    yield _finding("versions", text, ok=not other)


def _bad_versions() -> Iterator[dict[str, Any]]:
    for name, versions in KNOWN_BAD.items():
        try:
            found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        if found in versions:
            yield _finding(
                name, f"{found} is malicious; uninstall it and change credentials", ok=False
            )
    fastapi = importlib.metadata.version("fastapi")
    major, minor = (int(part) for part in fastapi.split(".")[:2])
    fits = (major, minor) < (0, 151)
    yield _finding(
        "fastapi", fastapi if fits else f"{fastapi} breaks Prefect; install fastapi<0.151", ok=fits
    )


def _disk(home: Home) -> Iterator[dict[str, Any]]:
    free = shutil.disk_usage(home.root).free
    text = f"{free / GIGABYTE:.1f} GB free at {home.root}"
    yield _finding(
        "disk",
        text if free > LEAST_FREE else f"{text}; `penstock clean` frees some",
        ok=free > LEAST_FREE,
    )


def _database(home: Home) -> Iterator[dict[str, Any]]:
    path = home.root / "mlflow.db"
    if not home.embedded or not path.is_file():
        return
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
            found = database.execute("pragma quick_check").fetchone()[0]
    except sqlite3.Error as error:
        found = str(error)
    text = f"{path} is sound" if found == "ok" else f"{path}: {found}; restore it from a backup"
    yield _finding("MLflow database", text, ok=found == "ok")


def _servers(home: Home) -> Iterator[dict[str, Any]]:
    """Ask the servers that the environment names whether they are well."""
    named = {"MLFLOW_TRACKING_URI": home.tracking_uri, "PREFECT_API_URL": home.prefect_url}
    for name, address in named.items():
        if not address or not address.startswith(("http://", "https://")):
            continue
        try:
            with urllib.request.urlopen(f"{address.rstrip('/')}/health", timeout=5) as answer:  # noqa: S310
                found, ok = f"{public(address)} answers", answer.status == HTTPStatus.OK
        except (OSError, ValueError) as error:
            found, ok = f"{public(address)} does not answer ({error}); start it or unset it", False
        yield _finding(name, found, ok=ok)


def _locks(home: Home) -> Iterator[dict[str, Any]]:
    for run in runs_under_way(home):
        text = f"{run['name']}, process {run['process']}, since {run['since']}"
        yield _finding("run under way", text, ok=True)
    for path in (home.root / "locks").glob("publish-*.json"):
        text = f"{path.name}: a run ended while publishing; run it again"
        yield _finding("unfinished publication", text, ok=False)
