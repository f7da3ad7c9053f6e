"""The encoder as ONNX nodes: typed columns -> scaled numbers, flags and codes, fold by fold.

- The same arithmetic as `models/encoding.py`; what becomes of filled numbers is in
  `emit_numbers.py`.
- Numbers stand upright, (columns, rows): what follows is one product per column.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from models.emit_fill import filled
from models.emit_numbers import entering
from models.graph import DOUBLE, ML, STRING
from models.levels import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from models.encode import Encoder
    from models.graph import Graph


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """Names of encoded values: `scaled` float (F, v, N), `flags` float (F, N, m), codes (N, c).

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
        scaled = entering(graph, source, folds, whole)
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
