"""From the fitted population to what is served: one graph and its schema, checked on raw rows.

- Writes `model/` (graph.onnx, schema.json, served.py, input_example.json), and `questions.parquet`
  with `answers.parquet`: raw rows, and what training says of them, for the fresh process that
  examines the model.
- The graph must agree with training from raw rows on, spoilt cells included.
"""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np

from flows.formula_schema import truth_target
from flows.labels import WHOLE
from flows.tables import names_in, read_rows, rows_in, write_parquet

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd

    from flows.spec import Spec
    from models.model import Model

QUESTIONS, EXAMPLES, PARITY = 256, 2, 1000
TOLERANCE = 1e-5
TRAINING_ONLY = ("role_columns", "target_column", "target_sources", "target_formulas")


def export(
    spec: Spec, schema: Mapping[str, Any], train_dir: Path, table_path: Path, out: Path
) -> dict[str, Any]:
    """Write the graph and all that serves it, and check it against training from raw rows.

    Raises:
        RuntimeError: the graph differs from training by more than 1e-5.

    """
    from models import export as exporter
    from models import finish, served, speed

    model, described = finish.load(train_dir)
    rows, there = rows_in(table_path), set(names_in(table_path))
    places = np.linspace(0, rows - 1, min(rows, PARITY)).astype(int)
    places = np.union1d(places, np.arange(min(rows, EXAMPLES)))  # no more of it is read
    columns = dict.fromkeys([*(entry["name"] for entry in schema["columns"]), schema["target"]])
    raw: Any = read_rows(table_path, places, [name for name in columns if name in there])
    serving: dict[str, Any] = serving_schema(schema, described, raw) | {
        "chunk": speed.chunk_of(model)
    }
    folder = out / "model"
    folder.mkdir()
    graph = exporter.graph_of(model, {"name": spec.name}).SerializeToString(deterministic=True)
    (folder / "graph.onnx").write_bytes(graph)
    text = json.dumps(serving, ensure_ascii=False, indent=1)
    (folder / "schema.json").write_text(text, encoding="utf-8")
    shutil.copyfile(str(served.__file__), folder / "served.py")
    asked = raw[[column["name"] for column in serving["columns"] if column["name"] in raw]]
    checked = _check(model, graph, asked, serving, out)
    _write_example(asked, folder / "input_example.json")
    facts = {
        "bytes": len(graph),
        "members": model.members,
        "rungs": [part.name for part in model.rungs],
        "chunk": serving["chunk"],
        "parity": {"max_difference": checked, "tolerance": TOLERANCE},
        "signature": _signature(serving),
    }
    (out / "export.json").write_text(json.dumps(facts, ensure_ascii=False), encoding="utf-8")
    return facts


def serving_schema(
    schema: Mapping[str, Any], described: Mapping[str, Any], raw: pd.DataFrame
) -> dict[str, Any]:
    """Return the reading schema with what serving needs: classes, graph columns, outputs."""
    labels = described["labels"]
    output: dict[str, Any] = {"columns": ["prediction"]}
    serving = {**schema, "task": described["task"], **described["inputs"]}
    # Where data and target came from is training's business, not a consumer's.
    serving = {k: v for k, v in serving.items() if k not in TRAINING_ONLY}
    if labels:
        whole = all(WHOLE.fullmatch(label) for label in labels)
        kind = "integer" if whole else "text"
        if truth_target(schema, raw):
            kind = "boolean"
        output["columns"] += [f"probability_{label}" for label in labels]
        serving |= {"classes": labels, "class_kind": kind}
    return {**serving, "output": output}


def _check(
    model: Model, graph: bytes, rows: pd.DataFrame, serving: Mapping[str, Any], out: Path
) -> float:
    """Compare graph and training on raw rows, some of them spoilt; write questions and answers."""
    from models import export as exporter
    from models import served

    typed, bad = served.read(rows, serving)
    broken = np.zeros(len(rows), dtype=bool)
    broken[bad["row"].to_numpy(dtype=np.int64)] = True
    for failing in served.judge(typed, serving).values():
        broken |= failing
    good = np.flatnonzero(~broken)
    feeds = served.inputs(typed.iloc[good].reset_index(drop=True), serving)
    difference = max(
        exporter.difference(model, graph, feeds),
        exporter.difference(model, graph, exporter.spoilt(feeds)),
    )
    if not difference <= TOLERANCE:
        message = (
            f"the exported graph must answer as training does within {TOLERANCE:.0e}, however: "
            f"it differs by {difference:.2e}; this is a fault of Penstock: please report it"
        )
        raise RuntimeError(message)
    few = good[:QUESTIONS]
    write_parquet(rows.iloc[few].reset_index(drop=True), out / "questions.parquet")
    some = {key: block[: len(few)] for key, block in feeds.items()}
    write_parquet(
        exporter.frame_of(exporter.answers(model, some), serving), out / "answers.parquet"
    )
    return difference


def _write_example(raw: pd.DataFrame, path: Path) -> None:
    """Write a few raw rows as JSON records."""
    rows = raw.head(EXAMPLES)
    text = rows.to_json(orient="records", force_ascii=False, date_format="iso") or "[]"
    path.write_text(text, encoding="utf-8")


def _signature(serving: Mapping[str, Any]) -> dict[str, Any]:
    """Return the model's columns in words, for the report."""
    inputs = [{"name": c["name"], "type": c["kind"]} for c in serving["columns"]]
    outputs = [
        {"name": name, "type": "number" if place or "classes" not in serving else "label"}
        for place, name in enumerate(serving["output"]["columns"])
    ]
    return {"inputs": inputs, "outputs": outputs}
