"""Rates between levels: right values, gaps beyond noise or within it, levels that are too small."""

from __future__ import annotations

import numpy as np
import pytest

from expectations.fairness import fairness
from expectations.predictions import Predictions


def binary(truth: np.ndarray, label: np.ndarray) -> Predictions:
    return Predictions(
        task="binary", target=truth, label=label, probabilities=np.eye(2)[label] * 0.8 + 0.1
    )


def told(found: Predictions, level: np.ndarray, **more):
    rows = len(level)
    more = {"weight": np.ones(rows), "unit": np.arange(rows), "min_support": 30} | more
    (entry,) = fairness(found, {"성별": level}, **more)
    return entry


def test_rates_are_those_of_scikit_learn():
    from sklearn.metrics import accuracy_score, confusion_matrix, recall_score

    rng = np.random.default_rng(0)
    level = rng.choice(["여", "남"], 400)
    truth, label = rng.integers(0, 2, 400), rng.integers(0, 2, 400)
    weight = rng.uniform(0.5, 2, 400)
    entry = told(binary(truth, label), level, weight=weight)
    for each in entry["levels"]:
        at = level == each["level"]
        y, said, w = truth[at], label[at], weight[at]
        rates = {name: rate["value"] for name, rate in each["rates"].items()}
        matrix = confusion_matrix(y, said, sample_weight=w)
        assert rates["selection rate"] == pytest.approx(np.average(said, weights=w))
        assert rates["true positive rate"] == pytest.approx(recall_score(y, said, sample_weight=w))
        assert rates["false positive rate"] == pytest.approx(matrix[0, 1] / matrix[0].sum())
        assert rates["accuracy"] == pytest.approx(accuracy_score(y, said, sample_weight=w))


def test_a_planted_gap_is_beyond_noise_and_its_levels_are_named():
    rng = np.random.default_rng(1)
    level = rng.choice(["a", "b", "c"], 1_500)
    label = (rng.random(1_500) < np.where(level == "b", 0.6, 0.4)) * 1
    entry = told(binary(rng.integers(0, 2, 1_500), label), level)
    (gap,) = [g for g in entry["gaps"] if g["rate"] == "selection rate"]
    assert (gap["highest"], gap["beyond_noise"]) == ("b", True)
    assert gap["low"] < 0.2 < gap["high"]


def test_equal_levels_rarely_show_a_gap():
    alarms = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        level = rng.choice(list("abcdef"), 900)
        entry = told(binary(rng.integers(0, 2, 900), rng.integers(0, 2, 900)), level)
        (gap,) = [g for g in entry["gaps"] if g["rate"] == "selection rate"]
        alarms += gap["beyond_noise"]
    assert alarms <= 6


def test_a_rate_of_none_is_not_known_for_certain():
    level = np.array(["a"] * 50 + ["b"] * 50)
    entry = told(binary(np.zeros(100, int), np.r_[np.zeros(50, int), np.ones(50, int)]), level)
    rates = {each["level"]: each["rates"]["selection rate"] for each in entry["levels"]}
    assert (rates["a"]["low"], rates["b"]["high"]) == (0.0, 1.0)
    assert 0.03 < rates["a"]["high"] < 0.12
    assert entry["levels"][0]["rates"]["true positive rate"]["value"] is None
    assert {gap["rate"] for gap in entry["gaps"]} == {
        "selection rate",
        "false positive rate",
        "accuracy",
    }


def test_small_levels_are_said():
    level = np.array(["a"] * 200 + ["b"] * 5 + ["missing"] * 2)
    entry = told(binary(np.zeros(207, int), np.zeros(207, int)), level)
    assert [each["level"] for each in entry["levels"]] == ["a"]
    assert entry["note"] == "too small to be told, under 30 rows: b (5), missing (2)"
    assert entry["gaps"] == []


def test_rows_of_one_unit_are_drawn_together():
    rng = np.random.default_rng(2)
    level = np.repeat(rng.choice(["a", "b"], 40), 20)
    label = np.repeat(rng.integers(0, 2, 40), 20)
    truth = np.repeat(rng.integers(0, 2, 40), 20)
    grouped = told(binary(truth, label), level, unit=np.repeat(np.arange(40), 20))
    apart = told(binary(truth, label), level)

    def width(entry):
        rate = entry["levels"][0]["rates"]["selection rate"]
        return rate["high"] - rate["low"]

    assert width(grouped) > 3 * width(apart)


def test_regression_and_many_classes_have_rates_of_their_own():
    rng = np.random.default_rng(3)
    level = np.array(["a"] * 100 + ["b"] * 100)
    y = rng.normal(size=200)
    shifted = Predictions(task="regression", target=y, value=y + np.where(level == "b", 1.0, 0.0))
    entry = told(shifted, level)
    values = {e["level"]: e["rates"]["mean residual"]["value"] for e in entry["levels"]}
    assert values == pytest.approx({"a": 0.0, "b": 1.0})
    label = rng.integers(0, 3, 200)
    found = Predictions(
        task="multiclass", target=label, label=label, probabilities=np.eye(3)[label]
    )
    names = told(found, level, classes=["x", "y", "z"])["levels"][0]["rates"]
    assert list(names) == ["accuracy", "says x", "says y", "says z"]
