"""Slices, rates, coverage, disturbances and directions of a real exported graph."""

from __future__ import annotations

import json

import numpy as np
import pytest
from linear_world import ROWS, World

from expectations.slices import members
from flows.errors import SettingsError
from flows.settings import load_spec
from flows.slice_columns import fairness_levels, known_answers, known_columns, slice_frame
from flows.spec import Spec
from flows.tables import read_parquet, write_parquet


def with_sex(world: World) -> None:
    """Add a column that the model does not get, as text of the raw table."""
    table = read_parquet(world.folder / "table.parquet")
    table["성별"] = np.where(np.arange(ROWS) % 3 > 0, "여", " 남 ")
    table.loc[::60, "성별"] = ""
    write_parquet(table, world.folder / "table.parquet")


DROPPED = {"source": "x.csv", "target": "y", "drop": ["성별"]}


def test_declared_slices_have_rows_and_values_on_both_sides(tmp_path):
    world = World(tmp_path, "binary")
    evidence = world.assess(gate={"slices": ["noise", ["noise", "폭"]], "min_support": 10})
    slices = evidence["slices"]
    told = {entry["name"]: entry for entry in slices["found"]}
    columns = {d["name"]: {c["column"] for c in d["conditions"]} for d in slices["definitions"]}
    single = [name for name, found in columns.items() if found == {"noise"}]
    assert len(single) == 4
    for side in ("validation", "test"):
        assert sum(told[name][side]["rows"] for name in single) == evidence["rows"][side]
    assert sum(found == {"noise", "폭"} for found in columns.values()) >= 8
    value = evidence["metrics"]["test"]["roc_auc"]["value"]
    whole = slices["whole"]["test"]["value"]
    assert whole == pytest.approx(value)
    for entry in told.values():
        if entry["harm"] is not None:
            assert entry["harm"] == pytest.approx(whole - entry["test"]["value"])
    supported = [e["harm"] for e in slices["found"] if e["test"]["rows"] >= 10]
    assert supported == sorted(supported, reverse=True)


def test_a_region_that_validation_got_wrong_is_found_and_no_test_row_decides_it(tmp_path):
    world = World(tmp_path, "binary")
    path = tmp_path / "train" / "validation.parquet"
    said = read_parquet(path)
    bad = world.frame["폭"].to_numpy()[said["row"]] > 0.6
    truth = (world.frame["y"] == "yes").to_numpy()[said["row"]]
    said.loc[bad, "probability_yes"] = np.where(truth[bad], 0.05, 0.95)
    said["probability_no"] = 1 - said["probability_yes"]
    write_parquet(said, path)
    found = world.assess(gate={"min_support": 30})["slices"]["definitions"]
    assert found[0]["found"] == "automatic"
    (condition,) = found[0]["conditions"]
    assert (condition["column"], condition["high"]) == ("폭", None)
    none = World(tmp_path / "plain", "binary").assess(gate={"find_slices": False})
    assert none["slices"]["definitions"] == []
    uncut = World(tmp_path / "uncut", "binary").assess(
        gate={"slices": ["폭", ["폭", "noise"]], "min_support": 100}
    )
    assert uncut["slices"]["uncut"] == ["폭 and noise"]


def test_a_column_that_the_model_does_not_get_can_be_asked(tmp_path):
    world = World(tmp_path, "binary")
    with_sex(world)
    evidence = world.assess(
        data=DROPPED, gate={"slices": ["성별"], "fairness": ["성별", "폭"], "min_support": 10}
    )
    names = [d["name"] for d in evidence["slices"]["definitions"] if d["found"] == "declared"]
    assert names == ["성별 = 여", "성별 = 남", "성별 is missing"]
    sex, width = evidence["fairness"]
    assert [level["level"] for level in sex["levels"]] == ["여", "남"]
    assert sex["note"].startswith("too small to be told, under 10 rows: missing")
    assert len(width["levels"]) == 4
    assert all("폭" in level["level"] for level in width["levels"])


def test_the_referees_rows_are_cut_as_the_evidence_was(tmp_path):
    world = World(tmp_path, "binary")
    with_sex(world)
    gate = {"slices": ["성별", "noise"], "fairness": ["성별", "폭"], "min_support": 10}
    evidence = json.loads(json.dumps(world.assess(data=DROPPED, gate=gate)))
    spec = Spec.model_validate({"name": "n", "task": "binary", "data": DROPPED, "gate": gate})
    ledger = read_parquet(tmp_path / "ledger.parquet")
    rows = ledger["row"][ledger["side"] == "test"].to_numpy()[::-1]
    places = (tmp_path / "clean.parquet", tmp_path / "table.parquet")
    frame = slice_frame(spec, world.schema, *places, rows)
    masks = members(evidence["slices"]["definitions"], frame)
    for entry in evidence["slices"]["found"]:
        assert masks[entry["name"]].sum() == entry["test"]["rows"]
    levels = fairness_levels(spec, evidence, frame)
    for column in evidence["fairness"]:
        for level in column["levels"]:
            assert (levels[column["column"]] == level["level"]).sum() == level["rows"]


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_coverage_robustness_and_directions_of_every_task(tmp_path, task):
    what = {"binary": "y", "multiclass": "c", "regression": "y"}[task]
    texts = [f"increase 길이 -> not lower {what}", f"increase 길이 -> not higher {what}"]
    world = World(tmp_path, task)
    evidence = world.assess(gate={"conformal": 0.8, "directions": texts, "min_support": 30})
    covered = evidence["conformal"]["test"]["coverage"]
    assert covered["low"] < 0.8 < covered["high"]
    robustness = evidence["robustness"]
    assert robustness["unseen"] is None
    assert 0.5 < robustness["missing"]["share"] < robustness["noise"]["share"] <= 1
    rising, falling = evidence["direction_tests"]
    assert (rising["holds"], falling["holds"]) == (True, False)
    assert rising["rows"] == int((~(np.arange(ROWS) % 50 == 0))[_test_rows(tmp_path)].sum())
    assert evidence["directions"]["rmse" if task == "regression" else "log_loss"] == "min"


