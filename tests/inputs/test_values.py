"""Inputs 47-69: cells and types."""

import json

import numpy as np
import pandas as pd
from inputs_page import numbered, table_of
from small_tables import cells, good

from flows.errors import DataRefused
from models.served import read_column


def profile(case):
    (path,) = case.folder.glob(".penstock/cache/analyze/*/profile.json")
    return {c["name"]: c for c in json.loads(path.read_text())["columns"]}


BROKEN_CELLS = {
    "49 infinity": ("size", ["inf", "1e400"], ["size", "inf"]),
    "50 an integer beyond 2^64": ("size", ["99999999999999999999999", "-inf"], ["size", "99999"]),
    "54 an unknown token for a flag": ("flag", ["perhaps", "maybe"], ["flag", "perhaps"]),
    "56 words among numbers": ("size", ["tall", "short"], ["size", "tall", "number"]),
    "63 units": ("size", ["5kg", "7 kg"], ["size", "5kg", "units after the number: set unit"]),
    "63 currency signs": ("size", ["$5", "€ 7.50"], ["size", "$5", "currency signs: set unit"]),
    "63 percent signs": ("size", ["5%", "7.5 %"], ["size", "5%", "percent signs: set unit"]),
    "59 a date in another format": (
        "day",
        ["31/01/2024", "01/31/2024"],
        ["day", "31/01/2024", "say which is the day", "format"],
    ),
    "60 Excel's serial dates": ("day", ["44197", "44198"], ["day", "44197", "Excel serial dates"]),
    "61 the years 1 and 9999": (
        "day",
        ["0001-01-01", "9999-12-31"],
        ["day", "outside the years 1678 to 2261"],
    ),
    "58 a time zone in some dates": (
        "day",
        ["2024-01-01T00:00:00+09:00", "2024-01-02T00:00:00Z"],
        ["day", "no time zone where the rest of the column has one, or the other way round"],
    ),
}


@table_of(BROKEN_CELLS, "column", "values", "said")
def test_cells_that_break_the_contract_are_refused_with_rows_and_values(case, column, values, said):
    case.agreed().write_good(cells(column, *values))
    message = case.refusal(DataRefused)
    for word in said:
        assert word in message
    assert f"column {column}: 2 of 80" in message
    assert f"table.csv record 1: {values[0]}" in message
    assert "    -> " in message


def test_a_few_bad_rows_are_set_aside_and_counted(case):
    case.data = "max_fraction = 0.05"
    case.agreed().write_good(cells("size", "tall", "short"))
    assert case.check()["quarantined"] == 2


@numbered("47 a column without a value")
def test_47_a_column_without_values_is_left_out_and_said(case):
    facts = case.write_good(cells("size", "", every=True)).check()
    assert facts["left_out"] == {"size": "no cell has a value"}
    contract = (case.folder / "case.contract.toml").read_text("utf-8")
    assert 'role = "ignored"' in contract  # so the model does not ask for it
    case.handled(
        f"left out: size ({facts['left_out']['size']}); the contract says so, and serving agrees"
    )


@numbered("48 rows without a target")
def test_48_missing_targets_are_refused_with_their_number(case):
    message = case.write_good(cells("grade", "", "", "")).refusal(DataRefused)
    assert "grade.present, column grade: 3 of 80" in message
    assert "table.csv record 3: <missing>" in message
    assert "leave out rows without a target" in message


@numbered("51 integers beyond 2^53")
def test_51_an_integer_that_a_double_cannot_hold_is_refused(case):
    case.agreed().write_good(cells("size", "9007199254740993", "9007199254740995"))
    message = case.refusal(DataRefused)
    assert "9007199254740993" in message


@numbered("52 leading zeros")
def test_52_leading_zeros_are_kept(case):
    def change(header, records):
        header.insert(0, "code")
        for i, record in enumerate(records):
            record.insert(0, f"00{i % 7}")

    case.write_good(change).check()
    code = profile(case)["code"]
    assert code["kind"] == "category"
    assert code["levels"][0][0].startswith("00")
    case.handled(f"kept as text: {code['hints'][0]}")


