from __future__ import annotations

import datetime as dt
import re
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expectations.acceptance import Acceptance
from expectations.column import Column, Proposed
from expectations.contract import Contract, Custom
from expectations.contract_text import dumps
from expectations.contract_toml import expectation_types
from expectations.cross import Rule
from expectations.history import Freshness, History

TARGET = {"y": Column(role="target", kind="category", levels=("a", "b"))}


def contract(**columns):
    return Contract(columns={**columns, **TARGET})


def full():
    return Contract(
        accepted=True,
        extra="error",
        unique=("k",),
        columns={
            "k": Column(role="id", kind="text"),
            "나이": Column(
                kind="integer", min=0, max=120, strict_max=True, missing=("?",), missing_share=0.1
            ),
            "d": Column(kind="date", format="%d/%m/%Y", min=dt.date(2020, 1, 1), note='a "note"'),
            "t": Column(kind="date", max=dt.datetime(2020, 1, 1, 12, 30, tzinfo=dt.UTC)),
            "c": Column(
                kind="category", levels=("x\ny", "z"), max_length=3, severity={"levels": "critical"}
            ),
            "o": Column(
                kind="category",
                levels=("low", "high"),
                ordered=True,
                min_length=2,
                alphabet="a-z-",
                pattern="[a-z]+",
                accepted={"levels": False},
                proposed=Proposed(levels=("top",), missing_share=0.5),
                applies={"levels": "training"},
            ),
            "b": Column(kind="boolean", true=("yes",), false=("no",), replace={"oui": "yes"}),
            **TARGET,
        },
        expectations=(
            Custom(
                type="expect_column_mean_to_be_between", kwargs={"column": "나이", "max_value": 3.5}
            ),
        ),
        max_rows=1000,
        history=History(fewer=0.5),
        freshness=Freshness(column="d", max_age="2d"),
        rules=(Rule(check='if 나이 > 3 then c present and o >= "low"', note="why"),),
        acceptances=(
            Acceptance(
                version=3,
                at=dt.datetime(2026, 1, 2, tzinfo=dt.UTC),
                by="ann",
                what=("everything",),
                digest="00",
            ),
        ),
    )


def load(tmp_path, text):
    path = tmp_path / "c.contract.toml"
    path.write_text(text, encoding="utf-8")
    return Contract.load(path)


def refusal(tmp_path, text):
    with pytest.raises(ValueError, match=r"contract\.toml") as caught:
        load(tmp_path, text)
    return str(caught.value).replace(f"{tmp_path}/", "")


def test_a_contract_survives_its_file(tmp_path):
    full().dump(tmp_path / "c.toml")
    again = Contract.load(tmp_path / "c.toml")
    assert again == full()
    assert again.digest() == full().digest()
    assert list(again.columns) == list(full().columns)
    assert dumps(again) == dumps(full())


def expectations_folder():
    return f"{find_spec('great_expectations').submodule_search_locations[0]}/expectations/core"


NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(NAMES, NAMES)
def test_any_name_and_any_level_survive_the_file(name, level):
    made = Contract(columns={f"{name}!": Column(kind="category", levels=(level,)), **TARGET})
    assert Contract.model_validate(tomllib.loads(dumps(made))) == made


def test_the_file_explains_itself_and_has_one_table_per_column():
    text = dumps(full())
    assert text.startswith("# The contract: what must be true")
    assert '[columns."나이"]' in text
    assert 'severity = { levels = "critical" }' in text


def test_notes_and_comments_are_not_part_of_the_digest(tmp_path):
    plain = load(tmp_path, '[columns.y]\nrole="target"\nkind="category"\n')
    noted = load(tmp_path, '# why\n[columns."y"]\nkind="category"\nrole="target"\nnote="because"\n')
    assert plain.digest() == noted.digest()


