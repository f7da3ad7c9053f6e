"""The gate's verdicts: floors in the metric's own direction, and the dummy to be beaten."""

from __future__ import annotations

from typing import Any

import pytest

from expectations.gate import Evidence, Rules, deciding_metric, judge


def known(
    task: str = "binary", *, gain: tuple[float, float, float] | None = None, **metrics: Any
) -> Evidence:
    found: dict[str, Any] = {
        name: dict(zip(("value", "low", "high"), span, strict=True))
        for name, span in metrics.items()
    }
    gains: dict[str, Any] = {}
    if gain is not None:
        value, low, high = gain
        gains["dummy"] = {"metric": "roc_auc", "value": value, "low": low, "high": high}
    return Evidence(task=task, metrics=found, gains=gains)


GOOD = known(gain=(0.3, 0.25, 0.35), roc_auc=(0.8, 0.75, 0.85))


def test_a_floor_that_is_met_promotes_with_its_number() -> None:
    verdict = judge(GOOD, Rules(floors={"roc_auc": 0.7}))
    assert verdict.outcome == "promote"
    assert verdict.decided_by == "roc_auc"
    assert verdict.reasons[0] == "roc_auc 0.8 (95 % 0.75 to 0.85) on test is at least 0.7"


def test_a_floor_that_is_missed_rejects_and_stands_first() -> None:
    evidence = known(gain=(0.3, 0.2, 0.4), roc_auc=(0.8, 0.75, 0.85), accuracy=(0.9, 0.8, 0.95))
    verdict = judge(evidence, Rules(floors={"accuracy": 0.5, "roc_auc": 0.9}))
    assert verdict.outcome == "reject"
    assert verdict.decided_by == "roc_auc"
    assert "must be at least 0.9" in verdict.reasons[0]
    assert len(verdict.reasons) == 3


@pytest.mark.parametrize(
    ("bound", "outcome"), [(3.0, "promote"), (2.0, "promote"), (1.9, "reject")]
)
def test_a_floor_for_an_error_means_at_most(bound: float, outcome: str) -> None:
    verdict = judge(known("regression", rmse=(2.0, 1.95, 2.05)), Rules(floors={"rmse": bound}))
    assert verdict.outcome == outcome
    assert "at most" in verdict.reasons[0]


def test_a_floor_inside_the_interval_is_decided_by_the_value_and_said() -> None:
    verdict = judge(GOOD, Rules(floors={"roc_auc": 0.78}))
    assert verdict.outcome == "promote"
    assert "reaches across" in verdict.reasons[0]


@pytest.mark.parametrize(
    ("gain", "outcome", "words"),
    [
        ((0.1, 0.05, 0.2), "promote", "better than the dummy's by 0.1"),
        ((0.01, -0.05, 0.07), "inconclusive", "not shown to beat the dummy"),
        ((-0.01, -0.05, 0.07), "inconclusive", "not shown to beat the dummy"),
        ((-0.1, -0.2, -0.05), "reject", "worse than the dummy's by 0.1"),
        ((0.0, 0.0, 0.0), "inconclusive", "not shown to beat the dummy"),
    ],
)
def test_the_dummy_must_be_beaten(
    gain: tuple[float, float, float], outcome: str, words: str
) -> None:
    verdict = judge(known(gain=gain), Rules())
    assert verdict.outcome == outcome
    assert verdict.decided_by == "dummy"
    assert words in verdict.reasons[0]


def test_a_missed_floor_outweighs_doubt_about_the_dummy() -> None:
    evidence = known(gain=(0.0, -0.1, 0.1), roc_auc=(0.5, 0.4, 0.6))
    assert judge(evidence, Rules(floors={"roc_auc": 0.7})).decided_by == "roc_auc"


def test_an_undefined_metric_is_inconclusive_never_promoted() -> None:
    evidence = Evidence(task="binary", metrics={"roc_auc": {"value": None}})
    verdict = judge(evidence, Rules(floors={"roc_auc": 0.7}))
    assert verdict.outcome == "inconclusive"
    assert "undefined" in verdict.reasons[0]


def test_no_rule_and_no_ladder_promotes_and_says_that_no_rule_was_set() -> None:
    verdict = judge(known(), Rules())
    assert (verdict.outcome, verdict.reasons) == ("promote", ("no rule was set",))


def test_evidence_is_read_from_what_assess_wrote() -> None:
    written = {
        "task": "binary",
        "metrics": {"validation": {}, "test": {"roc_auc": {"value": 0.8, "low": 0.7, "high": 0.9}}},
        "ladder": [
            {
                "name": "dummy",
                "gain": {"test": {"metric": "roc_auc", "value": 0.3, "low": 0.2, "high": 0.4}},
            }
        ],
    }
    verdict = judge(written, Rules(floors={"roc_auc": 0.7}))
    assert verdict.to_json()["outcome"] == "promote"
    assert len(verdict.reasons) == 2


def test_unknown_and_misfitting_metrics_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="nearest is 'roc_auc'"):
        Rules(floors={"rocauc": 0.7})
    with pytest.raises(ValueError, match="nearest is 'accuracy'"):
        Rules(metric="acuracy")
    with pytest.raises(ValueError, match="metric of a binary task"):
        judge(GOOD, Rules(floors={"rmse": 1.0}))
    with pytest.raises(ValueError, match=r"gate\.metric must be a metric of a regression task"):
        deciding_metric("regression", Rules(metric="roc_auc"))


def test_the_deciding_metric_follows_the_task() -> None:
    found = [deciding_metric(task, Rules()) for task in ("binary", "multiclass", "regression")]
    assert found == ["roc_auc", "log_loss", "rmse"]