TOKENS = {
    "53 NA as a level": ("NA",),
    "53 None as a level": ("None",),
    "53 null as a level": ("null",),
}


@table_of(TOKENS, "token")
def test_a_token_is_missing_only_where_the_settings_say_so(case, token):
    case.write_good(cells("colour", token, "red", "blue", every=True)).check()
    colour = profile(case)["colour"]
    assert token in [level for level, _ in colour["levels"]]
    assert colour["missing"] == 0
    case.handled(colour["hints"][0])


@numbered("53 NA declared as missing")
def test_53_a_declared_token_is_missing_and_counted(case):
    case.data = 'missing = ["", "NA"]'
    case.write_good(cells("colour", "NA", "red", "", "blue", every=True)).check()
    colour = profile(case)["colour"]
    assert colour["missing"] == 40
    assert colour["tokens"] == {"": 20, "NA": 20}
    case.handled(f"missing, and counted by token: {json.dumps(colour['tokens'])}")


FLAGS = {
    "54 flags as True, False": ("True", "False"), "54 flags as yes, no": ("yes", "no"),
    "54 flags as 1, 0": ("1", "0"), "54 flags as Y, N": ("Y", "N"),
}  # fmt: skip


@table_of({key: (words,) for key, words in FLAGS.items()}, "words")
def test_the_usual_words_of_a_flag_are_read(case, words):
    case.write_good(cells("flag", *words, words[0], every=True))
    assert case.check()["quarantined"] == 0
    flag = profile(case)["flag"]
    case.handled(f"read as {flag['kind']}: {flag['reason']}")


@numbered("55 a flag with missing cells")
def test_55_a_flag_may_have_missing_cells(case):
    case.write_good(cells("flag", "yes", "no", "", every=True)).check()
    flag = profile(case)["flag"]
    assert flag["kind"] == "boolean"
    assert flag["missing"] > 20
    case.handled(f"a flag with {flag['missing']} missing cells stays a flag")


@numbered("57 dates of several time zones")
def test_57_dates_of_several_zones_are_one_instant_in_utc(case):
    days = [
        f"2024-01-{1 + i:02d}T09:00:00{zone}" for i, zone in enumerate(["+09:00", "Z", "-05:00"])
    ]
    facts = case.write_good(cells("day", *days, every=True)).check()
    assert facts["quarantined"] == 0
    typed, bad = read_column(pd.Series(days), {"name": "day", "kind": "date"})
    assert typed.dt.hour.tolist() == [0, 9, 14]
    assert not bad.any()
    day = profile(case)["day"]
    assert day["max"] == "2024-01-03T14:00:00"
    case.handled(f"read as instants and kept in UTC: 2024-01-03T09:00:00-05:00 is {day['max']}")


@numbered("62 local times in the hour that is skipped or repeated")
def test_62_local_times_are_kept_as_they_are_written(case):
    gap, twice = "2024-03-31T02:30:00", "2024-10-27T02:30:00"
    typed, bad = read_column(pd.Series([gap, twice]), {"name": "day", "kind": "date"})
    assert [str(value) for value in typed] == [gap.replace("T", " "), twice.replace("T", " ")]
    assert not bad.any()
    facts = case.write_good(cells("day", gap, twice, every=True)).check()
    assert facts["quarantined"] == 0
    case.documented(
        "a time without a zone is what the clock showed: it is neither moved nor refused in the hour that "
        "is skipped or repeated; write times with their offset where that hour matters"
    )


@numbered("64 a cell of 10 MB")
def test_64_a_cell_beyond_all_reason_is_refused(case):
    case.write_good(cells("colour", "x" * 10_000_000))
    message = case.refusal(DataRefused)
    assert "table.csv record 1" in message
    assert "at most 1,000,000 bytes" in message
    assert len(message) < 2_000


