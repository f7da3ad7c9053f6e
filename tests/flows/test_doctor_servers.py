"""The doctor asks real servers: of the environment, of `penstock up`, well, strange, dead, dumb."""

import contextlib
import functools
import http.server
import json
import os
import socket
import subprocess
import sys
import threading
from datetime import timedelta

import pytest

from flows import doctor_runs, doctor_servers, servers
from flows.deploy import name_of
from flows.doctor import examine
from flows.fleet import MARK
from flows.home import open_home
from flows.interrupted import client
from flows.settings import load_spec

PATIENCE = 240  # seconds that a busy machine may take for one step
LOGIN = {
    "PREFECT_SERVER_API_AUTH_STRING": "team:pr3fect-word",
    "PREFECT_API_AUTH_STRING": "team:pr3fect-word",
    "MLFLOW_TRACKING_USERNAME": "admin",
    "MLFLOW_TRACKING_PASSWORD": "mlfl0w-pass-word",
}


def findings(folder):
    return {finding["what"]: finding for finding in examine(folder)}


@pytest.fixture
def listening():
    """Bind a port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as dumb:
        yield dumb.getsockname()[1]


def test_a_server_of_the_environment_that_is_well_is_asked_further(
    tmp_path, prefect_server, monkeypatch
):
    monkeypatch.delenv("PREFECT_HOME")
    done = subprocess.run(
        [sys.executable, "-m", "flows", "doctor", "--json"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONSAFEPATH": "1"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    found = {finding["what"]: finding for finding in json.loads(done.stdout)}
    assert found["PREFECT_API_URL"]["ok"], found
    assert not {"stale runs", "deployments"} & set(found), found  # asked, and nothing wrong
    assert (done.returncode, done.stderr) == (0, "")
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_away_is_said_without_its_password_and_asked_no_further(
    tmp_path, monkeypatch, listening
):
    monkeypatch.setattr(doctor_servers, "ANSWER_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://user:s3cret@127.0.0.1:{port}")
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{listening}/api")
    found = findings(tmp_path)
    for name in ("MLFLOW_TRACKING_URI", "PREFECT_API_URL"):
        assert not found[name]["ok"]
        assert "does not answer" in found[name]["found"]
        assert f"unset {name}" in found[name]["advice"]
    assert "s3cret" not in json.dumps(list(found.values()))
    assert not {"stale runs", "deployments", "worker"} & set(found)


def test_a_stranger_at_the_address_is_no_server_of_ours(tmp_path, monkeypatch):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    serve = functools.partial(Quiet, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve) as stranger:
        threading.Thread(target=stranger.serve_forever, daemon=True).start()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{stranger.server_port}")
        found = findings(tmp_path)["MLFLOW_TRACKING_URI"]
        stranger.shutdown()
    assert not found["ok"]
    assert "404" in found["found"]
    assert "address" in found["advice"]


def test_a_stranger_that_speaks_no_http_is_said(tmp_path, monkeypatch):
    def greet(server):
        with contextlib.suppress(OSError):
            while True:
                caller, _ = server.accept()
                caller.sendall(b"SSH-2.0-other\r\n")
                caller.close()

    with socket.create_server(("127.0.0.1", 0)) as other:
        threading.Thread(target=greet, args=(other,), daemon=True).start()
        monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{other.getsockname()[1]}/api")
        found = findings(tmp_path)["PREFECT_API_URL"]
    assert not found["ok"]
    assert "does not answer" in found["found"]


def test_what_a_killed_up_has_left_is_named(tmp_path):
    home = open_home(tmp_path)
    sleeps = [sys.executable, "-c", "import time; time.sleep(600)"]
    keeper = subprocess.Popen(sleeps)
    left = subprocess.Popen(sleeps, env={**os.environ, MARK: str(home.root)})
    try:
        facts = {"supervisor": servers.identity(keeper.pid), "processes": {}}
        servers.record(home.root, {**facts, "mlflow": "http://127.0.0.1:1"})
        keeper.kill()
        keeper.wait()
        found = findings(tmp_path)["penstock up"]
    finally:
        left.kill()
        left.wait()
    assert not found["ok"]
    assert str(left.pid) in found["found"]
    assert "penstock down" in found["advice"]
    servers.forget(home.root)
    assert "penstock up" not in findings(tmp_path)


def penstock(folder, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", "flows", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONSAFEPATH": "1"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def begin_without_a_process(url):
    """Make a run of the deployment that Prefect holds for running, as after `kill -9`."""
    from prefect.states import Running

    with client(url) as api:
        deployed = api.read_deployment_by_name("penstock/작은 표")
        return api.create_flow_run_from_deployment(deployed.id, state=Running()).name


SETTINGS = """
name = "작은 표"
[data]
source = "table.csv"
target = "grade"
[schedule]
cron = "0 3 * * *"
timezone = "Asia/Seoul"
"""


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Keep the servers of one home up, with a login; a folder with a deployment."""
    folder = tmp_path_factory.mktemp("kept")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PREFECT_HOME", raising=False)
        for name, value in LOGIN.items():
            patch.setenv(name, value)
        (folder / "spec.toml").write_text(SETTINGS, encoding="utf-8")
        penstock(folder, "up", "--detach")
        penstock(folder, "deploy", "spec.toml")
    yield folder
    penstock(folder, "down")


