"""What a whole run leaves for those who look at MLflow: the pages of run, experiment and model."""

import json

import pytest

from flows.experiment import NOTE, VIEW
from flows.runpage import flat, metrics, note


@pytest.fixture
def pages(first_run):
    """Return a client, the first run, and the experiment."""
    reader = first_run.client
    (experiment,) = [e for e in reader.search_experiments() if e.name == "작은 표"]
    found = reader.search_runs(
        [experiment.experiment_id], f"tags.`penstock.run` = '{first_run.summary['run']}'"
    )
    return reader, found[0], experiment


def test_the_table_of_runs_gets_verdict_metric_rows_digest_and_seconds(first_run, pages):
    _, run, experiment = pages
    assert run.data.tags["verdict"] == run.data.params["verdict"] == "promoted"
    assert run.data.params["data"] == first_run.summary["digests"]["data"][:12]
    assert run.data.metrics["rows"] == 240
    assert run.data.metrics["seconds"] == first_run.summary["seconds"]
    decided = first_run.summary["verdict"]["value"]
    assert run.data.metrics["roc_auc"] == pytest.approx(decided)
    state = json.loads(json.loads(experiment.tags[f"mlflow.sharedViewState.{VIEW}"])["state"])
    shown = {name.partition(".")[2].strip("`") for name in state["selectedColumns"]}
    lasting = {"verdict", "data", "rows", "seconds"}
    assert lasting <= run.data.params.keys() | run.data.metrics.keys()  # what the UI sorts by
    assert lasting <= shown
    assert len(shown - lasting - {"duration"}) == 1  # the metric of the last run, whoever made it


def test_members_have_no_verdict_so_the_table_has_one_line_per_run(pages):
    reader, run, experiment = pages
    children = f"tags.`mlflow.parentRunId` = '{run.info.run_id}'"
    assert len(reader.search_runs([experiment.experiment_id], children)) == 2 * 5
    assert (
        reader.search_runs([experiment.experiment_id], f"{children} AND tags.verdict != ''") == []
    )


def test_the_run_s_note_says_the_verdict_and_links_report_and_version(first_run, pages):
    _, run, experiment = pages
    text = run.data.tags[NOTE]
    assert text.startswith("**Promoted: 작은 표 version 1; roc_auc is")
    place = f"#/experiments/{experiment.experiment_id}/runs/{run.info.run_id}/artifacts/report.html"
    assert f"[Report]({place}?" in text
    assert "[작은 표 version 1](#/models/%EC%9E%91%EC%9D%80%20%ED%91%9C/versions/1?" in text


def test_the_run_has_the_curves_of_a_member_and_the_data_with_its_columns(pages):
    reader, run, _ = pages
    curve = reader.get_metric_history(run.info.run_id, "loss/validation")
    assert [point.step for point in curve] == list(range(len(curve)))
    assert len(curve) >= 1
    data = run.inputs.dataset_inputs[0].dataset
    assert json.loads(data.profile) == {"rows": 240, "columns": 2}
    columns = json.loads(data.schema)["mlflow_colspec"]
    assert {c["name"]: c["type"] for c in columns} == {"크기": "double", "colour": "string"}


def test_the_model_s_page_says_what_it_predicts_and_how_to_load_it(pages):
    reader, run, _ = pages
    model = reader.get_registered_model("작은 표")
    assert model.description.startswith("Predicts `grade` (binary), judged by `roc_auc`")
    assert 'load_model("models:/작은 표@champion")' in model.description
    assert (model.tags["task"], model.tags["target"]) == ("binary", "grade")
    version = reader.get_model_version("작은 표", "1")
    assert version.description.startswith("Promoted: roc_auc is")
    about = reader.get_logged_model(version.source.removeprefix("models:/")).metrics
    assert run.data.metrics["roc_auc"] in [m.value for m in about if m.key == "roc_auc"]


def test_metrics_stand_in_sections_and_the_leading_one_keeps_its_interval():
    found = {"value": 0.9, "low": 0.8, "high": None}
    summary = {
        "metrics": {"test": {"f1": found, "roc_auc": found}, "validation": {"f1": found}},
        "rows": {"read": 10, "test": 2, "quarantined": None},
        "seconds": 1.5,
    }
    assert metrics(summary, "roc_auc") == {
        "roc_auc": 0.9, "roc_auc.low": 0.8, "f1": 0.9, "rows": 10, "seconds": 1.5,
        "rows/test": 2, "validation/f1": 0.9,
    }  # fmt: skip
    assert metrics({"seconds": 0.1}, None) == {"seconds": 0.1}


def test_a_run_that_failed_early_still_has_a_note():
    summary = {
        "run": "r",
        "verdict": {"sentence": "Refused: <b> & *x*.", "reasons": ["# not a heading"]},
        "links": {"prefect": "http://host/runs/1"},
        "registered": None,
    }
    text = note(summary, "1", "abc")
    assert text.startswith("**Refused: &lt;b> &amp; \\*x\\*.**")
    assert "[Prefect](http://host/runs/1)" in text
    assert "- \\# not a heading" in text


def test_parameters_are_flat_and_hold_no_credentials():
    settings = {"data": {"source": "mysql://me:word@host/db", "drop": ["a"]}, "name": "x"}
    assert flat(settings) == {
        "data.source": "mysql://***@host/db", "data.drop": ["a"], "name": "x"
    }  # fmt: skip
