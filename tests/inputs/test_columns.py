"""Inputs 31-46: names and columns."""

import json
import re
import tomllib
import unicodedata

import pandas as pd
import pytest
from inputs_page import numbered, table_of
from small_tables import as_csv, good

from flows.errors import DataRefused, SettingsError


def renamed(**names):
    def change(header, _):
        header[:] = [names.get(name, name) for name in header]

    return change


def added(name, value):
    def change(header, records):
        header.insert(0, name)
        for i, record in enumerate(records):
            record.insert(0, value(i))

    return change


def profile(case):
    (path,) = case.folder.glob(".penstock/cache/analyze/*/profile.json")
    return {c["name"]: c for c in json.loads(path.read_text("utf-8"))["columns"]}


NFC, NFD = unicodedata.normalize("NFC", "é"), unicodedata.normalize("NFD", "é")

REFUSED = {
    "31 duplicate names": (
        renamed(colour="size"),
        ["table.csv", "size stands twice in the header (columns 1 and 2)"],
    ),
    "32 an empty name": (
        renamed(colour=""),
        ["table.csv", "column 2 of the header has none", "data.names"],
    ),
    "33 names that are one without blanks": (
        renamed(colour=" size "),
        ["table.csv", "size is visually identical twice"],
    ),
    "35 names that look alike": (
        renamed(size=NFC, colour=NFD),
        ["table.csv", "visually identical"],
    ),
    "38 a reserved name": (renamed(colour="__row__"), ["table.csv", "__row__", "reserved"]),
    "39 a name of 10,000 characters": (
        renamed(colour="x" * 10_000),
        ["table.csv", "at most 200 characters", "(10,000 characters)"],
    ),
}


@table_of(REFUSED, "change", "said")
def test_a_bad_header_is_refused(case, change, said):
    message = case.write_good(change).refusal(DataRefused)
    for word in said:
        assert word in message
    assert len(message) < 3000


@numbered("32 an unnamed first column")
def test_32_an_unnamed_first_column_gets_a_name_and_is_reported(case):
    case.write_good(added("", str)).check()
    facts = next(case.folder.glob(".penstock/cache/load/*/load.json")).read_text()
    renames = json.loads(facts)["renamed"]
    assert renames == {"": "column_1"}
    case.handled(f"the row names of pandas and R: reported as renamed = {json.dumps(renames)}")


@numbered("33 blanks around a name")
def test_33_blanks_around_a_name_are_taken_off_and_reported(case):
    case.write_good(renamed(colour=" colour ")).check()
    facts = next(case.folder.glob(".penstock/cache/load/*/load.json")).read_text()
    renames = json.loads(facts)["renamed"]
    assert renames == {" colour ": "colour"}
    case.handled(f"taken off and reported: renamed = {json.dumps(renames)}")


NAMES = {
    "34 a Hangul name": ("색깔",), "34 an emoji as name": ("🎨",), "34 a right-to-left name": ("لون",),
    "34 a comma in a name": ("a,b",), "38 a feature called index": ("index",),
    "38 a feature called SELECT": ("SELECT",), "38 HTML as name": ("<b>x</b>",),
    "38 a name with brackets": ("t[0]",),
}  # fmt: skip


@table_of(NAMES, "name")
def test_names_in_any_script_and_hostile_names_are_ordinary(case, name):
    quoted = f'"{name}"' if "," in name else name
    facts = case.write_good(renamed(colour=quoted)).check()
    assert facts["rows"] == 80
    assert name in tomllib.loads((case.folder / "case.contract.toml").read_text("utf-8"))["columns"]
    case.handled(f"a column like any other: {facts['sentence']}")


@numbered("34 a class whose name MLflow would not take as a key")
def test_34_figures_of_any_class_get_a_key_and_the_key_its_name(case):
    from flows.mlflow_items import LONGEST_KEY, key_of

    keys = [key_of(name) for name in ("recall.a,b", "recall.🎨", "recall.<b>x</b>", "recall.색깔")]
    assert len(set(keys)) == 4
    assert all(re.fullmatch(r"[\w\-. ]+", key) and len(key) <= LONGEST_KEY for key in keys)
    case.handled(
        f"the figure recall.🎨 has the key {keys[1].rpartition('-')[0]}-<digest> in MLflow, and a tag keeps its name"
    )


@numbered("36 names that differ by case alone")
def test_36_names_that_differ_by_case_alone_are_warned_of(case):
    facts = case.write_good(added("SIZE", str)).check()
    warning = next(warning for warning in facts["warnings"] if "case" in warning)
    assert "SIZE, size" in warning
    case.handled(warning)


