"""Many trials at once: each is what it would be alone, the worse stop, and a kill costs a phase."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models import helper
from models.batch import train_batch
from models.crew import Crew
from models.encode import Columns, TrainingTable
from models.fit import encode
from models.fitted import Fitted
from models.halving import Halving
from models.helper import Helper
from models.phase import DONE
from models.settings import TrainSettings
from models.shapes import divided, group
from models.stored import load_table, save_table
from models.trials import Trial

EPOCHS, FOLDS = 6, 2
SMALL = {"task": "regression", "members": 1, "epochs": EPOCHS, "batch": 32, "bins": 6}
HALVING = Halving(rungs=(2, 4), factor=2)


def table(rows=200, seed=0):
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(rows, 3))
    letters = rng.choice(np.array(["a", "나", ""], object), (rows, 1))
    target = numbers[:, 0] + (letters[:, 0] == "a") + 0.2 * rng.normal(size=rows)
    return TrainingTable(
        numbers=numbers,
        categories=letters,
        target=target,
        weight=np.ones(rows),
        fold=np.arange(rows) % FOLDS,
        columns=Columns(numbers=("x", "y", "z"), categories=("c",)),
        classes=0,
    )


def settings(**changes):
    return TrainSettings(**{**SMALL, **changes})


def trials(count=8, **common):
    rng = np.random.default_rng(1)
    return [
        Trial(
            number=number,
            settings=settings(
                **{
                    "lr": float(10 ** rng.uniform(-4, -1.5)),
                    "weight_decay": float(10 ** rng.uniform(-4, -1)),
                    "dropout": float(rng.uniform(0, 0.4)),
                    "width": int(rng.choice([6, 12])),
                    "depth": int(rng.choice([1, 2])),
                    "network": str(rng.choice(["mlp", "tabm"])),
                    "heads": 3,
                    **common,
                }
            ),
        )
        for number in range(count)
    ]


def train(folder, asked, *, data=None, workers=1, precision="single", **more):
    base = settings(precision=precision)
    encoded = encode(table() if data is None else data, base)
    with Crew(encoded, base, folder, workers=workers) as crew:
        return train_batch(encoded, asked, crew=crew, **more)


def told(result):
    return [(r.number, r.state, r.rung, r.score, tuple(r.validation)) for r in result.results]


def validation_of(result):
    """Validation predictions of every finished trial, by its number."""
    found = {}
    for place in result.fitted:
        fitted = Fitted.load(place)
        whole = [m for m in fitted.members if m.setting >= 0 and m.fold == 0]
        for record in whole:
            found[record.settings["trial"]] = fitted.validation[record.setting]
    return found


@pytest.mark.parametrize(
    ("count", "network", "optimizer"),
    [
        *((count, network, "adamw") for network in ("mlp", "tabm") for count in (1, 3, 32)),
        *((3, "mlp", optimizer) for optimizer in ("lion", "sgd")),
    ],
)
def test_a_trial_is_the_same_alone_whatever_its_neighbours(tmp_path, count, network, optimizer):
    """Rates, decay, dropout, smoothing and width differ; padded or not, together or alone."""
    asked = trials(count, network=network, depth=2, precision="double", optimizer=optimizer)
    together = train(tmp_path / "together", asked, precision="double")
    assert all(result.state == "finished" for result in together.results)
    predicted = validation_of(together)
    for trial in asked[:: max(1, count // 3)]:
        alone = train(tmp_path / f"alone {trial.number}", [trial], precision="double")
        gap = np.abs(validation_of(alone)[trial.number] - predicted[trial.number])
        assert gap.max() <= 1e-9
        np.testing.assert_allclose(
            alone.results[0].validation, together.results[trial.number].validation, rtol=1e-9
        )


def test_single_precision_stays_within_a_thousandth_of_a_deviation(tmp_path):
    asked = trials(6)
    predicted = validation_of(train(tmp_path / "together", asked))
    deviation = table().target.std()
    for trial in asked:
        alone = validation_of(train(tmp_path / f"alone {trial.number}", [trial]))
        gap = np.abs(alone[trial.number] - predicted[trial.number])
        assert gap.max() <= 1e-3 * deviation


def test_who_survives_halving_is_what_it_would_be_without(tmp_path):
    asked = trials(8, precision="double")
    halved = train(tmp_path / "halved", asked, precision="double", halving=HALVING)
    whole = train(tmp_path / "whole", asked, precision="double")
    states = [result.state for result in halved.results]
    assert states.count("finished") == 2
    assert states.count("pruned") == 6
    before, after = validation_of(whole), validation_of(halved)
    for number, predicted in after.items():
        assert np.abs(before[number] - predicted).max() <= 1e-9
    for result in halved.results:
        known = whole.results[result.number].validation
        np.testing.assert_allclose(result.validation, known[: result.epochs], rtol=1e-9)


def test_a_rung_keeps_the_better_of_all_shapes(tmp_path):
    result = train(tmp_path, trials(8), halving=HALVING)
    for rung in result.rungs:
        scores = {int(number): score for number, score in rung["scores"].items()}
        stopped = set(rung["stopped"])
        assert len(stopped) == len(scores) - -(-len(scores) // 2)
        best_stopped = min(scores[number] for number in stopped)
        assert all(score <= best_stopped for n, score in scores.items() if n not in stopped)
    pruned = [r for r in result.results if r.state == "pruned"]
    assert all(r.epochs == r.rung and "worse" in r.reason for r in pruned)


def test_earlier_trials_take_part_in_the_comparison(tmp_path):
    unbeatable = {2: [0.0] * 8}
    result = train(tmp_path, trials(4), halving=HALVING, standing=unbeatable)
    assert {r.state for r in result.results} == {"pruned"}
    assert result.fitted == []


def test_processes_beside_change_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("models.crew.ENGAGE", 0.0)
    monkeypatch.setattr("models.shapes.WORTH", 0.0)
    whose = ContextVar("whose", default="nobody's")
    asked, base, helped, heard = trials(6), settings(), [], set()
    alone = train(tmp_path / "one", asked, halving=HALVING)
    real = Helper.train

    def counted(self, job, progress):
        helped.append(job.name)
        return real(self, job, progress)

    monkeypatch.setattr(Helper, "train", counted)
    encoded = encode(table(), base)
    with Crew(encoded, base, tmp_path / "two", workers=2) as crew:
        spare = helper.take()
        helper._SPARE.append(spare)  # it got ready before there was a crew
        crew._hire(1)
        assert crew.helpers == [spare]
        assert spare.started.wait(120)
        whose.set("the run's")
        hears = lambda _: heard.add((threading.current_thread().name, whose.get()))  # noqa: E731
        several = train_batch(encoded, asked, crew=crew, halving=HALVING, progress=hears)
    assert helped
    assert len(heard) > 1  # from more than one thread,
    assert {context for _, context in heard} == {"the run's"}  # all in the context of the run
    assert told(alone) == told(several)
    assert crew.helpers[0].process.poll() is not None  # nobody is left


def test_a_worker_that_is_killed_costs_nothing_but_time(tmp_path, monkeypatch):
    monkeypatch.setattr("models.crew.HIRE", 0.0)
    monkeypatch.setattr("models.shapes.WORTH", 0.0)
    asked, killed = trials(6), []

    base = settings()
    encoded = encode(table(), base)
    with Crew(encoded, base, tmp_path / "killed", workers=2) as crew:
        crew._hire(1)
        assert crew.helpers[0].started.wait(120)

        def progress(_):
            for each in crew.helpers:
                if not killed:
                    os.kill(each.process.pid, signal.SIGKILL)
                    killed.append(each.process.pid)

        result = train_batch(encoded, asked, crew=crew, progress=progress)
    assert killed
    assert told(result) == told(train(tmp_path / "undisturbed", asked))


def test_a_trial_that_fails_fails_alone(tmp_path):
    asked = trials(4, network="mlp", depth=1, width=8)
    asked[1] = replace(asked[1], settings=replace(asked[1].settings, lr=1e30, weight_decay=0.0))
    result = train(tmp_path, asked)
    assert [r.state for r in result.results] == ["finished", "failed", "finished", "finished"]
    assert "not finite" in result.results[1].reason
    assert result.results[1].score is None
    json.dumps([vars(r) for r in result.results], allow_nan=False)


def test_a_group_that_finds_no_memory_is_halved_and_tried_again(tmp_path, monkeypatch):
    from models import phase

    real, sizes = phase.run, []

    def short_of_memory(learner):
        sizes.append(len(learner.population))
        if len(learner.population) > 2 * FOLDS:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")
        real(learner)

    monkeypatch.setattr(phase, "run", short_of_memory)
    asked = trials(4, network="mlp", depth=1, width=8)
    result = train(tmp_path / "short", asked, halving=HALVING)
    assert sizes[:3] == [4 * FOLDS, 2 * FOLDS, 2 * FOLDS]
    assert "divided" in result.notes[0]
    last = train(tmp_path / "last", asked)  # without a rung the parts leave fitted populations
    assert len(last.fitted) == 2
    monkeypatch.setattr(phase, "run", real)
    assert told(result) == told(train(tmp_path / "enough", asked, halving=HALVING))
    assert told(last) == told(train(tmp_path / "whole", asked))


def test_what_cannot_be_trained_says_why(tmp_path, monkeypatch):
    from models import phase

    def broken(learner):
        raise RuntimeError(f"no kernel for a width of {learner.population.config.width}")

    monkeypatch.setattr(phase, "run", broken)
    result = train(tmp_path, trials(2, network="mlp", depth=1, width=8))
    assert [r.state for r in result.results] == ["failed", "failed"]
    assert "no kernel for a width of 8" in result.results[0].reason


def test_a_deadline_ends_trials_as_they_are(tmp_path):
    result = train(tmp_path / "late", trials(3), deadline=0.0)
    assert {r.state for r in result.results} == {"pruned"}
    assert all("budget" in r.reason for r in result.results)


KILLED = """
    import os, signal, sys
    from pathlib import Path
    sys.path.insert(0, {tests!r})
    import test_batch as t
    from models.batch import train_batch
    from models.crew import Crew
    from models.fit import encode

    base, left = t.settings(), [int(sys.argv[2])]
    encoded = encode(t.table(), base)

    def progress(_):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    with Crew(encoded, base, Path(sys.argv[1])) as crew:
        train_batch(encoded, t.trials(6), crew=crew, halving=t.HALVING, progress=progress)
