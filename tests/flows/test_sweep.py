"""The stage that searches: real trainings on a small table, poisoned, killed, failing, reused."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pandas as pd
import pytest

from flows.errors import SettingsError, TrainingFailed
from flows.home import open_home
from flows.json_files import read_json
from flows.maker import Maker
from flows.plan import planned
from flows.progress import Progress, Voice
from flows.settings import load_spec
from flows.stages import stages_of
from flows.sweep import sweep
from flows.sweep_result import fitted, with_best
from flows.sweep_section import summary_of
from flows.tables import read_parquet, write_parquet

SPEC = """
name = "s"
[data]
source = "table.csv"
target = "y"
[train]
members = 2
epochs = 8
[sweep]
trials = 6
batch = 3
min_epochs = 2
[sweep.space]
lr = { low = 1e-3, high = 3e-2, log = true }
dropout = [0.0, 0.2]
width = [8, 16]
[execution]
workers = 1
"""
BEFORE = ("load", "analyze", "contract", "engineer", "validate", "split")


def maker_of(folder, *overrides):
    spec = load_spec(folder / "spec.toml", overrides)
    return Maker(spec, open_home(spec.folder), Progress(quiet=True))


def made(folder, *overrides, until="sweep"):
    maker = maker_of(folder, *overrides)
    for stage in stages_of(maker.spec):
        maker.make(stage.name)
        if stage.name == until:
            break
    return maker


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """Everything short of the sweep, made once."""
    folder = tmp_path_factory.mktemp("sweep")
    (folder / "spec.toml").write_text(SPEC, encoding="utf-8")
    random = np.random.default_rng(0)
    x = random.normal(size=(240, 2)).round(3)
    y = np.where(x[:, 0] + 0.5 * random.normal(size=240) > 0, "yes", "no")
    rows = pd.DataFrame({"크기": x[:, 0], "b": x[:, 1], "id": np.arange(240), "y": y})
    rows.drop(columns="id").to_csv(folder / "table.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_TRACKING_URI", "PENSTOCK_HOME"):
            patch.delenv(name, raising=False)
        made(folder, until="split")
    return folder


@pytest.fixture(scope="module")
def swept(checked, tmp_path_factory):
    """The sweep, made once; only read."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_TRACKING_URI", "PENSTOCK_HOME"):
            patch.delenv(name, raising=False)
        return made(shutil.copytree(checked, tmp_path_factory.mktemp("swept") / "copy"))


@pytest.fixture
def folder(checked, tmp_path):
    """Copy it, to change something."""
    return shutil.copytree(checked, tmp_path / "copy")


def found_by(maker):
    return read_json(maker.made["sweep"].path / "sweep.json")


def alike(found):
    kept = ("number", "parameters", "state", "score", "epochs", "rung", "validation")
    return [{name: trial[name] for name in kept} for trial in found["trials"]]


def direct(maker, out, voice=None, **files):
    """Call the stage's function on files of our own."""
    paths = {name: maker.made[name].path for name in ("validate", "split")}
    clean = files.get("clean", paths["validate"] / "clean.parquet")
    ledger = files.get("ledger", paths["split"] / "ledger.parquet")
    schema = read_json(paths["validate"] / "schema.json")
    out.mkdir()
    again = out.with_name(f"{out.name}-again")
    return sweep(maker.spec, schema, clean, ledger, out, voice, checkpoints=again)


def test_a_sweep_leaves_its_trials_the_best_and_what_was_trained(swept):
    found = found_by(swept)
    assert [t["number"] for t in found["trials"]] == list(range(6))
    assert found["finished"] + found["pruned"] + found["failed"] == 6
    finished = [t for t in found["trials"] if t["state"] == "finished"]
    assert found["best"]["score"] == min(t["score"] for t in finished)
    assert all(len(t["validation"]) == t["epochs"] for t in found["trials"])
    assert found["rungs"][0] == {"epoch": 2, "entered": 6, "left": found["rungs"][0]["left"]}
    populations = fitted(swept.made["sweep"].path)
    numbers = {m.settings["trial"] for p in populations for m in p.members if m.setting >= 0}
    assert numbers == {t["number"] for t in finished}
    assert swept.made["sweep"].facts["say"].startswith("6 trials in ")


@pytest.mark.slow
def test_trials_and_training_leave_the_same_outliers_out(folder):
    maker = made(folder, "features.drop_outliers=2.0", "sweep.trials=2", until="train")
    trials = fitted(maker.made["sweep"].path)
    told = read_json(maker.made["train"].path / "fitted.json")
    found = told["features"]["outliers"]
    assert maker.made["train"].facts["outlier_rows"] == found["left_out"]
    assert 0 < min(found["left_out"]) <= max(found["left_out"]) < min(found["train"]) / 2
    assert trials[0].encoder.describe() == told["model"]["encoder"]


