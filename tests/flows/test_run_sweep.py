"""Whole runs with a sweep: what MLflow, the summary and the report show of it, killed and reused."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flows.json_files import read_json

pytestmark = pytest.mark.slow

SWEEP = """
[sweep]
trials = 6
batch = 3
[sweep.space]
lr = { low = 1e-3, high = 3e-2, log = true }
dropout = [0.0, 0.2]
"""
BIN = Path(sys.executable).parent


@pytest.fixture
def home(small_runs, small_settings, tmp_path):
    made = small_runs(tmp_path)
    (tmp_path / "spec.toml").write_text(small_settings + SWEEP, encoding="utf-8")
    return made


def runs_of(home):
    (experiment,) = [e for e in home.client.search_experiments() if e.name == "작은 표"]
    runs = home.client.search_runs([experiment.experiment_id], max_results=1000)
    parents = {r.data.tags["penstock.run"]: r for r in runs if "penstock.run" in r.data.tags}
    return parents, [r for r in runs if "penstock.trial" in r.data.tags]


def test_a_run_with_a_sweep_shows_its_trials_and_is_reused(home, summary_schema):
    summary, error = home.run()
    assert error is None
    assert summary["verdict"]["outcome"] == "promoted"
    folder = Path(summary.pop("folder"))
    summary_schema.validate(summary)
    assert summary["sweep"]["trials"] == 6
    assert [s["name"] for s in summary["stages"]][8:10] == ["sweep", "train"]
    assert 'id="sweep"' in (folder / "report.html").read_text("utf-8")
    parents, trials = runs_of(home)
    first = parents[summary["run"]].info.run_id
    assert sorted(int(t.data.tags["penstock.trial"]) for t in trials) == list(range(6))
    assert {t.data.tags["mlflow.parentRunId"] for t in trials} == {first}
    assert home.client.get_run(first).data.metrics["sweep/trials"] == 6

    again, error = home.run("gate.mode='dry_run'")
    assert error is None
    assert next(s for s in again["stages"] if s["name"] == "sweep")["reused"]
    parents, trials = runs_of(home)
    assert len(trials) == 6
    assert parents[again["run"]].data.tags["penstock.sweep.trials"] == first


@pytest.mark.long
def test_the_winner_is_trained_again_without_a_search_by_the_lines_of_its_file(home):
    summary, error = home.run()
    assert error is None
    parents, _ = runs_of(home)
    run = parents[summary["run"]].info.run_id
    lines = Path(home.client.download_artifacts(run, "sweep/best.toml")).read_text().splitlines()
    again, error = home.run(*lines)
    assert error is None
    assert again["sweep"] is None
    assert "sweep" not in [s["name"] for s in again["stages"]]
    for name, value in summary["sweep"]["best"]["parameters"].items():
        assert again["settings"]["train"][name] == value


@pytest.mark.long
def test_a_run_killed_in_its_sweep_goes_on_to_the_same_champion(
    home, small_runs, small_settings, tmp_path
):
    command = [BIN / "penstock", "run", "spec.toml"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    killed = subprocess.Popen(
        command, cwd=home.folder, env=environment, stderr=subprocess.PIPE, start_new_session=True
    )
    checkpoints = home.folder / ".penstock" / "checkpoints" / "sweep"
    while killed.poll() is None and not any(checkpoints.rglob("batch-0000.json")):
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert not list(home.folder.glob(".penstock/cache/sweep/*/sweep.json"))
    summary, error = home.run()
    assert error is None
    other = tmp_path / "undisturbed"
    other.mkdir()
    calm = small_runs(other)
    (other / "spec.toml").write_text(small_settings + SWEEP, encoding="utf-8")
    whole, error = calm.run()
    assert error is None
    assert summary["sweep"]["best"] == whole["sweep"]["best"]
    assert summary["metrics"]["test"] == whole["metrics"]["test"]
    parents, trials = runs_of(home)
    mine = parents[summary["run"]].info.run_id
    assert sorted(int(t.data.tags["penstock.trial"]) for t in trials) == list(range(6))
    assert {t.data.tags["mlflow.parentRunId"] for t in trials} == {mine}
    (record,) = home.folder.glob(".penstock/cache/sweep/*/sweep.json")
    assert len(read_json(record)["trials"]) == 6
