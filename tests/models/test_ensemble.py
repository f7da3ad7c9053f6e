"""Choosing candidates: the mean of seeds beats one, greedy must earn its place, time is bounded."""

import numpy as np
import pytest

from models.ensemble import Scored, choose, paired, parts, row_losses


def noisy(rng, *, rows=2000, noise=(1.0, 1.0, 1.0, 1.0), pools=None, budget=np.inf):
    """Logistic predictions of S candidates with independent errors: the true class's share."""
    logit = rng.normal(size=rows) * 2
    true = rng.random(rows) < 1 / (1 + np.exp(-logit))
    seen = logit + np.asarray(noise)[:, None] * rng.normal(size=(len(noise), rows))
    share = 1 / (1 + np.exp(-seen))
    return Scored(
        values=np.where(true, share, 1 - share),
        target=None,
        weight=np.ones(rows),
        pools=np.zeros(len(noise), int) if pools is None else np.asarray(pools),
        seconds=np.ones(len(noise)),
        budget=budget,
    )


def chosen(scored, *, rungs=(), **options):
    count = len(scored.values)
    networks = np.array([i not in rungs for i in range(count)])
    return choose(scored, [f"c{i}" for i in range(count)], networks, **options)


def test_the_mean_of_a_settings_seeds_is_kept():
    scored = noisy(np.random.default_rng(0))
    choice = chosen(scored)
    assert choice.kept
    assert choice.gain > choice.standard_error > 0
    assert choice.weights.sum() == pytest.approx(1)
    mixed = scored.losses(choice.weights @ scored.values).mean()
    assert mixed < scored.singly().min()


def test_greedy_is_kept_only_where_it_gains_more_than_a_standard_error():
    rng = np.random.default_rng(1)
    assert chosen(noisy(rng, noise=(1.5, 1.5, 6.0, 6.0, 6.0, 6.0, 6.0))).kind == "greedy"
    assert chosen(noisy(rng)).kind == "uniform"


def test_candidates_of_other_settings_have_no_plain_mean():
    choice = chosen(noisy(np.random.default_rng(2), pools=range(4)))
    assert set(choice.scores) == {"best", "greedy"}
    assert choice.kind == "greedy"


def test_only_the_seeds_of_one_setting_are_averaged_plainly():
    scored = noisy(np.random.default_rng(3), noise=(1, 1, 9, 9, 9), pools=[0, 0, 1, 1, 2])
    choice = chosen(scored)
    assert choice.weights[2:].max() < 0.1
    assert choice.scores["uniform"] < choice.scores["best"]


def test_one_that_is_clearly_better_answers_alone():
    choice = chosen(noisy(np.random.default_rng(2), noise=(0.1, 9.0, 9.0)))
    assert choice.kind == "best"
    assert not choice.kept
    assert np.count_nonzero(choice.weights) == 1


def test_a_rung_may_answer_alone():
    scored = noisy(np.random.default_rng(4), noise=(9.0, 9.0, 9.0, 0.1), pools=[0, 0, 0, 1])
    choice = chosen(scored, rungs=(3,))
    assert choice.weights.tolist() == [0, 0, 0, 1]
    assert (choice.kind, choice.single) == ("best", "c3")
    assert choice.shares == {"networks": 0, "rungs": 1}


def test_best_takes_the_single_best_network_and_names_a_better_rung():
    scored = noisy(np.random.default_rng(4), noise=(2.0, 1.0, 2.0, 0.1))
    choice = chosen(scored, rungs=(3,), only="best")
    assert choice.kind == "best"
    assert choice.weights.tolist() == [0, 1, 0, 0]
    assert choice.rung["name"] == "c3"
    assert choice.rung["gain"] > choice.rung["standard_error"]
    assert chosen(noisy(np.random.default_rng(4)), rungs=(3,), only="best").rung is None


@pytest.mark.parametrize("most", [1, 2, 3])
@pytest.mark.parametrize("count", [5, 30])
def test_the_budget_bounds_what_is_chosen(most, count):
    noise = np.linspace(1, 1.4, count)
    scored = noisy(np.random.default_rng(3), noise=noise, pools=range(count), budget=most)
    assert 1 <= np.count_nonzero(chosen(scored).weights) <= most


def test_one_that_is_too_slow_alone_is_left_out():
    scored = noisy(np.random.default_rng(5), noise=(0.1, 2.0, 2.0), budget=2.5)
    scored.seconds[0] = 3.0
    assert chosen(scored).weights[0] == 0
    scored.seconds[:] = 3.0
    choice = chosen(scored)
    assert choice.weights.tolist() == [1, 0, 0]


def test_values_are_chosen_by_weighted_squared_error():
    rng = np.random.default_rng(5)
    target = rng.normal(size=500)
    values = np.stack([target + 5 * (target > 0), target + 5 * (target <= 0)])
    scored = Scored(
        values=values, target=target, weight=np.where(target > 0, 1.0, 1e-6),
        pools=np.arange(2), seconds=np.ones(2), budget=np.inf,
    )  # fmt: skip
    assert chosen(scored, only="best").weights.tolist() == [0, 1]


def test_errors_that_cancel_are_found():
    rng = np.random.default_rng(6)
    target, off = rng.normal(size=800), rng.normal(size=800)
    values = target + np.stack([off, -off, 0.9 * rng.normal(size=800)])
    scored = Scored(
        values=values, target=target, weight=np.ones(800),
        pools=np.arange(3), seconds=np.ones(3), budget=np.inf,
    )  # fmt: skip
    choice = chosen(scored)
    assert choice.kind == "greedy"
    np.testing.assert_allclose(choice.weights, [0.5, 0.5, 0], atol=0.1)


def test_many_candidates_are_bagged_and_the_same_each_time():
    noise = np.random.default_rng(7).uniform(1, 3, 80)
    first, second = (
        chosen(noisy(np.random.default_rng(8), noise=noise, pools=range(80))) for _ in range(2)
    )
    assert first.kind == "greedy"
    np.testing.assert_array_equal(first.weights, second.weights)
    assert first.weights[np.argsort(noise)[40:]].sum() < 0.2


@pytest.mark.long
def test_two_hundred_candidates_on_a_hundred_thousand_rows_are_chosen_among():
    noise = np.random.default_rng(9).uniform(1, 3, 200)
    scored = noisy(np.random.default_rng(9), rows=100_000, noise=noise, pools=range(200))
    choice = chosen(scored)
    assert choice.kind == "greedy"
    assert choice.gain > choice.standard_error


def test_facts_name_what_was_chosen_heaviest_first():
    scored = noisy(np.random.default_rng(10), noise=(1, 1, 1, 0.8), pools=[0, 0, 0, 1])
    facts = chosen(scored, rungs=(3,)).facts()
    weights = [each["weight"] for each in facts["chosen"]]
    assert weights == sorted(weights, reverse=True)
    assert sum(weights) == pytest.approx(1)
    assert {each["part"] for each in facts["chosen"]} == {"network", "rung"}
    assert sum(facts["shares"].values()) == pytest.approx(1)


def test_row_losses_are_log_losses_or_squared_errors():
    shares = np.array([[0.25, 0.75], [1.0, 0.0]])
    found = row_losses(shares, np.array([1, 0]), "class")
    np.testing.assert_allclose(found, [-np.log(0.75), 0])
    assert row_losses(np.array([1.0]), np.array([3.0]), "regression").tolist() == [4]


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
