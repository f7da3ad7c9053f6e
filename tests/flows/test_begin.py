"""What `penstock init` writes and says, and what it leaves to the run."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from flows.begin import begin
from flows.check import check
from flows.errors import DataRefused, SettingsError
from flows.home import open_home
from flows.plan import planned
from flows.progress import Progress
from flows.settings import load_spec

RNG = np.random.default_rng(0)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.delenv("PENSTOCK_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_table_without_features_is_refused_by_init_and_not_by_the_run(folder):
    words = [f"message {k} of many" for k in range(100)]
    frame = pd.DataFrame({"words": words, "same": 1, "label": ["a", "b"] * 50})
    frame.to_csv(folder / "mail.csv", index=False)
    with pytest.raises(DataRefused) as refused:
        begin("mail.csv", target="label")
    said = str(refused.value)
    assert said.startswith("wrote mail.toml and mail.contract.toml, but a run would end here: ")
    assert "words (" in said
    assert "same (" in said
    assert "free text is not learned from" in said
    assert [failure.rule for failure in refused.value.failures] == ["table.features"]


def test_what_init_made_is_reused_by_the_run(folder):
    frame = pd.DataFrame({"x": RNG.normal(size=100), "y": ["a", "b"] * 50})
    frame.to_csv(folder / "shop.csv", index=False)
    done = begin("shop.csv", target="y")
    assert done["settings"] == "shop.toml"
    spec = load_spec(folder / "shop.toml")
    steps = {step.name: step.reused for step in planned(spec, open_home(folder))}
    ahead = ("load", "analyze", "contract", "engineer", "validate")
    assert all(steps[name] for name in ahead)
    assert not steps["train"]


def test_labels_that_could_be_booleans_are_said_and_kept_as_they_are_written(folder):
    frame = pd.DataFrame({"x": RNG.normal(size=100), "left": ["yes", "no"] * 50})
    frame.to_csv(folder / "staff.csv", index=False)
    done = begin("staff.csv", target="left")
    assert done["decisions"][0] in (
        "task: binary: the target has 2 labels: yes, no",
        "task: binary: the target has 2 labels: no, yes",
    )
    contract = (folder / done["contract"]).read_text("utf-8")
    assert 'levels = ["no", "yes"]' in contract
    found = check(load_spec(folder / done["settings"]), Progress(quiet=True))
    assert [line for line in found["warnings"] if "class" in line or "occur" in line] == []


def test_init_that_ends_before_it_reads_leaves_no_home(folder):
    pd.DataFrame({"x": range(30), "y": ["a", "b"] * 15}).to_csv(folder / "shop.csv", index=False)
    with pytest.raises(SettingsError, match="--target must name a column"):
        begin("shop.csv", target="z")
    assert [path.name for path in folder.iterdir()] == ["shop.csv"]


def test_init_says_what_a_run_would_set_aside(folder):
    rows = [f"{k % 7},{'ab'[k % 2] if k % 50 else ''}" for k in range(150)]
    (folder / "shop.csv").write_text("\n".join(["x,y", *rows]) + "\n", encoding="utf-8")
    done = begin("shop.csv", target="y")
    assert "set aside: 3 of 150 rows: y.present 3" in done["decisions"]
