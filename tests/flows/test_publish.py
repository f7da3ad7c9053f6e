"""Publishing: a real registry, a real graph, a real fresh process that questions it."""

import json
import re
from dataclasses import replace

import pytest

from flows.errors import ArtifactRefused, PenstockError
from flows.promotions import log
from flows.publish import champion, find, publish
from flows.registry import addressed, resolve
from flows.stage import digest_of
from flows.verify import manifest_of
from models.examine import Examiner

WHOLE = {
    "MLmodel", "artifacts/graph.onnx", "artifacts/schema.json", "conda.yaml", "input_example.json",
    "python_env.yaml", "requirements.txt", "served.py", "serving_input_example.json",
}  # fmt: skip


@pytest.fixture
def in_service(desk):
    """Make sure of a champion; the home is shared by the tests of this file."""
    if champion(desk.home, desk.name) is None:
        desk.publish(desk.candidate("first", promote=True))
    return int(champion(desk.home, desk.name).version)


def test_a_promoted_model_is_a_tagged_version_behind_both_aliases(desk):
    made = desk.publish(desk.candidate("a", promote=True))
    version = desk.client.get_model_version(desk.name, str(made.version))
    assert (made.unchanged, made.moved) == (False, True)
    assert made.aliases == ("challenger", "champion")
    assert made.uri == f"models:/{desk.name}@champion"
    tags = version.tags
    assert (tags["penstock.key"], tags["penstock.run"]) == ("a" * 8, "run-a")
    assert tags["penstock.verdict"] == "promoted"
    assert tags["penstock.digest.data"] == "d" * 64
    assert json.loads(tags["penstock.manifest"]) == made.manifest
    assert set(made.manifest) == WHOLE
    said = tags["penstock.blessing.mechanical"]
    assert re.fullmatch(r"passed (\d+) of \1 checks in a fresh process", said)
    assert json.loads(tags["penstock.blessing.mechanical.figures"])["one_row_ms"] > 0
    assert tags["penstock.blessing.metric"] == "왜; because"
    assert version.description == "Promoted: it is good."
    assert not (desk.home.runs / "run-a" / "model").exists()
    assert list((desk.home.root / "locks").glob("publish-*")) == []


def test_the_model_s_page_is_ours_until_a_person_writes_on_it(desk, in_service):
    model = desk.client.get_registered_model(desk.name)
    assert model.description == "Predicts 나이."
    assert (model.tags["task"], model.tags["target"]) == ("binary", "나이")
    desk.publish(desk.candidate("i", note="Predicts 나이, newly."))
    assert desk.client.get_registered_model(desk.name).description == "Predicts 나이, newly."
    desk.client.update_registered_model(desk.name, description="Ask Kim.")
    made = desk.publish(desk.candidate("j"))
    assert desk.client.get_registered_model(desk.name).description == "Ask Kim."
    version = desk.client.get_model_version(desk.name, str(made.version))
    assert version.source == f"models:/{made.model_id}"
    assert next(iter(version.tags)) == "penstock.verdict"


def test_the_next_one_takes_over_and_previous_keeps_what_was_in_service(desk, in_service):
    made = desk.publish(desk.candidate("b", promote=True))
    assert desk.aliases() == {
        "challenger": made.version, "champion": made.version, "previous": in_service
    }  # fmt: skip


def test_the_same_key_again_makes_no_version_and_asks_nobody(desk, in_service):
    count = len(desk.versions())
    key = resolve(desk.home, desk.name).tags["penstock.key"]
    again = publish(desk.home, desk.candidate("c", key=key, promote=True), "", lambda: None)
    assert (again.unchanged, again.moved, again.version) == (True, False, in_service)
    assert len(desk.versions()) == count
    assert int(find(desk.home, desk.name, key).version) == in_service


