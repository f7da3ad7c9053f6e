"""What MLflow's pages say: text that Markdown shows as it stands, columns, and nobody's words undone."""

import json

import pytest

from flows.experiment import (
    NOTE,
    VIEW,
    code,
    experiment_link,
    guarded,
    model_note,
    page,
    plain,
    run_link,
    runs_page,
    version_page,
    view,
)
from flows.settings import load_spec

SPEC = """
name = "작은 `표` <b>"
[data]
source = "postgresql://reader:secret@host/shop"
target = "등급 @all"
"""


def test_the_saved_view_opens_with_verdict_metric_rows_digest_and_duration():
    state = json.loads(json.loads(view("roc_auc"))["state"])
    columns = ["params.`verdict`", "metrics.`roc_auc`", "metrics.`rows`", "params.`data`"]
    assert state["selectedColumns"] == [*columns, "metrics.`seconds`"]
    assert state["columnOrder"] == state["selectedColumns"] == list(state["columnWidths"])
    assert state["searchFilter"] == "tags.verdict != ''"
    assert "metrics.`None`" not in json.loads(json.loads(view(None))["state"])["selectedColumns"]


def test_a_link_opens_the_runs_table_with_that_view():
    link = experiment_link("http://user:secret@host:5000/", "7")
    assert link.startswith("http://***@host:5000/#/experiments/7/runs?")
    assert link.endswith(f"workflowType=machine_learning&viewStateShareKey={VIEW}")
    assert experiment_link("sqlite:////x/mlflow.db", "7") == "sqlite:////x/mlflow.db experiment 7"


def test_a_run_that_mlflow_refused_is_linked_to_its_server_alone():
    assert run_link("http://host", "", "") == "http://host"
    assert run_link("sqlite:////x.db", "1", "abc") == "sqlite:////x.db run abc"
    assert run_link("http://host", "1", "abc") == (
        "http://host/#/experiments/1/runs/abc?workflowType=machine_learning"
    )


def test_names_of_any_script_are_addresses():
    assert version_page("작은 표", 3).startswith(
        "#/models/%EC%9E%91%EC%9D%80%20%ED%91%9C/versions/3?"
    )


def test_the_note_begins_with_what_is_predicted_and_says_how_to_load_it(write_spec):
    tags = page(load_spec(write_spec(SPEC)), "log_loss", "3")
    first = tags[NOTE].splitlines()[0]
    assert first.startswith("Predicts `등급 @all` from `postgresql://***@host/shop`, judged by")
    assert "`log_loss`" in first
    assert f"[the runs]({runs_page('3')})" in first
    assert "secret" not in str(tags)
    assert 'load_model("models:/작은 `표` <b>@champion")' in tags[NOTE]
    assert tags["mlflow.experimentKind"] == "custom_model_development"
    assert f"mlflow.sharedViewState.{VIEW}" in tags
    assert max(len(text) for text in tags.values()) < 5000


def test_the_model_s_note_says_what_it_predicts(write_spec):
    note = model_note("모델", {"target": "등급", "task": "binary", "metric": "roc_auc"})
    assert note.startswith("Predicts `등급` (binary), judged by `roc_auc` on test rows")
    assert 'load_model("models:/모델@champion")' in note
    assert "judged" not in model_note("모델", {"target": "등급", "task": "binary"})


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("roc_auc is 0.9, at least 0.6", "roc_auc is 0.9, at least 0.6"),
        ("<b> & *all*", "&lt;b> &amp; \\*all\\*"),
        ("# [a](b)\n@champion", "\\# \\[a\\](b) \\@champion"),
        ("_x_ ~~y~~", "\\_x\\_ \\~~y\\~~"),
    ],
)
def test_plain_text_is_shown_as_it_stands(text, shown):
    assert plain(text) == shown


def test_code_holds_any_name():
    assert code("급송") == "`급송`"
    assert code("a`b\n``c") == "``` a`b ``c ```"


def test_what_a_person_has_changed_is_left_alone():
    tags = guarded({}, {"note": "ours", "kind": "a"})
    assert guarded(tags, {"note": "ours", "kind": "a"}) == {}
    newer = guarded(tags, {"note": "ours, newer"})
    assert newer["note"] == "ours, newer"
    theirs = tags | {"note": "a person's"}
    assert guarded(theirs, {"note": "ours, newer"}) == {}
    assert guarded({"note": "a person's"}, {"note": "ours"}) == {}
