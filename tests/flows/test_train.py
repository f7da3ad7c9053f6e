"""Train and export as stages: files in, files out, one path from raw text to the answer."""

import json

import numpy as np
import pandas as pd
import pytest

from flows.errors import SettingsError, TrainingFailed
from flows.export import TOLERANCE
from flows.features_words import lines
from flows.spec import Spec
from flows.tables import read_parquet, write_parquet
from flows.train import export, train
from flows.training import graph_columns, ordered, parts_of, settings_of, training_table
from models import served
from models.agreement import compare
from models.fit import TrainSettings, train_population
from models.population import Member

ROWS = 150


def raw(rng, target):
    """A text table with Korean names, gaps, a date, and a class or a number to predict."""
    x = rng.normal(size=ROWS)
    city = rng.choice(["서울", "부산", ""], ROWS)
    y = x + (city == "서울")
    labels = np.where(y > np.median(y), "good", "bad") if target == "class" else y.round(4)
    frame = {
        "나이": np.where(rng.random(ROWS) < 0.1, "", x.round(3).astype(str)),
        "도시": city,
        "날짜": [f"2024-0{1 + i % 9}-1{i % 10}" for i in range(ROWS)],
        "y": labels.astype(str),
        "__source__": "a.csv",
    }
    return pd.DataFrame(frame).assign(__record__=np.arange(1, ROWS + 1), __given__=False)


def stage(tmp_path, *, target="class", folds=3, **sections):
    """Write what the stages before would have written; return spec, schema and paths."""
    rng = np.random.default_rng(0)
    table = raw(rng, target)
    kind = "category" if target == "class" else "number"
    schema = {
        "version": 1, "name": "t", "target": "y", "missing": [""], "contract_digest": "d",
        "task": "binary" if target == "class" else "regression",
        "columns": [
            {"name": "나이", "kind": "number"},
            {"name": "도시", "kind": "category"},
            {"name": "날짜", "kind": "date"},
        ],
        "target_column": {"name": "y", "kind": kind},
        "role_columns": [],
        "derived": [{"name": "날짜.month", "column": "날짜", "part": "month"}],
        "rules": [],
    }  # fmt: skip
    typed, _ = served.read(table, schema)
    typed["y"] = table["y"] if target == "class" else table["y"].astype(float)
    typed.insert(0, "__row__", np.arange(ROWS))
    fold = np.arange(ROWS) % 5
    side = np.where(fold == 4, "test", "train").astype(object)
    fold = np.where(fold == 4, -1, fold % folds)
    if folds == 1:
        side[np.arange(ROWS) % 5 == 0] = "validation"
        fold[:] = -1
    ledger = pd.DataFrame(
        {
            "row": np.arange(ROWS),
            "identity": [f"{i * 2654435761 % 2**64:016x}" for i in range(ROWS)],
            "side": side.astype(str),
            "fold": fold,
        }
    )
    write_parquet(table, tmp_path / "table.parquet")
    write_parquet(typed, tmp_path / "clean.parquet")
    write_parquet(ledger, tmp_path / "ledger.parquet")
    for name in ("train", "export"):
        (tmp_path / name).mkdir()
    small = {"members": 2, "epochs": 3, "width": 8, "batch": 32} | sections.pop("train", {})
    spec = Spec(name="t", data={"source": "a.csv", "target": "y"}, train=small, **sections)
    return spec, schema


def trained(tmp_path, *, say=None, **options):
    spec, schema = stage(tmp_path, **options)
    clean, ledger = tmp_path / "clean.parquet", tmp_path / "ledger.parquet"
    return spec, schema, train(spec, schema, clean, ledger, tmp_path / "train", say)


@pytest.mark.parametrize("target", ["class", "number"])
@pytest.mark.parametrize("folds", [1, 3])
def test_raw_rows_are_answered_as_training_says(tmp_path, target, folds):
    spec, schema, facts = trained(tmp_path, target=target, folds=folds)
    assert facts["members"] == 2 * folds
    told = export(spec, schema, tmp_path / "train", tmp_path / "table.parquet", tmp_path / "export")
    assert told["parity"]["max_difference"] <= TOLERANCE
    folder = tmp_path / "export" / "model"
    names = {"graph.onnx", "schema.json", "served.py", "input_example.json"}
    assert {path.name for path in folder.iterdir()} == names
    serving = json.loads((folder / "schema.json").read_text("utf-8"))
    assert serving["numbers"] == ["나이", "날짜.month"]
    assert serving["categories"] == ["도시"]
    questions = read_parquet(tmp_path / "export" / "questions.parquet")
    found = served.answer(served.open_session(str(folder / "graph.onnx")), questions, serving)
    wanted = read_parquet(tmp_path / "export" / "answers.parquet")
    compare(found, wanted, TOLERANCE, scale=max(1.0, float(len(found.columns) == 1)))
    assert "y" not in questions


