"""What a killed process leaves half done is repaired or removed, said, and a living run left alone."""

import json
import os
import subprocess
import sys

import pytest

from flows import servers
from flows.champion import Move, entry_for
from flows.home import open_home
from flows.intent import intended, left_behind
from flows.promotions import log, write
from flows.reconcile import reconcile
from flows.registry import addressed, client
from flows.stale import HOST, PROCESS, owner
from flows.versions import KEY, METRIC, find, standing


@pytest.fixture
def dead(registry_home):
    """The tags of a process of this machine that is gone."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    born = servers.identity(process.pid)["born"]
    process.communicate(b"\n")
    tags = owner(registry_home)
    space = tags[PROCESS].rpartition(" ")[2]
    return {**tags, PROCESS: f"{process.pid} {born} {space}"}


def repaired(desk):
    said = []
    assert reconcile(desk.home, desk.name, said.append) == said
    assert reconcile(desk.home, desk.name) == []
    return said


def orphan(desk, run, key="k" * 8):
    """A logged model as a process leaves it that is killed before it makes a version."""
    made = desk.client.create_logged_model(
        desk.experiment, name="model", source_run_id=run, tags={KEY: key}
    )
    (desk.folder / "MLmodel").write_text("half")
    desk.client.log_model_artifact(made.model_id, str(desk.folder / "MLmodel"))
    return made.model_id


def registered(desk, source, run, tags=None, name=""):
    """A version as somebody makes it who does not look for others."""
    with addressed(desk.home):
        desk.client.create_model_version(name or desk.name, source, run_id=run, tags=tags)


def in_own_experiment(desk):
    """Runs of a name are in the experiment of that name."""
    place = (desk.home.artifacts / "own").as_uri()
    desk.experiment = desk.client.create_experiment(desk.name, artifact_location=place)
    return desk


def test_where_nothing_is_half_done_nothing_is_said_and_nothing_made(own_desk, tmp_path):
    assert reconcile(own_desk.home, "nobody") == []
    own_desk.publish(own_desk.candidate("1", promote=True))
    assert reconcile(own_desk.home, own_desk.name) == []
    (tmp_path / "new").mkdir()
    fresh = open_home(tmp_path / "new")
    assert reconcile(fresh, "nobody") == []
    assert not (fresh.root / "mlflow.db").exists()


def test_a_logged_model_of_a_dead_run_goes_with_its_files(own_desk, dead):
    desk = in_own_experiment(own_desk)
    run = desk.client.create_run(desk.experiment, tags={"penstock.run": "r", **dead}).info.run_id
    model = orphan(desk, run)
    assert list(desk.home.artifacts.rglob(f"{model}/**/MLmodel"))
    (said,) = repaired(desk)
    assert said.startswith(f"the logged model {model} had no version, and its process ")
    assert said.endswith("was gone: removed")
    assert desk.models() == []
    assert not list(desk.home.artifacts.rglob(model))


def test_what_a_living_run_is_at_is_left_alone(own_desk):
    desk = in_own_experiment(own_desk)
    mine = desk.client.create_run(desk.experiment, tags=owner(desk.home)).info.run_id
    elsewhere = {
        **owner(desk.home),
        HOST: "another",
        PROCESS: "1 1:1 another",
        "penstock.home": "x",
    }
    other = desk.client.create_run(desk.experiment, tags=elsewhere).info.run_id
    models = {orphan(desk, run) for run in (mine, other)}
    intent = intended(desk.home, name=desk.name, key="k" * 8, run="r", tracking_run=mine)
    with intent:
        assert reconcile(desk.home, desk.name) == []
        assert len(list(desk.home.locks.glob("publish-kkkkkkkk-*.json"))) == 1
    assert {made.model_id for made in desk.models()} == models
    desk.client.set_terminated(mine, "FAILED")
    (said,) = repaired(desk)
    assert said.endswith("its run has ended as failed: removed")


def test_what_a_person_logged_or_registered_is_left_alone(own_desk):
    desk = in_own_experiment(own_desk)
    run = desk.run()
    desk.client.create_logged_model(desk.experiment, name="model", source_run_id=run)
    ours = orphan(desk, run)
    desk.client.create_registered_model("a person's own " + desk.name)
    registered(desk, f"models:/{ours}", run, name="a person's own " + desk.name)
    desk.client.set_terminated(run)
    desk.client.create_registered_model(desk.name)
    assert reconcile(desk.home, desk.name) == []
    assert len(desk.models()) == 2
    assert desk.client.get_registered_model(desk.name)


def test_a_record_of_a_dead_process_goes_with_its_copy_of_the_model(own_desk, dead):
    facts = {"name": own_desk.name, "run": "run-x", "tracking_run": own_desk.run(), **dead}
    record = own_desk.home.locks / "publish-kkk-1.json"
    record.write_text(json.dumps(facts))
    copy = own_desk.home.runs / "run-x" / "model"
    copy.mkdir(parents=True)
    assert [intent.run for intent in left_behind(own_desk.home, own_desk.name)] == ["run-x"]
    assert left_behind(own_desk.home, "another") == []
    (said,) = repaired(own_desk)
    assert said.startswith(f"run run-x was publishing {own_desk.name!r}, and its process ")
    assert not record.exists()
    assert not copy.exists()


def test_a_registered_model_without_versions_goes_if_it_is_ours(own_desk):
    own_desk.client.create_registered_model(own_desk.name, tags={"penstock.run": "r"})
    (said,) = repaired(own_desk)
    assert said.endswith("had no version: removed")
    assert standing(own_desk.home, own_desk.name) is None


def test_a_model_whose_versions_a_person_deleted_keeps_its_log(own_desk):
    own_desk.publish(own_desk.candidate("1", promote=True))
    own_desk.client.delete_model_version(own_desk.name, "1")
    reconcile(own_desk.home, own_desk.name)
    assert [entry.to for entry in log(own_desk.home, own_desk.name)] == [1]


def test_the_higher_of_two_versions_of_one_key_goes(own_desk, examined):
    own_desk.copies(examined, 1)
    first = own_desk.version(1)
    for _ in range(2):
        registered(own_desk, first.source, first.run_id, first.tags)
    own_desk.client.set_registered_model_alias(own_desk.name, "somebody-s", "3")
    said = repaired(own_desk)
    assert len(said) == 2
    assert "version 2 was a twin of version 1: removed" in said[0]
    assert "version 3 is a twin of version 1: tagged so" in said[1]
    assert [int(v.version) for v in own_desk.versions()] == [3, 1]
    assert find(own_desk.home, own_desk.name, first.tags[KEY]).version == 1


def test_a_version_of_ours_without_its_digests_goes_unless_it_is_pointed_to(own_desk, examined):
    own_desk.copies(examined, 1)
    first = own_desk.version(1)
    for key in ("x", "y"):
        tags = {KEY: key * 8, "penstock.run": "r"}
        registered(own_desk, first.source, first.run_id, tags)
    registered(own_desk, first.source, first.run_id)
    own_desk.client.set_registered_model_alias(own_desk.name, "mine", "3")
    (said,) = repaired(own_desk)
    assert said == f"version 2 of {own_desk.name!r} was never completed: removed"
    assert [int(v.version) for v in own_desk.versions()] == [4, 3, 1]


def test_a_move_that_was_begun_is_finished(own_desk, examined):
    own_desk.copies(examined, 2)
    own_desk.point(champion=1, challenger=2)
    now = standing(own_desk.home, own_desk.name)
    entry = entry_for(now, Move(to=2, rule="better", previous=1))
    write(own_desk.client, own_desk.name, entry)
    (said,) = repaired(own_desk)
    assert said.endswith("version 2 as champion, was cut short: finished")
    assert own_desk.aliases() == {"challenger": 2, "champion": 2, "previous": 1}


@pytest.fixture
def cut_off(own_desk):
    """A version that earned its place against version 1, of a run that ended before it got it."""
    own_desk.publish(own_desk.candidate("1", promote=True))
    own_desk.publish(own_desk.candidate("2", promote=True, compared_with=1, rule="better"))
    own_desk.client.set_registered_model_alias(own_desk.name, "champion", "1")
    own_desk.client.delete_registered_model_alias(own_desk.name, "previous")
    own_desk.client.delete_registered_model_tag(own_desk.name, "penstock.log.000002")
    return own_desk


def test_a_version_that_earned_its_place_gets_it_once_its_run_is_known_to_be_gone(cut_off):
    assert reconcile(cut_off.home, cut_off.name) == []
    assert cut_off.aliases()["champion"] == 1
    cut_off.client.set_terminated(cut_off.version(2).run_id, "KILLED")
    (said,) = repaired(cut_off)
    assert said.endswith("had earned its place and was cut off: champion")
    assert cut_off.aliases() == {"challenger": 2, "champion": 2, "previous": 1}
    last = log(cut_off.home, cut_off.name)[-1]
    assert (last.seq, last.before, last.to, last.rule, last.state) == (2, 1, 2, "better", "done")


def test_it_does_not_get_it_when_another_is_champion_or_its_verdict_is_gone(cut_off):
    cut_off.client.set_terminated(cut_off.version(2).run_id, "KILLED")
    blessing = cut_off.version(2).tags[METRIC]
    cut_off.client.delete_model_version_tag(cut_off.name, "2", METRIC)
    assert reconcile(cut_off.home, cut_off.name) == []
    cut_off.client.set_model_version_tag(cut_off.name, "2", METRIC, blessing)
    cut_off.publish(cut_off.candidate("3", promote=True))
    assert reconcile(cut_off.home, cut_off.name) == []
    assert cut_off.aliases()["champion"] == 3


def test_intents_are_flushed_whole_and_gone_with_the_block(registry_home):
    with intended(registry_home, name="n", key="q" * 64, run="r", tracking_run="t"):
        (path,) = registry_home.locks.glob("publish-q*.json")
        facts = json.loads(path.read_text(encoding="utf-8"))
        assert (facts["name"], facts["run"], facts["tracking_run"]) == ("n", "r", "t")
        assert facts[PROCESS].startswith(f"{os.getpid()} ")
    assert not list(registry_home.locks.glob("*publish-q*"))
    assert client(registry_home).search_experiments(max_results=1)
