"""The doctor finds what would stop an unattended run, and says what to do."""

import http.server
import os
import threading

import pytest

from flows.doctor import examine
from flows.home import one_run_at_a_time, open_home, prepare_tracking


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """Make a home with a database."""
    folder = tmp_path_factory.mktemp("doctor")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_TRACKING_URI", "PENSTOCK_HOME"):
            patch.delenv(name, raising=False)
        prepare_tracking(open_home(folder))
    return folder


def findings(folder):
    return {finding["what"]: finding for finding in examine(folder)}


def test_an_installation_with_its_constraints_is_well(sound):
    found = findings(sound)
    assert {"versions", "fastapi", "disk", "MLflow database"} <= set(found)
    assert all(finding["ok"] for finding in found.values()), found
    assert found["MLflow database"]["found"].endswith("mlflow.db is sound")
    assert "GB free" in found["disk"]["found"]


def test_a_damaged_database_is_found(tmp_path):
    home = open_home(tmp_path)
    (home.root / "mlflow.db").write_bytes(b"no database at all" * 100)
    database = findings(tmp_path)["MLflow database"]
    assert not database["ok"]
    assert "restore it from a backup" in database["found"]


def test_a_run_under_way_is_named_and_a_dead_one_is_not(tmp_path):
    home = open_home(tmp_path)
    with one_run_at_a_time(home, "신용"):
        under_way = findings(tmp_path)["run under way"]
        assert under_way["ok"]
        assert f"신용, process {os.getpid()}, since" in under_way["found"]
    (home.root / "locks" / "run-dead-1.json").write_text('{"name": "dead"}', encoding="utf-8")
    assert "run under way" not in findings(tmp_path)


def test_a_publication_that_was_cut_off_is_found(tmp_path):
    home = open_home(tmp_path)
    (home.root / "locks" / "publish-abc.json").write_text("{}", encoding="utf-8")
    cut_off = findings(tmp_path)["unfinished publication"]
    assert not cut_off["ok"]
    assert "run it again" in cut_off["found"]


def test_servers_of_the_environment_are_asked(tmp_path, monkeypatch):
    class Well(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path in ("/health", "/api/health") else 404)
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Well) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        monkeypatch.setenv("PREFECT_API_URL", f"{address}/api")
        found = findings(tmp_path)
        assert found["MLFLOW_TRACKING_URI"]["ok"]
        assert found["PREFECT_API_URL"]["ok"]
        server.shutdown()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address.replace("//", "//user:secret@"))
    away = findings(tmp_path)["MLFLOW_TRACKING_URI"]
    assert not away["ok"]
    assert "does not answer" in away["found"]
    assert "secret" not in away["found"]
