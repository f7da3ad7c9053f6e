"""The one reader of cells, the row rules, and the served model through a real MLflow registry."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest
from onnx import TensorProto, helper

from models import served

INF = float("inf")
NONE = None


def read(values, kind="number", missing=(), dtype=object, **options):
    """Read one column; return its cells (None where missing) and whether each is untypable."""
    entry = {"name": "x", "kind": kind, **options}
    cells, bad = served.read_column(pd.Series(values, dtype=dtype), entry, missing)
    plain = [None if pd.isna(cell) else cell for cell in cells]
    return [str(c) if kind == "date" and c is not None else c for c in plain], bad.tolist()


def reasons(values, kind, **options):
    frame = pd.DataFrame({"x": pd.Series(values, dtype=object)})
    schema = {"columns": [{"name": "x", "kind": kind, **options}]}
    return dict(served.read(frame, schema)[1][["value", "reason"]].itertuples(index=False))


@pytest.mark.parametrize(
    "values",
    [["3", "4.5", None], [3, 4.5, None], [3.0, 4.5, float("nan")], [" 3 ", "4.50", ""],
     [decimal.Decimal(3), "4.5", pd.NA], [np.int8(3), np.float32(4.5), pd.NaT]],
)  # fmt: skip
def test_one_number_has_many_forms_and_one_meaning(values):
    assert read(values) == ([3.0, 4.5, None], [False] * 3)


@pytest.mark.parametrize("dtype", ["Int64", "int8", "float32", "category", "str", "int64[pyarrow]"])
def test_the_type_of_a_whole_number_column_does_not_matter(dtype):
    values = ["3", "7"] if dtype == "str" else [3, 7]
    assert read(values, "integer", dtype=dtype) == ([3.0, 7.0], [False, False])


@pytest.mark.parametrize(
    "cell",
    ["1_000", "0x10", "nan", "inf", "-Infinity", "1e400", "１２", "5kg", "$5", "5%", "1 2", "1,5",
     "--5", "", "e5", ".", [1], {"a": 1}, b"5", dt.date(2020, 1, 1), INF, 10**5000,
     decimal.Decimal("1E+5000"), "٣", "−5", "9007199254740993", 9007199254740993],
    ids=lambda cell: f"{type(cell).__name__}-{str(cell)[:20] if type(cell) is not int else 'big'}",
)  # fmt: skip
def test_what_is_no_exact_finite_number_is_untypable_alone_and_in_a_crowd(cell):
    if cell == "":
        assert read([cell]) == ([None], [False])
        return
    assert read([cell]) == ([None], [True])
    assert read([cell, *map(str, range(100))])[1] == [True, *[False] * 100]


def test_reasons_say_what_is_wrong():
    found = reasons(["x", "inf", "9007199254740993", "1.5"], "integer")
    assert found["x"] == "is not a number"
    assert found["inf"] == "is not a finite number"
    assert "2^53" in found["9007199254740993"]
    assert found["1.5"] == "is not a whole number"


def test_integers_are_exact_up_to_two_to_the_53():
    assert read(["9007199254740992", "-9007199254740992"], "integer")[1] == [False, False]
    assert read(["9007199254740994.0", "1e300"])[1] == [False, False]
    assert read(["1e300"], "integer")[1] == [True]
    assert read([9007199254740994.0])[1] == read([9007199254740994.0], dtype=float)[1] == [False]


@pytest.mark.parametrize(
    ("cell", "decimal_mark", "thousands", "value"),
    [("1,5", ",", None, 1.5), ("1.5", ",", None, None), ("1.234,5", ",", ".", 1234.5),
     ("1,5", ".", ",", None), ("1,500", ".", ",", 1500.0), ("1,234,567.8", ".", ",", 1234567.8),
     ("12,34,567", ".", ",", None), ("1500", ".", ",", 1500.0), ("1,50", ".", ",", None),
     ("1 500", ".", " ", 1500.0), ("1\u00a0500", ".", " ", 1500.0), ("1\u202f500,5", ",", " ", 1500.5),
     ("1'500", ".", "'", 1500.0), ("1’500", ".", "'", 1500.0), ("1500,", ".", ",", None),
     ("-1,500e2", ".", ",", -150000.0), (1.5, ",", ".", 1.5), (1500, ".", ",", 1500.0)],
)  # fmt: skip
def test_marks_of_numbers_are_strict(cell, decimal_mark, thousands, value):
    assert read([cell], decimal=decimal_mark, thousands=thousands) == ([value], [value is None])


@pytest.mark.parametrize(
    ("cell", "unit", "value"),
    [("12.5 %", "%", 12.5), ("12.5%", "%", 12.5), ("12.5", "%", 12.5), (12.5, "%", 12.5),
     ("$5", "$", 5.0), ("-$5", "$", -5.0), ("$-5", "$", -5.0), ("- 5 km", "km", -5.0),
     ("5 km", "m", None), ("5 kg", "%", None), ("%", "%", None), ("% 5 %", "%", None),
     ("-$-5", "$", None), ("5e2 €", "€", 500.0), ("", "€", None)],
)  # fmt: skip
def test_a_unit_is_taken_off_before_or_behind_a_number(cell, unit, value):
    assert read([cell], unit=unit) == ([value], [value is None and cell != ""])


def test_missing_tokens_are_compared_stripped_and_numbers_by_value():
    missing = ["?", "-999"]
    assert read([" ? ", "-999", "-999.0", -999, "NA"], missing=missing)[0] == [None] * 5
    assert read([" ? ", "-999", "-999.0", -999, "NA"], missing=missing)[1] == [False] * 4 + [True]
    assert read([-999, 5], missing=missing, dtype="int64") == ([None, 5.0], [False, False])
    assert read(["NA", None, " "], "category", missing=["x"]) == (["NA", None, None], [False] * 3)


def test_booleans_are_the_declared_words_and_real_booleans():
    words = ["True", "no", "Y", "1", 1, 0.0, True, None, "maybe", 2]
    assert read(words, "boolean") == (
        [1.0, 0.0, 1.0, 1.0, 1.0, 0.0, 1.0, None, None, None], [False] * 8 + [True] * 2,
    )  # fmt: skip
    declared = {"true": ["예"], "false": ["아니오"]}
    assert read(["예", "아니오", "1", True], "boolean", **declared)[1] == [
        False,
        False,
        True,
        False,
    ]
    assert read([True, None], "boolean", dtype="boolean") == ([1.0, None], [False, False])


@pytest.mark.parametrize(
    ("cell", "moment"),
    [("2020-01-02", "2020-01-02 00:00:00"), ("2020-01-02T03:04", "2020-01-02 03:04:00"),
     ("2020-01-02 03:04:05.123456789", "2020-01-02 03:04:05.123456"),
     ("1969-12-31 23:59:59.9999999", "1969-12-31 23:59:59.999999"),
     (dt.date(2020, 1, 2), "2020-01-02 00:00:00"), (np.datetime64("2020-01-02"), "2020-01-02 00:00:00"),
     (pd.Timestamp("2020-01-02 03:00"), "2020-01-02 03:00:00"), ("20200102", None), ("44197", None),
     (44197, None), ("2020-13-01", None), ("2020-02-30", None), ("today", None), ("0001-01-01", None),
     ("9999-12-31", None), ("2020-01", None), ("01/02/2020", None), ("2020-01-02 25:00", None)],
)  # fmt: skip
def test_dates_are_iso_unless_a_format_is_declared(cell, moment):
    crowd = [f"2020-01-{day:02d} 00:00" for day in range(1, 29)] * 5
    assert read([cell], "date") == ([moment], [moment is None])
    cells, bad = read([*crowd, cell], "date")
    assert (cells[-1], sum(bad)) == (moment, int(moment is None))


def test_a_date_format_is_exact_and_typed_dates_need_none():
    cells = ["02/01/2020", "13/13/2020", "2020-01-02", "now", pd.Timestamp("2020-05-06 07:00")]
    assert read(cells, "date", format="%d/%m/%Y") == (
        ["2020-01-02 00:00:00", None, None, None, "2020-05-06 07:00:00"],
        [False, True, True, True, False],
    )
    assert read([20200102], "date", format="%Y%m%d")[0] == ["2020-01-02 00:00:00"]
    typed = pd.to_datetime(["2020-05-06 07:00", None])
    assert read(typed, "date", format="%d/%m/%Y", dtype=None)[0] == ["2020-05-06 07:00:00", None]


def test_instants_become_utc_and_do_not_mix_with_local_times():
    assert (
        read(["2020-01-02 09:00+09:00", "2020-01-02T00:00Z"], "date")[0]
        == ["2020-01-02 00:00:00"] * 2
    )
    seoul = pd.Series(pd.to_datetime(["2020-01-02 09:00"])).dt.tz_localize("Asia/Seoul")
    assert read(seoul, "date", dtype=None)[0] == ["2020-01-02 00:00:00"]
    mixed = ["2020-01-02 09:00+09:00", "2020-01-02", "2020-01-03"]
    assert read(mixed, "date")[1] == [True, False, False]
    assert "time zone" in reasons(mixed, "date")[mixed[0]]
    assert read(["2020-01-02"], "date", zone="aware")[1] == [True]


def test_categories_are_stripped_nfc_and_alike_for_numbers_and_text():
    cells = ["a ", 1, 1.0, "1.0", "007", 2.5, True, None, "\u1112\u1161\u11ab", [1], "1.50"]
    assert read(cells, "category") == (
        ["a", "1", "1", "1", "007", "2.5", "True", None, "한", None, "1.50"], [False] * 9 + [True, False],
    )  # fmt: skip
    assert read([1.0, None, 2.0], "category", dtype=float)[0] == ["1", None, "2"]
    assert read([True, False], "category", dtype=bool)[0] == ["True", "False"]


def test_replacements_come_first_and_reach_typed_cells():
    entry = {"replace": {"<=50K.": "<=50K", "1": "one", "-": "?"}, "missing": ["?"]}
    assert read(["<=50K. ", 1, 1.0, "-"], "category", **entry)[0] == ["<=50K", "one", "one", None]
    assert read([1, 2], replace={"1": "7"}, dtype="int64")[0] == [7.0, 2.0]


CELLS = ["3", " 3.5 ", 3, 2.0, True, None, float("nan"), "x", "-999", -999, "1e3", "1,5", "", [1],
         "2020-01-02", dt.date(2020, 1, 2), pd.Timestamp("2020-01-02 05:00"), decimal.Decimal("2.50"),
         "yes", "No", "9007199254740993", 2**60, INF, "007", "한", pd.NA, 1e-9, np.float64(1e17)]  # fmt: skip


@pytest.mark.parametrize("kind", ["number", "integer", "boolean", "date", "category", "text"])
def test_a_cell_reads_alike_alone_in_few_and_in_many(kind):
    alone = [read([cell], kind, missing=["-999"]) for cell in CELLS]
    flat = ([cells[0] for cells, _ in alone], [bad[0] for _, bad in alone])
    assert read(CELLS, kind, missing=["-999"]) == flat
    assert read(CELLS * 30, kind, missing=["-999"]) == (flat[0] * 30, flat[1] * 30)
    distinct = [*CELLS, *(f"t{k}" for k in range(200))]
    cells, bad = read(distinct, kind, missing=["-999"])
    assert (cells[: len(CELLS)], bad[: len(CELLS)]) == flat


@pytest.mark.parametrize(
    "dtype", ["float64", "int64", "Int64", "Float64", "bool", "boolean", "uint8"]
)
@pytest.mark.parametrize("kind", ["number", "integer", "boolean", "category", "text"])
def test_typed_columns_read_like_their_cells(kind, dtype):
    values = pd.Series([1, 0, 1], dtype=dtype)
    assert read(values, kind, dtype=None) == read(values.astype(object).tolist(), kind)


def schema(**extra):
    return {
        "missing": ["", "?"],
        "columns": [
            {"name": "나이", "kind": "number"},
            {"name": "city", "kind": "category"},
            {"name": "seen", "kind": "date", "format": "%d.%m.%Y"},
        ],
        "derived": [
            {"name": f"seen.{part}", "column": "seen", "part": part}
            for part in ("year", "month", "day", "weekday", "hour", "days")
        ],
        "rules": [
            {"id": "나이.range", "column": "나이", "type": "range", "min": 0, "max": 120, "severity": "critical"},
            {"id": "나이.present", "column": "나이", "type": "present", "severity": "critical"},
            {"id": "city.levels", "column": "city", "type": "levels", "levels": ["a", "b"], "severity": "warning"},
            {"id": "city.length", "column": "city", "type": "length", "max": 3, "severity": "critical"},
            {"id": "seen.range", "column": "seen", "type": "range", "min": "2020-01-01", "max": None, "severity": "critical"},
        ],
        "numbers": ["나이", "seen.days"],
        "categories": ["city"],
        **extra,
    }  # fmt: skip


def table(**columns):
    given = {"나이": ["41", "?", "130", "x"], "city": ["a", "c", "long", None],
             "seen": ["29.02.2020", "", "01.01.2019", "31.12.2021"], **columns}  # fmt: skip
    return pd.DataFrame(given)


def test_reading_a_frame_lists_untypable_cells_and_derives_date_parts():
    typed, bad = served.read(table(), schema())
    assert list(typed) == ["나이", "city", "seen", *(d["name"] for d in schema()["derived"])]
    parts = typed.loc[
        0, ["seen.year", "seen.month", "seen.day", "seen.weekday", "seen.hour", "seen.days"]
    ]
    assert parts.tolist() == [2020.0, 2.0, 29.0, 5.0, 0.0, 18321.0]
    assert np.isnan(typed.loc[1, "seen.days"])
    assert bad.to_dict("records") == [
        {"row": 3, "column": "나이", "value": "x", "rule": "나이.type", "reason": "is not a number"}
    ]
    assert str(typed["city"].dtype) == "str"


def test_date_parts_go_round_and_meet_where_a_year_a_week_and_a_day_end():
    names = served.CIRCLES
    parts = [{"name": name, "column": "at", "part": name} for name in names]
    columns = [{"name": "at", "kind": "date", "format": None}]
    cells = ["2024-01-01T00:00:00", "2023-12-31T23:59:59", "2024-07-01T12:00:00", ""]
    typed, bad = served.read(pd.DataFrame({"at": cells}), {"columns": columns, "derived": parts})
    found = typed[list(names)].to_numpy()
    assert len(bad) == 0
    np.testing.assert_allclose(found[0], found[1], atol=1e-3)  # a Monday in January, a second apart
    np.testing.assert_allclose(found[0], [0, 1, 0, 1, 0, 1], atol=1e-12)
    np.testing.assert_allclose(found[2, [1, 5]], [-1, -1], atol=1e-3)  # midsummer, noon
    assert np.isnan(found[3]).all()


def test_order_extra_columns_index_and_unicode_form_do_not_matter():
    expected, _ = served.read(table(), schema())
    other = table()[["seen", "city", "나이"]].set_axis([5, 5, 1, 0]).assign(more=1)
    other = other.rename(columns={"나이": "\u1102\u1161\u110b\u1175"})
    found, _ = served.read(other, schema())
    pd.testing.assert_frame_equal(found, expected)


def test_a_missing_column_is_named_with_the_nearest_name():
    frame = table().rename(columns={"city": "cities"})
    with pytest.raises(ValueError, match=r'columns "city".*did you mean "cities" for "city"'):
        served.read(frame, schema())
    optional = schema()
    optional["columns"][1]["required"] = False
    assert served.read(frame, optional)[0]["city"].isna().all()


def test_a_column_name_that_occurs_twice_is_refused():
    frame = pd.concat([table(), table()[["city"]]], axis=1)
    with pytest.raises(ValueError, match=r'unique.*twice: "city"'):
        served.read(frame, schema())


def test_rules_judge_rows_by_severity_and_leave_missing_cells_to_present():
    typed, _ = served.read(table(), schema())
    found = {rule: rows.tolist() for rule, rows in served.judge(typed, schema()).items()}
    assert found == {
        "나이.range": [False, False, True, False],
        "나이.present": [False, True, False, True],
        "city.length": [False, False, True, False],
        "seen.range": [False, False, True, False],
    }
    warnings = served.judge(typed, schema(), "warning")
    assert {rule: rows.tolist() for rule, rows in warnings.items()} == {
        "city.levels": [False, True, True, False]
    }
    strict = {"id": "r", "column": "나이", "type": "range", "min": 41, "strict_min": True}
    assert served.judge(typed, schema(rules=[strict]))["r"].tolist() == [True, False, False, False]


def test_graph_inputs_are_float64_and_text_with_blanks_for_missing():
    typed, _ = served.read(table(), schema())
    feeds = served.inputs(typed, schema())
    assert feeds["numbers"].dtype == np.float64
    assert feeds["numbers"].shape == (4, 2)
    assert feeds["categories"].tolist() == [["a"], ["c"], ["long"], [""]]
    assert set(served.inputs(typed, schema(categories=[]))) == {"numbers"}


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    """Write a graph that answers class 1 where the first number is above 50."""
    path = tmp_path_factory.mktemp("graph") / "graph.onnx"
    tensor = helper.make_tensor_value_info
    nodes = [
        helper.make_node("IsNaN", ["numbers"], ["blank"]),
        helper.make_node("Where", ["blank", "zero", "numbers"], ["full"]),
        helper.make_node("Cast", ["full"], ["small"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["small", "weight"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        helper.make_node("ArgMax", ["probabilities"], ["label"], axis=1, keepdims=0),
        helper.make_node("LabelEncoder", ["categories"], ["codes"], domain="ai.onnx.ml",
                         keys_strings=["a"], values_int64s=[1], default_int64=0),
    ]  # fmt: skip
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "graph",
            [tensor("numbers", TensorProto.DOUBLE, ["N", 2]), tensor("categories", TensorProto.STRING, ["N", 1])],
            [tensor("probabilities", TensorProto.FLOAT, ["N", 2]), tensor("label", TensorProto.INT64, ["N"]),
             tensor("codes", TensorProto.INT64, ["N", 1])],
            [helper.make_tensor("zero", TensorProto.DOUBLE, [], [0.0]),
             helper.make_tensor("weight", TensorProto.FLOAT, [2, 2], [0.0, 0.1, 0.0, 0.0]),
             helper.make_tensor("bias", TensorProto.FLOAT, [2], [0.0, -5.0])],
        ),
        opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)],
        ir_version=9,
    )  # fmt: skip
    onnx.save(model, path)
    return path


@pytest.fixture(scope="module")
def session(graph):
    return served.open_session(str(graph), threads=1)


GOOD = {"나이": ["41", "80"], "city": ["a", "b"], "seen": ["29.02.2020", None]}


@pytest.mark.parametrize(
    ("kind", "labels", "expected", "dtype"),
    [("text", ["bad", "좋음"], ["bad", "좋음"], "str"), ("integer", ["2", "4"], [2, 4], "int64"),
     ("boolean", ["False", "True"], [False, True], "bool")],
)  # fmt: skip
def test_answers_have_the_original_labels_and_a_probability_for_each(
    session, kind, labels, expected, dtype
):
    serving = schema(classes=labels, class_kind=kind)
    found = served.answer(session, pd.DataFrame(GOOD), serving)
    assert list(found) == ["prediction", *(f"probability_{label}" for label in labels)]
    assert found["prediction"].tolist() == expected
    assert str(found["prediction"].dtype) == dtype
    assert found.iloc[:, 1:].sum(axis=1).tolist() == pytest.approx([1.0, 1.0])
    empty = served.answer(session, pd.DataFrame(GOOD).iloc[:0], serving)
    assert (list(empty), len(empty), str(empty["prediction"].dtype)) == (list(found), 0, dtype)


def test_bad_rows_are_an_error_that_names_row_column_value_and_rule(session):
    serving = schema(classes=["n", "y"], class_kind="text")
    with pytest.raises(ValueError, match="3 of 4") as caught:
        served.answer(session, table(), serving)
    text = str(caught.value)
    assert 'row 1, column "나이": "?" breaks 나이.present' in text
    assert 'row 2, column "나이": "130" breaks 나이.range' in text
    assert 'row 3, column "나이": "x" breaks 나이.type (is not a number)' in text
    many = pd.concat([table()] * 100, ignore_index=True)
    with pytest.raises(ValueError, match="300 of 400") as caught:
        served.answer(session, many, serving)
    assert len(str(caught.value)) < 1500


def test_bad_rows_become_null_with_their_rules_on_request(session):
    serving = schema(classes=["1", "2"], class_kind="integer")
    found = served.answer(session, table(), serving, "null")
    assert found["bad_row"].tolist() == [
        "", "나이.present", "나이.range; city.length; seen.range", "나이.type",
    ]  # fmt: skip
    assert found["prediction"].tolist() == [1, None, None, None]
    assert json.loads(json.dumps(found.to_dict("records")))[1]["probability_1"] is None
    with pytest.raises(ValueError, match=r'on_bad_row must be "error" or "null", however: "drop"'):
        served.answer(session, table(), serving, "drop")


def test_rows_are_judged_without_an_answer_on_request():
    serving = schema()
    serving["rules"] += [
        {"id": "city.pattern", "column": "city", "type": "pattern", "pattern": "[a-z]", "severity": "warning"},
        {"id": "check.both", "column": "city", "columns": ["city", "seen"], "type": "check", "severity": "warning",
         "when": [{"column": "나이", "op": ">", "value": 50}], "then": [{"column": "seen", "op": "present"}]},
    ]  # fmt: skip
    found = served.check(table(), serving)
    assert found["broken"].tolist() == [
        [], ["나이.present"], ["나이.range", "city.length", "seen.range"], ["나이.type"],
    ]  # fmt: skip
    assert found["warned"].tolist() == [[], ["city.levels"], ["city.levels", "city.pattern"], []]
    bad = pd.DataFrame({"나이": ["60"], "city": ["a"], "seen": [None]})
    assert served.check(bad, serving)["warned"].tolist() == [["check.both"]]
    assert served.check(bad.iloc[:0], serving).shape == (0, 2)


def test_large_frames_are_answered_in_pieces_with_the_same_answers(session, monkeypatch):
    serving = schema(classes=["n", "y"], class_kind="text")
    frame = pd.concat([pd.DataFrame(GOOD)] * 100, ignore_index=True)
    whole = served.answer(session, frame, serving)
    monkeypatch.setattr(served, "CHUNK", 7)
    pd.testing.assert_frame_equal(served.answer(session, frame, serving), whole)


def test_importing_is_light_and_sets_no_model():
    code = "import sys, models.served; print([m for m in ('mlflow', 'onnxruntime', 'torch') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                           cwd=Path(__file__).parents[2])  # fmt: skip
    assert found.stdout.strip() == "[]"


CONSUMER = """
import json, sys, mlflow, pandas as pd
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model(sys.argv[2])
rows = pd.DataFrame({"나이": ["41", "80"], "city": ["a", "b"], "seen": ["29.02.2020", None]})
typed = rows.assign(나이=pd.array([41, 80], dtype="Int64"), city=rows["city"].astype("category"),
                    seen=pd.to_datetime(["2020-02-29", None]))[["seen", "city", "나이"]]
