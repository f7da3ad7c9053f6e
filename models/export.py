"""A fitted population -> one ONNX graph, from typed columns to the answer.

- Inputs `numbers` double (N, n) and `categories` string (N, c); either may be absent. Outputs
  `probabilities` float (N, K) and `label` int64 (N,), or `value` double (N,).
- Encoder, members, ensemble weights, calibration, decision and the target's scale are all inside.
- `answers` is the same arithmetic in torch and numpy: parity is checked against it at export.
- Members that weigh nothing are left out; folds without a member too.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from models import emit
from models.ensemble import FLOOR
from models.graph import DOUBLE, FLOAT, INT64, Graph

if TYPE_CHECKING:
    from collections.abc import Mapping

    import onnx
    import onnxruntime
    import pandas as pd

    from models.calibrate import Calibration
    from models.decide import Decision
    from models.encode import Encoder
    from models.objective import Target
    from models.population import Population

CELLS = 2_000_000  # activations of one call of the graph: bigger ones leave the cache
ROWS_TIMED = 100_000
CORES = 1.8  # what a second core adds is a little less than one core
RATE = 50e9  # products and sums per second and core, what lies between the products included


@dataclass(frozen=True, kw_only=True)
class Model:
    """Everything that answers: what the graph is made of.

    `shares` (P,) are the members' weights, summing to 1. `classes` is K, 0 for regression, where
    `calibration` and `decision` are None.
    """

    encoder: Encoder
    population: Population
    target: Target
    shares: np.ndarray
    classes: int
    calibration: Calibration | None = None
    decision: Decision | None = None


def graph_of(model: Model, properties: Mapping[str, str] | None = None) -> onnx.ModelProto:
    """Build and check the graph; the same model yields the same bytes."""
    folds, grid, shares = _grid(model)
    graph = Graph()
    encoded = emit.encoder(graph, model.encoder, folds)
    family = emit.EMITTERS[model.population.network]
    raw = family(graph, encoded, model.encoder, model.population, grid)
    members = grid.size
    if model.classes:
        each = graph.reshape(graph.add("Softmax", raw, axis=-1), members, -1)
        mean = graph.add("MatMul", graph.constant(shares[None], np.float32), each)
        _classes(graph, graph.reshape(mean, -1, model.classes), model)
    else:
        _value(graph, graph.reshape(raw, members, -1), grid, shares, model)
    return graph.model(**(properties or {}))


def _grid(model: Model) -> tuple[list[int], np.ndarray, np.ndarray]:
    """Arrange members that weigh anything as (F, S) indices; fill gaps with weightless repeats."""
    fold = model.population.fold.cpu().numpy()
    used = np.flatnonzero(model.shares > 0)
    folds = sorted({int(f) for f in fold[used]})
    rows = [used[fold[used] == f] for f in folds]
    most = max(len(row) for row in rows)
    grid = np.stack([np.pad(row, (0, most - len(row)), mode="edge") for row in rows])
    shares = np.stack([np.pad(model.shares[row], (0, most - len(row))) for row in rows])
    return folds, grid, shares.reshape(-1) / model.shares.sum()


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


def _value(graph: Graph, raw: str, grid: np.ndarray, shares: np.ndarray, model: Model) -> None:
    """Undo each member's standardisation in float64, average, and undo the logarithm."""
    mean, scale, fold = (
        tensor.cpu().numpy()
        for tensor in (model.target.mean, model.target.scale, model.population.fold)
    )
    own = fold[grid].reshape(-1)
    wide = graph.add("Cast", raw, to=DOUBLE)
    moved = graph.add("MatMul", graph.constant((shares * scale[own])[None], np.float64), wide)
    value = graph.add("Add", moved, graph.constant(float(shares @ mean[own])))
    if model.target.log:
        value = graph.add("Sub", graph.add("Exp", value), graph.constant(1.0))
    graph.output("value", graph.reshape(value, -1), DOUBLE, ("N",))


