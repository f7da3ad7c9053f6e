"""Kinds, statistics, relations and suspicions of made-up tables with known answers."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from flows import relations
from flows.analyze import analyze
from flows.kinds import infer
from flows.spec import Spec
from flows.tables import write_parquet


def guess(cells, kind=None, dtype=object, **defaults):
    entry = {"name": "x", "missing": [""], **defaults}
    found, _, fault = infer(pd.Series(cells, dtype=dtype), entry, kind)
    return found, int((fault > 0).sum())


def profile(tmp_path, columns, target="y", task=None, **data):
    frame = pd.DataFrame(columns)
    frame = frame.assign(__source__="x", __record__=np.arange(1, len(frame) + 1), __given__=False)
    write_parquet(frame, tmp_path / "table.parquet")
    given = {"source": "x.csv", "target": target, **data}
    spec = Spec.model_validate({"name": "x", "task": task, "data": given})
    facts = analyze(spec, tmp_path / "table.parquet", tmp_path)
    found = json.loads((tmp_path / "profile.json").read_text("utf-8"))
    return facts, found, {column["name"]: column for column in found["columns"]}


DAYS = [f"{day:02d}" for day in range(1, 29)]


@pytest.mark.parametrize(
    ("cells", "kind", "keys"),
    [
        (["1", "2", "30"], "integer", {}),
        (["1", "2.5", "1e3"], "number", {}),
        (["41.0", "21.0"], "number", {}),
        (["1", "?", "3"], "integer", {"missing": ["", "?"]}),
        (["1.5", "NA", "n/a", "-", "null"], "number", {"missing": ["", "NA", "n/a", "-", "null"]}),
        (["1,5", "2,25"], "number", {"decimal": ",", "thousands": None}),
        (["1.234,5", "12,5"], "number", {"decimal": ",", "thousands": "."}),
        (["1,500", "1,234,567"], "number", {"decimal": ".", "thousands": ","}),
        (["1,500", "999"], "number", {"decimal": ".", "thousands": ","}),
        (["1 500", "20"], "number", {"thousands": " "}),
        (["yes", "No"], "boolean", {"true": ["yes"], "false": ["No"]}),
        (["예", "아니오", "?"], "boolean", {"true": ["예"], "missing": ["", "?"]}),
        (["0", "1"], "integer", {}),
        (["2020-01-02", "2020-01-02 03:04"], "date", {"format": None}),
        (["13/01/2020", "01/02/2020"], "date", {"format": "%d/%m/%Y"}),
        (["01/13/2020 05:06", "01/02/2020 00:00"], "date", {"format": "%m/%d/%Y %H:%M"}),
        (["3 May 2020", "10 May 2021"], "date", {"format": "%d %b %Y"}),
        (["2020년 01월 02일"] * 2, "date", {"format": "%Y년 %m월 %d일"}),
        ([f"202001{day}" for day in DAYS], "integer", {}),
        (["007", "008"], "category", {}),
        (["12345678901234567", "2"], "category", {}),
        (["a", "b", "?"], "category", {"missing": ["", "?"]}),
        (["KR", "NA", "US"], "category", {"missing": [""]}),
        (["5kg", "7kg"], "category", {}),
    ],
)
def test_the_kind_is_the_one_that_fits_every_cell(cells, kind, keys):
    found, faults = guess(cells)
    assert found.kind == kind
    assert faults == 0
    assert {key: found.entry.get(key) for key in keys} == keys


@pytest.mark.parametrize(
    ("cells", "formats"),
    [
        (["01/02/2020", "03/04/2020"], {"%d/%m/%Y", "%m/%d/%Y"}),
        (["01.02.20", "03.04.20"], {"%d.%m.%y"}),
    ],
)
def test_ambiguous_dates_are_listed_and_never_guessed(cells, formats):
    found, _ = guess(cells)
    assert found.kind == "category" if len(formats) > 1 else found.kind in {"category", "date"}
    if len(formats) > 1:
        assert set(found.formats) == formats
        assert "ambiguous_date" in found.flags


def test_a_mark_that_could_be_decimal_or_thousands_is_not_guessed():
    found, _ = guess(["1,500", "2,750"])
    assert (found.kind, found.flags) == ("category", ("ambiguous_number",))
    assert "decimal or a thousands mark" in found.hints[0]


def test_a_few_misfits_leave_a_number_column_flagged():
    found, faults = guess([*map(str, range(1, 100)), "5kg"])
    assert (found.kind, found.flags, faults) == ("number", ("mixed",), 1)
    assert '"5kg"' in found.hints[0]


def test_what_the_sample_does_not_show_is_found_in_all_cells():
    whole = [str(k) for k in range(20_001)]
    assert guess([*whole, "2.5"])[0].kind == "number"
    assert guess([*whole, "?"])[0].entry["missing"] == ["", "?"]
    assert guess([*whole[:-1], "007", "1"])[0].kind == "category"
    late, faults = guess([*whole, "x"])
    assert (late.kind, late.flags, faults) == ("number", ("mixed",), 1)


def test_the_settings_decide_the_kind_and_the_rest_is_found():
    found, _ = guess(["13/01/2020", "01/02/2020"], kind="date")
    assert found.entry["format"] == "%d/%m/%Y"
    found, faults = guess(["01/02/2020"], kind="date")
    assert (found.kind, faults, len(found.formats)) == ("date", 1, 2)
    assert guess(["1", "2"], kind="category")[0].kind == "category"
    assert guess(["1", "2"], kind="number")[0].entry["kind"] == "number"


@pytest.mark.parametrize(
    ("dtype", "kind"),
    [("int64", "integer"), ("float64", "number"), ("Int64", "integer"), ("bool", "boolean"),
     ("boolean", "boolean"), ("datetime64[ns]", "date"), ("category", "integer")],
)  # fmt: skip
def test_typed_sources_say_their_kind(dtype, kind):
    values = [1, 0, 1] if "date" not in dtype else pd.to_datetime(["2020-01-01"] * 3)
    assert guess(values, dtype=dtype)[0].kind == kind


ROWS = 400


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    random = np.random.default_rng(0)
    label = random.integers(0, 2, ROWS)
    strong = label + random.normal(0, 0.3, ROWS)
    columns = {
        "no": [str(k) for k in range(1, ROWS + 1)],
        "name": [f"person {k * 7919 % 100_003}" for k in range(ROWS)],
        "strong": [f"{value:.4f}" for value in strong],
        "noise": [
            f"{value:.4f}" if k % 10 else "" for k, value in enumerate(random.normal(0, 1, ROWS))
        ],
        "twin": [f"{2 * value + 1:.4f}" for value in strong],
        "도시": random.choice(["서울", "부산", "대구"], ROWS, p=[0.6, 0.3, 0.1]).tolist(),
        "copy": np.where(label == 1, "j", "n").tolist(),
        "same": ["x"] * ROWS,
        "blank": [""] * ROWS,
        "when": (np.datetime64("2020-01-01") + np.arange(ROWS)).astype(str).tolist(),
        "y": np.where(label == 1, "yes", "no").tolist(),
    }
    frame = pd.DataFrame(columns)
    frame = pd.concat([frame, frame.iloc[:5]], ignore_index=True)
    folder = tmp_path_factory.mktemp("people")
    return profile(folder, frame)


def test_every_column_has_its_kind_and_role(people):
    facts, found, columns = people
    assert {name: column["kind"] for name, column in columns.items()} == {
        "no": "integer", "name": "text", "strong": "number", "noise": "number", "twin": "number",
        "도시": "category", "copy": "category", "same": "ignored", "blank": "ignored",
        "when": "date", "y": "category",
    }  # fmt: skip
    assert columns["y"]["role"] == "target"
    assert columns["blank"]["seen"] == "empty"
    labels = ", ".join(label for label, _ in found["target"]["classes"])
    assert set(labels.split(", ")) == {"yes", "no"}
    assert found["task"] == {
        "task": "binary",
        "given": False,
        "reason": f"the target has 2 labels: {labels}",
    }
    assert facts["rows"] == ROWS + 5
    assert found["text"] is True


def test_statistics_match_pandas(people):
    _, _, columns = people
    noise = columns["noise"]
    assert noise["missing"] == 41
    assert noise["tokens"] == {"": 41}
    assert noise["quantiles"]["0.5"] == pytest.approx(0, abs=0.2)
    assert noise["min"] < noise["quantiles"]["0.01"] < noise["quantiles"]["0.99"] < noise["max"]
    assert noise["negatives"] + noise["zeros"] < ROWS
    levels = dict(columns["도시"]["levels"])
    assert sum(levels.values()) == ROWS + 5
    assert columns["도시"]["levels"][0][0] == "서울"
    assert columns["도시"]["length"] == {"min": 2, "max": 2}
    assert columns["when"]["min"] == "2020-01-01"
    assert columns["when"]["mean"] is None


def test_histograms_count_every_cell_once_in_at_most_twenty_bins(people):
    for column in people[2].values():
        histogram = column["histogram"]
        if histogram and "edges" in histogram:
            assert len(histogram["edges"]) == len(histogram["counts"]) + 1 <= 21
            total = sum(histogram["counts"]) + histogram["below"] + histogram["above"]
            assert total == ROWS + 5 - column["missing"]
        elif histogram:
            assert sum(histogram["counts"]) + histogram["other"] == ROWS + 5


def test_association_is_high_where_there_is_one_and_low_where_not(people):
    columns = people[2]
    assert columns["strong"]["association"] > 0.8
    assert columns["strong"]["alone"]["value"] > 0.9
    assert columns["noise"]["association"] < 0.3
    assert columns["y"]["association"] is None
    assert columns["name"]["association"] is None


def test_suspicions_name_the_column_and_the_gravest_comes_first(people):
    _, found, columns = people
    alarms = {(alarm["kind"], alarm["column"]) for alarm in found["alarms"]}
    assert found["alarms"][0]["kind"] == "target_copy"
    assert found["alarms"][0]["column"] == "copy"
    assert {
        ("duplicate_rows", None),
        ("empty", "blank"),
        ("constant", "same"),
        ("no_id", None),
    } <= alarms
    assert "leak" in columns["copy"]["flags"]
    assert [columns[name]["suggest"] for name in ("name", "same", "strong")] == [
        "drop",
        "drop",
        None,
    ]


def test_pairs_and_duplicates_are_counted(people):
    _, found, _ = people
    pair = next(pair for pair in found["pairs"] if {pair["a"], pair["b"]} == {"strong", "twin"})
    assert pair["correlation"] == pytest.approx(1)
    assert found["duplicates"]["rows"] == 5
    assert found["duplicates"]["features"] == 5
    assert found["duplicates"]["conflicting"] == 0


def test_the_profile_is_strict_json(people, tmp_path):
    _, found, _ = people
    json.dumps(found, allow_nan=False)


def test_row_numbers_identifiers_twins_and_conflicts(tmp_path):
    label = ["a", "b"] * 50
    columns = {"no": [str(k) for k in range(100)], "key": [f"{k * 37 % 101 + 100_000}" for k in range(100)],
               "one": ["x"] * 50 + ["z"] * 50, "two": ["x"] * 50 + ["z"] * 50, "y": label}  # fmt: skip
    _, found, by_name = profile(tmp_path, columns, drop=["no", "key"])
    assert "row_number" in by_name["no"]["flags"]
    assert "identifier" in by_name["key"]["flags"]
    assert found["duplicates"]["columns"] == [["one", "two"]]
    assert found["duplicates"]["rows"] == 0
    assert found["duplicates"]["features"] == 98
    assert found["duplicates"]["conflicting"] == 100


@pytest.mark.parametrize(
    ("cells", "task", "expected"),
    [(["1", "2"] * 50, None, ("binary", "integer")), (["1", "2", "3"] * 50, None, ("multiclass", "integer")),
     ([str(k) for k in range(100)], None, ("regression", None)), (["1.5", "2.5"] * 50, None, ("regression", None)),
     ([str(k % 30) for k in range(300)], None, ("regression", None)), (["1", "2"] * 50, "regression", ("regression", None)),
     (["0.0", "1.0"] * 50, None, ("binary", "integer")), (["x", "X.", "y"] * 50, None, ("multiclass", "text")),
     ([True, False] * 50, None, ("binary", "boolean"))],
)  # fmt: skip
def test_the_task_follows_from_the_target(tmp_path, cells, task, expected):
    _, found, columns = profile(
        tmp_path, {"a": [str(k % 7) for k in range(len(cells))], "y": cells}, task=task
    )
    assert found["task"]["task"] == expected[0]
    assert found["target"].get("label_kind") == expected[1]
    assert columns["y"]["kind"] == ("number" if expected[0] == "regression" else "category")
    if "x" in cells:
        assert found["target"]["near_labels"] == [["x", "X."]] or found["target"][
            "near_labels"
        ] == [["X.", "x"]]


def test_a_heavy_tailed_target_gets_a_hint(tmp_path):
    values = np.exp(np.random.default_rng(0).normal(0, 1.5, 300))
    columns = {"a": [f"{v + 1:.3f}" for v in values], "y": [f"{v:.4f}" for v in values]}
    _, found, by_name = profile(tmp_path, columns)
    assert found["target"]["log_hint"] is True
    assert by_name["a"]["alone"] == {"measure": "r2", "value": pytest.approx(1)}
    assert "leak" in by_name["a"]["flags"]


def test_a_table_without_rows_or_target_is_profiled(tmp_path):
    _, found, by_name = profile(tmp_path, {"a": ["1", "2"], "b": ["x", "y"]}, target="gone")
    assert found["target"] is None
    assert by_name["a"]["association"] is None
    empty = {"a": pd.Series([], dtype="str"), "y": pd.Series([], dtype="str")}
    _, found, by_name = profile(tmp_path, empty)
    assert (found["rows"], by_name["a"]["kind"]) == (0, "ignored")


def test_areas_under_the_curve_match_counting():
    target, scores = np.array([0, 1, 1, 0, 1]), np.array([0.1, 0.9, 0.4, 0.4, 0.8])
    wins = [(p > n) + 0.5 * (p == n) for p in scores[target == 1] for n in scores[target == 0]]
    assert relations.auc(scores, target) == pytest.approx(np.mean(wins))


def test_chance_is_not_an_association():
    random = np.random.default_rng(1)
    bins = random.integers(0, 200, 1_000)
    assert relations.association(bins, random.integers(0, 2, 1_000), 2) < 0.15
    assert relations.alone(bins, bins, random.integers(0, 2, 1_000), 2)[1] < 0.6
    assert relations.association(bins, random.normal(size=1_000), 0) < 0.25
