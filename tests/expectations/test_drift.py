"""Sizes of drift, their tests, and a profile that stands for rows that are gone."""

import json

import numpy as np
import pytest

from expectations.drift import adjusted, compared, counted, profile_of, settled, stability

ROWS = 5_000


@pytest.fixture
def random():
    return np.random.default_rng(0)


def moved(before, after, names=None):
    profile = json.loads(json.dumps(profile_of(before, names)))
    return settled({"x": compared(profile, counted(profile, after, names))})[0]


def test_the_same_population_has_not_drifted(random):
    found = moved(random.normal(size=ROWS), random.normal(size=ROWS))
    assert not found["drifted"]
    assert found["auc"] == pytest.approx(0.5, abs=0.02)


def test_a_moved_mean_is_told_with_its_size(random):
    found = moved(random.normal(size=ROWS), random.normal(0.8, 1, ROWS))
    assert found["drifted"]
    assert found["size"] == "large"
    assert found["auc"] == pytest.approx(0.714, abs=0.02)  # Phi(.8 / sqrt 2)
    assert found["mean"][1] > 0.7


def test_a_small_sample_is_not_taken_for_drift(random):
    found = [moved(random.normal(size=60), random.normal(size=40))["drifted"] for _ in range(50)]
    assert sum(found) <= 1


def test_gaps_new_levels_and_cells_out_of_range_are_sizes_of_their_own(random):
    before = random.integers(0, 3, ROWS)
    after = np.where(random.random(ROWS) < 0.2, 3, random.integers(0, 3, ROWS))
    after[:500] = -1
    profile = profile_of(before, ("a", "b", "c"))
    found = compared(profile, counted(profile, after, ("c", "a", "b", "new")))
    assert found["missing"] == [0, 0.1]
    assert found["outside"] == pytest.approx(0.18, abs=0.02)
    assert settled({"x": found})[0]["drifted"]


def test_levels_are_matched_by_name_not_by_code(random):
    before = random.integers(0, 3, ROWS)
    profile = profile_of(before, ("a", "b", "c"))
    swapped = np.array([2, 1, 0])[before]
    assert compared(profile, counted(profile, swapped, ("c", "b", "a")))["psi"] == 0


def test_a_column_of_another_kind_counts_as_missing(random):
    profile = profile_of(random.normal(size=ROWS))
    codes = random.integers(0, 3, ROWS)
    assert compared(profile, counted(profile, codes, ("a", "b", "c")))["missing"][1] == 1


@pytest.mark.parametrize("cells", [np.full(50, np.nan), np.zeros(50), np.zeros(0)])
def test_odd_columns_have_a_profile(cells):
    profile = profile_of(cells)
    assert compared(profile, counted(profile, cells))["psi"] == 0
    json.dumps(profile, allow_nan=False)


def test_corrected_p_values_are_those_of_scipy(random):
    from scipy.stats import false_discovery_control

    p = random.random(30)
    assert adjusted(p) == pytest.approx(false_discovery_control(p))


def test_chance_makes_as_much_as_is_said(random):
    shares = np.full(10, 0.1)
    draws = [
        stability(random.multinomial(500, shares), random.multinomial(300, shares))
        for _ in range(300)
    ]
    assert np.mean([psi for psi, _ in draws]) == pytest.approx(draws[0][1], rel=0.15)
