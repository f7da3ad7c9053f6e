"""Filled numbers as ONNX nodes -> what networks read: scaled, crossed, ranked, reduced.

- The same arithmetic as `models/encoding.py`: in float64 up to the clip, float32 from there on,
  principal components in float64 again.
- Numbers stand upright, (folds, columns, rows).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from models.graph import DOUBLE, FLOAT
from models.mish import emit_mish
from models.scaling import CLIP, EVEN, FAR

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import nn

    from models.encode import Encoder
    from models.graph import Graph

    Arrays = Mapping[str, np.ndarray]


def entering(graph: Graph, source: Encoder, folds: Sequence[int], filled: str) -> str:
    """Emit what networks read as numbers: double (F, n, N) -> float (F, v, N)."""
    own = _arrays(source, folds)
    if source.limits["clip"]:
        filled = _within(graph, filled, own["least"], own["most"])
    scaled = _squashed(graph, filled, own["center"], own["factor"])
    if source.crossing is not None:
        crosses = _crossed(graph, _arrays(source.crossing, folds), filled)
        scaled = graph.add("Concat", scaled, crosses, axis=1)
    ranked = source.limits["scale"] == "quantile"
    if ranked:
        flat = graph.add("Cast", scaled, to=FLOAT)
        scaled = _ranks(graph, flat, own["rank_low"], own["rank_gain"])
    if source.reducing is None:
        return scaled if ranked else graph.add("Cast", scaled, to=FLOAT)
    exact = source.reducing.kind == "pca"
    if exact == ranked:
        scaled = graph.add("Cast", scaled, to=DOUBLE if exact else FLOAT)
    kind = np.float64 if exact else np.float32
    reduced = _reduced(graph, _arrays(source.reducing, folds), scaled, kind)
    if source.reducing.join:
        reduced = graph.add("Concat", scaled, reduced, axis=1)
    return graph.add("Cast", reduced, to=FLOAT) if exact else reduced


def _arrays(module: nn.Module, folds: Sequence[int]) -> Arrays:
    """Return a module's own buffers of the given folds, leading axis F."""
    shared = ("indicator", "offset")
    return {
        name: buffer.detach().cpu().numpy()[list(folds)]
        for name, buffer in module.named_buffers(recurse=False)
        if name not in shared
    }


def _within(graph: Graph, value: str, low: np.ndarray, high: np.ndarray) -> str:
    """Hold (F, n, N) within (F, n)."""
    below = graph.add("Min", value, graph.constant(high[:, :, None]))
    return graph.add("Max", below, graph.constant(low[:, :, None]))


def _squashed(
    graph: Graph,
    value: str,
    center: np.ndarray,
    factor: np.ndarray,
    kind: type[np.floating] = np.float64,
) -> str:
    """Centre and scale (F, n, N) by (F, n), and clip smoothly."""
    factor = factor[:, :, None]
    moved = graph.add("Sub", value, graph.constant(center[:, :, None], kind))
    scaled = graph.add("Mul", moved, graph.constant(factor, kind))
    if (factor <= 0).any():  # a constant column: infinity times zero must not become NaN
        scaled = graph.add("Where", graph.constant(factor > 0), scaled, graph.constant(0.0, kind))
    scaled = graph.add("Clip", scaled, graph.constant(-FAR, kind), graph.constant(FAR, kind))
    part = graph.add("Div", scaled, graph.constant(CLIP, kind))
    square = graph.add("Add", graph.add("Mul", part, part), graph.constant(1.0, kind))
    return graph.add("Div", scaled, graph.add("Sqrt", square))


def _crossed(graph: Graph, arrays: Arrays, filled: str) -> str:
    """Emit products and quotients: double (F, n, N) -> (F, k, N)."""
    folds, columns = arrays["low"].shape
    held = _within(graph, filled, arrays["low"], arrays["high"])
    rows = graph.reshape(held, folds * columns, -1)
    starts = columns * np.arange(folds)[:, None]

    def picked(places: np.ndarray) -> str:
        flat = graph.constant((places + starts).reshape(-1), np.int64)
        return graph.reshape(graph.add("Gather", rows, flat, axis=0), *places.shape, -1)

    one, other = picked(arrays["first"]), picked(arrays["second"])
    divides, unit = arrays["divides"][:, :, None], graph.constant(1.0)
    value = graph.add("Mul", one, other)
    if divides.any():
        which = graph.constant(divides)
        value = graph.add(
            "Where", which, graph.add("Div", one, graph.add("Where", which, other, unit)), value
        )
    return _squashed(graph, value, arrays["center"], arrays["factor"])


def _ranks(graph: Graph, scaled: str, low: np.ndarray, gain: np.ndarray) -> str:
    """Replace scaled numbers, float (F, n, N), by how far through the train cells they lie.

    `low` and `gain` are (F, n, B).
    """
    low, gain = low[:, :, None, :], gain[:, :, None, :]
    x = graph.add("Unsqueeze", scaled, graph.constant([3], np.int64))
    inside = graph.add("Mul", graph.add("Sub", x, graph.constant(low)), graph.constant(gain))
    bounds = (graph.constant(0.0, np.float32), graph.constant(1.0, np.float32))
    inside = graph.add("Clip", inside, *bounds)
    place = graph.add("ReduceSum", inside, graph.constant([3], np.int64), keepdims=0)
    pieces = (gain > 0).sum(axis=3)
    each = EVEN / np.maximum(pieces, 1)
    moved = graph.add("Mul", place, graph.constant(each, np.float32))
    return graph.add("Sub", moved, graph.constant(EVEN / 2 * (pieces > 0), np.float32))


def _reduced(graph: Graph, arrays: Arrays, scaled: str, kind: type[np.floating]) -> str:
    """Emit components: (F, v, N) -> (F, k, N), in `kind` throughout."""
    out = _layer(graph, arrays, 0, scaled, kind)
    if "w1" in arrays:
        out = _layer(graph, arrays, 1, emit_mish(graph, out), kind)
    return _squashed(graph, out, arrays["center"], arrays["factor"], kind)


def _layer(graph: Graph, arrays: Arrays, place: int, value: str, kind: type[np.floating]) -> str:
    weight = graph.constant(arrays[f"w{place}"].swapaxes(1, 2), kind)
    bias = graph.constant(arrays[f"b{place}"][:, :, None], kind)
    return graph.add("Add", graph.add("MatMul", weight, value), bias)
