"""Traces of a preparation that saw test rows, and the same preparation made on train rows."""

import numpy as np
import pytest

from expectations import leaks_prepared
from expectations.leaks_target import Target

ROWS = 500
FITTED = np.arange(ROWS) % 5 != 0


@pytest.fixture
def random():
    return np.random.default_rng(0)


@pytest.mark.parametrize("ddof", [0, 1])
def test_a_column_standardised_with_all_rows_is_told(random, ddof):
    cells = random.gamma(2, 30, ROWS)
    whole = (cells - cells.mean()) / cells.std(ddof=ddof)
    own = (cells - cells[FITTED].mean()) / cells[FITTED].std(ddof=ddof)
    assert leaks_prepared.scaled(whole, FITTED)
    assert leaks_prepared.scaled(whole.round(4), FITTED)
    assert not leaks_prepared.scaled(own, FITTED)


def test_columns_that_are_normal_by_nature_are_not_told(random):
    assert not any(leaks_prepared.scaled(random.normal(size=ROWS), FITTED) for _ in range(300))


def test_gaps_filled_with_the_mean_of_all_rows_are_told(random):
    cells = random.gamma(2, 30, ROWS)
    gaps = random.random(ROWS) < 0.1
    whole = np.where(gaps, cells[~gaps].mean(), cells)
    own = np.where(gaps, cells[~gaps & FITTED].mean(), cells)
    assert leaks_prepared.filled(whole, FITTED) == pytest.approx(cells[~gaps].mean())
    assert leaks_prepared.filled(own, FITTED) is None
    assert leaks_prepared.filled(cells.round(), FITTED) is None


@pytest.mark.parametrize("classes", [0, 2])
def test_levels_encoded_by_the_targets_of_all_rows_are_sure(random, classes):
    level = random.integers(0, 30, ROWS)
    y = random.normal(size=ROWS) if not classes else (random.random(ROWS) < 0.4).astype(np.int64)
    target = Target(name="y", cells=y, classes=classes)
    whole = np.array([y[level == k].mean() for k in range(30)])[level]
    own = np.array([y[(level == k) & FITTED].mean() for k in range(30)])[level]
    assert leaks_prepared.encoded(whole, target, FITTED)
    assert not leaks_prepared.encoded(own, target, FITTED)
    assert not leaks_prepared.encoded(level.astype(float), target, FITTED)
    assert leaks_prepared.prepared([], [], ["town"])[0].sure
