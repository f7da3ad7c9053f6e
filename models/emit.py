"""Encoder and networks as ONNX nodes: the same arithmetic as the torch modules, for serving.

- Axes are (F folds, S members of each fold, N rows, units); a fold's encoding is made once for
  all of its members.
- What is constant before the first hidden layer (where a number's curve starts) is multiplied into
  that layer's bias in float64.
- A network family is written here and in `networks.py`; the parity tests hold the two together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from models.encode import CLIP, FAR, FIRST_LEVEL, MISSING, UNKNOWN
from models.graph import DOUBLE, ML, STRING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from models.encode import Encoder
    from models.graph import Graph
    from models.population import Population


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
        _array(getattr(source, name))[list(folds)][:, :, None]
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
    columns = _array(source.indicator)
    if not len(columns):
        return None
    lacking = _array(source.lacking)[list(folds)][:, columns].astype(np.float32)
    shown = graph.add("Gather", absent, graph.constant(columns, np.int64), axis=0)
    upright = graph.add("Transpose", graph.add("Cast", shown, to=1), perm=[1, 0])
    return graph.add("Mul", upright, graph.constant(lacking[:, None, :]))


def _codes(graph: Graph, source: Encoder, categories: str) -> str:
    """Strings (N, c) -> int64 (N, c): each column's shared codes, moved by its offset."""
    pieces = graph.split(categories, len(source.vocabulary_), axis=1)
    offsets = _array(source.offset).tolist()
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


def mlp(
    graph: Graph, encoded: Encoded, source: Encoder, population: Population, grid: np.ndarray
) -> str:
    """Emit the `mlp` family; `grid` (F, S) holds population indices. Returns logits (F, S, N, K).

    Raises ValueError where the grid mixes folds in one row.
    """
    net = _Members(population, grid)
    first, *others = net.layers()
    terms = []
    sums = net.linear(first)
    if encoded.scaled is not None:
        embed = _piecewise if net.embedding == "piecewise" else _periodic
        terms.append(
            graph.add(
                "MatMul", embed(graph, encoded.scaled, source, net), graph.constant(sums.embedded)
            )
        )
        terms.append(graph.add("MatMul", _base(graph, encoded), graph.constant(sums.linear)))
    if encoded.codes is not None:
        terms.append(
            graph.add(
                "MatMul", _levels(graph, encoded.codes, source, net), graph.constant(sums.levels)
            )
        )
    terms.append(graph.constant(sums.bias))
    hidden = terms[0]
    for term in terms[1:]:
        hidden = graph.add("Add", hidden, term)
    for weight, bias in others:
        hidden = graph.add("Relu", hidden)
        product = graph.add("MatMul", hidden, graph.constant(weight, np.float32))
        hidden = graph.add("Add", product, graph.constant(bias, np.float32))
    return hidden


EMITTERS: dict[str, Callable[[Graph, Encoded, Encoder, Population, np.ndarray], str]] = {
    "mlp": mlp,
}


@dataclass(frozen=True, kw_only=True)
class _First:
    """The first layer's weights by what they multiply, float32, each (F, S, in, out)."""

    embedded: np.ndarray
    linear: np.ndarray
    levels: np.ndarray
    bias: np.ndarray