found = [model.predict(frame)["prediction"].tolist() for frame in (rows, typed)]
bad = rows.assign(나이=["41", "x"])
found.append(model.predict(bad, params={"on_bad_row": "null"})["bad_row"].tolist())
found.append(model.predict(bad, params={"check": True}).to_dict("list"))
for frame in (bad, rows.drop(columns="city")):
    try:
        model.predict(frame)
    except ValueError as error:
        found.append(str(error))
found.append([name for name in ("torch", "models") if name in sys.modules])
print(json.dumps(found))
"""


def test_mlflow_executes_the_file_and_a_fresh_process_asks_it(graph, tmp_path):
    import mlflow
    from mlflow.models import ModelSignature
    from mlflow.types.schema import AnyType, ColSpec, Schema

    from flows.logged_model import signature

    serving = schema(classes=["n", "y"], class_kind="text")
    (tmp_path / "schema.json").write_text(json.dumps(serving), encoding="utf-8")
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    names = [column["name"] for column in serving["columns"]]
    signature = ModelSignature(
        inputs=Schema([ColSpec(AnyType(), name, required=False) for name in names]),
        params=signature().params,
    )
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(uri)
    try:
        experiment = mlflow.create_experiment(
            "served", artifact_location=str(tmp_path / "artifacts")
        )
        with mlflow.start_run(experiment_id=experiment):
            info = mlflow.pyfunc.log_model(
                name="model",
                python_model=served.__file__,
                artifacts={"graph": str(graph), "schema": str(tmp_path / "schema.json")},
                signature=signature,
                pip_requirements=["mlflow", "onnxruntime", "pandas"],
            )
    finally:
        mlflow.set_tracking_uri(before)
    (tmp_path / "consumer.py").write_text(CONSUMER, encoding="utf-8")
    command = [sys.executable, "-I", str(tmp_path / "consumer.py"), uri, info.model_uri]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    text, typed, bad, judged, error, absent, heavy = json.loads(answer.stdout.splitlines()[-1])
    assert text == typed == ["n", "y"]
    assert bad == ["", "나이.type"]
    assert judged == {"broken": [[], ["나이.type"]], "warned": [[], []]}
    assert "나이.type (is not a number)" in error
    assert '"city"' in absent
    assert heavy == []


NUMBERS_AS_TEXT = [
    "1", "-2.5", "+3", "1e5", "1E-3", ".5", "5.", "1e400", "nan", "NaN", "inf", "-Infinity", "0x10",
    "1_000", " 4", "4 ", "", "?", "-999", "-999.0", "9007199254740993", "9007199254740992", "1e300",
    "0.1", "4.9e-324", "2.2250738585072011e-308", "１２", "1,5", "--5", "e5", ".", "1e", "00012",
    "1d5", "1f", "1e-400", "-0", "1.e5", "\t7", "7\n", "1\u00a0",
]  # fmt: skip


@pytest.mark.parametrize("cell", NUMBERS_AS_TEXT)
@pytest.mark.parametrize("kind", ["number", "integer"])
def test_text_in_arrow_and_in_python_is_read_to_the_last_bit_alike(cell, kind):
    draw = np.random.default_rng(0)
    plain = [repr(x) for x in draw.uniform(-1e6, 1e6, 50)] + [str(i) for i in range(50)]
    column = served.Column.of({"name": "x", "kind": kind, "missing": ["?", "-999"]})
    for others in (plain, plain[50:]):
        fast, slow = (
            served.read_cells(pd.Series([*others, cell], dtype=dtype), column)
            for dtype in (pd.StringDtype("pyarrow", na_value=np.nan), object)
        )
        assert np.array_equal(fast[1], slow[1])
        there = ~np.isnan(slow[0])
        assert np.array_equal(np.isnan(fast[0]), ~there)
        assert np.array_equal(fast[0][there].view(np.int64), slow[0][there].view(np.int64))


def test_numbers_of_every_size_are_rounded_as_python_rounds_them():
    bits = np.random.default_rng(0).integers(0, 2**63, 20_000, dtype=np.int64)
    numbers = bits.view(np.float64)
    numbers = numbers[np.isfinite(numbers) & (np.abs(numbers) < 2**53)]
    texts = pd.Series([repr(x) for x in numbers.tolist()], dtype="str")
    cells, fault = served.read_cells(texts, served.Column.of({"name": "x", "kind": "number"}))
    assert np.array_equal(cells, numbers)
    assert not fault.any()
