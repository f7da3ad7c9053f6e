"""Rows that a run set aside: listed, shown, judged again after a fix, measured, and taken in again."""

import json

import pandas as pd
import pytest
from typer.testing import CliRunner

from flows.check import check
from flows.cli import app
from flows.errors import DataRefused
from flows.progress import Progress
from flows.settings import load_spec

FIX = 'data.columns."크기".thousands=","'


def ask(*arguments):
    done = CliRunner().invoke(app, ["quarantine", *map(str, arguments)])
    assert done.exit_code == 0, done.stderr
    return done.stdout


def asked(*arguments):
    return json.loads(ask(*arguments, "--json"))


def refused(*arguments):
    done = CliRunner().invoke(app, ["quarantine", *map(str, arguments)])
    return done.exit_code, done.stderr


@pytest.fixture(scope="module")
def spoiled(module_runs):
    """A run whose table has 24 numbers with thousands commas, and 3 that nothing can save."""
    runs = module_runs(900)
    frame = pd.read_csv(runs.folder / "table.csv", dtype=str, keep_default_na=False)
    rows = frame.index[frame["크기"] != ""]
    few = rows[:480:20]
    frame.loc[few, "크기"] = [f"1,{float(cell):06.2f}" for cell in frame.loc[few, "크기"]]
    frame.loc[rows[[500, 501, 502]], "크기"] = "많이"
    frame.to_csv(runs.folder / "table.csv", index=False)
    runs.summary, runs.error = runs.run("data.max_fraction=0.05", "train.members=1")
    assert runs.error is None, runs.error
    return runs


@pytest.fixture
def home(spoiled, monkeypatch, prefect_server):
    monkeypatch.chdir(spoiled.folder)
    return spoiled


pytestmark = pytest.mark.long  # one real run, a minute of a core


def test_the_summary_says_what_was_set_aside_and_where_it_is(home, summary_schema):
    found = home.summary["quarantine"]
    assert (found["rows"], found["rules"], found["refused"]) == (27, {"크기.type": 27}, False)
    assert found["limits"] == [
        {"name": "total", "allowed": 0.05, "rules": ["크기.type"], "rows": 27, "over": False}
    ]
    lines = pd.read_parquet(found["path"])
    assert set(lines["run"]) == {home.summary["run"]}
    assert lines["value"].tolist().count("많이") == 3
    summary_schema.validate({k: v for k, v in home.summary.items() if k != "folder"})
    report = (home.folder / ".penstock/runs" / home.summary["run"] / "report.html").read_text(
        "utf-8"
    )
    assert "<h3>Set aside</h3>" in report
    assert f"penstock quarantine replay {home.summary['run']}" in report


def test_runs_are_listed_with_counts_by_rule(home):
    said = ask("list")
    assert f"{home.summary['run']}  작은 표  " in said
    assert ": 27 of 900 rows (3.00%)" in said
    assert "27  크기.type" in said
    (index,) = asked("list", "spec.toml")
    assert (index["run"], index["quarantined"]) == (home.summary["run"], 27)


def test_cells_are_shown_with_part_and_record_and_can_be_taken_away(home, tmp_path):
    said = ask("show", home.summary["run"][:15])
    assert "table.csv:" in said
    assert "크기.type  크기 = 1," in said
    assert "... and 7 more (--out FILE writes all of them)" in said
    assert len(asked("show", "latest", "--rule", "크기")) == 27
    ask("show", "spec.toml", "--rows", "--out", tmp_path / "rows.csv")
    rows = pd.read_csv(tmp_path / "rows.csv")
    assert (len(rows), set(rows["__rules__"])) == (27, {"크기.type"})
    assert refused("show", "latest", "--rule", "z.*")[0] == 1
    assert refused("show", "latest", "--out", tmp_path / "rows.xlsx")[0] == 2
    assert refused("show", "2099")[0] == 1


def test_without_a_fix_every_row_still_fails_and_is_told_why(home):
    found = asked("replay", "latest")
    assert (found["rows"], found["back"], found["still"]) == (27, 0, 27)
    assert found["rules"] == {"크기.type": {"then": 27, "now": 27}}
    assert found["failures"][0]["examples"][0]["source"] == "table.csv"
    assert "no row comes back" in found["effect"]["sentence"]
    assert not found["contract"]["changed"]
    assert "still fail" in ask("replay", home.summary["run"])


def test_after_a_fix_rows_come_back_and_the_champion_is_measured_on_them(home):
    found = asked("replay", "spec.toml", "--set", FIX)
    assert (found["rows"], found["back"], found["still"]) == (27, 24, 3)
    assert found["sources"] == {"table.csv": "unchanged"}
    assert found["limits"][0]["rows"] == 3
    effect = found["effect"]
    assert (effect["version"], effect["metric"]) == (1, "roc_auc")
    assert (effect["rows"], effect["measured"], effect["learned"]) == (24, 24, 0)
    assert effect["metrics"]["roc_auc"]["low"] <= effect["metrics"]["roc_auc"]["high"]
    expected = home.summary["metrics"]["test"]["roc_auc"]["value"]
    assert effect["test"]["roc_auc"]["value"] == expected
    said = ask("replay", "spec.toml", "--set", FIX)
    assert "24  come back" in said
    assert "effect: the champion, version 1, has roc_auc " in said
    assert "takes them in by itself: their source still holds them" in said


def test_a_source_that_has_changed_since_is_said(home):
    path = home.folder / "table.csv"
    before = path.read_bytes()
    path.write_bytes(before + before.splitlines(keepends=True)[-1])
    try:
        said = ask("replay", "spec.toml", "--set", FIX)
    finally:
        path.write_bytes(before)
    assert "as far as their source still holds them: table.csv is changed" in said


def test_the_source_judged_anew_takes_in_what_replay_said(home):
    spec = load_spec("spec.toml", ["data.max_fraction=0.05", FIX])
    assert check(spec, Progress(quiet=True))["rules"] == {"크기.type": 3}


def test_a_refused_table_leaves_its_rows_in_the_quarantine(home):
    summary, error = home.run("data.max_fraction=0.001")
    assert isinstance(error, DataRefused)
    assert (summary["quarantine"]["rows"], summary["quarantine"]["refused"]) == (27, True)
    assert len(asked("show", summary["run"])) == 27
    found = asked("replay", summary["run"], "--set", FIX, "--set", "data.max_fraction=0.01")
    assert not found["limits"][0]["over"]
    assert not list((home.folder / ".penstock" / "checkpoints").glob("validate/*"))
