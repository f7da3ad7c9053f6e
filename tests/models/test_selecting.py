"""Which columns a fold reads: by its train rows alone, and with the reason."""

import numpy as np
import pytest
import torch

from models.encode import Columns, Encoder, TrainingTable
from models.selecting import correlated, informed


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


def test_columns_that_share_least_with_the_target_are_dropped():
    table = given_table()
    codes = (table.categories == "b").astype(np.int64)
    found = informed(table.numbers, codes, table.target, classes=0, kept=3, seed=0)
    assert list(found) == [2]
    assert informed(table.numbers, codes, table.target, classes=0, kept=4, seed=0) == {}


@pytest.mark.parametrize(
    ("asked", "gone"), [({"drop_correlated": 0.9}, "twin"), ({"keep": 3}, "noise")]
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
