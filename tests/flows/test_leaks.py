"""Leaks in a table: what refuses, what is accepted, and what stays on record."""

import json
import tomllib

import numpy as np
import pandas as pd
import pytest

from flows.check import check
from flows.errors import DataRefused, SettingsError
from flows.progress import Progress
from flows.settings import load_spec

ROWS = 300


@pytest.fixture
def table():
    random = np.random.default_rng(0)
    a, b = random.poisson(40, ROWS), random.poisson(90, ROWS)
    frame = pd.DataFrame({"casual": a, "member": b, "temp": random.normal(20, 8, ROWS).round(2)})
    frame["wind"] = random.gamma(2, 3, ROWS).round(2)
    return frame.assign(total=frame["casual"] + frame["member"])


@pytest.fixture
def checked(tmp_path):
    """Check a table with more settings; return what was found of leaks, and all."""

    def work(frame, target="total", more=""):
        frame.to_csv(tmp_path / "t.csv", index=False)
        text = f'name = "t"\n[data]\nsource = "t.csv"\ntarget = "{target}"\n{more}'
        (tmp_path / "t.toml").write_text(text, encoding="utf-8")
        done = check(load_spec(tmp_path / "t.toml"), Progress(quiet=True))
        places = tmp_path.glob(".penstock/cache/leaks/*/leaks.json")
        newest = max(places, key=lambda path: path.stat().st_mtime_ns)
        return json.loads(newest.read_text("utf-8")), done

    return work


def test_a_total_of_columns_refuses_and_says_what_to_paste(checked, table):
    with pytest.raises(DataRefused) as refused:
        checked(table)
    said = str(refused.value)
    assert "total is an exact sum of columns" in said
    assert "member + casual" in said or "casual + member" in said
    lines = said.partition("put into t.toml:")[2]
    drop, accept = lines.split("or, where it is no leak, say why:")
    assert set(tomllib.loads(drop)["data"]["drop"]) == {"casual", "member"}
    assert tomllib.loads(accept)["leaks"]["accept"][0]["type"] == "illegitimate"
    assert refused.value.failures[0].rule == "leaks.illegitimate.made_of"
    assert refused.value.exit_code == 3


def test_what_was_said_to_paste_ends_it(checked, table):
    with pytest.raises(DataRefused) as refused:
        checked(table)
    accept = str(refused.value).partition("say why:")[2].replace('"..."', '"it is what we ask"')
    found, done = checked(table, more=accept)
    assert found["findings"][0]["accepted"] == "it is what we ask"
    assert not any("exact sum" in line for line in done["warnings"])
    found, _ = checked(table, more='drop = ["casual", "member"]\n')
    assert found["findings"] == []


def test_a_level_turns_a_refusal_into_a_warning_or_off(checked, table):
    found, done = checked(table, more='[leaks]\nillegitimate = "warn"\n')
    assert found["findings"][0]["level"] == "warn"
    assert any(line.startswith("leak: total is an exact sum") for line in done["warnings"])
    found, _ = checked(table, more='[leaks]\nillegitimate = "off"\n')
    assert found["findings"] == []


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ('{ type = "illegitimate", column = "casul", reason = "known" }', "did you mean 'casual'"),
        ('{ type = "ilegitimate", reason = "known" }', "leaks.accept"),
        ('{ type = "duplicates", reason = "..." }', "must say in words"),
        ('{ type = "duplicates", colum = "x", reason = "known" }', "unknown key"),
    ],
)
def test_an_acceptance_of_what_does_not_exist_is_refused(checked, table, entry, said):
    with pytest.raises(SettingsError, match=said):
        checked(table, more=f"[leaks]\naccept = [{entry}]\n")


def test_an_acceptance_that_nothing_needs_is_said(checked, table):
    entry = '{ type = "illegitimate", column = "wind", reason = "known before" }'
    plain = table.drop(columns="casual")
    found, done = checked(plain, more=f"[leaks]\naccept = [{entry}]\n")
    assert any("about 'wind'" in line for line in found["unmatched"])
    assert any("about 'wind'" in line for line in done["warnings"])


def test_a_declared_time_without_a_word_about_the_split_refuses(checked, table):
    frame = table.drop(columns="casual").assign(day=pd.date_range("2026-01-01", periods=ROWS))
    with pytest.raises(DataRefused, match=r'split\] by = "time"'):
        checked(frame, more='time = "day"\n')
    found, _ = checked(frame, more='time = "day"\n[split]\nby = "row"\n')
    assert [f["kind"] for f in found["findings"]] == ["mixed"]
    found, _ = checked(frame, more='time = "day"\n[split]\nby = "time"\n')
    assert not [f for f in found["findings"] if f["type"] == "temporal"]


def test_a_dropped_column_may_still_name_what_rows_share(checked):
    random = np.random.default_rng(1)
    who = random.integers(0, 40, ROWS)
    frame = pd.DataFrame({"patient": [f"P{k}" for k in who], "age": random.normal(50, 9, ROWS)})
    frame["dose"] = random.normal(size=ROWS)
    frame["y"] = (random.normal(size=40)[who] * 3 + random.normal(size=ROWS)).round(3)
    found, _ = checked(frame.round(3), "y", 'drop = ["patient"]\n')
    assert [f["columns"] for f in found["findings"]] == [["patient"]]


def test_columns_that_come_with_the_target_are_named(checked, table):
    frame = table.drop(columns="casual").astype(float)
    random = np.random.default_rng(2)
    off = random.random(ROWS) < 0.1
    frame["arrived"] = np.where(off, np.nan, random.normal(size=ROWS).round(3))
    frame["called_off"] = off.astype(int)
    frame["total"] = frame["total"].where(~off)
    found, _ = checked(frame, more="max_fraction = 0.2\n")
    named = {column for f in found["findings"] for column in f["columns"]}
    assert named >= {"arrived", "called_off"}


def test_an_honest_table_is_left_in_peace(checked, table):
    found, done = checked(table.drop(columns="casual"))
    assert found["findings"] == []
    assert {each["type"] for each in found["types"]} >= {"test_set", "population"}
    assert not any("leak" in line for line in done["warnings"])
