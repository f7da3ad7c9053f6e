"""A contract that goes on living: proposed again, accepted in parts, never overwritten."""

from __future__ import annotations

import datetime as dt

import pytest

from expectations.column import Proposed
from expectations.contract_changes import changes
from expectations.contract_edit import open_rules, with_acceptance, with_proposal
from expectations.contract_toml import loads
from expectations.propose import propose

NOW = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)


def entry(name, kind, **values):
    base = {"name": name, "kind": kind, "seen": kind, "role": "feature", "missing_share": 0.0}
    return {**base, "flags": [], "reason": "", **values}


def profile(*columns, rows=1000):
    y = entry("y", "category", role="target", levels=[["a", 1], ["b", 1]], levels_complete=True)
    target = {"kind": "category", "classes": [["b", 9], ["a", 3]]}
    return {"rows": rows, "columns": [*columns, y], "target": target}


AGE = entry("age", "integer", min=17, max=90)
CITY = entry("city", "category", levels=[["b", 500], ["a", 400]], levels_complete=True)

TEXT = """\
# our contract, read by Ann
version = 1
accepted = true
min_rows = 30 # fewer is noise

# how old: see ticket 12
[columns.age]
role = "feature"
kind = "integer"
min = 0 # nobody is younger
max = 100
missing_share = 0.05
severity = { missing_share = "warning" }

[columns.city]
role = "feature"
kind = "category"
levels = [
    "a", # the capital
    "b",
]

[[expectations]]
type = "expect_column_mean_to_be_between"
kwargs = { column = "age", min_value = 20 }

[columns.y] # what we predict
role = "target"
kind = "category"
levels = ["a", "b"]
"""


def proposal(*columns, text=TEXT):
    table, old = profile(*columns), loads(text)
    new = propose(table, target="y")
    found = changes(old, new, table)
    return with_proposal(text, old, new, found, {}), found


def lines(made, text=TEXT):
    before = text.splitlines()
    return [line for line in made.splitlines() if line not in before]


def test_a_table_that_fits_changes_nothing():
    made, found = proposal(AGE, CITY)
    assert (made, found) == (TEXT, [])


def test_wider_data_is_proposed_beside_what_binds():
    older = entry("age", "integer", min=17, max=120, missing_share=0.2)
    more = entry("city", "category", levels=[["b", 5], ["c", 4], ["d", 1]], levels_complete=True)
    made, found = proposal(older, more)
    contract = loads(made)
    assert contract.columns["age"].max == 100
    assert contract.columns["age"].proposed == Proposed(max=180, missing_share=0.4)
    assert contract.columns["city"].proposed == Proposed(levels=("c", "d"))
    assert contract.digest() == loads(TEXT).digest()
    assert [(c.rule, c.what, c.binds) for c in found] == [
        ("age.range", "wider", True),
        ("age.missing_share", "wider", False),
        ("city.levels", "new levels", True),
        ("city.levels", "not seen", True),
    ]
    assert len(lines(made)) == 2
    assert "# seen 17 to 120; 200 of 1,000 cells are missing" in made
    assert "# cells of 10: c 4, d 1" in made


def test_new_columns_come_in_without_binding_and_lost_ones_are_only_named():
    made, found = proposal(AGE, entry("new", "number", min=1, max=2))
    contract = loads(made)
    assert contract.columns["new"].accepted is False
    assert contract.severity("new", "range") == "warning"
    assert list(contract.columns) == ["age", "city", "y", "new"]
    assert [(c.rule, c.what) for c in found] == [
        ("new.column", "new column"),
        ("city.column", "gone"),
    ]
    assert made.startswith(TEXT)


def test_a_kind_that_grew_wider_is_proposed_and_one_chosen_by_hand_is_not_narrowed():
    _, found = proposal(entry("age", "number", min=17.5, max=90, reason="fractions"), CITY)
    assert [(c.rule, dict(c.now)) for c in found] == [("age.kind", {"kind": "number"})]
    _, found = proposal(AGE, entry("city", "integer", min=1, max=2))
    assert [c.rule for c in found if c.what == "other kind"] == []


def test_a_proposal_that_the_data_no_longer_needs_goes_again():
    wide, _ = proposal(entry("age", "integer", min=17, max=120), CITY)
    again, found = proposal(AGE, CITY, text=wide)
    assert (again, found) == (TEXT, [])


def test_proposing_twice_is_proposing_once():
    older = entry("age", "integer", min=-5, max=120)
    made, _ = proposal(older, CITY, entry("k", "text", role="id"))
    assert proposal(older, CITY, entry("k", "text", role="id"), text=made)[0] == made


def accepted(text, **wish):
    return with_acceptance(text, loads(text), by="ann", now=NOW, **wish)


