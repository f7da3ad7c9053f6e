"""Whole runs one after the other: what the gate makes of each, and what a person can ask and do."""

import json
from pathlib import Path
from urllib.parse import unquote, urlparse

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from flows import by_hand, replay
from flows.cli import app
from flows.errors import SettingsError
from flows.home import open_home
from flows.json_files import read_json
from flows.promotions import log
from flows.settings import load_spec

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("gate runs")]  # one story for all
NAME = "작은 표"
WORSE = ('data.drop=["크기"]', "gate.margin=0.02", "gate.floors={}")


class Story:
    """Four runs: a first one, a retrain, a model without its best column, a doubt."""

    def __init__(self, runs):
        self.runs = runs
        table = pd.read_csv(runs.folder / "table.csv")
        table["id"] = np.arange(len(table))
        table.to_csv(runs.folder / "table.csv", index=False)
        self.first = self.run()
        self.again = self.run("train.seed=5")
        self.worse = self.run(*WORSE)
        self.doubt = self.run("train.seed=6", "gate.margin=0.000001")

    def run(self, *overrides):
        return self._made(self.runs.run("data.id=['id']", *overrides))

    @staticmethod
    def _made(ended):
        summary, error = ended
        assert error is None
        return summary

    @property
    def home(self):
        return open_home(self.runs.folder)


@pytest.fixture(scope="module")
def story(module_runs):
    return Story(module_runs(700))


def test_each_verdict_is_the_one_that_was_due(story):
    ends = [s["verdict"]["outcome"] for s in (story.first, story.again, story.worse, story.doubt)]
    assert ends == ["promoted", "promoted", "rejected", "kept"]
    assert [s["gate"]["status"] for s in (story.first, story.again)] == ["none", "compared"]
    assert story.again["gate"]["champion"] == 1
    assert story.worse["gate"]["champion"] == story.doubt["gate"]["champion"] == 2
    assert story.runs.aliases()["champion"] == 2


def test_each_verdict_is_a_sentence_with_what_decided(story):
    said = [s["verdict"]["sentence"] for s in (story.again, story.worse, story.doubt)]
    assert f"{NAME} version 2 is no worse than version 1: roc_auc 0." in said[0]
    assert "rows that neither had seen" in said[0]
    assert "asked: gate.margin = 0.3" in said[0]
    assert f"{NAME} version 3 is worse than version 2: roc_auc 0." in said[1]
    assert "it would take gate.margin = " in said[1]
    assert f"{NAME} version 4 may still be worse than version 2" in said[2]


def test_looks_at_the_same_rows_are_counted(story):
    looks = [s["gate"]["look"] for s in (story.again, story.worse, story.doubt)]
    assert looks == [1, 2, 3]


def test_the_bundle_and_the_card_are_with_the_run(story):
    version = story.runs.client.get_model_version(NAME, "2")
    kept = {a.path for a in story.runs.client.list_artifacts(version.run_id, "gate")}
    assert {f"gate/{n}" for n in (*replay.ENOUGH, "ledger.parquet", "model_card.md")} <= kept
    assert version.description.splitlines()[0].startswith("Promoted: ")
    assert "## Intended use" in version.description
    assert len(version.description) <= 5000


def test_replay_comes_to_every_stored_verdict_again(story):
    found = replay.replay(NAME, story.runs.folder)
    assert [each["version"] for each in found["judged"]] == [1, 2, 3, 4]
    assert all(each["exact"] for each in found["judged"])
    assert replay.unfaithful(found) == []
    assert "each came out again as it was" in replay.as_text(found)


def test_replay_by_other_rules_is_exploratory_and_moves_nothing(story):
    before = story.runs.aliases()
    found = replay.replay(NAME, story.runs.folder, ["gate.margin=0.9"])
    now = [each["now"] for each in found["judged"]]
    assert now == ["promote", "promote", "inconclusive", "promote"]  # the third is near the dummy
    assert [each["version"] for each in found["judged"] if each["changed"]] == [3, 4]
    assert "exploratory" in replay.as_text(found)
    assert story.runs.aliases() == before


