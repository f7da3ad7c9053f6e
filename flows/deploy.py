"""`penstock deploy`: settings become a Prefect deployment that runs by its schedule.

- The entrypoint is a module path: a file path would load a second copy of the module.
- Overlap is decided by the run itself, under the lock of its name (`flows/turns.py`), so it holds
  between deployments of one name, and for a run that somebody starts by hand, too.
- The deployment names its home, so its runs find the same models from wherever they start.
"""

from __future__ import annotations

import contextlib
import os
import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from flows import servers
from flows.duration import seconds_of
from flows.errors import PenstockError
from flows.fleet import POOL
from flows.home import find_home, open_home, set_aside, told_apart
from flows.interrupted import client
from flows.mlflow_errors import public, short
from flows.stages import settings_digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from prefect.client.orchestration import SyncPrefectClient

    from flows.home import Home
    from flows.spec import Spec

ENTRYPOINT = "flows.pipeline.pipeline"
FLOW = "penstock"
UPCOMING = 3


def deploy(
    spec: Spec, overrides: Sequence[str], *, paused: bool = False, now: bool = False
) -> dict[str, Any]:
    """Create the deployment of `spec`, or bring it up to date; return what was done.

    Raises:
        PenstockError: there is no Prefect server, or it refuses.

    """
    _served(find_home(spec.folder))
    home = open_home(spec.folder)
    url = str(home.prefect_url)
    with _said_plainly(home), client(url) as api:
        _pool(api)
        made = _create(api, spec, home, overrides, paused=paused)
        due = _upcoming(api, made)
        run = api.create_flow_run_from_deployment(made, tags=["by hand"]) if now else None
    page = f"{url.removesuffix('/api')}/deployments/deployment/{made}"
    said = [f"{FLOW}/{name_of(spec)} is deployed to {public(page)}", f"  home      {home.root}"]
    said.append(f"  schedule  {_in_words(spec, paused=paused)}")
    said += [f"  next      {when}" for when in due[:1]]
    said += ["  a run is on its way"] if run else []
    said += _warnings(home)
    aside = set_aside(spec.folder, home)
    said += [f"  note      {aside}"] if aside else []
    return {
        "deployment": f"{FLOW}/{name_of(spec)}",
        "id": str(made),
        "url": public(page),
        "home": str(home.root),
        "schedule": spec.schedule.model_dump(mode="json"),
        "paused": paused,
        "upcoming": due,
        "run": str(run.id) if run else None,
        "said": said,
    }


def remove(spec: Spec) -> dict[str, Any]:
    """Take the deployment of `spec` off the server; its past runs stay.

    Raises:
        PenstockError: there is no Prefect server, or no such deployment.

    """
    from prefect.exceptions import ObjectNotFound

    home = _served(find_home(spec.folder))
    name = f"{FLOW}/{name_of(spec)}"
    with _said_plainly(home), client(str(home.prefect_url)) as api:
        try:
            api.delete_deployment(api.read_deployment_by_name(name).id)
        except ObjectNotFound:
            msg = f"{name} must be deployed to be removed; {public(str(home.prefect_url))} has no such deployment"
            raise PenstockError(msg) from None
    return {"deployment": name, "said": [f"{name} is removed; its past runs stay"]}


def name_of(spec: Spec) -> str:
    """The deployment's name: the settings', but for signs that Prefect's names and addresses lack."""
    return told_apart(spec.name, re.sub(r"[%&<>#?{}]", "_", spec.name))


def _served(home: Home) -> Home:
    """Return the home where it has a Prefect server that stays."""
    if home.prefect_url:
        return home
    msg = (
        f"a deployment needs a Prefect server that stays, and {home.root} has none: run `penstock up` "
        "in another terminal (or `penstock up --detach`), or set PREFECT_API_URL"
    )
    raise PenstockError(msg)


