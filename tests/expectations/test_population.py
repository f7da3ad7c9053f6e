"""Adversarial validation: chance is left alone, another population is named."""

import numpy as np

from expectations.population import of_sides, told_apart

ROWS = 600


def area(shift, seed=0):
    random = np.random.default_rng(seed)
    test = np.arange(ROWS) % 3 == 0
    table = random.normal(size=(ROWS, 4))
    table[test, 1] += shift
    return told_apart(table, test)


def test_rows_of_one_population_cannot_be_told_apart():
    found = area(0.0)
    assert abs(found[0] - 0.5) < 3 * found[1]
    assert of_sides(found, [], by="given", test=200) == []


def test_rows_of_another_one_are_told_with_their_columns():
    columns = [{"column": "n1", "drifted": True, "size": "large"}]
    leak = of_sides(area(1.5), columns, by="given", test=200)[0]
    assert leak.type == "population"
    assert "n1" in leak.sentence
    assert not leak.sure


def test_too_few_rows_are_not_asked():
    assert told_apart(np.zeros((40, 2)), np.arange(40) < 10) is None
