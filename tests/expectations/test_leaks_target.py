"""Copies of the target, gaps that tell it, row numbers; and what must only be suspected."""

import numpy as np
import pytest

from expectations.leaks_target import Alone, Target, lonely, of_column, row_number

ROWS = 200


@pytest.fixture
def random():
    return np.random.default_rng(0)


def classes(random, share=0.4):
    return Target(name="y", cells=(random.random(ROWS) < share).astype(np.int64), classes=2)


def values(random):
    return Target(name="y", cells=random.normal(50, 10, ROWS), classes=0)


def seen(cells, target, alone=None):
    return of_column("x", np.asarray(cells), target, alone, lonely=False)


def test_other_names_for_the_classes_are_a_sure_copy(random):
    target = classes(random)
    leak = seen(1 - target.cells, target)
    assert (leak.kind, leak.sure) == ("copy", True)
    assert "in all 200 rows" in leak.sentence


def test_a_few_wrong_labels_make_a_near_copy_that_is_only_suspected(random):
    target = classes(random)
    cells = target.cells.copy()
    cells[:2] = 1 - cells[:2]
    leak = seen(cells, target)
    assert (leak.kind, leak.sure) == ("near_copy", False)


def test_two_labels_that_agree_in_a_tiny_table_are_no_proof(random):
    target = Target(name="y", cells=np.r_[np.zeros(18, np.int64), 1, 1], classes=2)
    assert seen(target.cells, target) is None or not seen(target.cells, target).sure


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda y: y, "a copy"),
        (lambda y: 3 * y - 7, "a rescaled copy"),
        (lambda y: np.exp(y / 10), "a monotone copy"),
        (lambda y: -y, "a rescaled copy"),
    ],
)
def test_a_curve_through_the_target_without_exception_is_sure(random, make, word):
    target = values(random)
    leak = seen(make(target.cells), target)
    assert leak.sure
    assert word in leak.sentence


def test_noise_below_a_hundredth_is_a_near_copy(random):
    target = values(random)
    leak = seen(2 * target.cells + random.normal(0, 0.1, ROWS), target)
    assert (leak.kind, leak.sure) == ("near_copy", True)


def test_measurements_that_all_differ_are_no_copy(random):
    assert seen(random.normal(size=ROWS), values(random)) is None


def test_a_strong_marker_is_suspected_and_never_sure(random):
    target = classes(random)
    leak = seen(
        target.cells + random.normal(0, 0.2, ROWS), target, Alone(measure="roc_auc", value=0.995)
    )
    assert (leak.kind, leak.sure) == ("strong", False)
    assert (
        seen(
            target.cells + random.normal(0, 0.4, ROWS), target, Alone(measure="roc_auc", value=0.98)
        )
        is None
    )


def test_a_column_far_above_all_others_is_lonely():
    alone = {
        "x": Alone(measure="roc_auc", value=0.97),
        "a": Alone(measure="roc_auc", value=0.6),
        "b": Alone(measure="roc_auc", value=0.7),
    }
    assert lonely("x", alone)
    assert not lonely("x", alone | {"c": Alone(measure="roc_auc", value=0.9)})


def test_gaps_that_are_the_class_are_sure_and_nearly_so_suspected(random):
    target = classes(random)
    cells = np.where(target.cells == 1, random.normal(size=ROWS), np.nan)
    assert seen(cells, target).sure
    cells[np.flatnonzero(target.cells)[:2]] = np.nan
    leak = seen(cells, target)
    assert (leak.kind, leak.sure) == ("missingness", False)
    assert seen(np.where(random.random(ROWS) < 0.3, np.nan, 1.0), target) is None


@pytest.mark.parametrize("there", [True, False])
def test_cells_that_mostly_a_rare_class_has_are_suspected(random, there):
    rows = 20 * ROWS
    rare = Target(name="y", cells=(np.arange(rows) % 50 == 0).astype(np.int64), classes=2)
    told = np.where(rare.cells == 1, random.random(rows) < 0.7, random.random(rows) < 0.002)
    leak = seen(np.where(told == there, 1.0, np.nan), rare)
    assert (leak.kind, leak.sure) == ("missingness", False)
    assert "are of one class" in leak.sentence
    assert seen(np.where(random.random(rows) < 0.02, 1.0, np.nan), rare) is None


def test_gaps_where_values_are_all_on_one_side_are_told(random):
    target = values(random)
    cells = np.where(target.cells > 60, 1.0, np.nan) + random.normal(size=ROWS)
    assert seen(cells, target).kind == "missingness"


def test_a_row_number_is_sure_where_the_file_is_sorted_by_the_target():
    numbers = np.arange(1.0, ROWS + 1)
    assert row_number("n", numbers, Alone(measure="roc_auc", value=1.0)).sure
    assert not row_number("n", numbers, Alone(measure="roc_auc", value=0.6)).sure
    assert row_number("n", numbers[::-1].copy(), Alone(measure="roc_auc", value=1.0)) is None
    assert row_number("n", np.cumsum(np.full(ROWS, 7.0)), None) is None
