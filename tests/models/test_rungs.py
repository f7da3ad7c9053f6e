"""Rungs as plain arrays and in the graph: they predict what scikit-learn does, on any row."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

from models import rungs
from models.baselines import BASELINES, FORMS, fit_rungs
from models.encode import Columns, Encoder, TrainingTable
from models.export import Model, RungPart, difference, graph_of, open_session, run, spoilt
from models.nested import chains
from models.objective import Target
from models.rows import Rows

NAMES = tuple(FORMS)


def table(*, rows=300, numbers=3, categories=2, classes=2, folds=3, levels=6, weighted=False):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, numbers)) * 10.0 ** rng.integers(-3, 5, numbers)
    if numbers > 2:
        x[:, 1] = 1.7e9 + rng.integers(0, 1440, rows) * 60.0  # minutes in epoch seconds
        x[:, 2] = rng.integers(0, 5, rows)
    x[rng.random(x.shape) < 0.1] = np.nan
    names = np.array([f"수준 {i}" for i in range(levels)], dtype=object)
    c = names[np.minimum(rng.geometric(3 / levels, (rows, categories)) - 1, levels - 1)]
    c[rng.random(c.shape) < 0.1] = ""
    y = rng.normal(size=rows)
    if numbers:
        y += np.nan_to_num(x[:, 0] / np.nanstd(x[:, 0])) + (np.nan_to_num(x[:, -1]) == 2)
    for j in range(categories):
        y += np.array([hash_of(cell) for cell in c[:, j]])
    target = np.digitize(y, np.quantile(y, np.arange(1, classes) / classes)) if classes else y
    fold = np.arange(rows) % folds if folds > 1 else np.where(np.arange(rows) % 4 == 0, 0, -1)
    return TrainingTable(
        numbers=x, categories=c, target=target, fold=fold.astype(np.int64), classes=classes,
        weight=rng.uniform(0.5, 2, rows) if weighted else np.ones(rows),
        columns=Columns(
            numbers=tuple(f"n{i}" for i in range(numbers)),
            categories=tuple(f"c{i}" for i in range(categories)),
        ),
    )  # fmt: skip


def hash_of(cell):
    """A level's effect, that is the same in every process."""
    return (sum(cell.encode()) * 37 % 11) / 5 - 1


def feeds_of(given):
    blocks = {"numbers": given.numbers, "categories": given.categories}
    return {name: block for name, block in blocks.items() if block.shape[1]}


