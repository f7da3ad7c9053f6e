"""From raw cells to the typed table, and the reading schema that makes it."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from expectations.contract import Contract
from flows.engineer import engineer, reading_schema
from flows.errors import DataRefused
from flows.spec import Spec
from flows.tables import read_parquet, write_parquet

RAW = {
    "id": ["001", "002", "003", "004", "005"],
    "age": ["41", "?", "x", "5", "7"],
    "도시": [" 서울", "부산", "", "서울", "1.0"],
    "seen": ["29.02.2020", "", "01.03.2020", "x", "02.03.2020"],
    "weight": ["1", "2,5", "0", "1", "1"],
    "risk": ["good", "bad", "", "good.", "bad"],
}


def spec(**data):
    given = {"source": "x.csv", "target": "risk", "id": ["id"], "weight": "weight", **data}
    return Spec.model_validate({"name": "credit", "data": given})


def contract(**columns):
    listed = {
        "id": {"role": "id", "kind": "text"},
        "age": {"kind": "integer", "missing": ["?"], "min": 0, "max": 120},
        "도시": {"kind": "category"},
        "seen": {"kind": "date", "format": "%d.%m.%Y"},
        "weight": {"role": "weight", "kind": "number", "decimal": ","},
        "risk": {"role": "target", "kind": "category", "replace": {"good.": "good"}},
        **columns,
    }
    return Contract.model_validate({"columns": listed})


def run(tmp_path, raw=RAW, spec=spec, contract=contract):
    table = pd.DataFrame(raw).assign(__source__="x.csv", __record__=range(1, 6), __given__=False)
    write_parquet(table, tmp_path / "table.parquet")
    schema = json.loads(json.dumps(reading_schema(spec(), contract())))
    facts = engineer(spec(), schema, tmp_path / "table.parquet", tmp_path)
    return (
        facts,
        read_parquet(tmp_path / "typed.parquet"),
        read_parquet(tmp_path / "untypable.parquet"),
    )


def test_the_reading_schema_lists_features_in_order_with_what_differs_from_the_default():
    schema = reading_schema(
        spec(missing=["", "NA"], columns={"age": {"missing": ["-"]}}), contract()
    )
    assert [entry["name"] for entry in schema["columns"]] == ["age", "도시", "seen"]
    age = {
        "name": "age",
        "kind": "integer",
        "required": True,
        "missing": ["?", "-"],
        "decimal": ".",
    }
    assert schema["columns"][0] == age
    assert schema["columns"][2]["format"] == "%d.%m.%Y"
    assert schema["missing"] == ["", "NA"]
    assert schema["target_column"]["kind"] == "category"
    assert [entry["role"] for entry in schema["role_columns"]] == ["id", "weight"]
    assert {rule["id"] for rule in schema["rules"]} == {"age.range"}
    assert schema["contract_digest"] == contract().digest()


@pytest.mark.parametrize(
    ("task", "kind", "expected"),
    [(None, "category", ("category", None)), (None, "number", ("number", "regression")),
     (None, "boolean", ("category", None)), ("binary", "integer", ("category", "binary")),
     ("regression", "integer", ("number", "regression"))],
)  # fmt: skip
def test_the_task_decides_how_the_target_is_read(task, kind, expected):
    given = Spec.model_validate({**spec().model_dump(exclude={"path"}), "task": task})
    schema = reading_schema(given, contract(risk={"role": "target", "kind": kind}))
    assert (schema["target_column"]["kind"], schema["task"]) == expected


def test_derived_names_never_meet_a_column_and_hours_need_a_clock():
    columns = {"seen.year": {"kind": "number"}, "at": {"kind": "date"}}
    names = [part["name"] for part in reading_schema(spec(), contract(**columns))["derived"]]
    assert "seen.year_" in names
    assert "seen.hour" not in names
    assert "at.hour" in names


def test_dates_go_round_where_that_is_asked_for():
    from models.served import CIRCLES

    given = Spec.model_validate(
        {**spec().model_dump(exclude={"path"}), "features": {"dates": "cyclic"}}
    )
    parts = reading_schema(given, contract(at={"kind": "date"}))["derived"]
    assert {part["part"] for part in parts if part["column"] == "at"} >= set(CIRCLES)
    plain = {part["part"] for part in parts if part["column"] == "seen"}  # it has no clock
    assert plain & set(CIRCLES) == {"year_sin", "year_cos", "week_sin", "week_cos"}


def test_the_typed_table_has_positions_features_parts_target_and_roles(tmp_path):
    facts, typed, _ = run(tmp_path)
    assert list(typed)[:7] == [
        "__row__",
        "__source__",
        "__record__",
        "__given__",
        "age",
        "도시",
        "seen",
    ]
    assert typed["__row__"].tolist() == [0, 1, 2, 3, 4]
    assert typed["id"].tolist() == ["001", "002", "003", "004", "005"]
    assert typed["도시"].fillna("-").tolist() == ["서울", "부산", "-", "서울", "1"]
    assert typed["weight"].tolist() == [1.0, 2.5, 0.0, 1.0, 1.0]
    assert typed["risk"].fillna("-").tolist() == ["good", "bad", "-", "good", "bad"]
    assert typed["seen.days"].isna().tolist() == [False, True, False, True, False]
    assert facts["task"] == "binary"
    assert facts["classes"] == {"bad": 2, "good": 2}
    assert facts["class_kind"] == "text"
    assert facts["missing"] == {"age": 2, "도시": 1, "seen": 2}


def test_untypable_cells_missing_targets_and_empty_weights_are_listed(tmp_path):
    facts, _, untypable = run(tmp_path)
    found = untypable[["row", "column", "value", "rule"]].to_records(index=False).tolist()
    assert found == [
        (2, "age", "x", "age.type"),
        (3, "seen", "x", "seen.type"),
        (2, "risk", "", "risk.present"),
        (2, "weight", "0.0", "weight.range"),
    ]
    assert facts["untypable"]["age.type"] == 1
    assert untypable["reason"].notna().all()
    assert str(untypable["row"].dtype) == "int64"


def test_a_table_without_faults_has_an_empty_list_of_the_same_shape(tmp_path):
    raw = {"id": list("abcde"), "age": list("12345"), "도시": list("가나다라마"), "seen": ["01.01.2020"] * 5,
           "weight": list("11111"), "risk": list("01010")}  # fmt: skip
    facts, _, untypable = run(tmp_path, raw)
    assert list(untypable) == ["row", "column", "value", "rule", "reason"]
    assert len(untypable) == 0
    assert facts["class_kind"] == "integer"


def test_a_regression_target_is_a_number_and_text_in_it_is_untypable(tmp_path):
    target = {"risk": {"role": "target", "kind": "number"}}
    raw = {**RAW, "risk": ["1.5", "2", "", "x", "4"]}
    facts, typed, untypable = run(tmp_path, raw, contract=lambda: contract(**target))
    assert facts["task"] == "regression"
    assert typed["risk"].dtype == np.float64
    rules = untypable.loc[untypable["column"] == "risk", ["row", "rule"]].to_records(index=False)
    assert rules.tolist() == [(3, "risk.type"), (2, "risk.present")]


def test_a_boolean_source_keeps_boolean_labels(tmp_path):
    facts, typed, _ = run(tmp_path, {**RAW, "risk": [True, False, True, True, False]})
    assert facts["class_kind"] == "boolean"
    assert set(typed["risk"]) == {"True", "False"}


def test_a_missing_column_is_refused_with_the_nearest_name(tmp_path):
    raw = {("ages" if name == "age" else name): cells for name, cells in RAW.items()}
    with pytest.raises(DataRefused, match='did you mean "ages"'):
        run(tmp_path, raw)
