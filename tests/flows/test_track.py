"""The MLflow run of a run: a real database, and a server that is not there."""

import socket

import pytest

from flows.errors import PenstockError
from flows.home import open_home
from flows.registry import client
from flows.track import Tracker, key_of, public


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
    assert sorted(run.data.metrics.values()) == [0.25, 0.5, 1.0]
    assert run.data.metrics["면적"] == 1.0
    assert len(run.data.params) == 4
    kept = {v for k, v in run.data.tags.items() if k.startswith("penstock.name.")}
    assert kept >= {"test.🎨, share", "test.🎭, share", "data.columns.🎨", "../x"}


def test_thousands_of_metrics_hundreds_of_parameters_and_tags_go_in_several_calls(home, tracker):
    tracker.metrics({f"m{i}": float(i) for i in range(1234)})
    tracker.parameters({f"p{i}": i for i in range(234)})
    tracker.tags({f"t{i}": "x" * 9000 for i in range(134)})
    tracker.settle()
    data = run_of(home, tracker).data
    assert (len(data.metrics), len(data.params)) == (1234, 234)
    assert {f"t{i}" for i in range(134)} <= set(data.tags)


def test_a_child_holds_every_epoch_and_how_it_ended(home, tracker):
    for name, failed in (("fold 0", False), ("fold 1", True)):
        tracker.member(
            name=name,
            parameters={"fold": 0},
            curves={"train_loss": [0.9, float("nan"), 0.5]},
            tags={"penstock.stopped": "patience"},
            failed=failed,
        )
    tracker.finish(failed=False)
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
    assert data.dataset.digest == digest[:36]
    assert {tag.key: tag.value for tag in data.tags}["penstock.digest"] == digest


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
        tracker.finish(failed=True)
    assert again.value is caught.value
    tracker.close()


def test_credentials_are_never_said():
    assert public("https://a:b@host/x?y=@") == "https://***@host/x?y=@"
    assert public("postgresql://a:p@ss@host/db") == "postgresql://***@host/db"
