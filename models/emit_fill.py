"""Imputers as ONNX nodes: the same arithmetic as `models/fill.py`, for the rows that need it.

- Rows that lack nothing are not touched: what an imputer costs follows how many cells are missing.
- Everything stands row by row, (F, rows, n), and is turned upright at the end as the rest of the
  encoder is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from models.fill import SPACE, layers
from models.graph import DOUBLE, FLOAT, INT64
from models.mish import emit_mish

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from models.graph import Graph

    Arrays = Mapping[str, np.ndarray]


def filled(graph: Graph, kind: str, arrays: Arrays, numbers: str, codes: str | None) -> str:
    """Fill double (N, n), NaN where missing -> double (F, n, N).

    `arrays` have a leading fold axis; `codes` int64 (N, c) are shared codes with their columns'
    offsets, places in `hint` (F, T), None where there are no categories.
    """
    folds = len(arrays["center"])
    absent = graph.add("IsNaN", numbers)
    flags = graph.add("Cast", absent, to=INT64)
    lacking = graph.add("ReduceMax", flags, graph.constant([1], np.int64), keepdims=0)
    rows = graph.reshape(graph.add("NonZero", lacking), -1)
    own = graph.add("Gather", numbers, rows, axis=0)
    gone = graph.add("Gather", absent, rows, axis=0)
    offset = None
    if codes is not None and "levels" in arrays:
        offset = _offset(graph, arrays, graph.add("Gather", codes, rows, axis=0))
    guess = _guess(graph, kind, arrays, own, gone, offset)
    upright = graph.add("Transpose", guess, perm=[1, 0, 2])  # (rows, F, n)
    shape = graph.constant([1, folds, 1], np.int64)
    spread = graph.add("Unsqueeze", numbers, graph.constant([1], np.int64))
    every = graph.add("Tile", spread, shape)  # (N, F, n)
    places = graph.add("Unsqueeze", rows, graph.constant([1], np.int64))
    whole = graph.add("ScatterND", every, places, upright)
    return graph.add("Transpose", whole, perm=[1, 2, 0])


def _offset(graph: Graph, arrays: Arrays, codes: str) -> str:
    """Sum what rows' levels add: codes (R, c) -> (F, R, h)."""
    levels = arrays["levels"]
    folds, rows, width = levels.shape
    places = arrays["hint"] + rows * np.arange(folds)[:, None]
    place = graph.add("Gather", graph.constant(places, np.int64), codes, axis=1)  # (F, R, c)
    found = graph.add("Gather", graph.constant(levels.reshape(-1, width)), place, axis=0)
    return graph.add("ReduceSum", found, graph.constant([2], np.int64), keepdims=0)


def _guess(
    graph: Graph, kind: str, arrays: Arrays, numbers: str, absent: str, offset: str | None
) -> str:
    """Return guesses and observed cells, double (F, R, n)."""
    center, factor, low, high = (arrays[name][:, None, :] for name in SPACE)
    names = [graph.constant(each) for each in (center, factor, low, high)]
    held = graph.add("Where", absent, names[0], numbers)
    held = graph.add("Min", graph.add("Max", held, names[2]), names[3])
    z = graph.add("Mul", graph.add("Sub", held, names[0]), names[1])
    z = KINDS[kind](graph, arrays, z, absent, offset)
    spread = np.divide(1.0, factor, out=np.zeros_like(factor), where=factor > 0)
    back = graph.add("Add", graph.add("Mul", z, graph.constant(spread)), names[0])
    back = graph.add("Min", graph.add("Max", back, names[2]), names[3])
    return graph.add("Where", absent, back, numbers)


def linear(graph: Graph, arrays: Arrays, z: str, absent: str, offset: str | None) -> str:
    """Emit passes of conjugate gradients, in double."""
    precision = graph.constant(arrays["precision"])
    missing, zero = graph.add("Cast", absent, to=DOUBLE), graph.constant(0.0)
    against = graph.add("MatMul", z, precision)
    against = graph.add("Add", against, graph.constant(arrays["shift"][:, None, :]))
    if offset is not None:
        against = graph.add("Add", against, offset)
    residual = graph.add("Mul", graph.add("Neg", against), missing)
    step, found, size = residual, None, _size(graph, residual, residual)
    for place in range(int(arrays["passes"].max())):
        moved = graph.add("Mul", graph.add("MatMul", step, precision), missing)
        far = _ratio(graph, size, _size(graph, step, moved), zero)
        if (arrays["passes"] <= place).any():  # folds that need fewer stand still
            goes = (arrays["passes"] > place)[:, None, None]
            far = graph.add("Mul", far, graph.constant(goes, np.float64))
        gone = graph.add("Mul", far, step)
        found = gone if found is None else graph.add("Add", found, gone)
        residual = graph.add("Sub", residual, graph.add("Mul", far, moved))
        left = _size(graph, residual, residual)
        more = graph.add("Mul", _ratio(graph, left, size, zero), step)
        step, size = graph.add("Add", residual, more), left
    return z if found is None else graph.add("Where", absent, found, z)


def _size(graph: Graph, first: str, second: str) -> str:
    """Return sums of products over columns, (F, R, 1)."""
    product = graph.add("Mul", first, second)
    return graph.add("ReduceSum", product, graph.constant([2], np.int64), keepdims=1)


def _ratio(graph: Graph, above: str, below: str, zero: str) -> str:
    """Return above / below, 0 where nothing is left to divide by."""
    there = graph.add("Greater", below, zero)
    safe = graph.add("Where", there, below, graph.constant(1.0))
    return graph.add("Where", there, graph.add("Div", above, safe), zero)


def masked(graph: Graph, arrays: Arrays, z: str, absent: str, offset: str | None) -> str:
    """Emit a residual perceptron in float."""
    h = emit_mish(graph, _entered(graph, arrays, z, absent, offset))
    for layer in range(1, layers(arrays) - 1):
        h = graph.add("Add", h, emit_mish(graph, _layer(graph, arrays, layer, h)))
    return graph.add("Cast", _layer(graph, arrays, layers(arrays) - 1, h), to=DOUBLE)


def gain(graph: Graph, arrays: Arrays, z: str, absent: str, offset: str | None) -> str:
    """Emit a generator in float."""
    h = graph.add("Relu", _entered(graph, arrays, z, absent, offset))
    for layer in range(1, layers(arrays) - 1):
        h = graph.add("Relu", _layer(graph, arrays, layer, h))
    last = graph.add("Sigmoid", _layer(graph, arrays, layers(arrays) - 1, h))
    return graph.add("Cast", last, to=DOUBLE)


def _entered(graph: Graph, arrays: Arrays, z: str, absent: str, offset: str | None) -> str:
    """Emit the first layer: observed values, which are observed, and what categories add."""
    there = graph.add("Cast", graph.add("Not", absent), to=FLOAT)  # (R, n)
    seen = graph.add("Mul", graph.add("Cast", z, to=FLOAT), there)
    alike = graph.add("Expand", there, graph.add("Shape", seen))
    h = _layer(graph, arrays, 0, graph.add("Concat", seen, alike, axis=2))
    return h if offset is None else graph.add("Add", h, offset)


def _layer(graph: Graph, arrays: Arrays, layer: int, h: str) -> str:
    product = graph.add("MatMul", h, graph.constant(arrays[f"w{layer}"], np.float32))
    return graph.add("Add", product, graph.constant(arrays[f"b{layer}"][:, None, :], np.float32))


KINDS: dict[str, Callable[[Graph, Arrays, str, str, str | None], str]] = {
    "mice": linear,
    "masked": masked,
    "gain": gain,
}
