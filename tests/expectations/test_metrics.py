"""Metrics against scikit-learn's, weights included, and what they do where nothing is defined."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import sklearn.metrics as sk

from expectations.metrics import METRICS, lookup, names
from expectations.predictions import Predictions

if TYPE_CHECKING:
    from collections.abc import Callable

ROWS = 400


def classified(classes: int, *, ties: bool = False, seed: int = 0) -> Predictions:
    rng = np.random.default_rng(seed)
    target = rng.integers(0, classes, ROWS)
    logits = rng.normal(size=(ROWS, classes))
    logits[np.arange(ROWS), target] += 1
    p = np.exp(logits)
    p /= p.sum(axis=1, keepdims=True)
    if ties:
        p = np.round(p * 8) / 8
        p[:, -1] = 1 - p[:, :-1].sum(axis=1)
    return Predictions(
        task="binary" if classes == 2 else "multiclass",
        target=target,
        probabilities=p,
        label=p.argmax(axis=1),
        costs=rng.random((classes, classes)),
    )


def measured(*, seed: int = 0) -> Predictions:
    rng = np.random.default_rng(seed)
    target = rng.gamma(2.0, 3.0, ROWS)
    return Predictions(task="regression", target=target, value=target + rng.gamma(1.0, 1.0, ROWS))


def weightings(kind: str) -> np.ndarray:
    rng = np.random.default_rng(7)
    if kind == "none":
        return np.ones(ROWS)
    return rng.random(ROWS) if kind == "real" else rng.integers(0, 4, ROWS).astype(float)


def area(found: Predictions, weight: np.ndarray) -> Any:
    if found.task == "binary":
        return sk.roc_auc_score(found.target, found.p[:, 1], sample_weight=weight)
    areas = [
        sk.roc_auc_score(found.target == k, found.p[:, k], sample_weight=weight)
        for k in range(found.p.shape[1])
    ]
    return np.mean(areas)


def two_or_all(found: Predictions) -> np.ndarray:
    return found.p[:, 1] if found.task == "binary" else found.p


def by_value(function: Callable[..., Any]) -> Callable[[Predictions, np.ndarray], Any]:
    return lambda found, w: function(found.target, found.value, sample_weight=w)


def by_label(
    function: Callable[..., Any], **kwargs: Any
) -> Callable[[Predictions, np.ndarray], Any]:
    return lambda found, w: function(found.target, found.label, sample_weight=w, **kwargs)


REFERENCES: dict[str, Callable[[Predictions, np.ndarray], Any]] = {
    "roc_auc": area,
    "average_precision": lambda found, w: sk.average_precision_score(
        found.target, found.p[:, 1], sample_weight=w
    ),
    "log_loss": lambda found, w: sk.log_loss(found.target, found.p, sample_weight=w),
    "brier": lambda found, w: sk.brier_score_loss(
        found.target, two_or_all(found), sample_weight=w, labels=list(range(found.p.shape[1]))
    ),
    "accuracy": by_label(sk.accuracy_score),
    "balanced_accuracy": by_label(sk.balanced_accuracy_score),
    "f1": by_label(sk.f1_score),
    "f1_macro": by_label(sk.f1_score, average="macro"),
    "rmse": by_value(sk.root_mean_squared_error),
    "mae": by_value(sk.mean_absolute_error),
    "r2": by_value(sk.r2_score),
    "median_ae": by_value(sk.median_absolute_error),
    "rmsle": by_value(sk.root_mean_squared_log_error),
}


CASES = [
    ("two classes", classified(2)),
    ("two classes, ties", classified(2, ties=True)),
    ("five classes", classified(5)),
    ("a number", measured()),
]


@pytest.mark.parametrize("kind", ["none", "real", "counts"])
@pytest.mark.parametrize(("case", "found"), CASES, ids=[name for name, _ in CASES])
def test_metrics_equal_scikit_learn(case: str, found: Predictions, kind: str) -> None:
    weight = weightings(kind)
    for name in names(found):
        if name not in REFERENCES or (case.endswith("ties") and name == "log_loss"):
            continue
        ours = METRICS[name].function(found, weight[None, :])[0]
        assert ours == pytest.approx(REFERENCES[name](found, weight), rel=1e-9, abs=1e-12), name


@pytest.mark.parametrize("found", [found for _, found in CASES], ids=[name for name, _ in CASES])
def test_many_weightings_at_once_equal_one_by_one(found: Predictions) -> None:
    weights = np.random.default_rng(1).integers(0, 3, (6, ROWS)).astype(float)
    for name in names(found):
        together = METRICS[name].function(found, weights)
        alone = [METRICS[name].function(found, row[None, :])[0] for row in weights]
        np.testing.assert_allclose(together, alone, rtol=1e-12)


@pytest.mark.parametrize("found", [found for _, found in CASES], ids=[name for name, _ in CASES])
def test_a_weight_of_two_counts_as_the_row_twice(found: Predictions) -> None:
    weight = np.random.default_rng(2).integers(0, 3, ROWS)
    doubled = found.take(np.repeat(np.arange(ROWS), weight))
    for name in names(found):
        ours = METRICS[name].function(found, weight[None, :].astype(float))
        theirs = METRICS[name].function(doubled, np.ones((1, weight.sum())))
        assert ours == pytest.approx(theirs, rel=1e-9), name


def test_calibration_error_is_zero_when_frequencies_match_and_the_gap_when_not() -> None:
    target = np.array([0, 0, 0, 1] * 25)
    p = np.full(100, 0.25)
    ones = np.ones((1, 100))
    matched = Predictions(
        task="binary", target=target, probabilities=np.c_[1 - p, p], label=np.zeros(100, int)
    )
    off = Predictions(
        task="binary", target=target, probabilities=np.c_[p, 1 - p], label=np.zeros(100, int)
    )
    assert METRICS["ece"].function(matched, ones)[0] == pytest.approx(0)
    assert METRICS["ece"].function(off, ones)[0] == pytest.approx(0.5)


def test_expected_cost_reads_the_matrix_by_true_then_predicted() -> None:
    found = Predictions(
        task="binary",
        target=np.array([0, 0, 1, 1]),
        probabilities=np.full((4, 2), 0.5),
        label=np.array([0, 1, 0, 1]),
        costs=np.array([[0.0, 1.0], [5.0, 0.0]]),
    )
    assert METRICS["expected_cost"].function(found, np.ones((1, 4)))[0] == pytest.approx(6 / 4)


def test_one_class_alone_leaves_rank_metrics_undefined_and_others_not() -> None:
    found = classified(2).take(classified(2).target == 1)
    ones = np.ones((1, len(found.target)))
    assert np.isnan(METRICS["roc_auc"].function(found, ones)[0])
    assert np.isfinite(METRICS["accuracy"].function(found, ones)[0])


def test_no_weight_at_all_is_undefined() -> None:
    for found in (classified(2), classified(3), measured()):
        for name in names(found):
            assert np.isnan(METRICS[name].function(found, np.zeros((1, ROWS)))[0]), name


def test_a_certain_and_wrong_row_costs_sixteen_nats_at_most() -> None:
    found = Predictions(
        task="binary",
        target=np.array([1]),
        probabilities=np.array([[1.0, 0.0]], dtype=np.float32),
        label=np.array([0]),
    )
    assert METRICS["log_loss"].function(found, np.ones((1, 1)))[0] == pytest.approx(
        16.118, abs=1e-3
    )


def test_r2_survives_a_large_offset() -> None:
    found = measured()
    moved = Predictions(
        task="regression", target=found.target + 1e9, value=found.target + found.residual + 1e9
    )
    ones = np.ones((1, ROWS))
    expected = METRICS["r2"].function(found, ones)[0]
    assert METRICS["r2"].function(moved, ones)[0] == pytest.approx(expected, abs=1e-6)


def test_rmsle_is_offered_only_where_no_target_is_negative() -> None:
    found = measured()
    negative = Predictions(task="regression", target=found.target - 100, value=found.value)
    assert "rmsle" in names(found)
    assert "rmsle" not in names(negative)


def test_an_unknown_metric_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ValueError, match="nearest is 'roc_auc'"):
        lookup("roc_acu")


def test_parts_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="needs `value` for 3 rows, however: 2 rows"):
        Predictions(task="regression", target=np.zeros(3), value=np.zeros(2))
