"""Whether test rows are drawn from where train rows are: a classifier that tries to tell them apart.

- Adversarial validation: the area under the ROC curve, cross-fitted over two halves, of boosted trees
  that are asked which rows are test rows; 0.5 is what a random split gives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from expectations.leaks import Leak, named

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LEAST = 30
TOLD = 0.6  # an area from which it is said
TOLD_GROUPS = 0.9  # where whole groups were split, they differ a little by themselves
ERRORS = 3.0
ROUNDS = 60


def told_apart(table: np.ndarray, test: np.ndarray, *, seed: int = 0) -> tuple[float, float] | None:
    """Return the area and its standard error of telling test rows (bool, n) by float64 (n, p).

    None where there are too few rows on a side.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier

    sides = int(test.sum()), int((~test).sum())
    if min(sides) < LEAST or not table.shape[1]:
        return None
    half = np.zeros(len(test), bool)
    random = np.random.default_rng(seed)
    for side in (test, ~test):
        rows = random.permutation(np.flatnonzero(side))
        half[rows[: len(rows) // 2]] = True
    scores = np.zeros(len(test))
    for asked in (half, ~half):
        options: dict[str, Any] = {
            "max_leaf_nodes": 15,
            "early_stopping": False,
            "random_state": seed,
        }
        model = HistGradientBoostingClassifier(max_iter=ROUNDS, **options)
        model.fit(table[~asked], test[~asked])
        scores[asked] = model.predict_proba(table[asked])[:, 1]
    parts = [_area(scores[asked], test[asked]) for asked in (half, ~half)]
    area = float(np.mean(parts))  # scores of two models are not on one scale
    return area, _error(area, *sides)


def _area(scores: np.ndarray, test: np.ndarray) -> float:
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    positive = int(test.sum())
    excess = float(ranks[test].sum()) - positive * (positive + 1) / 2
    return excess / (positive * (len(test) - positive))


def _error(area: float, positive: int, negative: int) -> float:
    """The standard error after Hanley and McNeil (1982)."""
    first, second = area / (2 - area), 2 * area**2 / (1 + area)
    found = area * (1 - area) + (positive - 1) * (first - area**2)
    found += (negative - 1) * (second - area**2)
    return float(np.sqrt(max(found, 1e-12) / (positive * negative)))


def of_sides(
    told: tuple[float, float] | None, columns: Sequence[Mapping[str, Any]], *, by: str, test: int
) -> list[Leak]:
    """Return at most one finding from the area, and the columns as `drift.settled` has them."""
    drifted = [each["column"] for each in columns if each["drifted"]]
    most = TOLD if by in ("given", "time") else TOLD_GROUPS
    area, error = told or (0.5, 0.0)
    apart = told is not None and area >= most and area - ERRORS * error > 0.5
    large = [each["column"] for each in columns if each["drifted"] and each["size"] == "large"]
    if not apart and (by not in ("given", "time") or not large):
        return []
    parts = []
    if apart:
        parts.append(f"a classifier tells test rows from train rows with roc_auc {area:.3f}")
    if drifted:
        parts.append(f"these columns differ most between them: {named(drifted)}")
    numbers = {"rows": test, "roc_auc": round(area, 6), "drifted": len(drifted)}
    return [
        Leak(
            type="population",
            kind="apart",
            sentence="; ".join(parts),
            numbers=numbers,
            advice="judge by rows as the model will be asked about, or say why these are",
        )
    ]