def test_validation_rows_carry_probabilities_of_every_label(tmp_path):
    trained(tmp_path)
    frame = read_parquet(tmp_path / "train" / "validation.parquet")
    ledger = read_parquet(tmp_path / "ledger.parquet")
    assert list(frame.columns) == ["row", "probability_bad", "probability_good", "prediction"]
    assert frame["row"].tolist() == ledger.loc[ledger["side"] == "train", "row"].tolist()
    likely = np.where(frame["probability_good"] > frame["probability_bad"], "good", "bad")
    assert (frame["prediction"] == likely).all()


def test_the_fit_is_described_for_report_and_tracking(tmp_path):
    trained(tmp_path)
    told = json.loads((tmp_path / "train" / "fitted.json").read_text("utf-8"))
    assert told["settings"]["width"] == 8
    assert told["output"]["units"] == 2
    assert sum(layer["parameters"] for layer in told["layers"]) == told["parameters"]
    assert {"ensemble", "calibration", "decision", "inputs", "labels"} <= set(told)
    curves = json.loads((tmp_path / "train" / "curves.json").read_text("utf-8"))
    assert len(curves["members"]) == 6
    parts = [*curves["members"], *curves["rungs"]]
    assert sum(part["weight"] for part in parts) == pytest.approx(1)
    chosen = {each["name"] for each in told["ensemble"]["chosen"] if each["part"] == "rung"}
    assert chosen == {rung["name"] for rung in curves["rungs"]}


def test_a_model_without_networks_is_trained_and_exported(tmp_path):
    said = []
    spec, schema, facts = trained(
        tmp_path, say=said.append, train={"epochs": 1, "members": 1, "lr": 1e-6}
    )
    assert facts["chosen"] == 0
    assert facts["rungs"]
    assert any("rungs of the ladder answer too" in line for line in said)
    told = export(spec, schema, tmp_path / "train", tmp_path / "table.parquet", tmp_path / "export")
    assert told["parity"]["max_difference"] <= TOLERANCE
    assert (told["members"], told["rungs"]) == (0, facts["rungs"])
    described = json.loads((tmp_path / "train" / "fitted.json").read_text("utf-8"))
    assert described["ensemble"]["shares"] == {"networks": 0, "rungs": 1}
    assert described["layers"]  # of the networks that were trained, though they do not answer
    curves = json.loads((tmp_path / "train" / "curves.json").read_text("utf-8"))
    assert sum(rung["weight"] for rung in curves["rungs"]) == pytest.approx(1)
    frame = read_parquet(tmp_path / "train" / "validation.parquet")
    assert np.isfinite(frame["probability_good"]).all()


def test_asked_for_the_best_network_it_answers_and_a_better_rung_is_named(tmp_path):
    said = []
    small = {"epochs": 1, "lr": 1e-6, "ensemble": "best"}
    _, _, facts = trained(tmp_path, say=said.append, train=small)
    assert (facts["rungs"], facts["chosen"], facts["ensemble"]) == ([], 3, "best")
    assert any("is better than the best network by" in line for line in said)


def test_trials_of_a_sweep_may_answer_too(tmp_path):
    spec, schema = stage(tmp_path, train={"epochs": 1, "members": 1, "lr": 1e-6})
    clean, ledger = tmp_path / "clean.parquet", tmp_path / "ledger.parquet"
    table, _, _ = training_table(spec, schema, clean, ledger)
    settings = TrainSettings(task="binary", epochs=40, width=32, batch=32, lr=0.01)
    members = [Member(fold=f, seed=7, lr=0.01, trial=7) for f in range(3)]
    trials = train_population(table, settings, members=members, bins=5)
    facts = train(spec, schema, clean, ledger, tmp_path / "train", sweeps=[trials])
    curves = json.loads((tmp_path / "train" / "curves.json").read_text("utf-8"))
    assert [member["trial"] for member in curves["members"]] == [None] * 3 + [7] * 3
    assert sum(p["weight"] for p in curves["members"] + curves["rungs"]) == pytest.approx(1)
    assert facts["chosen"] == 3
    told = json.loads((tmp_path / "train" / "fitted.json").read_text("utf-8"))
    assert "mlp trial 7" in {each["name"] for each in told["ensemble"]["chosen"]}


