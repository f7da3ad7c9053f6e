"""From a population to a model: within the budget, honest on validation rows, saved and loaded."""

import json

import numpy as np
import pytest

from models import finish
from models.encode import Columns, TrainingTable
from models.export import answers, graph_of
from models.fit import TrainSettings, train_population


def table(*, classes=2, rows=120, folds=2, log=False):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 3))
    c = rng.choice(["가", "b", ""], size=(rows, 1)).astype(object)
    y = x[:, 0] + (c[:, 0] == "b") + 0.3 * rng.normal(size=rows)
    target = np.digitize(y, np.quantile(y, np.arange(1, classes) / classes)) if classes else y
    fold = np.arange(rows) % folds if folds > 1 else np.where(np.arange(rows) % 4 == 0, 0, -1)
    return TrainingTable(
        numbers=x, categories=c, target=np.exp(target) if log else target,
        weight=np.ones(rows), fold=fold.astype(np.int64), classes=classes,
        columns=Columns(numbers=("n0", "n1", "n2"), categories=("c0",)),
    )  # fmt: skip


def fit(given, **options):
    kinds = {0: "regression", 2: "binary"}
    small = {"members": 3, "epochs": 4, "width": 8, "batch": 32} | options
    return train_population(
        given, TrainSettings(task=kinds.get(given.classes, "multiclass"), **small)
    )


PART = np.arange(120) % 5


@pytest.mark.parametrize(("classes", "folds"), [(2, 2), (3, 1), (0, 2)])
def test_validation_predictions_cover_just_the_validation_rows(classes, folds):
    given = table(classes=classes, folds=folds)
    found = finish.finish(fit(given), given, part=PART, labels=[str(k) for k in range(classes)])
    there = np.isfinite(found.validation).reshape(120, -1).all(axis=1)
    assert (there == (given.fold >= 0)).all()
    if classes:
        np.testing.assert_allclose(found.validation[there].sum(axis=1), 1, atol=1e-6)
        assert (found.labels[there] >= 0).all()
    assert found.model.shares.sum() == pytest.approx(1)


def test_a_log_target_is_chosen_in_logs_and_told_in_its_own_units():
    given = table(classes=0, log=True)
    found = finish.finish(fit(given, log_target=True, epochs=30, lr=0.02), given, part=PART)
    assert (found.validation > -1).all()
    assert np.corrcoef(np.log(found.validation + 1), np.log(given.target))[0, 1] > 0.3


def test_the_budget_bounds_the_ensemble():
    given = table()
    fitted = fit(given)
    free = finish.finish(fitted, given, part=PART, budget=1000.0)
    tight = finish.finish(fitted, given, part=PART, budget=1e-9)
    assert tight.choice.kind == "best"
    assert np.count_nonzero(tight.choice.weights) == 1
    assert free.seconds > 0
    assert len(free.model.population) >= len(tight.model.population) == fitted.folds


def test_costs_that_do_not_fit_are_refused():
    given = table()
    with pytest.raises(ValueError, match="no class is named 'goood'; did you mean 'good'"):
        finish.finish(
            fit(given), given, part=PART, labels=["bad", "good"],
            costs={"bad": {"goood": 5}, "good": {"bad": 1}},
        )  # fmt: skip


@pytest.mark.parametrize("classes", [2, 0])
def test_what_is_saved_answers_the_same_when_loaded(tmp_path, classes):
    given = table(classes=classes)
    fitted = fit(given)
    costs = {"a": {"b": 4}, "b": {"a": 1}} if classes else None
    found = finish.finish(fitted, given, part=PART, costs=costs, labels=["a", "b"][:classes])
    finish.save(found, fitted, tmp_path, {"labels": ["a", "b"][:classes]})
    loaded, described = finish.load(tmp_path)
    assert described["labels"] == ["a", "b"][:classes]
    assert graph_of(loaded) == graph_of(found.model)
    feeds = {"numbers": given.numbers, "categories": given.categories}
    for name, values in answers(found.model, feeds).items():
        np.testing.assert_array_equal(values, answers(loaded, feeds)[name])
    assert {path.name for path in tmp_path.iterdir()} == {"members.safetensors", "fitted.json"}
    json.loads((tmp_path / "fitted.json").read_text("utf-8"), parse_constant=pytest.fail)
