"""A run's own Prefect server, as processes that are really killed leave it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

START = """
import sys, time
from pathlib import Path
from flows.home import open_home
from flows.prefect_server import PrefectServer
with PrefectServer(open_home(Path(sys.argv[1]))) as server:
    print(server.process.pid, flush=True)
    server.wait()
    print("up", flush=True)
    time.sleep(600)
"""


def _runs(process):
    """Return whether it runs; where nobody collects orphans, an ended one stays as a zombie."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize(
    ("how", "line"),
    [
        (signal.SIGKILL, "pid"),
        pytest.param(signal.SIGKILL, "up", marks=pytest.mark.long),
        pytest.param(signal.SIGTERM, "pid", marks=pytest.mark.long),
        pytest.param(signal.SIGHUP, "pid", marks=pytest.mark.long),
    ],
)
def test_the_server_ends_with_a_run_that_is_killed(tmp_path, how, line):
    env = {key: value for key, value in os.environ.items() if key != "PREFECT_API_URL"}
    env |= {"PENSTOCK_HOME": str(tmp_path / "home"), "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(
        [sys.executable, "-c", START, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=env
    ) as run:
        assert run.stdout is not None
        server = psutil.Process(int(run.stdout.readline()))
        if line == "up":
            assert run.stdout.readline() == "up\n"
        run.send_signal(how)
        run.wait()
        until = time.monotonic() + 60
        while _runs(server) and time.monotonic() < until:
            time.sleep(0.1)
        assert not _runs(server)
