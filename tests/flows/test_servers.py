"""Who lives: real processes told from others, and the file by which their servers are found."""

import contextlib
import json
import os
import subprocess
import sys
import threading

import pytest

from flows import servers
from flows.home import open_home

WAITS = "import sys; sys.stdin.readline()"


pytestmark = pytest.mark.usefixtures("own_environment")


@contextlib.contextmanager
def process(code=WAITS):
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as made:
        try:
            yield made
        finally:
            made.kill()


def keeps(root, supervisor, **more):
    """Write what a `penstock up` of this supervisor would write."""
    root.mkdir(parents=True, exist_ok=True)
    facts = {"mlflow": "http://127.0.0.1:5001", "prefect": "http://127.0.0.1:4201/api", **more}
    servers.record(root, {"supervisor": supervisor, "store": "home", **facts})


def test_a_process_is_alive_until_it_ends_awaited_or_not():
    with process() as made:
        identity = servers.identity(made.pid)
        assert servers.alive(identity)
        made.kill()
        os.waitid(os.P_PID, made.pid, os.WEXITED | os.WNOWAIT)  # a zombie from here on
        assert not servers.alive(identity)
        made.wait()
        assert not servers.alive(identity)
        with pytest.raises(ProcessLookupError):
            servers.identity(made.pid)


def test_a_number_that_was_given_to_another_process_means_nothing():
    earlier = servers.identity(os.getpid())
    with process() as later:
        assert servers.alive(servers.identity(later.pid))
        assert not servers.alive({**earlier, "pid": later.pid})


def test_an_identity_stays_the_same_while_the_process_lives():
    first = servers.identity(os.getpid())
    assert json.loads(json.dumps(first)) == servers.identity(os.getpid())


@pytest.mark.parametrize("found", [None, {}, {"pid": 1}, {"pid": "x", "born": ""}, "text", [1]])
def test_what_is_no_identity_is_nobody(found):
    assert not servers.alive(found)


def test_the_file_is_for_nobody_else_to_read_and_replaces_what_lay_there(tmp_path):
    (tmp_path / "servers.partial").write_text("left by one that was killed")
    (tmp_path / "servers.partial").chmod(0o644)
    servers.record(tmp_path, {"이름": "값"})
    place = tmp_path / servers.FILE
    assert place.stat().st_mode & 0o777 == 0o600
    assert servers.recorded(tmp_path) == {"이름": "값"}
    assert [path.name for path in tmp_path.iterdir()] == [servers.FILE]
    servers.forget(tmp_path)
    servers.forget(tmp_path)
    assert servers.recorded(tmp_path) is None


def test_a_reader_never_meets_half_a_file(tmp_path):
    facts = {"supervisor": servers.identity(os.getpid()), "text": "x" * 20_000}
    servers.record(tmp_path, facts)
    done = threading.Event()

    def write():
        for _ in range(200):
            servers.record(tmp_path, facts)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    read = 0
    while not done.is_set() or not read:
        assert servers.recorded(tmp_path) == facts
        read += 1
    writer.join()


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"supervisor": 3}', "\x00"])
def test_a_file_that_says_nothing_is_no_server(tmp_path, text):
    (tmp_path / servers.FILE).write_text(text)
    assert servers.living(tmp_path) is None


def test_servers_live_as_long_as_the_process_that_keeps_them(tmp_path):
    with process() as keeper:
        keeps(tmp_path, servers.identity(keeper.pid))
        assert servers.living(tmp_path)["mlflow"] == "http://127.0.0.1:5001"
        keeper.kill()
        keeper.wait()
        assert servers.living(tmp_path) is None
        assert servers.recorded(tmp_path)["mlflow"] == "http://127.0.0.1:5001"


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a file to another user")
def test_a_file_that_another_user_has_put_there_is_not_believed(tmp_path):
    keeps(tmp_path, servers.identity(os.getpid()))
    assert servers.living(tmp_path)
    os.chown(tmp_path / servers.FILE, 65534, 65534)
    assert servers.living(tmp_path) is None


@pytest.mark.parametrize("where", ["beside", "above", "working directory", "named"])
def test_a_run_finds_the_servers_that_are_up(tmp_path, monkeypatch, where):
    folder = tmp_path / "a" / "b"
    homes = {"beside": folder, "above": tmp_path, "working directory": tmp_path / "w"}
    root = homes.get(where, tmp_path / "n") / ".penstock"
    keeps(root, servers.identity(os.getpid()))
    if where == "working directory":
        monkeypatch.chdir(root.parent)
    if where == "named":
        monkeypatch.setenv("PENSTOCK_HOME", str(root))
    home = open_home(folder)
    assert home.root == root
    assert (home.tracking_uri, home.prefect_url) == (
        "http://127.0.0.1:5001",
        "http://127.0.0.1:4201/api",
    )
    assert not home.embedded
    assert home.local_store
    assert home.servers == servers.living(root)


def test_the_environment_wins_over_servers_that_are_up(tmp_path, monkeypatch):
    keeps(tmp_path / ".penstock", servers.identity(os.getpid()))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:6001")
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:6002/api")
    home = open_home(tmp_path)
    assert home.tracking_uri == "http://127.0.0.1:6001"
    assert home.prefect_url == "http://127.0.0.1:6002/api"
    assert not home.local_store
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "other"))
    assert open_home(tmp_path).root == tmp_path / "other"


def test_servers_whose_keeper_is_dead_are_not_used(tmp_path):
    with process() as keeper:
        keeps(tmp_path / ".penstock", servers.identity(keeper.pid))
        keeper.kill()
        keeper.wait()
    home = open_home(tmp_path / "below")
    assert home.root == tmp_path / "below" / ".penstock"
    assert (home.embedded, home.prefect_url, home.servers) == (True, None, None)


def test_artifacts_behind_a_server_are_no_files_of_the_home(tmp_path):
    keeps(tmp_path / ".penstock", servers.identity(os.getpid()), store="server")
    assert not open_home(tmp_path).local_store


def test_servers_that_are_coming_up_are_recorded_and_not_used(tmp_path):
    servers.record(tmp_path, {"supervisor": servers.identity(os.getpid()), "starting": True})
    assert servers.recorded(tmp_path)["starting"]
    assert servers.living(tmp_path) is None
