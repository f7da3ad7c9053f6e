"""Outliers among train rows: bounds by fold, left out of all that is learned, never of what judges."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import torch

from models.baselines import fit_rungs
from models.canary import learned, moved, spoilt
from models.encode import Columns, TrainingTable
from models.fit import encode, train_population, train_rows
from models.outliers import HALF, bounds_of, without_outliers
from models.room import Room
from models.settings import TrainSettings
from models.stored import load_table, save_table

SMALL = {"members": 2, "epochs": 3, "batch": 32, "width": 16, "bins": 8}
LIMIT = 6.0
FAR = [3, 50, 51, 120, 200]


def given(rows=240, *, folds=1, classes=2, seed=0):
    """A table of which rows FAR have one absurd number each, in `x` or `z`, and others lack cells."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 3))
    y = x[:, 0] + 0.3 * rng.normal(size=rows)
    x[rng.random(x.shape) < 0.05] = np.nan
    x[FAR[:2], 0] = 1e6
    x[FAR[2:], 2] = -40.0
    fold = np.where(np.arange(rows) % 5 == 0, 0, -1) if folds == 1 else np.arange(rows) % folds
    return TrainingTable(
        numbers=x,
        categories=rng.choice(np.array(["a", "b", "서울", ""], object), (rows, 1)),
        target=(y > 0).astype(np.int64) if classes else y,
        weight=rng.uniform(0.5, 2.0, rows),
        fold=fold,
        columns=Columns(numbers=("x", "y", "z"), categories=("city",)),
        classes=classes,
    )


def cut(table, rows):
    """The table without these rows."""
    names = ("numbers", "categories", "target", "weight", "fold")
    left = np.setdiff1d(np.arange(len(table.target)), rows)
    return replace(table, **{name: getattr(table, name)[left] for name in names}), left


def test_bounds_are_widths_of_the_middle_half_around_the_median():
    cells = np.arange(101.0)
    assert bounds_of(cells, 2.0) == pytest.approx((50 - 100 / HALF, 50 + 100 / HALF))
    gaps = np.concatenate([cells, np.full(900, np.nan)])
    assert bounds_of(gaps, 2.0) == bounds_of(cells, 2.0)
    normal = np.random.default_rng(0).normal(5, 3, 100_000)
    assert bounds_of(normal, 4.0) == pytest.approx((5 - 12, 5 + 12), abs=0.2)


@pytest.mark.parametrize(
    "cells",
    [
        np.array([]),
        np.full(9, np.nan),
        np.array([0.0] * 80 + [5e9] * 20),  # most counts
        np.array([0.0] * 300 + [1.0] * 100),  # of four levels, one: the quartile is between them
        np.array([0.0] * 100 + [1.0] * 300),
        np.array([0.0, 1.0]),
        np.array([-1.7e308, -1.6e308, 1.6e308, 1.7e308] * 5),
    ],
)
def test_a_column_without_width_leaves_nothing_out(cells):
    low, high = bounds_of(cells, 1.0)
    assert not ((cells < low) | (cells > high)).any()


def test_each_fold_leaves_out_its_own_train_rows_and_says_by_which_columns():
    table = given(folds=3)
    found = without_outliers(table, LIMIT)
    for fold in range(3):
        train = table.fold != fold
        own = sorted(row for row in FAR if train[row])
        assert np.flatnonzero(found.outliers.rows[fold]).tolist() == own
        assert np.array_equal(found.train(fold), train & ~np.isin(np.arange(240), own))
        in_x = sum(row in FAR[:2] for row in own)
        counts = {"x": in_x, "z": len(own) - in_x}
        assert found.outliers.columns[fold] == {n: c for n, c in counts.items() if c}
        assert (
            list(found.outliers.columns[fold].values())
            == sorted(c for c in counts.values() if c)[::-1]
        )
    assert found.outliers.train == [160, 160, 160]
    assert train_rows(found) == round(np.mean([160 - c for c in found.outliers.counts]))
    assert without_outliers(found, LIMIT) is found
    assert without_outliers(found, None).outliers is None
    assert without_outliers(table, None) is table


def test_bounds_are_those_of_the_fold_s_own_rows():
    """A number that is usual among the rows of one fold is far out for the folds of others."""
    table = given(folds=2)
    table.numbers[:, 1] += 100 * (table.fold == 0)
    found = without_outliers(table, 20.0)
    assert found.outliers.columns[0].keys() == found.outliers.columns[1].keys() == {"x", "z"}
    table.numbers[1, 1] = 100.0  # a train row of fold 0
    found = without_outliers(table, 20.0)
    assert found.outliers.columns[0]["y"] == 1
    assert found.outliers.rows[0, 1]
    assert "y" not in found.outliers.columns[1]


def test_rows_that_judge_say_nothing_and_stay():
    table = given()
    judged = table.fold == 0
    before, after = (
        without_outliers(each, LIMIT).outliers for each in (table, spoilt(table, judged, seed=0))
    )
    assert np.array_equal(before.rows, after.rows)
    assert before.columns == after.columns
    assert not before.rows[:, judged].any()
    assert judged[FAR].sum() == 3  # they hold absurd numbers too


