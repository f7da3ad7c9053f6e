"""What earlier stages would have left for a linear model whose truth is known, written as ONNX."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from flows.spec import Spec
from flows.tables import write_parquet
from models.saved_rungs import Rungs, save_rungs

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
        nothing = Rungs(fitted=(), rows=np.arange(0), log=False)  # the ladder is fitted anew
        save_rungs(nothing, self.folder / "train")
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
