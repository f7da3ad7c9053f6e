"""Near copies across the sides: found where they are, and not where rows are merely alike."""

import numpy as np

from expectations.leaks_twins import Twins, twins

ROWS = 600


def gathered(columns, test):
    made = Twins(train=~test, test=test)
    for cells in columns:
        made.add(np.asarray(cells))
    return made


def rows(seed=0, count=ROWS, width=6):
    return np.random.default_rng(seed).normal(size=(count, width))


def test_rows_that_differ_in_one_cell_are_found_with_their_twins():
    table = rows()
    table[300:] = table[:300]
    table[300:, 2] = rows(1)[300:, 2]
    test = np.arange(ROWS) >= 540
    ours, theirs = gathered(table.T, test).equal()
    assert np.array_equal(ours, np.arange(540, 600))
    assert np.array_equal(theirs, ours - 300)
    leak = twins(gathered(table.T, test), np.arange(ROWS), most=0.5)[0]
    assert leak.sure
    assert leak.numbers["pairs"][0] == [540, 240]


def test_jittered_rows_are_found_though_no_cell_is_equal():
    table = rows()
    table[300:] = table[:300] + 0.003 * rows(1)[300:]
    test = np.random.default_rng(2).random(ROWS) < 0.2
    made = gathered(table.T, test)
    assert not len(made.equal()[0])
    assert made.close() > 0.4
    assert twins(made, np.arange(ROWS), most=0.5)[0].type == "duplicates"


def test_honest_rows_have_none():
    table, test = rows(width=5), np.arange(ROWS) % 5 == 0
    assert twins(gathered(table.T, test), np.arange(ROWS), most=0.5) == []


def test_a_curve_through_space_is_not_taken_for_copies():
    time = np.sort(np.random.default_rng(0).random(ROWS)) * 6
    table = np.column_stack([np.sin(k * time + k) for k in range(1, 7)])
    made = gathered(table.T, np.arange(ROWS) % 5 == 0)
    assert made.close() is None


def test_few_levels_that_repeat_by_nature_are_not_taken_for_copies():
    random = np.random.default_rng(0)
    table = random.integers(0, 4, size=(ROWS, 8))
    assert twins(gathered(table.T, np.arange(ROWS) % 5 == 0), np.arange(ROWS), most=0.5) == []
