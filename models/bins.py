"""Bin edges of one number column for piecewise-linear embeddings (Gorishniy et al., 2022).

- Edges are quantiles, after the weight of every repeated value has been capped: a column that is
  90 % zero still spends its bins on the rest.
- A column with few distinct values gets an edge at each of them.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

SPREAD = 1 << 19  # numbers that the bins of rows come to, which are looked at together
ROUNDS = 8  # of capping; each lowers the cap because the total shrinks


def edges_of(values: np.ndarray, bins: int) -> np.ndarray:
    """Return at most `bins + 1` increasing edges that span the finite `values` (N,).

    A constant or empty column yields two equal edges: a bin of no width, which encodes to zero.
    """
    distinct, counts = np.unique(values[np.isfinite(values)], return_counts=True)
    if len(distinct) < 2 or bins < 1:
        return np.full(2, distinct[0] if len(distinct) else 0.0)
    if len(distinct) <= bins + 1:
        return distinct
    weight = counts.astype(np.float64)
    for _ in range(ROUNDS):
        weight = np.minimum(weight, weight.sum() / bins)
    position = np.cumsum(weight) - weight / 2
    wanted = np.linspace(position[0], position[-1], bins + 1)
    return np.unique(np.interp(wanted, position, distinct))


def laid_out(edges: Sequence[Sequence[np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Lay folds' and columns' edges side by side: lower edges, one over widths, (F, n, B) float32.

    Shorter ones end in bins of no width, which encode to zero.
    """
    longest = max((len(each) for fold in edges for each in fold), default=2)
    padded = [[np.pad(e, (0, longest - len(e)), mode="edge") for e in fold] for fold in edges]
    array = np.asarray(padded, dtype=np.float32).reshape(len(edges), len(edges[0]), longest)
    width = np.diff(array, axis=2)
    gain = np.divide(1.0, width, out=np.zeros_like(width), where=width > 0)
    return array[..., :-1].copy(), gain


def position(values: Tensor, low: Tensor, gain: Tensor) -> Tensor:
    """Values (F, N, n) -> where they lie among their columns' bins, 0..B (F, N, n).

    All bins are looked at, a few rows at a time: what that takes stays in the cache.
    """
    folds, rows, columns = values.shape
    few = max(1, SPREAD // max(columns * low.shape[2], 1))
    found = torch.empty_like(values)
    inside = torch.empty(min(few, rows), columns, low.shape[2], dtype=values.dtype)
    inside = inside.to(values.device)
    for fold, at in product(range(folds), range(0, rows, few)):
        part = values[fold, at : at + few]
        spread = torch.sub(part.unsqueeze(2), low[fold], out=inside[: len(part)])
        spread.mul_(gain[fold]).clamp_(0.0, 1.0)
        torch.sum(spread, dim=2, out=found[fold, at : at + few])
    return found
