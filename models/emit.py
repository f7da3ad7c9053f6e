"""Networks as ONNX nodes: the same arithmetic as the torch modules, for serving.

- Axes are (F folds, S members of each fold, H heads, N rows, units).
- A family is one function here and one file beside `networks.py`; the parity tests hold the two
  together. What families share is in `emit_encoder.py` and `emit_columns.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from models.emit_columns import Members, first_layer
from models.emit_encoder import Encoded, encoder
from models.mish import emit_mish

if TYPE_CHECKING:
    from collections.abc import Callable

    from models.encode import Encoder
    from models.graph import Graph
    from models.population import Population

__all__ = ["EMITTERS", "Encoded", "encoder", "mlp", "tabm"]


def mlp(
    graph: Graph, encoded: Encoded, source: Encoder, population: Population, grid: np.ndarray
) -> str:
    """Emit the `mlp` family; `grid` (F, S) holds population indices.

    Returns raw outputs (F, S, 1, N, K). Raises ValueError where the grid mixes folds in one row.
    """
    net = Members(population, grid)
    hidden = _hidden(graph, first_layer(graph, encoded, source, net), net)
    return _layer(graph, hidden, *net.last())


def tabm(
    graph: Graph, encoded: Encoded, source: Encoder, population: Population, grid: np.ndarray
) -> str:
    """Emit the `tabm` family; `grid` (F, S) holds population indices.

    Returns raw outputs (F, S, H, N, K). Raises ValueError where the grid mixes folds in one row.
    """
    net = Members(population, grid)
    hidden = _hidden(graph, first_layer(graph, encoded, source, net), net)
    return _layer(graph, hidden, *net.last())


EMITTERS: dict[str, Callable[[Graph, Encoded, Encoder, Population, np.ndarray], str]] = {
    "mlp": mlp,
    "tabm": tabm,
}


def _hidden(graph: Graph, first: str, net: Members) -> str:
    """Finish the hidden layers, which all heads share: (F, S, H, N, width), the same shape."""
    folds, members = net.grid.shape
    hidden = _active(graph, first, net.config.activation)
    if net.config.depth == 1:
        return hidden
    hidden = graph.reshape(hidden, folds, members, -1, net.width)  # all heads' rows: one product
    for place in range(1, net.config.depth):
        hidden = _active(graph, _layer(graph, hidden, *net.layer(place)), net.config.activation)
    return graph.reshape(hidden, folds, members, net.net.heads, -1, net.width)


def _layer(graph: Graph, value: str, weight: np.ndarray, bias: np.ndarray) -> str:
    product = graph.add("MatMul", value, graph.constant(weight, np.float32))
    return graph.add("Add", product, graph.constant(bias, np.float32))


def _active(graph: Graph, value: str, activation: str) -> str:
    """Apply an activation of `mlp.ACTIVATIONS`, by operators that every runtime has."""
    if activation == "relu":
        return graph.add("Relu", value)
    if activation == "selu":
        return graph.add("Selu", value)
    if activation == "silu":
        return graph.add("Mul", value, graph.add("Sigmoid", value))
    if activation == "mish":
        return emit_mish(graph, value)
    msg = f"activation must be relu, selu, silu or mish, however: {activation!r}"
    raise ValueError(msg)
