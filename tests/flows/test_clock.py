"""What a schedule means to a run: real runs of real deployments, made in this process."""

import json
import os
from datetime import UTC, datetime, timedelta

import pytest
from filelock import FileLock

from flows.deploy import deploy, remove
from flows.home import file_name, open_home
from flows.interrupted import client
from flows.json_files import read_json
from flows.settings import load_spec
from flows.turns import one_run_at_a_time, runs_under_way

SLOW = """
import pathlib, time
import pandas as pd

def frame():
    pathlib.Path(__file__).with_name("begun").touch()
    for _ in range(600):
        try:
            time.sleep(0.1)
        except Exception:  # a user's function may swallow what it does not know
            pass
    return pd.DataFrame({"x": range(50), "y": [0, 1] * 25})
"""


class Deployed:
    """Settings on a real server, and runs of theirs in this process."""

    def __init__(self, api, url, path):
        self.api, self.url, self.path = api, url, path
        self.home = open_home(path.parent)

    def summaries(self):
        """What its runs have left in the home, which others use too."""
        found = [read_json(path) for path in sorted(self.home.runs.glob("*/summary.json"))]
        return [summary for summary in found if summary["name"] == self.spec.name]

    def deploy(self, *overrides):
        self.spec = load_spec(self.path, overrides)
        self.id = deploy(self.spec, overrides)["id"]
        return self

    def planned(self, since):
        """Let the server plan runs from `since` on; return the first, which is late."""
        body = {"start_time": since.isoformat(), "min_runs": 1, "max_runs": 1}
        path = {"id": self.id}
        self.api.request("POST", "/deployments/{id}/schedule", path_params=path, json=body)
        found = self.api.read_flow_runs(sort="EXPECTED_START_TIME_ASC", limit=200)
        return next(run for run in found if str(run.deployment_id) == self.id)

    def by_hand(self):
        return self.api.create_flow_run_from_deployment(self.id)

    def run(self, flow_run):
        """Do as the worker's process does; return the final state as the server has it."""
        from prefect.flow_engine import run_flow
        from prefect.settings import (
            PREFECT_API_URL,
            PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
            temporary_settings,
        )

        from flows.pipeline import pipeline

        settings = {PREFECT_API_URL: self.url, PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}
        with temporary_settings(settings):
            run_flow(pipeline, flow_run=flow_run, return_type="state")
        return self.api.read_flow_run(flow_run.id).state


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def deployed(prefect_server, root, tmp_path, monkeypatch):
    """Make deployments of settings; they are removed with the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PENSTOCK_HOME", str(root))
    before, made = dict(os.environ), []
    with client(prefect_server) as api:

        def make(path, *overrides):
            made.append(Deployed(api, prefect_server, path).deploy(*overrides))
            return made[-1]

        yield make
        for each in made:
            remove(each.spec)
    for name in set(os.environ) - set(before):
        del os.environ[name]


@pytest.fixture
def small(tmp_path, table):
    """Settings whose table is refused at once, so that a run that begins is a short one."""
    path = tmp_path / "spec.toml"
    (tmp_path / "table.csv").write_text("x,y\n" + "1,\n" * 50, "utf-8")
    name = json.dumps(f"표 {tmp_path.name}")
    path.write_text(f"name = {name}\n[data]\nsource = 'table.csv'\ntarget = 'y'\n", "utf-8")
    return path


def test_a_run_that_finds_another_under_way_is_skipped_where_the_schedule_says_so(deployed, small):
    one = deployed(small, "schedule.overlap=skip")
    with one_run_at_a_time(one.home, one.spec.name):
        state = one.run(one.by_hand())
    assert (state.type.value, state.name) == ("CANCELLED", "Skipped")
    assert f"another run of '{one.spec.name}' is under way" in state.message
    assert (one.summaries(), runs_under_way(one.home)) == ([], [])


@pytest.mark.slow
def test_a_late_run_is_skipped_when_another_began_after_it_was_due(deployed, small):
    one = deployed(small, "schedule.interval=10min")
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    late = one.planned(hour_ago)
    assert late.auto_scheduled
    assert late.expected_start_time < datetime.now(UTC)
    assert one.run(one.by_hand()).name == "Refused"  # but it has looked at the data
    (looked,) = one.summaries()
    state = one.run(late)
    assert (state.type.value, state.name) == ("CANCELLED", "Skipped")
    assert f"run {looked['run']} of '{one.spec.name}' began after this one was due" in state.message
    assert one.summaries() == [looked]
    due = late.expected_start_time.astimezone()
    assert one.api.read_flow_run(late.id).name == f"spec {due:%Y-%m-%d %H:%M:%S}"


def test_a_run_that_somebody_tries_again_is_not_skipped_for_what_it_has_seen_itself(
    deployed, small
):
    from prefect.states import AwaitingRetry

    one = deployed(small, "schedule.interval=10min")
    late = one.planned(datetime.now(UTC) - timedelta(hours=1))
    assert one.run(late).name == "Refused"
    one.api.set_flow_run_state(late.id, AwaitingRetry(), force=True)  # Retry in the UI
    assert one.run(one.api.read_flow_run(late.id)).name == "Refused"
    assert [summary["verdict"]["outcome"] for summary in one.summaries()] == ["refused"] * 2


@pytest.mark.slow
def test_a_run_beyond_its_time_ends_says_so_and_frees_its_name(deployed, small, tmp_path):
    (tmp_path / "slow.py").write_text(SLOW)
    one = deployed(small, "schedule.timeout=10s", "data.source=slow.py:frame")
    state = one.run(one.by_hand())
    said = f"a run of '{one.spec.name}' must end within schedule.timeout = '10s', and did not"
    assert (tmp_path / "begun").exists()
    assert (state.type.value, state.name) == ("FAILED", "Failed")
    assert said in state.message
    (summary,) = one.summaries()
    assert (summary["verdict"]["outcome"], summary["error"]) == ("failed", said)
    assert runs_under_way(one.home) == []
    lock = FileLock(one.home.locks / f"run-{file_name(one.spec.name)}.lock")
    with lock.acquire(timeout=0):
        pass


@pytest.mark.long
def test_waiting_for_another_run_takes_nothing_of_a_run_s_time(deployed, small, monkeypatch):
    """One that hangs, and is ended for it, does not take those with it that wait behind it."""
    import threading

    one = deployed(small, "schedule.timeout=10s")
    release, held = threading.Event(), threading.Event()

    def hold():
        with one_run_at_a_time(one.home, one.spec.name):
            held.set()
            release.wait(12)

    other = threading.Thread(target=hold)
    other.start()
    assert held.wait(30)
    assert one.run(one.by_hand()).name == "Refused"  # so it had its turn
    other.join()


def test_a_run_without_a_deployment_has_no_limit_and_is_refused_beside_another(write_spec):
    from flows.clock import asked_by, time_limit

    spec = load_spec(write_spec('name = "n"\n[data]\nsource = "a"\ntarget = "y"\n'))
    assert asked_by(spec) == {}
    with time_limit(spec):
        pass