"""


@pytest.mark.long
@pytest.mark.parametrize("epochs", [1, 9])
def test_a_killed_batch_goes_on_and_ends_the_same(tmp_path, epochs):
    code = textwrap.dedent(KILLED.format(tests=str(Path(__file__).parent)))
    asked = [sys.executable, "-c", code, str(tmp_path / "killed"), str(epochs)]
    root = str(Path(__file__).resolve().parents[2])
    done = subprocess.run(asked, cwd=root, check=False, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "killed").glob(f"*/{DONE}")}
    again = train(tmp_path / "killed", trials(6), halving=HALVING)
    assert told(again) == told(train(tmp_path / "undisturbed", trials(6), halving=HALVING))
    assert all(p.stat().st_mtime_ns == when for p, when in before.items())
    assert len(before) == 0 if epochs == 1 else before


def test_narrow_networks_join_wider_ones_where_that_is_cheaper():
    encoded = encode(table(), settings())
    small = [Trial(number=n, settings=settings(width=w)) for n, w in enumerate([8, 16, 16])]
    (one,) = group(small, encoded.encoder, size=encoded.size, outputs=1)
    assert (one.plan.config.width, len(one.trials)) == (16, 3)
    big = [Trial(number=n, settings=settings(width=w)) for n, w in enumerate([64, 2048])]
    assert len(group(big, encoded.encoder, size=encoded.size, outputs=1)) == 2
    shapes = group(trials(12), encoded.encoder, size=encoded.size, outputs=1)
    assert sorted(t.number for g in shapes for t in g.trials) == list(range(12))
    for shape in shapes:
        assert len({(t.settings.network, t.settings.depth) for t in shape.trials}) == 1


def test_groups_are_divided_by_memory_and_among_processes(monkeypatch):
    encoded = encode(table(), settings())
    (one,) = group(trials(8, network="mlp", depth=1), encoded.encoder, size=100, outputs=1)
    assert divided([one], workers=1, epochs=6) == [one]
    monkeypatch.setattr("models.shapes.WORTH", 0.0)
    assert [len(g.trials) for g in divided([one], workers=2, epochs=6)] == [4, 4]
    monkeypatch.setattr("models.shapes.MEMORY", one.bytes // 3)
    assert max(len(g.trials) for g in divided([one], workers=1, epochs=6)) <= 2


@pytest.mark.parametrize(
    ("epochs", "rungs"), [(60, (7, 21)), (32, (4, 12)), (16, (2, 6)), (10, (2,)), (3, ())]
)
def test_rungs_leave_room_for_the_last_part(epochs, rungs):
    assert Halving.of(epochs).rungs == rungs


def test_a_table_on_disk_is_the_table(tmp_path):
    encoded = encode(table(), settings())
    save_table(encoded, settings(), tmp_path / "t")
    again = load_table(tmp_path / "t")
    assert again.digest == encoded.digest
    assert {p.suffix for p in (tmp_path / "t").iterdir()} == {".json", ".safetensors"}
