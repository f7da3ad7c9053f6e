"""Which columns a fold reads: by its train rows alone, and with the reason."""

import numpy as np
import pytest
import torch

from models.encode import Columns, Encoder, TrainingTable
from models.selecting import constant, correlated, kept


def given_table(rows=300):
    """`twin` repeats `x`, `noise` says nothing, `c` decides the target."""
    rng = np.random.default_rng(0)
    x, c = rng.normal(size=rows), rng.integers(0, 2, rows)
    numbers = np.stack([x, 3 * x + 1e-3 * rng.normal(size=rows), rng.normal(size=rows)], axis=1)
    numbers[::7, 1] = np.nan
    return TrainingTable(
        numbers=numbers, categories=np.array(["a", "b"], dtype=object)[c][:, None],
        target=c * 5.0 + x, weight=np.ones(rows), fold=np.arange(rows) % 2, classes=0,
        columns=Columns(numbers=("x", "twin", "noise"), categories=("c",)),
    )  # fmt: skip


def test_the_later_of_two_numbers_that_move_together_is_dropped():
    rng = np.random.default_rng(0)
    x = 1e9 + rng.normal(size=200)
    found = correlated(np.stack([x, rng.normal(size=200), -2 * x, x], axis=1), most=0.99)
    assert list(found) == [2, 3]
    assert "moves with column 0" in found[2]
    assert correlated(np.full((5, 3), 7.0), most=0.5) == {}


@pytest.mark.parametrize("by", ["information", "importance"])
def test_columns_that_say_least_of_the_target_are_dropped(by):
    table = given_table()
    codes = (table.categories == "b").astype(np.int64)
    found = kept(table.numbers, codes, table.target, classes=0, most=3, by=by, seed=0)
    assert list(found.gone) == [2]
    assert found.shares[3] == 1.0
    assert kept(table.numbers, codes, table.target, classes=0, most=4, seed=0).gone == {}


def test_a_column_that_is_chosen_by_chance_now_and_then_does_not_stay():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(400, 8)), rng.integers(0, 2, 400)
    x[:, 0] += 2 * y
    found = kept(x, np.zeros((400, 0), int), y, classes=2, most=6, seed=0)
    assert 0 not in found.gone
    assert len(found.gone) > 2  # fewer than six stay: most of the noise is seldom chosen
    assert all(found.shares[j] <= 0.5 for j in found.gone)


def test_columns_of_one_value_nearly_everywhere_are_dropped():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1000, 3))
    x[5:, 1], x[3:, 2] = 7.0, np.nan
    codes = np.stack([np.zeros(1000, int), np.arange(1000) % 2], axis=1)
    found = constant(x, codes, rng.permutation(1000), most=0.99)
    assert list(found) == [1, 2, 3]
    assert found[1] == "one value in 99.50% of the rows"


@pytest.mark.parametrize(
    ("asked", "gone"),
    [
        ({"drop_correlated": 0.9}, "twin"),
        ({"keep": 3}, "noise"),
        ({"keep": 3, "keep_by": "importance"}, "noise"),
    ],
)
def test_a_dropped_column_says_nothing_any_more(asked, gone):
    table = given_table()
    encoder = Encoder(**asked).fit(table)
    assert [list(each) for each in encoder.dropped_] == [[gone]] * 2
    at = table.columns.numbers.index(gone)
    codes = encoder.codes(table.categories)
    before, _ = encoder(torch.from_numpy(table.numbers), codes)
    table.numbers[:, at] = 1e9
    after, _ = encoder(torch.from_numpy(table.numbers), codes)
    assert torch.equal(before, after)


def test_a_column_of_one_value_is_silenced_whatever_its_width():
    table = given_table()
    table.numbers[4:, 2] = 7.0
    assert [list(each) for each in Encoder().fit(table).dropped_] == [[], []]
    encoder = Encoder(drop_constant=0.9).fit(table)
    assert [list(each) for each in encoder.dropped_] == [["noise"]] * 2
    assert encoder.factor[:, 2].tolist() == [0.0, 0.0]


def test_a_dropped_category_is_unknown():
    table = given_table()
    table.target[:] = table.numbers[:, 0]
    encoder = Encoder(keep=1).fit(table)
    assert all("c" in each for each in encoder.dropped_)
    assert encoder.own(encoder.codes(table.categories)).unique().tolist() == [0]


def test_rows_that_a_fold_judges_choose_nothing():
    table = given_table()
    before = Encoder(drop_correlated=0.9, keep=2).fit(table)
    table.numbers[table.fold == 0] = 0.0
    table.target[table.fold == 0] = 0.0
    after = Encoder(drop_correlated=0.9, keep=2).fit(table)
    assert before.dropped_[0] == after.dropped_[0]
    assert before.dropped_[1] != after.dropped_[1]


def test_where_too_few_rows_tell_anything_all_columns_stay():
    x = np.random.default_rng(0).normal(size=(110, 6))
    found = kept(
        x, np.empty((110, 0), np.int64), (x[:, 5] > 0).astype(np.int64),
        classes=2, most=3, by="importance", seed=0,
    )  # fmt: skip
    assert found.gone == {}
