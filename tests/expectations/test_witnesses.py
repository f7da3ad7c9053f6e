"""A few cells answer for a column, and counts say whether another look is needed."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from expectations.check import check
from expectations.column import Column
from expectations.contract import Contract
from expectations.witnesses import look, looks, side_by_side, together


def test_the_ends_of_numbers_and_dates_and_each_distinct_text_are_kept():
    numbers = look(pd.Series([3.0, np.nan, -1.0, 3.0]), ends=True)
    assert (numbers.missing, numbers.cells.tolist(), numbers.same, numbers.other) == (
        1,
        [-1, 3],
        2,
        1,
    )
    days = look(pd.Series(pd.to_datetime(["2020-02-01", None, "2019-01-01"])), ends=True)
    assert days.cells.dt.year.tolist() == [2019, 2020]
    texts = look(pd.Series(["b", None, "a", "b"], dtype="str"), ends=True)
    assert (texts.missing, texts.cells.tolist(), texts.same, texts.other) == (1, ["b", "a"], 2, 1)
    assert look(pd.Series([2.0, 1.0, 2.0]), ends=False).cells.tolist() == [1.0, 2.0]


def test_a_look_knows_what_is_left_without_some_rows_or_says_that_it_does_not():
    seen = look(pd.Series([1.0, 1.0, 1.0, 2.0]), ends=True)
    assert seen.is_left(3) is True
    assert seen.is_left(4) is None
    assert seen.varies(0) is True
    assert seen.varies(1) is None
    assert look(pd.Series([1.0, 1.0]), ends=True).varies(0) is False
    assert look(pd.Series([np.nan, np.nan]), ends=True).is_left(0) is False


def test_columns_of_many_witnesses_are_judged_alone():
    frame = pd.DataFrame({f"c{i}": np.arange(3_000.0) for i in range(20)})
    found = looks(frame, {name: {"range"} if name != "c7" else {"levels"} for name in frame})
    groups = list(together(list(frame), found))
    assert [len(group) for group in groups] == [16, 3, 1]
    assert groups[-1] == ["c7"]
    part = side_by_side({"a": found["c1"], "b": found["c7"]})
    assert part["a"].iloc[[0, 1, -1]].tolist() == [0.0, 2_999.0, 2_999.0]


@pytest.mark.parametrize("strict", [False, True])
def test_a_single_bad_cell_among_many_is_found_wherever_it_is(strict):
    frame = pd.DataFrame(
        {
            "n": np.linspace(0, 1, 5_000),
            "d": pd.date_range("2020-01-01", periods=5_000, freq="h"),
            "c": pd.Series(["a", "b"] * 2_500, dtype="str"),
            "y": 1.0,
        }
    )
    frame.loc[3_210, "n"] = 1.5
    frame.loc[1_234, "d"] = pd.Timestamp("2031-01-01")
    frame.loc[4_999, "c"] = "z"
    contract = Contract(
        columns={
            "n": Column(kind="number", min=0 if not strict else -1, max=1.5, strict_max=strict),
            "d": Column(kind="date", max=date(2030, 1, 1)),
            "c": Column(kind="category", levels=("a", "b"), present=True),
            "y": Column(role="target", kind="number"),
        }
    )
    found = check(frame, contract).row_failures
    expected = {"d.range": [1_234], "c.levels": [4_999]} | ({"n.range": [3_210]} if strict else {})
    assert {rule: rows.tolist() for rule, rows in found.items()} == expected
