"""Sequences of nights: what the gate promises holds over all of them, and other rules do not."""

from __future__ import annotations

import math

import pytest

from benchmarks.gate import harmed, promoted, promoted_by_area, slices
from benchmarks.gate_nights import creep, equal, worse, years
from benchmarks.gate_slices import DROP, HARMED, referee_rows


def allowed(seeds: int, share: float = 0.07) -> float:
    """What a true share may come to in so many seeds, but once in a thousand."""
    return share + 3 * math.sqrt(share * (1 - share) / seeds)


def test_a_few_nights_of_equal_models_do_not_promote_one() -> None:
    found = equal("accuracy", range(8), rows=500)
    assert found["gate"] <= 0.25
    assert found["point"] >= 0.6


def test_a_planted_drop_in_a_slice_is_named() -> None:
    assert harmed(referee_rows(1, drop=0.15)) == {HARMED}
    assert harmed(referee_rows(2)) == set()
    assert DROP == 0.05


@pytest.mark.parametrize(
    "metric",
    [
        pytest.param("accuracy", marks=pytest.mark.slow),
        pytest.param("roc_auc", marks=pytest.mark.long),
    ],
)
def test_thirty_nights_of_equal_models_promote_one_in_at_most_a_twentieth_of_seeds(
    metric: str,
) -> None:
    found = equal(metric, range(80), rows=1000)  # pyright: ignore[reportArgumentType]
    assert found["gate"] <= allowed(80)
    assert found["unspent"] > 0.2  # what is not paid for does happen
    assert found["point"] > 0.8


@pytest.mark.parametrize(
    "metric",
    [
        pytest.param("accuracy", marks=pytest.mark.long),
        pytest.param("rmse", marks=pytest.mark.long),
    ],
)
def test_thirty_nights_of_models_worse_by_the_margin_promote_one_as_rarely(metric: str) -> None:
    found = worse(metric, range(80), rows=1000)  # pyright: ignore[reportArgumentType]
    assert found["gate"] <= allowed(80)
    assert found["unspent"] > 0.2


@pytest.mark.long
def test_a_year_of_small_losses_never_adds_up_to_a_margin() -> None:
    assert years(2)["most"] <= 1
    assert creep(0, nights=120, spent=False, anchored=False)["lost"] > 2
    assert creep(0, nights=120, spent=False)["lost"] < 1.5  # the anchor alone holds most of it


@pytest.mark.slow
def test_what_is_truly_better_is_seen() -> None:
    assert promoted(200) >= 0.9
    assert promoted(200, gain=0.0) <= allowed(200, 0.0304)
    assert promoted_by_area(200, gain=0.02, rows=5000) >= 0.9


@pytest.mark.slow
def test_a_drop_of_five_points_in_one_of_twenty_slices_is_caught() -> None:
    found = slices(200)
    assert found["slice_drop_caught"] >= 0.8 - 3 * math.sqrt(0.8 * 0.2 / 200)
    assert found["slice_false_alarm"] <= allowed(200)
