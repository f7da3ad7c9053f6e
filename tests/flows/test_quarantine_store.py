"""What a home keeps of rows that runs set aside: whole or not at all, found again, let go."""

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows import stage
from flows.errors import PenstockError
from flows.home import open_home
from flows.json_files import read_json
from flows.quarantine_rows import LINES, ROWS
from flows.quarantine_shown import table, write
from flows.quarantine_store import find, index_of, lines_of, listed, rows_of, verified
from flows.quarantine_store import write as keep
from flows.quarantine_words import age, runs
from flows.retention import retire
from flows.stage import file_digest

pytestmark = pytest.mark.usefixtures("own_environment")

WRITER = """
from pathlib import Path
from flows.home import open_home
from flows.quarantine_store import write
home, folder = open_home(Path({home!r})), Path({folder!r})
index = {index!r}
print("ready", flush=True)
for number in range(10_000):
    write(home, {{**index, "run": f"run-{{number:05d}}", "files": []}}, folder)
"""


def index(run="20260101T000000-aa", **more):
    return {
        "run": run, "name": "n", "settings": None, "written": "2026-01-01T00:00:00Z",
        "refused": False, "rows": 100, "quarantined": 2, "rules": {"x.type": 2}, "files": [],
    } | more  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    """The two tables that the judging stage leaves."""
    place = tmp_path / "stage"
    place.mkdir()
    lines = {"row": [3, 7], "source": ["a.csv", "b.csv"], "record": [4, 2]}
    lines |= {"rule": ["x.type"] * 2, "column": ["x"] * 2, "value": ["5 kg", "<b>"]}
    pq.write_table(pa.table(lines), place / LINES)
    rows = {"__row__": [3, 7], "x": ["5 kg", "<b>"], "y": ["no", "yes"]}
    rows |= {"__source__": ["a.csv", "b.csv"], "__record__": [4, 2]}
    pq.write_table(pa.table(rows), place / ROWS)
    return place


def test_a_run_is_kept_with_its_name_in_every_line_and_found_by_a_beginning(tmp_path, folder):
    home = open_home(tmp_path)
    keep(home, index(), folder)
    keep(home, index("20260102T000000-bb", written="2026-01-02T00:00:00Z"), folder)
    assert [each["run"][:8] for each in listed(home)] == ["20260102", "20260101"]
    assert find(home, "20260101")["sources"] == {"a.csv": 1, "b.csv": 1}
    assert find(home, "latest")["run"] == "20260102T000000-bb"
    assert set(pd.read_parquet(lines_of(home, "20260101T000000-aa"))["run"]) == {
        "20260101T000000-aa"
    }
    with pytest.raises(PenstockError, match="it begins 2"):
        find(home, "2026")
    with pytest.raises(PenstockError, match="has 20260102T000000-bb, 20260101T000000-aa"):
        find(home, "1999")


def test_rows_can_be_chosen_by_rule_and_taken_away(tmp_path, folder):
    home = open_home(tmp_path)
    keep(home, kept := index(), folder)
    assert table(home, kept, "x.*", rows=False).num_rows == 2
    whole = table(home, kept, None, rows=True)
    assert whole["__rules__"].to_pylist() == ["x.type", "x.type"]
    for name in ("out.csv", "out.parquet"):
        write(whole, tmp_path / name)
        read = pd.read_csv if name.endswith("csv") else pd.read_parquet
        assert read(tmp_path / name)["x"].tolist() == ["5 kg", "<b>"]
    with pytest.raises(PenstockError, match=r"--rule z meets nothing .* break x\.type"):
        table(home, kept, "z", rows=False)


def test_changed_and_vanished_files_are_refused_by_name(tmp_path, folder):
    home = open_home(tmp_path)
    keep(home, kept := index(), folder)
    place = rows_of(home, kept["run"])
    place.write_bytes(place.read_bytes() + b"0")
    with pytest.raises(PenstockError, match="however it has other content"):
        verified(home, kept, "rows")
    place.unlink()
    with pytest.raises(PenstockError, match=r"however it is gone \(\[keep\]"):
        verified(home, kept, "rows")


