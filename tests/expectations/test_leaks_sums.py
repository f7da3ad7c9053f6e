"""Targets that are booked from columns: sums, means, products; and laws that are only suspected."""

import numpy as np
import pytest

from expectations.leaks_sums import made_of, parts_of

ROWS = 400


@pytest.fixture
def columns():
    random = np.random.default_rng(0)
    made = {f"n{k}": random.normal(size=ROWS) for k in range(6)}
    made |= {"a": random.poisson(40, ROWS) * 1.0, "b": random.gamma(3, 20, ROWS).round(1)}
    made |= {"price": random.gamma(3, 20, ROWS).round(2) + 1}
    return made | {"number": random.integers(1, 30, ROWS) * 1.0}


def found(columns, target):
    leaks = made_of(columns, target, name="total", features=len(columns))
    return leaks[0] if leaks else None


@pytest.mark.parametrize(
    ("make", "names", "formula"),
    [
        (lambda c: c["a"] + c["b"], {"a", "b"}, "a + b"),
        (lambda c: c["a"] - c["b"] + c["n1"], {"a", "b", "n1"}, "- b"),
        (lambda c: (c["a"] + c["b"] + c["n2"]) / 3, {"a", "b", "n2"}, "0.333333 * a"),
        (lambda c: ((c["a"] + c["b"]) / 2).round(1), {"a", "b"}, "0.5 * a"),
        (lambda c: c["price"] * c["number"], {"price", "number"}, "price * number"),
        (lambda c: (c["price"] * c["number"]).round(2), {"price", "number"}, "number"),
        (lambda c: c["price"] / c["number"], {"price", "number"}, "price / number"),
    ],
)
def test_a_booked_total_is_sure_and_names_its_parts(columns, make, names, formula):
    leak = found(columns, make(columns))
    assert leak.sure, leak
    assert set(leak.columns) == names
    assert formula in leak.sentence


def test_other_weights_may_be_the_law_that_is_to_be_learned(columns):
    leak = found(columns, 2.5 * columns["n0"] - 0.7 * columns["n1"] + 4)
    assert not leak.sure
    assert set(leak.columns) == {"n0", "n1"}


def test_a_table_that_holds_nothing_but_the_parts_is_only_suspected(columns):
    few = {name: columns[name] for name in ("a", "b")}
    assert not found(few, few["a"] + few["b"]).sure


def test_noise_ends_the_relation(columns):
    random = np.random.default_rng(1)
    assert found(columns, columns["a"] + columns["b"] + random.normal(0, 2, ROWS)) is None
    assert parts_of(columns, random.normal(size=ROWS)) is None


def test_gaps_in_the_parts_do_not_hide_it(columns):
    target = columns["a"] + columns["b"]
    columns["a"][::9] = np.nan
    leak = found(columns, target)
    assert set(leak.columns) == {"a", "b"}
    assert leak.sure


def test_more_columns_than_rows_make_no_total():
    random = np.random.default_rng(2)
    wide = {f"n{k}": random.normal(size=60) for k in range(200)}
    assert found(wide, random.normal(size=60)) is None
