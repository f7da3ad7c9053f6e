"""The home: where it is, who holds it, what it forgets; real locks, real processes."""

import json
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from flows.errors import Busy, PenstockError
from flows.home import (
    file_name,
    one_run_at_a_time,
    open_home,
    prepare_tracking,
    retire,
    runs_under_way,
)

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    """Take back what opening a home sets in the environment."""
    before = dict(os.environ)
    yield
    for name in set(os.environ) - set(before):
        monkeypatch.delenv(name)


def process(code, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_the_home_lies_beside_the_settings(tmp_path):
    home = open_home(tmp_path)
    assert home.root == (tmp_path / ".penstock").resolve()
    assert home.tracking_uri == f"sqlite:///{home.root}/mlflow.db"
    assert home.embedded
    assert home.prefect_url is None
    assert home.cache.is_dir()


def test_the_environment_names_another_home_and_servers(tmp_path, monkeypatch):
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "집"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:4200/api")
    home = open_home(tmp_path / "elsewhere")
    assert home.root == tmp_path / "집"
    assert (home.tracking_uri, home.embedded) == ("http://127.0.0.1:5000", False)
    assert home.prefect_url == "http://127.0.0.1:4200/api"
    assert not (tmp_path / "elsewhere").exists()
    prepare_tracking(home)
    assert not (home.root / "mlflow.db").exists()


def test_opening_a_home_says_nothing_of_another_one(tmp_path):
    first, second = open_home(tmp_path / "a"), open_home(tmp_path / "b")
    assert first.tracking_uri != second.tracking_uri
    assert "MLFLOW_TRACKING_URI" not in os.environ
    assert "MLFLOW_REGISTRY_URI" not in os.environ


def test_a_home_that_cannot_be_written_is_said_with_the_way_out(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(PenstockError, match=r"file/home must be writable: .*PENSTOCK_HOME"):
        open_home(tmp_path)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="becomes another user")
def test_a_home_of_somebody_else_is_said_too(tmp_path):
    open_home(tmp_path)
    for path in [tmp_path, *tmp_path.parents[:3]]:
        path.chmod(0o755)
    code = f"""
        import os
        from pathlib import Path
        from flows.errors import PenstockError
        from flows.home import open_home
        os.seteuid(65534)
        try:
            open_home(Path({str(tmp_path)!r}))
        except PenstockError as error:
            print(error)
    """
    said = process(code).communicate(timeout=60)[0]
    assert "must be writable: Permission denied" in said


def test_names_of_any_script_have_files_of_their_own():
    names = ["작은 표", "작은_표", "a/b", "a_b", "x" * 300, "x" * 301, "가" * 60, "가" * 59 + "나"]
    files = [file_name(name) for name in names]
    assert len(set(files)) == len(names)
    assert all(len(file.encode()) < 200 and "/" not in file for file in files)


HOLD = """
    import sys
    from pathlib import Path
    from flows.home import one_run_at_a_time, open_home
    with one_run_at_a_time(open_home(Path(sys.argv[1])), "신용"):
        print("held", flush=True)
        sys.stdin.readline()
"""


def test_one_run_of_a_name_at_a_time_and_a_dead_holder_holds_nothing(tmp_path):
    home = open_home(tmp_path)
    other = process(HOLD, tmp_path)
    try:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(Busy) as caught, one_run_at_a_time(home, "신용"):
            pass
        assert (
            f"another run of '신용' is under way in {home.root} (process {other.pid}, since 2"
            in (str(caught.value))
        )
        assert [run["process"] for run in runs_under_way(home)] == [other.pid]
        with one_run_at_a_time(home, "another name"):
            pass
    finally:
        other.kill()
        other.wait()
    assert list((home.root / "locks").glob("run-*.json"))  # the dead one could not tidy up
    assert runs_under_way(home) == []
    with one_run_at_a_time(home, "신용"):
        assert [run["process"] for run in runs_under_way(home)] == [os.getpid()]
    assert runs_under_way(home) == []


def test_a_run_that_fails_frees_its_name(tmp_path):
    home = open_home(tmp_path)
    with pytest.raises(ValueError, match="inside"), one_run_at_a_time(home, "a"):
        raise ValueError("inside")
    with one_run_at_a_time(home, "a"):
        pass


@pytest.mark.slow
def test_four_processes_at_once_leave_a_healthy_database(tmp_path):
    import sqlite3

    code = """
        import sys
        from pathlib import Path
        from flows.home import open_home, prepare_tracking
        from flows.registry import client
        home = open_home(Path(sys.argv[1]))
        import mlflow.tracking
        print("ready", flush=True)
        sys.stdin.readline()
        prepare_tracking(home)
        client(home).create_experiment(sys.argv[2])
    """
    others = [process(code, tmp_path, f"e{i}") for i in range(4)]
    for other in others:
        assert other.stdout.readline() == "ready\n"
    for other in others:
        other.stdin.write("\n")
        other.stdin.flush()
    for other in others:
        other.communicate(timeout=120)
        assert other.returncode == 0
    with sqlite3.connect(tmp_path / ".penstock" / "mlflow.db") as database:
        assert database.execute("pragma integrity_check").fetchone() == ("ok",)
        names = {name for (name,) in database.execute("select name from experiments")}
    assert {"e0", "e1", "e2", "e3"} <= names


def filled(tmp_path):
    home = open_home(tmp_path)
    kept = [home.root / "mlflow.db", home.artifacts / "1" / "model" / "graph.onnx"]
    made = [
        home.cache / "load" / "old" / "table.parquet",
        home.cache / "train" / "new" / "table.parquet",
        home.runs / "run1" / "report.html",
        home.quarantine / "a" / "run1.parquet",
    ]
    for path in [*kept, *made]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"0" * 1000)
    return home, kept, made


def age(path, days):
    then = time.time() - days * 86_400
    os.utime(path, (then, then))


def test_what_is_older_than_asked_goes_and_models_stay(tmp_path):
    home, kept, (old, new, report, rows) = filled(tmp_path)
    for path in (old.parent, report.parent, rows, *kept):
        age(path, 100)
    removed = retire(home, days=90, gigabytes=1)
    assert sorted(removed) == ["cache/load/old", "quarantine/a/run1.parquet", "runs/run1"]
    assert all(path.exists() for path in [*kept, new])


def test_a_cache_that_is_too_large_loses_what_was_used_longest_ago(tmp_path):
    home, kept, (old, _new, report, rows) = filled(tmp_path)
    age(old.parent, 2)
    assert retire(home, days=90, gigabytes=1.5e-6) == ["cache/load/old"]
    assert retire(home, days=90, gigabytes=0) == ["cache/train/new"]
    assert all(path.exists() for path in [*kept, report, rows])


def test_what_a_run_under_way_has_used_stays(tmp_path):
    home, _, (old, new, *_) = filled(tmp_path)
    age(old.parent, 1)
    age(new.parent, -1 / 86_400)
    with one_run_at_a_time(home, "a"):
        assert retire(home, days=90, gigabytes=0) == ["cache/load/old"]
    assert new.exists()


def test_the_lock_says_who_in_any_script(tmp_path):
    home = open_home(tmp_path)
    with one_run_at_a_time(home, "신용"):
        (path,) = (home.root / "locks").glob("run-*.json")
        held = json.loads(path.read_text("utf-8"))
    assert (held["name"], held["process"]) == ("신용", os.getpid())
    assert not path.exists()