@pytest.mark.parametrize("classes", [2, 0])
def test_a_training_is_the_one_on_the_other_rows_to_the_bit(classes):
    table = given(classes=classes)
    own = [row for row in FAR if table.fold[row] != 0]
    rest, left = cut(table, own)
    how = {"task": "regression", "impute": "mice", **SMALL}
    if classes:
        how |= {"task": "binary", "balance": "weights"}
    settings = TrainSettings(**how, drop_outliers=LIMIT)
    found, wanted = train_population(table, settings), train_population(rest, TrainSettings(**how))
    for one, other in ((found.encoder, wanted.encoder), (found.target, wanted.target)):
        mine, theirs = one.state_dict(), other.state_dict()
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    assert found.encoder.describe() == wanted.encoder.describe()
    np.testing.assert_array_equal(found.validation[:, left], wanted.validation)
    assert np.isfinite(found.validation[:, table.fold == 0]).all()


@pytest.mark.parametrize("classes", [2, 0])
def test_rungs_are_those_of_the_other_rows(classes):
    table = given(classes=classes)
    rest, left = cut(table, [row for row in FAR if table.fold[row] != 0])
    found = fit_rungs(without_outliers(table, LIMIT))
    for mine, theirs in zip(found, fit_rungs(rest), strict=True):
        assert mine.form is not None
        for name, array in theirs.form.tensors().items():
            np.testing.assert_array_equal(mine.form.tensors()[name], array, err_msg=name)
        np.testing.assert_array_equal(mine.validation[left], theirs.validation)


def test_without_outliers_nothing_changes():
    table = given()
    settings = TrainSettings(task="binary", **SMALL)
    far = replace(settings, drop_outliers=1e9)
    plain, marked = (train_population(table, each) for each in (settings, far))
    np.testing.assert_array_equal(plain.validation, marked.validation)


def test_a_fold_that_would_lose_most_of_its_rows_is_refused_with_the_columns():
    table = given()
    with pytest.raises(ValueError, match="must leave a fold at least 50% of its train rows") as no:
        without_outliers(table, 0.3)
    words = str(no.value)
    assert words.startswith("drop_outliers = 0.3 must")
    assert "fold 0 would lose " in words
    assert " of 192, most by " in words
    assert all(f"{name} (1" in words for name in "xyz")
    with pytest.raises(ValueError, match="must leave a fold at least"):
        encode(table, TrainSettings(task="binary", drop_outliers=0.3))
    kept = without_outliers(table, 0.3, strict=False)
    assert kept.outliers.counts == [0]


def test_a_fold_whose_other_rows_weigh_nothing_is_refused():
    table = given()
    judged = table.fold == 0
    weight = np.where(np.isin(np.arange(240), FAR) | judged, 1.0, 0.0)
    with pytest.raises(ValueError, match="train rows that weigh something"):
        without_outliers(replace(table, weight=weight), LIMIT)


def test_a_class_that_would_be_lost_is_refused_by_its_name():
    rare = np.isin(np.arange(240), FAR).astype(np.int64)
    table = replace(given(), target=rare)
    with pytest.raises(ValueError, match="must leave a fold train rows of every class") as no:
        without_outliers(table, LIMIT, labels=["usual", "rare"])
    assert 'fold 0 would lose all 2 of class "rare", most by x (1), z (1); raise it' in str(
        no.value
    )
    with pytest.raises(ValueError, match="all 2 of class number 1, most by"):
        without_outliers(table, LIMIT)
    table.target[7] = 1  # one more is enough
    assert without_outliers(table, LIMIT).outliers.counts == [2]


@pytest.mark.parametrize("value", [0, -1.0, float("nan"), float("inf")])
def test_an_impossible_limit_is_refused(value):
    with pytest.raises(ValueError, match="drop_outliers must be above 0, however: "):
        TrainSettings(task="binary", drop_outliers=value)


def test_a_mapped_table_is_looked_at_column_by_column(tmp_path):
    rng = np.random.default_rng(0)
    rows, columns = 60_000, 60
    numbers = Room(tmp_path, limit=0).array((columns, rows), np.float64)
    numbers[:] = rng.normal(size=numbers.shape)
    table = TrainingTable(
        numbers=numbers.T, categories=np.empty((rows, 0), object), target=numbers[0].copy(),
        weight=np.ones(rows), fold=np.where(np.arange(rows) % 5 == 0, 0, -1), classes=0,
        columns=Columns(numbers=tuple(f"n{j}" for j in range(columns)), categories=()),
    )  # fmt: skip
    tracemalloc.start()
    found = without_outliers(table, 4.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < numbers.nbytes / 8
    plain = without_outliers(replace(table, numbers=np.array(numbers.T)), 4.0)
    assert np.array_equal(found.outliers.rows, plain.outliers.rows)
    far = (np.abs(numbers.T) > 4.0).any(axis=1) & (table.fold != 0)
    assert found.outliers.counts[0] == pytest.approx(far.sum(), rel=0.1)


def test_processes_that_train_beside_this_one_leave_the_same_rows_out(tmp_path):
    settings = TrainSettings(task="binary", drop_outliers=LIMIT, **SMALL)
    encoded = encode(given(folds=2), settings)
    save_table(encoded, settings, tmp_path / "table")
    again = load_table(tmp_path / "table")
    assert again.digest == encoded.digest
    assert again.size == encoded.size < 120
    assert again.table.outliers.columns == encoded.table.outliers.columns
    assert all(torch.equal(a, b) for a, b in zip(again.rows.train, encoded.rows.train, strict=True))


@pytest.mark.parametrize("limit", [2.0, 0.3])
def test_the_canary_compares_the_rows_too(limit):
    """At 0.3 widths a sample would lose most of its rows: that is the training's to refuse."""
    table, settings = given(folds=2), TrainSettings(task="binary", drop_outliers=limit, **SMALL)
    assert moved(table, settings) == []
    single = replace(table, fold=np.where(table.fold == 0, 0, -1))
    assert "train rows.outliers" in learned(single, settings)
