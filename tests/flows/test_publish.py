"""Publishing: a real registry, a real graph, a real fresh process that questions it."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from flows.errors import ArtifactRefused
from flows.home import open_home, prepare_tracking
from flows.publish import Candidate, champion, find, publish
from flows.registry import addressed, client, resolve
from models import served
from models.examine import Examiner
from models.graph import DOUBLE, FLOAT, INT64, Graph

NAME = '신용\'s "모델"'
SCHEMA = {
    "version": 1, "name": NAME, "task": "binary", "target": "y", "missing": [""],
    "columns": [{"name": "나이", "kind": "number"}],
    "rules": [{"id": "나이.range", "column": "나이", "type": "range", "min": 0, "max": 200}],
    "classes": ["bad", "good"], "class_kind": "text", "numbers": ["나이"], "categories": [],
}  # fmt: skip


def graph(slope):
    """Probability of "good": a sigmoid of one number."""
    made = Graph()
    number = made.input("numbers", DOUBLE, ("N", 1))
    gap = made.add("Where", made.add("IsNaN", number), made.constant(50.0), number)
    share = made.add("Sigmoid", made.add("Mul", gap, made.constant(slope)))
    both = made.add("Concat", made.add("Sub", made.constant(1.0), share), share, axis=1)
    made.output("probabilities", made.add("Cast", both, to=FLOAT), FLOAT, ("N", 2))
    made.output("label", made.add("ArgMax", both, axis=1, keepdims=0), INT64, ("N",))
    return made.model().SerializeToString()


@pytest.fixture(scope="module")
def examiner():
    with Examiner() as one:
        yield one


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_TRACKING_URI", "PENSTOCK_HOME"):
            patch.delenv(name, raising=False)
        home = open_home(tmp_path_factory.mktemp("publish"))
    prepare_tracking(home)
    return home


class Desk:
    """Publishes models of one home."""

    def __init__(self, home, folder, examiner):
        self.home, self.folder, self.examiner = home, folder, examiner
        self.client = client(home)
        known = self.client.get_experiment_by_name("e")
        place = home.artifacts.as_uri()  # else it is the working directory's
        self.experiment = (
            known.experiment_id
            if known
            else self.client.create_experiment("e", artifact_location=place)
        )

    def candidate(self, mark, slope=0.02, **options):
        folder = self.folder / mark
        folder.mkdir()
        (folder / "graph.onnx").write_bytes(graph(slope))
        (folder / "schema.json").write_text(json.dumps(SCHEMA), encoding="utf-8")
        shutil.copyfile(served.__file__, folder / "served.py")
        rows = pd.DataFrame({"나이": [str(n) for n in np.arange(-30, 30) + 40]})
        (folder / "input_example.json").write_text(rows.head(2).to_json(orient="records"))
        rows.to_parquet(folder / "rows.parquet")
        answers = served.answer(served.open_session(graph(slope)), rows, SCHEMA)
        answers.to_parquet(folder / "expected.parquet")
        options = {
            "name": NAME, "key": mark * 8, "run": f"run-{mark}", "note": "Predicts 나이."
        } | options  # fmt: skip
        return Candidate(
            folder=folder,
            questions={
                "rows": str(folder / "rows.parquet"),
                "expected": str(folder / "expected.parquet"),
                "tolerance": 1e-5,
            },
            tags={"verdict": "promoted", "digest.data": "d" * 64, "reasons": "왜; because"},
            description="Promoted: it is good.",
            about={"task": "binary", "target": "나이"},
            **options,
        )

    def publish(self, candidate, examiner=None):
        run = self.client.create_run(self.experiment).info.run_id
        return publish(self.home, candidate, run, lambda: examiner or self.examiner)

    def aliases(self):
        return {k: int(v) for k, v in self.client.get_registered_model(NAME).aliases.items()}

    def versions(self, name=NAME):
        return [made for made in self.client.search_model_versions() if made.name == name]


@pytest.fixture
def desk(home, tmp_path, examiner):
    return Desk(home, tmp_path, examiner)


@pytest.fixture
def in_service(desk):
    """Make sure of a champion; the home is shared by the tests of this file."""
    if champion(desk.home, NAME) is None:
        desk.publish(desk.candidate("first", promote=True))
    return int(champion(desk.home, NAME).version)


def test_a_promoted_model_is_a_tagged_version_behind_both_aliases(desk):
    made = desk.publish(desk.candidate("a", promote=True))
    version = desk.client.get_model_version(NAME, str(made.version))
    assert (made.unchanged, made.moved) == (False, True)
    assert made.aliases == ("challenger", "champion")
    assert made.uri == f"models:/{NAME}@champion"
    tags = version.tags
    assert (tags["penstock.key"], tags["penstock.run"]) == ("a" * 8, "run-a")
    assert tags["penstock.verdict"] == "promoted"
    assert tags["penstock.digest.data"] == "d" * 64
    assert json.loads(tags["penstock.manifest"]) == made.manifest
    assert set(made.manifest) == {"graph.onnx", "schema.json", "served.py"}
    assert tags["penstock.blessing.mechanical"] == "passed 10 of 10 checks in a fresh process"
    assert version.description == "Promoted: it is good."
    assert not (desk.home.runs / "run-a" / "model").exists()
    assert list((desk.home.root / "locks").glob("publish-*")) == []


def test_the_model_s_page_is_ours_until_a_person_writes_on_it(desk, in_service):
    model = desk.client.get_registered_model(NAME)
    assert model.description == "Predicts 나이."
    assert (model.tags["task"], model.tags["target"]) == ("binary", "나이")
    desk.publish(desk.candidate("i", note="Predicts 나이, newly."))
    assert desk.client.get_registered_model(NAME).description == "Predicts 나이, newly."
    desk.client.update_registered_model(NAME, description="Ask Kim.")
    made = desk.publish(desk.candidate("j"))
    assert desk.client.get_registered_model(NAME).description == "Ask Kim."
    version = desk.client.get_model_version(NAME, str(made.version))
    assert version.source == f"models:/{made.model_id}"
    assert next(iter(version.tags)) == "penstock.verdict"


def test_the_next_one_takes_over_and_previous_keeps_what_was_in_service(desk, in_service):
    made = desk.publish(desk.candidate("b", promote=True))
    assert desk.aliases() == {
        "challenger": made.version, "champion": made.version, "previous": in_service
    }  # fmt: skip


def test_the_same_key_again_makes_no_version_and_asks_nobody(desk, in_service):
    count = len(desk.versions())
    key = resolve(desk.home, NAME).tags["penstock.key"]
    again = publish(desk.home, desk.candidate("c", key=key, promote=True), "", lambda: None)
    assert (again.unchanged, again.moved, again.version) == (True, False, in_service)
    assert len(desk.versions()) == count
    assert int(find(desk.home, NAME, key).version) == in_service


def test_a_model_that_is_not_promoted_is_a_version_and_the_champion_stays(desk, in_service):
    made = desk.publish(desk.candidate("d"))
    assert made.version > in_service
    assert made.uri == f"models:/{NAME}/{made.version}"
    assert desk.aliases()["champion"] == in_service
    assert desk.aliases()["challenger"] == made.version
    assert not made.moved


def test_a_model_with_other_answers_is_refused_and_nothing_is_registered(desk):
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
    from dataclasses import replace

    assert champion(desk.home, "nobody") is None
    (tmp_path / "none.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(Exception, match="not a database"):
        champion(replace(desk.home, tracking_uri=f"sqlite:///{tmp_path / 'none.db'}"), NAME)