def test_a_changed_bound_changes_the_digest():
    assert (
        contract(a=Column(kind="number", max=1)).digest()
        != contract(a=Column(kind="number", max=2)).digest()
    )


def test_typos_name_file_line_key_and_the_nearest_name(tmp_path):
    said = refusal(tmp_path, 'acepted = true\n[columns."a b"]\nkind = "numbr"\nmni = 2\n')
    assert said.splitlines() == [
        "c.contract.toml:1: acepted: unknown key; did you mean accepted?",
        "c.contract.toml:3: columns.a b.kind: must be 'number', 'integer', 'boolean', 'category', 'date', 'text' or 'ignored', found 'numbr'; did you mean 'number'?",
        "c.contract.toml:4: columns.a b.mni: unknown key; did you mean min?",
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('kind = "number"\nmin = 3\nmax = 2', "min must not be above max, found min = 3 and max = 2"),
        ('kind = "number"\nmin = nan', "finite"),
        ('kind = "category"\nmin = 3', "min needs kind number or integer or date, but kind is category"),
        ('kind = "number"\nlevels = ["a"]', "levels needs kind category or text, but kind is number"),
        ('kind = "category"\nlevels = []', "levels must name each allowed text once"),
        ('kind = "category"\nlevels = ["a", "a"]', "levels must name each allowed text once"),
        ('kind = "date"\nmin = 3', "a date such as 2020-01-31, without quotes, found 3"),
        ('kind = "text"', 'kind of a feature must be number or integer or boolean or category or date, found text; role = "ignored"'),
        ('kind = "number"\nrole = "taget"', "did you mean 'target'?"),
        ('kind = "number"\nmissing_share = 1.5', "less than or equal to 1"),
        ('kind = "number"\nrequired = "yes"', "valid boolean"),
        ('kind = "number"\nseverity = { rnge = "critical" }', "'range'"),
        ('kind = "number"\ndecimal = ","\nthousands = ","', "decimal and thousands must differ"),
        ('kind = "number"\nformat = "%Y"', "format needs kind date"),
        ('kind = "date"\nzone = "utc"', "'aware' or 'naive'"),
        ('kind = "category"\nordered = true', "ordered needs levels"),
        ('kind = "category"\npattern = "("', "pattern must be a regular expression"),
        ('kind = "category"\nalphabet = "z-a"', "alphabet must be characters and ranges"),
        ('kind = "category"\nmin_length = 3\nmax_length = 2', "min_length must not be above max_length"),
        ('kind = "number"\napplies = "sometimes"', "'both', 'training' or 'serving'"),
        ("min = 3", "columns.a.kind: is required"),
    ],
)  # fmt: skip
def test_contradictions_and_impossible_values_are_refused(tmp_path, line, said):
    text = f'[columns.y]\nrole = "target"\nkind = "category"\n[columns.a]\n{line}\n'
    found = refusal(tmp_path, text)
    assert said in found
    assert "columns.a" in found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "columns: is required"),
        ("version = 2", "version"),
        ("[columns.a]\nkind='number'", 'exactly one column must have role = "target", found none'),
        ("[columns.a]\nkind='number'\nrole='target'\n[columns.b]\nkind='number'\nrole='target'", "found 'a', 'b'"),
        ("unique=['z']\n[columns.a]\nkind='number'\nrole='target'", "unique must name columns of this contract, found 'z'"),
        ("columns = 3", "columns"),
        ("a = \n", "not valid TOML"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_contract_is_refused(tmp_path, text, said):
    assert said in refusal(tmp_path, text)


def test_an_expectation_that_does_not_exist_is_refused_with_the_nearest(tmp_path):
    text = '[columns.y]\nrole="target"\nkind="category"\n[[expectations]]\ntype="expect_column_men_to_be_between"\n'
    assert "5: expectations.0.type" in refusal(tmp_path, text)
    assert "did you mean expect_column_mean_to_be_between?" in refusal(tmp_path, text)


def test_a_missing_file_says_where_it_was_looked_for(tmp_path):
    with pytest.raises(ValueError, match=f"{tmp_path}/no.toml: the contract cannot be read"):
        Contract.load(tmp_path / "no.toml")


def test_all_problems_are_listed_up_to_a_cap(tmp_path):
    text = "".join(f'[columns.c{i}]\nkind = "x"\n' for i in range(30))
    lines = refusal(tmp_path, text).splitlines()
    assert len(lines) == 11
    assert lines[-1] == "... and 20 more"


def test_proposed_rules_warn_until_accepted_and_presence_always_binds():
    made = contract(a=Column(kind="number", min=0, present=True))
    assert made.severity("a", "range") == "warning"
    assert made.severity("a", "present") == "critical"
    accepted = made.model_copy(update={"accepted": True})
    assert accepted.severity("a", "range") == "critical"


def test_a_severity_by_hand_wins():
    made = contract(
        a=Column(kind="number", min=0, severity="critical"),
        b=Column(kind="number", severity={"range": "critical"}),
    )
    assert made.severity("a", "missing_share") == "critical"
    assert made.severity("b", "range") == "critical"
    assert made.severity("b", "missing_share") == "warning"
    lax = contract(a=Column(kind="number", min=0, present=True, severity="warning"))
    assert lax.severity("a", "present") == "critical"


def test_row_rules_are_plain_json_with_agreed_ids():
    rules = {rule["id"]: rule for rule in full().row_rules()}
    assert list(rules) == [
        "나이.range", "d.range", "t.range", "c.levels", "c.length",
        "o.levels", "o.length", "o.alphabet", "o.pattern",
        'check.if 나이 > 3 then c present and o >= "low"',
    ]  # fmt: skip
    assert "o.levels" not in {rule["id"] for rule in full().serving_rules()}
    assert rules["나이.range"] == {
        "id": "나이.range", "column": "나이", "type": "range", "severity": "critical",
        "min": 0, "max": 120, "strict_min": False, "strict_max": True,
    }  # fmt: skip
    assert rules["d.range"]["min"] == "2020-01-01T00:00:00"
    assert rules["t.range"]["max"] == "2020-01-01T12:30:00"
    assert [rule["id"] for rule in full().row_rules("target", "id")] == [
        "k.present",
        "y.present",
        "y.levels",
    ]


def test_a_date_bound_without_a_time_means_the_whole_day():
    column = Column(kind="date", min=dt.date(2020, 1, 1), max=dt.date(2020, 1, 1))
    assert column.high == dt.datetime(2020, 1, 1, 23, 59, 59, 999999)  # noqa: DTZ001
    assert column.low == dt.datetime(2020, 1, 1)  # noqa: DTZ001


def test_the_settings_roles_win_but_not_over_the_target():
    made = contract(a=Column(kind="number"), k=Column(kind="integer")).with_roles(
        {"k": "id", "a": "ignored", "z": "id"}
    )
    assert made.features == ()
    assert made.columns["k"].role == "id"
    with pytest.raises(ValueError, match="the settings' target is 'a', the contract's is 'y'"):
        made.with_roles({"a": "target"})


def test_a_role_that_a_kind_cannot_have_is_refused():
    with pytest.raises(
        ValueError, match="kind of a weight must be number or integer, found category"
    ):
        contract(w=Column(kind="category")).with_roles({"w": "weight"})


@pytest.mark.parametrize("name", expectation_types())
def test_every_expectation_may_be_named_by_its_class(name):
    spec = (Path(expectations_folder()) / f"{name}.py").read_text("utf-8")
    made = re.findall(r"^class (Expect\w+)\(", spec, re.MULTILINE)[0]
    assert Custom(type=made).name.replace("chi_square", "chisquare") == name


def test_expectation_types_are_known_without_importing_great_expectations():
    assert "expect_column_values_to_be_between" in expectation_types()
