"""What a test side of some size can show is said before anything is trained."""

from flows.detectable import detectable
from flows.settings import load_spec

SPEC = 'name = "x"\n[data]\nsource = "t.csv"\ntarget = "y"\n'


def said(write_spec, checked, more=""):
    return detectable(load_spec(write_spec(SPEC + more)), checked)


def test_a_small_table_is_told_that_the_default_margin_will_not_tell(write_spec):
    text = said(write_spec, {"passed": 1000, "task": "binary", "classes": {"a": 700, "b": 300}})
    assert "about 200 test rows" in text
    assert "gate.margin = 0.005, the default, will often stay inconclusive" in text


def test_a_large_table_is_told_that_it_will(write_spec):
    checked = {"passed": 5_000_000, "task": "binary", "classes": {"a": 2, "b": 2}}
    text = said(write_spec, checked)
    assert "about 1,000,000 test rows" in text
    assert "inconclusive" not in text


def test_a_regression_has_shares_of_the_metric(write_spec):
    text = said(write_spec, {"passed": 20_000, "task": "regression", "classes": None})
    assert "% of rmse" in text


def test_next_to_no_test_rows_say_nothing(write_spec):
    assert said(write_spec, {"passed": 60, "task": "regression", "classes": None}) is None
