"""Rules over several columns: the language, and both engines on the same rows."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from expectations.check import check
from expectations.check_language import parsed
from expectations.column import Column
from expectations.contract import Contract
from expectations.cross import Rule
from models import served

COLUMNS = {
    "a": Column(kind="number"),
    "b": Column(kind="integer"),
    "c c": Column(kind="category"),
    "low": Column(kind="category", levels=("s", "m", "l"), ordered=True),
    "high": Column(kind="category", levels=("s", "m", "l"), ordered=True),
    "시작": Column(kind="date"),
    "끝": Column(kind="date"),
    "flag": Column(kind="boolean"),
    "y": Column(role="target", kind="category"),
}


def contract(*checks, **values):
    rules = tuple(Rule(check=text, **values) for text in checks)
    return Contract(columns=COLUMNS, rules=rules, min_rows=1)


@pytest.mark.parametrize(
    ("text", "when", "then"),
    [
        ("a <= b", [], [("a", "<=", "b", None)]),
        ("if `c c` = 'x' then a present", [("c c", "=", None, "x")], [("a", "present", None, None)]),
        ('`c c` in ["x", "y, z"] and a != -1.5', [], [("c c", "in", None, ["x", "y, z"]), ("a", "!=", None, -1.5)]),
        ("if flag == true then 시작 >= 2020-01-31", [("flag", "=", None, True)], [("시작", ">=", None, dt.datetime(2020, 1, 31))]),  # noqa: DTZ001
    ],
)  # fmt: skip
def test_a_check_is_read_into_conditions(text, when, then):
    found = [[(c.column, c.op, c.other, c.value) for c in part] for part in parsed(text)]
    assert found == [when, then]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a <=", "must go on with a column or a value, found 'the end'"),
        ("a b", "must go on with <= or >="),
        ("if a > 3", "must go on with then, found 'the end'"),
        ("a < 3 or b > 2", "must go on with and, or the end, found 'or'"),
        ("3 < a", "must go on with a column, found '3'"),
        ("a < €", "must go on with a column, a value or a comparison, found '€'"),
        ("z < 3", "must name columns of this contract, found 'z'"),
        ("a < 'x'", "'a' must be compared with a number, found 'x'"),
        ("a < 시작", "must compare cells of one kind, but 'a' is number and '시작' is date"),
        ("`c c` < 'x'", "'c c' must have levels and ordered = true to be compared by <"),
        ("low < 'xl'", "'xl' must be one of the levels of 'low'"),
    ],
)
def test_a_check_that_cannot_be_judged_is_refused_with_what_is_wrong(text, said):
    with pytest.raises(ValueError, match="check") as caught:
        contract(text)
    assert said in str(caught.value)


def test_two_rules_of_one_name_are_refused():
    with pytest.raises(ValueError, match=r"ids of their own, found 'check\.one' twice"):
        contract("a < b", "a < 3", id="one")


def frame():
    none = None
    return pd.DataFrame(
        {
            "a": [1.0, 3.0, np.nan, 2.0, 5.0, -1.0],
            "b": [2.0, 2.0, 2.0, 2.0, np.nan, 0.0],
            "c c": pd.Series(["x", "x", "y", none, "x", "y"], dtype="str"),
            "low": pd.Series(["s", "m", "l", "l", none, "s"], dtype="str"),
            "high": pd.Series(["m", "m", "m", none, "l", "?"], dtype="str"),
            "시작": pd.to_datetime(["2020-01-01", "2020-01-02", none, "2020-01-04", "2020-01-05", "2020-01-06"]),
            "끝": pd.to_datetime(["2020-01-02", "2020-01-01", "2020-01-03", none, "2020-01-05", "2020-01-05"]),
            "flag": [1.0, 0.0, np.nan, 1.0, 0.0, 1.0],
            "y": pd.Series(["p"] * 6, dtype="str"),
        }
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("a <= b", [1]),
        ("a = b", [0, 1, 5]),
        ("a != b", [3]),
        ("a > 1", [0, 5]),
        ("a in [1, 2, 3]", [4, 5]),
        ("a != 5", [4]),
        ("a present and b present", [2, 4]),
        ("a missing", [0, 1, 3, 4, 5]),
        ("if `c c` = 'x' then b present", [4]),
        ("if `c c` = 'x' and a > 2 then flag = true", [1, 4]),
        ("if a missing then `c c` != 'y'", [2]),
        ("low <= high", [2]),
        ("low < 'l'", [2, 3]),
        ("시작 <= 끝", [1, 5]),
        ("시작 > 2020-01-02", [0, 1]),
        ("시작 > '2020-01-02'", [0, 1]),
        ("시작 in [2020-01-01, 2020-01-02T00:00:00]", [3, 4, 5]),
        ("`c c` in ['x']", [2, 5]),
        ("low = high", [0, 2, 5]),
        ("flag = true", [1, 4]),
        ("if a > 100 then b > 100", []),
    ],
)
def test_both_engines_find_the_rows_that_break_a_check(text, rows):
    made = contract(text)
    rule = made.rules[0].rule_id
    result = check(frame(), made)
    assert result.row_failures.get(rule, np.array([])).tolist() == rows, result.full["results"]
    entries = [{"name": n, "kind": c.kind} for n, c in COLUMNS.items() if n != "y"]
    judged = served.judge(frame(), {"columns": entries, "rules": made.serving_rules()})
    assert np.flatnonzero(judged[rule]).tolist() == rows
    assert not [f for f in result.table_failures if "check" in f.rule]


def test_a_check_that_no_row_could_be_judged_by_says_so():
    result = check(frame(), contract("if a > 100 then b > 100"))
    entry = next(e for e in result.full["results"] if e["rule"].startswith("check."))
    assert (entry["vacuous"], entry["success"]) == (True, True)


def test_a_check_with_the_target_is_for_training_alone():
    made = contract("if y = 'p' then a present")
    assert "check" not in {rule["type"] for rule in made.serving_rules()}
    assert [rule["type"] for rule in made.row_rules("feature", "target")][-1] == "check"


def test_a_check_may_be_for_one_place_alone():
    made = Contract(
        columns=COLUMNS,
        rules=(Rule(check="a < 3", applies="training"), Rule(check="a < 4", applies="serving")),
    )
    assert [rule["text"] for rule in made.row_rules()[2:]] == ["a < 3"]
    assert [rule["text"] for rule in made.serving_rules()[2:]] == ["a < 4"]
