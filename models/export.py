"""A model -> one ONNX graph, from typed columns to the answer.

- Inputs `numbers` double (N, n) and `categories` string (N, c); either may be absent. Outputs
  `probabilities` float (N, K) and `label` int64 (N,), or `value` double (N,).
- Encoder, networks, rungs of the ladder, weights, calibration, decision and the target's scale are
  all inside; parts that read the same encoding share its nodes.
- Parity with `models.model.answers` is checked at export.
- Members that weigh nothing are left out; folds without a member too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from models import emit, emit_rungs
from models.ensemble import FLOOR
from models.graph import DOUBLE, FLOAT, INT64, STRING, Graph
from models.model import Model, Networks, RungPart, answers

if TYPE_CHECKING:
    from collections.abc import Mapping

    import onnx
    import onnxruntime
    import pandas as pd

__all__ = ["Model", "Networks", "RungPart", "answers", "difference", "graph_of"]


def graph_of(model: Model, properties: Mapping[str, str] | None = None) -> onnx.ModelProto:
    """Build and check the graph; the same model yields the same bytes."""
    graph = Graph()
    for name, kind, columns in (
        ("numbers", DOUBLE, model.encoder.columns.numbers),
        ("categories", STRING, model.encoder.columns.categories),
    ):
        if columns:  # declared whatever reads them: serving hands in both
            graph.input(name, kind, ("N", len(columns)))
    terms = _networks(graph, model) + emit_rungs.rungs(graph, model)
    mixed = terms[0]
    for term in terms[1:]:
        mixed = graph.add("Add", mixed, term)
    if model.classes:
        _classes(graph, graph.add("Cast", mixed, to=FLOAT), model)
    else:
        _value(graph, mixed, model)
    return graph.model(**(properties or {}))


def _networks(graph: Graph, model: Model) -> list[str]:
    """Emit every population's part of the mean: double (N, K), or (1, N) learned values."""
    encoded: dict[tuple[int, ...], emit.Encoded] = {}
    terms = []
    for part in model.networks:
        folds, grid, shares = _grid(part)
        if (key := tuple(folds)) not in encoded:
            encoded[key] = emit.encoder(graph, model.encoder, folds)
        family = emit.EMITTERS[part.population.network]
        raw = family(graph, encoded[key], model.encoder, part.population, grid)
        fold = part.population.fold.cpu().numpy()[grid].reshape(-1).repeat(part.heads)
        each = (shares / model.total / part.heads).repeat(part.heads)
        terms.append((_mean if model.classes else _moved)(graph, raw, each, fold, model))
    return terms


def _grid(part: Networks) -> tuple[list[int], np.ndarray, np.ndarray]:
    """Arrange members that weigh anything as (F, S) indices; fill gaps with weightless repeats."""
    fold = part.population.fold.cpu().numpy()
    used = np.flatnonzero(part.shares > 0)
    folds = sorted({int(f) for f in fold[used]})
    rows = [used[fold[used] == f] for f in folds]
    most = max(len(row) for row in rows)
    grid = np.stack([np.pad(row, (0, most - len(row)), mode="edge") for row in rows])
    shares = np.stack([np.pad(part.shares[row], (0, most - len(row))) for row in rows])
    return folds, grid, shares.reshape(-1)


def _mean(graph: Graph, raw: str, shares: np.ndarray, _: np.ndarray, model: Model) -> str:
    """Logits (F, S, H, N, K) -> the part of the mean probabilities, double (N, K)."""
    each = graph.reshape(graph.add("Softmax", raw, axis=-1), len(shares), -1)
    mean = graph.add("MatMul", graph.constant(shares[None], np.float32), each)
    return graph.add("Cast", graph.reshape(mean, -1, model.classes), to=DOUBLE)


def _moved(graph: Graph, raw: str, shares: np.ndarray, fold: np.ndarray, model: Model) -> str:
    """Undo each member's standardisation in float64 and average: double (N,)."""
    mean, scale = (t.cpu().numpy()[fold] for t in (model.target.mean, model.target.scale))
    wide = graph.add("Cast", graph.reshape(raw, len(shares), -1), to=DOUBLE)
    moved = graph.add("MatMul", graph.constant((shares * scale)[None], np.float64), wide)
    return graph.reshape(graph.add("Add", moved, graph.constant(float(shares @ mean))), -1)