def test_the_same_inputs_leave_the_same_files(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        spec, schema, _ = trained(tmp_path / name)
        place = tmp_path / name
        export(spec, schema, place / "train", place / "table.parquet", place / "export")
    for name in ("train/fitted.json", "train/members.safetensors", "export/model/graph.onnx"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_costs_that_name_no_label_are_a_settings_error(tmp_path):
    costs = {"costs": {"bad": {"goood": 5.0}, "good": {"bad": 1.0}}}
    with pytest.raises(SettingsError, match="did you mean 'good'"):
        trained(tmp_path, decision=costs)


def test_a_population_without_a_finite_loss_is_a_failed_training(tmp_path):
    with pytest.raises(TrainingFailed, match="finite loss"):
        trained(tmp_path, target="number", train={"lr": 1e30})


def test_outlier_rows_are_left_out_judged_and_told(tmp_path):
    spec, schema = stage(tmp_path, features={"drop_outliers": 8.0})
    clean, ledger = tmp_path / "clean.parquet", tmp_path / "ledger.parquet"
    rows = read_parquet(clean)
    rows.loc[[1, 2, 50, 54], "나이"] = 1e7  # of folds 1, 2 and 0, and of the test rows
    write_parquet(rows, clean)
    said = []
    facts = train(spec, schema, clean, ledger, tmp_path / "train", said.append)
    assert facts["outlier_rows"] == [2, 2, 2]
    assert "leaving out at most 2 outlier rows of a fold" in said
    told = json.loads((tmp_path / "train" / "fitted.json").read_text("utf-8"))
    found = told["features"]["outliers"]
    assert found == {
        "limit": 8.0, "train": [60, 90, 90], "left_out": [2, 2, 2], "columns": {"나이": 2},
        "more_columns": 0,
    }  # fmt: skip
    assert dict(lines(told["features"]))["Outlier rows by column, the most in a fold"] == "나이 2"
    judged = read_parquet(tmp_path / "train" / "validation.parquet")
    assert {1, 2, 50} < set(judged["row"])
    assert np.isfinite(judged["probability_good"]).all()


def test_too_many_outliers_are_a_settings_error(tmp_path):
    with pytest.raises(SettingsError, match=r"features\.drop_outliers = 0\.1 must leave a fold"):
        trained(tmp_path, features={"drop_outliers": 0.1})


def test_test_rows_never_enter_the_training_table(tmp_path):
    spec, schema, _ = trained(tmp_path)
    before = (tmp_path / "train" / "members.safetensors").read_bytes()
    ledger = read_parquet(tmp_path / "ledger.parquet")
    clean = read_parquet(tmp_path / "clean.parquet")
    test = (ledger["side"] == "test").to_numpy()
    clean.loc[test, "나이"] = 1e9
    clean.loc[test, "도시"] = "garbage"
    write_parquet(clean, tmp_path / "clean.parquet")
    train(
        spec, schema, tmp_path / "clean.parquet", tmp_path / "ledger.parquet", tmp_path / "export"
    )
    assert (tmp_path / "export" / "members.safetensors").read_bytes() == before


def test_rows_come_in_the_ledgers_order_as_the_reader_of_raw_rows_gives_them(tmp_path):
    spec, schema = stage(tmp_path)
    clean = read_parquet(tmp_path / "clean.parquet").sample(frac=1, random_state=0)
    write_parquet(clean, tmp_path / "clean.parquet")
    book = read_parquet(tmp_path / "ledger.parquet").sample(frac=1, random_state=1)
    write_parquet(book, tmp_path / "ledger.parquet")
    table, kept, _ = training_table(
        spec, schema, tmp_path / "clean.parquet", tmp_path / "ledger.parquet"
    )
    assert kept["row"].tolist() == book["row"][book["side"] == "train"].tolist()
    wanted = served.inputs(clean.set_index("__row__").loc[kept["row"]], graph_columns(schema))
    np.testing.assert_array_equal(table.numbers, wanted["numbers"])
    np.testing.assert_array_equal(np.asarray(table.categories), wanted["categories"])


def test_a_row_of_the_ledger_that_is_not_among_the_clean_ones_is_an_error(tmp_path):
    spec, schema = stage(tmp_path)
    clean = read_parquet(tmp_path / "clean.parquet").drop(index=[0])
    write_parquet(clean, tmp_path / "clean.parquet")
    with pytest.raises(KeyError):
        training_table(spec, schema, tmp_path / "clean.parquet", tmp_path / "ledger.parquet")


def test_classes_are_ordered_by_value_or_as_text():
    assert ordered(["10", "9", "-1"]) == ["-1", "9", "10"]
    assert ordered(["b", "10", "9"]) == ["10", "9", "b"]


def test_rows_of_one_identity_share_a_part():
    book = pd.DataFrame({"identity": ["00000000000000ff", "00000000000000fe", "00000000000000ff"]})
    found = parts_of(book)
    assert found[0] == found[2]
    assert parts_of(book.assign(group=["0" * 16] * 3)).tolist() == [0, 0, 0]


def test_what_the_settings_leave_out_is_the_networks_default():
    spec = Spec(name="t", data={"source": "a.csv", "target": "y"}, train={"width": 32})
    found = settings_of(spec, 3)
    assert (found.task, found.width, found.epochs) == ("multiclass", 32, "auto")
    assert settings_of(spec, 0).task == "regression"


def test_identifiers_and_ignored_columns_are_no_inputs():
    kinds = ["number", "integer", "boolean", "category", "date", "text", "ignored"]
    schema = {"columns": [{"name": kind, "kind": kind} for kind in kinds]}
    found = graph_columns(schema)
    assert found == {"numbers": ["number", "integer", "boolean"], "categories": ["category"]}
