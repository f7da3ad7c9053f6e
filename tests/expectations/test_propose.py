from __future__ import annotations

import datetime as dt
import json

import pytest

from expectations.contract import Contract
from expectations.propose import propose


def column(name, kind, **values):
    base = {
        "name": name,
        "kind": kind,
        "role": "feature",
        "seen": kind,
        "missing_share": 0.0,
        "flags": [],
        "reason": "",
    }
    return {**base, **values}


def profile(*columns, rows=1000, target=None):
    y = column("y", "category", role="target", levels=[["a", 1], ["b", 1]], levels_complete=True)
    return {
        "rows": rows,
        "columns": [*columns, y],
        "target": target or {"kind": "category", "classes": [["b", 9], ["a", 3]]},
    }


def proposed(*columns, **values):
    return propose(profile(*columns, **values), target="y").contract.columns


def test_a_proposal_is_not_accepted_and_survives_its_file(tmp_path):
    made = propose(profile(column("x", "number", min=1, max=9)), target="y")
    assert not made.contract.accepted
    made.contract.dump(tmp_path / "c.toml", made.why)
    assert Contract.load(tmp_path / "c.toml") == made.contract


def test_a_proposal_states_its_margins_above_each_rule(tmp_path):
    x = column("x", "integer", min=17, max=90, missing=12, missing_share=0.012)
    c = column("c", "category", levels=[["a", 900], ["b", 3]], levels_complete=True)
    made = propose(profile(x, c), target="y")
    made.contract.dump(tmp_path / "c.toml", made.why)
    text = (tmp_path / "c.toml").read_text("utf-8")
    assert (
        "# seen 17 to 90; half of that span is left on each side, but no other sign\nmin = 0"
        in text
    )
    assert "# 2 levels in 903 cells; seldom: b 3\nlevels = [" in text
    assert "# 12 of 1,000 cells are missing, surely under 3.73% (Clopper-Pearson" in text


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (17, 90, (0, 130)),
        (-10, 10, (-20, 20)),
        (-7.5, -1.25, (-11, 0)),
        (100, 100, (50, 150)),
        (0, 1e-9, (0, 1.5e-09)),
        (1_600_000_000, 1_700_000_000, (1_500_000_000, 1_800_000_000)),
    ],
)
def test_ranges_are_wider_than_seen_and_take_no_new_sign(low, high, expected):
    found = proposed(column("x", "number", min=low, max=high))["x"]
    assert (found.min, found.max) == pytest.approx(expected)
    assert found.min <= low <= high <= found.max


def test_zeros_alone_say_nothing_of_a_range():
    assert proposed(column("x", "number", min=0, max=0))["x"].max is None


def test_integers_get_whole_bounds():
    found = proposed(column("x", "integer", min=0.0, max=6.0))["x"]
    assert isinstance(found.max, int)


def test_dates_may_grow_but_not_become_excel_serials_or_year_9999():
    found = proposed(
        column("d", "date", min="2019-03-01T00:00:00", max="2020-03-01", format="%d/%m/%Y")
    )["d"]
    assert (found.min, found.max) == (dt.date(2018, 1, 1), dt.date(2025, 12, 31))
    assert found.format == "%d/%m/%Y"


def test_levels_are_proposed_for_few_levels_only():
    few = column("few", "category", levels=[["b", 500], ["a", 400]], levels_complete=True)
    many = column(
        "many",
        "category",
        levels=[[f"l{i}", 9] for i in range(51)],
        levels_complete=True,
        length={"min": 2, "max": 30},
    )
    sparse = column("sparse", "category", levels=[["a", 1], ["b", 1]], levels_complete=True)
    found = proposed(few, many, sparse)
    assert found["few"].levels == ("a", "b")
    assert (found["many"].levels, found["many"].max_length) == (None, 60)
    assert found["sparse"].levels is None


def test_missing_shares_get_half_their_upper_bound_more_and_none_where_most_are_missing():
    found = proposed(
        column("a", "number"),
        column("b", "number", missing_share=0.2),
        column("c", "number", missing_share=0.9),
    )
    assert [found[n].missing_share for n in "abc"] == [0.021, 0.4, None]


@pytest.mark.parametrize(
    ("values", "note"),
    [
        ({"kind": "text", "flags": ["identifier"]}, "identifies rows"),
        ({"kind": "ignored", "flags": ["constant"]}, "constant"),
        ({"kind": "ignored", "seen": "empty"}, "empty"),
        ({"kind": "integer", "flags": ["row_number"]}, "counts the rows"),
        ({"kind": "text", "reason": "681 different texts"}, "681 different texts"),
        ({"kind": "number", "role": "ignored"}, "dropped in the settings"),
    ],
)
def test_what_cannot_be_a_feature_is_ignored_and_says_why(values, note):
    found = proposed(column("x", **{"kind": "number", **values}))["x"]
    assert found.role == "ignored"
    assert note in found.note


def test_a_kind_given_in_the_settings_is_kept_against_the_profile():
    assert proposed(column("x", "integer", flags=["row_number"], given=True))["x"].role == "feature"


def test_how_cells_are_read_is_copied():
    found = proposed(
        column("n", "number", decimal=",", thousands=".", missing_tokens=["?"]),
        column("b", "boolean", true=["예"], false=["아니오"]),
    )
    assert (found["n"].decimal, found["n"].thousands, found["n"].missing) == (",", ".", ("?",))
    assert (found["b"].true, found["b"].false) == (("예",), ("아니오",))


def test_roles_of_the_settings_win_and_a_weight_must_be_positive():
    made = propose(
        profile(column("k", "integer", distinct=1000), column("w", "number")),
        target="y",
        roles={"k": "id", "w": "weight"},
    ).contract
    assert (made.columns["k"].kind, made.unique) == ("text", ("k",))
    assert made.row_rules("weight")[1] == {
        "id": "w.range", "column": "w", "type": "range", "severity": "critical",
        "min": 0, "max": None, "strict_min": True, "strict_max": False,
    }  # fmt: skip


def test_the_target_gets_its_classes_and_a_regression_its_range():
    assert proposed()["y"].levels == ("a", "b")
    numeric = profile(target={"kind": "number", "classes": None})
    numeric["columns"][0] |= {"kind": "number", "min": 5, "max": 50}
    assert propose(numeric, target="y").contract.columns["y"].max == 73


def test_a_target_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="the target must be a column of the table, found z"):
        propose(profile(), target="z")


def test_a_time_that_cannot_be_read_asks_for_its_format():
    with pytest.raises(
        ValueError,
        match=r"kind of a time must be date or number or integer, found text.*data\.columns",
    ):
        propose(profile(column("t", "text")), target="y", roles={"t": "time"})


def test_codes_get_their_alphabet_and_dates_their_zone():
    code = column("k", "category", levels=[["K-1", 1]], length={"max": 3}, characters="-1K")
    words = column("w", "category", levels=[["é!", 1]], length={"max": 3}, characters="!é")
    date = column("d", "date", min="2019-03-01", max="2020-03-01", zone="naive")
    found = proposed(code, words, date)
    assert (found["k"].alphabet, found["w"].alphabet) == ("0-9A-Z-", None)
    assert found["d"].zone == "naive"


def test_the_proposal_is_plain_and_repeatable():
    made = profile(column("x", "number", min=1, max=9))
    assert (
        propose(json.loads(json.dumps(made)), target="y").contract.digest()
        == propose(made, target="y").contract.digest()
    )