def _classes(graph: Graph, mean: str, model: Model) -> None:
    """Calibrate the mean probabilities (N, K) and decide on a label."""
    probabilities = mean
    if model.calibration is not None and model.calibration.used:
        floor, one = graph.constant(FLOOR, np.float32), graph.constant(1.0, np.float32)
        logs = graph.add("Log", graph.add("Clip", mean, floor, one))
        scale = graph.constant(model.calibration.scale, np.float32)
        scores = graph.add("Mul", logs, scale)
        bias = graph.constant(model.calibration.bias, np.float32)
        probabilities = graph.add("Softmax", graph.add("Add", scores, bias), axis=-1)
    graph.output("probabilities", probabilities, FLOAT, ("N", model.classes))
    if model.decision is None or model.decision.kind == "likeliest":
        label = graph.add("ArgMax", probabilities, axis=1, keepdims=0)
    else:
        matrix = graph.constant(model.decision.matrix, np.float32)
        costs = graph.add("MatMul", probabilities, matrix)
        label = graph.add("ArgMin", costs, axis=1, keepdims=0)
    graph.output("label", label, INT64, ("N",))


def _value(graph: Graph, mixed: str, model: Model) -> None:
    """Undo the logarithm of the mean learned values (N,)."""
    if model.target.log:
        mixed = graph.add("Sub", graph.add("Exp", mixed), graph.constant(1.0))
    graph.output("value", mixed, DOUBLE, ("N",))


def difference(model: Model, graph: bytes, feeds: Mapping[str, np.ndarray]) -> float:
    """Return the graph's largest difference from `answers`: probability, or target deviations.

    With a log target the deviation is that of the logarithm.
    """
    wanted = answers(model, feeds)
    found = run(open_session(graph), feeds, chunk=4096)
    if model.classes:
        return float(np.abs(found["probabilities"] - wanted["probabilities"]).max(initial=0.0))
    pair = (found["value"], wanted["value"])
    if model.target.log:
        pair = (np.log1p(pair[0]), np.log1p(pair[1]))
    return float(np.abs(pair[0] - pair[1]).max(initial=0.0) / float(model.target.scale.min()))


def open_session(graph: bytes | str, threads: int = 0) -> onnxruntime.InferenceSession:
    """Open a graph as `models/served.py` does; `threads` 0 is one per core."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def run(
    session: onnxruntime.InferenceSession, feeds: Mapping[str, np.ndarray], *, chunk: int
) -> dict[str, np.ndarray]:
    """Answer rows in chunks; outputs by name."""
    rows = len(next(iter(feeds.values())))
    names = [output.name for output in session.get_outputs()]
    parts = [
        session.run(names, {key: value[at : at + chunk] for key, value in feeds.items()})
        for at in range(0, rows, chunk)
    ]
    return {
        name: np.concatenate(part)
        for name, part in zip(names, zip(*parts, strict=True), strict=True)
    }


def spoilt(feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return rows with cells missing, far out or infinite, and of levels never seen."""
    rng = np.random.default_rng(0)
    changed = {}
    for key, block in feeds.items():
        which = rng.integers(0, 5, block.shape)
        if key == "numbers":
            far = np.where(which == 2, np.copysign(np.inf, block), block)
            far = np.where(which == 1, block * 1e9, far)
            changed[key] = np.where(which == 0, np.nan, far)
        else:
            unseen = np.where(which == 1, "\u2047 unseen level", block)
            changed[key] = np.where(which == 0, "", unseen).astype(object)
    return changed


def frame_of(outputs: Mapping[str, np.ndarray], serving: Mapping[str, Any]) -> pd.DataFrame:
    """Name the outputs of `answers` as a served model does, by its own schema."""
    import pandas as pd

    if not serving.get("classes"):
        return pd.DataFrame({"prediction": outputs["value"]})
    kind = {"integer": int, "boolean": lambda label: label.casefold() == "true"}
    labels = [kind.get(serving["class_kind"], str)(label) for label in serving["classes"]]
    frame = pd.DataFrame({"prediction": [labels[code] for code in outputs["label"]]})
    for place, label in enumerate(serving["classes"]):
        frame[f"probability_{label}"] = outputs["probabilities"][:, place]
    return frame