@numbered("37 names that collide when joined with their levels")
def test_37_columns_whose_joined_names_collide_stay_apart(case):
    def change(header, records):
        header[:0] = ["a_b", "a"]
        for i, record in enumerate(records):
            record[:0] = ["c" if i % 2 else "d", "b_c" if i % 3 else "e"]

    case.write_good(change).check()
    contract = (case.folder / "case.contract.toml").read_text()
    assert '[columns."a_b"]' in contract or "[columns.a_b]" in contract
    assert '[columns."a"]' in contract or "[columns.a]" in contract
    case.handled(
        "columns are encoded by their place and never by a joined name: a_b with level c is not a with level b_c"
    )


@numbered("40 an expected column is missing")
def test_40_a_missing_column_is_refused_with_the_nearest_name(case):
    case.agreed().write_good(renamed(colour="color"))
    message = case.refusal(DataRefused)
    assert "colour" in message
    assert "did you mean" in message
    assert "color" in message


@numbered("41 an extra column")
def test_41_an_extra_column_is_warned_of_and_never_a_feature(case):
    case.agreed().write_good(added("extra", str))
    facts = case.check()
    (warning,) = [warning for warning in facts["warnings"] if "extra" in warning]
    case.handled(warning)
    schema = sorted(case.folder.glob(".penstock/cache/contract/*/schema.json"))
    assert all('"name": "extra"' not in path.read_text() for path in schema)


@numbered("42 the columns in another order")
def test_42_the_order_of_columns_does_not_matter(case):
    case.agreed()
    header, records = good()
    order = [3, 1, 4, 0, 2]
    case.write(as_csv([header[i] for i in order], [[r[i] for i in order] for r in records]))
    case.check()
    ledgers = [
        pd.read_parquet(p) for p in case.folder.glob(".penstock/cache/split/*/ledger.parquet")
    ]
    assert all(ledger["identity"].equals(ledgers[0]["identity"]) for ledger in ledgers)
    assert all(ledger["side"].equals(ledgers[0]["side"]) for ledger in ledgers)
    case.handled("columns are told by name: every row keeps its identity and its side")


@numbered("46 the target is no column")
def test_46_a_target_that_is_no_column_is_refused_with_the_nearest_name(case):
    case.target = "grad"
    message = case.write_good().refusal(DataRefused)
    assert "grad" in message
    assert "grade" in message


@numbered("46 the target is dropped as well")
def test_46_a_target_that_is_dropped_is_a_contradiction(case):
    case.data = 'drop = "grade"'
    assert "one role" in case.write_good().refusal(SettingsError)


@numbered("43 a column of 10,000 levels")
def test_43_a_column_of_many_levels_is_said_and_kept_within_bounds(case):
    records = [[f"level {i % 10_000:05}", i % 7, "good" if i % 3 else "bad"] for i in range(30_000)]
    case.write(as_csv(["colour", "size", "grade"], [[str(c) for c in r] for r in records]))
    case.check()
    column = profile(case)["colour"]
    assert (column["kind"], column["distinct"]) == ("category", 10_000)
    assert "high_cardinality" in column["flags"]
    assert len(column["levels"]) <= 200
    case.documented(
        "a category like any other; levels are counted in full, 200 are listed, and what the encoder "
        "keeps of them is bounded (docs/features.md)"
    )


@numbered("44 many columns")
@pytest.mark.long
def test_44_many_columns_take_a_time_that_grows_with_their_number(case):
    names = [f"c{i}" for i in range(300)]
    records = [[str((i * 7919 + j * 104_729) % 997) for j in range(300)] for i in range(60)]
    rows = [[*record, "good" if i % 2 else "bad"] for i, record in enumerate(records)]
    facts = case.write(as_csv([*names, "grade"], rows)).check()
    assert facts["contract"]["features"] == 300
    case.documented(
        "columns are read, profiled and checked in batches, so the time is about proportional to their "
        "number (benchmarks/scale.py measures 1,000)"
    )


@numbered("45 two columns with the same cells")
def test_45_a_copied_column_is_said(case):
    def change(header, records):
        header.insert(0, "again")
        for record in records:
            record.insert(0, record[0])

    facts = case.write_good(change).check()
    (alarm,) = [a["message"] for a in facts["alarms"] if a["kind"] == "duplicate_column"]
    assert alarm == '"size" equals "again" in every row'
    case.handled(f"kept, and said: {alarm}; data.drop leaves one of them out")
