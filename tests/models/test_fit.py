"""One call from a table to a trained population: alone or together, killed or not, it is the same."""

from __future__ import annotations

import json
import math
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.encode import Columns, TrainingTable
from models.fit import Fitted, TrainingFailed, TrainSettings, train_population
from models.room import Room
from models.texts import Texts

SMALL = {"members": 2, "epochs": 4, "batch": 32, "width": 16, "bins": 8}


def table(task="binary", rows=240, fold=None, seed=0):
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(rows, 3))
    numbers[rng.random((rows, 3)) < 0.05] = np.nan
    letters = rng.choice(np.array(["a", "b", "서울", ""], object), (rows, 1))
    signal = np.nan_to_num(numbers[:, 0]) + (letters[:, 0] == "a") + 0.3 * rng.normal(size=rows)
    target = signal * 50 + 100
    classes = {"binary": 2, "multiclass": 3, "regression": 0}[task]
    if classes:
        target = np.digitize(signal, [0.4] if classes == 2 else [0.0, 0.8]).astype(np.int64)
    return TrainingTable(
        numbers=numbers,
        categories=letters,
        target=target,
        weight=np.ones(rows),
        fold=np.arange(rows) % 2 if fold is None else fold,
        columns=Columns(numbers=("x", "y", "z"), categories=("city",)),
        classes=classes,
    )


def fit(data, task="binary", **changes):
    named = ("directory", "progress", "members_", "room")
    keep = {k: changes.pop(k) for k in named if k in changes}
    if "members_" in keep:
        keep["members"] = keep.pop("members_")
    if "directory" in keep:
        keep["checkpoint_seconds"] = 0.0
    return train_population(data, TrainSettings(task=task, **{**SMALL, **changes}), **keep)


@pytest.fixture(scope="module")
def binary():
    return table()


@pytest.fixture(scope="module")
def fitted(binary):
    return fit(binary)


def same(a: Fitted, b: Fitted):
    for (name, x), y in zip(
        a.population.state_dict().items(), b.population.state_dict().values(), strict=True
    ):
        assert torch.equal(x, y), name
    assert [r.validation for r in a.members] == [r.validation for r in b.members]
    np.testing.assert_array_equal(a.validation, b.validation)


def test_rows_in_mapped_files_and_categories_as_codes_train_to_the_same_bits(tmp_path):
    data = table(rows=30_000, fold=np.arange(30_000) % 5 - 1)
    small = {"epochs": 1, "batch": 2048, "members": 1}
    plain = fit(data, **small)
    room = Room(tmp_path, limit=0)
    numbers = room.array(data.numbers.shape[::-1], np.float64)
    numbers[:] = data.numbers.T
    given = replace(data, numbers=numbers.T, categories=Texts.of(data.categories))
    mapped = fit(given, room=room, **small)
    assert room.mapped > 3 * data.numbers.nbytes  # the table, its scaled numbers, encoded rows
    assert list(tmp_path.iterdir()) == []
    same(plain, mapped)


@pytest.mark.parametrize("precision", ["double", "single"])
def test_a_member_is_the_same_trained_alone(binary, precision):
    settings = {"precision": precision, "epochs": 5, "patience": 2}
    several = [
        replace(m, lr=lr, dropout=drop, weight_decay=decay)
        for m, lr, drop, decay in zip(
            TrainSettings(task="binary", members=3).population(2),
            [1e-3, 1e-3, 2e-2, 2e-2, 5e-3, 5e-3],
            [0.1, 0.1, 0.0, 0.0, 0.3, 0.3],
            [0.0, 0.0, 1e-2, 1e-2, 0.1, 0.1],
            strict=True,
        )
    ]
    together = fit(binary, members_=several, **settings)
    for s in range(3):
        own = several[2 * s : 2 * s + 2]
        alone = fit(binary, members_=own, **settings)
        chosen = together.population.select([2 * s, 2 * s + 1])
        if precision == "double":
            for (name, x), y in zip(
                alone.population.named_parameters(), chosen.parameters(), strict=True
            ):
                assert (x - y).abs().max() <= 1e-10, name
        gap = np.abs(alone.validation[0] - together.validation[s])
        assert gap.max() <= (1e-9 if precision == "double" else 1e-3)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_every_task_learns_and_judges_each_row_out_of_fold(task):
    data = table(task)
    out = fit(data, task, epochs=25, lr=1e-2)
    assert np.isfinite(out.validation).all()
    if task == "regression":
        assert out.validation.shape == (2, 240)
        residual = out.validation.mean(0) - data.target
        assert residual.std() < 0.6 * data.target.std()
    else:
        assert out.validation.shape == (2, 240, data.classes)
        assert (out.validation.mean(0).argmax(1) == data.target).mean() > 0.7


