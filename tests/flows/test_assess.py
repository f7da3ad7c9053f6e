"""Evidence from a real exported graph over raw text rows: a small linear model written as ONNX."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from flows.errors import ArtifactRefused, SettingsError
from flows.spec import Spec
from flows.tables import read_parquet, write_parquet

if TYPE_CHECKING:
    from pathlib import Path

ROWS = 300


def graph(path: Path, weights: np.ndarray, classes: int) -> None:
    """Write (numbers, categories) -> softmax(numbers @ weights), or its first column as value."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    table = numpy_helper.from_array(weights, "weights")
    zero = numpy_helper.from_array(np.zeros(1), "zero")
    size = numpy_helper.from_array(np.array([0]), "none")
    nodes = [
        helper.make_node("IsNaN", ["numbers"], ["gap"]),
        helper.make_node("Where", ["gap", "zero", "numbers"], ["filled"]),
        helper.make_node("MatMul", ["filled", "weights"], ["logits"]),
    ]
    if classes:
        nodes += [
            helper.make_node("Softmax", ["logits"], ["shares"], axis=1),
            helper.make_node("Cast", ["shares"], ["probabilities"], to=TensorProto.FLOAT),
            helper.make_node("ArgMax", ["probabilities"], ["label"], axis=1, keepdims=0),
        ]
        outputs = [
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", classes]),
            helper.make_tensor_value_info("label", TensorProto.INT64, ["N"]),
        ]
    else:
        axes = numpy_helper.from_array(np.array([1]), "axes")
        nodes += [helper.make_node("Squeeze", ["logits", "axes"], ["value"])]
        outputs = [helper.make_tensor_value_info("value", TensorProto.DOUBLE, ["N"])]
        size = axes
    inputs = [helper.make_tensor_value_info("numbers", TensorProto.DOUBLE, ["N", len(weights)])]
    made = helper.make_graph(nodes, "linear", inputs, outputs, initializer=[table, zero, size])
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    onnx.save(model, path)


class World:
    """The files that earlier stages would have left, for a task whose truth is known."""

    def __init__(self, folder: Path, task: str, *, folds: int = 3, truth: str = "signal") -> None:
        self.folder, self.task = folder, task
        for name in ("train", "export/model", "out"):
            (folder / name).mkdir(parents=True)
        rng = np.random.default_rng(0)
        x = rng.normal(size=(ROWS, 3))
        strength = np.array([2.0, 0.5, 0.0])
        self.classes = {"binary": ["no", "yes"], "multiclass": ["a", "b", "c"]}.get(task, [])
        weights = np.stack([strength * k for k in range(max(len(self.classes), 1))], axis=1)
        weights = weights if self.classes else strength[:, None]
        logits = x @ weights
        if self.classes:
            p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
            code = np.array([rng.choice(len(row), p=row) for row in p])
            code = rng.permutation(code) if truth == "noise" else code
            target: Any = np.array(self.classes, dtype=object)[code]
            self.said = {f"probability_{c}": p[:, k] for k, c in enumerate(self.classes)}
        else:
            target = logits[:, 0] + rng.normal(size=ROWS)
            self.said = {"value": logits[:, 0]}
        self.frame = pd.DataFrame({"길이": x[:, 0], "폭": x[:, 1], "noise": x[:, 2], "y": target})
        self._write(rng, folds, weights)

    def _write(self, rng: np.random.Generator, folds: int, weights: np.ndarray) -> None:
        raw: Any = self.frame.map(str)
        raw["길이"] = raw["길이"].where(np.arange(ROWS) % 50 > 0, "")
        typed = self.frame.copy()
        typed["길이"] = typed["길이"].where(np.arange(ROWS) % 50 > 0)
        place = {"__source__": "표.csv", "__record__": np.arange(1, ROWS + 1), "__given__": False}
        write_parquet(raw.assign(**place), self.folder / "table.parquet")
        write_parquet(typed.assign(__row__=np.arange(ROWS), **place), self.folder / "clean.parquet")
        side = np.where(rng.random(ROWS) < 0.3, "test", "train").astype(object)
        fold = np.where(side == "test", -1, np.arange(ROWS) % max(folds, 1))
        if not folds:
            side[(fold >= 0) & (np.arange(ROWS) % 4 == 0)] = "validation"
            fold[:] = -1
        identity = [f"{i:016x}" for i in range(ROWS)]
        ledger = pd.DataFrame({"row": np.arange(ROWS), "identity": identity, "side": side})
        write_parquet(ledger.assign(fold=fold), self.folder / "ledger.parquet")
        judged = fold >= 0 if folds else side == "validation"
        validation = pd.DataFrame({"row": np.arange(ROWS), **self.said}).loc[judged]
        write_parquet(validation, self.folder / "train" / "validation.parquet")
        names = ["길이", "폭", "noise"]
        self.schema: dict[str, Any] = {
            "version": 1,
            "task": self.task,
            "target": "y",
            "missing": [""],
            "columns": [{"name": name, "kind": "number", "required": True} for name in names],
            "derived": [],
            "rules": [],
        }
        serving = self.schema | {"numbers": names, "categories": []}
        if self.classes:
            serving |= {"classes": self.classes, "class_kind": "text"}
        self.serve(serving)
        graph(self.folder / "export" / "model" / "graph.onnx", weights, len(self.classes))

    def serve(self, schema: dict[str, Any]) -> None:
        text = json.dumps(schema, ensure_ascii=False)
        (self.folder / "export" / "model" / "schema.json").write_text(text, encoding="utf-8")

    def assess(self, **sections: Any) -> dict[str, Any]:
        from flows.assess import assess

        data = {"source": "x.csv", "target": "y"}
        spec = Spec.model_validate({"name": "n", "task": self.task, "data": data, **sections})
        at = self.folder
        self.facts = assess(
            spec,
            self.schema,
            at / "ledger.parquet",
            at / "table.parquet",
            at / "clean.parquet",
            at / "train",
            at / "export",
            at / "out",
        )
        return json.loads((at / "out" / "evidence.json").read_text(encoding="utf-8"))


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