def test_replay_takes_rules_of_the_gate_alone(story):
    with pytest.raises(SettingsError, match=r"gate\.margin"):
        replay.replay(NAME, story.runs.folder, ["train.seed=3"])
    with pytest.raises(SettingsError, match="margin"):
        replay.replay(NAME, story.runs.folder, ["gate.margin=-1"])


def test_the_report_shows_the_comparison(story):
    run = story.home.runs / story.worse["run"]
    page = (run / "report.html").read_text("utf-8")
    assert 'id="champion"' in page
    assert "Against version 2" in page
    assert "in service" in page


def test_a_bundle_that_was_changed_is_left_out_by_name(story):
    run = story.runs.client.get_run(story.runs.client.get_model_version(NAME, "3").run_id)
    place = Path(unquote(urlparse(run.info.artifact_uri).path), "gate", "referee.json")
    whole = place.read_text("utf-8")
    try:
        place.write_text(json.dumps(json.loads(whole) | {"look": 1}), "utf-8")
        found = replay.replay(NAME, story.runs.folder)
    finally:
        place.write_text(whole, "utf-8")
    assert [each["version"] for each in found["left_out"]] == [3]
    assert "referee.json" in found["left_out"][0]["why"]


@pytest.mark.long
def test_a_rolled_back_model_is_held_until_it_is_released(story, monkeypatch):
    monkeypatch.chdir(story.runs.folder)
    done = CliRunner().invoke(app, ["rollback", NAME, "--because", "complaints"])
    assert done.exit_code == 0, done.output
    assert story.runs.aliases()["champion"] == 1
    summary = story.run("train.seed=5")
    assert summary["verdict"]["outcome"] == "kept"
    assert "held" in summary["verdict"]["sentence"]
    assert story.runs.aliases()["champion"] == 1
    assert CliRunner().invoke(app, ["release", f"{NAME}/2"]).exit_code == 0
    summary = story.run("train.seed=5")
    assert summary["verdict"]["outcome"] == "promoted"
    assert story.runs.aliases()["champion"] == 2
    moves = [(entry.rule, entry.before, entry.to) for entry in log(story.home, NAME)]
    assert moves[-2:] == [("rollback", 2, 1), ("no_worse", 1, 2)]


@pytest.mark.long
def test_a_champion_that_changes_while_it_is_compared_is_compared_anew(story, monkeypatch):
    """A person promotes another version between the comparison and the alias."""
    from flows.run import Run

    real, moved = Run.judge, []

    def judge(self):
        verdict = real(self)
        if not moved:
            moved.append(by_hand.promote(self.home, f"{NAME}/1", "a race"))
        return verdict

    monkeypatch.setattr(Run, "judge", judge)
    summary = story.run("train.seed=9")
    assert summary["verdict"]["outcome"] == "promoted"
    assert summary["gate"]["champion"] == 1
    entries = log(story.home, NAME)
    assert (entries[-1].before, entries[-1].to) == (1, summary["registered"]["version"])
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))


@pytest.mark.long
def test_a_gate_that_is_switched_off_registers_a_challenger_alone(story):
    before = story.runs.aliases()["champion"]
    summary = story.run("train.seed=21", "gate.mode='disabled'")
    assert summary["verdict"]["outcome"] == "kept"
    assert "nothing was judged" in summary["verdict"]["sentence"]
    assert story.runs.aliases()["champion"] == before
    assert story.runs.aliases()["challenger"] == summary["registered"]["version"]


@pytest.mark.long
def test_rules_that_fit_no_column_are_refused_before_training(story):
    summary, error = story.runs.run("gate.slices=['colur']")
    assert isinstance(error, SettingsError)
    assert "colour" in str(error)
    assert "train" not in {stage["name"] for stage in summary["stages"]}
    with pytest.raises(SettingsError, match="increase COLUMN"):
        load_spec(story.runs.folder / "spec.toml", ["gate.directions=['more age']"])


def test_the_summary_holds_what_it_says_it_holds(story, summary_schema):
    for run in (story.first, story.worse):
        summary_schema.validate(read_json(story.home.runs / run["run"] / "summary.json"))
