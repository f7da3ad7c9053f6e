"""The gate's verdicts: floors in the metric's own direction, and the dummy to be beaten."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from expectations.gate import Evidence, Rules, Verdict, deciding_metric, fitting, judge
from flows.gate_spec import GateSpec


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
    assert verdict.reasons[0] == (
        "roc_auc 0.8 (95 % 0.75 to 0.85) on test is at least 0.7 (gate.floors.roc_auc = 0.7)"
    )


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


@pytest.mark.parametrize(
    ("span", "outcome", "words"),
    [
        ((0.85, 0.82, 0.88), "promote", "lower bound 0.82 is at least 0.8"),
        ((0.85, 0.78, 0.9), "inconclusive", "about 981 test rows would tell"),
        ((0.75, 0.7, 0.79), "reject", "a floor of 0.700 would have let it pass"),
        ((0.79, 0.7, 0.85), "inconclusive", "a floor of 0.700 would have let it pass"),
    ],
)
def test_a_floor_with_confidence_is_held_against_the_lower_bound(
    span: tuple[float, float, float], outcome: str, words: str
) -> None:
    evidence = replace(known(roc_auc=span), rows=500, units=500)
    verdict = judge(evidence, Rules(floors_lower={"roc_auc": 0.8}))
    assert (verdict.outcome, verdict.decided_by) == (outcome, "floors_lower")
    assert words in verdict.reasons[0]
    assert "gate.floors_lower.roc_auc = 0.8" in verdict.reasons[0]


def test_a_floor_with_confidence_for_an_error_is_held_against_the_upper_bound() -> None:
    evidence = known("regression", rmse=(2.0, 1.9, 2.1))
    asked = {
        bound: judge(evidence, Rules(floors_lower={"rmse": bound})) for bound in (2.2, 2.05, 1.8)
    }
    assert [v.outcome for v in asked.values()] == ["promote", "inconclusive", "reject"]


def test_what_a_missed_floor_would_let_pass_does_let_it_pass() -> None:
    missed = judge(GOOD, Rules(floors={"roc_auc": 0.9}))
    assert missed.reasons[0].endswith("a floor of 0.800 would have let it pass")
    assert judge(GOOD, Rules(floors={"roc_auc": 0.8})).outcome == "promote"


@pytest.mark.parametrize(
    ("low", "share", "outcome"),
    [(0.0, 0.02, "promote"), (0.04, 0.06, "inconclusive"), (0.2, 0.3, "reject")],
)
def test_a_declared_direction_is_held_to_its_share_of_rows(
    low: float, share: float, outcome: str
) -> None:
    text = "increase age -> not lower risk"
    tried = {"text": text, "rows": 200, "violations": int(200 * share), "share": share}
    tried |= {"low": low, "high": 1.0, "allowed": 0.05, "holds": share <= 0.05}
    verdict = judge(replace(GOOD, checks={"directions": [tried]}), Rules())
    assert verdict.outcome == outcome
    finding = next(each for each in verdict.findings if each.by == "directions")
    assert text in finding.reason


def test_a_direction_that_could_not_be_tried_is_not_judged_and_no_pass() -> None:
    tried = {"text": "increase age -> not lower risk", "rows": 0, "violations": 0, "share": None}
    verdict = judge(replace(GOOD, checks={"directions": [{**tried, "holds": None}]}), Rules())
    assert verdict.findings[-1].outcome == "not judged"
    assert verdict.outcome == "promote"


def test_a_floor_of_stability_is_held() -> None:
    checks = {"robustness": {"missing": {"share": 0.9, "low": 0.88, "high": 0.92}, "noise": None}}
    evidence = replace(GOOD, checks=checks)
    assert judge(evidence, Rules(robustness={"missing": 0.85})).outcome == "promote"
    broken = judge(evidence, Rules(robustness={"missing": 0.95, "noise": 0.9}))
    assert (broken.outcome, broken.decided_by) == ("reject", "robustness")
    assert "gate.robustness.missing = 0.95" in broken.reasons[0]
    assert "no cell could be disturbed" in broken.reasons[-1]


def test_rules_come_from_the_settings_and_travel_as_json() -> None:
    gate = GateSpec.model_validate(
        {"floors": {"roc_auc": 0.7}, "margin": "2%", "slices": "sex", "robustness": {"noise": 0.9}}
    )
    rules = Rules.of(gate)
    assert (rules.margin, rules.floors) == ("2%", {"roc_auc": 0.7})
    stored = json.loads(json.dumps(rules.to_json()))
    assert Rules.from_json(stored) == rules
    with pytest.raises(ValueError, match=r"however: futuristic"):
        Rules.from_json({**stored, "futuristic": 1})


def test_margins_are_amounts_or_shares_of_the_champions_value() -> None:
    assert Rules(margin=0.01).margin_in("roc_auc", 0.8).value == 0.01
    assert Rules(margin="2%").margin_in("rmse", 50.0).value == pytest.approx(1.0)
    assert Rules(margin="2%").margin_in("rmse", 50.0).setting == 'gate.margin = "2%" of 50'
    assert Rules().margin_in("roc_auc", 0.8).value == 0.005
    assert Rules().margin_in("rmse", 50.0).value == pytest.approx(1.0)
    assert Rules().margin_in("r2", -0.5).value == pytest.approx(0.01)
    assert Rules().drop_in("accuracy", 0.8).value == 0.05
    assert "default" in Rules().drop_in("rmse", 50.0).setting
    for wrong in ("2", "x%", "-2%", -0.1, float("nan")):
        with pytest.raises(ValueError, match=r"gate\.margin must be"):
            Rules(margin=wrong)


def test_every_rules_metric_must_fit_the_task() -> None:
    with pytest.raises(ValueError, match=r"gate\.floors_lower must be a metric of a binary task"):
        fitting("binary", Rules(floors_lower={"rmse": 1.0}))
    with pytest.raises(ValueError, match="below 1"):
        Rules(confidence=1.0)


def test_a_verdict_travels_as_json() -> None:
    verdict = judge(GOOD, Rules(floors={"roc_auc": 0.9}, floors_lower={"roc_auc": 0.6}))
    stored = json.loads(json.dumps(verdict.to_json(), allow_nan=False))
    assert Verdict.from_json(stored) == verdict
    assert not any("; " in reason for reason in verdict.reasons)  # they are joined by it