def test_a_model_that_is_not_promoted_is_a_version_and_the_champion_stays(desk, in_service):
    made = desk.publish(desk.candidate("d"))
    assert made.version > in_service
    assert made.uri == f"models:/{desk.name}/{made.version}"
    assert desk.aliases()["champion"] == in_service
    assert desk.aliases()["challenger"] == made.version
    assert not made.moved


def test_a_model_with_other_answers_is_refused_and_nothing_is_registered(desk, graph):
    candidate = desk.candidate("e", name="other", promote=True)
    (candidate.folder / "graph.onnx").write_bytes(graph(0.03))
    with pytest.raises(ArtifactRefused) as caught:
        desk.publish(candidate)
    said = str(caught.value)
    assert said.startswith("a model is published only when it answers in a fresh process")
    assert "other did not, and nothing was registered" in said
    assert "answers as expected" in said
    assert "differs by" in said
    assert desk.versions("other") == []
    assert "other" not in [m.name for m in desk.client.search_registered_models()]
    assert list((desk.home.root / "locks").glob("publish-*")) == []


def test_a_graph_that_is_damaged_is_refused(desk):
    candidate = desk.candidate("f", name="damaged", promote=True)
    whole = (candidate.folder / "graph.onnx").read_bytes()
    (candidate.folder / "graph.onnx").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ArtifactRefused, match="nothing was registered"):
        desk.publish(candidate)
    assert desk.versions("damaged") == []


def test_a_process_that_dies_while_it_is_asked_is_a_refusal(desk, in_service):
    dead = Examiner()
    dead._child.kill()
    try:
        with pytest.raises(ArtifactRefused, match="the process that examines the model ended"):
            desk.publish(desk.candidate("g", promote=True), examiner=dead)
    finally:
        dead.close()
    assert desk.aliases()["champion"] == in_service


def test_publishing_leaves_the_process_s_own_mlflow_alone(desk, monkeypatch):
    import mlflow

    mlflow.set_tracking_uri("sqlite:////elsewhere.db")
    try:
        monkeypatch.setenv("MLFLOW_REGISTRY_URI", "sqlite:////registry.db")
        desk.publish(desk.candidate("h"))
        with addressed(desk.home):
            assert mlflow.get_tracking_uri() == desk.home.tracking_uri
        assert mlflow.get_tracking_uri() == "sqlite:////elsewhere.db"
        assert mlflow.get_registry_uri() == "sqlite:////registry.db"
    finally:
        mlflow.set_tracking_uri(None)


