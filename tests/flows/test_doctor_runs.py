"""The doctor finds runs that nobody is at any more, by what a killed process really leaves."""

import os
import subprocess
import sys
from pathlib import Path

from flows.doctor import examine
from flows.home import find_home
from flows.registry import client

KILLED = """
import os, sys
from pathlib import Path
from flows.home import open_home
from flows.track import Tracker

tracker = Tracker(open_home(Path(sys.argv[1])), "작은 표", "r-1")
tracker.start({"penstock.run": "r-1", "penstock.name": "작은 표"})
tracker.settle()
print(tracker.run_id, flush=True)
sys.stdin.read()
os._exit(9)
"""


def test_a_run_whose_process_was_killed_is_found_and_one_that_lives_is_not(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)],
        cwd=Path(__file__).resolve().parents[2],
        env={**os.environ, "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING": "false"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    run_id = process.stdout.readline().strip()
    assert run_id
    assert "stale run" not in {finding["what"] for finding in examine(tmp_path)}
    process.stdin.close()
    process.wait()
    process.stdout.close()
    stale = {finding["what"]: finding for finding in examine(tmp_path)}["stale run"]
    assert not stale["ok"]
    assert "r-1 of '작은 표'" in stale["found"]
    assert str(process.pid) in stale["found"]
    assert "the next run" in stale["advice"]
    held = client(find_home(tmp_path)).get_run(run_id)
    assert held.info.status == "RUNNING"  # it was looked at, no more
