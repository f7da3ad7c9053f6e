"""Who may be compared with: each thing that stands against it is a doubt that names it."""

import os
import shutil

import numpy as np
import pandas as pd
import pytest
from duels import Arena, empty_database, table

from flows.bundle import seal_bundle, write_bundle
from flows.errors import Doubt, PenstockError
from flows.opponent import ask, meet
from flows.registry import addressed
from flows.versions import EVIDENCE, EVIDENCE_RUN
from models.examine import Examiner


@pytest.fixture(scope="module")
def examiner():
    with Examiner() as one:
        yield one


class Desk:
    """A registered champion, and today's run that wants to meet it."""

    def __init__(self, folder, examiner):
        self.arena = Arena(folder, examiner, database=empty_database(folder / "empty"))
        self.night = self.arena.night(table(), slope=3.0)
        self.version = self.arena.register(self.night)
        self.raw = pd.read_parquet(self.night.made["load"] / "table.parquet")
        self.serving = self.night.serving

    def meet(self, into, version=None, raw=None, **serving):
        return meet(
            self.arena.home,
            version or self.version,
            "champion",
            serving={**self.serving, **serving},
            raw=self.raw if raw is None else raw,
            into=into,
        )

    def doubt(self, into, *arguments, **options):
        with pytest.raises(Doubt) as caught:
            self.meet(into, *arguments, **options)
        return str(caught.value)

    def again(self, key, **options):
        """Register the night's model once more; return its version."""
        return self.arena.register(self.night, key * 64, **options)

    def files(self, version):
        """Where the store keeps the files of a version."""
        (model,) = self.arena.home.artifacts.rglob(version.source.removeprefix("models:/"))
        return model / "artifacts"


@pytest.fixture(scope="module")
def desk(tmp_path_factory, examiner):
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_TRACKING_URI", "PENSTOCK_HOME"):
            patch.delenv(name, raising=False)
        return Desk(tmp_path_factory.mktemp("opponent"), examiner)


def test_a_champion_brings_its_files_its_ledger_and_its_schema(desk, tmp_path):
    found = desk.meet(tmp_path)
    assert found.called == "the champion, version 1,"
    assert (found.folder / "MLmodel").is_file()
    assert found.book.rows.equals(desk.night.ledger)
    assert found.book.scheme["id"] == ["key"]
    assert found.book.schema["classes"] == ["no", "yes"]


def test_it_answers_every_row_in_order(desk, tmp_path):
    answers = ask(desk.meet(tmp_path), desk.raw, desk.serving, lambda: desk.arena.examiner)
    x = table()["x"].to_numpy()
    np.testing.assert_allclose(answers.said[:, 1], 1 / (1 + np.exp(-3 * x)), atol=1e-6)
    assert (answers.label == (x > 0)).all()
    assert not answers.refused.any()


def test_a_version_of_another_hand_is_a_doubt(desk, tmp_path):
    with addressed(desk.arena.home):
        foreign = desk.arena.client.create_model_version(
            "결투", source=desk.version.source, run_id=desk.version.run_id
        )
    said = desk.doubt(tmp_path, foreign)
    assert "was registered by something other than Penstock" in said
    assert "promote a version of Penstock's by hand" in said


def test_a_changed_file_is_a_doubt_that_names_it(desk, tmp_path):
    version = desk.again("c")
    path = desk.files(version) / "artifacts" / "graph.onnx"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    said = desk.doubt(tmp_path, version)
    assert f"the champion, version {version.version}, is not what was registered" in said
    assert "graph.onnx has other content" in said


def test_files_that_are_gone_are_a_doubt(desk, tmp_path):
    version = desk.again("d")
    shutil.rmtree(desk.files(version))
    said = desk.doubt(tmp_path, version)
    assert f"version {version.version}, " in said
    assert "gone (MLmodel, artifacts/graph.onnx" in said


@pytest.mark.parametrize("folder", ["ledger", "gate"])
def test_the_ledger_of_older_runs_and_of_a_bundle_is_found(desk, tmp_path, folder):
    version = desk.again({"ledger": "e", "gate": "f"}[folder], folder=folder)
    assert desk.meet(tmp_path, version).book.rows.equals(desk.night.ledger)


def test_a_ledger_that_is_gone_is_a_doubt(desk, tmp_path):
    said = desk.doubt(tmp_path, desk.again("1", folder=None))
    assert "the ledger of the champion" in said
    assert "the rows that it was made from are not known" in said


@pytest.fixture
def sealed(desk, tmp_path):
    """A version whose run holds a sealed bundle, and where the store keeps that."""
    version = desk.again(tmp_path.name[-1] + "2", folder=None)
    desk.night.assess()
    bundle, split = tmp_path / "gate", desk.night.made["split"]
    evidence = desk.night.made["assess"] / "evidence.json"
    rows = pd.DataFrame({"row": [0]})
    write_bundle(bundle, evidence=evidence, split=split, facts={"status": "none"}, rows=rows)
    client = desk.arena.client
    for name, text in ((EVIDENCE, seal_bundle(bundle)), (EVIDENCE_RUN, version.run_id)):
        client.set_model_version_tag(version.name, version.version, name, text)
    client.log_artifacts(version.run_id, str(bundle), "gate")
    (place,) = desk.arena.home.artifacts.rglob(f"{version.run_id}/artifacts/gate")
    return client.get_model_version(version.name, version.version), place


def test_a_sealed_ledger_is_taken_as_it_was_judged(desk, tmp_path, sealed):
    version, _ = sealed
    (into := tmp_path / "into").mkdir()
    assert desk.meet(into, version).book.rows.equals(desk.night.ledger)


