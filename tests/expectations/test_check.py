from __future__ import annotations

import datetime as dt
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from expectations.check import check
from expectations.column import Column
from expectations.contract import Contract, Custom
from models import served

TARGET = {"y": Column(role="target", kind="category")}


def table(rows=30, **columns):
    made = {
        name: pd.Series(values, dtype="str" if isinstance(values[0], str) else None)
        for name, values in columns.items()
    }
    return pd.DataFrame({**made, "y": pd.Series(["a", "b"] * (rows // 2), dtype="str")})


def run(frame, *expectations, accepted=False, unique=(), **columns):
    return check(
        frame,
        Contract(
            columns={**columns, **TARGET},
            expectations=expectations,
            accepted=accepted,
            unique=unique,
        ),
    )


def rules(result):
    return {failure.rule: failure for failure in result.table_failures}


FLOATS = st.one_of(
    st.none(), st.integers(-5, 5), st.floats(-5, 5), st.sampled_from([0.1, 0.1 + 0.2, 0.3])
)
TEXTS = st.one_of(st.none(), st.sampled_from(["a", "b", "ab", "가", "가나다", "A"]))
EARLY, LATE = dt.datetime.fromisoformat("2019-12-30"), dt.datetime.fromisoformat("2020-01-03")
MOMENTS = st.one_of(st.none(), st.datetimes(EARLY, LATE))
ROWS = st.lists(st.tuples(FLOATS, TEXTS, MOMENTS, st.integers(-1, 1)), min_size=1, max_size=25)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(ROWS, st.tuples(FLOATS, FLOATS), st.booleans(), st.booleans(), st.booleans())
def test_great_expectations_and_the_served_model_find_the_same_rows(
    rows, bounds, low, high, present
):
    low_bound, high_bound = (
        sorted(b for b in bounds if b is not None) if None not in bounds else (0.3, None)
    )
    columns = {
        "N": Column(
            kind="number",
            min=low_bound,
            max=high_bound,
            strict_min=low,
            strict_max=high,
            present=present,
        ),
        "n": Column(kind="integer", min=0),
        "글": Column(kind="category", levels=("a", "가"), max_length=2),
        "d": Column(
            kind="date",
            min=dt.datetime.fromisoformat("2020-01-01 12:00"),
            max=dt.date(2020, 1, 2),
            present=present,
        ),
    }
    cells = list(zip(*rows, strict=True))
    frame = pd.DataFrame(
        {
            "n": np.array(cells[3], dtype=float),
            "N": np.array(cells[0], dtype=float),
            "글": pd.Series(cells[1], dtype="str"),
            "d": pd.Series(cells[2], dtype="datetime64[us]"),
        }
    )
    contract = Contract(columns={**columns, "y": Column(role="target", kind="category")})
    entries = [{"name": name, "kind": column.kind} for name, column in columns.items()]
    judged = served.judge(frame, {"columns": entries, "rules": contract.row_rules()}, severity=None)
    expected = {rule: np.flatnonzero(mask).tolist() for rule, mask in judged.items() if mask.any()}
    found = check(frame, contract).row_failures
    assert {rule: places.tolist() for rule, places in found.items()} == expected


def test_rows_are_found_by_position_whatever_the_index_is():
    frame = table(x=[-1.0] + [1.0] * 28 + [-2.0]).set_axis([7] * 30)
    found = run(frame, x=Column(kind="number", min=0)).row_failures
    assert found["x.range"].tolist() == [0, 29]
    assert found["x.range"].dtype == np.int64


def test_columns_that_differ_by_case_are_judged_each_by_its_own_cells():
    frame = table(age=[-1.0] * 30, Age=[1.0] * 30)
    found = run(
        frame, age=Column(kind="number", min=0), Age=Column(kind="number", min=0)
    ).row_failures
    assert {rule: len(rows) for rule, rows in found.items()} == {"age.range": 30}


@pytest.mark.parametrize(
    "name", ["a'b", 'a"b', "a\nb", "a.b", "a,b", "$PARAMETER", "batch_id", "한글", "<b>", "c1"]
)
def test_hostile_names_are_judged_like_any_other(name):
    frame = table().assign(**{name: [1.0] * 29 + [-1.0]})
    found = check(frame, Contract(columns={name: Column(kind="number", min=0), **TARGET}))
    assert found.row_failures[f"{name}.range"].tolist() == [29]


def test_an_empty_table_never_passes():
    result = run(table(x=[1.0] * 30).iloc[:0], x=Column(kind="number", min=0))
    assert "at least 20 rows, it has none" in rules(result)["table.rows"].message


def test_too_few_rows_are_refused():
    result = run(table(x=[1.0] * 30).iloc[:3], x=Column(kind="number"))
    assert "at least 20 rows, it has 3" in rules(result)["table.rows"].message


def test_a_column_without_cells_does_not_pass_its_range():
    result = run(table(x=[np.nan] * 30), x=Column(kind="number", min=0))
    assert rules(result)["x.empty"].severity == "warning"
    entry = next(e for e in result.full["results"] if e["rule"] == "x.range")
    assert entry["vacuous"] is True


def test_a_target_without_cells_is_critical():
    frame = table(x=[1.0] * 30).assign(y=pd.Series([None] * 30, dtype="str"))
    assert rules(run(frame, x=Column(kind="number")))["y.empty"].severity == "critical"


@pytest.mark.parametrize(("share", "fails"), [(0.1, False), (0.0999, True), (0.7, False)])
def test_a_missing_share_that_is_just_met_passes(share, fails):
    result = run(table(x=[np.nan] * 3 + [1.0] * 27), x=Column(kind="number", missing_share=share))
    assert ("x.missing_share" in rules(result)) is fails


def test_a_missing_share_warns_until_accepted():
    frame, column = table(x=[np.nan] * 15 + [1.0] * 15), Column(kind="number", missing_share=0.1)
    assert rules(run(frame, x=column))["x.missing_share"].severity == "warning"
    failure = rules(run(frame, accepted=True, x=column))["x.missing_share"]
    assert failure.severity == "critical"
    assert "at most 0.1 of the cells may be missing, 0.5 are" in failure.message


def test_repeated_identifiers_are_named_with_their_records():
    frame = table(k=["a", "a"] + [str(i) for i in range(28)]).assign(
        __record__=range(101, 131), __source__="f.csv"
    )
    failure = rules(run(frame, unique=("k",), k=Column(role="id", kind="text")))["table.unique"]
    assert failure.count == 2
    assert str(failure.examples[0]) == "f.csv record 101: a"


def test_a_custom_expectation_that_fails_says_what_was_found():
    custom = Custom(type="expect_column_mean_to_be_between", kwargs={"column": "x", "max_value": 3})
    failure = rules(run(table(x=[9.0] * 30), custom, x=Column(kind="number")))[
        "expectations[0].expect_column_mean_to_be_between"
    ]
    assert failure.severity == "critical"
    assert "found 9.0" in failure.message


def test_an_expectation_may_be_named_by_its_class():
    custom = Custom(type="ExpectColumnMaxToBeBetween", kwargs={"column": "x", "max_value": 3})
    found = rules(run(table(x=[9.0] * 30), custom, x=Column(kind="number")))
    assert "found 9.0" in found["expectations[0].expect_column_max_to_be_between"].message


@pytest.mark.parametrize("bound", ["2020-01-02", dt.date(2020, 1, 2)])
def test_an_expectation_compares_dates_however_they_are_written(bound):
    custom = Custom(
        type="expect_column_min_to_be_between", kwargs={"column": "d", "min_value": bound}
    )
    days = [dt.datetime.fromisoformat("2020-01-01")] * 30
    found = rules(run(table(d=days), custom, d=Column(kind="date")))
    assert "found 2020-01-01" in found["expectations[0].expect_column_min_to_be_between"].message


def test_an_expectation_that_raises_is_told_apart_from_one_that_fails():
    custom = Custom(
        type="expect_column_values_to_match_regex",
        kwargs={"column": "x", "regex": "("},
        severity="warning",
    )
    result = run(table(x=["a"] * 30), custom, x=Column(kind="category"))
    failure = rules(result)["expectations[0].expect_column_values_to_match_regex"]
    assert "could not be evaluated" in failure.message
    assert failure.severity == "warning"


def test_an_expectation_on_an_empty_column_does_not_pass():
    custom = Custom(
        type="expect_column_values_to_be_in_set", kwargs={"column": "x", "value_set": ["a"]}
    )
    frame = table(x=["a"] * 30).assign(x=pd.Series([None] * 30, dtype="str"))
    failure = rules(run(frame, custom, x=Column(kind="category")))[
        "expectations[0].expect_column_values_to_be_in_set"
    ]
    assert "no cell could be judged" in failure.message


def test_an_expectation_on_a_column_that_differs_by_case_is_not_judged_on_its_twin():
    custom = Custom(type="expect_column_max_to_be_between", kwargs={"column": "X", "max_value": 3})
    failure = rules(run(table(x=[1.0] * 30), custom, x=Column(kind="number")))[
        "expectations[0].expect_column_max_to_be_between"
    ]
    assert "the typed table has no column X" in failure.message


def test_arguments_that_great_expectations_refuses_are_a_value_error():
    custom = Custom(type="expect_column_mean_to_be_between", kwargs={"colum": "x"})
    with pytest.raises(
        ValueError, match=r"expectations\[0\]\.expect_column_mean_to_be_between: kwargs are refused"
    ):
        run(table(x=[1.0] * 30), custom, x=Column(kind="number"))


def test_the_full_result_is_bounded_plain_json_and_silent(capsys):
    rows = 3000
    frame = table(rows, x=[-1.0] * rows, c=["z"] * rows)
    result = run(frame, x=Column(kind="number", min=0), c=Column(kind="category", levels=("a",)))
    text = json.dumps(result.full, allow_nan=False)
    assert len(text) < 5000
    entry = next(e for e in result.full["results"] if e["rule"] == "x.range")
    assert (entry["success"], entry["unexpected"], entry["rows"][:3]) == (False, rows, [0, 1, 2])
    assert len(result.row_failures["c.levels"]) == rows
    assert capsys.readouterr() == ("", "")
