"""A paired difference agrees with scipy and scikit-learn, and units, blocks and weights count."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as oracle
from two_models import binary, multiclass, numbers, told

from expectations.compare import blocks_of, paired
from expectations.intervals import measure
from expectations.metrics import names
from expectations.predictions import Predictions


@pytest.mark.parametrize("task", [binary, multiclass, numbers])
def test_the_better_model_has_a_gain_above_zero_in_every_metric(task: Any) -> None:
    good, bad = task(600, 1, noise=0.1), task(600, 1, noise=4.0)
    for name in set(names(good)) - {"ece"}:
        gain, loss = told(good, bad, name), told(bad, good, name)
        assert gain.low > 0, name
        assert loss.high < 0, name
        assert gain.value == pytest.approx(-loss.value)


def test_values_are_those_of_scikit_learn() -> None:
    ours, theirs = binary(400, 2, noise=0.2), binary(400, 2, noise=0.9)
    weight = np.random.default_rng(0).uniform(0.5, 2, 400)

    def area(found: Predictions) -> float:
        return float(oracle.roc_auc_score(found.target == 1, found.p[:, 1], sample_weight=weight))

    found = told(ours, theirs, "roc_auc", weight=weight)
    assert found.challenger == pytest.approx(area(ours))
    assert found.value == pytest.approx(area(ours) - area(theirs))
    loss = told(ours, theirs, "log_loss", weight=weight)
    wanted = [oracle.log_loss(f.target, f.p, sample_weight=weight) for f in (theirs, ours)]
    assert loss.value == pytest.approx(wanted[0] - wanted[1])


def test_the_bootstrap_has_scipys_standard_error() -> None:
    ours, theirs = binary(250, 5, noise=0.2), binary(250, 5, noise=0.9)

    truth, first, second = (each.astype(bool) for each in (ours.target, ours.label, theirs.label))

    def gain(at: np.ndarray, axis: int = -1) -> np.ndarray:
        """F1 of the first less that of the second."""
        f1 = [
            2 * (truth & said)[at].sum(axis) / (truth[at].sum(axis) + said[at].sum(axis))
            for said in (first, second)
        ]
        return f1[0] - f1[1]

    drawn = stats.bootstrap(
        (np.arange(250),), gain, vectorized=True, n_resamples=2000, rng=np.random.default_rng(0)
    )
    found = told(ours, theirs, "f1")
    assert (found.method, found.resamples) == ("bootstrap", 2000)
    wanted = [oracle.f1_score(each.target, each.label) for each in (ours, theirs)]
    assert found.value == pytest.approx(wanted[0] - wanted[1])
    assert found.standard_error == pytest.approx(drawn.standard_error, rel=0.06)


def test_copies_of_rows_count_once() -> None:
    ours, theirs = binary(300, 9, noise=0.2), binary(300, 9, noise=0.8)
    rows = np.repeat(np.arange(300), 4)
    for name in ("roc_auc", "accuracy", "log_loss", "f1"):
        alone = told(ours, theirs, name)
        copied = told(ours.take(rows), theirs.take(rows), name, unit=rows)
        assert copied.units == 300
        assert copied.standard_error == pytest.approx(alone.standard_error, rel=0.05), name


def test_a_row_that_weighs_twice_counts_as_two_in_the_value() -> None:
    ours, theirs = binary(200, 10, noise=0.2), binary(200, 10, noise=0.8)
    weight = np.where(np.arange(200) < 50, 2.0, 1.0)
    rows = np.r_[np.arange(200), np.arange(50)]
    for name in names(ours):
        weighted = told(ours, theirs, name, weight=weight)
        doubled = told(ours.take(rows), theirs.take(rows), name, unit=rows)
        assert weighted.value == pytest.approx(doubled.value), name


def test_neighbours_in_time_widen_the_bounds_and_blocks_cover() -> None:
    rng = np.random.default_rng(3)
    missed = {"rows": 0, "blocks": 0}
    for _ in range(150):
        shock = rng.normal(size=600)
        drift = np.convolve(rng.normal(size=604), np.ones(5) / 5, mode="valid")
        target = np.zeros(600)
        ours = Predictions(task="regression", target=target, value=5 + drift)
        theirs = Predictions(task="regression", target=target, value=5 + 0.1 * shock)
        time = np.arange(600)
        for kind, block in {"rows": None, "blocks": blocks_of(time)}.items():
            found = told(ours, theirs, "mae", block=block)
            missed[kind] += not found.low <= 0 <= found.high
    assert missed["blocks"] < 30 < missed["rows"]


def test_blocks_are_contiguous_and_keep_a_moment_together() -> None:
    rng = np.random.default_rng(4)
    time = rng.integers(0, 40, 1000)
    codes = blocks_of(time)
    assert all(len(np.unique(codes[time == moment])) == 1 for moment in range(40))
    order = np.argsort(time, kind="stable")
    assert (np.diff(codes[order]) >= 0).all()
    assert len(np.unique(blocks_of(np.arange(1000)))) == 100
    assert len(np.unique(blocks_of(np.zeros(1000)))) == 1


def test_models_that_answer_alike_are_not_claimed_to_be_the_same_for_certain() -> None:
    found = binary(200, 11)
    for name in names(found):
        same = told(found, found, name, tail=0.03)
        assert same.value == 0
        assert -0.2 < same.low < 0 < same.high < 0.2, name
    narrow = told(binary(5000, 11), binary(5000, 11), "accuracy", tail=0.03)
    assert narrow.low > -0.001


@pytest.mark.parametrize("units", [1, 0])
def test_too_few_units_or_an_undefined_metric_have_no_bounds(units: int) -> None:
    rows = binary(60, 12).take(np.arange(30 * units))
    unit = np.zeros(len(rows.target))
    found = told(rows, rows, "log_loss", unit=unit)
    assert (found.low, found.high, found.method) == (None, None, "none")
    one_class = binary(60, 12).take(binary(60, 12).target == 1)
    assert told(one_class, one_class, "roc_auc").value is None


def test_the_same_rows_have_the_same_bounds_and_text_units_do_as_well() -> None:
    ours, theirs = binary(300, 13, noise=0.2), binary(300, 13, noise=0.8)
    unit = np.array([f"고객 {k}" for k in range(300)], dtype=object)
    first = told(ours, theirs, "f1", unit=unit)
    assert told(ours, theirs, "f1", unit=unit) == first
    assert told(ours, theirs, "f1", unit=np.arange(300)) == first


def test_the_ladders_interval_goes_the_same_way() -> None:
    good, bad = binary(500, 4, lift=2.0), binary(500, 4, lift=0.3)
    whole: Any = {"weight": np.ones(500), "identity": np.arange(500)}
    for name in ("roc_auc", "log_loss", "brier", "accuracy"):
        gain: Any = paired(good, bad, name, **whole)
        found = told(good, bad, name)
        assert gain.low > 0, name
        assert (gain.value, gain.low, gain.high) == (found.value, found.low, found.high)
    near = binary(500, 4, lift=2.0, noise=0.33)
    close: Any = paired(good, near, "log_loss", **whole)
    apart: Any = measure(good, ["log_loss"], **whole)["log_loss"]
    assert close.standard_error < 0.5 * apart.standard_error
