"""The ladder: every rung on the folds' own rows, whatever the table looks like."""

import numpy as np
import pytest

from models.baselines import fit_rungs, ladder
from models.encode import Columns, TrainingTable


def table(rng, *, rows=240, numbers=3, categories=1, classes=2, folds=3, rare=False):
    x = rng.normal(size=(rows, numbers))
    levels = rng.choice(["서울", "부산", "", "a b"], size=(rows, categories)).astype(object)
    signal = x[:, 0] if numbers else (levels[:, 0] == "서울").astype(float)
    y = signal + 0.1 * rng.normal(size=rows)
    target = y if not classes else np.digitize(y, np.quantile(y, np.arange(1, classes) / classes))
    if rare:
        target[target == classes - 1] = 0
        target[0] = classes - 1
    if numbers:
        x[rng.random(x.shape) < 0.1] = np.nan
    fold = np.arange(rows) % folds if folds > 1 else np.where(np.arange(rows) % 4 == 0, 0, -1)
    names = Columns(
        numbers=tuple(f"n{i}" for i in range(numbers)),
        categories=tuple(f"c{i}" for i in range(categories)),
    )
    return TrainingTable(
        numbers=x, categories=levels, target=target, weight=np.ones(rows),
        fold=fold.astype(np.int64), columns=names, classes=classes,
    )  # fmt: skip


@pytest.mark.parametrize("classes", [0, 2, 3])
@pytest.mark.parametrize(("numbers", "categories"), [(3, 1), (2, 0), (0, 2)])
def test_every_rung_predicts_every_validation_row_and_test_row(classes, numbers, categories):
    given = table(np.random.default_rng(0), classes=classes, numbers=numbers, categories=categories)
    rungs = ladder(given, given.numbers[:7], given.categories[:7])
    assert [rung.name for rung in rungs] == ["dummy", "linear", "hist_gradient_boosting"]
    shape = (classes,) if classes else ()
    for rung in rungs:
        assert rung.failed is None
        assert rung.validation.shape == (240, *shape)
        assert rung.test.shape == (7, *shape)
        assert np.isfinite(rung.validation).all()
        if classes:
            np.testing.assert_allclose(rung.validation.sum(axis=1), 1, atol=1e-6)


def test_the_rungs_learn_something_beyond_the_dummy():
    given = table(np.random.default_rng(1), classes=0)
    dummy, *others = (np.square(r.validation - given.target).mean() for r in ladder(given))
    assert max(others) < 0.5 * dummy


def test_of_more_rows_than_memory_allows_a_rung_is_fitted_on_a_sample_and_says_so():
    given = table(np.random.default_rng(5), rows=600, classes=0)
    whole, few = fit_rungs(given), fit_rungs(given, memory=6 * 8 * 4 * 100)
    assert [rung.sampled for rung in whole] == [None, None]
    assert [rung.sampled for rung in few] == [100, 100]
    for rung, other in zip(few, whole, strict=True):
        assert np.isfinite(rung.validation).all()
        assert np.abs(rung.validation - other.validation).max() > 0


def test_with_one_holdout_only_its_rows_are_predicted():
    given = table(np.random.default_rng(2), folds=1)
    for rung in ladder(given):
        assert (np.isfinite(rung.validation).all(axis=1) == (given.fold == 0)).all()
        assert rung.test is None


def test_a_class_of_one_row_crashes_nothing():
    given = table(np.random.default_rng(3), classes=4, rare=True)
    for rung in ladder(given, given.numbers, given.categories):
        assert rung.failed is None
        assert rung.validation[0, 3] == 0


def test_no_row_predicts_itself():
    given = table(np.random.default_rng(4), classes=0, folds=3)
    before = ladder(given, names=("linear",))[0].validation
    given.target[given.fold == 0] += 100
    after = ladder(given, names=("linear",))[0].validation
    np.testing.assert_allclose(before[given.fold == 0], after[given.fold == 0])


def test_row_weights_are_honoured():
    given = table(np.random.default_rng(5), classes=0)
    given.weight[given.target > 0] = 1e-9
    for rung in ladder(given):
        assert rung.validation.mean() < 0


def test_many_levels_and_unseen_ones_are_fine():
    rng = np.random.default_rng(6)
    given = table(rng, rows=900, categories=1)
    given.categories[:, 0] = [f"level {i}" for i in rng.integers(0, 600, 900)]
    unseen = np.full((3, 1), "never seen", dtype=object)
    for rung in ladder(given, given.numbers[:3], unseen):
        assert rung.failed is None
        assert np.isfinite(rung.test).all()
