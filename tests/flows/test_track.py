"""The MLflow run of a run: a real database, and a server that is not there."""

import os
import socket
import time

import pytest

from flows.errors import PenstockError
from flows.home import open_home
from flows.mlflow_errors import public
from flows.mlflow_items import key_of
from flows.registry import client
from flows.track import Tracker


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_TRACKING_URI", "PENSTOCK_HOME"):
            patch.delenv(name, raising=False)
        return open_home(tmp_path_factory.mktemp("track"))


@pytest.fixture
def tracker(home):
    tracker = Tracker(home, "신용 <b>", "run-1")
    tracker.start({"penstock.run": "run-1"})
    yield tracker
    tracker.close()


def run_of(home, tracker):
    return client(home).get_run(tracker.run_id)


def metrics_of(run):
    """Return what the run wrote, without what its machine was doing."""
    return {k: v for k, v in run.data.metrics.items() if not k.startswith("system/")}


def test_ordinary_names_are_kept_and_others_told_apart():
    for name in ("roc_auc", "test.roc_auc.low", "data.columns.급송.true", "a b"):
        assert key_of(name) == name
    others = ["a,b", "a;b", "🎨", "🎭", "..", "a//b", "/a", "a/", "", "x" * 300, "x" * 301]
    assert len({key_of(name) for name in others}) == len(others)
    assert all(0 < len(key_of(name)) <= 250 for name in others)


def test_every_name_reaches_mlflow_and_the_slugged_ones_are_kept_as_tags(home, tracker):
    tracker.metrics({"test.🎨, share": 0.5, "test.🎭, share": 0.25, "면적": 1.0})
    tracker.parameters({"data.columns.🎨": 1, "data.columns.🎭": 2, "../x": 3, "긴": "y" * 9000})
    tracker.settle()
    run = run_of(home, tracker)
    assert sorted(metrics_of(run).values()) == [0.25, 0.5, 1.0]
    assert run.data.metrics["면적"] == 1.0
    assert len(run.data.params) == 4
    kept = {v for k, v in run.data.tags.items() if k.startswith("penstock.name.")}
    assert kept >= {"test.🎨, share", "test.🎭, share", "data.columns.🎨", "../x"}


def test_thousands_of_metrics_hundreds_of_parameters_and_tags_go_in_several_calls(home, tracker):
    tracker.metrics({f"m{i}": float(i) for i in range(1234)})
    tracker.parameters({f"p{i}": i for i in range(234)})
    tracker.tags({f"t{i}": "x" * 9000 for i in range(134)})
    tracker.settle()
    run = run_of(home, tracker)
    assert (len(metrics_of(run)), len(run.data.params)) == (1234, 234)
    assert {f"t{i}" for i in range(134)} <= set(run.data.tags)


def test_a_child_holds_every_epoch_and_how_it_ended(home, tracker):
    for name, failed in (("fold 0", False), ("fold 1", True)):
        tracker.member(
            name=name,
            parameters={"fold": 0},
            curves={"train_loss": [0.9, float("nan"), 0.5]},
            tags={"penstock.stopped": "patience"},
            failed=failed,
        )
    tracker.finish()
    runs = client(home).search_runs(
        [tracker.experiment_id], f"tags.`mlflow.parentRunId` = '{tracker.run_id}'"
    )
    assert sorted(run.info.status for run in runs) == ["FAILED", "FINISHED"]
    history = client(home).get_metric_history(runs[0].info.run_id, "train_loss")
    assert [point.step for point in history] == [0, 1, 2]
    assert run_of(home, tracker).info.status == "FINISHED"


def test_the_data_is_an_input_under_our_own_digest(home, tracker):
    digest = "ab" * 32
    tracker.dataset(name="신용", digest=digest, source="표.csv", profile="{}")
    tracker.settle()
    (data,) = run_of(home, tracker).inputs.dataset_inputs
    assert data.dataset.digest == digest[:12]
    assert {tag.key: tag.value for tag in data.tags}["penstock.digest"] == digest


