"""From a population to a model: within the budget, honest on validation rows, saved and loaded."""

import json
from dataclasses import replace

import numpy as np
import pytest

from models import finish
from models.baselines import fit_rungs
from models.encode import Columns, TrainingTable
from models.export import answers, difference, graph_of, spoilt
from models.fit import TrainSettings, train_population
from models.population import Member
from models.rungs import FittedRung


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
    found = finish.finish([fit(given)], given, part=PART, labels=[str(k) for k in range(classes)])
    there = np.isfinite(found.validation).reshape(120, -1).all(axis=1)
    assert (there == (given.fold >= 0)).all()
    if classes:
        np.testing.assert_allclose(found.validation[there].sum(axis=1), 1, atol=1e-6)
        assert (found.labels[there] >= 0).all()
    assert found.model.total == pytest.approx(1)


def test_a_log_target_is_chosen_in_logs_and_told_in_its_own_units():
    given = table(classes=0, log=True)
    found = finish.finish([fit(given, log_target=True, epochs=30, lr=0.02)], given, part=PART)
    assert (found.validation > -1).all()
    assert np.corrcoef(np.log(found.validation + 1), np.log(given.target))[0, 1] > 0.3


def test_the_budget_bounds_the_ensemble():
    given = table()
    fitted = fit(given)
    free = finish.finish([fitted], given, part=PART, budget=1000.0)
    tight = finish.finish([fitted], given, part=PART, budget=1e-9)
    assert tight.choice.kind == "best"
    assert np.count_nonzero(tight.choice.weights) == 1
    assert free.seconds > 0
    assert free.model.members >= tight.model.members == fitted.folds


def test_costs_that_do_not_fit_are_refused():
    given = table()
    with pytest.raises(ValueError, match="no class is named 'goood'; did you mean 'good'"):
        finish.finish(
            [fit(given)], given, part=PART, labels=["bad", "good"],
            costs={"bad": {"goood": 5}, "good": {"bad": 1}},
        )  # fmt: skip


@pytest.mark.parametrize("classes", [2, 0])
def test_what_is_saved_answers_the_same_when_loaded(tmp_path, classes):
    given = table(classes=classes)
    fitted = fit(given)
    costs = {"a": {"b": 4}, "b": {"a": 1}} if classes else None
    found = finish.finish([fitted], given, part=PART, costs=costs, labels=["a", "b"][:classes])
    finish.save(found, tmp_path, {"labels": ["a", "b"][:classes]})
    loaded, described = finish.load(tmp_path)
    assert described["labels"] == ["a", "b"][:classes]
    assert graph_of(loaded) == graph_of(found.model)
    feeds = {"numbers": given.numbers, "categories": given.categories}
    for name, values in answers(found.model, feeds).items():
        np.testing.assert_array_equal(values, answers(loaded, feeds)[name])
    assert {path.name for path in tmp_path.iterdir()} == {"members.safetensors", "fitted.json"}
    json.loads((tmp_path / "fitted.json").read_text("utf-8"), parse_constant=pytest.fail)


def feeds_of(given):
    return {"numbers": given.numbers, "categories": given.categories}


@pytest.fixture(scope="module", params=[2, 3, 0])
def mixed(request):
    """A bad population, a good one as of a sweep, and rungs: they need one another."""
    given = table(classes=request.param, rows=240)
    seeds = fit(given, epochs=1, members=2)
    trials = fit(given, epochs=30, members=3, width=6, lr=0.01)
    return given, [seeds, trials], fit_rungs(given)


def test_settings_of_several_populations_and_rungs_compete(mixed):
    given, fitted, rungs = mixed
    found = finish.finish(fitted, given, rungs=rungs, part=np.arange(240) % 5)
    names = found.choice.names
    assert names[:2] == ("mlp seed 0", "mlp seed 1")
    assert names[2:5] == ("mlp trial 0",) * 3
    assert names[5:] == ("linear", "hist_gradient_boosting")
    assert found.model.total == pytest.approx(1)
    assert found.choice.weights[:2].sum() < 0.1
    facts = found.choice.facts()
    assert facts["shares"]["networks"] + facts["shares"]["rungs"] == pytest.approx(1)
    assert sum(part.share for part in found.model.rungs) == pytest.approx(facts["shares"]["rungs"])


def test_what_answers_together_is_one_graph_and_is_saved_whole(mixed, tmp_path):
    given, fitted, rungs = mixed
    found = finish.finish(fitted, given, rungs=rungs, part=np.arange(240) % 5)
    # Whatever was chosen: every candidate has its part.
    count = len(found.choice.weights)
    model = found.candidates.model(np.full(count, 1 / count))
    assert len(model.networks) == len(model.rungs) == 2
    graph = graph_of(model).SerializeToString(deterministic=True)
    assert difference(model, graph, feeds_of(given)) <= 1e-5
    assert difference(model, graph, spoilt(feeds_of(given))) <= 1e-5
    finish.save(replace(found, model=model), tmp_path, {})
    loaded, _ = finish.load(tmp_path)
    assert graph_of(loaded).SerializeToString(deterministic=True) == graph


