"""The home: where it is, who holds it, what it forgets; real locks, real processes."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli import app
from flows.errors import Busy, PenstockError
from flows.home import (
    file_name,
    find_home,
    open_home,
    prepare_tracking,
)
from flows.turns import one_run_at_a_time, runs_under_way

ROOT = Path(__file__).resolve().parents[2]


pytestmark = pytest.mark.usefixtures("own_environment")


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


def test_looking_for_a_home_makes_none_and_finds_what_opening_opens(tmp_path):
    looked = find_home(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert looked == open_home(tmp_path)
    assert looked == find_home(tmp_path)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["why", "nobody@champion"], 1),
        (["score", "nobody@champion", "in.csv", "out.csv"], 1),
        (["clean"], 0),
        (["down"], 0),
        (["doctor"], 0),
        (["init", "in.csv", "--target", "y"], 3),
    ],
)
def test_commands_that_only_look_leave_no_home_behind(tmp_path, monkeypatch, command, code):
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app, command).exit_code == code
    assert list(tmp_path.iterdir()) == []


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
    from flows.home import open_home
    from flows.turns import one_run_at_a_time
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


@pytest.mark.long
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


def test_the_lock_says_who_in_any_script(tmp_path):
    home = open_home(tmp_path)
    with one_run_at_a_time(home, "신용"):
        (path,) = (home.root / "locks").glob("run-*.json")
        held = json.loads(path.read_text("utf-8"))
    assert (held["name"], held["process"]) == ("신용", os.getpid())
    assert not path.exists()


def test_a_home_whose_models_are_in_a_servers_database_makes_no_other(tmp_path):
    home = open_home(tmp_path)
    home.elsewhere.touch()
    with pytest.raises(PenstockError, match="that server is down: start it"):
        prepare_tracking(home)
    assert not (home.root / "mlflow.db").exists()


def test_a_home_beside_the_settings_that_is_not_used_is_said(tmp_path, monkeypatch):
    from flows import servers
    from flows.home import set_aside

    inner = tmp_path / "inner"
    own = open_home(inner)
    assert set_aside(inner, own) is None
    (own.root / "mlflow.db").touch()
    (tmp_path / ".penstock").mkdir()
    up = {"supervisor": servers.identity(os.getpid()), "mlflow": "http://127.0.0.1:1"}
    servers.record(tmp_path / ".penstock", up)
    (own.root / "servers.json").unlink(missing_ok=True)
    home = open_home(inner)
    assert home.root == tmp_path / ".penstock"
    assert str(own.root) in (set_aside(inner, home) or "")
    monkeypatch.setenv("PENSTOCK_HOME", str(home.root))
    assert set_aside(inner, open_home(inner)) is None