def the_library(name, given):
    """Return a function: feeds -> the mean over folds of scikit-learn's own predictions."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fits = [
            BASELINES[name](Rows.of(given, given.fold != fold), given.classes, 0)
            for fold in range(int(given.fold.max()) + 1)
        ]

    def predict(feeds):
        rows = len(next(iter(feeds.values())))
        numbers = feeds.get("numbers", np.empty((rows, 0)))
        categories = feeds.get("categories", np.empty((rows, 0), dtype=object))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return np.mean([fit.predict(numbers, categories) for fit in fits], axis=0)

    return predict


def model_of(given, *fitted, log=False):
    folds = int(given.fold.max()) + 1
    parts = tuple(
        RungPart(name=rung.name, form=rung.form, share=1 / len(fitted)) for rung in fitted
    )
    return Model(
        encoder=Encoder(bins=4).fit(given),
        target=Target.fit(given, folds=folds, log_target=log),
        rungs=parts,
        classes=given.classes,
    )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"classes": 3},
        {"classes": 0},
        {"folds": 1},
        {"numbers": 0},
        {"categories": 0},
        {"categories": 1, "levels": 150, "rows": 900},
        {"weighted": True},
        {"weighted": True, "classes": 0, "categories": 0, "numbers": 1},
    ],
)
def test_the_graph_predicts_what_the_library_does(name, options):
    given = table(**options)
    (rung,) = fit_rungs(given, names=(name,))
    assert rung.reason is None
    model = model_of(given, rung)
    graph = graph_of(model).SerializeToString()
    predict = the_library(name, given)
    for feeds in (feeds_of(given), spoilt(feeds_of(given))):
        wanted = predict(feeds)
        found = run(open_session(graph), feeds, chunk=97)
        answer = found["probabilities"] if given.classes else found["value"]
        np.testing.assert_allclose(answer, wanted, rtol=1e-6, atol=1e-6)
        assert difference(model, graph, feeds) <= 1e-6


@pytest.mark.parametrize("name", NAMES)
def test_validation_predictions_are_by_folds_that_have_not_seen_the_row(name):
    given = table(classes=0)
    (before,) = fit_rungs(given, names=(name,))
    given.target[given.fold == 0] += 100
    (after,) = fit_rungs(given, names=(name,))
    same = given.fold == 0
    np.testing.assert_allclose(before.validation[same], after.validation[same])
    assert np.abs(before.validation[~same] - after.validation[~same]).mean() > 10


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("classes", [2, 3])
def test_a_class_that_a_fold_lacks_has_no_probability_there(name, classes):
    given = table(classes=classes)
    last = given.target == classes - 1
    given = replace(given, target=np.where(last & (given.fold != 0), 0, given.target))
    (rung,) = fit_rungs(given, names=(name,))
    assert rung.reason is None
    assert (rung.validation[given.fold == 0, classes - 1] == 0).all()
    model, feeds = model_of(given, rung), spoilt(feeds_of(given))
    found = run(open_session(graph_of(model).SerializeToString()), feeds, chunk=300)
    wanted = the_library(name, given)(feeds)
    np.testing.assert_allclose(found["probabilities"], wanted, atol=1e-6)


def test_minutes_in_epoch_seconds_are_told_apart():
    given = table(classes=0, categories=0, folds=1)
    given.target[:] = (given.numbers[:, 1] > 1.7e9 + 36000).astype(float)
    (rung,) = fit_rungs(given, names=("hist_gradient_boosting",))
    rows = np.repeat(given.numbers[:1], 1440, axis=0)
    rows[:, 1] = 1.7e9 + np.arange(1440) * 60
    model = model_of(given, rung)
    found = run(open_session(graph_of(model).SerializeToString()), {"numbers": rows}, chunk=500)
    # What is above the border and what is below it differs by one minute.
    assert np.ptp(np.flatnonzero(np.abs(np.diff(found["value"])) > 0.5)) <= 3
    assert (found["value"][:590] < 0.5).all()
    assert (found["value"][610:] > 0.5).all()


@pytest.mark.parametrize("classes", [2, 0])
def test_rungs_answer_together_and_are_the_same_when_restored(classes):
    given = table(classes=classes)
    fitted = fit_rungs(given)
    model, feeds = model_of(given, *fitted), spoilt(feeds_of(given))
    graph = graph_of(model).SerializeToString(deterministic=True)
    assert difference(model, graph, feeds) <= 1e-6
    again = [
        replace(rung, form=rungs.restore(rung.form.describe(), rung.form.tensors()))
        for rung in fitted
    ]
    assert graph_of(model_of(given, *again)).SerializeToString(deterministic=True) == graph


def test_a_line_stays_within_the_targets_it_has_seen():
    given = table(classes=0, folds=1)
    (rung,) = fit_rungs(given, names=("linear",))
    model, far = model_of(given, rung), {**feeds_of(given), "numbers": given.numbers * 1e12}
    found = run(open_session(graph_of(model).SerializeToString()), far, chunk=300)["value"]
    seen = given.target[given.fold != 0]
    assert found.min() >= seen.min()
    assert found.max() <= seen.max()


def test_a_rung_that_fails_says_why():
    given = table(classes=0)
    given.target[0] = np.inf
    for rung in fit_rungs(given):
        assert rung.form is None
        assert "ValueError" in rung.reason


def test_boosting_that_learned_nothing_is_no_candidate():
    given = table(rows=24, folds=2)
    by_name = {rung.name: rung for rung in fit_rungs(given)}
    assert "learned nothing" in by_name["hist_gradient_boosting"].reason
    assert by_name["linear"].form is not None


def test_sets_of_levels_share_orders():
    rng = np.random.default_rng(0)
    sets = [np.isin(np.arange(12), 1 + rng.permutation(11)[:size]) for size in (1, 3, 5, 9) * 9]
    chain, step, order = chains(sets, 12)
    for held, c, s in zip(sets, chain, step, strict=True):
        np.testing.assert_array_equal(order[:, c] <= s, held)
    assert order.shape[1] < len({held.tobytes() for held in sets})
    assert chains([], 5)[2].shape == (5, 0)