def test_validation_holds_what_the_kept_weights_predict(binary, fitted):
    outputs = fitted.predict(binary.numbers, binary.categories)  # (P, N, K), s * F + f
    for fold in (0, 1):
        judged = binary.fold == fold
        np.testing.assert_allclose(
            fitted.validation[:, judged], outputs[fold::2][:, judged], atol=1e-5
        )


def test_rows_that_only_train_have_no_validation():
    fold = np.where(np.arange(240) < 60, 0, -1)
    out = fit(table("regression", fold=fold), "regression")
    assert np.isfinite(out.validation[:, :60]).all()
    assert np.isnan(out.validation[:, 60:]).all()


def test_the_same_call_gives_the_same_result(binary, fitted):
    same(fitted, fit(binary))


def test_a_seed_changes_the_result(binary, fitted):
    assert not np.allclose(fit(binary, seed=1).validation, fitted.validation)


@pytest.mark.parametrize("patience", [1, 50])
def test_a_killed_fit_goes_on_and_ends_the_same(binary, tmp_path, patience):
    settings = {"epochs": 6, "lr": 2e-2, "patience": patience}
    whole = fit(binary, **settings)

    def kill(done, _epochs, _best):
        if done == 3:
            raise KeyError

    if len(whole.members[0].train) <= 3:
        kill = lambda done, *_: (_ for _ in ()).throw(KeyError)  # noqa: E731
    with pytest.raises(KeyError):
        fit(binary, directory=tmp_path, progress=kill, **settings)
    assert sorted(p.name for p in (tmp_path / "checkpoint").iterdir()) == [
        "state.json",
        "state.safetensors",
    ]
    epochs = []
    resumed = fit(
        binary, directory=tmp_path, progress=lambda done, *_: epochs.append(done), **settings
    )
    assert epochs[0] > 1
    same(whole, resumed)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("harm", ["other settings", "damaged"])
def test_a_checkpoint_that_does_not_fit_is_not_used(binary, tmp_path, harm):
    def kill(done, *_):
        if done == 2:
            raise KeyError

    with pytest.raises(KeyError):
        fit(binary, directory=tmp_path, progress=kill)
    if harm == "damaged":
        path = tmp_path / "checkpoint" / "state.safetensors"
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
    epochs = []
    changes = {"seed": 5} if harm == "other settings" else {}
    fit(binary, directory=tmp_path, progress=lambda done, *_: epochs.append(done), **changes)
    assert epochs[0] == 1


def test_a_diverged_member_is_dropped_with_its_seed_and_counted(binary):
    members = TrainSettings(task="binary", members=3).population(2)
    members[2] = replace(members[2], lr=1e30, weight_decay=1e30)
    out = fit(binary, members_=members)
    assert out.facts["failed"] == 1
    assert "not finite" in out.members[2].failed
    assert [m.index for m in out.members] == [0, 1, -1, -1, 2, 3]
    assert (out.settings, len(out.population)) == (2, 4)
    assert np.isfinite(out.validation).all()
    np.testing.assert_allclose(
        out.validation[0], fit(binary, members_=members[:2]).validation[0], atol=1e-5
    )


def test_nothing_left_is_a_failure_that_says_so(binary):
    with pytest.raises(TrainingFailed, match=r"4 of 4 members failed .*not finite in epoch 1"):
        fit(binary, lr=1e30, weight_decay=1e30)