@pytest.fixture
def logged_in(monkeypatch):
    monkeypatch.delenv("PREFECT_HOME")
    for name, value in LOGIN.items():
        monkeypatch.setenv(name, value)


@pytest.mark.long
@pytest.mark.xdist_group("doctor")
def test_the_servers_of_up_and_their_worker_are_asked(kept, logged_in):
    found = findings(kept)
    for what in ("penstock up", "Prefect server", "MLflow server", "worker"):
        assert found[what]["ok"], found[what]


def test_a_deployment_whose_name_prefect_does_not_take_is_that_of_its_settings(tmp_path):
    path = tmp_path / "spec.toml"
    path.write_text(SETTINGS.replace("작은 표", "R&D"), encoding="utf-8")
    schedule = {"cron": "0 3 * * *", "timezone": "Asia/Seoul"}
    deployed = {
        "name": name_of(load_spec(path)),
        "parameters": {"settings": str(path)},
        "schedules": [{"active": True, "schedule": schedule}],
        "paused": False,
    }
    assert doctor_runs._deployment(deployed)["ok"]


@pytest.mark.long
@pytest.mark.xdist_group("doctor")
def test_a_deployment_is_held_against_its_settings(kept, logged_in):
    def deployed(text):
        (kept / "spec.toml").write_text(text, encoding="utf-8")
        return findings(kept)["deployment 작은 표"]

    try:
        changed = deployed(SETTINGS.replace("0 3 * * *", "0 4 * * *"))
        assert not changed["ok"]
        assert "0 4 * * *" in changed["found"]
        assert "penstock deploy" in changed["advice"]
        assert "none" in deployed(SETTINGS.partition("[schedule]")[0])["found"]
        assert "named 'other' now" in deployed(SETTINGS.replace("작은 표", "other"))["found"]
        assert "wrong" in deployed("name = 1")["found"]
        (kept / "spec.toml").unlink()
        assert "are gone" in findings(kept)["deployment 작은 표"]["found"]
    finally:
        same = deployed(SETTINGS)
    assert same["ok"]
    assert "cron 0 3 * * * (Asia/Seoul)" in same["found"]


@pytest.mark.long
@pytest.mark.xdist_group("doctor")
def test_a_run_that_prefect_holds_for_running_without_a_process_is_found(
    kept, logged_in, monkeypatch
):
    assert "stale run" not in findings(kept)
    run = begin_without_a_process(servers.recorded(kept / ".penstock")["prefect"])
    assert "stale run" not in findings(kept)  # its process may only be starting
    monkeypatch.setattr(doctor_runs, "YOUNG", timedelta(0))
    gone = findings(kept)["stale run"]
    assert not gone["ok"]
    assert run in gone["found"]
    assert "penstock up" in gone["advice"]


@pytest.mark.long
@pytest.mark.xdist_group("doctor")
def test_servers_that_want_a_login_name_its_variables(kept, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    refused = findings(kept)
    assert "PREFECT_API_AUTH_STRING" in refused["Prefect server"]["advice"]
    assert "MLFLOW_TRACKING_PASSWORD" in refused["MLflow server"]["advice"]
    for what in ("Prefect server", "MLflow server"):
        assert "401" in refused[what]["found"]
        assert "not set" in refused[what]["found"]
    assert not {"worker", "stale run", "stale runs"} & set(refused)
    (tmp_path / ".mlflow").mkdir()
    login = "\n".join(f"{n.lower()} = {LOGIN[n]}" for n in LOGIN if n.startswith("MLFLOW"))
    (tmp_path / ".mlflow" / "credentials").write_text(f"[mlflow]\n{login}\n", "utf-8")
    assert findings(kept)["MLflow server"]["ok"]
