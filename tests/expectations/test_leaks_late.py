"""Columns that come too late, told by rows without a target, by dates, and by name."""

import numpy as np

from expectations import leaks_late

ROWS = 1_000


def test_gaps_where_the_target_is_missing_are_told_and_gaps_elsewhere_are_not():
    random = np.random.default_rng(0)
    untold = random.random(ROWS) < 0.1
    assert "of its" in leaks_late.comes_with_target("arrived", untold, untold)
    assert leaks_late.comes_with_target("age", random.random(ROWS) < 0.1, untold) is None
    assert leaks_late.comes_with_target("age", np.ones(ROWS, bool), untold) is None


def test_a_column_that_varies_only_without_a_target_is_told():
    random = np.random.default_rng(0)
    untold = random.random(ROWS) < 0.1
    assert leaks_late.varies_without_target("cancelled", untold.astype(float), untold)
    assert leaks_late.varies_without_target("size", random.normal(size=ROWS), untold) is None
    assert leaks_late.varies_without_target("one", np.ones(ROWS), untold) is None


def test_a_date_after_the_row_is_suspected():
    time = np.arange(ROWS) * 1.0
    assert leaks_late.dated_later("settled", time + 3, time, "opened")[0].numbers["share"] == 1
    assert leaks_late.dated_later("born", time - 3, time, "opened") == []


def test_denied_names_are_sure():
    leak = leaks_late.denied(["age", "settled_at", "settled_by"], ("settled_*",))[0]
    assert leak.columns == ("settled_at", "settled_by")
    assert leak.sure
