"""What columns say of the target, by name: a score for each, 0 where it says nothing.

| name | score |
|---|---|
| `information` | mutual information in nats, numbers in bins, less what chance alone would give |
| `importance` | how much worse boosting answers other rows once the column is shuffled there |

The first looks at columns one by one, the second at what each adds to all others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

BINS = 12  # of a number, at most
LEVELS = 62  # of a category that are looked at one by one, at most; all others are one
FULL = 5  # rows that a pair of bins should hold on average
TREES: dict[str, Any] = {"max_iter": 60, "early_stopping": False, "max_leaf_nodes": 15}
CATEGORIES = 254  # levels that boosting takes
FEWEST = 40  # rows that boosting learns from at least


def information(
    numbers: np.ndarray, codes: np.ndarray, target: np.ndarray, classes: int, _: int
) -> np.ndarray:
    """Return mutual information (n + c,), less its bias (Miller and Madow), at least 0."""
    pairs = len(target) / FULL
    bins = int(np.clip(pairs**0.5, 2, BINS))
    truth = target.astype(np.int64) if classes else _bins(target, bins)
    wide = int(truth.max(initial=0)) + 1
    columns = [_bins(column, bins) for column in numbers.T]
    columns += [_common(column, int(np.clip(pairs / wide, 1, LEVELS))) for column in codes.T]
    return np.array([_shared(column, truth) for column in columns])


def _shared(cells: np.ndarray, truth: np.ndarray) -> float:
    """Return the mutual information of two columns of small codes, less its bias."""
    wide = int(truth.max(initial=0)) + 1
    table = np.bincount(cells * wide + truth).astype(np.float64)
    table = np.pad(table, (0, -len(table) % wide)).reshape(-1, wide)
    total = table.sum()
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    there = table > 0
    expected = np.outer(rows, columns) / total
    nats = float((table[there] * np.log(table[there] / expected[there])).sum() / total)
    free = ((rows > 0).sum() - 1) * ((columns > 0).sum() - 1)
    return max(nats - free / (2 * total), 0.0)


def _bins(column: np.ndarray, bins: int) -> np.ndarray:
    """Return the bin of every cell, between quantiles; missing ones have a bin of their own."""
    cells = np.where(np.isinf(column), np.nan, column)
    there = ~np.isnan(cells)
    if not there.any():
        return np.zeros(len(cells), dtype=np.int64)
    edges = np.unique(np.quantile(cells[there], np.linspace(0, 1, bins + 1)[1:-1]))
    place = np.searchsorted(edges, cells, side="right")
    return np.where(there, place, len(edges) + 1)


def _common(column: np.ndarray, most: int) -> np.ndarray:
    """Return codes by how common they are; the rare ones share the last."""
    _, code, counts = np.unique(column, return_inverse=True, return_counts=True)
    place = np.empty(len(counts), dtype=np.int64)
    place[np.argsort(-counts, kind="stable")] = np.arange(len(counts))
    return np.minimum(place[code], most)


def importance(
    numbers: np.ndarray, codes: np.ndarray, target: np.ndarray, classes: int, seed: int
) -> np.ndarray:
    """Return by how much the loss of held rows rises when a column is shuffled, at least 0.

    Boosting learns from two thirds of the rows; the others are held. A column that no tree asks
    for has 0.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    columns = numbers.shape[1] + codes.shape[1]
    learn = np.arange(len(target)) % 3 != 0
    if learn.sum() < FEWEST or len(np.unique(target[learn])) < 2:
        return np.zeros(columns)
    levels = [_common(column, CATEGORIES)[:, None] for column in codes.T]
    # Categories first, as boosting puts them itself.
    table = np.concatenate([*levels, np.where(np.isinf(numbers), np.nan, numbers)], axis=1)
    kind = HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
    which = np.arange(columns) < codes.shape[1]
    model: Any = kind(**TREES, random_state=seed % 2**32, categorical_features=which)
    truth = target if classes else target / (float(target.std()) or 1.0)
    out, random = np.zeros(columns), np.random.default_rng(seed)
    with threadpool_limits(limits=1):
        model.fit(table[learn], truth[learn])
        held, wanted = table[~learn], truth[~learn]
        before = _loss(model, held, wanted, classes)
        for j in sorted(_asked(model)):
            spoilt = held.copy()
            spoilt[:, j] = random.permutation(held[:, j])
            out[j] = max(_loss(model, spoilt, wanted, classes) - before, 0.0)
    return np.roll(out, -codes.shape[1])


def _loss(model: Any, table: np.ndarray, wanted: np.ndarray, classes: int) -> float:
    if not classes:
        return float(((model.predict(table) - wanted) ** 2).mean())
    shares = np.full((len(wanted), classes), 1e-6)
    shares[:, model.classes_.astype(np.int64)] = model.predict_proba(table)
    own = shares[np.arange(len(wanted)), wanted.astype(np.int64)]
    return float(-np.log(np.maximum(own, 1e-6)).mean())


def _asked(model: Any) -> set[int]:
    """Return the columns that any tree asks for."""
    nodes = [each.nodes for trees in model._predictors for each in trees]  # noqa: SLF001
    return {int(j) for own in nodes for j in own["feature_idx"][own["is_leaf"] == 0]}


MEASURES: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray, int, int], np.ndarray]] = {
    "information": information,
    "importance": importance,
}
"""Numbers (M, n), codes (M, c), target (M,), classes, seed -> scores (n + c,)."""
