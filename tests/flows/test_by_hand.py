"""What a person does: rollback with its hold, release, and promotion against the verdict."""

import json
import threading
from pathlib import Path

import pytest

from flows.by_hand import promote, release, rollback
from flows.errors import ArtifactRefused, PenstockError
from flows.promotions import anchor, log
from flows.registry import addressed
from flows.versions import HOLD, MECHANICAL, METRIC


@pytest.fixture
def desk(own_desk):
    """Two versions that answer differently, the second in service."""
    own_desk.publish(own_desk.candidate("1", promote=True))
    own_desk.second = own_desk.candidate("2", slope=0.03, promote=True, compared_with=1)
    own_desk.publish(own_desk.second)
    return own_desk


def spoil(desk, version):
    uri = desk.client.get_model_version_download_uri(desk.name, str(version))
    with Path(uri.removeprefix("file://"), "artifacts", "graph.onnx").open("ab") as stream:
        stream.write(b"\0")


def test_a_rollback_puts_previous_in_service_and_says_what_is_held(desk):
    moved = rollback(desk.home, desk.name, "answers nonsense")
    assert (moved.version, moved.before) == (1, 2)
    held = f"version 2 is held until `penstock release '{desk.name}/2'`"
    assert moved.sentence == f"{desk.name}: version 1 is champion again; {held}"
    assert desk.aliases() == {"challenger": 2, "champion": 1}
    last = log(desk.home, desk.name)[-1]
    assert (last.seq, last.before, last.to, last.rule) == (3, 2, 1, "rollback")
    assert (last.state, last.because) == ("done", "answers nonsense")
    assert json.loads(desk.version(2).tags[HOLD])["because"] == "answers nonsense"


@pytest.mark.slow
def test_what_was_rolled_back_is_not_promoted_again_before_it_is_released(desk):
    rollback(desk.home, desk.name)
    again = desk.publish(desk.second)
    assert not again.moved
    assert again.held.startswith("it was rolled back and is held; `penstock release")
    assert (again.champion, desk.version(2).tags["penstock.verdict"]) == (1, "kept")
    release(desk.home, f"{desk.name}/2")
    assert HOLD not in desk.version(2).tags
    assert desk.publish(desk.second).moved
    assert desk.aliases()["champion"] == 2
    with pytest.raises(PenstockError, match="must be held to be released; held: none"):
        release(desk.home, f"{desk.name}/2")


@pytest.mark.slow
def test_a_second_rollback_goes_one_further_or_says_that_it_cannot(desk):
    desk.publish(desk.candidate("3", promote=True, compared_with=2))
    assert rollback(desk.home, desk.name).version == 2
    assert desk.aliases()["previous"] == 1
    assert rollback(desk.home, desk.name).version == 1
    with pytest.raises(
        PenstockError, match=r"needs a version behind .*@previous, and there is none"
    ):
        rollback(desk.home, desk.name)
    with pytest.raises(PenstockError, match="must be NAME"):
        rollback(desk.home, "nobody")


def test_a_previous_that_was_changed_on_disk_is_not_put_in_service(desk):
    spoil(desk, 1)
    with pytest.raises(ArtifactRefused, match=r"artifacts/graph.onnx has other content"):
        rollback(desk.home, desk.name)
    assert desk.aliases()["champion"] == 2
    assert len(log(desk.home, desk.name)) == 2
    assert HOLD not in desk.version(2).tags


@pytest.mark.slow
def test_a_rollback_works_when_the_champion_was_deleted(desk):
    desk.client.delete_model_version(desk.name, "2")
    assert rollback(desk.home, desk.name).before is None
    assert desk.aliases() == {"champion": 1}


def test_a_person_promotes_against_the_verdict_and_the_log_says_so(desk):
    rejected = desk.candidate("3", promote=False)
    desk.publish(rejected)
    moved = promote(desk.home, f"{desk.name}@challenger", "the auditor asked for it")
    assert (moved.version, moved.before) == (3, 2)
    assert desk.aliases() == {"challenger": 3, "champion": 3, "previous": 2}
    last = log(desk.home, desk.name)[-1]
    assert (last.rule, last.because, last.state) == ("by hand", "the auditor asked for it", "done")
    assert desk.version(3).tags[METRIC] == "by hand: the auditor asked for it"
    assert int(anchor(desk.home, desk.name).version) == 3
    with pytest.raises(PenstockError, match="version 3 is champion already"):
        promote(desk.home, f"{desk.name}/3", "again")


def test_an_override_needs_a_reason_an_examined_version_and_its_files(desk):
    desk.publish(desk.candidate("3", promote=False))
    with pytest.raises(PenstockError, match="must say why"):
        promote(desk.home, f"{desk.name}/3", "  ")
    with pytest.raises(PenstockError, match="must be NAME"):
        promote(desk.home, f"{desk.name}/99", "why")
    spoil(desk, 3)
    with pytest.raises(ArtifactRefused, match="has other content"):
        promote(desk.home, f"{desk.name}/3", "why")
    desk.client.delete_model_version_tag(desk.name, "3", MECHANICAL)
    with pytest.raises(ArtifactRefused, match="must have answered in a fresh process"):
        promote(desk.home, f"{desk.name}/3", "why")
    assert desk.aliases()["champion"] == 2


@pytest.mark.slow
def test_a_person_s_promotion_ends_a_hold(desk):
    rollback(desk.home, desk.name)
    promote(desk.home, f"{desk.name}/2", "it was the network")
    assert desk.aliases() == {"challenger": 2, "champion": 2, "previous": 1}
    assert HOLD not in desk.version(2).tags


def test_a_consumer_that_polls_the_champion_sees_no_failed_prediction(desk):
    import mlflow
    import pandas as pd

    rows, answers, stop = pd.DataFrame({"나이": ["30", "60"]}), [], threading.Event()

    def poll():
        while not stop.is_set():
            try:
                model = mlflow.pyfunc.load_model(f"models:/{desk.name}@champion")
                answers.append(round(float(model.predict(rows)["probability_good"][1]), 6))
            except Exception as error:  # noqa: BLE001 - any failure is what the test is about
                answers.append(repr(error))

    with addressed(desk.home):
        consumer = threading.Thread(target=poll)
        consumer.start()
        try:
            rollback(desk.home, desk.name)
            promote(desk.home, f"{desk.name}/2", "back and forth")
        finally:
            stop.set()
            consumer.join()
    assert set(answers) == {0.768525, 0.858149}
