"""What the report draws of predictions, as small tables: curves, bins, counts, residuals.

- Bounded whatever the number of rows: curves are thinned where they bend least, scatters sampled.
- Row weights count in every rate; `rows` are plain counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from expectations.predictions import Predictions

POINTS = 120
BINS = 10
SCATTER = 400
MOST_CLASSES = 30
WORST = 10
PAIRS = 30


def curves(found: Predictions, weight: np.ndarray) -> dict[str, Any] | None:
    """ROC and precision-recall curves of a binary task; None where a class is absent."""
    positive = (found.target == 1) * weight
    negative = (found.target != 1) * weight
    if found.task != "binary" or positive.sum() <= 0 or negative.sum() <= 0:
        return None
    order = np.argsort(-found.p[:, 1], kind="stable")
    score = found.p[order, 1]
    last = np.r_[score[1:] != score[:-1], True]
    caught = np.cumsum(positive[order])[last]
    alarms = np.cumsum(negative[order])[last]
    tpr = np.r_[0.0, caught / positive.sum()]
    fpr = np.r_[0.0, alarms / negative.sum()]
    precision = np.r_[1.0, caught / np.maximum(caught + alarms, 1e-300)]
    roc, pr = _thin(fpr, tpr), _thin(tpr, precision)
    return {
        "roc": {"false_positive_rate": _round(fpr[roc]), "true_positive_rate": _round(tpr[roc])},
        "precision_recall": {"recall": _round(tpr[pr]), "precision": _round(precision[pr])},
        "prevalence": float(positive.sum() / weight.sum()),
    }


def _thin(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Positions of at most POINTS points, evenly along the curve's length, ends included."""
    if len(x) <= POINTS:
        return np.arange(len(x))
    along = np.r_[0.0, np.cumsum(np.hypot(np.diff(x), np.diff(y)))]
    return np.unique(np.searchsorted(along, np.linspace(0, along[-1], POINTS)).clip(0, len(x) - 1))


def _round(values: np.ndarray) -> list[float]:
    return [float(f"{value:.5g}") for value in values]


def calibration(found: Predictions, weight: np.ndarray) -> list[dict[str, Any]]:
    """Predicted against observed frequency in ten bins of equal size, with Wilson's interval.

    Binary: the positive class. Multiclass: the highest probability, and how often it is right.
    """
    if found.task == "binary":
        said, came = found.p[:, 1], found.target == 1
    else:
        said, came = found.p.max(axis=1), found.p.argmax(axis=1) == found.target
    edges = np.unique(np.quantile(said, np.linspace(0, 1, BINS + 1)[1:-1])) if len(said) else []
    bins = np.searchsorted(edges, said, side="left")
    result = []
    for at in range(len(edges) + 1):
        inside = (bins == at) & (weight > 0)
        if not inside.any():
            continue
        mass = weight[inside]
        rate = float(np.average(came[inside], weights=mass))
        low, high = _wilson(rate, float(mass.sum() ** 2 / (mass**2).sum()))
        result.append(
            {
                "predicted": float(np.average(said[inside], weights=mass)),
                "observed": rate,
                "low": low,
                "high": high,
                "rows": int(inside.sum()),
            }
        )
    return result


def _wilson(share: float, trials: float) -> tuple[float, float]:
    z2 = 1.959963984540054**2
    centre = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    reach = (z2 * (share * (1 - share) / trials + z2 / (4 * trials**2))) ** 0.5 / (1 + z2 / trials)
    return max(0.0, centre - reach), min(1.0, centre + reach)


def confusion(found: Predictions, classes: Sequence[str]) -> dict[str, Any]:
    """Rows by true and predicted class; with many classes the pairs most often confused."""
    size = len(classes)
    label = np.asarray(found.label)
    counts = np.bincount(found.target * size + label, minlength=size * size).reshape(size, size)
    wrong = [
        {"true": classes[i], "predicted": classes[j], "rows": int(counts[i, j])}
        for i, j in zip(*np.nonzero(counts), strict=True)
        if i != j
    ]
    wrong.sort(key=lambda pair: -pair["rows"])
    return {
        "labels": list(classes),
        "counts": counts.tolist() if size <= MOST_CLASSES else None,
        "confused": wrong[:PAIRS],
        "classes": [_class(counts, k, classes[k]) for k in range(size)],
    }


def _class(counts: np.ndarray, k: int, label: str) -> dict[str, Any]:
    both, true, said = int(counts[k, k]), int(counts[k].sum()), int(counts[:, k].sum())
    return {
        "label": label,
        "rows": true,
        "precision": both / said if said else None,
        "recall": both / true if true else None,
        "f1": 2 * both / (true + said) if true + said else None,
    }


def residuals(found: Predictions, weight: np.ndarray) -> dict[str, Any]:
    """Spread of predicted minus true: moments, quantiles, a histogram of the central 98 %."""
    error = found.residual
    centre = float(np.average(error, weights=weight))
    shares = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
    quantiles = np.quantile(error, shares)
    inside = error[(error >= quantiles[0]) & (error <= quantiles[-1])]
    counts, edges = np.histogram(inside, bins=24)
    return {
        "mean": centre,
        "std": float(np.sqrt(np.average((error - centre) ** 2, weights=weight))),
        "quantiles": {str(q): float(v) for q, v in zip(shares, quantiles, strict=True)},
        "largest": float(np.abs(error).max()),
        "histogram": {
            "edges": _round(edges),
            "counts": counts.tolist(),
            "below": int((error < quantiles[0]).sum()),
            "above": int((error > quantiles[-1]).sum()),
        },
    }


def scatter(found: Predictions, seed: int = 0) -> dict[str, Any]:
    """Predicted against true values of at most 400 rows."""
    rows = np.sort(np.random.default_rng(seed).permutation(len(found.target))[:SCATTER])
    value = np.asarray(found.value, dtype=np.float64)
    return {
        "true": _round(found.target[rows]),
        "predicted": _round(value[rows]),
        "of_rows": len(found.target),
    }


def worst(found: Predictions) -> np.ndarray:
    """Positions of the ten rows with the largest loss, largest first."""
    return np.argsort(-found.loss, kind="stable")[:WORST]