def _test_rows(folder):
    ledger = read_parquet(folder / "ledger.parquet")
    return ledger["row"][ledger["side"] == "test"].to_numpy()


def test_what_the_contract_refuses_is_not_disturbed(tmp_path):
    world = World(tmp_path, "binary")
    path = tmp_path / "export" / "model" / "schema.json"
    rule = {"id": "폭.present", "column": "폭", "type": "present", "severity": "critical"}
    world.serve(json.loads(path.read_text("utf-8")) | {"rules": [rule]})
    robustness = world.assess()["robustness"]
    assert (robustness["missing"]["columns"], robustness["missing"]["skipped"]) == (2, ["폭"])
    assert robustness["noise"]["columns"] == 3


SCHEMA = {
    "target": "risk",
    "columns": [
        {"name": "age", "kind": "integer"},
        {"name": "purpose", "kind": "category"},
        {"name": "owner", "kind": "boolean"},
        {"name": "since", "kind": "date"},
    ],
    "derived": [{"name": "since.year", "column": "since", "part": "year"}],
    "dropped": {"cabin": "every cell is missing"},
}


def asked(**gate):
    data = {"source": "x.csv", "target": "risk", "drop": ["sex"], "id": "no"}
    return Spec.model_validate({"name": "n", "task": "binary", "data": data, "gate": gate})


@pytest.mark.parametrize(
    ("gate", "said"),
    [
        ({"slices": ["purpos"]}, r"gate\.slices: .* found 'purpos'; the nearest is 'purpose'"),
        ({"slices": [["age", "sxe"]]}, r"gate\.slices: .* the nearest is 'sex'"),
        ({"fairness": ["cabin"]}, r"gate\.fairness: 'cabin' .*: every cell is missing"),
        ({"fairness": ["risk"]}, r"gate\.fairness: 'risk' is the target"),
        ({"fairness": ["no"]}, r"gate\.fairness: must name columns among age, purpose"),
        (
            {"directions": ["increase purpose -> not lower risk"]},
            r"gate\.directions: 'purpose' is a category column; only numbers and flags can be moved",
        ),
        ({"directions": ["increase agee -> not lower risk"]}, r"the nearest is 'age'"),
    ],
)
def test_a_column_that_cannot_be_asked_is_refused(gate, said):
    with pytest.raises(SettingsError, match=said):
        known_columns(asked(**gate), SCHEMA)


def test_columns_that_can_be_asked_are_let_be():
    gate = {
        "slices": ["age", ["sex", "since.year"], "since", "code"],
        "fairness": ["sex", "owner"],
        "directions": ["increase owner -> not lower risk", "decrease since.year -> not higher x"],
    }
    known_columns(asked(**gate), SCHEMA, ignored=["code"])
    with pytest.raises(SettingsError, match="found 'code'"):
        known_columns(asked(**gate), SCHEMA)


def test_a_direction_about_nothing_that_is_said_is_refused():
    spec = asked(directions=["increase age -> not lower goood"])
    with pytest.raises(SettingsError, match=r"gate\.directions: .* the nearest is 'good'"):
        known_answers(spec, SCHEMA, {"good": 3, "bad": 2})
    known_answers(asked(directions=["increase age -> not lower bad"]), SCHEMA, ["good", "bad"])


def test_a_run_is_refused_before_training(tmp_path):
    from flows.home import open_home
    from flows.maker import Maker
    from flows.progress import Progress

    rng = np.random.default_rng(0)
    lines = [
        f"{v:.3f},{'a' if v > 0 else 'b'},{'yes' if v > 0.1 else 'no'}"
        for v in rng.normal(size=200)
    ]
    (tmp_path / "t.csv").write_text("\n".join(["size,kind,y", *lines]) + "\n", encoding="utf-8")
    text = 'name = "d"\n[data]\nsource = "t.csv"\ntarget = "y"\n[gate]\n'

    def make(gate: str) -> None:
        (tmp_path / "s.toml").write_text(text + gate, encoding="utf-8")
        maker = Maker(load_spec(tmp_path / "s.toml"), open_home(tmp_path), Progress(quiet=True))
        for stage in ("load", "analyze", "contract", "engineer", "validate", "split"):
            maker.make(stage)

    with pytest.raises(SettingsError, match="the nearest is 'kind'"):
        make('slices = ["kinds"]\n')
    with pytest.raises(SettingsError, match="the nearest is 'yes'"):
        make('directions = ["increase size -> not lower yess"]\n')
    contract = tmp_path / "s.contract.toml"
    ignored = contract.read_text("utf-8").replace(
        'columns."kind"]\nrole = "feature"', 'columns."kind"]\nrole = "ignored"'
    )
    assert ignored != contract.read_text("utf-8")
    contract.write_text(ignored, encoding="utf-8")
    make('slices = ["kind"]\ndirections = ["increase size -> not lower yes"]\n')