@contextlib.contextmanager
def _said_plainly(home: Home) -> Iterator[None]:
    """Word what the server, or the lack of one, answers."""
    from httpx import HTTPError, InvalidURL
    from prefect.exceptions import PrefectException

    where = public(str(home.prefect_url))
    try:
        yield
    except (HTTPError, InvalidURL, PrefectException, RuntimeError, ValueError) as error:
        refused = getattr(getattr(error, "response", None), "status_code", None) in (401, 403)
        hint = "; set PREFECT_API_AUTH_STRING to user:password" if refused else ""
        msg = f"the Prefect server at {where} must take a deployment, but: {short(error)}{hint}"
        raise PenstockError(msg) from None


def _pool(api: SyncPrefectClient) -> None:
    """Find or create the work pool that deployments wait in."""
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
    from prefect.workers.process import ProcessWorker

    try:
        api.read_work_pool(POOL)
    except ObjectNotFound:
        template = ProcessWorker.get_default_base_job_template()
        asked = WorkPoolCreate(name=POOL, type="process", base_job_template=template)
        with contextlib.suppress(ObjectAlreadyExists):
            api.create_work_pool(asked)


def _create(
    api: SyncPrefectClient, spec: Spec, home: Home, overrides: Sequence[str], *, paused: bool
) -> Any:
    from prefect.utilities.callables import parameter_schema

    from flows.pipeline import pipeline

    path = spec.path.resolve() if spec.path else None
    environment = {"PENSTOCK_HOME": str(home.root), "PYTHONSAFEPATH": "1"}
    if (named := os.environ.get("MLFLOW_TRACKING_URI")) and public(named) == named:
        environment["MLFLOW_TRACKING_URI"] = named
    about = (
        f"Makes `models:/{spec.name}@champion`, which predicts `{spec.data.target}`, from "
        f"`{spec.data.source}`.\n\nSettings: `{path}`. Home: `{home.root}`. Overlapping runs of this "
        f"name: {spec.schedule.overlap}."
    )
    return api.create_deployment(
        flow_id=api.create_flow(pipeline),
        name=name_of(spec),
        version=settings_digest(spec)[:12],
        description=about,
        schedules=_schedules(spec, paused=paused),
        paused=False,
        parameters={"settings": str(path), "overrides": list(overrides)},
        parameter_openapi_schema=parameter_schema(pipeline).model_dump_for_openapi(),
        tags=[spec.name],
        work_pool_name=POOL,
        entrypoint=ENTRYPOINT,
        # A folder of its own: modules beside the settings must not pass for ours.
        job_variables={"env": environment, "working_dir": str(home.work)},
    )


def _schedules(spec: Spec, *, paused: bool) -> list[Any]:
    from prefect.client.schemas.actions import DeploymentScheduleCreate
    from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule

    asked = spec.schedule
    if asked.cron:
        schedule: Any = CronSchedule(cron=asked.cron, timezone=asked.timezone)
    elif asked.interval:
        every = timedelta(seconds=seconds_of(asked.interval))
        schedule = IntervalSchedule(interval=every, timezone=asked.timezone)
    else:
        return []
    return [DeploymentScheduleCreate(schedule=schedule, active=not paused)]


def _upcoming(api: SyncPrefectClient, deployment: Any) -> list[str]:
    """Return when the next runs are due, in local time; the server is asked to plan them now."""
    api.request("POST", "/deployments/{id}/schedule", path_params={"id": deployment}, json={})
    asked = {"deployment_ids": [str(deployment)], "limit": UPCOMING}
    found = api.request("POST", "/deployments/get_scheduled_flow_runs", json=asked).json()
    times = [datetime.fromisoformat(run["expected_start_time"]) for run in found]
    return [f"{time.astimezone():%Y-%m-%d %H:%M:%S %Z}" for time in sorted(times)]


def _in_words(spec: Spec, *, paused: bool) -> str:
    asked = spec.schedule
    if not asked.on_a_clock:
        return "none; `penstock deploy SPEC --now`, or Quick run in the Prefect UI, starts a run"
    when = f"cron {asked.cron} ({asked.timezone})" if asked.cron else f"every {asked.interval}"
    still = ", paused" if paused else ""
    return f"{when}; a run that finds another under way: {asked.overlap}{still}"


def _warnings(home: Home) -> list[str]:
    if home.servers is None and servers.recorded(home.root) is None:
        return ["  note      its runs start when a worker serves the pool `penstock`"]
    return []
