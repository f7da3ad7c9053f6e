"""The verdict's sentence reads well aloud, for every end of a run."""

import pytest

from expectations.gate import Verdict
from flows.errors import DataRefused
from flows.verdict import SAID, verdict_of

FOUND = {"roc_auc": {"value": 0.9951, "low": 0.968, "high": 0.99931}}
EVIDENCE = {"metric": "roc_auc", "metrics": {"test": FOUND}}
NUMBER = "roc_auc is 0.995 (95 % interval 0.968 to 0.999) on 114 test rows"
ABOVE = f"{NUMBER}, at least the floor of 0.95"


def judged(outcome, by="roc_auc"):
    return Verdict(outcome=outcome, reasons=("why",), decided_by=by)


def said(outcome, gate, evidence=EVIDENCE, **options):
    options = {"floors": {"roc_auc": 0.95}, "subject": "credit version 3", "rows": 114} | options
    return verdict_of(outcome, gate, evidence, **options)["sentence"]


ENDS = {
    "promoted": ("promote", {}, f"Promoted: credit version 3; {ABOVE}."),
    "unchanged": (
        "promote",
        {},
        f"Unchanged: credit version 3 is in service already; {ABOVE}.",
    ),
    "rejected": (
        "reject",
        {"floors": {"roc_auc": 0.999}},
        f"Rejected: credit version 3; {NUMBER}, below the floor of 0.999.",
    ),
    "dry_run": (
        "promote",
        {"subject": ""},
        f"Dry run, nothing is published: {ABOVE}, and so it would be promoted.",
    ),
}


@pytest.mark.parametrize("outcome", ENDS)
def test_every_verdict_is_one_sentence_with_its_number_once(outcome):
    gate, options, wanted = ENDS[outcome]
    assert said(outcome, judged(gate), **options) == wanted


def test_what_is_kept_says_what_has_not_been_shown():
    gate = judged("inconclusive", by="dummy")
    assert said("kept", gate, floors={}) == (
        "Kept what was in service: credit version 3 has not earned its place; "
        f"{NUMBER}, not shown to be better than the dummy's."
    )


def test_without_floors_the_dummy_is_what_it_was_held_against():
    sentence = said("promoted", judged("promote", by="dummy"), floors={})
    assert sentence == f"Promoted: credit version 3; {NUMBER}, better than the dummy's."


@pytest.mark.parametrize(
    ("value", "bound", "end"),
    [
        (0.95004, 0.95, "is 0.95004 on 114 test rows, at least the floor of 0.95."),
        (0.9499999, 0.95, "is 0.9499999 on 114 test rows, below the floor of 0.95."),
        (0.95, 0.95, "is 0.95 on 114 test rows, at least the floor of 0.95."),
    ],
)
def test_a_number_near_its_floor_is_told_apart_from_it(value, bound, end):
    near = {"metric": "roc_auc", "metrics": {"test": {"roc_auc": {"value": value}}}}
    gate = judged("promote" if value >= bound else "reject")
    assert said("promoted", gate, near, floors={"roc_auc": bound}).endswith(end)


def test_an_error_has_a_limit_and_large_numbers_are_grouped():
    found = {"rmse": {"value": 48123.4, "low": 47000.0, "high": 49500.0}}
    evidence = {"metric": "rmse", "metrics": {"test": found}}
    sentence = said("promoted", judged("promote", "rmse"), evidence, floors={"rmse": 50000})
    assert sentence.endswith(
        "rmse is 48,123 (95 % interval 47,000 to 49,500) on 114 test rows, at most the limit of 50,000."
    )


def test_an_undefined_metric_is_said_to_be_undefined():
    evidence = {"metric": "roc_auc", "metrics": {"test": {"roc_auc": {"value": None}}}}
    sentence = said("kept", judged("inconclusive"), evidence)
    assert sentence.endswith("; roc_auc is undefined on 114 test rows.")


@pytest.mark.parametrize("outcome", ["refused", "failed"])
def test_an_error_says_its_first_line(outcome):
    error = DataRefused("the table breaks 1 critical rule:\nmore")
    verdict = verdict_of(outcome, None, {}, floors={}, error=error)
    assert verdict["sentence"] == f"{SAID[outcome]}: the table breaks 1 critical rule."
    assert verdict["reasons"] == ["the table breaks 1 critical rule:"]
    assert verdict["value"] is None


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyboardInterrupt(), "Failed: the run was interrupted."),
        (KeyError("x"), "Failed: KeyError: 'x'."),
        (MemoryError(), "Failed: MemoryError: no more is known."),
    ],
)
def test_what_is_no_error_of_ours_is_said_by_its_kind(error, said):
    assert verdict_of("failed", None, {}, floors={}, error=error)["sentence"] == said
