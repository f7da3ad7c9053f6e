"""Rungs that were saved answer as those that were fitted, on the same rows and on others."""

import numpy as np
import pytest

from models.baselines import fit_rungs, ladder
from models.encode import Columns, TrainingTable
from models.saved_rungs import Rungs, load_rungs, save_rungs


def table(classes, rows=240):
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(rows, 3))
    numbers[::11, 1] = np.nan
    letters = rng.choice(np.array(["a", "나", ""], object), (rows, 1))
    signal = numbers[:, 0] + (letters[:, 0] == "a")
    target = (signal > 0).astype(np.int64) if classes else np.abs(signal) + 1
    return TrainingTable(
        numbers=numbers,
        categories=letters,
        target=target,
        weight=np.ones(rows),
        fold=np.arange(rows) % 3,
        columns=Columns(numbers=("x", "y", "z"), categories=("c",)),
        classes=classes,
    )


@pytest.mark.parametrize("classes", [2, 0])
def test_what_is_read_back_answers_alike(classes, tmp_path):
    given = table(classes)
    rows = 1000 - 2 * np.arange(len(given.target))  # in no order
    save_rungs(Rungs(fitted=fit_rungs(given), rows=rows, log=False), tmp_path)
    kept = load_rungs(tmp_path)
    other = {r.name: r for r in ladder(given, given.numbers[:40], given.categories[:40])}
    for rung in kept.fitted:
        wanted = other[rung.name]
        some = np.array([7, 3, 200])
        assert kept.validation(rung, rows[some]) == pytest.approx(wanted.validation[some], abs=1e-9)
        said = kept.test(rung, given.numbers[:40], given.categories[:40])
        assert said == pytest.approx(wanted.test, abs=1e-5)
        assert rung.seconds > 0


def test_a_learned_logarithm_is_undone(tmp_path):
    given = table(0)
    fitted = fit_rungs(given)
    save_rungs(Rungs(fitted=fitted, rows=np.arange(len(given.target)), log=True), tmp_path)
    kept = load_rungs(tmp_path)
    said = kept.validation(kept.fitted[0], np.array([5]))
    assert said == pytest.approx(np.expm1(fitted[0].validation[[5]]))


def test_a_rung_that_cannot_be_served_keeps_its_reason(tmp_path):
    given = table(2, rows=24)
    fitted = fit_rungs(given)  # too few rows for a tree to split
    save_rungs(Rungs(fitted=fitted, rows=np.arange(24), log=False), tmp_path)
    kept = {rung.name: rung for rung in load_rungs(tmp_path).fitted}
    trees = kept["hist_gradient_boosting"]
    assert trees.form is None
    assert "leaf" in str(trees.reason)
    with pytest.raises(ValueError, match="must have a form"):
        load_rungs(tmp_path).test(trees, given.numbers, given.categories)
