"""Deployments on a real Prefect server: what it is told, and when it says runs are due."""

import asyncio
import itertools
import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from flows.deploy import ENTRYPOINT, deploy, remove
from flows.errors import PenstockError
from flows.fleet import POOL
from flows.settings import load_spec

NIGHTLY = 'cron = "0 3 * * *"\ntimezone = "Europe/Berlin"'
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture
def settings(tmp_path, monkeypatch, api):
    """Write settings with a name and a schedule; what was deployed is removed with the test."""
    monkeypatch.chdir(tmp_path)
    made = []

    def write(schedule="", name="작은 표", **overrides):
        path = tmp_path / "작은 설정.toml"
        text = f"name = {json.dumps(name)}\n[data]\nsource = 'table.csv'\ntarget = 'y'\n"
        path.write_text(f"{text}[schedule]\n{schedule}\n", encoding="utf-8")
        made.append(load_spec(path))
        return made[-1]

    yield write
    for name in {spec.name: spec for spec in made}.values():
        try:
            remove(name)
        except PenstockError:
            continue


def known(api, done):
    return api.read_deployment(done["id"])


def test_a_deployment_says_what_to_run_where_and_when(api, settings, tmp_path):
    done = deploy(settings(NIGHTLY), ["train.seed=1"])
    found = known(api, done)
    assert (found.name, found.entrypoint, found.work_pool_name) == ("작은 표", ENTRYPOINT, POOL)
    assert found.parameters == {
        "settings": str(tmp_path / "작은 설정.toml"),
        "overrides": ["train.seed=1"],
    }
    assert found.tags == ["작은 표"]
    assert (found.path, found.pull_steps, found.storage_document_id) == (None, [], None)
    (schedule,) = found.schedules
    assert schedule.active
    assert (schedule.schedule.cron, schedule.schedule.timezone) == ("0 3 * * *", "Europe/Berlin")
    assert found.job_variables["env"]["PENSTOCK_HOME"] == str(tmp_path / ".penstock")
    assert found.job_variables["working_dir"] == str(tmp_path / ".penstock" / "work")
    assert api.read_work_pool(POOL).type == "process"
    assert api.read_flow(found.flow_id).name == "penstock"


def test_its_parameters_have_a_schema_for_the_ui(api, settings):
    schema = known(api, deploy(settings(), [])).parameter_openapi_schema
    assert schema["required"] == ["settings"]
    assert set(schema["properties"]) == {"settings", "overrides", "quiet"}
    assert schema["properties"]["settings"]["type"] == "string"


def test_the_entrypoint_is_this_flow_and_no_second_copy_of_it(settings):
    from prefect.flows import load_flow_from_entrypoint

    from flows.pipeline import pipeline

    assert load_flow_from_entrypoint(ENTRYPOINT) is pipeline


def test_what_was_done_is_said_with_the_next_step(settings, prefect_server, tmp_path):
    done = deploy(settings(NIGHTLY), [])
    assert done["said"][:3] == [
        f"penstock/작은 표 is deployed to {prefect_server.removesuffix('/api')}/deployments/deployment/{done['id']}",
        f"  home      {tmp_path / '.penstock'}",
        "  schedule  cron 0 3 * * * (Europe/Berlin); a run that finds another under way: wait",
    ]
    assert done["said"][3] == f"  next      {done['upcoming'][0]}"
    assert "a worker serves the pool `penstock`" in done["said"][-1]
    assert json.loads(json.dumps(done))["schedule"]["timezone"] == "Europe/Berlin"


def test_after_a_change_there_is_one_deployment_with_one_schedule(api, settings):
    first = deploy(settings(NIGHTLY), [])
    second = deploy(settings('interval = "6h"'), [])
    assert second["id"] == first["id"]
    (schedule,) = known(api, second).schedules
    assert schedule.schedule.interval == timedelta(hours=6)
    due = [run.expected_start_time for run in planned(api, second)]
    apart = {(later - sooner).total_seconds() for sooner, later in itertools.pairwise(due)}
    assert apart == {6 * 3600}  # and none of the night's is left
    third = deploy(settings('interval = "6h"'), [])
    assert len(known(api, third).schedules) == 1


def planned(api, done):
    from prefect.client.schemas.filters import (
        DeploymentFilter,
        DeploymentFilterId,
        FlowRunFilter,
        FlowRunFilterState,
        FlowRunFilterStateType,
    )

    found = api.read_flow_runs(
        deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[done["id"]])),
        flow_run_filter=FlowRunFilter(
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=["SCHEDULED"]))
        ),
    )
    return sorted(found, key=lambda run: run.expected_start_time)