@pytest.mark.parametrize("name", ["ledger.parquet", "split.json", "manifest.json"])
def test_a_ledger_that_somebody_changed_is_a_doubt(desk, tmp_path, sealed, name):
    version, place = sealed
    (into := tmp_path / "into").mkdir()
    if name == "ledger.parquet":
        ledger = desk.night.ledger.assign(side="test")  # as if it had trained on nothing
        ledger.to_parquet(place / name)
    else:
        (place / name).write_text((place / name).read_text("utf-8") + " ", encoding="utf-8")
    said = desk.doubt(into, version)
    assert "the ledger of the champion" in said
    assert f"{name} of the bundle must" in said


def test_another_target_is_a_doubt(desk, tmp_path):
    said = desk.doubt(tmp_path, target="risk")
    assert "predicts grade and the new model risk: they answer different questions" in said


def test_another_task_is_a_doubt(desk, tmp_path):
    said = desk.doubt(tmp_path, task="multiclass")
    assert "is for the task binary and the new model multiclass" in said


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        (
            ["no", "maybe"],
            "only the champion, version 1, knows yes; only the new model knows maybe",
        ),
        (["no", "yes", "<b>"], "only the new model knows <b>"),
        (["no"], "only the champion, version 1, knows yes"),
    ],
)
def test_other_classes_are_a_doubt_that_names_them(desk, tmp_path, classes, said):
    assert said in desk.doubt(tmp_path, classes=classes)


def test_the_same_classes_in_another_order_are_matched_by_label(desk, tmp_path):
    serving = {**desk.serving, "classes": ["yes", "no"]}
    found = desk.meet(tmp_path, classes=["yes", "no"])
    answers = ask(found, desk.raw, serving, lambda: desk.arena.examiner)
    x = table()["x"].to_numpy()
    np.testing.assert_allclose(answers.said[:, 0], 1 / (1 + np.exp(-3 * x)), atol=1e-6)
    assert (answers.label == (x < 0)).all()


def test_a_column_that_is_gone_is_a_doubt_that_names_it(desk, tmp_path):
    said = desk.doubt(tmp_path, raw=desk.raw.drop(columns=["x", "noise"]))
    assert "needs x, noise, which the table no longer has" in said


def test_columns_that_are_new_or_in_another_order_are_no_matter(desk, tmp_path):
    raw = desk.raw[list(desk.raw.columns)[::-1]].assign(extra="?")
    answers = ask(desk.meet(tmp_path, raw=raw), raw, desk.serving, lambda: desk.arena.examiner)
    assert (answers.label == (table()["x"] > 0)).all()


def test_it_does_not_see_the_target(desk, tmp_path):
    found = desk.meet(tmp_path)
    one = ask(found, desk.raw.assign(grade="?"), desk.serving, lambda: desk.arena.examiner)
    assert not one.refused.any()


def test_a_process_that_dies_is_a_doubt(desk, tmp_path):
    dead = Examiner()
    dead._child.kill()
    try:
        with pytest.raises(Doubt, match="cannot be loaded, so there is nothing to compare with"):
            ask(desk.meet(tmp_path), desk.raw, desk.serving, lambda: dead)
    finally:
        dead.close()


@pytest.fixture
def strict(desk):
    """Let today's model meet a champion that takes rows only up to a bound of `x`."""
    frame = table(1500)

    def met(key, refused):
        today = desk.arena.night(frame, 'gate.against_champion="better"')
        tested = frame["x"].to_numpy()[today.ledger["row"][today.ledger["side"] == "test"]]
        bound = float(np.sort(tested)[-refused - 1])
        rule = {"id": "x.range", "column": "x", "type": "range", "min": None, "max": bound}
        rule |= {"strict_min": False, "strict_max": False, "severity": "critical"}
        night = desk.arena.night(frame, slope=3.0, schema={"rules": [rule]})
        version = desk.arena.register(night, key * 64)
        desk.arena.client.set_registered_model_alias("결투", "champion", version.version)
        facts, lines = desk.arena.meet(today, key=f"{key}0" * 32)
        return facts, lines, frame["x"].to_numpy()[lines["row"]] > bound

    yield met
    desk.arena.client.set_registered_model_alias("결투", "champion", "1")


def test_a_few_rows_that_it_refuses_are_left_out_and_counted(strict):
    facts, lines, refused = strict("7", 2)
    assert facts["status"] == "compared", facts["reason"]
    assert facts["counts"]["champion_refused"] == refused.sum() == 2
    assert facts["counts"]["referee"] == len(lines) - 2
    assert (lines["referee"] == ~refused).all()
    assert (lines["champion.p1"].isna() == refused).all()
    assert (lines["champion.label"][refused] == -1).all()


def test_many_rows_that_it_refuses_are_a_doubt_that_names_the_rule(strict):
    facts, lines, _ = strict("8", 30)
    assert facts["status"] == "doubt"
    assert f"refuses 30 of {len(lines)} referee rows by its own rules" in facts["reason"]
    assert "(x.range), more than 1%" in facts["reason"]


def test_a_store_that_is_away_is_an_error_and_no_doubt(desk, tmp_path, monkeypatch):
    from dataclasses import replace

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    home = replace(desk.arena.home, tracking_uri="http://127.0.0.1:9")
    with pytest.raises(PenstockError, match=r"MLflow at http://127\.0\.0\.1:9 must") as caught:
        meet(home, desk.version, "champion", serving=desk.serving, raw=desk.raw, into=tmp_path)
    assert not isinstance(caught.value, Doubt)
    assert "MLFLOW_TRACKING_URI" not in os.environ
