"""Drift against the model in service, and of a batch that is scored, on real runs."""

import json

import pandas as pd
import pytest

from flows.score import score, sentence


@pytest.fixture(scope="module")
def moved(module_runs):
    """Two runs: the second on rows whose number has moved and whose colours are another mix."""
    home = module_runs(240)
    first, error = home.run()
    assert error is None
    before = pd.read_csv(home.folder / "table.csv")
    since = before.assign(크기=before["크기"] + 15.37)
    since.loc[since["colour"] == "green", "colour"] = "violet"
    both = pd.concat([before, since], ignore_index=True)
    both.to_csv(home.folder / "table.csv", index=False)
    second, error = home.run()
    assert error is None
    return home, first, second


@pytest.mark.long
def test_the_first_model_has_nothing_to_drift_from_and_the_second_names_what_moved(
    moved, summary_schema
):
    home, first, second = moved
    summary_schema.validate({key: value for key, value in second.items() if key != "folder"})
    assert first["drift"] is None
    drift = second["drift"]
    assert drift["status"] == "compared", drift["sentence"]
    assert set(drift["drifted"]) == {"크기", "colour"}
    colour = next(each for each in drift["columns"] if each["column"] == "colour")
    assert colour["outside"] > 0.1  # violet was never seen
    assert drift["roc_auc"][0] > 0.8  # rows that came since are another population
    assert {name for name, *_ in drift["target"]["shares"]} == {"yes", "no"}
    page = next(home.folder.glob(f".penstock/runs/{second['run']}/report.html")).read_text("utf-8")
    assert "Drift against the model in service" in page
    assert "2 of 2 columns differ" in page


@pytest.mark.long
def test_a_batch_is_compared_with_the_rows_that_its_model_was_trained_on(moved, monkeypatch):
    home, *_ = moved
    monkeypatch.chdir(home.folder)
    batch = pd.read_csv("table.csv").drop(columns="grade")
    batch["크기"] -= 40
    batch.to_csv("batch.csv", index=False)
    done = score("작은 표@champion", "batch.csv", home.folder / "scored.csv")
    assert done["drift"]["drifted"][0] == "크기"
    assert "크기" in sentence(done)
    kept = json.loads((home.folder / "scored.csv.json").read_text("utf-8"))
    assert kept["drift"]["columns"][0]["size"] == "large"
    assert {name for name, *_ in done["drift"]["labels"]["shares"]} <= {"yes", "no"}


@pytest.mark.long
def test_the_profile_travels_sealed_with_the_evidence(moved):
    home, _, second = moved
    bundle = home.folder / ".penstock" / "runs" / second["run"] / "gate"
    profile = json.loads((bundle / "training.json").read_text("utf-8"))
    assert set(profile["columns"]) == {"크기", "colour"}
    assert "training.json" in json.loads((bundle / "manifest.json").read_text("utf-8"))["files"]