def answers(model: Model, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return what the graph must return, computed by torch and numpy.

    `feeds` are `numbers` (N, n) and `categories` (N, c) as `models.served.inputs` makes them.
    """
    rows = len(next(iter(feeds.values())))
    numbers = feeds.get("numbers", np.empty((rows, 0)))
    categories = feeds.get("categories", np.empty((rows, 0), dtype=object))
    population, encoder = model.population, model.encoder
    population.eval()
    with torch.inference_mode():
        codes = encoder.codes(categories)
        raw = population(*encoder(torch.from_numpy(np.asarray(numbers, np.float64)), codes))
        if model.classes:
            each = torch.softmax(raw, dim=-1).double().cpu().numpy()
        else:
            own = population.fold
            mean, scale = model.target.mean[own, None], model.target.scale[own, None]
            each = (raw[..., 0].double() * scale + mean).cpu().numpy()
    used = model.shares > 0  # a member that weighs nothing may well be NaN
    mixed = np.tensordot(model.shares[used] / model.shares.sum(), each[used], axes=1)
    if not model.classes:
        return {"value": np.expm1(mixed) if model.target.log else mixed}
    calibrated = model.calibration.apply(mixed) if model.calibration else mixed
    label = model.decision.labels(calibrated) if model.decision else calibrated.argmax(axis=1)
    return {"probabilities": calibrated, "label": label}


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


def chunk_of(model: Model) -> int:
    """Return how many rows one call of the graph should take: its activations fit the cache."""
    folds, grid, _ = _grid(model)
    shape, config = model.population.shape, model.population.config
    codes = len(folds) * shape.numbers * shape.bins
    widest = grid.size * max(config.width, shape.numbers * config.number_size)
    return int(np.clip(CELLS // max(codes, widest, 1), 64, 8192))


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


def estimated_seconds(graph: onnx.ModelProto) -> float:
    """Return what 100,000 rows should cost on two cores, from the graph's products alone.

    The same graph has the same estimate on every machine, so it can bound an ensemble without
    making the ensemble depend on what else the machine does (measured: within 20 %).
    """
    sizes = {each.name: math.prod(each.dims) for each in graph.graph.initializer}
    products = (node.input[1] for node in graph.graph.node if node.op_type == "MatMul")
    per_row = 2 * sum(sizes.get(name, 0) for name in products)
    return per_row * ROWS_TIMED / RATE / CORES


def seconds_of(graph: bytes, feeds: Mapping[str, np.ndarray], *, chunk: int, most: float) -> float:
    """Return the seconds that 100,000 rows take on two cores, from as few rows as say so.

    Time of one thread is what is measured, so that a busy machine does not shrink the ensemble;
    two cores are taken to do CORES times as much. The sample grows until it took a fiftieth of
    `most`; the quickest of three looks counts.
    """
    session = open_session(graph, threads=1)
    rows = len(next(iter(feeds.values())))
    size = chunk
    while True:
        index = np.arange(min(size, ROWS_TIMED)) % rows
        tiled = {key: value[index] for key, value in feeds.items()}
        spent = min(_thread_seconds(session, tiled, chunk) for _ in range(3))
        if size >= ROWS_TIMED or spent > most / 50:
            return spent * ROWS_TIMED / len(index) / CORES
        size *= 4


def _thread_seconds(session: Any, feeds: Mapping[str, np.ndarray], chunk: int) -> float:
    started = time.thread_time()
    run(session, feeds, chunk=chunk)
    return time.thread_time() - started


def spoilt(feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return rows with cells missing, far out, and of levels never seen."""
    rng = np.random.default_rng(0)
    changed = {}
    for key, block in feeds.items():
        which = rng.integers(0, 4, block.shape)
        if key == "numbers":
            changed[key] = np.where(which == 0, np.nan, np.where(which == 1, block * 1e9, block))
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
