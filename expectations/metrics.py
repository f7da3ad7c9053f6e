"""Metrics, each one short function over many weightings of the rows at once.

- A metric takes `Predictions` and weights (B, N) and gives (B,): the plain value is B = 1, a
  bootstrap is B resamples. What is linear in the weights is one matrix product; ranks sort once.
- Undefined (one class only, no weight) is NaN, never an exception and never a made-up zero.
- The positive class of a binary task is code 1: the second of the model's classes in their order.
- Values agree with scikit-learn's metrics of the same names, sample weights included, save where a
  docstring says otherwise.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from expectations.predictions import Predictions, Ranking, Task

DEFAULT_METRIC: dict[str, str] = {
    "binary": "roc_auc",
    "multiclass": "log_loss",
    "regression": "rmse",
}


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Divide (B,) by (B,); NaN where nothing stands below."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(below > 0, above / np.where(below > 0, below, 1.0), np.nan)


def _mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted mean of `values` (N,) under each row of `weights` (B, N)."""
    return _ratio(weights @ values, weights.sum(axis=1))


def _masses(ranking: Ranking, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weight of positives and of all rows per distinct score, ascending: two (B, ties)."""
    everything = weights[:, ranking.order] if ranking.order is not None else weights
    positives = everything * ranking.positive
    if ranking.starts is not None:
        everything = np.add.reduceat(everything, ranking.starts, axis=1)
        positives = np.add.reduceat(positives, ranking.starts, axis=1)
    return positives, everything


def _area(ranking: Ranking, weights: np.ndarray) -> np.ndarray:
    positives, everything = _masses(ranking, weights)
    negatives = everything - positives
    # A positive above a negative counts one, level with it a half.
    below = np.cumsum(negatives, axis=1)
    wins = np.einsum("bt,bt->b", positives, below) - np.einsum("bt,bt->b", positives, negatives) / 2
    return _ratio(wins, positives.sum(axis=1) * below[:, -1])


def roc_auc(found: Predictions, weights: np.ndarray) -> np.ndarray:
    """Area under the ROC curve; multiclass: mean of one-vs-rest areas over the classes present."""
    areas = np.stack([_area(ranking, weights) for ranking in found.rankings])
    present = np.array([ranking.positive.any() for ranking in found.rankings])
    return areas[present].mean(axis=0) if present.any() else np.full(len(weights), np.nan)


def average_precision(found: Predictions, weights: np.ndarray) -> np.ndarray:
    """Precision averaged over the recall gained at each threshold; binary."""
    positives, everything = _masses(found.rankings[0], weights)
    caught = np.cumsum(positives[:, ::-1], axis=1)
    flagged = np.cumsum(everything[:, ::-1], axis=1)
    precision = np.divide(caught, flagged, out=np.zeros_like(caught), where=flagged > 0)
    return _ratio(np.einsum("bt,bt->b", positives[:, ::-1], precision), caught[:, -1])


def log_loss(found: Predictions, weights: np.ndarray) -> np.ndarray:
    """Mean negative log probability of the true class, in nats; probabilities clipped at 1e-7."""
    return _mean(PER_ROW["log_loss"](found), weights)


def brier(found: Predictions, weights: np.ndarray) -> np.ndarray:
    """Mean squared error of the probabilities; binary: the positive class, else the sum of all."""
    return _mean(PER_ROW["brier"](found), weights)


def accuracy(found: Predictions, weights: np.ndarray) -> np.ndarray:
    """Share of rows whose predicted label is the true one."""
    return _mean(PER_ROW["accuracy"](found), weights)


def _hits(found: Predictions, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weight that is true, predicted, and both, per class: three (B, K)."""
    true, said, both = np.split(weights @ found.hits, 3, axis=1)
    return true, said, both


def _mean_present(values: np.ndarray) -> np.ndarray:
    """Mean over classes (B, K) -> (B,), leaving out those that are NaN."""
    count = np.isfinite(values).sum(axis=1)
    return _ratio(np.nansum(values, axis=1), count)


def balanced_accuracy(found: Predictions, weights: np.ndarray) -> np.ndarray:
    """Mean over the classes present of the share of their rows that were recognised."""
    true, _, both = _hits(found, weights)
    return _mean_present(_ratio(both, true))


def f1(found: Predictions, weights: np.ndarray) -> np.ndarray:
    """Harmonic mean of precision and recall of the positive class (code 1); binary."""
    true, said, both = (part[:, 1] for part in _hits(found, weights))
    return _ratio(2 * both, true + said)


def f1_macro(found: Predictions, weights: np.ndarray) -> np.ndarray:
    """Mean F1 over the classes that occur as true or predicted."""
    true, said, both = _hits(found, weights)
    return _mean_present(_ratio(2 * both, true + said))


def ece(found: Predictions, weights: np.ndarray) -> np.ndarray:
    """Expected calibration error over 15 equal bins (Naeini et al. 2015).

    Binary: the positive class's probability against its frequency. Multiclass: the highest
    probability against how often that class is right.
    """
    gaps = weights @ found.gaps
    return _ratio(np.abs(gaps).sum(axis=1), weights.sum(axis=1))


def expected_cost(found: Predictions, weights: np.ndarray) -> np.ndarray:
    """Mean cost of the predicted labels under the settings' cost matrix."""
    return _mean(PER_ROW["expected_cost"](found), weights)


def rmse(found: Predictions, weights: np.ndarray) -> np.ndarray:
    """Root of the mean squared error, in the target's unit."""
    return np.sqrt(_mean(PER_ROW["rmse"](found), weights))


def mae(found: Predictions, weights: np.ndarray) -> np.ndarray:
    """Mean absolute error, in the target's unit."""
    return _mean(PER_ROW["mae"](found), weights)


def median_ae(found: Predictions, weights: np.ndarray) -> np.ndarray:
    """Median absolute error: where half of the weight lies below; mean of the two when level."""
    size = np.abs(found.residual)
    order = np.argsort(size, kind="stable")
    settled = bool((order == np.arange(len(order))).all())
    ranked, mass = size[order], np.cumsum(weights if settled else weights[:, order], axis=1)
    half = mass[:, -1] / 2
    slack = 1e-12 * half
    at = np.array(
        [
            (np.searchsorted(row, h - s), np.searchsorted(row, h + s, side="right"))
            for row, h, s in zip(mass, half, slack, strict=True)
        ]
    )
    value = ranked[np.minimum(at, len(ranked) - 1)].mean(axis=1)
    return np.where(half > 0, value, np.nan)


def r2(found: Predictions, weights: np.ndarray) -> np.ndarray:
    """Share of the target's variance that is explained; 0 is the mean, below 0 is worse than it."""
    # Centred first: the second moment of years or prices in won would cancel to nothing.
    y = found.target - found.target.mean()
    total = weights.sum(axis=1)
    spread = weights @ y**2 - _ratio((weights @ y) ** 2, total)
    return 1 - _ratio(weights @ found.residual**2, spread)


def rmsle(found: Predictions, weights: np.ndarray) -> np.ndarray:
    """Root mean squared error of log(1 + y); predictions below 0 count as 0, NaN if a target is."""
    return np.sqrt(_mean(PER_ROW["rmsle"](found), weights))


def _squared_share(found: Predictions) -> np.ndarray:
    squared = (found.p - found.one_hot) ** 2
    return squared[:, 1] if found.task == "binary" else squared.sum(axis=1)


def _cost(found: Predictions) -> np.ndarray:
    if found.costs is None:
        return np.full(len(found.target), np.nan)
    return found.costs[found.target, found.label].astype(np.float64)


def _squared_log(found: Predictions) -> np.ndarray:
    if (found.target < 0).any():
        return np.full(len(found.target), np.nan)
    said = np.log1p(np.maximum(found.residual + found.target, 0.0))
    return (said - np.log1p(found.target)) ** 2


# What each row adds (N,) to the metrics that are the weighted mean of it, or the root of the mean.
PER_ROW: dict[str, Callable[[Predictions], np.ndarray]] = {
    "log_loss": lambda found: found.loss,
    "brier": _squared_share,
    "accuracy": lambda found: (found.label == found.target).astype(np.float64),
    "expected_cost": _cost,
    "mae": lambda found: np.abs(found.residual),
    "rmse": lambda found: found.residual**2,
    "rmsle": _squared_log,
}
ROOTS = frozenset({"rmse", "rmsle"})


@dataclass(frozen=True, kw_only=True)
class Metric:
    """What is known about a metric besides its value."""

    function: Callable[[Predictions, np.ndarray], np.ndarray]
    direction: Literal["max", "min"]
    bounded: bool
    """Whether values lie in 0..1, so that a margin can be given in its own units."""
    tasks: tuple[Task, ...]


_CLASSES: tuple[Task, ...] = ("binary", "multiclass")


def _metric(
    function: Callable[[Predictions, np.ndarray], np.ndarray],
    direction: Literal["max", "min"],
    bounded: bool,
    *tasks: Task,
) -> Metric:
    return Metric(function=function, direction=direction, bounded=bounded, tasks=tasks)


METRICS: dict[str, Metric] = {
    "roc_auc": _metric(roc_auc, "max", True, *_CLASSES),
    "average_precision": _metric(average_precision, "max", True, "binary"),
    "log_loss": _metric(log_loss, "min", False, *_CLASSES),
    "brier": _metric(brier, "min", True, *_CLASSES),
    "accuracy": _metric(accuracy, "max", True, *_CLASSES),
    "balanced_accuracy": _metric(balanced_accuracy, "max", True, *_CLASSES),
    "f1": _metric(f1, "max", True, "binary"),
    "f1_macro": _metric(f1_macro, "max", True, *_CLASSES),
    "ece": _metric(ece, "min", True, *_CLASSES),
    "expected_cost": _metric(expected_cost, "min", False, *_CLASSES),
    "rmse": _metric(rmse, "min", False, "regression"),
    "mae": _metric(mae, "min", False, "regression"),
    "median_ae": _metric(median_ae, "min", False, "regression"),
    "r2": _metric(r2, "max", False, "regression"),
    "rmsle": _metric(rmsle, "min", False, "regression"),
}


def names(found: Predictions) -> tuple[str, ...]:
    """Metrics that apply: right task, costs where they are needed, no negative target for rmsle."""
    skip = set() if found.costs is not None else {"expected_cost"}
    if found.task == "regression" and (found.target < 0).any():
        skip.add("rmsle")
    return tuple(n for n, m in METRICS.items() if found.task in m.tasks and n not in skip)


def lookup(name: str) -> Metric:
    """The metric called `name`; ValueError with the nearest name where there is none."""
    if name in METRICS:
        return METRICS[name]
    near = difflib.get_close_matches(name, METRICS, n=1, cutoff=0.3)
    hint = f"; the nearest is {near[0]!r}" if near else ""
    message = f"a metric must be one of {', '.join(METRICS)}, however: {name[:40]!r}{hint}"
    raise ValueError(message)