def test_a_run_s_machine_is_in_mlflow_under_its_own_names(home, tracker):
    tracker.settle()
    tracker.finish()
    tracker.finish()  # as a run does whose end failed
    assert tracker.vitals is not None
    tracker.vitals._thread.join(30)
    run = run_of(home, tracker)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["system/process_memory_megabytes"] > 1


def test_system_metrics_that_cannot_be_written_fail_no_run(home, tracker):
    tracker.settle()
    tracker._vital([("no/../name", 1.0, 0, 0)])
    tracker.metrics({"a": 1.0})
    tracker.finish()
    assert run_of(home, tracker).data.metrics["a"] == 1.0


@pytest.mark.parametrize(
    ("error", "status"),
    [(None, "FINISHED"), (ValueError(), "FAILED"), (KeyboardInterrupt(), "KILLED")],
)
def test_how_a_run_ended_is_its_status(home, tracker, error, status):
    tracker.finish(error)
    assert run_of(home, tracker).info.status == status


def test_a_run_begins_when_it_was_begun_and_says_whose_it_is(home):
    tracker = Tracker(home, "begins", "run-6")
    before = int(time.time() * 1000)
    tracker.start({})
    after = int(time.time() * 1000)
    tracker.finish()
    tracker.close()
    run = run_of(home, tracker)
    assert before <= run.info.start_time <= after  # not when the database was ready
    assert run.data.tags["penstock.process"].startswith(f"{os.getpid()} ")
    assert run.data.tags["penstock.host"]
    assert run.data.tags["penstock.home"]
    assert run.info.run_name == "run-6"


def test_the_experiment_s_page_is_written_once_and_brought_up_to_date(home, tracker):
    tracker.settle()
    pages = Tracker(home, "page", "run-4")
    pages.start({}, lambda experiment: {"a": f"of {experiment}", "b": "first"})
    pages.settle()
    pages.client.set_experiment_tag(pages.experiment_id, "b", "a person's")
    pages.page(lambda experiment: {"a": f"of {experiment}, newer", "b": "ours"})
    pages.finish()
    pages.close()
    tags = client(home).get_experiment(pages.experiment_id).tags
    assert tags["a"] == f"of {pages.experiment_id}, newer"
    assert tags["b"] == "a person's"
    again = Tracker(home, "page", "run-5")
    again.start({}, lambda _: {"a": "not known yet", "c": "new"})
    again.finish()
    again.close()
    tags = client(home).get_experiment(pages.experiment_id).tags
    assert (tags["a"], tags["c"]) == (f"of {pages.experiment_id}, newer", "new")


def test_the_best_member_s_curves_are_the_run_s_own(home, tracker):
    tracker.curves({"loss/train": [0.9, 0.5], "loss/validation": [0.8, 0.6]})
    tracker.settle()
    points = client(home).get_metric_history(tracker.run_id, "loss/validation")
    assert [(point.step, point.value) for point in points] == [(0, 0.8), (1, 0.6)]


def test_a_deleted_experiment_is_one_clear_error(home):
    reader = client(home)
    reader.delete_experiment(reader.create_experiment("gone"))
    tracker = Tracker(home, "gone", "run-2")
    tracker.start({})
    with pytest.raises(PenstockError, match="'gone' is deleted; restore it"):
        tracker.settle()
    tracker.close()


def test_a_server_that_is_away_is_one_clear_error_and_asked_once(tmp_path, monkeypatch):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://user:secret@127.0.0.1:{port}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
    tracker = Tracker(open_home(tmp_path), "a", "run-3")
    tracker.start({})
    tracker.metrics({"a": 1.0})
    with pytest.raises(PenstockError) as caught:
        tracker.settle()
    said = str(caught.value)
    assert said.startswith(f"MLflow at http://***@127.0.0.1:{port} must take what a run writes")
    assert "secret" not in said
    assert "\n" not in said
    with pytest.raises(PenstockError) as again:
        tracker.finish(ValueError())
    assert again.value is caught.value
    tracker.close()


def test_credentials_are_never_said():
    assert public("https://a:b@host/x?y=@") == "https://***@host/x?y=@"
    assert public("postgresql://a:p@ss@host/db") == "postgresql://***@host/db"
