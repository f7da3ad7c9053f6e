"""Shares with intervals over units."""

from __future__ import annotations

import numpy as np
import pytest

from expectations.shares import share, wilson


def test_the_interval_is_wilsons():
    from scipy.stats import binomtest

    held = np.arange(40) < 7
    found = share(held * 1.0, weight=np.full(40, 3.0), unit=np.arange(40))
    bounds = binomtest(7, 40).proportion_ci(method="wilson")
    assert found.value == pytest.approx(7 / 40)
    assert (found.low, found.high) == pytest.approx((bounds.low, bounds.high), abs=0.004)


def test_rows_of_one_unit_count_once():
    held = np.repeat(np.arange(30) < 10, 8) * 1.0
    apart = share(held, weight=np.ones(240), unit=np.arange(240))
    together = share(held, weight=np.ones(240), unit=np.repeat(np.arange(30), 8))
    assert (together.high - together.low) > 2 * (apart.high - apart.low)


def test_nothing_seen_is_not_nothing_there():
    none = share(np.zeros(20), weight=np.ones(20), unit=np.arange(20))
    assert (none.value, none.low) == (0.0, 0.0)
    assert 0.1 < none.high < 0.25
    units = share(np.zeros(20), weight=np.ones(20), unit=np.arange(20) // 5)
    assert units.high > none.high
    assert wilson(1.0, 10)[1] == 1.0


def test_no_rows_have_no_share():
    found = share(np.zeros(0), weight=np.zeros(0), unit=np.zeros(0))
    assert (found.value, found.low, found.high, found.rows) == (None, None, None, 0)
