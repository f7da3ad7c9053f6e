from __future__ import annotations

import numpy as np
import pytest

from flows.sentinels import _grade as grade
from flows.sentinels import standings, usual_form

RNG = np.random.default_rng(0)
N = 2_000


def proposed(cells):
    """Return {value: True where it is proposed, False where it is only said}."""
    found = {s.value: grade(s, dates=False) for s in standings(np.asarray(cells, dtype=np.float64))}
    return {value: verdict for value, verdict in found.items() if verdict is not None}


def planted(cells, value, share=0.02):
    cells = np.array(cells, dtype=np.float64)
    cells[RNG.choice(len(cells), max(3, int(share * len(cells))), replace=False)] = value
    return cells


BELL = RNG.normal(20, 8, N).round(1)
AGES = RNG.integers(18, 95, N)
AMOUNTS = np.exp(RNG.normal(4, 1.2, N)).round(2)
COUNTS = RNG.poisson(3, N)
GRADES = RNG.integers(1, 6, N)
DEGREES = RNG.integers(0, 361, N)
SIZES = RNG.normal(5.7, 1.1, N).round(2)

PLANTED = {
    "-200 among measurements": (BELL, -200),
    "-999 among measurements": (BELL, -999),
    "999 among ages": (AGES, 999),
    "-1 among ages": (AGES, -1),
    "-1 in amounts": (AMOUNTS, -1),
    "99 among grades": (GRADES, 99),
    "-9 among grades": (GRADES, -9),
    "999 among degrees": (DEGREES, 999),
    "9999 among measurements": (BELL, 9999),
    "an impossible 0": (SIZES, 0),
    "the smallest integer": (COUNTS, -2147483648),
    "99999 among amounts": (AMOUNTS, 9_999_999),
    "-9999 once": (BELL, -9999),
}


@pytest.mark.parametrize(("cells", "value"), PLANTED.values(), ids=PLANTED)
def test_a_planted_stand_in_is_proposed_and_nothing_else(cells, value):
    assert proposed(planted(cells, value)) == {float(value): True}


def test_most_cells_may_be_the_stand_in():
    days = np.where(RNG.random(N) < 0.9, 999, RNG.integers(0, 28, N))
    assert proposed(days) == {999.0: True}


def test_codes_side_by_side_are_found_together():
    cells = planted(planted(planted(RNG.integers(0, 11, N), 97), 98), 99)
    assert proposed(cells)[99.0] is True


def test_two_stand_ins_on_one_side_are_both_found():
    assert set(proposed(planted(planted(BELL, -999), -200))) == {-999.0, -200.0}


CLEAN = {
    "normal": lambda r: r.normal(0, 1, N),
    "normal, rounded": lambda r: r.normal(50, 10, N).round(),
    "lognormal": lambda r: np.exp(r.normal(3, 1.5, N)).round(2),
    "lognormal, rounded to hundreds": lambda r: np.exp(r.normal(8, 1, N)).round(-2),
    "poisson": lambda r: r.poisson(2, N),
    "uniform": lambda r: r.random(N).round(3),
    "exponential": lambda r: r.exponential(10, N).round(1),
    "t with three degrees": lambda r: r.standard_t(3, N).round(1),
    "zero-inflated amounts": lambda r: np.where(
        r.random(N) < 0.9, 0, np.exp(r.normal(8, 1, N)).round()
    ),
    "capped": lambda r: np.minimum(np.exp(r.normal(3, 0.8, N)), 50).round(1),
    "floored at zero": lambda r: np.maximum(r.normal(1, 2, N), 0).round(2),
    "signs": lambda r: r.integers(-1, 2, N),
    "grades": lambda r: r.integers(1, 6, N),
    "percent": lambda r: r.integers(0, 101, N),
    "hours": lambda r: r.integers(0, 24, N),
    "years": lambda r: r.integers(1950, 2024, N),
    "two humps": lambda r: np.where(
        r.random(N) < 0.3, r.normal(100, 3, N), r.normal(0, 3, N)
    ).round(1),
    "pareto": lambda r: (r.pareto(1.5, N) * 10).round(1),
    "flags": lambda r: r.integers(0, 2, N),
    "temperatures": lambda r: r.normal(4, 6, N).round(),
    "ages to 99": lambda r: r.integers(0, 100, N),
    "discrete prices": lambda r: r.choice(
        [9.99, 19.99, 49.99, 99.99, 999.0], N, p=[0.5, 0.3, 0.15, 0.04, 0.01]
    ),
}


@pytest.mark.parametrize("make", CLEAN.values(), ids=CLEAN)
def test_clean_columns_give_no_proposal(make):
    for seed in range(10):
        found = proposed(make(np.random.default_rng(seed)))
        assert True not in found.values(), (seed, found)


@pytest.mark.parametrize(
    "value", [-1, -9, -99, 99, 999, -999.0, 9999.0, -999.9, 1e30, -32768, 888, 77777]
)
def test_the_usual_forms_of_missing_numbers(value):
    assert usual_form(float(value))


@pytest.mark.parametrize("value", [0, 1, 9, 50, -200, 100, 88.5, 90, 1999, -2])
def test_other_numbers_have_no_usual_form(value):
    assert not usual_form(float(value))
