"""The search: when it ends, what it hands on from batch to batch, what a second sitting does."""

import math
import time
from pathlib import Path

import pytest

from flows.progress import Voice
from flows.search import Search, batch_size, without_better
from flows.settings import load_spec
from flows.space import space_of
from flows.study import Study
from models.batch import BatchResult
from models.settings import TrainSettings
from models.trials import TrialResult

GOOD = 'name = "n"\n[data]\nsource = "a.csv"\ntarget = "y"\n[sweep]\nsampler = "random"\n'


class Killed(Exception):  # noqa: N818 - it is none
    """Ends a sitting."""


@pytest.fixture
def sitting(write_spec, tmp_path):
    """Return one sitting of a search that trains by a formula, in a folder that stays."""

    def made(text="", train=None, heard=None, **_):
        spec = load_spec(write_spec(GOOD + text))
        space = space_of(spec, TrainSettings(task="binary", members=1), 500)
        study = Study(
            tmp_path / "journal", name="n", digest="d", space=space, sampler="random", seed=1
        )
        voice = Voice(trials=(heard if heard is not None else []).append)
        return Search(spec.search, study, train or by_formula, tmp_path / "search", voice)

    return made


def by_formula(asked, *, standing, deadline, progress):
    """Train nothing: the score is how far the learning rate is from the best one."""
    results = []
    for one in asked:
        score = abs(math.log10(one.parameters["lr"] / 2e-3))
        state = "failed" if one.number % 7 == 6 else "finished"
        results.append(
            TrialResult(
                number=one.number,
                state=state,
                score=score if state == "finished" else None,
                reason="NaN" if state == "failed" else "",
                epochs=9,
                validation=[1.0, score],
                train=[1.0, score],
            )
        )
    scores = {r.number: r.score for r in results if r.score is not None}
    progress({"epoch": 9, "until": 9, "epochs": 9, "trials": len(asked), "jobs": 1, "done": 0})
    rung = {"epoch": 3, "scores": scores, "stopped": []}
    return BatchResult(results=results, fitted=[], notes=[], rungs=[rung])


def test_a_search_ends_after_its_trials_and_tells_of_each_once(sitting):
    heard = []
    found = sitting("trials = 20\nbatch = 8\n", heard=heard).run()
    assert found.stopped == "trials"
    assert [t["number"] for t in found.trials] == list(range(20))
    assert [len(batch) for batch in heard] == [8, 8, 4]
    assert [t["state"] for t in found.trials].count("failed") == 2


def test_a_batch_is_compared_with_all_batches_before_it_and_no_later_one(sitting):
    seen = []

    def train(asked, *, standing, **how):
        seen.append({epoch: len(scores) for epoch, scores in standing.items()})
        return by_formula(asked, standing=standing, **how)

    sitting("trials = 12\nbatch = 4\n", train=train).run()
    assert seen == [{}, {3: 4}, {3: 7}]  # of the second batch one has failed


def test_patience_ends_a_search_in_which_nothing_gets_better(sitting):
    found = sitting("trials = 200\nbatch = 4\npatience = 8\n").run()
    assert found.stopped == "patience"
    assert 8 <= without_better(found.trials) < 8 + 4
    assert len(found.trials) < 200


def test_the_budget_ends_a_search_and_is_handed_on_as_a_deadline(sitting):
    deadlines = []

    def train(asked, *, deadline, **how):
        deadlines.append(deadline)
        time.sleep(0.6)
        return by_formula(asked, deadline=deadline, **how)

    search = sitting('trials = 100\nbatch = 2\nbudget = "1s"\n', train=train)
    began = time.time()
    found = search.run()
    assert found.stopped == "budget"
    assert len(found.trials) < 100
    assert all(deadline <= began + 1.01 for deadline in deadlines)


def killed_in(batch, *, before=False):
    def train(asked, **how):
        if asked[0].number // 4 == batch:
            if not before:
                by_formula(asked, **how)
            raise Killed
        return by_formula(asked, **how)

    return train


def alike(found):
    return [(t["number"], t["parameters"], t["score"], t["state"]) for t in found.trials]


def test_a_second_sitting_trains_what_the_first_has_not_and_comes_to_the_same(sitting, tmp_path):
    text = "trials = 14\nbatch = 4\n"
    with pytest.raises(Killed):
        sitting(text, train=killed_in(2)).run()
    trained, heard = [], []

    def train(asked, **how):
        trained.append(asked[0].number)
        return by_formula(asked, **how)

    found = sitting(text, train=train, heard=heard).run()
    assert trained == [8, 12]
    assert [batch[0]["number"] for batch in heard] == [0, 4, 8, 12]
    for path in (tmp_path / "search", tmp_path / "journal"):
        path.rename(path.with_name(f"killed-{path.name}"))
    assert alike(sitting(text).run()) == alike(found)


def test_a_kill_between_training_and_telling_tells_only_what_is_missing(sitting, tmp_path):
    first = sitting("trials = 8\nbatch = 4\n")
    first.run()
    (tmp_path / "search" / "batch-0001.json").unlink()  # killed after the study was told
    found = sitting("trials = 8\nbatch = 4\n").run()
    assert len(found.trials) == 8
    assert all(one.told for one in first.study.asked())


def test_the_clock_counts_earlier_sittings(sitting):
    def train(asked, **how):
        time.sleep(0.7)
        if asked[0].number:
            raise Killed
        return by_formula(asked, **how)

    text = 'trials = 100\nbatch = 2\nbudget = "1s"\n'
    with pytest.raises(Killed):
        sitting(text, train=train).run()
    search = sitting(text)
    assert search.clock.seconds >= 0.7
    time.sleep(0.4)
    found = search.run()
    assert found.stopped == "budget"
    assert len(found.trials) == 2
    assert all(one.told for one in search.study.asked())


def test_batches_are_as_big_as_given_or_thirty_two(write_spec):
    def size(text):
        return batch_size(load_spec(write_spec(GOOD + text)).search)

    assert [size(f"trials = {n}\n") for n in (1, 8, 32, 64, 500)] == [1, 8, 32, 32, 32]
    assert size("trials = 10\nbatch = 64\n") == 10


def test_folders_of_fitted_populations_are_found_from_where_the_search_lies(sitting, tmp_path):
    def train(asked, **how):
        done = by_formula(asked, **how)
        done.fitted.append(tmp_path / "search" / "groups" / str(asked[0].number))
        return done

    found = sitting("trials = 4\nbatch = 2\n", train=train).run()
    assert [Path(path).name for path in found.fitted] == ["0", "2"]