def test_too_many_outliers_are_refused_before_anything_is_searched(folder):
    maker = made(folder, "features.drop_outliers=0.2", until="split")
    with pytest.raises(SettingsError, match=r"features\.drop_outliers = 0\.2 must leave a fold"):
        direct(maker, folder / "out")


@pytest.mark.slow
def test_a_planted_best_region_is_found_and_searched_more_than_by_chance(folder):
    """Networks that hardly move cannot learn the labels: rates above 1e-3 are a third of the space."""
    planted = (
        "sweep.trials=32",
        "sweep.batch=8",
        "sweep.space.lr={ low = 1e-6, high = 3e-2, log = true }",
    )
    trials = found_by(made(folder, *planted, "train.members=1"))["trials"]
    rates = [trial["parameters"]["lr"] for trial in trials]
    best = min((t for t in trials if t["state"] == "finished"), key=lambda trial: trial["score"])
    assert best["parameters"]["lr"] > 1e-3
    assert sum(rate > 1e-3 for rate in rates[16:]) >= 11


def test_the_family_s_own_settings_are_tried_first_where_the_space_holds_them(swept):
    assert found_by(swept)["trials"][0]["parameters"]["lr"] == 2e-3


def test_the_training_takes_the_winner_s_settings(swept):
    spec = with_best(swept.spec, swept.made["sweep"].path)
    for name, value in found_by(swept)["best"]["parameters"].items():
        assert getattr(spec.train, name) == value
    assert spec.train.members == 2


def test_the_test_rows_are_never_read(swept, tmp_path):
    """Garbage in every test row's cells and label changes nothing in the whole sweep."""
    clean = read_parquet(swept.made["validate"].path / "clean.parquet")
    book = read_parquet(swept.made["split"].path / "ledger.parquet")
    rows = set(book.loc[book["side"] == "test", "row"])
    hit = clean["__row__"].isin(rows)
    assert 20 < hit.sum() < 100
    clean.loc[hit, ["크기", "b"]] = 1e30
    clean.loc[hit, "y"] = "never seen"
    write_parquet(clean, tmp_path / "poisoned.parquet")
    direct(swept, tmp_path / "out", clean=tmp_path / "poisoned.parquet")
    assert alike(read_json(tmp_path / "out" / "sweep.json")) == alike(found_by(swept))


def test_batches_are_heard_of_as_they_come_and_the_checkpoints_go_in_the_end(folder):
    maker, heard = maker_of(folder), []
    maker.on_trials = heard.append
    for name in (*BEFORE, "sweep"):
        maker.make(name)
    told = [[t["number"] for t in batch] for batch in heard]
    assert [batch for batch in told if len(batch) == 3] == [[0, 1, 2], [3, 4, 5]]
    early = [
        trial
        for batch, trials in zip(told, heard, strict=True)
        if len(batch) < 3
        for trial in trials
    ]
    assert early  # a population that is done is heard of while others train
    last = {t["number"]: t for t in read_json(maker.made["sweep"].path / "sweep.json")["trials"]}
    assert all(trial["score"] == last[trial["number"]]["score"] for trial in early)
    assert [
        p for p in maker.home.checkpoints.rglob("*") if p.is_file() and p.suffix != ".lock"
    ] == []


def test_two_workers_come_to_what_one_comes_to(swept, folder):
    found = alike(found_by(made(folder, "execution.workers=2")))
    for ours, theirs in zip(found, alike(found_by(swept)), strict=True):
        assert ours["parameters"] == theirs["parameters"]
        assert ours["state"] == theirs["state"]
        assert ours["score"] == pytest.approx(theirs["score"], rel=1e-4)


