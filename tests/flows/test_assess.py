"""Evidence from a real exported graph over raw text rows: a small linear model written as ONNX."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from linear_world import ROWS, World

from flows.errors import ArtifactRefused, SettingsError
from flows.tables import read_parquet, write_parquet

if TYPE_CHECKING:
    from pathlib import Path


def test_binary_evidence_is_whole_and_passes_its_gate(tmp_path: Path) -> None:
    from expectations.gate import Rules, judge

    world = World(tmp_path, "binary")
    evidence = world.assess()
    test = evidence["metrics"]["test"]
    assert test["roc_auc"]["method"] == "delong"
    assert test["roc_auc"]["low"] < test["roc_auc"]["value"] < test["roc_auc"]["high"]
    assert set(test) == set(evidence["metrics"]["validation"])
    assert evidence["positive"] == "yes"
    assert [rung["name"] for rung in evidence["ladder"]] == [
        "dummy",
        "linear",
        "hist_gradient_boosting",
    ]
    assert evidence["ladder"][0]["metrics"]["test"]["roc_auc"]["value"] == pytest.approx(
        0.5, abs=0.2
    )
    assert evidence["ladder"][0]["gain"]["test"]["low"] > 0
    assert evidence["importance"]["columns"][0]["column"] == "길이"
    assert evidence["comparison"]["sentence"].startswith("On test the network")
    assert len(evidence["worst"]) == 10
    assert evidence["worst"][0]["source"] == "표.csv"
    assert judge(evidence, Rules(floors={"roc_auc": 0.6})).outcome == "promote"
    assert world.facts["metric"] == "roc_auc"


def test_test_rows_are_answered_by_the_graph_from_raw_cells(tmp_path: Path) -> None:
    world = World(tmp_path, "binary")
    world.assess()
    answers = read_parquet(tmp_path / "out" / "test.parquet")
    ledger = read_parquet(tmp_path / "ledger.parquet")
    assert answers["row"].tolist() == ledger["row"][ledger["side"] == "test"].tolist()
    whole = answers[answers["row"] % 50 > 0]
    expected = world.said["probability_yes"][whole["row"]]
    np.testing.assert_allclose(whole["probability_yes"], expected, atol=1e-6)


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_other_tasks_have_their_own_evidence(tmp_path: Path, task: str) -> None:
    evidence = World(tmp_path, task).assess()
    if task == "multiclass":
        assert sum(sum(row) for row in evidence["confusion"]["counts"]) == evidence["rows"]["test"]
        assert evidence["metric"] == "log_loss"
    else:
        assert evidence["metrics"]["test"]["rmse"]["value"] == pytest.approx(1, abs=0.25)
        assert evidence["scatter"]["of_rows"] == evidence["rows"]["test"]
        assert sum(evidence["residuals"]["histogram"]["counts"]) <= evidence["rows"]["test"]
    assert evidence["ladder"][0]["gain"]["test"]["low"] > 0


def test_one_validation_side_instead_of_folds(tmp_path: Path) -> None:
    evidence = World(tmp_path, "binary", folds=0).assess()
    ledger = read_parquet(tmp_path / "ledger.parquet")
    assert evidence["rows"]["validation"] == (ledger["side"] == "validation").sum()
    assert evidence["ladder"][1]["metrics"]["validation"]["roc_auc"]["value"] > 0.6


def test_a_model_of_noise_is_not_promoted(tmp_path: Path) -> None:
    from expectations.gate import Rules, judge

    evidence = World(tmp_path, "binary", truth="noise").assess()
    assert judge(evidence, Rules()).outcome != "promote"


def test_costs_reach_the_expected_cost_and_the_rungs(tmp_path: Path) -> None:
    costs = {"yes": {"no": 5.0}, "no": {"yes": 1.0}}
    evidence = World(tmp_path, "binary").assess(decision={"costs": costs})
    assert evidence["metrics"]["test"]["expected_cost"]["value"] > 0
    assert "expected_cost" in evidence["ladder"][1]["metrics"]["test"]


def test_a_group_is_the_unit_of_evidence(tmp_path: Path) -> None:
    world = World(tmp_path, "binary")
    for name in ("table", "clean"):
        frame = read_parquet(tmp_path / f"{name}.parquet")
        frame["kind"] = [f"집 {i // 30}" for i in range(ROWS)]
        write_parquet(frame, tmp_path / f"{name}.parquet")
    evidence = world.assess(data={"source": "x.csv", "target": "y", "group": "kind"})
    assert evidence["identities"]["test"] == 10
    assert evidence["metrics"]["test"]["roc_auc"]["method"] == "bootstrap"


def test_weights_count(tmp_path: Path) -> None:
    world = World(tmp_path, "regression")
    frame = read_parquet(tmp_path / "clean.parquet")
    frame["w"] = np.where(np.arange(ROWS) % 2, 1.0, 3.0)
    write_parquet(frame, tmp_path / "clean.parquet")
    evidence = world.assess(data={"source": "x.csv", "target": "y", "weight": "w"})
    assert evidence["weighted"]


def test_the_same_inputs_give_the_same_evidence(tmp_path: Path) -> None:
    first = World(tmp_path / "a", "binary").assess()
    second = World(tmp_path / "b", "binary").assess()
    for found in (first, second):
        for rung in found["ladder"]:
            del rung["seconds"]
    assert first == second


def test_a_model_that_refuses_clean_rows_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path, "binary")
    rule = {"id": "폭.range", "column": "폭", "type": "range", "min": 0, "severity": "critical"}
    path = tmp_path / "export" / "model" / "schema.json"
    world.serve(json.loads(path.read_text("utf-8")) | {"rules": [rule]})
    with pytest.raises(ArtifactRefused, match=r"폭\.range"):
        world.assess()


def test_a_metric_of_another_task_is_a_settings_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"gate\.metric must be a metric of a binary task"):
        World(tmp_path, "binary").assess(gate={"metric": "rmse"})


def test_rungs_that_are_fitted_here_leave_outliers_out_too(tmp_path: Path) -> None:
    world = World(tmp_path, "regression")
    plain = world.assess()["ladder"]
    found = world.assess(features={"drop_outliers": 2.5})["ladder"]
    for rung, other in zip(plain, found, strict=True):
        assert other["failed"] is None
        assert rung["metrics"]["test"]["rmse"] != other["metrics"]["test"]["rmse"], rung["name"]
