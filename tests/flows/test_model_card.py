"""A model's card holds what is known, in Markdown that no name can break."""

from expectations.verdict import Finding, Verdict
from flows.model_card import model_card, plain
from flows.settings import load_spec

METRIC = {"value": 0.81234, "low": 0.79, "high": 0.83}
EVIDENCE = {
    "task": "binary",
    "classes": ["no", "<b>yes</b>"],
    "metric": "roc_auc",
    "rows": {"validation": 800, "test": 200},
    "metrics": {"test": {"log_loss": {"value": 0.4}, "roc_auc": METRIC}},
    "importance": {"columns": [{"column": "a|b"}, {"column": "크기"}]},
    "comparison": {"sentence": "On test the network beats the dummy."},
    "slices": {
        "metric": "roc_auc",
        "min_support": 50,
        "found": [
            {"name": "sex = f", "test": {"rows": 90, "value": 0.7}},
            {"name": "few", "test": {"rows": 9, "value": 0.2}},
        ],
    },
    "robustness": {"missing": {"share": 0.9}, "unseen": None},
}
REFEREE = {"status": "compared", "champion": {"version": 3}}


def verdict():
    found = (
        Finding(outcome="promote", reason="roc_auc 0.8 | against 0.7", by="champion"),
        Finding(outcome="not judged", reason="too few rows of sex = m", by="slices"),
    )
    return Verdict(outcome="promote", reasons=(), decided_by="champion", findings=found)


def card(write_spec, **changes):
    spec = load_spec(write_spec('name = "credit"\n[data]\nsource = "t.csv"\ntarget = "risk_*"\n'))
    return model_card(spec, {**EVIDENCE, **changes}, REFEREE, verdict())


def test_the_card_says_what_it_predicts_from_what_and_on_which_evidence(write_spec):
    text = card(write_spec)
    assert "Predicts **risk\\_\\***: no, \\<b\\>yes\\</b\\>" in text
    assert "800 rows chose the model" in text
    assert "200 test rows judged it" in text
    assert "| roc_auc | 0.8123 | 0.79 to 0.83 |" in text
    assert text.index("roc_auc") < text.index("log_loss")
    assert "compared with version 3" in text
    assert "a\\|b, 크기" in text


def test_intended_use_is_left_for_the_owner_and_limits_are_named(write_spec):
    text = card(write_spec)
    assert "To be written by the owner" in text
    limits = text[text.index("## Limits") :]
    assert "too few rows of sex = m" in limits
    assert "`gate.fairness`" in limits
    assert "90.0% of its answers stay under disturbance: missing" in limits


def test_slices_with_too_few_rows_are_left_out(write_spec):
    text = card(write_spec)
    assert "| sex = f | 90 | 0.7 |" in text
    assert "| few |" not in text


def test_a_regression_has_no_labels(write_spec):
    assert "Predicts the number **risk" in card(write_spec, task="regression")


def test_names_cannot_write_markdown_or_html():
    assert plain("[x](y)*_`|<i>") == "\\[x\\](y)\\*\\_\\`\\|\\<i\\>"
