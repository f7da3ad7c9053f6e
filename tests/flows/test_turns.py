"""Whose turn it is, with real locks held by real processes."""

import os
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from filelock import FileLock

from flows import turns
from flows.errors import Busy, Skipped
from flows.home import file_name, open_home
from flows.json_files import write_json
from flows.turns import ENDED_WELL, one_run_at_a_time, runs_under_way

ROOT = Path(__file__).resolve().parents[2]
NAME = "신용"
DUE = datetime(2026, 11, 21, 3, tzinfo=UTC)
HOLD = """
import sys
from pathlib import Path
from flows.home import open_home
from flows.turns import one_run_at_a_time
with one_run_at_a_time(open_home(Path(sys.argv[1])), sys.argv[2]):
    print("held", flush=True)
    sys.stdin.readline()
"""


pytestmark = pytest.mark.usefixtures("own_environment")


@pytest.fixture
def home(tmp_path):
    return open_home(tmp_path)


@pytest.fixture
def other(home, tmp_path):
    """Another process that holds the name until its standard input says otherwise."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path), NAME],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as made:
        assert made.stdout.readline() == "held\n"
        yield made
        made.kill()


def ran(home, run, *, name=NAME, started=DUE, outcome="promoted"):
    """Leave what a run leaves."""
    folder = home.runs / run
    folder.mkdir()
    at = started.isoformat(timespec="seconds").replace("+00:00", "Z")
    summary = {"name": name, "run": run, "started": at, "verdict": {"outcome": outcome}}
    write_json(folder / "summary.json", summary)
    ended = (started + timedelta(seconds=20)).timestamp()
    os.utime(folder / "summary.json", (ended, ended))


def begins(home, *, due=DUE, **more):
    with one_run_at_a_time(home, NAME, due=due, **more):
        return True


def test_a_run_that_somebody_starts_is_refused_with_who_is_at_it(home, other):
    with pytest.raises(Busy) as caught:
        begins(home, due=None)
    assert not isinstance(caught.value, Skipped)
    assert (
        f"another run of '{NAME}' is under way in {home.root} (process {other.pid}, since 2"
        in str(caught.value)
    )
    assert caught.value.exit_code == 1


def test_a_run_that_is_to_be_skipped_is_no_failure(home, other):
    with pytest.raises(Skipped, match=rf"under way .* \(process {other.pid}") as caught:
        begins(home, overlap="skip")
    assert caught.value.exit_code == 0


def test_a_run_that_waits_says_so_and_begins_when_the_other_has_ended(home, other):
    said, spoke, begun = [], threading.Event(), threading.Event()

    def say(text):
        said.append(text)
        spoke.set()

    def wait():
        with one_run_at_a_time(home, NAME, "wait", said=say):
            begun.set()

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert spoke.wait(30)
    assert not begun.is_set()
    other.stdin.write("\n")
    other.stdin.flush()
    assert begun.wait(30)
    waiting.join()
    (line,) = said
    assert line.startswith(f"  waits: another run of '{NAME}' is under way")
    assert f"(process {other.pid}, since" in line


def test_the_lock_of_a_killed_process_is_free_at_once(home, other):
    other.kill()
    other.wait()
    assert list(home.locks.glob("run-*.json"))  # it could not tidy up
    assert runs_under_way(home) == []
    assert begins(home, due=None)
    assert not list(home.locks.glob("run-*.json"))


def test_whoever_only_looks_at_a_lock_is_no_run(home, monkeypatch):
    monkeypatch.setattr(turns, "GLANCE", 30)
    look = FileLock(home.locks / f"run-{file_name(NAME)}.lock", thread_local=False)
    look.acquire()
    threading.Timer(0.2, look.release).start()
    assert begins(home, overlap="refuse")


@pytest.mark.parametrize("outcome", ENDED_WELL)
def test_a_run_that_began_after_this_one_was_due_has_seen_its_data(home, outcome):
    ran(home, "r1", started=DUE + timedelta(seconds=1), outcome=outcome)
    with pytest.raises(Skipped, match=r"run r1 of '신용' began after .* due \(2026-11-21 03:00:00"):
        begins(home)
    assert not list(home.locks.glob("run-*.json"))
    assert begins(home, due=None)  # what somebody starts is not skipped


@pytest.mark.parametrize(
    "left",
    [
        {"outcome": "failed"},
        {"name": "another"},
        {"started": DUE - timedelta(seconds=1)},
        {"started": DUE - timedelta(days=1)},
    ],
    ids=["failed or interrupted", "another name", "just before", "the day before"],
)
def test_other_runs_do_not_stand_for_it(home, left):
    ran(home, "r1", **left)
    assert begins(home)


def test_a_run_that_waited_long_counts_from_when_it_began(home):
    """Folders are named by when a run was asked for, which says nothing of who began last."""
    ran(home, "20261121T020000-waited", started=DUE + timedelta(minutes=9))
    ran(home, "20261121T025900-other", started=DUE - timedelta(minutes=1), name="another")
    ran(home, "20261121T025930-failed", started=DUE - timedelta(seconds=30), outcome="failed")
    with pytest.raises(Skipped, match="run 20261121T020000-waited of"):
        begins(home)


def test_summaries_of_runs_that_ended_before_are_not_even_read(home):
    ran(home, "r1", started=DUE + timedelta(hours=1))
    then = (DUE - timedelta(hours=1)).timestamp()
    os.utime(home.runs / "r1" / "summary.json", (then, then))
    assert begins(home)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"name": "신용", "verdict": null}'])
def test_a_summary_that_cannot_be_read_stops_nobody(home, text):
    (home.runs / "r1").mkdir()
    (home.runs / "r1" / "summary.json").write_text(text, "utf-8")
    (home.runs / "r2").mkdir()
    assert begins(home)


def test_of_runs_that_piled_up_one_is_done(home, other):
    """Three wait behind a long one; the first of them to begin has seen what the others wanted."""
    ended = []

    def wait(number):
        try:
            with one_run_at_a_time(home, NAME, "wait", DUE + timedelta(minutes=number)):
                ran(home, f"r{number}", started=DUE + timedelta(hours=1))
                ended.append("done")
        except Skipped:
            ended.append("skipped")

    waiting = [threading.Thread(target=wait, args=(number,)) for number in range(3)]
    for thread in waiting:
        thread.start()
    time.sleep(0.2)
    assert ended == []
    other.stdin.write("\n")
    other.stdin.flush()
    for thread in waiting:
        thread.join(60)
    assert sorted(ended) == ["done", "skipped", "skipped"]
