"""Two models on the same rows, made from a seed: what a comparison is tried on."""

from __future__ import annotations

from typing import Any

import numpy as np

from expectations.compare import compare
from expectations.predictions import Predictions


def binary(rows: int, seed: int, *, noise: float = 0.3, lift: float = 1.5) -> Predictions:
    """The same rows for one seed; `noise` tells one model from another."""
    rng = np.random.default_rng(seed)
    target = (rng.random(rows) < 0.4).astype(int)
    score = rng.normal(size=rows) + lift * target
    score += noise * np.random.default_rng(seed + 1000).normal(size=rows)
    p = 1 / (1 + np.exp(0.8 - 1.3 * score))
    return Predictions(
        task="binary",
        target=target,
        probabilities=np.column_stack([1 - p, p]),
        label=(p > 0.5).astype(int),
    )


def multiclass(rows: int, seed: int, *, noise: float) -> Predictions:
    rng = np.random.default_rng(seed)
    target = rng.integers(0, 3, rows)
    score = rng.normal(size=(rows, 3)) + 1.5 * np.eye(3)[target]
    score += noise * np.random.default_rng(seed + 1000).normal(size=(rows, 3))
    p = np.exp(score) / np.exp(score).sum(axis=1, keepdims=True)
    return Predictions(task="multiclass", target=target, probabilities=p, label=p.argmax(axis=1))


def numbers(rows: int, seed: int, *, noise: float) -> Predictions:
    rng = np.random.default_rng(seed)
    target = rng.gamma(2.0, 10.0, size=rows)
    value = target + 3 * rng.normal(size=rows)
    value += noise * np.random.default_rng(seed + 1000).normal(size=rows)
    return Predictions(task="regression", target=target, value=value)


def told(ours: Predictions, theirs: Predictions, metric: str, **more: Any) -> Any:
    rows = len(ours.target)
    known = {"weight": np.ones(rows), "unit": np.arange(rows), "tail": 0.025} | more
    return compare(ours, theirs, metric, **known)


def labelled(right: np.ndarray) -> Predictions:
    """A binary model that is right on these rows."""
    ones, half = np.ones(len(right), dtype=int), np.full((len(right), 2), 0.5)
    return Predictions(task="binary", target=ones, probabilities=half, label=right.astype(int))
