"""Runs that nobody is at any more, and deployments that no longer are what their settings say.

- Asked of servers and databases that have answered; what runs on another machine is left alone.
"""

from __future__ import annotations

import contextlib
import os
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows import interrupted
from flows.deploy import name_of
from flows.duration import seconds_of
from flows.errors import SettingsError
from flows.findings import well, wrong
from flows.fleet import FLOW_RUN, MARK, POOL
from flows.settings import load_spec
from flows.stale import stale_runs
from flows.supervise import marked

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from flows.findings import Finding
    from flows.home import Home
    from flows.spec import Spec

MOST = 200
NAMED = 5
YOUNG = timedelta(seconds=60)
"""A run whose process is only just starting, or ending."""


def stale(home: Home) -> Iterator[Finding]:
    """Find runs that MLflow holds for running although their process is gone."""
    found = stale_runs(home)
    for run in found[:NAMED]:
        since = datetime.fromtimestamp(run["since"] / 1000, UTC)
        text = f"MLflow holds {run['run']} of {run['name']!r} for running"
        text += f" since {since:%Y-%m-%d %H:%M} UTC: {run['why']}"
        yield wrong("stale run", text, f"the next run of {run['name']!r} ends it; nothing is lost")
    if len(found) > NAMED:
        text = f"and {len(found) - NAMED:,} more in MLflow"
        yield wrong("stale run", text, "the next run of each name ends its own")


def cut_short(home: Home) -> Iterator[Finding]:
    """Find runs that Prefect holds for running although their process is gone."""
    under_way = interrupted.under_way(str(home.prefect_url), POOL)
    if not under_way:
        return
    ours = marked(MARK, str(home.root)).values()
    living = {environment.get(FLOW_RUN) for environment in ours}
    local = bool(home.servers) and home.prefect_url == (home.servers or {}).get("prefect")
    gone = [run for run in under_way if str(run.id) not in living and _gone(run, local=local)]
    for run in gone[:NAMED]:
        text = f"Prefect holds {run.name!r} for {run.state_name}, but its process is gone"
        advice = "`penstock down`, then `penstock up` lets it go on; or cancel it in the Prefect UI"
        yield wrong("stale run", text, advice)


def _gone(run: Any, *, local: bool) -> bool:
    """Whether the process of a run is known to be gone; `local`: it would be on this machine."""
    since = run.state.timestamp if run.state else run.created
    if since is not None and datetime.now(UTC) - since < YOUNG:
        return False
    host, _, number = (run.infrastructure_pid or "").partition(":")
    if host and host != socket.gethostname():
        return False
    if number.isdigit():
        with contextlib.suppress(PermissionError):
            return not _exists(int(number))
        return False
    return local


def _exists(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True


def deployments(home: Home) -> Iterator[Finding]:
    """Compare the deployments of this home with the settings that they were made from."""
    asked = {"work_pools": {"name": {"any_": [POOL]}}, "limit": MOST}
    with interrupted.client(str(home.prefect_url)) as api:
        found = api.request("POST", "/deployments/filter", json=asked).json()
    for deployed in found:
        environment = (deployed.get("job_variables") or {}).get("env") or {}
        if environment.get("PENSTOCK_HOME") == str(home.root):
            yield _deployment(deployed)


def _deployment(deployed: Mapping[str, Any]) -> Finding:
    what = f"deployment {deployed['name']}"
    given = deployed.get("parameters") or {}
    path = Path(str(given.get("settings")))
    if not path.is_file():
        advice = (
            "put the file back, or delete the deployment in the Prefect UI: every run of it fails"
        )
        return wrong(what, f"its settings {path} are gone", advice)
    try:
        spec = load_spec(path, given.get("overrides") or ())
    except SettingsError as error:
        first = str(error).splitlines()[0]
        return wrong(what, f"its settings are wrong: {first}", f"`penstock check {path}` says more")
    if name_of(spec) != deployed["name"]:
        text = f"its settings {path} are named {spec.name!r} now"
        advice = f"`penstock deploy {path}`, and delete the old one in the Prefect UI"
        return wrong(what, text, advice)
    clocks = sorted(_of_server(each["schedule"]) for each in deployed.get("schedules") or ())
    wanted = [_of_settings(spec)] if spec.schedule.on_a_clock else []
    if clocks != wanted:
        text = f"its schedule is {_said(clocks)}, but {path} says {_said(wanted)}"
        return wrong(what, text, f"`penstock deploy {path}` brings it up to date")
    still = [each for each in deployed.get("schedules") or () if not each.get("active")]
    paused = ", paused" if still or deployed.get("paused") else ""
    return well(what, f"{_said(clocks)}{paused}; settings {path}")


def _of_settings(spec: Spec) -> str:
    asked = spec.schedule
    if asked.cron:
        return f"cron {asked.cron} ({asked.timezone})"
    return f"every {seconds_of(str(asked.interval)):g} s"


def _of_server(schedule: Mapping[str, Any]) -> str:
    if "cron" in schedule:
        return f"cron {schedule['cron']} ({schedule.get('timezone') or 'UTC'})"
    if "interval" in schedule:
        return f"every {float(schedule['interval']):g} s"
    return f"another than `penstock deploy` makes ({', '.join(sorted(schedule))})"


def _said(clocks: list[str]) -> str:
    return " and ".join(clocks) or "none"
