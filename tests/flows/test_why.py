"""What decided, asked by run, by the beginning of its id, by model, alias and version."""

import json

import pytest

from flows.errors import PenstockError
from flows.home import open_home
from flows.verdict import as_text as end_of_run
from flows.why import as_text, why

NAME = "작은 표"


def test_a_run_answers_by_its_id_and_by_its_beginning(first_run):
    run = first_run.summary["run"]
    for what in (run, run[:-2]):
        answer = why(what, first_run.folder)
        assert answer["run"] == run
        assert answer["outcome"] == "promoted"
        assert answer["decided_by"] == "roc_auc"
        assert answer["sentence"].startswith(f"Promoted: {NAME} version 1; roc_auc is 0.")
        assert "at least the floor of 0.6" in answer["sentence"]
        assert "is at least 0.6" in answer["reasons"][0]


@pytest.mark.parametrize("what", [f"{NAME}/1", f"models:/{NAME}/1"])
def test_a_version_answers_with_its_run(first_run, what):
    answer = why(what, first_run.folder)
    assert (answer["model"], answer["version"]) == (NAME, 1)
    assert answer["run"] == first_run.summary["run"]


def test_a_model_answers_for_what_is_in_service(first_run):
    champion = first_run.aliases()["champion"]
    assert why(NAME, first_run.folder)["version"] == champion
    assert why(f"{NAME}@champion", first_run.folder)["version"] == champion


def test_a_version_whose_run_is_retired_answers_from_the_registry(first_run, tmp_path):
    folder = first_run.folder / ".penstock" / "runs" / first_run.summary["run"]
    folder.rename(tmp_path / "elsewhere")
    try:
        answer = why(f"{NAME}/1", first_run.folder)
    finally:
        (tmp_path / "elsewhere").rename(folder)
    assert answer["sentence"].startswith("Promoted: roc_auc is 0.")
    assert "is at least 0.6" in answer["reasons"][0]


def test_an_unknown_name_lists_what_is_known(first_run):
    with pytest.raises(PenstockError) as caught:
        why("작은 포", first_run.folder)
    said = str(caught.value)
    assert "'작은 포'" in said
    assert NAME in said
    assert "runs" in said


def test_an_unknown_alias_lists_the_aliases(first_run):
    with pytest.raises(PenstockError, match=f"{NAME}@champion"):
        why(f"{NAME}@champ", first_run.folder)


def test_nothing_is_known_in_an_empty_home(tmp_path):
    with pytest.raises(PenstockError, match="none"):
        why("a*[b", tmp_path)


def test_an_ambiguous_beginning_names_the_runs(tmp_path):
    home = open_home(tmp_path)
    for run in ("2026-a", "2026-b"):
        (home.runs / run).mkdir()
        (home.runs / run / "summary.json").write_text(json.dumps({"run": run}), encoding="utf-8")
    with pytest.raises(PenstockError, match="must name one run, it begins 2: 2026-a, 2026-b"):
        why("2026", tmp_path)


def test_the_end_of_a_run_and_why_say_how_the_network_stands_to_the_ladder(first_run):
    answer = why(first_run.summary["run"], first_run.folder)
    said = answer["ladder"]
    assert said.startswith("On test the network ")
    assert "the best rung of the ladder, " in said
    assert f"\n  {said}" in as_text(answer)
    assert f"\n  ladder    {said}\n" in end_of_run(first_run.summary)
    without = {**first_run.summary, "ladder": []}
    assert "ladder" not in end_of_run(without)


def test_what_decided_is_said_once(first_run):
    answer = why(first_run.summary["run"], first_run.folder)
    said = as_text(answer)
    assert "is at least 0.6" in answer["reasons"][0]
    assert said.count("at least") == 1
    assert "better than the dummy's by" in said  # a reason that the sentence does not hold


def test_a_refusal_is_said_once():
    reason = "the table breaks 1 critical rule:"
    answer = {"sentence": "Refused: the table breaks 1 critical rule.", "reasons": [reason]}
    assert as_text(answer) == answer["sentence"]
