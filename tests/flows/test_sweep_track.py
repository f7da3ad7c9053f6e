"""A sweep in a real MLflow database: a child per trial, once; what the parent shows of all."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from flows.home import open_home
from flows.registry import client
from flows.settings import load_spec
from flows.sweep_track import COMPLETE, PARENT, SWEEP, Trials, best_toml, files, leaderboard
from flows.track import Tracker

KEY = "k" * 64


def trial(number, state="finished", score=0.5, **more):
    parameters = {"lr": 0.001 * (number + 1), "width": 8 * (1 + number % 3), "embedding": "none"}
    epochs = 2 if state == "pruned" else 4
    curve = [] if state == "failed" else [score + 0.1] * (epochs - 1) + [score]
    return {
        "number": number,
        "state": state,
        "reason": {"failed": "NaN", "pruned": "among the worse after 2 epochs"}.get(state, ""),
        "score": None if state == "failed" else score,
        "error": None if state == "failed" else 0.01,
        "epochs": epochs,
        "rung": 2 if state == "pruned" else None,
        "train": curve,
        "validation": curve,
        "seconds": 0.5,
        "batch": number // 4,
        "parameters": parameters,
        "settings": {**parameters, "network": "mlp", "epochs": 4},
    }


@pytest.fixture(scope="module")
def found():
    """A recorded sweep of twelve trials."""
    trials = [trial(n, score=0.5 - 0.01 * n) for n in range(4)]
    trials += [trial(n, "pruned", 0.6 + 0.01 * n) for n in range(4, 10)]
    trials += [trial(10, "failed"), trial(11, score=0.3)]
    best = trials[11]
    return {
        "unit": "log loss",
        "sampler": "tpe",
        "trials": trials,
        "space": {"lr": {"low": 1e-3, "high": 2e-2, "log": True}, "width": [8, 16, 24],
                  "embedding": "none"},
        "published": False,
        "halving": {"factor": 3},
        "best": {**{k: best[k] for k in ("number", "score", "error", "parameters", "settings")},
                 "within_one_error": 1},
        "first": {"number": 0, "state": "finished", "score": 0.5},
        "rungs": [{"epoch": 2, "entered": 11, "left": 5}],
        "importance": {"shares": {"lr": 0.8, "width": 0.2}, "trials": 11, "epoch": 2},
        "notes": [],
        "stopped": "trials",
        "seconds": 12.5,
        "finished": 5,
        "pruned": 6,
        "failed": 1,
    }  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_TRACKING_URI", "PENSTOCK_HOME"):
            patch.delenv(name, raising=False)
        return open_home(tmp_path_factory.mktemp("track"))


@pytest.fixture
def sitting(home, request):
    """Begin runs of one experiment of the test's own: `sitting()` gives tracker and trials."""
    trackers = []

    def begin():
        tracker = Tracker(home, request.node.name, f"run-{len(trackers)}")
        tracker.start({"penstock.run": tracker.run})
        trackers.append(tracker)
        return tracker, Trials(tracker, KEY)

    yield begin
    for tracker in trackers:
        tracker.close()


def children(home, tracker):
    runs = client(home).search_runs(
        [tracker.experiment_id], f"tags.`{PARENT}` = '{tracker.run_id}'", max_results=1000
    )
    return {int(run.data.tags["penstock.trial"]): run for run in runs}


def test_each_trial_is_a_child_with_its_settings_every_epoch_and_how_it_ended(home, sitting, found):
    tracker, trials = sitting()
    trials.write(found["trials"][:4])
    trials.end(found)
    tracker.finish()
    runs = children(home, tracker)
    assert sorted(runs) == list(range(12))
    ended = {n: (run.info.status, run.data.tags["penstock.state"]) for n, run in runs.items()}
    assert ended[0] == ("FINISHED", "finished")
    assert ended[5] == ("FINISHED", "pruned")
    assert ended[10] == ("FAILED", "failed")
    assert runs[10].data.tags["penstock.reason"] == "NaN"
    assert runs[11].data.params == {
        "lr": "0.012", "width": "24", "embedding": "none", "network": "mlp", "epochs": "4",
    }  # fmt: skip
    assert runs[11].data.metrics["score"] == 0.3
    for side in ("train", "validation"):
        history = client(home).get_metric_history(runs[11].info.run_id, f"loss/{side}")
        assert [(p.step, round(p.value, 6)) for p in history] == [
            (0, 0.4),
            (1, 0.4),
            (2, 0.4),
            (3, 0.3),
        ]
    assert runs[0].info.end_time - runs[0].info.start_time == 500


