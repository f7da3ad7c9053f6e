"""The doctor finds what would stop an unattended run, says what to do, and makes nothing."""

import contextlib
import json
import os
import sqlite3
import threading
from datetime import UTC, datetime, timedelta

import pytest

from flows import doctor_home
from flows.cli import app
from flows.doctor import examine
from flows.findings import looked, well
from flows.home import find_home, open_home, prepare_tracking
from flows.turns import one_run_at_a_time


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
    assert {"versions", "fastapi", "SQLAlchemy", "pytorch-lightning", "disk"} <= set(found)
    assert all(finding["ok"] for finding in found.values()), found
    assert all(finding["advice"] is None for finding in found.values())
    assert found["MLflow database"]["found"].endswith("mlflow.db is sound")
    assert "GB free" in found["disk"]["found"]


def test_looking_makes_nothing(tmp_path):
    found = findings(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert "the first run makes it" in found["home"]["found"]
    assert all(finding["ok"] for finding in found.values()), found


def test_a_damaged_database_is_found_and_not_asked_further(tmp_path):
    home = open_home(tmp_path)
    (home.root / "mlflow.db").write_bytes(b"no database at all" * 100)
    found = findings(tmp_path)
    assert not found["MLflow database"]["ok"]
    assert "from a backup" in found["MLflow database"]["advice"]
    assert "stale runs" not in found


def test_a_database_that_the_environment_names_is_checked_and_not_made(tmp_path, monkeypatch):
    path = tmp_path / "team.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{path}")
    assert "MLflow database" not in findings(tmp_path)
    assert not path.exists()
    path.write_bytes(b"no database at all" * 100)
    assert str(path) in findings(tmp_path)["MLflow database"]["found"]


def test_a_home_that_cannot_be_is_said(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "file" / "home"))
    home = findings(tmp_path)["home"]
    assert not home["ok"]
    assert str(tmp_path / "file") in home["found"]
    assert "PENSTOCK_HOME" in home["advice"]


def test_a_full_disk_is_said_in_bytes_and_in_files(tmp_path, monkeypatch):
    for name in ("LEAST_FREE", "LEAST_FILES"):
        monkeypatch.setattr(doctor_home, name, 1 << 62)
    found = {finding["what"]: finding for finding in doctor_home.disk(find_home(tmp_path))}
    assert not found["disk"]["ok"]
    assert "penstock clean" in found["disk"]["advice"]
    if os.statvfs(tmp_path).f_files:
        assert "more files fit" in found["files"]["found"]


def test_a_database_with_a_broken_page_is_found(tmp_path):
    home = open_home(tmp_path)
    path = home.root / "mlflow.db"
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("create table t (a text)")
        database.executemany("insert into t values (?)", [("x" * 500,)] * 200)
    content = bytearray(path.read_bytes())
    content[4096 * 3 : 4096 * 4] = b"\x0d" * 4096
    path.write_bytes(content)
    found = {f["what"]: f for f in doctor_home.databases(home)}["MLflow database"]
    assert not found["ok"]
    assert str(path) in found["found"]


def test_a_writer_that_keeps_others_out_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor_home, "WRITER_SECONDS", 0.1)
    home = open_home(tmp_path)
    (home.root / "prefect").mkdir()
    path = home.root / "prefect" / "prefect.db"
    with contextlib.closing(sqlite3.connect(path)) as writer:
        writer.execute("create table t (a)")
        writer.execute("begin immediate")
        found = {f["what"]: f for f in doctor_home.databases(home)}["Prefect database"]
        assert not found["ok"]
        assert "was locked" in found["found"]
        writer.rollback()
        assert next(doctor_home.databases(home))["ok"]


def test_a_run_under_way_is_named_and_a_dead_one_is_not(tmp_path):
    home = open_home(tmp_path)
    with one_run_at_a_time(home, "신용"):
        (home.locks / "publish-abc.json").write_text('{"name": "신용"}', encoding="utf-8")
        found = findings(tmp_path)
        assert found["run under way"]["ok"]
        assert f"신용, process {os.getpid()}, since" in found["run under way"]["found"]
        assert "unfinished publication" not in found
    (home.root / "locks" / "run-dead-1.json").write_text('{"name": "dead"}', encoding="utf-8")
    assert "run under way" not in findings(tmp_path)


@pytest.mark.parametrize("content", ['{"name": "신용", "run": "r1"}', "{", "{}"])
def test_a_publication_that_was_cut_off_is_found(tmp_path, content):
    home = open_home(tmp_path)
    (home.locks / "publish-abc.json").write_text(content, encoding="utf-8")
    cut_off = findings(tmp_path)["unfinished publication"]
    assert not cut_off["ok"]
    assert "publish-abc.json" in cut_off["found"]
    assert "run it again" in cut_off["advice"]


def test_what_was_left_half_made_is_found_and_what_is_in_the_making_is_not(tmp_path):
    home = open_home(tmp_path)
    half = home.cache / "train" / ".making-abc"
    half.mkdir(parents=True)
    (home.root / "servers.partial").write_text("{")
    assert "leftovers" not in findings(tmp_path)
    old = datetime.now(UTC) - timedelta(hours=3)
    for path in (half, home.root / "servers.partial"):
        os.utime(path, (old.timestamp(), old.timestamp()))
    left = findings(tmp_path)["leftovers"]
    assert not left["ok"]
    assert ".making-abc" in left["found"]
    assert "servers.partial" in left["found"]


def test_a_clock_behind_the_newest_run_is_said(tmp_path):
    home = open_home(tmp_path)
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    (home.runs / f"{tomorrow:%Y%m%dT%H%M%S}-abc").mkdir()
    (home.runs / "not-a-run").mkdir()
    clock = findings(tmp_path)["clock"]
    assert not clock["ok"]
    assert f"{tomorrow:%Y-%m-%d}" in clock["found"]


def test_credentials_that_everybody_can_read_are_said(tmp_path):
    home = open_home(tmp_path)
    secret = home.root / "mlflow-secret"
    secret.write_text("word")
    home.root.chmod(0o755)
    secret.chmod(0o644)
    found = findings(tmp_path)["credentials"]
    assert not found["ok"]
    assert str(secret) in found["found"]
    assert found["advice"] == f"chmod go-rwx {secret}"
    secret.chmod(0o600)
    assert "credentials" not in findings(tmp_path)


def test_a_look_that_fails_or_hangs_is_a_finding_and_keeps_what_it_had_found():
    def fails():
        yield well("first", "fine")
        raise RuntimeError("broken")

    first, second = looked("thing", fails, seconds=5)
    assert first["ok"]
    assert not second["ok"]
    assert "RuntimeError: broken" in second["found"]
    (hung,) = looked("thing", lambda: threading.Event().wait() or (), seconds=0.05)
    assert not hung["ok"]
    assert "longer than 0.05 s" in hung["found"]


def test_the_command_says_what_to_do_and_ends_with_1(tmp_path, monkeypatch):
    from typer.testing import CliRunner

    home = open_home(tmp_path)
    (home.locks / "publish-abc.json").write_text("{}", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == 1
    assert "BAD unfinished publication: " in done.stdout
    assert "do: run it again" in done.stdout
    as_json = json.loads(CliRunner().invoke(app, ["doctor", "--json"]).stdout)
    assert all(set(finding) == {"what", "ok", "found", "advice"} for finding in as_json)