class _Members:
    """Parameters of the chosen members as float64 arrays with leading axes (F, S)."""

    def __init__(self, population: Population, grid: np.ndarray) -> None:
        self.fold = _array(population.fold)[grid]
        if (self.fold != self.fold[:, :1]).any():
            message = f"members of one row must share a fold, however: {self.fold.tolist()}"
            raise ValueError(message)
        self.population, self.grid = population, grid
        self.embedding = population.config.embedding
        self.shape, self.config = population.shape, population.config

    def get(self, name: str) -> np.ndarray:
        """Return a parameter or buffer of the network for the grid: (F, S, ...)."""
        found = dict(self.population.net.named_parameters())[name]
        return _array(found).astype(np.float64)[self.grid]

    def layers(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return (weight, bias) of every layer, the last included."""
        count = len(self.population.net.hidden) // 2
        pairs = [
            (self.get(f"hidden.{2 * i}"), self.get(f"hidden.{2 * i + 1}")) for i in range(count)
        ]
        return [*pairs, (self.get("last"), self.get("last_bias"))]

    def linear(self, first: tuple[np.ndarray, np.ndarray]) -> _First:
        """Split the first layer by its inputs and multiply what is linear before it into it."""
        weight, bias = first
        n, d, m = self.shape.numbers, self.config.number_size, self.shape.indicators
        features: Any = self.population.features
        if features is not None:
            spread = self.population.net._spread(features)  # noqa: SLF001 - one family, two files
            weight = weight * _array(spread).astype(np.float64)[self.grid][..., None]
        linear, embedded, levels = np.split(weight, [n + m, n + m + n * d], axis=2)
        if n and self.embedding == "piecewise":
            # A curve starts at its first bin: a constant, which belongs to the bias.
            start = self.get("bins")[:, :, :, 0].reshape(*self.grid.shape, 1, n * d)
            bias = bias + start @ embedded
        parts = (embedded, linear, levels, bias)
        return _First(
            **dict(zip(_First.__annotations__, (p.astype(np.float32) for p in parts), strict=True))
        )


def _base(graph: Graph, encoded: Encoded) -> str:
    """What enters the first layer as it is, float (F, 1, N, n + m): numbers and indicators."""
    base = graph.add("Transpose", encoded.scaled or "", perm=[0, 2, 1])
    if encoded.flags is not None:
        base = graph.add("Concat", base, encoded.flags, axis=2)
    return graph.add("Unsqueeze", base, graph.constant([1], np.int64))


def _piecewise(graph: Graph, scaled: str, source: Encoder, net: _Members) -> str:
    """Piecewise-linear embedding without its start: float (F, n, N) -> (F, S, N, n * d).

    Here the dense encoding of Gorishniy et al. (2022), a product; training looks values up.
    """
    folds, members = net.grid.shape
    n, d = net.shape.numbers, net.config.number_size
    x = graph.add("Unsqueeze", scaled, graph.constant([3], np.int64))
    low, gain = (
        _array(getattr(source, name)).astype(np.float32)[net.fold[:, 0], :, None, :]
        for name in ("low", "gain")
    )
    code = graph.add("Mul", graph.add("Sub", x, graph.constant(low)), graph.constant(gain))
    code = graph.add("Clip", code, graph.constant(0.0, np.float32), graph.constant(1.0, np.float32))
    # Members of a fold read the same code, so their matrices stand side by side: one product.
    bins = net.get("bins")[:, :, :, 1:].transpose(0, 2, 3, 1, 4).reshape(folds, n, -1, members * d)
    out = graph.add("MatMul", code, graph.constant(bins, np.float32))
    out = graph.reshape(out, folds, n, -1, members, d)
    out = graph.add("Transpose", out, perm=[0, 3, 2, 1, 4])
    return graph.reshape(out, folds, members, -1, n * d)


def _periodic(graph: Graph, scaled: str, _: Encoder, net: _Members) -> str:
    """Periodic embedding: float (F, n, N) -> (F, S, N, n * d)."""
    folds, members = net.grid.shape
    n, d = net.shape.numbers, net.config.number_size
    x = graph.reshape(scaled, folds, 1, n, -1, 1)
    turns = (2.0 * np.pi * net.get("frequencies"))[:, :, :, None, :]
    angle = graph.add("Mul", x, graph.constant(turns, np.float32))
    waves = graph.add("Concat", graph.add("Cos", angle), graph.add("Sin", angle), axis=4)
    out = graph.add("MatMul", waves, graph.constant(net.get("waves"), np.float32))
    shift = graph.constant(net.get("wave_bias"), np.float32)
    out = graph.add("Relu", graph.add("Add", out, shift))
    out = graph.add("Transpose", out, perm=[0, 1, 3, 2, 4])
    return graph.reshape(out, folds, members, -1, n * d)


def _levels(graph: Graph, codes: str, source: Encoder, net: _Members) -> str:
    """Category embedding: int64 (N, c) -> float (F, S, N, c * d).

    The fold's map from shared codes to its own is applied to the table, once, at export.
    """
    folds, members = net.grid.shape
    columns, d = len(net.shape.levels), net.config.category_size
    known = _array(source.known)[net.fold[:, 0]]
    starts = np.repeat(_array(source.offset), net.shape.levels)
    rows = known + starts
    tables = net.get("levels").transpose(0, 2, 1, 3)  # (F, T, S, d)
    table = np.stack([each[row] for each, row in zip(tables, rows, strict=True)])
    table = table.reshape(folds, -1, members * d)
    found = graph.add("Gather", graph.constant(table, np.float32), codes, axis=1)
    found = graph.reshape(found, folds, -1, columns, members, d)
    found = graph.add("Transpose", found, perm=[0, 3, 1, 2, 4])
    return graph.reshape(found, folds, members, -1, columns * d)


def _array(tensor: Tensor) -> np.ndarray:
    """Return a tensor's values as numpy."""
    return tensor.detach().cpu().numpy()
