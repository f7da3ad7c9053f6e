"""Runs that were cut short, on a real Prefect server: which go back to the queue, which do not."""

import os
from datetime import UTC, datetime, timedelta

import pytest
from prefect.states import (
    AwaitingRetry,
    Cancelled,
    Cancelling,
    Completed,
    Crashed,
    Failed,
    Pending,
    Running,
    Scheduled,
)

from flows.deploy import deploy, remove
from flows.fleet import POOL
from flows.interrupted import client, requeue, served, under_way
from flows.settings import load_spec


@pytest.fixture(scope="module")
def deployed(tmp_path_factory, _prefect_url):
    """Keep a deployment whose runs are put into one state or another."""
    path = tmp_path_factory.mktemp("settings") / "spec.toml"
    path.write_text("name = '끊긴 표'\n[data]\nsource = 'a.csv'\ntarget = 'y'\n", "utf-8")
    before = dict(os.environ)
    os.environ["PREFECT_API_URL"] = _prefect_url
    yield deploy(load_spec(path), [])["id"]
    remove(load_spec(path))
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def run(api, deployed):
    """Make a run of the deployment in a given state."""

    def make(state):
        made = api.create_flow_run_from_deployment(deployed)
        for each in (Running(), state) if state.type.value == "CANCELLING" else (state,):
            api.set_flow_run_state(made.id, each, force=True)
        return api.read_flow_run(made.id)

    return make


def test_the_runs_under_way_are_those_that_a_worker_has_taken(run, api, prefect_server):
    from prefect import flow

    taken = [run(Running()), run(Pending()), run(Cancelling())]
    rest = [run(Scheduled()), run(AwaitingRetry()), run(Completed()), run(Failed()), run(Crashed())]
    elsewhere = api.create_flow_run(flow(lambda: None, name="by hand"), state=Running())
    found = {known.id for known in under_way(prefect_server, POOL)}
    assert found >= {known.id for known in taken}
    assert not found & {known.id for known in [*rest, elsewhere]}


def test_a_run_that_was_cut_short_goes_back_to_the_queue(run, api, prefect_server):
    said = []
    cut = [run(Running()), run(Pending())]
    api.set_flow_run_state(cut[0].id, Crashed(), force=True)  # as the worker says of a signal
    requeue(prefect_server, cut, said.append)
    for known in cut:
        state = api.read_flow_run(known.id).state
        assert (state.type.value, state.name) == ("SCHEDULED", "Resumes")
        assert "goes on where it was" in state.message
        assert state.state_details.scheduled_time == known.expected_start_time  # before later ones
    assert said == [
        f"run {known.name!r} was cut short; it goes on when the servers are up" for known in cut
    ]


def test_a_run_that_ended_meanwhile_stays_as_it_is(run, api, prefect_server):
    said, ends = [], (Completed(), Failed(), Cancelled(), AwaitingRetry())
    taken = [run(Running()) for _ in ends]
    for known, end in zip(taken, ends, strict=True):
        api.set_flow_run_state(known.id, end, force=True)
    before = [api.read_flow_run(known.id).state.id for known in taken]
    requeue(prefect_server, taken, said.append)
    assert [api.read_flow_run(known.id).state.id for known in taken] == before
    assert said == []


@pytest.mark.parametrize("since", [None, Crashed, Running])
def test_a_run_that_was_being_cancelled_does_not_come_back(run, api, prefect_server, since):
    said, known = [], run(Cancelling())
    if since:
        api.set_flow_run_state(known.id, since(), force=True)
    requeue(prefect_server, [known], said.append)
    assert api.read_flow_run(known.id).state.type.value == "CANCELLED"
    assert said == [f"run {known.name!r} was being cancelled; it is"]


def test_a_run_that_is_deleted_is_left_alone(run, api, prefect_server):
    said = []
    deleted, cut = run(Running()), run(Running())
    api.delete_flow_run(deleted.id)
    requeue(prefect_server, [deleted, cut], said.append)
    assert api.read_flow_run(cut.id).state.type.value == "SCHEDULED"
    assert len(said) == 1


def test_a_pool_is_served_by_the_worker_of_that_name_while_it_shows_itself(run, prefect_server):
    before = datetime.now(UTC) - timedelta(seconds=5)
    assert not served(prefect_server, POOL, "일꾼", before)
    with client(prefect_server) as api:
        api.send_worker_heartbeat(POOL, "일꾼", heartbeat_interval_seconds=30)
    assert served(prefect_server, POOL, "일꾼", before)
    assert not served(prefect_server, POOL, "another", before)
    assert not served(prefect_server, POOL, "일꾼", datetime.now(UTC) + timedelta(hours=1))


@pytest.mark.parametrize("pool", ["no such pool", POOL])
def test_a_server_or_a_pool_that_is_not_there_serves_nobody(prefect_server, pool):
    url = prefect_server if pool != POOL else "http://127.0.0.1:9/api"
    assert not served(url, pool, "일꾼", datetime.now(UTC) - timedelta(days=1))
