"""Bounds are wrong as often as they say, far out as well."""

from __future__ import annotations

import math

import numpy as np
import pytest
from two_models import labelled, told

from expectations.predictions import Predictions


@pytest.mark.slow
@pytest.mark.parametrize("tail", [0.0304, 0.0034])
def test_bounds_err_no_more_often_than_they_say(tail: float) -> None:
    """Accuracy at few discordant rows, log loss with a heavy tail, AUC with few positives."""
    rng = np.random.default_rng(16)
    trials = 1500 if tail > 0.01 else 3000
    missed = dict.fromkeys(("accuracy", "log_loss", "roc_auc"), 0)
    for _ in range(trials):
        kind = rng.random(400)
        right, other = kind > 0.02, (kind < 0.02) | (kind > 0.04)
        ones = np.ones(400, int)
        accurate = told(labelled(right), labelled(other), "accuracy", tail=tail)
        missed["accuracy"] += accurate.low > 0
        loss = rng.gamma(0.3, 1.0, size=(2, 400)) + rng.gamma(0.3, 1.0, size=400)
        p = np.exp(-np.minimum(loss, 15))
        pair = [
            Predictions(
                task="binary", target=ones, probabilities=np.column_stack([1 - q, q]), label=ones
            )
            for q in p
        ]
        missed["log_loss"] += told(*pair, "log_loss", tail=tail).low > 0
        target = (np.arange(400) < 30).astype(int)
        score = rng.normal(size=400) + target + 0.5 * rng.normal(size=(2, 400))
        pair = [
            Predictions(
                task="binary",
                target=target,
                probabilities=np.column_stack([-s, s]),
                label=target,
            )
            for s in score
        ]
        missed["roc_auc"] += told(*pair, "roc_auc", tail=tail).low > 0
    allowed = tail * trials + 3 * math.sqrt(tail * trials)
    assert all(count <= allowed for count in missed.values()), missed


@pytest.mark.long
def test_bounds_of_the_bootstrap_err_no_more_often_than_they_say() -> None:
    """F1 of models that differ on a tenth of the rows, one class in five being positive."""
    rng = np.random.default_rng(17)
    trials, missed = 600, {"low": 0, "high": 0}
    for _ in range(trials):
        target = (rng.random(400) < 0.2).astype(int)
        shared = rng.normal(size=400) + 1.5 * target
        pair = [
            Predictions(
                task="binary",
                target=target,
                probabilities=np.full((400, 2), 0.5),
                label=(shared + 0.45 * rng.normal(size=400) > 1).astype(int),
            )
            for _ in range(2)
        ]
        found = told(*pair, "f1", tail=0.0304, resamples=1000)
        missed["low"] += found.low > 0
        missed["high"] += found.high < 0
    assert all(count <= 18 + 3 * math.sqrt(18) for count in missed.values()), missed