@numbered("65 values where none can be")
def test_65_values_outside_the_agreed_range_are_listed_and_counted(case):
    case.agreed()
    path = case.folder / "case.contract.toml"
    text = path.read_text("utf-8")
    head, mark, rest = text.partition('[columns."size"]')
    severity = f'{mark}\nseverity = {{ range = "critical" }}'
    path.write_text(head + severity + rest, "utf-8")
    case.write_good(cells("size", "-40", "-1", "99999"))
    message = case.refusal(DataRefused)
    assert "size.range, column size: 3 of 80" in message
    assert "table.csv record 1: -40" in message


@numbered("66 JSON in the cells of a text file")
def test_66_a_list_in_a_cell_of_text_stays_text(case):
    case.write_good(cells("colour", '"[1, 2]"', '"{""a"": 1}"', every=True)).check()
    colour = profile(case)["colour"]
    assert [level for level, _ in colour["levels"]] == ["[1, 2]", '{"a": 1}']
    case.documented(
        "the text of the cell is a level like any other; take it apart where the table is made"
    )


@numbered("66 lists in a column of a Parquet file")
def test_66_a_nested_column_is_refused(case):
    header, records = good()
    frame = pd.DataFrame(records, columns=header).assign(colour=[[1, 2]] * len(records))
    frame.to_parquet(case.folder / "table.parquet")
    case.source = "table.parquet"
    message = case.refusal(DataRefused)
    assert "table.parquet" in message
    assert "one value per cell, colour holds list" in message


PICKLES = {
    "67 a pickle": ("table.pkl", b"\x80\x05\x95\x04\x00\x00\x00"),
    "67 a pickle named .csv": ("table.csv", b"\x80\x05\x95\x04\x00\x00\x00"),
}


@table_of(PICKLES, "name", "content")
def test_what_runs_code_when_it_is_read_is_refused(case, name, content):
    case.source = name
    (case.folder / name).write_bytes(content)
    message = case.refusal(DataRefused)
    assert name in message
    assert "a pickle, which runs code when it is read" in message


@numbered("68 float32 beside float64")
def test_68_the_width_of_numbers_is_recorded(case):
    header, records = good()
    frame = pd.DataFrame(records, columns=header)
    sizes = np.array([record[0] for record in records], dtype=np.float32)
    frame.assign(size=sizes).to_parquet(case.folder / "table.parquet")
    case.source = "table.parquet"
    case.check()
    assert profile(case)["size"]["dtype"] == "float32"
    typed, _ = read_column(pd.Series(sizes), {"name": "size", "kind": "number"})
    assert typed.dtype == np.float64
    assert np.array_equal(typed.to_numpy(np.float32), sizes)
    case.documented(
        "the width is recorded (dtype float32); every number is widened to 64 bits without loss, so 0.1 as "
        "float32 is 0.10000000149 and differs from the 0.1 of a text: answers agree within 1e-5"
    )


@numbered("69 NaN, None, empty and blank cells")
def test_69_every_missing_cell_is_one_and_the_same(case):
    (case.folder / "source.py").write_text(MISSING_CELLS, encoding="utf-8")
    case.source = "source.py:table"
    case.check()
    colour, size = profile(case)["colour"], profile(case)["size"]
    assert (colour["missing"], size["missing"]) == (60, 40)
    assert profile(case)["weight"]["missing"] == 0
    assert colour["tokens"] == {"": 40, "<null>": 20}
    case.handled(
        f"all are missing, counted by what they were: {json.dumps(colour['tokens'])} (blanks count as empty)"
    )


MISSING_CELLS = """
import pandas as pd


def table():
    return pd.DataFrame({
        "colour": ["red", None, "", "  "] * 20,
        "size": [1.5, float("nan"), 2.5, None] * 20,
        "weight": [float(k * 37 % 101) for k in range(80)],
        "grade": ["good", "bad", "bad", "good", "good"] * 16,
    })
"""
