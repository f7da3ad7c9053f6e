"""Is this installation and this home fit to run unattended? Findings with what to do.

- Every look is bounded in time, and one that fails is itself a finding.
- Nothing is made: where there is no home yet, there is none afterwards.
- What did not answer is not asked further, so a dead server costs its patience once.
"""

from __future__ import annotations

import warnings
from functools import partial
from typing import TYPE_CHECKING

from flows import doctor_home, doctor_runs, doctor_servers, doctor_versions
from flows.findings import looked
from flows.home import find_home

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from flows.findings import Finding
    from flows.home import Home

    Look = Callable[[], Iterator[Finding]]

SECONDS = 30.0
"""The most that one look may take: a guard behind the shorter limits of each."""


def examine(folder: Path, *, seconds: float = SECONDS) -> list[Finding]:
    """Return findings: what was looked at, `ok`, what was found, and advice where it is not."""
    home = find_home(folder)
    with warnings.catch_warnings():
        # Prefect says so when it is imported: the home is not there yet, and is not made here.
        warnings.filterwarnings("ignore", message="Failed to create the Prefect home")
        return _examined(home, seconds)


def _examined(home: Home, seconds: float) -> list[Finding]:
    findings: list[Finding] = []

    def look(what: str, at: Look) -> None:
        findings.extend(looked(what, at, seconds=seconds))

    for what, at in _of_machine(home).items():
        look(what, at)
    unwell = {finding["what"] for finding in findings if not finding["ok"]}
    if home.servers and not unwell & {"Prefect server", "penstock up"}:
        look("worker", partial(doctor_servers.worker, home))
    database = doctor_home.tracking_file(home)
    made = database is None or database.is_file()  # asking MLflow would make it
    if made and not unwell & {"MLFLOW_TRACKING_URI", "MLflow server", doctor_home.MLFLOW}:
        look("stale runs", partial(doctor_runs.stale, home))
    if home.prefect_url and not unwell & {"PREFECT_API_URL", "Prefect server"}:
        look("stale runs", partial(doctor_runs.cut_short, home))
        look("deployments", partial(doctor_runs.deployments, home))
    return findings


def _of_machine(home: Home) -> dict[str, Look]:
    """What can be looked at without the frameworks, in the order in which it is said."""
    return {
        "versions": doctor_versions.versions,
        "known bad versions": doctor_versions.known_bad,
        "time zones": doctor_versions.time_zones,
        "home": partial(doctor_home.place, home),
        "disk": partial(doctor_home.disk, home),
        "databases": partial(doctor_home.databases, home),
        "locks": partial(doctor_home.locks, home),
        "leftovers": partial(doctor_home.leftovers, home),
        "clock": partial(doctor_home.newest_run, home),
        "servers": partial(doctor_servers.named, home),
        "penstock up": partial(doctor_servers.kept, home),
    }
