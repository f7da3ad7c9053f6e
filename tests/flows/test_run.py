"""Whole runs on a small table: what is published, what is left behind, what a second run does."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from flows.json_files import read_json


@pytest.fixture
def home(first_run, prefect_server, monkeypatch):
    monkeypatch.chdir(first_run.folder)
    return first_run


def test_a_first_run_ends_with_a_champion(home):
    assert home.summary["verdict"]["outcome"] == "promoted"
    assert home.aliases()["champion"] == home.summary["registered"]["version"] == 1


def test_the_summary_says_what_was_done_to_every_row(home):
    rows = home.summary["rows"]
    assert rows["read"] == 240
    assert rows["quarantined"] == 0
    assert sum(rows[side] or 0 for side in ("train", "validation", "test") if side in rows) == 240


def test_the_report_is_one_page_that_loads_nothing_and_escapes_names(home):
    page = (next(home.folder.glob(".penstock/runs/*/report.html"))).read_text("utf-8")
    assert "크기" in page
    assert "<b>파랑</b>" not in page
    assert 'src="http' not in page
    assert "<link" not in page


def test_mlflow_has_a_parent_run_with_a_child_per_member(home):
    (experiment,) = [e for e in home.client.search_experiments() if e.name == "작은 표"]
    runs = home.client.search_runs([experiment.experiment_id])
    parents = [r for r in runs if "mlflow.parentRunId" not in r.data.tags]
    first = next(r for r in parents if r.data.tags["penstock.run"] == home.summary["run"])
    children = [r for r in runs if r.data.tags.get("mlflow.parentRunId") == first.info.run_id]
    assert len(children) == 2 * 5
    assert first.info.status == "FINISHED"
    assert first.inputs.dataset_inputs[0].dataset.name == "작은 표"
    names = {a.path for a in home.client.list_artifacts(first.info.run_id)}
    assert {"report.html", "summary.json", "contract.toml", "ledger"} <= names
    curve = home.client.get_metric_history(children[0].info.run_id, "loss/validation")
    assert len(curve) >= 1


def test_a_bare_process_predicts_from_raw_text_rows(home):
    code = f"""
        import sys
        class Refuse:
            def find_spec(self, name, *_):
                if name.partition(".")[0] in ("torch", "flows", "models", "expectations", "sklearn"):
                    raise ModuleNotFoundError(name)
        sys.meta_path.insert(0, Refuse())
        import mlflow, pandas as pd
        mlflow.set_tracking_uri("sqlite:///{home.folder}/.penstock/mlflow.db")
        model = mlflow.pyfunc.load_model("models:/작은 표@champion")
        rows = pd.read_csv("{home.folder}/table.csv", dtype=str, keep_default_na=False)
        out = model.predict(rows)
        print(sorted(out["prediction"].unique()), list(out.columns), len(out))
    """
    done = subprocess.run(
        [sys.executable, "-I", "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "['no', 'yes'] ['prediction', 'probability_no', 'probability_yes'] 240" in done.stdout, (
        done.stderr
    )


def test_the_same_run_again_reuses_every_stage_and_makes_no_version(home):
    home.run()  # whatever others have made of this home, these settings come last
    before = home.aliases()
    summary, error = home.run()
    assert error is None
    assert summary["verdict"]["outcome"] == "unchanged"
    assert all(stage["reused"] for stage in summary["stages"])
    assert home.aliases() == before


def test_another_seed_is_another_version_and_previous_keeps_the_old_one(home):
    champion = home.aliases()["champion"]
    summary, error = home.run("train.seed=5")
    assert error is None
    assert summary["verdict"]["outcome"] == "promoted"
    reused = {stage["name"] for stage in summary["stages"] if stage["reused"]}
    assert {"load", "analyze", "contract", "engineer", "validate", "split"} <= reused
    assert home.aliases()["champion"] == summary["registered"]["version"] > champion
    assert home.aliases()["previous"] == champion


def test_a_floor_that_fails_rejects_and_the_champion_stays(home):
    champion = home.aliases()["champion"]
    summary, error = home.run("gate.floors.roc_auc=0.999")
    assert error is None
    assert summary["verdict"]["outcome"] == "rejected"
    assert "roc_auc" in summary["verdict"]["reasons"][0]
    assert home.aliases()["champion"] == champion
    version = home.client.get_model_version("작은 표", str(summary["registered"]["version"]))
    assert version.tags["penstock.verdict"] == "rejected"


def test_a_dry_run_publishes_nothing(home):
    before = home.aliases()
    summary, error = home.run("gate.mode='dry_run'", "train.seed=77")
    assert error is None
    assert summary["verdict"]["outcome"] == "dry_run"
    assert summary["registered"] is None
    assert home.aliases() == before


def test_refused_data_leaves_a_summary_a_report_and_a_failed_run(
    small_runs, table, tmp_path, summary_schema
):
    other = small_runs(tmp_path)
    frame = table().astype(object)
    frame.loc[:40, "grade"] = None
    frame.to_csv(tmp_path / "table.csv", index=False)
    summary, error = other.run()
    assert error is not None
    assert getattr(error, "exit_code", None) == 3
    assert summary["verdict"]["outcome"] == "refused"
    assert summary["verdict"]["sentence"].startswith("Refused: 41 of 240 rows (17.08%) break")
    folder = summary.pop("folder")
    summary_schema.validate(summary)
    assert read_json(Path(folder, "summary.json")) == summary
    assert summary["failures"][0]["column"] == "grade"
    assert (next(tmp_path.glob(".penstock/runs/*/report.html"))).stat().st_size > 1000
    assert [m.name for m in other.client.search_registered_models()] == []
    (experiment,) = [e for e in other.client.search_experiments() if e.name == "작은 표"]
    assert [r.info.status for r in other.client.search_runs([experiment.experiment_id])] == [
        "FAILED"
    ]


def test_a_metric_of_another_task_is_refused_before_anything_is_trained(home):
    summary, error = home.run("gate.metric=rmse")
    assert getattr(error, "exit_code", None) == 2
    assert summary["verdict"]["outcome"] == "failed"
    assert "rmse" in summary["verdict"]["sentence"]
    assert "train" not in [stage["name"] for stage in summary["stages"]]


@pytest.mark.long
def test_a_tracking_server_that_is_away_is_said_before_anything_is_trained(
    small_runs, tmp_path, monkeypatch
):
    for name, value in (("URI", "http://127.0.0.1:9"), ("HTTP_REQUEST_MAX_RETRIES", "0")):
        key = "MLFLOW_TRACKING_URI" if name == "URI" else f"MLFLOW_{name}"
        monkeypatch.setenv(key, value)
    summary, error = small_runs(tmp_path).run()
    assert "MLflow at http://127.0.0.1:9 must take what a run writes" in str(error)
    assert summary["verdict"]["outcome"] == "failed"
    assert "train" not in [stage["name"] for stage in summary["stages"]]
    assert summary["warnings"].count(str(error)) == 0
