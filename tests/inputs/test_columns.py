"""Inputs 31-42 and 46: names and columns."""

import unicodedata

import pytest
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


@pytest.mark.parametrize(("change", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_a_bad_header_is_refused(case, change, said):
    message = case.write_good(change).refusal(DataRefused)
    for word in said:
        assert word in message
    assert len(message) < 3000


def test_33_blanks_around_a_name_are_taken_off_and_reported(case):
    import json

    case.write_good(renamed(colour=" colour ")).check()
    facts = next(case.folder.glob(".penstock/cache/load/*/load.json")).read_text()
    assert json.loads(facts)["renamed"] == {" colour ": "colour"}


@pytest.mark.parametrize(
    "name", ["색깔", "🎨", "لون", "index", "SELECT", "<b>x</b>", "a,b", "t[0]"]
)
def test_34_38_names_in_any_script_and_hostile_names_are_ordinary(case, name):
    quoted = f'"{name}"' if "," in name else name
    facts = case.write_good(renamed(colour=quoted)).check()
    assert facts["rows"] == 80


def test_36_names_that_differ_by_case_alone_are_warned_of(case):
    facts = case.write_good(added("SIZE", str)).check()
    assert any("case" in warning for warning in facts["warnings"])


def test_37_columns_whose_joined_names_collide_stay_apart(case):
    def change(header, records):
        header[:0] = ["a_b", "a"]
        for i, record in enumerate(records):
            record[:0] = ["c" if i % 2 else "d", "b_c" if i % 3 else "e"]

    case.write_good(change).check()
    contract = (case.folder / "case.contract.toml").read_text()
    assert '[columns."a_b"]' in contract or "[columns.a_b]" in contract
    assert '[columns."a"]' in contract or "[columns.a]" in contract


def test_40_a_missing_column_is_refused_with_the_nearest_name(case):
    case.agreed().write_good(renamed(colour="color"))
    message = case.refusal(DataRefused)
    assert "colour" in message
    assert "did you mean" in message
    assert "color" in message


def test_41_an_extra_column_is_warned_of_and_never_a_feature(case):
    case.agreed().write_good(added("extra", str))
    facts = case.check()
    assert any("extra" in warning for warning in facts["warnings"])
    schema = sorted(case.folder.glob(".penstock/cache/contract/*/schema.json"))
    assert all('"name": "extra"' not in path.read_text() for path in schema)


def test_42_the_order_of_columns_does_not_matter(case):
    import pandas as pd

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


def test_46_a_target_that_is_no_column_is_refused_with_the_nearest_name(case):
    case.target = "grad"
    message = case.write_good().refusal(DataRefused)
    assert "grad" in message
    assert "grade" in message


def test_46_a_target_that_is_dropped_is_a_contradiction(case):
    case.data = 'drop = "grade"'
    assert "one role" in case.write_good().refusal(SettingsError)