def test_the_honest_predictions_are_the_mean_of_what_answers(mixed):
    given, fitted, rungs = mixed
    found = finish.finish(fitted, given, rungs=rungs, part=np.arange(240) % 5)
    weights = np.zeros(len(found.choice.weights))
    weights[-1] = weights[0] = 0.5
    both = found.candidates.mixed(weights)
    alone = [found.candidates.mixed(np.eye(len(weights))[i]) for i in (0, -1)]
    np.testing.assert_allclose(both, np.mean(alone, axis=0))
    np.testing.assert_allclose(alone[1], rungs[1].validation)


def test_a_rung_that_is_clearly_better_answers_alone():
    given = table(rows=240)
    found = finish.finish(
        [fit(given, epochs=1, members=1)], given, rungs=fit_rungs(given), part=np.arange(240) % 5
    )
    if found.choice.kind == "best":
        assert found.model.networks == ()
    best = finish.finish(
        [fit(given, epochs=1, members=2)], given, rungs=fit_rungs(given),
        part=np.arange(240) % 5, ensemble="best",
    )  # fmt: skip
    assert best.model.rungs == ()
    assert best.choice.rung["name"] in {"linear", "hist_gradient_boosting"}


def test_a_model_without_networks_is_exported_saved_and_loaded(tmp_path):
    given = table(rows=240)
    rungs = fit_rungs(given, names=("hist_gradient_boosting",))
    found = finish.finish([fit(given, epochs=1)], given, rungs=rungs, part=np.arange(240) % 5)
    model = found.candidates.model(np.array([0, 0, 0, 1]))
    assert model.networks == ()
    assert model.members == 0
    found = replace(found, model=replace(found.model, networks=(), rungs=model.rungs))
    graph = graph_of(found.model).SerializeToString()
    assert difference(found.model, graph, spoilt(feeds_of(given))) <= 1e-6
    finish.save(found, tmp_path, {})
    loaded, _ = finish.load(tmp_path)
    for name, values in answers(found.model, feeds_of(given)).items():
        np.testing.assert_array_equal(values, answers(loaded, feeds_of(given))[name])


def test_with_a_log_target_rungs_are_averaged_in_logs():
    given = table(classes=0, rows=240, log=True)
    fitted = fit(given, log_target=True, epochs=30, lr=0.02, members=1)
    learned = TrainingTable(**{**vars(given), "target": np.log1p(given.target)})
    rungs = fit_rungs(learned)
    found = finish.finish([fitted], given, rungs=rungs, part=np.arange(240) % 5)
    count = len(found.choice.weights)
    model = found.candidates.model(np.full(count, 1 / count))
    assert not found.left_out
    wanted = found.candidates.mixed(np.full(count, 1 / count))
    told = np.log1p(answers(model, feeds_of(given))["value"])
    assert np.corrcoef(wanted, told)[0, 1] > 0.9
    graph = graph_of(model).SerializeToString()
    for feeds in (feeds_of(given), spoilt(feeds_of(given))):
        assert difference(model, graph, feeds) <= 1e-5
    assert (found.validation > -1).all()


def test_rungs_that_cannot_be_served_are_no_candidates_and_say_why():
    given = table()
    (good,) = fit_rungs(given, names=("linear",))
    failed = FittedRung(name="failed", form=None, validation=good.validation, seconds=0, reason="x")
    off = FittedRung(
        name="slow", form=_Slow(good.form), validation=good.validation, seconds=0, reason=None
    )
    found = finish.finish([fit(given)], given, rungs=[good, failed, off], part=PART, budget=1.5)
    assert found.choice.names[3:] == ("linear",)
    assert found.left_out["failed"] == "x"
    assert "100,000 rows would take it about" in found.left_out["slow"]
    found = finish.finish([fit(given)], given, rungs=[off], part=PART)
    assert "cannot be exported" in found.left_out["slow"]


class _Slow:
    """A form that no graph knows, and that would take hours."""

    kind, visits, products, widest = "slow", 1e9, 0, 1

    def __init__(self, form):
        self.scores = form.scores


def test_populations_of_different_encodings_are_refused():
    given = table()
    with pytest.raises(ValueError, match="must share one encoder"):
        finish.finish([fit(given), fit(given, bins=3)], given, part=PART)


def test_narrow_members_are_served_narrow():
    given = table()
    settings = TrainSettings(task="binary", epochs=2, width=16, batch=32)
    members = [
        Member(fold=f, seed=width, width=width, trial=width) for width in (4, 16) for f in range(2)
    ]
    wide = train_population(given, settings, members=members)
    found = finish.finish([wide], given, part=PART)
    model = found.candidates.model(np.array([0.5, 0.5]))
    assert [part.population.members[0].width for part in model.networks] == [4, 16]
    assert difference(model, graph_of(model).SerializeToString(), feeds_of(given)) <= 1e-5
    first, second = found.candidates.all
    assert first.seconds < second.seconds
