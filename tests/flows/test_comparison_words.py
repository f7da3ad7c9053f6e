"""What decided a comparison, in a sentence for whoever reads one sentence."""

import pytest

from expectations.verdict import Finding, Verdict
from flows.comparison_words import compared

TOLD = {
    "metric": "roc_auc",
    "challenger": 0.812,
    "champion": 0.8,
    "value": 0.012,
    "low": 0.004,
    "high": 0.02,
    "rows": 12_000,
    "against": "version 3",
    "setting": "gate.margin = 0.005",
}


def judged(outcome, by="champion", otherwise="", **numbers):
    found = Finding(
        outcome=outcome,
        reason="why it is so",
        by=by,
        otherwise=otherwise,
        numbers={**TOLD, **numbers},
    )
    return Verdict(outcome=outcome, reasons=("why it is so",), decided_by=by, findings=(found,))


@pytest.mark.parametrize(
    ("outcome", "numbers", "said"),
    [
        ("promote", {"won": "better"}, "credit version 4 is better than version 3: "),
        ("promote", {"won": "no_worse"}, "credit version 4 is no worse than version 3: "),
        ("promote", {"won": "unsure"}, "passes by gate.on_inconclusive, though it may still be"),
        ("reject", {}, "credit version 4 is worse than version 3: "),
        ("inconclusive", {}, "credit version 4 may still be worse than version 3: "),
        (
            "inconclusive",
            {"setting": 'gate.against_champion = "better"'},
            "credit version 4 is not shown to be better than version 3: ",
        ),
    ],
)
def test_each_outcome_has_its_words(outcome, numbers, said):
    assert said in compared(judged(outcome, **numbers), "credit version 4")


def test_the_sentence_has_both_values_the_gain_the_rows_and_what_was_asked():
    text = compared(judged("promote", won="better"), "credit version 4")
    assert text.endswith(
        "roc_auc 0.812 against 0.8 on 12,000 rows that neither had seen "
        "(gain 0.012, between 0.004 and 0.02; asked: gate.margin = 0.005)"
    )


def test_what_would_have_changed_it_is_said_where_it_was_not_promoted():
    turned = judged("reject", otherwise="it would take gate.margin = 0.03 or more")
    assert compared(turned, "m").endswith("; it would take gate.margin = 0.03 or more")
    passed = judged("promote", won="better", otherwise="a gain of 0.001 would not have told")
    assert "would not have told" not in compared(passed, "m")


def test_a_doubt_and_a_slice_give_their_own_reason():
    doubt = Finding(outcome="inconclusive", reason="not compared: identity changed", by="champion")
    verdict = Verdict(
        outcome="inconclusive",
        reasons=(doubt.reason,),
        decided_by="champion",
        findings=(doubt,),
    )
    assert compared(verdict, "m version 2") == "m version 2: not compared: identity changed"
    assert compared(judged("reject", by="slices"), "m").startswith("m: why it is so")


def test_floors_and_the_dummy_have_words_elsewhere():
    assert compared(judged("reject", by="roc_auc"), "m") == ""
    assert compared(judged("promote", by="dummy"), "m") == ""