def test_a_file_that_could_not_be_read_is_kept_once_by_its_content(tmp_path, folder):
    home = open_home(tmp_path)
    bad = tmp_path / "표 2.csv.gz"
    bad.write_bytes(b"nonsense")
    facts = {"name": bad.name, "path": str(bad), "sha256": file_digest(bad), "reason": "r"}
    for run in ("r1", "r2"):
        keep(home, index(run, files=[dict(facts)]), folder)
    (kept,) = (home.quarantine / "files").iterdir()
    assert kept.read_bytes() == b"nonsense"
    assert kept.name.endswith(".csv.gz")
    assert find(home, "r2")["files"][0]["kept"] == kept.relative_to(home.root).as_posix()
    changed = {**facts, "sha256": "0" * 64}
    keep(home, index("r3", files=[changed]), folder)
    assert find(home, "r3")["files"][0]["kept"] is None


def test_old_runs_go_and_a_quarantine_that_is_too_large_loses_the_oldest(tmp_path, folder):
    home = open_home(tmp_path)
    for days, run in ((100, "r1"), (2, "r2"), (1, "r3")):
        keep(home, index(run), folder)
        then = time.time() - days * 86_400
        for path in (lines_of(home, run), rows_of(home, run), index_of(home, run)):
            os.utime(path, (then, then))
    removed = retire(home, days=90, gigabytes=1)
    assert sorted(removed) == [
        "quarantine/r1.json", "quarantine/r1.parquet", "quarantine/rows/r1.parquet",
    ]  # fmt: skip
    size = sum(path.stat().st_size for path in home.quarantine.rglob("*r3*"))
    retire(home, days=90, gigabytes=1, quarantine=size / 1e9)
    assert [each["run"] for each in listed(home)] == ["r3"]
    assert rows_of(home, "r3").is_file()


@pytest.mark.slow
def test_a_writer_that_is_killed_leaves_whole_files_alone(tmp_path, folder):
    rows = pa.table(
        {"__row__": range(60_000), "x": [f"cell {i} ".ljust(40) for i in range(60_000)]}
    )
    pq.write_table(rows, folder / ROWS)
    environment = {**os.environ, "PYTHONPATH": str(Path(stage.__file__).parents[1])}
    for pause in (0.0, 0.02, 0.05, 0.09, 0.14, 0.2, 0.3):
        place = tmp_path / str(pause)
        home = open_home(place)
        code = WRITER.format(home=str(place), folder=str(folder), index=index())
        with subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment
        ) as writer:
            writer.stdout.readline()
            time.sleep(pause)
            writer.send_signal(signal.SIGKILL)
        whole = [*home.quarantine.glob("*.parquet"), *home.quarantine.glob("rows/*.parquet")]
        for path in whole:
            assert pq.read_table(path).num_rows in (2, 60_000)
        for path in home.quarantine.glob("*.json"):
            kept = read_json(path)
            assert {verified(home, kept, what).is_file() for what in ("lines", "rows")} == {True}


def test_runs_are_listed_for_people_with_their_files_and_an_age(tmp_path, folder):
    home = open_home(tmp_path)
    bad = {"name": "b.csv", "path": "b.csv", "sha256": "0" * 64, "reason": "cut\noff", "bytes": 12}
    rules = {f"c{n}.type": n for n in range(1, 12)}
    keep(home, index(rules=rules, refused=True, files=[bad]), folder)
    said = runs(listed(home), "here")
    assert said.splitlines()[0].endswith(": 2 of 100 rows (2.00%), the table was refused")
    assert "          11  c11.type\n" in said
    assert "... and 3 more rules\n" in said
    assert "    in a.csv 1, b.csv 1\n" in said
    assert "file  b.csv (12 bytes): cut\\noff" in said
    now = datetime(2026, 1, 3, 12, tzinfo=UTC)
    ages = ["2026-01-01T00:00:00Z", "2026-01-03T11:00:00Z", "2026-01-03T11:59:50Z"]
    assert [age(each, now) for each in ages] == ["2 days ago", "1 hour ago", "just now"]
    assert runs([], "here") == "nothing is set aside in here"
