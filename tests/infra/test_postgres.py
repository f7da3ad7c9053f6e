import os
import re
import signal
import socket
import subprocess
from pathlib import Path

import psutil
import pytest
from binaries import StackError, find

from flows.ports import free_port

DATABASES = Path(__file__).resolve().parents[2] / "infra" / "databases.sh"


def ended(number, seconds=30):
    """Kill the server as a lack of memory would, and wait until it is gone."""
    process = psutil.Process(number)
    process.send_signal(signal.SIGKILL)
    process.wait(seconds)


def test_a_password_is_needed_and_nothing_is_logged_of_it(cluster):
    assert cluster.ask("SELECT 7;") == "7"
    with pytest.raises(StackError, match="password authentication failed"):
        cluster.ask("SELECT 7;", word="wr0ng-one")
    assert "wr0ng-one" not in cluster.log.read_text("utf-8")


def test_it_listens_on_loopback_and_has_no_socket(cluster):
    listening = {
        connection.laddr.ip
        for connection in psutil.Process(cluster.postmaster()).net_connections("all")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}
    assert cluster.ask("SHOW unix_socket_directories;") == ""


def test_it_does_not_run_as_root_and_its_files_are_for_nobody_else(cluster):
    assert psutil.Process(cluster.postmaster()).uids().effective != 0
    assert cluster.folder.stat().st_mode & 0o077 == 0
    assert cluster.data.stat().st_mode & 0o077 == 0


@pytest.mark.long
def test_what_was_committed_survives_a_kill_and_a_stale_pid_file(make_cluster):
    cluster = make_cluster()
    cluster.create("owner", "word")
    cluster.start(free_port())
    cluster.ask("CREATE TABLE kept (x int); INSERT INTO kept VALUES (42);")
    ended(cluster.postmaster())
    assert cluster.postmaster() is None
    pid_file = cluster.data / "postmaster.pid"
    lines = pid_file.read_text("utf-8").splitlines()
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:], ""]), encoding="utf-8")
    assert cluster.postmaster() is None  # the number is now another process's: ours
    cluster.start(free_port())
    assert cluster.ask("SELECT x FROM kept;") == "42"


@pytest.mark.slow
def test_stopping_one_that_was_killed_leaves_a_clean_cluster(make_cluster):
    cluster = make_cluster()
    cluster.create("owner", "word")
    cluster.start(free_port())
    ended(cluster.postmaster())
    cluster.stop()
    assert cluster.postmaster() is None
    assert not (cluster.data / "postmaster.pid").exists()
    said = cluster.log.read_text("utf-8").splitlines()
    assert "database system is shut down" in said[-1]


def test_a_cluster_that_was_made_by_half_is_made_again(make_cluster):
    cluster = make_cluster()
    half = cluster.folder / "data.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("15\n", encoding="utf-8")
    cluster.create("owner", "word")
    assert (cluster.data / "global").is_dir()
    assert not half.exists()
    assert not list(cluster.folder.glob("init-*"))  # the file that initdb read the password from


def test_a_port_that_is_taken_is_said_with_the_end_of_the_log(make_cluster):
    cluster = make_cluster()
    cluster.create("owner", "word")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(StackError, match=r"the end of .*server\.log(.|\n)*could not bind"):
            cluster.start(taken.getsockname()[1])
    assert cluster.postmaster() is None


def test_the_databases_of_compose_are_made_with_an_owner_each(cluster, outside):
    passwords = {"MLFLOW_DATABASE_PASSWORD": "it's \"m", "PREFECT_DATABASE_PASSWORD": "p;--"}
    where = {"PGHOST": "127.0.0.1", "PGPORT": str(cluster.port), "PGPASSWORD": "word"}
    done = subprocess.run(
        [DATABASES],
        env={**outside, **where, **passwords, "POSTGRES_USER": "owner"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert cluster.ask("SELECT current_user;", "mlflow", "mlflow", "it's \"m") == "mlflow"
    assert cluster.ask("SELECT current_user;", "prefect", "prefect", "p;--") == "prefect"
    with pytest.raises(StackError, match="permission denied for database"):
        cluster.ask("SELECT 1;", "prefect", "mlflow", "it's \"m")
    assert cluster.ask("SELECT count(*) FROM pg_roles WHERE rolsuper;") == "1"


def test_no_postgres_is_said_with_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("PENSTOCK_POSTGRES", str(tmp_path))
    with pytest.raises(StackError, match="PENSTOCK_POSTGRES must be the folder of initdb, pg_ctl"):
        find()
    monkeypatch.delenv("PENSTOCK_POSTGRES")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("binaries.PLACES", ("/nowhere/*/bin",))
    with pytest.raises(StackError, match="apt-get install postgresql"):
        find()


def test_a_cluster_keeps_to_the_version_that_made_it(binaries, tmp_path):
    (tmp_path / "PG_VERSION").write_text(f"{binaries.version[0]}\n", encoding="utf-8")
    assert find(tmp_path).version[0] == binaries.version[0]
    (tmp_path / "PG_VERSION").write_text("99\n", encoding="utf-8")
    with pytest.raises(
        StackError, match=re.escape(f"made by PostgreSQL 99, and only {binaries.text}")
    ):
        find(tmp_path)


@pytest.mark.long
def test_what_a_killed_server_leaves_running_is_waited_for(make_cluster):
    cluster = make_cluster()
    cluster.create("owner", "word")
    cluster.start(free_port())
    child = psutil.Process(cluster.postmaster()).children()[0]
    child.suspend()
    ended(cluster.postmaster())
    assert child.pid in cluster._processes()
    subprocess.Popen(["/bin/sh", "-c", f"sleep 1; kill -CONT {child.pid}"])
    cluster.start(free_port())
    assert child.pid not in cluster._processes()
    assert cluster.ask("SELECT 1;") == "1"
