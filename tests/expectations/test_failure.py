from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expectations.failure import Example, Failure, describe, dumps, loads, located, shown, written


def failure(**values):
    base = {
        "rule": "age.range",
        "column": "age",
        "count": 12,
        "total": 1000,
        "message": "must hold",
    }
    return Failure(**{**base, **values})


@given(st.text(), st.integers(20, 100))
def test_a_shown_value_is_one_printable_line_within_its_limit_and_stable(text, limit):
    once = shown(text, limit)
    assert len(once) <= limit
    assert once == "" or once.isprintable()
    assert shown(once, limit) == once


@pytest.mark.parametrize("value", [None, float("nan"), np.nan, pd.NA, pd.NaT])
def test_missing_values_are_called_missing(value):
    assert shown(value) == "<missing>"


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0, "1"), (np.float64(-3), "-3"), (0.5, "0.5"), ("1.0", "1.0"), (1e300, "1e+300")],
)
def test_a_whole_number_is_written_without_a_fraction(value, text):
    assert shown(written(value)) == text


def test_the_text_nan_is_not_called_missing():
    assert shown("nan") == "nan"


def test_control_and_direction_characters_become_visible():
    assert shown("a\x1b[31m\n\u202eb") == "a\\x1b[31m\\n\\u202eb"


def test_a_huge_cell_is_cut_and_says_its_length():
    assert shown("x" * 10_000_000).endswith("... (10,000,000 characters)")


def test_korean_names_stay_readable():
    assert shown("나이") == "나이"


def test_failures_survive_json():
    given_ = [
        failure(
            column='나이"\n',
            count=np.int64(3),
            examples=(Example(row=int(np.int64(4)), value="a\n", source="b.csv"),),
        )
    ]
    assert loads(dumps(given_)) == given_


def test_no_more_than_five_examples_are_kept():
    examples = tuple(Example(row=i, value="x") for i in range(50))
    assert len(failure(examples=examples).examples) == 5


def test_the_description_names_rule_column_counts_place_and_advice():
    text = describe(
        [failure(examples=(Example(row=17, value="-4", source="a.csv"),), advice="do this")]
    )
    assert text.splitlines() == [
        "age.range, column age: 12 of 1,000",
        "    must hold",
        "    a.csv record 17: -4",
        "    ... and 11 more",
        "    -> do this",
    ]


def test_the_description_is_bounded_and_puts_critical_rules_first():
    many = [failure(severity="warning", count=900)] * 30 + [failure(rule="last", count=1)]
    lines = describe(many, cap=3).splitlines()
    assert lines[0].startswith("last")
    assert lines[-1] == "... and 28 more rules"


def test_hostile_names_and_messages_do_not_reach_the_terminal():
    text = describe([failure(column="a\x1b[2J", message="b\x07\nc", advice="d\x1b")])
    assert all(c.isprintable() for line in text.split("\n") for c in line)


def test_located_takes_source_and_record_from_the_table():
    frame = pd.DataFrame({"__source__": ["a", "b"], "__record__": [7, 9]})
    assert [str(e) for e in located(frame, [1], ["x"])] == ["b record 9: x"]
    assert [str(e) for e in located(pd.DataFrame({"a": [1, 2]}), [1], [None])] == [
        "record 2: <missing>"
    ]