def test_children_are_comparable_by_name(home, sitting, found):
    tracker, trials = sitting()
    trials.end(found)
    tracker.finish()
    runs = children(home, tracker).values()
    assert len({tuple(sorted(run.data.params)) for run in runs}) == 1
    ended = [run for run in runs if run.data.tags["penstock.state"] != "failed"]
    assert len({tuple(sorted(run.data.metrics)) for run in ended}) == 1


def test_the_parent_shows_the_best_the_leaderboard_plots_and_settings_to_run_again(
    home, sitting, found, write_spec
):
    tracker, trials = sitting()
    trials.end(found)
    tracker.finish()
    run = client(home).get_run(tracker.run_id)
    assert run.data.metrics["sweep/trials"] == 12
    assert run.data.metrics["sweep/score"] == 0.3
    curve = client(home).get_metric_history(tracker.run_id, "sweep/best")
    assert [p.value for p in curve] == [0.5, 0.49, 0.48] + [0.47] * 8 + [0.3]
    names = {a.path for a in client(home).list_artifacts(tracker.run_id, "sweep")}
    assert names == {
        f"sweep/{name}"
        for name in ("best.toml", "history.svg", "importance.json", "importance.svg",
                     "leaderboard.json", "parallel_coordinates.svg")
    }  # fmt: skip
    assert {"path": "sweep/leaderboard.json", "type": "table"} in json.loads(
        run.data.tags["mlflow.loggedArtifacts"]
    )
    path = client(home).download_artifacts(tracker.run_id, "sweep/best.toml")
    lines = Path(path).read_text("utf-8").splitlines()
    text = 'name = "n"\n[data]\nsource = "a.csv"\ntarget = "y"\n[sweep]\ntrials = 9\n'
    spec = load_spec(write_spec(text), lines)
    assert (spec.train.lr, spec.train.width, spec.train.embedding) == (0.012, 24, "none")
    assert spec.search is None


def test_the_winner_s_settings_are_lines_that_a_shell_splits_as_they_are(found):
    assert all(" " not in line for line in best_toml(found).splitlines())
    assert tomllib.loads(best_toml(found))["train"] == found["best"]["parameters"]


def test_a_run_that_goes_on_after_a_kill_takes_over_the_children_and_writes_the_rest(
    home, sitting, found
):
    first, trials = sitting()
    trials.write(found["trials"][:6])
    first.settle()
    cut = client(home).create_run(
        first.experiment_id,
        tags={PARENT: first.run_id, SWEEP: KEY[:32], "penstock.trial": "6"},
    )  # killed while it was written
    again, trials = sitting()
    for start in (0, 4, 8):
        trials.write(found["trials"][start : start + 4])
    trials.end(found)
    again.finish()
    assert sorted(children(home, again)) == list(range(12))
    assert children(home, first) == {}
    assert cut.info.run_id not in {run.info.run_id for run in children(home, again).values()}
    everyone = client(home).search_runs([again.experiment_id], f"tags.`{SWEEP}` != ''")
    assert len([run for run in everyone if PARENT in run.data.tags]) == 12


def test_a_run_that_reuses_a_sweep_says_where_its_trials_are_and_takes_none(home, sitting, found):
    first, trials = sitting()
    trials.end(found)
    first.finish()
    second, trials = sitting()
    trials.end(found)
    second.finish()
    assert len(children(home, first)) == 12
    assert children(home, second) == {}
    tags = client(home).get_run(second.run_id).data.tags
    assert tags["penstock.sweep.trials"] == first.run_id
    assert COMPLETE not in tags
    assert trials.holder == first.run_id


def test_trials_of_a_run_that_was_deleted_come_to_the_next(home, sitting, found):
    first, trials = sitting()
    trials.end(found)
    first.finish()
    client(home).delete_run(first.run_id)
    second, trials = sitting()
    trials.end(found)
    second.finish()
    assert len(children(home, second)) == 12


def test_the_leaderboard_has_the_best_first_and_those_that_failed_last(found):
    columns = leaderboard(found)
    assert columns["trial"][0] == 11
    assert columns["trial"][-1] == 10
    assert columns["state"] == ["finished"] * 5 + ["pruned"] * 6 + ["failed"]
    assert {len(column) for column in columns.values()} == {12}


def test_plots_are_pictures_of_their_own_that_load_nothing(found):
    from xml.etree import ElementTree as ET

    for name, text in files(found).items():
        if name.endswith(".svg"):
            assert ET.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314
            assert re.match(r"<svg [^>]*width=.\d+. height=.\d+.", text)  # a browser shows it whole
            assert "href" not in text
            assert "url(" not in text
