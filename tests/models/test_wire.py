"""The scoring server's near end: free ports, honest errors, and no process that is left behind."""

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from models.wire import ScoringServer, WireError, plain, question_of


def gone(pid, seconds=15.0):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie":
            return True
        time.sleep(0.05)
    return False


def test_a_model_that_is_not_there_is_an_error_with_what_the_server_said(tmp_path):
    with ScoringServer(str(tmp_path / "nothing")) as server, pytest.raises(WireError) as caught:
        server.wait()
    assert "nothing" in str(caught.value)
    assert server.process.poll() is not None


def test_a_port_that_is_taken_is_an_error_and_starts_nothing(tmp_path):
    with ScoringServer(str(tmp_path)) as first, pytest.raises(OSError, match="in use"):
        ScoringServer(str(tmp_path), port=first.port)


def test_the_server_ends_with_whoever_started_it_however_that_ended(tmp_path):
    code = (
        "import sys, time; sys.path.insert(0, sys.argv[1]); from models.wire import ScoringServer\n"
        "s = ScoringServer(sys.argv[2]); print(s.process.pid, flush=True); time.sleep(60)"
    )
    root = str(Path(__file__).resolve().parents[2])
    starter = subprocess.Popen(
        [sys.executable, "-c", code, root, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    pid = int(starter.stdout.readline())
    starter.send_signal(signal.SIGKILL)
    starter.wait()
    assert gone(pid)


def test_rows_have_four_forms_and_cells_those_of_json():
    rows = [["a", 1.5], [None, float("nan")]]
    assert question_of(["x", "y"], rows) == {
        "dataframe_split": {"columns": ["x", "y"], "data": [["a", 1.5], [None, None]]}
    }
    records = [{"x": "a", "y": 1.5}, {"x": None, "y": None}]
    assert question_of(["x", "y"], rows, "dataframe_records") == {"dataframe_records": records}
    assert question_of(["x", "y"], rows, "inputs") == {
        "inputs": {"x": ["a", None], "y": [1.5, None]}
    }


def test_cells_of_any_type_become_json():
    import datetime as dt

    import numpy as np
    import pandas as pd

    assert plain(np.int64(3)) == 3
    assert plain(np.bool_(True)) is True
    assert plain(pd.Timestamp("2024-01-02")) == "2024-01-02T00:00:00"
    assert plain(dt.date(2024, 1, 2)) == "2024-01-02"
    assert [plain(c) for c in (pd.NaT, pd.NA, None, np.float64("nan"))] == [None] * 4


def test_a_stop_that_is_asked_for_ends_the_waiting(tmp_path):
    stop = threading.Event()
    stop.set()
    with ScoringServer(str(tmp_path)) as server:
        assert server.wait(stop=stop) < 30
        assert server.process.poll() is None
    assert server.process.poll() is not None
