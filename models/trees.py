"""Gradient boosting as plain arrays: the trees of every fold, one kind of question in all of them.

- A node asks `x <= threshold` in float64; a missing number goes the way its node says. Quantile
  bins that a weighted fit was made on are translated back into numbers.
- A question about a category ("one of these levels?") becomes one about a number too: levels get
  places in an order along which sets that contain each other are nested, so that a few such
  columns serve all of the sets (a chain decomposition of what is contained in what).
- A level that a fold does not know, or a missing one, goes the way of the missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from models.rungs import BLOCK, codes_of, columns_of

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class Trees:
    """The trees of all folds.

    Features are the n numbers, then one for each column of each category's `orders` (codes, o):
    the places of the levels. Children and roots that are negative are leaves: ~place.

    Attributes:
        base: (F, K) where a fold's scores start, K 1 for a value.
        feature, threshold, missing, left, right: (M,) of inner nodes; missing 1 = goes left.
        value: (L,) of leaves.
        root, fold, output: (T,) of trees.
        orders: per category, the places of its codes along every order.
        words: per category, the levels that codes 1.. stand for.
        visits: inner nodes that a row passes on average.
    """

    base: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    missing: np.ndarray
    left: np.ndarray
    right: np.ndarray
    value: np.ndarray
    root: np.ndarray
    fold: np.ndarray
    output: np.ndarray
    orders: tuple[np.ndarray, ...]
    words: tuple[tuple[str, ...], ...]
    visits: float
    kind = "trees"
    products = 0

    @property
    def widest(self) -> int:
        """The most activations of one row at a time."""
        return sum(order.shape[1] for order in self.orders) + self.base.size

    def features(self, numbers: np.ndarray, categories: np.ndarray) -> np.ndarray:
        """Return what trees ask about, (N, n + orders)."""
        codes = codes_of(categories, self.words)
        placed = [order[codes[:, j]] for j, order in enumerate(self.orders)]
        return np.concatenate([numbers, *placed], axis=1)

    def scores(self, numbers: np.ndarray, categories: np.ndarray) -> np.ndarray:
        """Numbers (N, n), categories (N, c) of str -> raw scores (F, N, K), K 1 for a value."""
        folds, outputs = self.base.shape
        asked = self.features(numbers, categories)
        spread = np.zeros((len(self.root), folds * outputs))
        spread[np.arange(len(self.root)), self.fold * outputs + self.output] = 1.0
        size = max(1, BLOCK // max(1, len(self.root)))
        parts = [
            self._leaves(asked[start : start + size]) @ spread
            for start in range(0, len(asked), size)
        ]
        sums = np.concatenate(parts) if parts else np.zeros((0, folds * outputs))
        return sums.reshape(-1, folds, outputs).transpose(1, 0, 2) + self.base[:, None, :]

    def _leaves(self, asked: np.ndarray) -> np.ndarray:
        """Return the leaf values (N, T) of rows."""
        at = np.repeat(self.root[None].astype(np.int64), len(asked), axis=0)
        while (inner := at >= 0).any():
            node = at[inner]
            x = asked[np.nonzero(inner)[0], self.feature[node]]
            left = np.where(np.isnan(x), self.missing[node] > 0, x <= self.threshold[node])
            at[inner] = np.where(left, self.left[node], self.right[node])
        return self.value[~at]

    def tensors(self) -> dict[str, np.ndarray]:
        """Return the arrays that `restore` needs."""
        arrays = {name: getattr(self, name) for name in ARRAYS}
        return arrays | {f"orders.{j}": order for j, order in enumerate(self.orders)}

    def describe(self) -> dict[str, Any]:
        """Return the rest of what `restore` needs, as JSON."""
        return {"kind": self.kind, "visits": self.visits, "words": [list(w) for w in self.words]}

    @classmethod
    def restore(cls, described: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> Trees:
        """Rebuild the trees from `describe()` and `tensors()`."""
        return cls(
            **{name: tensors[name] for name in ARRAYS},
            orders=columns_of(tensors, "orders"),
            words=tuple(tuple(words) for words in described["words"]),
            visits=described["visits"],
        )


ARRAYS = (
    "base", "feature", "threshold", "missing", "left", "right", "value", "root", "fold", "output",
)  # fmt: skip
