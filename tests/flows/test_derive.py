"""Formulas: what they may say, what they give, and that serving gives the same from raw text."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from flows.derive import feature_kinds, formulas, narrowed
from flows.errors import DataRefused, SettingsError
from flows.formula_functions import SIGNATURES
from flows.formula_parse import FormulaError
from flows.settings import load_spec
from models import served
from models.served import FUNCTIONS, Formula

NAN = np.nan
CELLS = {
    "a": np.array([1.0, 0.0, -2.0, NAN]),
    "b": np.array([2.0, 0.0, NAN, 1.0]),
    "flag": np.array([1.0, 0.0, NAN, 1.0]),
    "word": np.array(["Ab c", "x", None, "1.50"], dtype=object),
    "구": np.array(["강남", "종로", "강남", None], dtype=object),
    "when": np.array(["2024-01-31T13:30", "2023-12-31", "NaT", "2024-02-29"], "datetime64[us]"),
    "then": np.array(["2024-01-30T13:30", "2024-01-01", "2024-01-01", "NaT"], "datetime64[us]"),
    "my column": np.array([1.0, 2.0, 3.0, 4.0]),
}


def made(text, kind=None):
    (formula,) = formulas({"new": text})
    cells = Formula(formula.entry(**({"kind": kind} if kind else {}))).cells(CELLS, 4)
    return [
        None if value is None or (isinstance(value, float) and np.isnan(value)) else value
        for value in cells.tolist()
    ]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a + b", [3, 0, None, None]),
        ("a / b", [0.5, None, None, None]),
        ("a // b", [0, None, None, None]),
        ("a % b", [1, None, None, None]),
        ("b ** 2 - 1", [3, -1, None, 0]),
        ("10 ** (b * 1000)", [None, 1, None, None]),
        ("-a", [-1, 0, 2, None]),
        ("a > 0.2 * b", [1, 0, None, None]),
        ("0 <= a < 1", [0, 1, 0, None]),
        ("a == 0", [0, 1, 0, None]),
        ("a != 0 and b > 0", [1, 0, None, None]),
        ("a == 0 or b > 1.5", [1, 1, None, None]),
        ("(a > 0) & ~(b > 5)", [1, 0, 0, None]),
        ("(a > 0) | (b > 0.5)", [1, 0, None, 1]),
        ("not flag", [0, 1, None, 0]),
        ("flag == True", [1, 0, None, 1]),
        ("log(b)", [np.log(2), None, None, 0]),
        ("a.abs()", [1, 0, 2, None]),
        ("clip(a, 0, 0.5)", [0.5, 0, 0, None]),
        ("a.clip(lower=0)", [1, 0, 0, None]),
        ("round(b / 3, 2)", [0.67, 0, None, 0.33]),
        ("minimum(a, b)", [1, 0, None, None]),
        ("where(a > 0, b, -1)", [2, -1, -1, None]),
        ("b if a > 0 else 7", [2, 7, 7, None]),
        ("fillna(a, 9)", [1, 0, -2, 9]),
        ("isna(a)", [0, 0, 0, 1]),
        ("word.notna()", [1, 1, 0, 1]),
        ("between(a, -2, 0)", [0, 1, 1, None]),
        ("a.isin([1, -2])", [1, 0, 1, None]),
        ("a not in [1, -2]", [0, 1, 0, None]),
        ("구 == '강남'", [1, 0, 1, None]),
        ("구 in ['강남', '부산']", [1, 0, 1, None]),
        ("word.str.len()", [4, 1, None, 4]),
        ("word.str.contains('b')", [1, 0, None, 0]),
        ("word.str.lower()", ["ab c", "x", None, "1.50"]),
        ("number(word)", [None, None, None, 1.5]),
        ("text(b)", ["2", "0", None, "1"]),
        ("where(a >= 0, 'up', 'down')", ["up", "up", "down", None]),
        ("when.dt.hour", [13, 0, None, 0]),
        ("when.dt.weekday", [2, 6, None, 3]),
        ("when.dt.year * 100 + when.dt.month", [202401, 202312, None, 202402]),
        ("when - then > 0.5", [1, 0, None, None]),
        ("(when - then) * 24", [24, -24, None, None]),
        ("when >= '2024-01-01'", [1, 0, None, 1]),
        ("between(when, '2024-01-01', '2024-01-31 23:59')", [1, 0, None, 0]),
        ("`my column` * 2", [2, 4, 6, 8]),
    ],
)
def test_a_formula_gives_what_it_says_and_missing_for_what_has_no_value(text, wanted):
    assert made(text) == pytest.approx(wanted) if not isinstance(wanted[0], str) else wanted


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a +", "no expression"),
        ("", "1 to 1,000 characters"),
        ("3 > 2", "must use at least one column"),
        ("mean(a)", "looks at other rows"),
        ("a.shift(1)", "looks at other rows"),
        ("lgo(a)", r"calls lgo, which is none of .*did you mean log\?"),
        ("dayofweek(a)", "calls dayofweek"),
        ("a.dt.dayofweek", "did you mean dt.weekday"),
        ("clip(a)", "clip takes x, lower, upper"),
        ("clip(a, low=1)", "clip takes no low="),
        ("__import__('os').system('x')", "calls"),
        ("a.__class__", "stands in backquotes"),
        ("(lambda: a)()", "a function is called by its name"),
        ("[x for x in a]", "columns, plain values, signs and calls only"),
        ("a[0]", "columns, plain values, signs and calls only"),
        ("f'{a}'", "columns, plain values, signs and calls only"),
        ("a is None", "isna"),
        ("a @ b", "arithmetic is"),
        ("word.str.len() + 'x'", "must be a number, is a text"),
        ("where(a > 0, 1, 'x')", "both sides must be of one kind"),
        ("str.len(word)", "calls"),
        ("word.str.contains(3)", "must be a plain text"),
        ("a in [1, 'x']", "list of plain values of one kind"),
        ("word.str.lower() > 'b'", "texts have no order"),
        ("`open", "a backquote is open"),
        ("(" * 60 + "a" + ")" * 60 + "+" + "-" * 60 + "a", "nested at most"),
    ],
)
def test_what_is_no_formula_is_refused_with_what_to_write(text, said):
    with pytest.raises(FormulaError, match=said):
        formulas({"new": text})


def test_the_checker_and_the_interpreter_know_the_same_functions():
    assert set(SIGNATURES) == set(FUNCTIONS)


def test_the_interpreter_runs_nothing_that_the_checker_would_refuse():
    for text in ("__import__('os')", "a.__class__", "(lambda: 1)()", "[x for x in a]", "a[0]"):
        with pytest.raises((ValueError, KeyError)):
            Formula({"name": "x", "expression": text, "kind": "number"}).cells(CELLS, 4)


def test_formulas_may_rest_on_each_other_in_any_order_but_not_in_a_circle():
    found = formulas({"late": "share > 0.5", "share": "a / total", "total": "a + b"})
    assert [formula.name for formula in found] == ["total", "share", "late"]
    with pytest.raises(FormulaError, match="circle"):
        formulas({"x": "y + 1", "y": "x + 1"})


ROWS = 120
SETTINGS = """
name = "tips"
[data]
source = "trips.csv"
target = "tipped"
{more}
[data.derive]
tipped = "tips > 0.2 * fare"
{derive}
"""


@pytest.fixture
def trips():
    """Rows as text, with a division by zero, a missing cell and a word among numbers."""
    draw = np.random.default_rng(3)
    frame = pd.DataFrame(
        {
            "fare": np.round(draw.uniform(3, 40, ROWS), 2).astype(str),
            "tips": np.round(draw.uniform(0, 12, ROWS), 2).astype(str),
            "seconds": draw.integers(0, 900, ROWS).astype(str),
            "miles": np.round(draw.uniform(0, 9, ROWS), 1).astype(str),
            "start": pd.date_range("2024-03-01", periods=ROWS, freq="7h").strftime(
                "%Y-%m-%d %H:%M"
            ),
            "company": draw.choice(["Blue", "RED", "Taxi Co"], ROWS),
        }
    )
    frame.loc[4, "seconds"] = "0"
    frame.loc[5, "miles"] = ""
    frame.loc[6, "tips"] = ""
    return frame.to_csv(index=False)


@pytest.fixture
def settle(write_spec, trips):
    def settle(more="", derive=""):
        return load_spec(write_spec(SETTINGS.format(more=more, derive=derive), trips=trips))

    return settle


DROPS = 'drop = ["tips"]'
SPEED = """speed = "miles / seconds * 3600"
night = "start.dt.hour < 6"
firm = "company.str.lower()"
helper = "miles ** 2"
far = "helper > 25"
"""


@pytest.mark.parametrize(
    ("more", "derive", "said"),
    [
        ("", "", "is made from 'fare', 'tips' alone, .*data.drop"),
        (DROPS, 'x = "tips * 2"', "is made from 'fare', 'tips' alone"),
        (DROPS, 'x = "tipped == 1"', r"data\.derive\.x: uses the target 'tipped'"),
        (DROPS, 'x = "lgo(fare)"', r"spec\.toml:\d+: data\.derive\.x: calls lgo.*did you mean log"),
        (DROPS + '\ntime = "x"', 'x = "start.dt.days"', "must be a column of the source"),
    ],
)
def test_what_cannot_be_derived_is_refused_with_file_and_key(settle, more, derive, said):
    with pytest.raises(SettingsError, match=said):
        settle(more, derive)


def test_columns_behind_a_target_may_stay_by_somebodys_word(settle):
    assert settle('keep = ["fare", "tips"]').data.keep == ("fare", "tips")


def stages(spec, *names):
    from flows.home import open_home
    from flows.maker import Maker
    from flows.progress import Progress

    progress = Progress(quiet=True)
    maker = Maker(spec, open_home(spec.folder), progress)
    for name in names or ("load", "analyze", "contract", "engineer", "validate"):
        maker.make(name)
    return maker.made, progress


def test_an_unknown_column_is_refused_with_the_nearest(settle):
    with pytest.raises(DataRefused, match=r"(?s)data\.derive\.x names miels.*did you mean miles"):
        stages(settle(DROPS, 'x = "miels * 2"'), "load")


def test_a_derived_column_may_not_hide_one_of_the_source(settle):
    with pytest.raises(DataRefused, match=r"data\.derive makes miles, which the table has already"):
        stages(settle(DROPS, 'miles = "fare * 2"'), "load")


def test_a_derived_target_is_the_table_s_target_and_its_missing_rows_are_set_aside(settle):
    made, _ = stages(settle(DROPS + "\nmax_fraction = 0.02"))
    validation = json.loads((made["validate"].path / "validation.json").read_text("utf-8"))
    assert validation["task"] == "binary"
    assert set(validation["classes"]) == {"True", "False"}
    assert validation["rules"]["tipped.present"] == 1
    clean = pd.read_parquet(made["validate"].path / "clean.parquet")
    fare, tips = clean["fare"].to_numpy(), clean["tips"].to_numpy()
    assert (clean["tipped"].to_numpy() == np.where(tips > 0.2 * fare, "True", "False")).all()
    schema = json.loads((made["validate"].path / "schema.json").read_text("utf-8"))
    assert "tips" not in feature_kinds(schema)


def test_a_column_that_helps_to_define_the_target_is_said_as_a_risk(settle):
    _, progress = stages(settle(DROPS), "load", "analyze")
    assert any(
        "'fare' is a feature and the target 'tipped' is made from it" in w
        for w in progress.warnings
    )


def test_derived_features_come_from_raw_text_when_a_row_is_scored(settle):
    spec = settle('drop = ["tips", "helper"]\nmax_fraction = 0.02', SPEED)
    made, _ = stages(spec)
    schema = json.loads((made["validate"].path / "schema.json").read_text("utf-8"))
    kinds = feature_kinds(schema)
    assert {kinds[name] for name in ("speed", "night", "firm", "far")} == {
        "number",
        "boolean",
        "category",
    }
    assert "helper" not in kinds
    from flows.export import TRAINING_ONLY

    serving = {key: value for key, value in schema.items() if key not in TRAINING_ONLY}
    raw = pd.read_csv(spec.folder / "trips.csv", dtype=str, keep_default_na=False)
    trained = pd.read_parquet(made["validate"].path / "clean.parquet").set_index("__row__")
    asked = raw.drop(columns="tips").iloc[::-1]
    whole, faults = served.read(asked, serving)
    assert faults.empty
    one = pd.concat([served.read(asked.iloc[[k]], serving)[0] for k in range(8)], ignore_index=True)
    whole = whole.set_index(asked.index)
    for name in ("speed", "night", "firm", "far"):
        pd.testing.assert_series_equal(
            whole.loc[trained.index, name], trained[name], check_names=False, check_dtype=False
        )
        left, right = one[name], whole[name].iloc[:8].reset_index(drop=True)
        pd.testing.assert_series_equal(left, right, check_dtype=False)
    assert np.isnan(whole.loc[4, "speed"])  # divided by zero
    assert np.isnan(whole.loc[5, "speed"])


def test_a_row_without_a_column_that_a_formula_needs_is_refused_by_name(settle):
    made, _ = stages(settle('drop = ["tips", "seconds", "helper"]\nmax_fraction = 0.02', SPEED))
    schema = json.loads((made["validate"].path / "schema.json").read_text("utf-8"))
    assert "seconds" not in feature_kinds(schema)
    raw = pd.DataFrame(
        {"fare": ["3"], "miles": ["1"], "start": ["2024-01-01"], "company": ["Blue"]}
    )
    with pytest.raises(ValueError, match='must have the columns "seconds"'):
        served.read(raw, schema)
    bad = raw.assign(seconds="soon")
    assert served.read(bad, schema)[1]["rule"].tolist() == ["seconds.type"]


def test_a_dropped_feature_stays_readable_for_the_formulas_that_need_it():
    schema = {
        "columns": [{"name": "a", "kind": "number"}, {"name": "b", "kind": "number"}],
        "formulas": [
            {
                "name": "f",
                "expression": "a * 2",
                "kind": "number",
                "uses": ["a"],
                "feature": True,
                "needed": False,
            }
        ],
    }
    found = narrowed(schema, ["a", "b"])
    assert [(c["name"], c.get("source", False)) for c in found["columns"]] == [("a", True)]
    assert feature_kinds(found) == {"f": "number"}


@pytest.mark.slow
def test_an_exported_model_answers_raw_text_that_lacks_what_only_the_target_needs(settle):
    more = 'drop = ["tips", "helper", "fare"]\nmax_fraction = 0.05'
    spec = settle(more, SPEED)
    spec = spec.model_copy(
        update={"train": spec.train.model_copy(update={"members": 1, "epochs": 2})}
    )
    from flows.stages import stages_of

    names = [stage.name for stage in stages_of(spec) if stage.name not in ("sweep", "canary")]
    made, _ = stages(spec, *names[: names.index("export") + 1])
    folder = made["export"].path / "model"
    schema = json.loads((folder / "schema.json").read_text("utf-8"))
    assert not {"tips", "fare", "tipped"} & {column["name"] for column in schema["columns"]}
    raw = pd.read_csv(spec.folder / "trips.csv", dtype=str, keep_default_na=False)
    asked = raw.drop(columns=["tips", "fare"])
    session = served.open_session(str(folder / "graph.onnx"))
    answers = served.answer(session, asked, schema, on_bad_row="null")
    assert list(answers) == ["prediction", "probability_False", "probability_True", "bad_row"]
    assert (answers["bad_row"] == "").all()
    assert set(answers["prediction"]) <= {True, False}
    alone = served.answer(session, asked.iloc[[7]], schema)
    shares = ["probability_False", "probability_True"]
    wanted = answers[shares].iloc[[7]].astype(float).to_numpy()
    assert alone[shares].to_numpy() == pytest.approx(wanted, abs=1e-6)
    with pytest.raises(ValueError, match='must have the columns "seconds"'):
        served.answer(session, asked.drop(columns="seconds"), schema)
