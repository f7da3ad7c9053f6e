"""The encoder as ONNX nodes: typed columns -> scaled numbers, flags and codes, fold by fold.

- The same arithmetic as `models/encode.py`: in float64 up to the clip, float32 from there on.
- Numbers stand upright, (columns, rows): what follows is one product per column.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from models.encode import CLIP, FAR, FIRST_LEVEL, MISSING, UNKNOWN
from models.graph import DOUBLE, ML, STRING

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
    if source.columns.numbers:
        width = len(source.columns.numbers)
        numbers = graph.input("numbers", DOUBLE, ("N", width))
        upright = graph.add("Transpose", numbers, perm=[1, 0])
        absent = graph.add("IsNaN", upright)
        scaled = _scaled(graph, source, folds, upright, absent)
        flags = _flags(graph, source, folds, absent)
    if source.columns.categories:
        width = len(source.columns.categories)
        codes = _codes(graph, source, graph.input("categories", STRING, ("N", width)))
    return Encoded(scaled=scaled, flags=flags, codes=codes)


def _scaled(graph: Graph, source: Encoder, folds: Sequence[int], numbers: str, absent: str) -> str:
    """Fill, centre, scale and clip smoothly in float64: (n, N) -> float (F, n, N)."""
    median, center, factor = (
        array(getattr(source, name))[list(folds)][:, :, None]
        for name in ("median", "center", "factor")
    )
    filled = graph.add("Where", absent, graph.constant(median), numbers)
    moved = graph.add("Sub", filled, graph.constant(center))
    scaled = graph.add("Mul", moved, graph.constant(factor))
    if (factor <= 0).any():  # a constant column: infinity times zero must not become NaN
        scaled = graph.add("Where", graph.constant(factor > 0), scaled, graph.constant(0.0))
    scaled = graph.add("Clip", scaled, graph.constant(-FAR), graph.constant(FAR))
    part = graph.add("Div", scaled, graph.constant(CLIP))
    square = graph.add("Add", graph.add("Mul", part, part), graph.constant(1.0))
    clipped = graph.add("Div", scaled, graph.add("Sqrt", square))
    return graph.add("Cast", clipped, to=1)


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
    pieces = graph.split(categories, len(source.vocabulary_), axis=1)
    offsets = array(source.offset).tolist()
    encoded = [
        graph.add(
            "LabelEncoder",
            piece,
            domain=ML,
            keys_strings=["", *words],
            values_int64s=[
                offset + MISSING,
                *range(offset + FIRST_LEVEL, offset + FIRST_LEVEL + len(words)),
            ],
            default_int64=offset + UNKNOWN,
        )
        for piece, words, offset in zip(pieces, source.vocabulary_, offsets, strict=True)
    ]
    return graph.add("Concat", *encoded, axis=1) if len(encoded) > 1 else encoded[0]


def array(tensor: Tensor) -> np.ndarray:
    """Return a tensor's values as numpy."""
    return tensor.detach().cpu().numpy()
