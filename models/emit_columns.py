"""Embeddings and the first layer as ONNX nodes, the same for every family.

- Axes are (F folds, S members of each fold, H heads, N rows, units); a fold's encoding is made
  once for all of its members, an embedding once for all heads of a member.
- What is constant before the first hidden layer (where a number's curve starts) is multiplied into
  that layer's bias in float64, and so are feature masks into its weight.
- Heads' scales stand beside the weight, not multiplied into it: the file stays small, and the
  runtime multiplies them once, when it loads the graph.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from models.emit_encoder import array

if TYPE_CHECKING:
    from models.emit_encoder import Encoded
    from models.encode import Encoder
    from models.graph import Graph
    from models.population import Population


class Members:
    """Parameters of the chosen members as float64 arrays with leading axes (F, S).

    Hidden layers are cut to the widest of them: what only fills others up is not served.
    """

    def __init__(self, population: Population, grid: np.ndarray) -> None:
        """Take the members at `grid` (F, S); ValueError where a row of it mixes folds."""
        self.fold = array(population.fold)[grid]
        if (self.fold != self.fold[:, :1]).any():
            message = f"members of one row must share a fold, however: {self.fold.tolist()}"
            raise ValueError(message)
        self.population, self.grid, self.net = population, grid, population.net
        self.shape, self.config = population.shape, population.config
        self.tensors = dict(self.net.named_parameters())
        chosen = [population.members[place] for place in grid.reshape(-1)]
        self.width = max(self.config.width if m.width is None else m.width for m in chosen)

    def get(self, name: str) -> np.ndarray:
        """Return a parameter of the network for the grid: (F, S, ...)."""
        return array(self.tensors[name]).astype(np.float64)[self.grid]

    def layer(self, place: int) -> tuple[np.ndarray, np.ndarray]:
        """Return weight (F, S, in, out) and bias (F, S, 1, out) of a hidden layer."""
        weight, bias = self.get(f"hidden.{2 * place}"), self.get(f"hidden.{2 * place + 1}")
        if place:
            weight = weight[:, :, : self.width]
        return weight[..., : self.width], bias[..., : self.width]

    def last(self) -> tuple[np.ndarray, np.ndarray]:
        """Return weight (F, S, H, width, K) and bias (F, S, H, 1, K) of the outputs."""
        axes = (*self.grid.shape, self.net.heads)
        weight, bias = self.get("last"), self.get("last_bias")
        weight = weight.reshape(*axes, *weight.shape[-2:])
        return weight[..., : self.width, :], bias.reshape(*axes, *bias.shape[-2:])


@dataclass(frozen=True, kw_only=True)
class _First:
    """The first layer's weights by what they multiply, (F, S, 1, in, out), and heads' scales of it.

    `scales` are (F, S, H, in, 1), None where all heads (one) read the inputs as they are.
    """

    weights: dict[str, np.ndarray]
    scales: dict[str, np.ndarray] | None
    bias: np.ndarray  # (F, S, H, 1, out)


def first_layer(graph: Graph, encoded: Encoded, source: Encoder, net: Members) -> str:
    """Embed what is encoded and multiply: the first hidden layer before its activation.

    Returns (F, S, H, N, width).
    """
    found = _split(net)
    inputs: dict[str, str] = {}
    if encoded.scaled is not None:
        if net.config.embedding == "piecewise":
            inputs["embedded"] = _piecewise(graph, encoded.scaled, source, net)
        elif net.config.embedding == "periodic":
            inputs["embedded"] = _periodic(graph, encoded.scaled, net)
        inputs["plain"] = _plain(graph, encoded)
    if encoded.codes is not None:
        inputs["levels"] = _levels(graph, encoded.codes, source, net)
    terms = []
    for name, value in inputs.items():
        weight = graph.constant(found.weights[name], np.float32)
        if found.scales is not None:
            scale = graph.constant(found.scales[name], np.float32)
            weight = graph.add("Mul", scale, weight)
        terms.append(graph.add("MatMul", value, weight))
    hidden = graph.constant(found.bias, np.float32)
    for term in terms:
        hidden = graph.add("Add", term, hidden)
    return hidden


def _split(net: Members) -> _First:
    """Split the first layer by its inputs; multiply into it what is constant or linear before it."""
    n, m = net.shape.numbers, net.shape.indicators
    weight, bias = net.layer(0)
    bias = bias[:, :, None]
    features = net.population.features
    if features is not None:
        weight = weight * array(net.net.spread(features)).astype(np.float64)[net.grid][..., None]
    scales = net.get("scales") if "scales" in net.tensors else None  # (F, S, H, I)

    def parts(units: np.ndarray) -> dict[str, np.ndarray]:
        cuts = [n + m, n + m + net.config.embedded(net.shape)]
        plain, embedded, levels = np.split(units, cuts, axis=3)
        return {"plain": plain, "embedded": embedded, "levels": levels}

    weights = parts(weight[:, :, None])
    by_head = None if scales is None else parts(scales[..., None])
    if n and net.config.embedding == "piecewise":
        # A curve starts at its first bin: a constant, which belongs to the bias.
        start = net.get("bins")[:, :, :, 0].reshape(*net.grid.shape, 1, 1, -1)
        if by_head is not None:
            start = start * by_head["embedded"].swapaxes(3, 4)
        bias = bias + start @ weights["embedded"]
    return _First(weights=weights, scales=by_head, bias=bias)


def _plain(graph: Graph, encoded: Encoded) -> str:
    """What enters the first layer as it is, float (F, 1, 1, N, n + m): numbers and indicators."""
    base = graph.add("Transpose", encoded.scaled or "", perm=[0, 2, 1])
    if encoded.flags is not None:
        base = graph.add("Concat", base, encoded.flags, axis=2)
    return graph.add("Unsqueeze", base, graph.constant([1, 2], np.int64))


def _piecewise(graph: Graph, scaled: str, source: Encoder, net: Members) -> str:
    """Piecewise-linear embedding without its start: float (F, n, N) -> (F, S, 1, N, n * d).

    Here the dense encoding of Gorishniy et al. (2022), a product; training looks values up.
    """
    folds, members = net.grid.shape
    n, d = net.shape.numbers, net.config.number_size
    x = graph.add("Unsqueeze", scaled, graph.constant([3], np.int64))
    low, gain = (
        array(getattr(source, name)).astype(np.float32)[net.fold[:, 0], :, None, :]
        for name in ("low", "gain")
    )
    code = graph.add("Mul", graph.add("Sub", x, graph.constant(low)), graph.constant(gain))
    code = graph.add("Clip", code, graph.constant(0.0, np.float32), graph.constant(1.0, np.float32))
    # Members of a fold read the same code, so their matrices stand side by side: one product.
    bins = net.get("bins")[:, :, :, 1:].transpose(0, 2, 3, 1, 4).reshape(folds, n, -1, members * d)
    out = graph.add("MatMul", code, graph.constant(bins, np.float32))
    out = graph.reshape(out, folds, n, -1, members, d)
    out = graph.add("Transpose", out, perm=[0, 3, 2, 1, 4])
    return graph.reshape(out, folds, members, 1, -1, n * d)


def _periodic(graph: Graph, scaled: str, net: Members) -> str:
    """Periodic embedding: float (F, n, N) -> (F, S, 1, N, n * d)."""
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
    return graph.reshape(out, folds, members, 1, -1, n * d)


def _levels(graph: Graph, codes: str, source: Encoder, net: Members) -> str:
    """Category embedding: int64 (N, c) -> float (F, S, 1, N, c * d).

    The fold's map from shared codes to its own is applied to the table, once, at export.
    """
    folds, members = net.grid.shape
    columns, d = len(net.shape.levels), net.config.category_size
    known = array(source.known)[net.fold[:, 0]]
    starts = np.repeat(array(source.offset), net.shape.levels)
    rows = known + starts
    tables = net.get("levels").transpose(0, 2, 1, 3)  # (F, T, S, d)
    table = np.stack([each[row] for each, row in zip(tables, rows, strict=True)])
    table = table.reshape(folds, -1, members * d)
    found = graph.add("Gather", graph.constant(table, np.float32), codes, axis=1)
    found = graph.reshape(found, folds, -1, columns, members, d)
    found = graph.add("Transpose", found, perm=[0, 3, 1, 2, 4])
    return graph.reshape(found, folds, members, 1, -1, columns * d)
