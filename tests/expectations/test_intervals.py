"""Intervals cover what they claim, whatever the rows weigh and however often they repeat."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from expectations import intervals
from expectations.intervals import resamples_for
from expectations.metrics import METRICS, names
from expectations.predictions import Predictions


def binary(rows: int, seed: int, *, lift: float = 1.0) -> Predictions:
    rng = np.random.default_rng(seed)
    target = (rng.random(rows) < 0.4).astype(int)
    p = 1 / (1 + np.exp(-(rng.normal(size=rows) + lift * target)))
    return Predictions(
        task="binary",
        target=target,
        probabilities=np.column_stack([1 - p, p]),
        label=(p > 0.5).astype(int),
    )


# Bounds may be None; these tests know where they are not.
measure: Any = intervals.measure
delong: Any = intervals.delong


def whole(found: Predictions, **kwargs: np.ndarray) -> dict[str, np.ndarray]:
    rows = len(found.target)
    return {"weight": np.ones(rows), "identity": np.arange(rows)} | kwargs


def test_the_same_predictions_have_the_same_interval_in_any_row_order() -> None:
    found = binary(300, 0)
    first = measure(found, names(found), **whole(found))
    assert measure(found, names(found), **whole(found)) == first
    order = np.random.default_rng(3).permutation(300)
    moved = found.take(order)
    again = measure(moved, names(moved), **whole(moved, identity=order))
    for name in names(found):
        assert again[name].value == pytest.approx(first[name].value)
        assert again[name].standard_error == pytest.approx(first[name].standard_error, rel=0.2)


def test_bounds_enclose_the_value() -> None:
    found = binary(300, 0)
    for name, interval in measure(found, names(found), **whole(found)).items():
        assert interval.low is not None
        assert interval.high is not None
        assert interval.low < interval.value < interval.high, name


def test_bootstrap_covers_the_true_accuracy_about_95_times_in_100() -> None:
    rng = np.random.default_rng(0)
    hit = 0
    for trial in range(200):
        right = (rng.random(120) < 0.8).astype(int)
        found = Predictions(
            task="binary",
            target=np.ones(120, int),
            probabilities=np.full((120, 2), 0.5),
            label=right,
        )
        interval = measure(found, ["accuracy"], **whole(found), seed=trial, most=300)["accuracy"]
        hit += interval.low <= 0.8 <= interval.high
    assert 180 <= hit <= 198


def test_copies_of_rows_do_not_narrow_the_interval() -> None:
    found = binary(200, 1)
    alone = measure(found, ["brier"], **whole(found))["brier"]
    rows = np.repeat(np.arange(200), 5)
    copies = found.take(rows)
    together = measure(copies, ["brier"], **whole(copies, identity=rows))["brier"]
    mistaken = measure(copies, ["brier"], **whole(copies))["brier"]
    assert together.standard_error == pytest.approx(alone.standard_error, rel=0.1)
    assert mistaken.standard_error < 0.6 * alone.standard_error


def test_cluster_bootstrap_covers_where_a_row_bootstrap_does_not() -> None:
    rng = np.random.default_rng(5)
    covered = {"clusters": 0, "rows": 0}
    for trial in range(120):
        shift = np.repeat(rng.normal(size=40), 8)
        found = Predictions(task="regression", target=np.zeros(320), value=3 + shift)
        for kind, identity in {"clusters": np.arange(320) // 8, "rows": np.arange(320)}.items():
            known = whole(found, identity=identity)
            interval = measure(found, ["mae"], **known, seed=trial, most=200)["mae"]
            covered[kind] += interval.low <= 3 <= interval.high
    assert covered["clusters"] >= 105
    assert covered["rows"] <= 80


def test_delong_agrees_with_the_bootstrap_and_with_its_definition() -> None:
    found = binary(400, 2)
    formula = delong(found.target == 1, found.p[:, 1])
    identity = np.arange(400).astype(str)
    weight = np.ones(400)
    weight[0] += 1e-9  # not all alike: the bootstrap is used
    drawn = measure(found, ["roc_auc"], weight=weight, identity=identity)["roc_auc"]
    assert (formula.method, drawn.method) == ("delong", "bootstrap")
    assert formula.value == pytest.approx(METRICS["roc_auc"].function(found, np.ones((1, 400)))[0])
    assert formula.standard_error == pytest.approx(drawn.standard_error, rel=0.1)
    ours, theirs = found.p[found.target == 1, 1], found.p[found.target == 0, 1]
    wins = (ours[:, None] > theirs) + 0.5 * (ours[:, None] == theirs)
    m, n = wins.shape
    variance = wins.mean(axis=1).var(ddof=1) / m + wins.mean(axis=0).var(ddof=1) / n
    assert formula.standard_error == pytest.approx(np.sqrt(variance))


def test_delong_covers_a_high_auc() -> None:
    from scipy.stats import norm

    true = norm.cdf(2.5 / np.sqrt(2))
    hit = 0
    rng = np.random.default_rng(11)
    for _ in range(400):
        positive = np.arange(120) < 50
        interval = delong(positive, rng.normal(size=120) + 2.5 * positive)
        hit += interval.low <= true <= interval.high
    assert 368 <= hit <= 396


def test_weights_or_duplicates_take_the_auc_to_the_bootstrap() -> None:
    found = binary(200, 3)
    plain = measure(found, ["roc_auc"], **whole(found))["roc_auc"]
    twice = measure(found, ["roc_auc"], **whole(found, identity=np.arange(200) // 2))["roc_auc"]
    assert plain.method == "delong"
    assert twice.method == "bootstrap"


def test_a_flawless_score_does_not_claim_certainty() -> None:
    target = np.array([0, 1, 2] * 12)
    found = Predictions(
        task="multiclass", target=target, probabilities=np.eye(3)[target], label=target
    )
    result = measure(found, ["accuracy", "roc_auc", "f1_macro"], **whole(found))
    assert result["accuracy"].method == "exact"
    assert result["accuracy"].low == pytest.approx(0.025 ** (1 / 36))
    assert result["roc_auc"].low == pytest.approx(0.025 ** (1 / 12))
    assert result["f1_macro"].high == 1
    separated = delong(np.arange(40) < 20, -np.arange(40.0))
    assert (separated.value, separated.high, separated.method) == (1, 1, "exact")
    assert separated.low == pytest.approx(0.025 ** (1 / 20))


def test_what_is_undefined_has_neither_value_nor_bounds() -> None:
    found = binary(50, 0).take(binary(50, 0).target == 1)
    interval = measure(found, ["roc_auc"], **whole(found))["roc_auc"]
    assert (interval.value, interval.low, interval.method) == (None, None, "none")


def test_a_class_missing_from_many_resamples_leaves_no_bounds() -> None:
    found = binary(60, 0)
    keep = np.r_[np.flatnonzero(found.target == 0), np.flatnonzero(found.target == 1)[:1]]
    few = found.take(keep)
    interval = measure(few, ["average_precision"], **whole(few))["average_precision"]
    assert interval.value is not None
    assert interval.low is None


def test_mean_equals_the_textbook_for_equal_rows() -> None:
    values = np.random.default_rng(0).normal(size=100)
    found: Any = intervals.mean(values, weight=np.ones(100), identity=np.arange(100))
    assert found.value == pytest.approx(values.mean())
    assert found.standard_error == pytest.approx(values.std(ddof=1) / 10)


def test_resamples_shrink_with_the_table_and_say_so() -> None:
    assert resamples_for(569) == 1000
    assert resamples_for(16_000) == 1000
    assert resamples_for(100_000) == 200
    assert resamples_for(1_000_000) == 60
    found = binary(200, 0)
    few = measure(found, ["brier"], **whole(found), most=100)["brier"]
    assert (few.method, few.resamples) == ("bootstrap, normal", 100)
