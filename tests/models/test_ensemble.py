"""Choosing members: the mean beats one, greedy must earn its place, holes are survived."""

import numpy as np
import pytest

from models.ensemble import blend, greedy, member_weights, paired, parts, row_losses


def noisy(rng, *, rows=2000, noise=(1.0, 1.0, 1.0, 1.0)):
    """Logistic predictions of S candidates with independent errors: (S, N, 2) and codes (N,)."""
    logit = rng.normal(size=rows) * 2
    target = (rng.random(rows) < 1 / (1 + np.exp(-logit))).astype(int)
    seen = logit + np.array(noise)[:, None] * rng.normal(size=(len(noise), rows))
    share = 1 / (1 + np.exp(-seen))
    return np.stack([1 - share, share], axis=-1), target


def test_the_mean_of_independent_members_is_kept():
    predictions, target = noisy(np.random.default_rng(0))
    choice = greedy(predictions, target, np.ones(2000), task="binary")
    assert choice.kept
    assert choice.gain > choice.standard_error > 0
    assert choice.weights.sum() == pytest.approx(1)
    mixed = row_losses(blend(predictions, choice.weights), target, "binary").mean()
    assert mixed < min(row_losses(one, target, "binary").mean() for one in predictions)


def test_greedy_is_kept_only_where_it_gains_more_than_a_standard_error():
    rng = np.random.default_rng(1)
    good, target = noisy(rng, noise=(1.5, 1.5, 6.0, 6.0, 6.0, 6.0, 6.0))
    assert greedy(good, target, np.ones(2000), task="binary").kind == "greedy"
    alike, target = noisy(rng)
    assert greedy(alike, target, np.ones(2000), task="binary").kind == "uniform"


def test_one_that_is_clearly_better_than_the_mean_answers_alone():
    predictions, target = noisy(np.random.default_rng(2), noise=(0.1, 9.0, 9.0))
    choice = greedy(predictions, target, np.ones(2000), task="binary")
    assert choice.kind == "best"
    assert not choice.kept
    assert np.count_nonzero(choice.weights) == 1


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_no_more_candidates_than_the_limit_get_a_weight(limit):
    predictions, target = noisy(np.random.default_rng(3), noise=(1, 1.1, 1.2, 1.3, 1.4))
    choice = greedy(predictions, target, np.ones(2000), task="binary", limit=limit)
    assert np.count_nonzero(choice.weights) <= limit


def test_best_takes_the_single_best():
    predictions, target = noisy(np.random.default_rng(4), noise=(2.0, 0.1, 2.0))
    choice = greedy(predictions, target, np.ones(2000), task="binary", only="best")
    assert choice.kind == "best"
    assert choice.weights.tolist() == [0, 1, 0]


def test_values_are_chosen_by_weighted_squared_error():
    rng = np.random.default_rng(5)
    target = rng.normal(size=500)
    values = np.stack([target + 5 * (target > 0), target + 5 * (target <= 0)])
    weight = np.where(target > 0, 1.0, 1e-6)
    choice = greedy(values, target, weight, task="regression", only="best")
    assert choice.weights.tolist() == [0, 1]


def test_a_failed_members_rows_are_answered_by_the_others():
    predictions, target = noisy(np.random.default_rng(6))
    predictions[0, :400] = np.nan
    choice = greedy(predictions, target, np.ones(2000), task="binary")
    assert choice.holes == 1
    mixed = blend(predictions, choice.weights)
    assert np.isfinite(mixed).all()
    np.testing.assert_allclose(mixed.sum(axis=1), 1)


def test_rows_without_any_prediction_stay_missing_and_count_for_nothing():
    predictions, target = noisy(np.random.default_rng(7))
    predictions[:, 0] = np.nan
    choice = greedy(predictions, target, np.ones(2000), task="binary")
    mixed = blend(predictions, choice.weights)
    assert np.isnan(mixed[0]).all()
    assert np.isfinite(mixed[1:]).all()


def test_nothing_finite_is_refused():
    with pytest.raises(ValueError, match="not one finite row"):
        greedy(np.full((2, 3, 2), np.nan), np.zeros(3, int), np.ones(3), task="binary")


def test_weights_move_to_the_living():
    alive = np.array([[True, True, False], [False, True, False], [False, False, False]])
    spread = member_weights(np.array([0.5, 0.0, 0.5]), alive)
    assert spread.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 0]]


def test_parts_are_balanced_and_repeatable():
    assert np.bincount(parts(103)).tolist() == [21, 21, 21, 20, 20]
    assert (parts(50, seed=3) == parts(50, seed=3)).all()


def test_paired_agrees_with_the_usual_standard_error():
    rng = np.random.default_rng(8)
    before, after = rng.normal(size=400), rng.normal(size=400)
    mean, error = paired(before, after, np.ones(400))
    difference = before - after
    assert mean == pytest.approx(difference.mean())
    assert error == pytest.approx(difference.std() / 20)
