"""One promoter at a time: by a file on one host, by Prefect's server among hosts, or not at all."""

import os
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import replace

import pytest

from flows.errors import Busy, PenstockError
from flows.home import open_home
from flows.lease import lease, refuse_without
from flows.ports import free_port
from flows.prefect_server import answers, server_command

HOLDS = """
    import sys
    from dataclasses import replace
    from pathlib import Path
    from flows.home import find_home
    from flows.lease import lease
    home = replace(find_home(Path(sys.argv[1])), tracking_uri=sys.argv[2])
    with lease(home, sys.argv[3]):
        print("held", flush=True)
        sys.stdin.read()
"""
NAME = "신용 / 1"


@pytest.fixture
def home(tmp_path):
    return open_home(tmp_path)


@pytest.fixture
def remote(home, prefect_server, request):
    """A home whose MLflow is a server's; the lease asks Prefect alone."""
    return replace(home, tracking_uri="http://192.0.2.1:9", prefect_url=prefect_server)


@pytest.fixture
def holder():
    """Start a process that holds the lease of a name until its input ends or it is killed."""
    started = []

    def start(home, name):
        command = [sys.executable, "-c", textwrap.dedent(HOLDS)]
        process = subprocess.Popen(
            [*command, str(home.root.parent), home.tracking_uri, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def test_another_process_waits_and_a_killed_one_lets_go_at_once(home, holder):
    other = holder(home, NAME)
    said = r"another process has been publishing .* for 0.2 s"
    with pytest.raises(Busy, match=said), lease(home, NAME, patience=0.2):
        pass
    with lease(home, "another name", patience=0.2) as check:
        check()
    other.kill()
    with lease(home, NAME) as check:
        check()


def test_homes_that_name_one_database_share_its_lease(home, tmp_path, holder):
    database = f"sqlite:///{tmp_path / 'team.db'}"
    holder(replace(home, tracking_uri=database), NAME)
    (tmp_path / "second").mkdir()
    second = replace(open_home(tmp_path / "second"), tracking_uri=database)
    with pytest.raises(Busy), lease(second, NAME, patience=0.2):
        pass
    with lease(open_home(tmp_path / "second"), NAME, patience=0.2):
        pass


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_a_server_on_this_host_needs_no_prefect(home, tmp_path, holder, host):
    ours = replace(home, tracking_uri=f"http://{host}:{free_port()}", prefect_url=None)
    refuse_without(ours)
    (tmp_path / "other").mkdir()
    other = replace(open_home(tmp_path / "other"), tracking_uri=ours.tracking_uri, prefect_url=None)
    holder(other, NAME)
    with pytest.raises(Busy), lease(ours, NAME, patience=0.1):
        pass


def test_a_server_without_prefect_is_refused_with_advice(home):
    remote = replace(home, tracking_uri="http://user:secret@192.0.2.1:9", prefect_url=None)
    with pytest.raises(PenstockError, match=r"set PREFECT_API_URL") as caught:
        refuse_without(remote)
    assert "secret" not in str(caught.value)
    with pytest.raises(PenstockError), lease(remote, NAME):
        pass
    refuse_without(home)


def test_among_hosts_the_limit_of_prefect_keeps_all_but_one_waiting(remote, tmp_path, holder, api):
    other = holder(remote, NAME)
    (tmp_path / "host").mkdir()
    elsewhere = replace(
        open_home(tmp_path / "host"),
        tracking_uri=remote.tracking_uri,
        prefect_url=remote.prefect_url,
    )
    said = r"prefect gcl update .* --active-slots 0"
    with pytest.raises(Busy, match=said), lease(elsewhere, NAME, patience=0.5):
        pass
    done = threading.Timer(1, other.stdin.close)
    done.start()
    with lease(elsewhere, NAME, patience=60) as check:
        check()
        check()
    done.join()
    limits = [limit for limit in api.read_global_concurrency_limits() if "신용" in limit.name]
    assert [(limit.limit, limit.active_slots) for limit in limits] == [(1, 0)]


def test_a_lease_that_ran_out_is_noticed_before_anything_is_written(remote, api):
    with lease(remote, NAME) as check:
        check()
        api.release_concurrency_slots_with_lease(check.number)  # as the server does when it is over
        with pytest.raises(Busy, match="ran out before its registry entry was written"):
            check()


def test_a_limit_that_somebody_deleted_is_made_again(remote, api):
    with lease(remote, "다른 것"):
        pass
    (limit,) = [x for x in api.read_global_concurrency_limits() if "다른" in x.name]
    api.delete_global_concurrency_limit_by_name(limit.name)
    with lease(remote, "다른 것") as check:
        check()


@pytest.fixture
def whole_prefect(tmp_path):
    """A Prefect server with its services, as `penstock up` keeps one: the tests' own has none."""
    port = free_port()
    with (tmp_path / "prefect.log").open("wb") as log_file:
        process = subprocess.Popen(
            server_command("127.0.0.1", port),
            env={
                **os.environ,
                "PREFECT_HOME": str(tmp_path / "prefect"),
                "PREFECT_UI_ENABLED": "0",
            },
            stdout=log_file,
            stderr=log_file,
        )
    url = f"http://127.0.0.1:{port}/api"
    deadline = time.monotonic() + 120
    while not answers(f"{url}/health"):
        assert process.poll() is None, (tmp_path / "prefect.log").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.2)
    yield url
    process.kill()
    process.wait()


@pytest.mark.long
def test_the_lease_of_a_killed_process_ends_by_itself(home, whole_prefect, holder, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", whole_prefect)
    remote = replace(home, tracking_uri="http://192.0.2.1:9", prefect_url=whole_prefect)
    holder(remote, NAME).kill()
    with lease(remote, NAME) as check:
        check()