def test_no_champion_is_none_and_a_registry_that_is_away_is_an_error(desk, tmp_path):
    assert champion(desk.home, "nobody") is None
    (tmp_path / "none.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(Exception, match="not a database"):
        champion(replace(desk.home, tracking_uri=f"sqlite:///{tmp_path / 'none.db'}"), desk.name)


def test_a_champion_that_changed_since_the_comparison_keeps_the_candidate_a_challenger(
    own_desk,
):
    first = own_desk.publish(own_desk.candidate("1", promote=True, compared_with=None))
    assert (first.raced, first.champion) == (False, 1)
    second = own_desk.publish(own_desk.candidate("2", promote=True, compared_with=1, rule="better"))
    assert (second.moved, second.champion) == (True, 2)
    third = own_desk.publish(own_desk.candidate("3", promote=True, compared_with=1, rule="better"))
    assert (third.raced, third.moved, third.champion) == (True, False, 2)
    assert third.uri == f"models:/{own_desk.name}/3"
    version = own_desk.version(3)
    because = "it was compared with version 1, and version 2 is champion by now"
    assert version.tags["penstock.verdict"] == "kept"
    assert version.tags["penstock.reasons"] == because
    assert version.description == f"Kept: {because}. Run run-3."
    assert "penstock.blessing.metric" not in version.tags
    assert own_desk.aliases() == {"challenger": 3, "champion": 2, "previous": 1}
    moves = [(e.seq, e.before, e.to, e.rule, e.state) for e in log(own_desk.home, own_desk.name)]
    assert moves == [(1, None, 1, "first", "done"), (2, 1, 2, "better", "done")]


def test_whoever_lost_a_race_and_is_judged_again_gets_its_place_under_the_same_version(own_desk):
    own_desk.publish(own_desk.candidate("1", promote=True))
    loser = own_desk.candidate("2", promote=True, compared_with=None, because="+0.02 of 0.01")
    assert own_desk.publish(loser).raced
    again = own_desk.publish(replace(loser, compared_with=1, rule="no_worse"))
    assert (again.unchanged, again.moved, again.version, again.champion) == (True, True, 2, 2)
    tags = own_desk.version(2).tags
    assert (tags["penstock.verdict"], tags["penstock.reasons"]) == ("promoted", "왜; because")
    assert tags["penstock.blessing.metric"] == "+0.02 of 0.01"
    assert own_desk.version(2).description == "Promoted: it is good."
    last = log(own_desk.home, own_desk.name)[-1]
    assert (last.rule, last.run, last.because) == ("no_worse", "run-2", "+0.02 of 0.01")


def test_the_bundle_is_logged_with_the_run_and_its_digest_with_the_version(own_desk, tmp_path):
    bundle = tmp_path / "gate"
    bundle.mkdir()
    (bundle / "evidence.json").write_text("{}")
    made = own_desk.publish(own_desk.candidate("1", promote=True, evidence=bundle))
    tags = own_desk.version(made.version).tags
    assert tags["penstock.evidence"] == digest_of(manifest_of(bundle))
    run = tags["penstock.evidence.run"]
    assert [a.path for a in own_desk.client.list_artifacts(run, "gate")] == ["gate/evidence.json"]
    assert log(own_desk.home, own_desk.name)[-1].evidence == tags["penstock.evidence"]


def test_a_model_that_is_refused_after_it_was_logged_leaves_no_logged_model(own_desk):
    class Forgetful:
        """Answers for the copy on disk, and no more once the model is in the store."""

        def __init__(self, examiner):
            self.examiner, self.asked = examiner, []

        def ask(self, command):
            self.asked.append(command["model"])
            if command["model"].startswith("models:/"):
                return {"ok": False, "checks": [{"name": "load", "ok": False, "detail": "gone"}]}
            return self.examiner.ask(command)

    examiner, before = Forgetful(own_desk.examiner), len(own_desk.models())
    with pytest.raises(ArtifactRefused, match="load: gone"):
        own_desk.publish(own_desk.candidate("1", promote=True), examiner=examiner)
    assert len(own_desk.models()) == before
    model = examiner.asked[-1].removeprefix("models:/")
    assert not list(own_desk.home.artifacts.rglob(f"{model}*"))


def test_a_store_that_takes_nothing_is_said_with_the_reason(own_desk):
    candidate = own_desk.candidate("1", promote=True)
    own_desk.client.delete_experiment(own_desk.experiment)
    try:
        with pytest.raises(PenstockError, match="must take a model, but"):
            publish(own_desk.home, candidate, "no-such-run", lambda: own_desk.examiner)
    finally:
        own_desk.client.restore_experiment(own_desk.experiment)
    assert list((own_desk.home.root / "locks").glob("publish-*")) == []


def test_a_store_that_breaks_off_leaves_no_logged_model_and_no_version(own_desk, tmp_path):
    (tmp_path / "full").write_text("a file where the store's folder must be")
    place = (tmp_path / "full").as_uri()
    own_desk.experiment = own_desk.client.create_experiment("a full store", artifact_location=place)
    candidate = own_desk.candidate("1", promote=True)
    with pytest.raises(PenstockError, match=r"must take a model, but: .*full"):
        own_desk.publish(candidate)
    assert own_desk.models() == []
    assert own_desk.versions() == []
    assert list((own_desk.home.root / "locks").glob("publish-*")) == []
