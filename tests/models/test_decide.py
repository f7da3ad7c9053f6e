"""Decisions: costs are checked, the Bayes threshold holds until the rows say otherwise."""

import numpy as np
import pytest

from models.decide import bayes_threshold, cost_matrix, decision

COSTS = {"bad": {"good": 5.0}, "good": {"bad": 1.0}}


def rows(rng, n=4000, power=1.0):
    share = rng.random(n)
    target = (rng.random(n) < share).astype(int)
    said = share**power / (share**power + (1 - share) ** power)
    return np.stack([1 - said, said], axis=1), target


def test_costs_become_a_matrix_of_truth_by_answer():
    assert cost_matrix(COSTS, ["bad", "good"]).tolist() == [[0, 5], [1, 0]]


@pytest.mark.parametrize(
    ("costs", "message"),
    [
        ({"bda": {"good": 5}, "good": {"bad": 1}}, "no class is named 'bda'; did you mean 'bad'"),
        ({"bad": {"godo": 5}, "good": {"bad": 1}}, "costs.bad: no class is named 'godo'"),
        ({"bad": {"good": 5}}, "answering 'bad' where 'good' is true is missing"),
        ({"bad": {"good": -5}, "good": {"bad": 1}}, "0 or more, found -5"),
        ({"bad": {"good": float("nan")}, "good": {"bad": 1}}, "0 or more, found nan"),
        ({"bad": {"good": 0}, "good": {"bad": 0}}, "at least one mistake must cost"),
    ],
)
def test_wrong_costs_are_named(costs, message):
    with pytest.raises(ValueError, match=message):
        cost_matrix(costs, ["bad", "good"])


def test_many_wrong_costs_are_bounded():
    with pytest.raises(ValueError, match=r"and \d+ more"):
        cost_matrix({}, [f"가{i}" for i in range(20)])


def test_without_costs_the_likeliest_class_is_the_label():
    p = np.array([[0.2, 0.5, 0.3], [0.4, 0.3, 0.3]])
    found = decision(None, p, np.array([1, 0]), np.ones(2))
    assert found.kind == "likeliest"
    assert found.labels(p).tolist() == [1, 0]


def test_calibrated_probabilities_keep_the_bayes_threshold():
    p, target = rows(np.random.default_rng(0))
    found = decision(cost_matrix(COSTS, ["bad", "good"]), p, target, np.ones(4000))
    assert found.kind == "bayes"
    assert found.threshold == pytest.approx(5 / 6)
    assert (found.labels(p) == (p[:, 1] > 5 / 6)).all()


def test_a_threshold_that_saves_replaces_it():
    p, target = rows(np.random.default_rng(1), power=3.0)
    costs = cost_matrix(COSTS, ["bad", "good"])
    found = decision(costs, p, target, np.ones(4000))
    assert found.kind == "threshold"
    assert found.gain > found.standard_error
    assert found.threshold == pytest.approx(5**3 / (5**3 + 1), abs=0.02)
    assert (found.labels(p) == (p[:, 1] > found.threshold)).mean() > 0.999
    spent = [costs[target, label].sum() for label in (found.labels(p), (p[:, 1] > 5 / 6) * 1)]
    assert spent[0] < spent[1]


def test_more_classes_minimise_the_expected_cost():
    costs = np.array([[0, 1, 10], [1, 0, 10], [1, 1, 0]], dtype=float)
    p = np.array([[0.1, 0.2, 0.7], [0.02, 0.03, 0.95]])
    found = decision(costs, p, np.array([2, 2]), np.ones(2))
    assert found.kind == "bayes"
    assert found.labels(p).tolist() == [1, 2]


def test_few_rows_keep_the_bayes_threshold():
    p, target = rows(np.random.default_rng(2), n=20)
    found = decision(cost_matrix(COSTS, ["bad", "good"]), p, target, np.ones(20))
    assert (found.kind, found.gain) == ("bayes", 0.0)


def test_a_gain_for_one_answer_whatever_the_truth_has_no_threshold():
    assert bayes_threshold(np.array([[3.0, 1.0], [2.0, 0.0]])) is None