def test_rows_of_no_weight_have_no_influence(binary):
    weight = np.where(np.arange(240) < 40, 0.0, 1.0)
    flipped = np.where(weight == 0, 1 - binary.target, binary.target)
    a = fit(replace(binary, weight=weight))
    b = fit(replace(binary, weight=weight, target=flipped))
    np.testing.assert_array_equal(a.validation, b.validation)


def test_balanced_classes_raise_the_rare_class(binary):
    rare = replace(binary, target=(np.nan_to_num(binary.numbers[:, 0]) > 1.3).astype(np.int64))
    plain, balanced = (fit(rare, class_weight=c, epochs=8) for c in ("none", "balanced"))

    def share(f):
        return (np.diff(f.validation.mean(0), axis=1) > 0).mean()

    assert share(balanced) > share(plain)


def test_a_heavy_tailed_target_is_learned_on_the_log_and_answered_in_its_units():
    data = table("regression")
    heavy = replace(data, target=np.exp((data.target - 100) / 25))
    out = fit(heavy, "regression", epochs=25, lr=1e-2)
    assert out.facts["log_target"]
    assert np.median(out.validation) == pytest.approx(np.median(heavy.target), rel=0.7)
    assert not fit(data, "regression").facts["log_target"]


def test_patience_ends_members_one_by_one(binary):
    out = fit(binary, epochs=40, lr=2e-2, patience=3)
    lengths = [len(m.validation) for m in out.members]
    assert len(set(lengths)) > 1
    for m in out.members:
        assert m.best == min(m.validation) == m.validation[m.best_epoch]
        if m.stopped == "patience":
            assert len(m.validation) == m.best_epoch + 4


def test_a_fitted_population_is_saved_without_pickle_and_loads(binary, fitted, tmp_path):
    fitted.save(tmp_path)
    assert {p.suffix for p in tmp_path.iterdir()} == {".safetensors", ".json"}
    json.loads((tmp_path / "fitted.json").read_text())
    twin = Fitted.load(tmp_path)
    same(fitted, twin)
    np.testing.assert_array_equal(
        twin.predict(binary.numbers, binary.categories),
        fitted.predict(binary.numbers, binary.categories),
    )


def test_nothing_is_written_where_it_runs(binary, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    fit(binary)
    assert list(Path().iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_an_interrupt_comes_through_as_an_interrupt(binary):
    def interrupt(*_):
        raise KeyboardInterrupt

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        fit(binary, progress=interrupt)
    assert signal.getsignal(signal.SIGINT) is handler


def test_progress_tells_epochs_and_the_best_score(binary):
    told = []
    fit(binary, progress=lambda *facts: told.append(facts))
    assert [t[:2] for t in told] == [(e, 4) for e in (1, 2, 3, 4)]
    assert all(math.isfinite(t[2]) for t in told)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lr": 0.0}, "lr must be above 0, however: 0.0"),
        ({"dropout": 1.0}, r"dropout must lie within \[0, 1\), however: 1.0"),
        ({"network": "tree"}, "network must be one of .*'mlp'.*, however: 'tree'"),
        ({"members": 0}, "members must be a whole number of at least 1, however: 0"),
        ({"batch": "huge"}, "batch must be a whole number of at least 1, however: 'huge'"),
    ],
)
def test_impossible_settings_are_refused_when_made(changes, message):
    with pytest.raises(ValueError, match=message):
        TrainSettings(task="binary", **changes)


def test_auto_is_resolved_by_rows_alone():
    settings = TrainSettings(task="binary")
    small, large = settings.plan(300), settings.plan(300_000)
    assert small.batch < large.batch
    assert small.epochs > large.epochs
    assert settings.plan(5).batch == 5


def test_early_ends_are_believed_on_thousands_of_rows_alone_and_never_where_patience_is_given():
    auto, given = TrainSettings(task="binary"), TrainSettings(task="binary", patience=20)
    waits = {rows: auto.plan(rows) for rows in (300, 3_000, 30_000, 300_000)}
    assert [(p.least, p.patience) for p in waits.values()] == [(10, 10), (8, 15), (8, 8), (4, 4)]
    assert all(given.plan(rows).least == given.plan(rows).patience == 20 for rows in waits)
