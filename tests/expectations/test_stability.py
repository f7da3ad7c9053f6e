"""Disturbed rows: what is disturbed, how much, and whether the answers that move are counted."""

from __future__ import annotations

import numpy as np
import pytest

from expectations.predictions import Predictions
from expectations.stability import CELLS, UNSEEN, Disturbed, stability

ROWS = 2_000
FEEDS = {
    "numbers": np.random.default_rng(0).normal(size=(ROWS, 2)) * [1.0, 100.0],
    "categories": np.random.default_rng(1).choice(["a", "b"], size=(ROWS, 1)).astype(object),
}
BOTH = {"작은": [("numbers", 0)], "큰": [("numbers", 1)]}
KIND = {"종류": [("categories", 0)]}
ALL = Disturbed(
    missing=BOTH | KIND, unseen=KIND, noise=BOTH, spread=np.array([1.0, 100.0]), target=1.0
)


def labels(rule):
    """A model of classes whose label is `rule` of the feeds."""

    def answer(feeds, rows):
        said = rule(feeds).astype(int)
        return Predictions(
            task="binary",
            target=np.zeros(len(rows), int),
            label=said,
            probabilities=np.eye(2)[said],
        )

    return answer


def told(answer, disturbed=ALL, **more):
    more = {"weight": np.ones(ROWS), "unit": np.arange(ROWS)} | more
    return stability(answer, FEEDS, disturbed, **more)


def test_a_model_that_looks_at_nothing_never_moves():
    found = told(labels(lambda feeds: np.ones(len(feeds["numbers"]))))
    assert [found[name]["share"] for name in found] == [1.0, 1.0, 1.0]
    assert all(found[name]["low"] < 1 for name in found)


def test_the_share_is_that_of_the_cells_that_went_missing():
    found = told(labels(lambda feeds: np.isnan(feeds["numbers"]).any(axis=1)))
    assert found["missing"]["share"] == pytest.approx((1 - CELLS) ** 2, abs=0.02)
    assert found["unseen"]["share"] == found["noise"]["share"] == 1.0
    assert found["missing"]["cells"] == pytest.approx(3 * ROWS * 3 * CELLS, rel=0.05)


def test_unseen_levels_reach_the_text_columns():
    found = told(labels(lambda feeds: feeds["categories"][:, 0] == UNSEEN))
    assert found["unseen"]["share"] == pytest.approx(1 - CELLS, abs=0.02)
    missing = told(labels(lambda feeds: feeds["categories"][:, 0] == ""))["missing"]
    assert missing["share"] == pytest.approx(1 - CELLS, abs=0.02)


def test_noise_is_a_hundredth_of_each_columns_spread():
    seen = []

    def watch(feeds):
        seen.append(feeds["numbers"].copy())
        return np.zeros(len(feeds["numbers"]))

    told(labels(watch), Disturbed(missing={}, unseen={}, noise=BOTH, spread=ALL.spread, target=1.0))
    moved = seen[1] - seen[0]
    assert moved.std(axis=0) == pytest.approx([0.01, 1.0], rel=0.1)


def test_values_stay_within_a_tenth_of_the_targets_spread():
    def answer(feeds, rows):
        said = np.nan_to_num(feeds["numbers"][:, 0], nan=9.0)
        return Predictions(task="regression", target=np.arange(len(rows)) * 1.0, value=said)

    tight = Disturbed(missing={}, unseen={}, noise=BOTH, spread=ALL.spread, target=0.1)
    wide = Disturbed(missing={}, unseen={}, noise=BOTH, spread=ALL.spread, target=10.0)
    assert told(answer, tight)["noise"]["share"] == pytest.approx(0.68, abs=0.05)
    assert told(answer, wide)["noise"]["share"] == 1.0


def test_what_derives_from_a_column_goes_missing_with_it():
    dates = {"날짜": [("numbers", 0), ("numbers", 1)]}
    found = told(
        labels(lambda feeds: np.isnan(feeds["numbers"]).sum(axis=1) == 1),
        Disturbed(missing=dates, unseen={}, noise={}, spread=ALL.spread, target=1.0),
    )
    assert found["missing"]["share"] == 1.0
    assert found["unseen"] is None
    assert found["noise"] is None


def test_the_same_rows_give_the_same_figures_and_are_left_as_they_were():
    before = FEEDS["numbers"].copy()
    answer = labels(lambda feeds: feeds["numbers"].sum(axis=1) > 0)
    assert told(answer) == told(answer)
    assert (FEEDS["numbers"] == before).all()