KILLED = """
    import sys
    from flows.maker import Maker
    from flows.home import open_home
    from flows.progress import Progress
    from flows.settings import load_spec
    from flows.stages import stages_of
    spec = load_spec(sys.argv[1])
    maker = Maker(spec, open_home(spec.folder), Progress(quiet=True))
    for stage in stages_of(spec):
        maker.make(stage.name)
        if stage.name == "sweep":
            break
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "sign",
    [
        "batch-0000.json",
        *(
            pytest.param(sign, marks=pytest.mark.long)
            for sign in ("*/groups/0002-*/done.json", "*/groups/0008-*")
        ),
    ],
)
def test_a_sweep_killed_at_any_rung_comes_to_what_an_undisturbed_one_comes_to(swept, folder, sign):
    code = [sys.executable, "-c", textwrap.dedent(KILLED), str(folder / "spec.toml")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(code, env=environment, start_new_session=True)
    place = folder / ".penstock" / "checkpoints" / "sweep"
    while process.poll() is None and not any(place.rglob(sign.rpartition("/")[2])):
        time.sleep(0.005)
    if process.poll() is None:
        os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not list(folder.glob(".penstock/cache/sweep/*/sweep.json"))
    assert alike(found_by(made(folder))) == alike(found_by(swept))


def test_a_parameter_that_ruins_the_training_fails_its_trials_alone(folder):
    space = "sweep.space={ lr = [1e-3, 1e9], width = [8] }"
    found = found_by(made(folder, space, "sweep.halving=false", "sweep.sampler=random"))
    ruined = [t for t in found["trials"] if t["parameters"]["lr"] == 1e9]
    assert ruined
    assert found["best"]["parameters"]["lr"] == 1e-3
    assert {t["state"] for t in ruined} == {"failed"}
    assert all(t["reason"] for t in ruined)


def test_too_few_good_trials_fail_the_run_with_their_reasons(folder):
    space = "sweep.space={ lr = [1e8, 1e9], width = [8] }"
    with pytest.raises(TrainingFailed, match=r"\(sweep.min_finished\), found 0 of 6: .*loss"):
        made(folder, space, "sweep.min_finished=6")


def test_a_budget_shorter_than_one_rung_is_refused_before_training(folder):
    heavy = "sweep.space={ width = [4096, 8192], depth = [16] }"
    with pytest.raises(
        SettingsError, match=r"sweep\.budget: must be longer than one rung, found 1 s"
    ):
        made(folder, heavy, 'sweep.budget="1s"')
    assert not list(folder.glob(".penstock/checkpoints/sweep/*/groups/*"))


def test_a_batch_of_more_rows_than_a_fold_has_is_refused_by_check_already(folder):
    with pytest.raises(
        SettingsError, match=r"sweep\.space\.batch: .* train rows of a fold, found 500"
    ):
        made(folder, "sweep.space.batch=[16, 500]", until="split")


def test_a_budget_that_ends_meanwhile_keeps_what_there_is(folder):
    """The population goes no further; the trials are judged as they are."""
    long = ("train.epochs=5000", "train.patience=5000", "sweep.halving=false")
    found = found_by(made(folder, 'sweep.budget="2s"', "sweep.trials=60", *long))
    assert found["stopped"] == "budget"
    assert found["finished"] > 0
    assert max(t["epochs"] for t in found["trials"]) < 5000


def test_on_request_the_best_settings_say_whether_more_rows_would_help(folder):
    found = found_by(made(folder, "sweep.learning_curve=true", "sweep.trials=3"))
    curve = found["learning_curve"]
    assert [point["share"] for point in curve["points"]] == [0.125, 0.25, 0.5, 1.0]
    assert "rows" in curve["sentence"]
    assert summary_of(found)["learning_curve"]["points"][-1]["score"] > 0


def test_settings_without_a_sweep_have_no_such_stage(folder):
    spec = load_spec(folder / "spec.toml", ["sweep.enabled=false"])
    assert "sweep" not in [stage.name for stage in stages_of(spec)]
    steps = {step.name: step for step in planned(spec, open_home(folder))}
    assert steps["train"].reason == "never made for this name"
    assert "sweep" not in steps


def test_a_sweep_is_reused_until_something_that_it_reads_changes(swept):
    home = swept.home

    def plan(*overrides):
        spec = load_spec(swept.spec.path, overrides)
        return {step.name: step for step in planned(spec, home)}

    swept.remember()
    assert plan()["sweep"].reused
    assert plan("train.members=3", "gate.mode='dry_run'", "execution.workers=2")["sweep"].reused
    assert plan("sweep.trials=7")["sweep"].reason == "changed: setting sweep.trials"
    assert plan("train.seed=1")["sweep"].reason == "changed: setting train.seed"
    assert plan("train.seed=1")["train"].reason == "waits for sweep"


def test_what_a_sweep_says_while_it_trains_names_trials_epochs_and_the_best(swept, tmp_path):
    rows = []
    direct(swept, tmp_path / "out", Voice(board=rows.append))
    assert rows[0]["trials"] == "0 of 6 done, 3 of 3 in training"
    assert rows[0]["epoch"].endswith("of at most 8, compared at 2")
    best = [float(row["best"]) for row in rows if row["best"] != "none yet"]
    assert best[-1] == min(best) > 0
