"""How many units a comparison needs, and how small a margin so many can tell."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from two_models import binary, labelled, told

from expectations.looks import tail_at
from expectations.metrics import METRICS
from expectations.power import smallest_margin, units_needed


def test_units_needed_are_enough_and_not_many_too_many() -> None:
    rng = np.random.default_rng(14)
    margin, tail = 0.02, 0.0304

    def drawn(rows: int) -> Any:
        kind = rng.random(rows)
        right = kind > 0.2
        other = np.where(kind < 0.05, True, np.where(kind > 0.95, False, right))
        return told(labelled(right), labelled(other), "accuracy", tail=tail)

    needed = units_needed(drawn(4000), margin)
    assert needed is not None
    passed = np.mean([drawn(needed).low > -margin for _ in range(300)])
    assert 0.72 < passed < 0.88


def test_units_needed_of_models_that_answer_alike_follow_the_rule_of_three() -> None:
    found = told(binary(100, 15), binary(100, 15), "roc_auc", tail=0.05)
    needed = units_needed(found, 0.01)
    assert needed == math.ceil(math.log(0.05) / math.log(0.99))
    assert units_needed(found, 0.0) is None


def test_the_smallest_margin_is_what_an_equal_model_is_told_within() -> None:
    """Two retrains whose labels are right on a different twentieth of the rows."""
    rows, tail = 2000, tail_at(1, 0.05)
    margin, assumed = smallest_margin(rows, "accuracy", tail=tail)
    assert "just one is right on 5%" in assumed
    passed = []
    for seed in range(200):
        kind = np.random.default_rng(seed).random(rows)
        pair = [labelled(right) for right in (kind > 0.124, (kind < 0.024) | (kind > 0.148))]
        passed.append(told(*pair, "accuracy", tail=tail).low > -margin)
    assert 0.7 < np.mean(passed) < 0.9


def test_every_metric_has_a_smallest_margin_that_shrinks_with_the_rows() -> None:
    for name in METRICS:
        few, _ = smallest_margin(100, name, tail=0.0304, positive=0.2)
        many, _ = smallest_margin(10_000, name, tail=0.0304, positive=0.2)
        assert few == pytest.approx(10 * many), name
    rare, assumed = smallest_margin(1000, "roc_auc", tail=0.0304, positive=0.05)
    assert rare > smallest_margin(1000, "roc_auc", tail=0.0304)[0]
    assert "retrains" in assumed
    with pytest.raises(ValueError, match="two units"):
        smallest_margin(1, "accuracy", tail=0.03)
