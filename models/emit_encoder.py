"""The encoder as ONNX nodes: typed columns -> scaled numbers, flags and codes, fold by fold.

- The same arithmetic as `models/encode.py`: in float64 up to the clip, float32 from there on.
- Numbers stand upright, (columns, rows): what follows is one product per column.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from models.emit_fill import filled
from models.encode import CLIP, FAR, UNKNOWN
from models.graph import DOUBLE, ML, STRING
from models.scaling import EVEN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from models.encode import Encoder
    from models.graph import Graph


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """Names of encoded values: `scaled` float (F, n, N), `flags` float (F, N, m), codes (N, c).

    Each is None where there is no such column. `codes` are shared codes plus each column's
    offset, that is places in a fold's `known` table.
    """

    scaled: str | None
    flags: str | None
    codes: str | None


def encoder(graph: Graph, source: Encoder, folds: Sequence[int]) -> Encoded:
    """Declare the inputs `numbers` and `categories` and encode them for the given folds."""
    scaled = flags = codes = None
    if source.columns.categories:
        width = len(source.columns.categories)
        codes = _codes(graph, source, graph.input("categories", STRING, ("N", width)))
    if source.columns.numbers:
        width = len(source.columns.numbers)
        numbers = graph.input("numbers", DOUBLE, ("N", width))
        upright = graph.add("Transpose", numbers, perm=[1, 0])
        absent = graph.add("IsNaN", upright)
        whole = _filled(graph, source, folds, numbers, upright, absent, codes)
        scaled = _scaled(graph, source, folds, whole)
        flags = _flags(graph, source, folds, absent)
    return Encoded(scaled=scaled, flags=flags, codes=codes)


def _filled(
    graph: Graph,
    source: Encoder,
    folds: Sequence[int],
    numbers: str,
    upright: str,
    absent: str,
    codes: str | None,
) -> str:
    """Fill missing numbers (N, n), (n, N) upright, by medians or an imputer: double (F, n, N)."""
    if source.filling is None:
        median = array(source.median)[list(folds)][:, :, None]
        return graph.add("Where", absent, graph.constant(median), upright)
    arrays = {name: array(buffer)[list(folds)] for name, buffer in source.filling.named_buffers()}
    if "hint" in arrays:  # of each fold's codes; the graph's are shared by all folds
        starts = np.repeat(array(source.offset), source.sizes)
        own = array(source.known)[list(folds)] + starts
        arrays["hint"] = np.take_along_axis(arrays["hint"], own, axis=1)
    return filled(graph, source.filling.kind, arrays, numbers, codes)


def _scaled(graph: Graph, source: Encoder, folds: Sequence[int], whole: str) -> str:
    """Centre, scale and clip filled numbers smoothly in float64: (F, n, N) -> float."""
    center, factor, least, most = (
        array(getattr(source, name))[list(folds)][:, :, None]
        for name in ("center", "factor", "least", "most")
    )
    if source.limits["clip"]:
        whole = graph.add(
            "Max", graph.add("Min", whole, graph.constant(most)), graph.constant(least)
        )
    moved = graph.add("Sub", whole, graph.constant(center))
    scaled = graph.add("Mul", moved, graph.constant(factor))
    if (factor <= 0).any():  # a constant column: infinity times zero must not become NaN
        scaled = graph.add("Where", graph.constant(factor > 0), scaled, graph.constant(0.0))
    scaled = graph.add("Clip", scaled, graph.constant(-FAR), graph.constant(FAR))
    part = graph.add("Div", scaled, graph.constant(CLIP))
    square = graph.add("Add", graph.add("Mul", part, part), graph.constant(1.0))
    clipped = graph.add("Div", scaled, graph.add("Sqrt", square))
    clipped = graph.add("Cast", clipped, to=1)
    if source.limits["scale"] != "quantile":
        return clipped
    low, gain = (
        array(source.get_buffer(name))[list(folds)][:, :, None, :]
        for name in ("rank_low", "rank_gain")
    )
    return _ranks(graph, clipped, low, gain)


def _ranks(graph: Graph, scaled: str, low: np.ndarray, gain: np.ndarray) -> str:
    """Replace scaled numbers, float (F, n, N), by how far through the train cells they lie."""
    x = graph.add("Unsqueeze", scaled, graph.constant([3], np.int64))
    inside = graph.add("Mul", graph.add("Sub", x, graph.constant(low)), graph.constant(gain))
    bounds = (graph.constant(0.0, np.float32), graph.constant(1.0, np.float32))
    inside = graph.add("Clip", inside, *bounds)
    place = graph.add("ReduceSum", inside, graph.constant([3], np.int64), keepdims=0)
    pieces = (gain > 0).sum(axis=3)
    each = EVEN / np.maximum(pieces, 1)
    moved = graph.add("Mul", place, graph.constant(each, np.float32))
    return graph.add("Sub", moved, graph.constant(EVEN / 2 * (pieces > 0), np.float32))


def _flags(graph: Graph, source: Encoder, folds: Sequence[int], absent: str) -> str | None:
    """Missing indicators (n, N) -> float (F, N, m)."""
    columns = array(source.indicator)
    if not len(columns):
        return None
    lacking = array(source.lacking)[list(folds)][:, columns].astype(np.float32)
    shown = graph.add("Gather", absent, graph.constant(columns, np.int64), axis=0)
    upright = graph.add("Transpose", graph.add("Cast", shown, to=1), perm=[1, 0])
    return graph.add("Mul", upright, graph.constant(lacking[:, None, :]))


def _codes(graph: Graph, source: Encoder, categories: str) -> str:
    """Strings (N, c) -> int64 (N, c): each column's shared codes, moved by its offset."""
    pieces = graph.split(categories, len(source.categories_), axis=1)
    encoded = []
    for piece, column, offset in zip(
        pieces, source.categories_, array(source.offset).tolist(), strict=True
    ):
        codes = column.codes()
        encoded.append(
            graph.add(
                "LabelEncoder",
                piece,
                domain=ML,
                keys_strings=list(codes),
                values_int64s=[offset + code for code in codes.values()],
                default_int64=offset + UNKNOWN,
            )
        )
    return graph.add("Concat", *encoded, axis=1) if len(encoded) > 1 else encoded[0]


def array(tensor: Tensor) -> np.ndarray:
    """Return a tensor's values as numpy."""
    return tensor.detach().cpu().numpy()
