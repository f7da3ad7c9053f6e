from __future__ import annotations

import pytest

from expectations.advice import advise
from expectations.column import Column
from expectations.contract import Contract
from expectations.names import column_failures


def contract(*names, extra="warn", **more):
    columns = {name: Column(kind="number") for name in names}
    columns |= {**more, "y": Column(role="target", kind="category")}
    return Contract.model_validate({"extra": extra, "columns": columns})


def test_order_is_irrelevant():
    assert column_failures(contract("a", "b"), ["y", "b", "a"]) == []


def test_a_missing_column_is_critical_and_the_nearest_name_is_offered():
    (missing, extra) = column_failures(contract("income"), ["Incme", "y"])
    assert missing.severity == "critical"
    assert (
        missing.message
        == "the table must have the feature column income, it has Incme, y; did you mean Incme?"
    )
    assert extra.rule == "table.extra_columns"


def test_columns_that_are_ignored_or_not_required_may_be_absent():
    made = contract(a=Column(role="ignored", kind="text"), b=Column(kind="number", required=False))
    assert column_failures(made, ["y"]) == []


@pytest.mark.parametrize(
    ("extra", "severities"), [("warn", ["warning"]), ("error", ["critical"]), ("ignore", [])]
)
def test_extra_columns_follow_the_contracts_policy(extra, severities):
    found = column_failures(contract(extra=extra), ["y", "new"])
    assert [failure.severity for failure in found] == severities


def test_names_that_differ_only_by_case_are_warned_of():
    (found,) = column_failures(contract("Age", "age"), ["Age", "age", "y"])
    assert found.severity == "warning"
    assert "Age, age" in found.message


def test_a_name_in_another_normal_form_is_the_same_name():
    assert column_failures(contract("\uac00"), ["\u1100\u1161", "y"]) == []


def test_hundreds_of_names_do_not_make_a_long_message():
    found = column_failures(contract("a"), ["y", *(f"column {i}" for i in range(3000))])
    assert all(len(failure.message) < 600 for failure in found)


@pytest.mark.parametrize(
    ("kind", "cells", "said"),
    [
        ("number", ["1,5", "2,75"], 'decimal = ","'),
        ("number", ["1,000", "12,345,678"], 'thousands = ","'),
        ("number", ["1.234,5", "2.000,75"], 'decimal = "," and thousands = "."'),
        ("number", ["5kg", "7 kg"], "units"),
        ("number", ["12%"], "percent"),
        ("number", ["$5", "\u20a91,000"], "currency"),
        ("number", ["NA", "NA", "x"], "'NA': add to missing"),
        ("number", ["inf", "-Infinity", "1e400"], "infinite"),
        ("integer", ["12345678901234567890"], "2^53"),
        ("date", ["03/04/2020"], 'format, such as "%d/%m/%Y"'),
        ("date", ["44197"], "Excel"),
        ("boolean", ["si"], "true = [...]"),
        ("number", ["apple"], "correct the cells, or declare another kind"),
        ("number", [], "correct the cells"),
    ],
)
def test_advice_is_told_from_the_cells(kind, cells, said):
    assert said in advise(kind, cells)
