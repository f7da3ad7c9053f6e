"""Ingest (through Great Expectations) and the served model judge the same rows by the same rules."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict

import numpy as np
import pandas as pd
import pytest

from expectations.check import check
from expectations.column import Column
from expectations.contract import Contract
from expectations.cross import Rule
from flows.quarantine import offences
from models import served

ROWS = 10_000
NAMES = ["n", "N.x", "정수", "b", "city; town", "grade", "limit", "code", "t", "t2", "z"]
CONTRACT = Contract(
    accepted=True,
    min_rows=1,
    columns={
        "n": Column(kind="number", min=-1.5, max=1e6, strict_min=True, missing=("?", "-999")),
        "N.x": Column(kind="number", min=0, decimal=",", thousands=".", severity="warning"),
        "정수": Column(kind="integer", min=-3, max=9007199254740992, present=True),
        "b": Column(kind="boolean", true=("예", "yes"), false=("아니오", "no")),
        "city; town": Column(kind="category", levels=("a", "가", "é", "x y"), present=True),
        "grade": Column(kind="category", levels=("low", "mid", "high"), ordered=True),
        "limit": Column(kind="category", levels=("low", "mid", "high"), ordered=True),
        "code": Column(
            kind="category", min_length=2, max_length=5, alphabet="0-9A-Z-", pattern=r"[A-Z]\w*.?"
        ),
        "t": Column(kind="date", min=dt.date(2000, 1, 1), max=dt.date(2020, 2, 29), zone="naive"),
        "t2": Column(kind="date", format="%d/%m/%Y", present=True, severity={"present": "warning"}),
        "z": Column(kind="date", zone="aware", max=dt.datetime(2020, 1, 1, tzinfo=dt.UTC)),
        "y": Column(role="target", kind="category"),
    },
    rules=(
        Rule(check="n <= `N.x`"),
        Rule(check="t < t2", severity="warning"),
        Rule(check="grade <= limit", id="within"),
        Rule(check="if b = true and 정수 > 2 then code present and n != 3"),
        Rule(check="if `city; town` in ['a', '가'] then t >= 2010-06-01"),
        Rule(check="if code missing then z missing", applies="both"),
        Rule(check="정수 in [0, 1, 2, 3, 4, 5, 6]", severity="warning"),
    ),
)  # fmt: skip

NUMBERS = [
    *(
        "1",
        "-1.5",
        "-1.4999999999999998",
        "1e6",
        "1000000.0000000001",
        "3",
        "3.0",
        "-999",
        "-999.0",
    ),
    *(
        "?",
        "",
        " ",
        "nan",
        "inf",
        "-inf",
        "1e400",
        "0x10",
        "1_0",
        "１",
        "--1",
        "1,5",
        "abc",
        "-0",
        "1e-320",
    ),
]
COMMAS = [
    "1,5",
    "1.234,5",
    "1.23",
    "1.2345",
    "-1,0",
    "0",
    "1.000",
    ",5",
    "5,",
    "1,5,6",
    "",
    "x",
    "1e3",
]
WHOLE = [
    "0",
    "1",
    "2",
    "3",
    "4.0",
    "4.5",
    "-3",
    "-4",
    "7",
    "9007199254740992",
    "9007199254740993",
    "",
    "1e3",
    "x",
]
WORDS = ["yes", "no", "YES", "예", "아니오", "1", "0", "true", "", "maybe", "yes "]
CITIES = [
    "a",
    "가",
    "가",
    "é",
    "é",
    "x y",
    "x  y",
    "A",
    "a ",
    "b",
    "",
    "<b>",
    "a\x00",
    "NaN",
    "None",
    "1.0",
]
LEVELS = ["low", "mid", "high", "", "LOW", "top", "low\n"]
CODES = [
    *(
        "A1",
        "AB-1",
        "A",
        "ABCDEF",
        "a1",
        "A1\n",
        "A1\r\n",
        "\nA1",
        "A 1",
        "Ａ1",
        "A１",
        "A٣",
        "Aé",
        "Aß",
    ),
    *("A\u200b", "A-", "1A", "", "ABCD\u0301", "A\U0001f600", "A.1", "A1$", "^A1", "A]", "A\\"),
]
DATES = [
    *(
        "2000-01-01",
        "1999-12-31",
        "2020-02-29",
        "2020-02-29T23:59:59.999999",
        "2020-03-01",
        "2021-02-29",
    ),
    *(
        "2010-06-01 00:00",
        "2010-05-31T23:59:59Z",
        "2010-06-01T00:00:00+09:00",
        "9999-12-31",
        "0001-01-01",
    ),
    *("today", "20100101", "", "2010-6-1", "2010-06-01T25:00", "1677-01-01"),
]
SLASHES = [
    "29/02/2020",
    "30/02/2020",
    "01/01/2000",
    "1/1/2000",
    "31/12/2019",
    "2020-01-01",
    "",
    "x",
    "01/01/99",
]
ZONED = ["2019-12-31T23:59:59Z", "2020-01-01T00:00:00Z", "2020-01-01T08:59:59+09:00", "2020-01-01T09:00:01+09:00",
         "2019-01-01", "", "2020-01-01T00:00:00-00:01", "nonsense"]  # fmt: skip
CELLS = dict(
    zip(
        NAMES,
        [NUMBERS, COMMAS, WHOLE, WORDS, CITIES, LEVELS, LEVELS, CODES, DATES, SLASHES, ZONED],
        strict=True,
    )
)


def hostile(seed):
    draw = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            name: pd.Series(np.array(cells, dtype=object)[draw.integers(len(cells), size=ROWS)], dtype="str")
            for name, cells in CELLS.items()
        }
    )  # fmt: skip
    for name in NAMES:  # cells that are not there at all, beside those that are empty
        frame.loc[draw.random(ROWS) < 0.05, name] = None
    return frame


def schema(rules):
    entries = []
    for name, column in CONTRACT.columns.items():
        if column.role == "feature":
            keys = ("kind", "missing", "decimal", "thousands", "format", "zone", "true", "false")
            entries.append({"name": name} | {k: v for k in keys if (v := getattr(column, k))})
    target = {"name": "y", "kind": "category"}
    return {"missing": [""], "columns": entries, "target_column": target, "rules": rules}


def by_row(found, rows):
    rules = defaultdict(set)
    for rule, places in found:
        for place in places:
            rules[int(place)].add(rule)
    return [sorted(rules[row]) for row in range(rows)]


def at_ingest(frame):
    reading = schema(CONTRACT.serving_rules())
    typed, untypable = served.read(frame, reading)
    typed["y"] = pd.Series(["p"] * len(typed), dtype="str")
    result = check(typed, CONTRACT)
    assert not [f.message for f in result.table_failures if "could not be evaluated" in f.message]
    found = [
        o
        for o in offences(CONTRACT, reading, typed, untypable, result.row_failures)
        if o.rule != "row.empty"
    ]
    return {
        severity: by_row([(o.rule, o.rows) for o in found if o.severity == severity], len(frame))
        for severity in ("critical", "warning")
    }


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_ingest_and_the_served_model_give_the_same_rule_ids_on_hostile_rows(seed):
    frame = hostile(seed)
    ingest, found = at_ingest(frame), served.check(frame, schema(CONTRACT.serving_rules()))
    for severity, column in (("critical", "broken"), ("warning", "warned")):
        answers = [sorted(rules) for rules in found[column]]
        different = [
            (row, frame.iloc[row].to_dict(), ingest[severity][row], answers[row])
            for row in range(ROWS)
            if ingest[severity][row] != answers[row]
        ]
        assert not different, different[:3]
    seen = {rule for rules in found["broken"] for rule in rules}
    warned = {rule for rules in found["warned"] for rule in rules}
    wanted = {rule["id"] for rule in CONTRACT.serving_rules()}
    assert seen | warned >= wanted
    assert {f"{name}.type" for name in ("n", "N.x", "정수", "b", "t", "t2", "z")} <= seen


@pytest.mark.slow
def test_rows_are_judged_alike_one_by_one_in_small_and_in_large_frames():
    frame = hostile(2)
    reader = served.Reader(schema(CONTRACT.serving_rules()))
    whole = served.check(frame, reader)
    head = frame.iloc[:300]
    single = [served.check(head.iloc[[row]], reader) for row in range(len(head))]
    few = [served.check(head.iloc[at : at + 50], reader) for at in range(0, len(head), 50)]
    for parts in (single, few):
        joined = pd.concat(parts, ignore_index=True)
        pd.testing.assert_frame_equal(joined, whole.iloc[: len(head)])
