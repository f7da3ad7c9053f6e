"""Runs whose process is gone: a real process that is killed, one that lives, and ones elsewhere."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap

import pytest

from flows import stale
from flows.errors import PenstockError
from flows.home import open_home
from flows.registry import client
from flows.stale import owner, stale_runs
from flows.track import Tracker, status_of
from flows.turns import one_run_at_a_time

NAME = "신용"
TRACKS = """
    import sys, time
    from pathlib import Path
    from flows.home import open_home
    from flows.track import Tracker
    tracker = Tracker(open_home(Path(sys.argv[1])), sys.argv[2], "run-of-child")
    tags = {"penstock.run": "run-of-child", "penstock.name": sys.argv[2], "verdict": "running"}
    tracker.start(tags)
    tracker.settle()
    child = tracker.client.create_run(
        tracker.experiment_id, tags={"mlflow.parentRunId": tracker.run_id}
    )
    tracker.client.log_metric(tracker.run_id, "system/process_memory_megabytes", 1.0)
    print(tracker.run_id, child.info.run_id, flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def made_home(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_TRACKING_URI", "PENSTOCK_HOME"):
            patch.delenv(name, raising=False)
        yield open_home(tmp_path_factory.mktemp("stale"))


@pytest.fixture
def home(made_home):
    yield made_home
    reader = client(made_home)
    for experiment in reader.search_experiments():
        for run in reader.search_runs([experiment.experiment_id], "attributes.status = 'RUNNING'"):
            reader.set_terminated(run.info.run_id)


@pytest.fixture
def other_process(home):
    """Make a process that has begun a run, and one of its members, and does not end by itself."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(TRACKS), str(home.root.parent), NAME],
        stdout=subprocess.PIPE,
        text=True,
    )
    process.parent, process.child = process.stdout.readline().split()
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def begin(home, run="run-next"):
    tracker = Tracker(home, NAME, run)
    tracker.start({"penstock.run": run, "penstock.name": NAME})
    tracker.settle()
    return tracker


def planted(home, /, **tags):
    """Make a run that says it belongs to somebody else."""
    tracker = begin(home, "run-planted")
    for name, value in tags.items():
        tracker.client.set_tag(tracker.run_id, f"penstock.{name}", value)
    tracker.close()
    return tracker.run_id


def status(home, run_id):
    return client(home).get_run(run_id).info.status


def test_a_run_whose_process_was_killed_is_ended_by_the_next_one_with_its_members(
    home, other_process
):
    assert stale_runs(home) == []
    other_process.send_signal(signal.SIGKILL)
    other_process.wait()
    (found,) = stale_runs(home)
    assert (found["run"], found["name"]) == ("run-of-child", NAME)
    assert found["run_id"] == other_process.parent
    assert f"process {other_process.pid}" in found["why"]
    assert status(home, other_process.parent) == "RUNNING"  # whoever only looks changes nothing

    begin(home).finish()
    for run_id in (other_process.parent, other_process.child):
        run = client(home).get_run(run_id)
        assert run.info.status == "KILLED"
        assert run.data.tags["penstock.ended"].startswith("killed: its process")
        assert run.data.tags["penstock.ended"].endswith("when run run-next began")
    parent = client(home).get_run(other_process.parent)
    assert parent.data.tags["verdict"] == parent.data.params["verdict"] == "killed"
    assert parent.data.tags["mlflow.note.content"].startswith("**Killed: its process")
    pulse = client(home).get_metric_history(other_process.parent, stale.PULSE)
    assert parent.info.end_time == max(point.timestamp for point in pulse)
    assert stale_runs(home) == []


def test_a_run_that_lives_is_left_alone(home, other_process):
    begin(home).finish()
    assert stale_runs(home) == []
    assert status(home, other_process.parent) == "RUNNING"


def test_a_process_number_that_another_process_has_now_is_not_the_run_s(home):
    number, born, space = owner(home)[stale.PROCESS].split()
    run_id = planted(home, process=f"{number} {born}0 {space}")
    begin(home).finish()
    assert status(home, run_id) == "KILLED"


def test_a_run_of_another_machine_or_container_is_left_alone(home):
    run_id = planted(home, process="1 x:1 elsewhere", home="another")
    begin(home).finish()
    assert stale_runs(home) == []
    assert status(home, run_id) == "RUNNING"


def test_a_run_of_this_home_before_the_machine_was_started_again_held_a_lock_that_is_free(home):
    run_id = planted(home, process="4194305 x:1 before")
    assert [run["run_id"] for run in stale_runs(home)] == [run_id]
    with one_run_at_a_time(home, NAME):
        begin(home).finish()
    assert status(home, run_id) == "KILLED"


def test_a_run_of_this_home_in_another_container_holds_its_lock_while_it_lives(home):
    run_id = planted(home, process=f"{os.getpid()} x:1 elsewhere")
    with one_run_at_a_time(home, NAME):
        assert stale_runs(home) == []
    assert [run["run_id"] for run in stale_runs(home)] == [run_id]


def test_looking_makes_no_database_and_a_server_that_is_away_is_an_error(tmp_path, monkeypatch):
    assert stale_runs(open_home(tmp_path)) == []
    assert not (tmp_path / ".penstock" / "mlflow.db").exists()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(PenstockError, match=r"MLflow at http://127\.0\.0\.1:9 must answer"):
        stale_runs(open_home(tmp_path))


def test_two_homes_are_told_apart_though_one_was_copied(tmp_path):
    first = open_home(tmp_path / "a")
    before = owner(first)[stale.HOME]
    assert owner(first)[stale.HOME] == before
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert owner(open_home(tmp_path / "b"))[stale.HOME] != before


def test_a_signal_is_not_a_failure():
    assert status_of(None) == "FINISHED"
    assert status_of(ValueError()) == "FAILED"
    assert status_of(KeyboardInterrupt()) == "KILLED"
    assert status_of(SystemExit(143)) == "KILLED"
