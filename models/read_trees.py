"""From scikit-learn's histogram boosting to `Trees`: nodes, thresholds in numbers' own units, sets.

- There is no public way to a fitted tree's nodes; what is read is checked against the library's
  own predictions wherever it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from models.nested import chains
from models.rungs import constant_scores
from models.trees import Trees

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.boosting import Boosted


def trees_of(folds: Sequence[Boosted], outputs: int) -> Trees:
    """Read the trees of every fold's fit; `outputs` is K, 1 for a value."""
    words = tuple(
        tuple(sorted(set().union(*(fold.levels[j].tolist() for fold in folds))))
        for j in range(len(folds[0].levels))
    )
    reader = _Reader(folds[0].numbers, words)
    base = np.zeros((len(folds), outputs))
    for place, fold in enumerate(folds):
        reader.read(place, fold, base[place])
    return reader.trees(base)


class _Reader:
    """Gathers nodes of many trees into arrays; sets of levels are put in order at the end."""

    def __init__(self, numbers: int, words: Sequence[Sequence[str]]) -> None:
        self.numbers, self.words = numbers, words
        self.nodes: dict[str, list[np.ndarray]] = {
            name: [] for name in ("feature", "threshold", "missing", "left", "right")
        }
        self.values: list[np.ndarray] = []
        self.root: list[int] = []
        self.fold: list[int] = []
        self.output: list[int] = []
        self.inner = self.leaves = 0
        self.visits = 0.0
        self.sets: list[tuple[int, int, np.ndarray]] = []  # node, category, codes that go left

    def read(self, place: int, fold: Boosted, base: np.ndarray) -> None:
        """Take in one fold's trees; where its scores start goes into `base` (K,)."""
        if fold.constant is not None:
            base[:] = fold.constant if len(base) == 1 else constant_scores(fold.constant)
            return
        outputs = _outputs(fold, len(base))
        if len(base) > 1:
            base[:] = -np.inf
            base[np.asarray(fold.model.classes_, dtype=np.int64)] = 0.0
        base[outputs] = fold.model._baseline_prediction.reshape(-1)  # noqa: SLF001 - no public way
        known = [self._known(j, levels) for j, levels in enumerate(fold.levels)]
        for iteration in fold.model._predictors:  # noqa: SLF001
            for output, tree in zip(outputs, iteration, strict=True):
                if tree.nodes["is_leaf"][0]:
                    base[output] += tree.nodes["value"][0]
                else:
                    self._tree(fold, tree, known)
                    self.fold.append(place)
                    self.output.append(int(output))

    def _known(self, column: int, levels: np.ndarray) -> np.ndarray:
        """Return the fold's code of every shared code of a category, -1 where it has none."""
        places = {level: place for place, level in enumerate(levels.tolist())}
        return np.array([-1, *(places.get(word, -1) for word in self.words[column])])

    def _tree(self, fold: Boosted, tree: Any, known: list[np.ndarray]) -> None:
        nodes = tree.nodes
        leaf = nodes["is_leaf"].astype(bool)
        place = np.where(leaf, ~(self.leaves + np.cumsum(leaf) - 1), np.cumsum(~leaf) - 1)
        place = np.where(leaf, place, place + self.inner)
        inner = nodes[~leaf]
        swapped = np.zeros(len(inner), dtype=bool)
        feature, threshold = _numeric(fold, inner)
        for i in np.flatnonzero(inner["is_categorical"]):
            column = int(inner["feature_idx"][i])
            codes = known[column]
            bits = tree.raw_left_cat_bitsets[inner["bitset_idx"][i]]
            member = (bits[codes >> 5] >> (codes & 31).astype(np.uint32)) & 1
            goes = np.where(codes < 0, inner["missing_go_to_left"][i], member).astype(bool)
            swapped[i] = goes[0]  # so that no set holds the unknown: they nest more often
            self.sets.append((self.inner + int(i), column, goes ^ goes[0]))
        left, right = place[inner["left"]], place[inner["right"]]
        self.nodes["feature"].append(feature)
        self.nodes["threshold"].append(threshold)
        self.nodes["missing"].append(inner["missing_go_to_left"].astype(np.uint8))
        self.nodes["left"].append(np.where(swapped, right, left))
        self.nodes["right"].append(np.where(swapped, left, right))
        self.values.append(nodes["value"][leaf])
        self.root.append(int(place[0]))
        self.visits += float(inner["count"].sum() / nodes["count"][0])
        self.inner += len(inner)
        self.leaves += int(leaf.sum())

    def trees(self, base: np.ndarray) -> Trees:
        """Order the sets of levels, and return it all."""
        nodes = {name: np.concatenate([np.zeros(0), *each]) for name, each in self.nodes.items()}
        orders, start = [], self.numbers
        for column, words in enumerate(self.words):
            own = [(node, codes) for node, at, codes in self.sets if at == column]
            chain, step, order = chains([codes for _, codes in own], len(words) + 1)
            for (node, _), c, s in zip(own, chain, step, strict=True):
                nodes["feature"][node], nodes["threshold"][node] = start + c, s
            orders.append(order)
            start += order.shape[1]
        return Trees(
            base=base,
            feature=nodes["feature"].astype(np.int32),
            threshold=nodes["threshold"],
            missing=nodes["missing"].astype(np.uint8),
            left=nodes["left"].astype(np.int32),
            right=nodes["right"].astype(np.int32),
            value=np.concatenate([np.zeros(0), *self.values]),
            root=np.array(self.root, dtype=np.int32),
            fold=np.array(self.fold, dtype=np.int32),
            output=np.array(self.output, dtype=np.int32),
            orders=tuple(orders),
            words=tuple(tuple(words) for words in self.words),
            visits=self.visits,
        )


def _outputs(fold: Boosted, count: int) -> np.ndarray:
    """Return the classes that the trees of one iteration belong to: of two, the second."""
    if count == 1:
        return np.zeros(1, dtype=np.int64)
    present = np.asarray(fold.model.classes_, dtype=np.int64)
    return present[1:] if len(present) == 2 else present


def _numeric(fold: Boosted, inner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return features and thresholds of nodes that ask about numbers, in the numbers' own units.

    The library puts categories first. With `cuts` it saw places among them: `place <= k` is
    `x <= cuts[k]`, and always true from their number on.
    """
    feature = inner["feature_idx"].astype(np.int64) - len(fold.levels)
    threshold = inner["num_threshold"].astype(np.float64)
    if fold.cuts is None:
        return feature, threshold
    for i in np.flatnonzero(inner["is_categorical"] == 0):
        cuts = fold.cuts[feature[i]]
        k = int(np.floor(min(threshold[i], len(cuts))))
        threshold[i] = cuts[k] if k < len(cuts) else np.inf
    return feature, threshold
