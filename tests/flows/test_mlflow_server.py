"""Runs against a real MLflow server: one that wants a password, one that is away for a while."""

import signal
import threading
import time

import pytest

from flows.errors import PenstockError
from flows.home import open_home
from flows.registry import client, resolve
from flows.track import Tracker

pytestmark = pytest.mark.long

AWAY = 15  # seconds
LOGIN = {"MLFLOW_TRACKING_USERNAME": "operator", "MLFLOW_TRACKING_PASSWORD": "a-long-secret-word"}


@pytest.fixture
def server(tmp_path_factory, monkeypatch, make_mlflow_server):
    made = make_mlflow_server(tmp_path_factory.mktemp("server"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", made.url)
    return made


AUTH = """
[mlflow]
default_permission = READ
database_uri = sqlite:///{folder}/auth.db
admin_username = admin
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
auth_cache_ttl_seconds = 60
"""
"""Without the cache the server hashes the password for each request: half a second of its time."""


@pytest.fixture
def guarded_server(tmp_path_factory, monkeypatch, make_mlflow_server):
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "auth.ini").write_text(AUTH.format(folder=folder), encoding="utf-8")
    made = make_mlflow_server(
        folder,
        "--app-name",
        "basic-auth",
        MLFLOW_AUTH_CONFIG_PATH=str(folder / "auth.ini"),
        MLFLOW_FLASK_SERVER_SECRET_KEY="of this test alone",  # noqa: S106
        MLFLOW_AUTH_ADMIN_USERNAME=LOGIN["MLFLOW_TRACKING_USERNAME"],
        MLFLOW_AUTH_ADMIN_PASSWORD=LOGIN["MLFLOW_TRACKING_PASSWORD"],
    )
    monkeypatch.setenv("MLFLOW_TRACKING_URI", made.url)
    return made


def test_a_server_that_wants_a_password_gets_it_from_the_environment(
    guarded_server, small_runs, tmp_path, monkeypatch
):
    for name, value in LOGIN.items():
        monkeypatch.setenv(name, value)
    home = small_runs(tmp_path)
    summary, error = home.run()
    assert error is None
    assert summary["verdict"]["outcome"] == "promoted"
    assert LOGIN["MLFLOW_TRACKING_PASSWORD"] not in str(summary)
    reader = client(open_home(tmp_path))
    version = reader.get_model_version_by_alias("작은 표", "champion")
    run = reader.get_run(version.run_id)
    assert {"report.html", "summary.json"} <= {
        a.path for a in reader.list_artifacts(version.run_id)
    }
    assert LOGIN["MLFLOW_TRACKING_PASSWORD"] not in str(run.to_dictionary())

    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "another-long-word")
    summary, error = home.run("train.seed=4")
    said = str(error)
    assert "401" in said
    assert "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD" in said
    assert "\n" not in said
    assert "another-long-word" not in said
    assert summary["verdict"]["outcome"] == "failed"
    assert summary["registered"] is None
    assert "train" not in [stage["name"] for stage in summary["stages"]]


def test_without_a_password_one_line_names_the_variables(guarded_server, tmp_path, monkeypatch):
    for name in LOGIN:
        monkeypatch.delenv(name, raising=False)
    home = open_home(tmp_path)
    tracker = Tracker(home, "a", "run-1")
    tracker.start({})
    with pytest.raises(PenstockError) as caught:
        tracker.settle()
    tracker.close()
    assert str(caught.value).endswith(
        "found: MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD not set (401)"
    )
    with pytest.raises(PenstockError, match=r"MLFLOW_TRACKING_PASSWORD.*401"):
        resolve(home, "a@champion")


def test_a_run_outlives_a_server_that_is_paused(server, small_runs, tmp_path):
    def pause():
        server.signal(signal.SIGSTOP)
        time.sleep(AWAY)
        server.signal(signal.SIGCONT)

    assert_survived(small_runs(tmp_path), pause)


def test_a_run_outlives_a_server_that_is_started_again(server, small_runs, tmp_path):
    def restart():
        server.stop()
        time.sleep(AWAY / 3)
        server.start()

    assert_survived(small_runs(tmp_path), restart)


def assert_survived(home, disturb):
    """Disturb the server once the run has begun to write to it."""

    def when_begun():
        reader = client(open_home(home.folder))
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            experiments = [e.experiment_id for e in reader.search_experiments()]
            if reader.search_runs(experiments, "tags.`penstock.run` != ''"):
                break
            time.sleep(0.1)
        disturb()

    trouble = threading.Thread(target=when_begun)
    trouble.start()
    summary, error = home.run()
    trouble.join()
    assert error is None
    assert summary["verdict"]["outcome"] == "promoted"
    reader = client(open_home(home.folder))
    version = reader.get_model_version_by_alias("작은 표", "champion")
    run = reader.get_run(version.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.tags["verdict"] == "promoted"
    assert run.data.metrics["rows"] == 240
    (versions,) = reader.search_registered_models()
    assert dict(versions.aliases) == {"challenger": "1", "champion": "1"}
