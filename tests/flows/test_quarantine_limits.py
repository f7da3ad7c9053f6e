"""How many rows may be set aside: in all, by rule, by column, by a pattern of either."""

import numpy as np
import pytest

from flows.errors import SettingsError
from flows.quarantine_limits import idle, limits, meets, total_of
from flows.settings import load_spec

KNOWN = {"age.type": "age", "age.range": "age", "age_2.range": "age_2", "row.empty": None}
BROKEN = {"age.type": np.array([1, 2]), "age.range": np.array([2, 3, 4])}
SPEC = 'name = "t"\n[data]\nsource = "d.csv"\ntarget = "y"\n'


def told(fractions, broken=BROKEN, total=100):
    return {limit.name: limit for limit in limits(fractions, KNOWN, broken, total)}


def test_a_number_is_the_share_of_all_rows():
    found = told(0.03)
    assert list(found) == ["total"]
    assert (found["total"].rows, found["total"].over) == (4, True)
    assert not told(0.04)["total"].over


def test_a_row_that_breaks_two_rules_counts_once():
    found = told({"age": 0.04})
    assert (found["age"].rows, found["age"].over) == (4, False)
    assert found["total"].allowed == 0.01


@pytest.mark.parametrize(
    ("name", "rows"),
    [("age.range", 3), ("age", 4), ("age*", 4), ("*.type", 2), ("age_?", 0), ("row.empty", 0)],
)
def test_a_name_is_a_rule_a_column_or_a_pattern_of_either(name, rows):
    assert told({name: 0.5})[name].rows == rows


def test_brackets_and_stars_in_a_column_s_own_name_mean_themselves_too():
    assert meets("size [cm]", "size [cm].range", "size [cm]")
    assert meets("size [cm].range", "size [cm].range", "size [cm]")
    assert not meets("size", "size [cm].range", "size [cm]")


def test_a_share_that_is_just_met_is_not_passed():
    broken = {"age.type": np.arange(29)}
    assert not told(0.29, broken)["total"].over
    assert told(0.28, broken)["total"].over
    assert told({"total": 0.5, "age.type": 0}, broken)["age.type"].over


def test_a_name_that_meets_nothing_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match=r"names age\.rnge, which is no rule .* mean age\.range"):
        told({"age.rnge": 0.1})


def test_a_limit_on_a_rule_that_only_warns_is_said():
    held = list(told({"age.range": 0.1, "age": 0.1}).values())
    (failure,) = idle(held, KNOWN, {"age.range"})
    assert "the limit age.range binds nothing" in failure.message
    assert failure.severity == "warning"


def test_the_headline_names_the_rule_and_the_setting():
    said = told({"age.range": 0.0001})["age.range"].headline()
    assert said == (
        "3 of 100 rows (3.00%) break age.range, at most 0.01% may be set aside by that "
        '(data.max_fraction "age.range")'
    )


def test_settings_take_a_number_or_a_table(write_spec):
    text = SPEC + 'max_fraction = { total = 0.02, "age.range" = 0 }\n'
    spec = load_spec(write_spec(text))
    assert spec.data.max_fraction == {"total": 0.02, "age.range": 0}
    assert total_of(spec.data.max_fraction) == 0.02
    assert total_of(load_spec(write_spec(SPEC)).data.max_fraction) == 0.01
    assert load_spec(write_spec(SPEC), ["data.max_fraction=0"]).data.max_fraction == 0


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("1", "found 1"),
        ("nan", "found nan"),
        ("true", "found True"),
        ('"a lot"', "found 'a lot'"),
        ('{ "age.range" = 1.5 }', "'age.range' must be a share"),
        ("{ total = -0.1 }", "'total' must be a share"),
    ],
)
def test_what_is_no_share_is_refused_with_its_line(write_spec, value, found):
    with pytest.raises(SettingsError, match=r"spec\.toml:5: data\.max_fraction: ") as caught:
        load_spec(write_spec(f"{SPEC}max_fraction = {value}\n"))
    assert found in str(caught.value)
    assert "from 0 to below 1" in str(caught.value)
