"""Which columns a fold reads: chosen by its train rows alone, and recorded with the reason.

- A dropped column stays an input of the graph and says nothing there: its factor is 0, its levels
  are unknown.
- Of two numbers that move together the later one goes; of many columns those stay that share most
  information with the target.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

ROWS = 5_000  # looked at for mutual information


def correlated(numbers: np.ndarray, *, most: float) -> dict[int, str]:
    """Return number columns (N, n) to drop, each with its reason.

    Missing cells count as the column's mean, which only lowers a correlation.
    """
    there = np.isfinite(numbers)
    held = np.where(there, numbers, np.nan)
    low = np.nanmin(np.where(there.any(axis=0), held, 0.0), axis=0, initial=np.inf)
    z = np.where(there, held - low, 0.0)
    counts = np.maximum(there.sum(axis=0), 1)
    z = np.where(there, z - z.sum(axis=0) / counts, 0.0)
    width = np.sqrt((z * z).sum(axis=0))
    z = np.divide(z, width, out=np.zeros_like(z), where=(width > 0) & np.isfinite(width))
    alike = np.abs(z.T @ z)
    dropped: dict[int, str] = {}
    for j in range(1, len(alike)):
        others = [i for i in range(j) if i not in dropped]
        if others:
            nearest = others[int(np.argmax(alike[j, others]))]
            if alike[j, nearest] >= most:
                dropped[j] = f"moves with column {nearest}, correlation {alike[j, nearest]:.4f}"
    return dropped


def informed(
    numbers: np.ndarray,
    codes: np.ndarray,
    target: np.ndarray,
    *,
    classes: int,
    kept: int,
    seed: int,
    without: Sequence[int] = (),
) -> dict[int, str]:
    """Return columns to drop, numbers (N, n) first, then categories (N, c), each with its reason.

    The `kept` columns stay that share most information with the target; those in `without` have
    gone already.
    """
    from sklearn.feature_selection import mutual_info_classif, mutual_info_regression

    columns = numbers.shape[1] + codes.shape[1]
    if columns - len(without) <= kept:
        return {}
    rows = np.random.default_rng(seed).permutation(len(target))[:ROWS]
    block = np.where(np.isfinite(numbers[rows]), numbers[rows], np.nan)
    middle = [np.median(c[~np.isnan(c)]) if not np.isnan(c).all() else 0.0 for c in block.T]
    block = np.where(np.isnan(block), np.array(middle), block)
    table = np.concatenate([block, codes[rows]], axis=1)
    discrete = np.arange(columns) >= numbers.shape[1]
    measure = mutual_info_classif if classes else mutual_info_regression
    shared = measure(table, target[rows], discrete_features=discrete, random_state=seed % 2**32)
    order = [int(j) for j in np.argsort(-shared, kind="stable") if int(j) not in without]
    return {
        j: f"shares {shared[j]:.4f} nats with the target, among the least" for j in order[kept:]
    }