def wide():
    older = entry("age", "integer", min=-5, max=120, missing_share=0.2)
    more = entry("city", "category", levels=[["a", 9], ["b", 5], ["c", 4]], levels_complete=True)
    return proposal(older, more, entry("new", "number", min=1, max=2))[0]


def test_accepting_everything_puts_the_proposals_in_place_and_keeps_every_comment():
    made, what = accepted(wide(), because="a new town")
    contract = loads(made)
    assert what == ["everything"]
    age = contract.columns["age"]
    assert (age.min, age.max, age.missing_share, age.proposed) == (-68, 190, 0.4, None)
    assert contract.columns["city"].levels == ("a", "b", "c")
    assert contract.severity("new", "range") == "critical"
    assert contract.severity("age", "missing_share") == "warning"
    assert (contract.number, contract.edited) == (1, False)
    assert contract.acceptances[0].because == "a new town"
    for line in TEXT.splitlines():
        if "#" in line:
            assert line[line.index("#") :] in made
    assert '    "b",\n    "c",\n]' in made


def test_accepting_again_has_nothing_to_do():
    with pytest.raises(ValueError, match="everything asked for is accepted already"):
        accepted(accepted(wide())[0])


def test_one_rule_is_accepted_alone():
    made, what = accepted(wide(), rules=["age.range"])
    contract = loads(made)
    assert what == ["age.range"]
    assert contract.columns["age"].max == 190
    assert contract.columns["age"].proposed == Proposed(missing_share=0.4)
    assert contract.columns["city"].levels == ("a", "b")
    assert open_rules(contract, "age") == ["age.missing_share"]


def test_several_rules_of_a_column_are_accepted_together():
    made, what = accepted(wide(), rules=["age.missing_share", "age.range", "age.range"])
    age = loads(made).columns["age"]
    assert what == ["age.missing_share", "age.range"]
    assert (age.max, age.missing_share, age.proposed) == (190, 0.4, None)


def test_one_column_is_accepted_alone_and_the_version_rises():
    first, _ = accepted(wide(), columns=["new"])
    made, what = accepted(first, columns=["city"])
    contract = loads(made)
    assert what == ["city.levels"]
    assert contract.columns["new"].accepted is None
    assert [a.version for a in contract.acceptances] == [1, 2]
    assert contract.columns["age"].max == 100


UNREAD = TEXT.replace("accepted = true", "accepted = false")


def test_rules_of_a_file_that_nobody_accepted_are_accepted_one_by_one():
    made, _ = accepted(UNREAD, rules=["age.range"])
    contract = loads(made)
    assert contract.severity("age", "range") == "critical"
    assert contract.severity("city", "levels") == "warning"
    again, _ = accepted(made, rules=["age.missing_share"])
    assert loads(again).columns["age"].accepted == {"range": True, "missing_share": True}
    whole, _ = accepted(again)
    assert loads(whole).accepted
    assert loads(whole).columns["age"].accepted is None


def test_a_rule_of_a_column_that_waits_as_a_whole_leaves_the_others_waiting():
    text = TEXT.replace("min = 0 #", "accepted = false\nmin = 0 #")
    made, _ = accepted(text, rules=["age.range"])
    contract = loads(made)
    assert contract.binds("age", "range")
    assert not contract.binds("age", "missing_share")


def test_an_edit_by_hand_after_an_acceptance_is_seen():
    made, _ = accepted(UNREAD)
    assert not loads(made).edited
    assert not loads(made.replace("# nobody is younger", "# nobody")).edited
    assert loads(made.replace("max = 100", "max = 101")).edited


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"columns": ["aeg"]}, "no aeg among its columns .*did you mean age?"),
        ({"rules": ["age.rnge"]}, "no age.rnge among its rules .*did you mean age.range?"),
        ({"rules": ["zzz"]}, "no zzz among its rules"),
    ],
)
def test_what_is_not_there_is_named_with_the_nearest(wish, said):
    with pytest.raises(ValueError, match=said):
        accepted(UNREAD, **wish)


def test_a_number_that_becomes_a_category_loses_its_bounds():
    text = entry("age", "category", levels=[["17", 500], ["old", 400]], levels_complete=True)
    made, _ = proposal(text, CITY)
    contract = loads(accepted(made, rules=["age.kind"])[0])
    assert (contract.columns["age"].kind, contract.columns["age"].min) == ("category", None)


def test_codes_with_new_characters_are_proposed_with_them():
    text = UNREAD + '\n[columns.k]\nrole = "id"\nkind = "text"\nalphabet = "A-F-"\nmax_length = 4\n'
    seen = entry("k", "text", role="id", levels=[], length={"max": 6}, characters="-019A_")
    made, found = proposal(AGE, CITY, seen, text=text)
    assert loads(made).columns["k"].proposed == Proposed(max_length=12, alphabet="A-F0-9_-")
    assert [c.rule for c in found] == ["k.length", "k.alphabet"]
