"""Bin edges of one number column for piecewise-linear embeddings (Gorishniy et al., 2022).

- Edges are quantiles, after the weight of every repeated value has been capped: a column that is
  90 % zero still spends its bins on the rest.
- A column with few distinct values gets an edge at each of them.
"""

from __future__ import annotations

import numpy as np

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
