"""Split-conformal: what is promised is covered, and where it is not, the slice says so."""

from __future__ import annotations

import math

import numpy as np
import pytest

from expectations.conformal import conformal, quantile
from expectations.predictions import Predictions


def regression(seed: int, rows: int, spread: float | np.ndarray = 1.0) -> Predictions:
    rng = np.random.default_rng(seed)
    y = rng.normal(size=rows) * 5
    return Predictions(task="regression", target=y, value=y + spread * rng.normal(size=rows))


def classes(seed: int, rows: int) -> Predictions:
    rng = np.random.default_rng(seed)
    p = rng.dirichlet([1.0, 1.0, 1.0], size=rows)
    truth = (p.cumsum(axis=1) < rng.random(rows)[:, None]).sum(axis=1)
    return Predictions(task="multiclass", target=truth, probabilities=p, label=p.argmax(axis=1))


def asked(validation, test, coverage=0.9, **slices):
    rows = len(test.target)
    return conformal(
        validation,
        np.ones(len(validation.target)),
        test,
        coverage=coverage,
        weight=np.ones(rows),
        unit=np.arange(rows),
        slices=slices,
    )


def test_the_quantile_is_the_one_of_the_textbook():
    values = np.arange(1.0, 100.0)  # 99 rows: the 90th of 100
    assert quantile(values, np.ones(99), 0.9) == 90.0
    assert quantile(values, np.full(99, 7.0), 0.9) == 90.0
    assert quantile(np.arange(8.0), np.ones(8), 0.9) == math.inf
    assert quantile(np.arange(9.0), np.ones(9), 0.9) == 8.0
    assert quantile(np.zeros(0), np.zeros(0), 0.9) == math.inf


@pytest.mark.parametrize("made", [regression, classes])
@pytest.mark.parametrize("coverage", [0.8, 0.95])
def test_new_rows_are_covered_as_promised_on_average(made, coverage):
    shares = [
        asked(made(s, 60), made(1_000 + s, 400), coverage)["test"]["coverage"]["value"]
        for s in range(60)
    ]
    assert np.mean(shares) == pytest.approx(coverage, abs=0.02)
    assert np.mean(shares) >= coverage - 0.01


def test_sets_hold_every_class_that_is_likely_enough():
    found = asked(classes(0, 500), classes(1, 500))
    p = classes(1, 500).p
    inside = p >= 1 - found["quantile"]
    assert found["kind"] == "set"
    assert found["test"]["size"]["value"] == pytest.approx(inside.sum(axis=1).mean())
    assert found["test"]["empty"] == int((~inside.any(axis=1)).sum())


def test_a_slice_that_is_not_covered_comes_first():
    hard = np.arange(600) < 200
    found = asked(
        regression(0, 600, np.where(hard, 3.0, 0.5)),
        regression(1, 600, np.where(hard, 3.0, 0.5)),
        hard=hard,
        easy=~hard,
        nobody=np.zeros(600, bool),
    )
    assert [entry["name"] for entry in found["slices"]] == ["hard", "easy"]
    assert found["slices"][0]["coverage"]["high"] < 0.9 < found["slices"][1]["coverage"]["low"]
    assert found["test"]["size"]["value"] == pytest.approx(2 * found["quantile"])


def test_too_few_validation_rows_are_said():
    found = asked(regression(0, 8), regression(1, 50))
    assert (found["quantile"], found["test"]) == (None, None)
    assert found["note"] == (
        "8 validation rows are too few for a coverage of 0.9, which takes at least 9"
    )