def test_a_paused_schedule_is_kept_still_and_goes_on_when_deployed_again(api, settings):
    still = deploy(settings(NIGHTLY), [], paused=True)
    (schedule,) = known(api, still).schedules
    assert (schedule.active, still["upcoming"], planned(api, still)) == (False, [], [])
    assert still["said"][2].endswith(", paused")
    on = deploy(settings(NIGHTLY), [])
    (schedule,) = known(api, on).schedules
    assert schedule.active
    assert len(on["upcoming"]) == 3
    again = deploy(settings(NIGHTLY), [], paused=True)
    assert (again["upcoming"], planned(api, again)) == ([], [])


def test_without_a_schedule_nothing_starts_by_itself(api, settings):
    deploy(settings(NIGHTLY), [])
    done = deploy(settings(), [])
    assert known(api, done).schedules == []
    assert (done["upcoming"], planned(api, done)) == ([], [])
    assert "none; `penstock deploy SPEC --now`" in done["said"][2]


def test_a_run_at_once_waits_for_a_worker(api, settings):
    done = deploy(settings(), [], now=True)
    (run,) = planned(api, done)
    assert str(run.id) == done["run"]
    assert (run.auto_scheduled, set(run.tags)) == (False, {"by hand", "작은 표"})
    assert "  a run is on its way" in done["said"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("R&D 100%", "R_D 100_-"),
        ("<b>{x}</b>"[:6], "_b__x_-"),
        ("a#b?", "a_b_-"),
        ("é;+'[1]", "é;+'[1]"),
    ],
)
def test_any_name_of_a_model_can_be_deployed_and_removed(api, settings, name, shown):
    spec = settings(name=name)
    done = deploy(spec, [])
    found = known(api, done)
    assert done["deployment"].startswith(f"penstock/{shown}")
    assert api.read_deployment_by_name(done["deployment"]).id == found.id
    assert found.tags == [name]
    assert remove(spec)["deployment"] == done["deployment"]


def test_names_that_look_alike_have_deployments_of_their_own(settings):
    assert deploy(settings(name="a&b"), [])["id"] != deploy(settings(name="a_b"), [])["id"]


def test_a_deployment_that_is_removed_is_gone_and_a_second_time_is_said(api, settings):
    from prefect.exceptions import ObjectNotFound

    spec = settings(NIGHTLY)
    done = deploy(spec, [])
    assert remove(spec)["said"] == ["penstock/작은 표 is removed; its past runs stay"]
    with pytest.raises(ObjectNotFound):
        known(api, done)
    assert planned(api, done) == []
    with pytest.raises(PenstockError, match="penstock/작은 표 must be deployed to be removed"):
        remove(spec)


def test_without_a_server_that_stays_the_next_step_is_said(settings, monkeypatch):
    spec = settings()
    monkeypatch.delenv("PREFECT_API_URL")
    for call in (lambda: deploy(spec, []), lambda: remove(spec)):
        with pytest.raises(PenstockError, match=r"run `penstock up` .* or set PREFECT_API_URL"):
            call()


@pytest.mark.parametrize(
    "url", ["http://lee:s3cret@127.0.0.1:9/api", "nonsense", "http://[bad/api"]
)
def test_a_server_that_is_away_is_said_without_a_secret(settings, monkeypatch, url):
    spec = settings()
    monkeypatch.setenv("PREFECT_API_URL", url)
    with pytest.raises(PenstockError, match="must take a deployment, but: ") as caught:
        deploy(spec, [])
    assert "s3cret" not in str(caught.value)


def due(api, done, start, count):
    """When Prefect's server lets the deployment's schedule come due."""
    from prefect.server.schemas.schedules import CronSchedule

    (found,) = known(api, done).schedules
    kept = CronSchedule.model_validate(found.schedule.model_dump())
    return [at.astimezone(UTC) for at in asyncio.run(kept.get_dates(count, start))]


@pytest.mark.parametrize(
    ("start", "before", "after"),
    [(datetime(2026, 10, 23, 12, tzinfo=UTC), 1, 2), (datetime(2027, 3, 26, 12, tzinfo=UTC), 2, 1)],
    ids=["clocks go back", "clocks go forward"],
)
def test_a_night_is_local_on_both_sides_of_a_change_of_clocks(api, settings, start, before, after):
    dates = due(api, deploy(settings(NIGHTLY), []), start, 4)
    assert [at.hour for at in dates] == [before, after, after, after]
    assert {(at.astimezone(BERLIN).hour, at.astimezone(BERLIN).minute) for at in dates} == {(3, 0)}
    assert [at.astimezone(BERLIN).day for at in dates] == [start.day + n for n in range(1, 5)]


@pytest.mark.parametrize(
    "start",
    [datetime(2026, 10, 23, 12, tzinfo=UTC), datetime(2027, 3, 26, 12, tzinfo=UTC)],
    ids=["an hour that comes twice", "an hour that never comes"],
)
def test_every_night_has_one_run_also_at_an_hour_that_the_change_takes(api, settings, start):
    done = deploy(settings(NIGHTLY.replace("0 3", "30 2")), [])
    dates = due(api, done, start, 4)
    assert [at.astimezone(BERLIN).day for at in dates] == [start.day + n for n in range(1, 5)]
