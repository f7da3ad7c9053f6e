"""The champion's place is taken on evidence: margins, anchors, doubts, and what would have changed it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from expectations.gate import Evidence, Referee, Rows, Rules, Verdict, judge
from expectations.predictions import Predictions

RULES = Rules(metric="accuracy", margin=0.02, calibration="off")


def labels(right: np.ndarray) -> Predictions:
    """A binary model that is right on these rows."""
    ones = np.ones(len(right), dtype=int)
    half = np.full((len(right), 2), 0.5)
    return Predictions(task="binary", target=ones, probabilities=half, label=right.astype(int))


def rights(rows: int, gain: float, discordance: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """Champion and challenger, better by exactly `gain`, who differ on exactly this share of rows."""
    won = round(rows * (discordance + gain) / 2)
    lost = round(rows * (discordance - gain) / 2)
    champion = np.arange(rows) < rows * 0.85
    challenger = champion.copy()
    challenger[np.flatnonzero(~champion)[:won]] = True
    challenger[np.flatnonzero(champion)[:lost]] = False
    return champion, challenger


def compared(
    gain: float, rows: int = 4000, *, anchor: float | None = None, look: int = 1, **more: Any
) -> Evidence:
    """Evidence of a challenger that is better than the champion by `gain`, and so on."""
    champion, challenger = rights(rows, gain)
    behind = None
    if anchor is not None:
        behind = challenger.copy()
        lost = np.flatnonzero(challenger)[: round(-anchor * rows)]
        won = np.flatnonzero(~challenger)[: round(-anchor * rows)]
        behind[won if anchor < 0 else lost] = anchor < 0
    table = Rows(
        unit=more.pop("unit", np.arange(rows)),
        weight=np.ones(rows),
        challenger=labels(challenger),
        champion=labels(champion),
        anchor=None if behind is None else labels(behind),
        **more,
    )
    referee = Referee(
        status="compared",
        champion="version 3",
        anchor="version 1" if anchor is not None else "",
        look=look,
        rows=table,
    )
    return Evidence(task="binary", metrics={}, referee=referee)


@pytest.mark.parametrize(
    ("gain", "rows", "outcome"),
    [
        (0.0, 4000, "promote"),
        (-0.02, 4000, "inconclusive"),
        (-0.05, 4000, "reject"),
        (0.0, 200, "inconclusive"),
        (0.04, 4000, "promote"),
    ],
)
def test_no_worse_is_decided_by_where_the_interval_lies_to_the_margin(
    gain: float, rows: int, outcome: str
) -> None:
    verdict = judge(compared(gain, rows), RULES)
    assert (verdict.outcome, verdict.decided_by) == (outcome, "champion")
    assert "gate.margin = 0.02" in verdict.reasons[0]
    assert "version 3" in verdict.reasons[0]
    found = verdict.findings[0].numbers
    assert found["value"] == pytest.approx(gain, abs=1e-9)
    assert found["low"] < found["value"] < found["high"]
    assert found["rows"] == found["units"] == rows


@pytest.mark.parametrize(
    ("gain", "outcome"), [(0.03, "promote"), (0.003, "inconclusive"), (-0.03, "reject")]
)
def test_better_is_decided_by_where_the_interval_lies_to_nought(gain: float, outcome: str) -> None:
    rules = replace(RULES, against_champion="better", margin=None)
    verdict = judge(compared(gain), rules)
    assert verdict.outcome == outcome
    assert 'gate.against_champion = "better"' in verdict.reasons[0]


def test_a_model_worse_than_its_margin_allows_is_not_promoted_however_sure() -> None:
    verdict = judge(compared(-0.022, 100_000), RULES)
    assert verdict.outcome == "reject"


def test_a_doubt_says_how_many_units_would_tell_and_they_do() -> None:
    verdict = judge(compared(0.0, 400), RULES)
    needed = verdict.findings[0].numbers["needed"]
    assert f"about {needed:,} units would show" in verdict.reasons[0]
    assert judge(compared(0.0, needed), RULES).outcome == "promote"
    assert judge(compared(0.0, needed // 3), RULES).outcome == "inconclusive"


def test_where_more_rows_would_not_tell_the_sentence_says_so() -> None:
    verdict = judge(compared(-0.018, 20_000), RULES)
    assert verdict.outcome == "inconclusive"
    assert "more need not tell" in verdict.reasons[0]


@pytest.mark.parametrize(("gain", "rows"), [(0.0, 300), (-0.02, 4000), (-0.05, 4000), (0.0, 4000)])
def test_the_margin_that_would_have_changed_the_verdict_does_change_it(
    gain: float, rows: int
) -> None:
    evidence = compared(gain, rows)
    verdict = judge(evidence, RULES)
    told = re.search(r"gate\.margin = ([0-9.]+) or (more|less)", verdict.findings[0].otherwise)
    assert told is not None
    turned = judge(evidence, replace(RULES, margin=float(told[1])))
    assert (turned.outcome == "promote") == (told[2] == "more")
    assert (turned.outcome == "promote") != (verdict.outcome == "promote")


def test_later_looks_ask_for_more() -> None:
    first = judge(compared(0.0, 1600), RULES)
    later = judge(compared(0.0, 1600, look=30), RULES)
    assert (first.outcome, later.outcome) == ("promote", "inconclusive")
    assert "at look 30" in later.reasons[0]
    wider = later.findings[0].numbers["high"] - later.findings[0].numbers["low"]
    assert wider > first.findings[0].numbers["high"] - first.findings[0].numbers["low"]


def test_a_small_loss_each_is_stopped_by_the_anchor() -> None:
    evidence = compared(0.0, anchor=-0.04)
    verdict = judge(evidence, RULES)
    assert (verdict.outcome, verdict.decided_by) == ("reject", "anchor")
    assert "the anchor, version 1" in verdict.reasons[0]
    assert judge(compared(0.0, anchor=-0.02), RULES).outcome == "inconclusive"
    assert judge(compared(0.0, anchor=0.01), RULES).outcome == "promote"
    better = replace(RULES, against_champion="better", margin=None)
    assert judge(compared(0.03, anchor=-0.04), better).outcome == "promote"


def test_an_anchor_that_cannot_be_asked_is_a_doubt() -> None:
    evidence = compared(0.0, anchor=0.0)
    assert evidence.referee is not None
    assert evidence.referee.rows is not None
    rows = replace(evidence.referee.rows, anchor=None)
    verdict = judge(replace(evidence, referee=replace(evidence.referee, rows=rows)), RULES)
    assert (verdict.outcome, verdict.decided_by) == ("inconclusive", "anchor")


@pytest.mark.parametrize("status", ["doubt", "off"])
def test_a_champion_that_was_not_compared_is_never_a_pass(status: Any) -> None:
    referee = Referee(status=status, reason="its files changed", champion="version 3")
    verdict = judge(Evidence(task="binary", metrics={}, referee=referee), RULES)
    assert (verdict.outcome, verdict.decided_by) == ("inconclusive", "champion")
    assert status == "off" or "its files changed" in verdict.reasons[0]


def test_the_first_version_has_nothing_to_beat_and_says_so_last() -> None:
    metrics = {"roc_auc": {"value": 0.8, "low": 0.7, "high": 0.9}}
    evidence = Evidence(task="binary", metrics=metrics, referee=Referee(status="none"))
    verdict = judge(evidence, Rules(floors={"roc_auc": 0.7}))
    assert (verdict.outcome, verdict.decided_by, verdict.rule) == ("promote", "roc_auc", "first")
    assert "no champion" in verdict.reasons[-1]


def test_too_few_unseen_units_are_a_doubt() -> None:
    few = compared(0.0, 400, unit=np.arange(400) % 20)
    verdict = judge(few, RULES)
    assert verdict.outcome == "inconclusive"
    assert "400 rows of 20 units" in verdict.reasons[0]
    assert "gate.min_referee = 50" in verdict.reasons[0]


def test_doubts_about_the_champion_may_be_waived_but_no_floor_and_no_dummy() -> None:
    waive = replace(RULES, on_inconclusive="promote")
    evidence = compared(0.0, 200)
    verdict = judge(evidence, waive)
    assert (verdict.outcome, verdict.rule) == ("promote", "unsure")
    assert "waived" in verdict.reasons[0]
    gains = {"dummy": {"metric": "accuracy", "value": 0.0, "low": -0.1, "high": 0.1}}
    assert judge(replace(evidence, gains=gains), waive).decided_by == "dummy"
    floor = replace(waive, floors={"roc_auc": 0.7})
    assert judge(evidence, floor).outcome == "inconclusive"
    assert judge(compared(-0.05), waive).outcome == "reject"


def test_nothing_is_compared_where_the_settings_say_so() -> None:
    verdict = judge(compared(-0.05), replace(RULES, against_champion="off"))
    assert (verdict.outcome, verdict.rule) == ("promote", "off")
    assert 'gate.against_champion = "off"' in verdict.reasons[-1]


def test_a_win_says_by_which_rule_it_stands() -> None:
    assert judge(compared(0.0), RULES).rule == "no_worse"
    assert judge(compared(0.04), RULES).rule == "better"
    assert judge(compared(-0.05), RULES).rule == ""


def test_a_metric_without_bounds_is_a_doubt() -> None:
    verdict = judge(compared(0.0), replace(RULES, metric="roc_auc"))
    assert verdict.outcome == "inconclusive"
    assert "roc_auc is undefined on 4,000 referee rows" in verdict.reasons[0]


def test_a_margin_in_percent_is_of_the_champions_value() -> None:
    rng = np.random.default_rng(0)
    target = rng.normal(100, 10, 2000)
    noise = rng.normal(size=2000)

    def model(scale: float) -> Predictions:
        return Predictions(task="regression", target=target, value=target + scale * noise)

    def verdict(scale: float) -> Verdict:
        rows = Rows(
            unit=np.arange(2000), weight=np.ones(2000), challenger=model(scale), champion=model(10)
        )
        referee = Referee(status="compared", champion="version 3", rows=rows)
        return judge(Evidence(task="regression", metrics={}, referee=referee), Rules(margin="2%"))

    assert verdict(10.1).outcome == "promote"
    assert verdict(10.3).outcome == "reject"
    assert re.search(r'gate\.margin = "2%" of \d', verdict(10.1).reasons[0])


def test_a_slice_that_got_worse_rejects_although_the_whole_did_not() -> None:
    champion, challenger = rights(6000, 0.02)
    member = np.zeros(6000, dtype=bool)
    member[np.flatnonzero(champion & challenger)[-300:]] = True
    member[np.flatnonzero(champion & ~challenger)[:60]] = True
    small = np.zeros(6000, dtype=bool)
    small[:20] = True
    slices = {"sex = 여": member, "sex = 남": ~member, "age < 18": small}
    verdict = judge(compared(0.02, 6000, slices=slices), RULES)
    assert (verdict.outcome, verdict.decided_by) == ("reject", "slices")
    assert "in the slice sex = 여" in verdict.reasons[0]
    assert verdict.findings[0].numbers["slice"] == "sex = 여"
    untold = next(each for each in verdict.findings if each.outcome == "not judged")
    assert "age < 18" in untold.reason
    healthy = judge(compared(0.02, 6000, slices={"sex = 남": ~member}), RULES)
    assert healthy.outcome == "promote"


def test_calibration_that_got_worse_rejects_and_may_be_switched_off() -> None:
    rng = np.random.default_rng(1)
    p = rng.uniform(0.05, 0.95, 4000)
    target = (rng.random(4000) < p).astype(int)

    def model(said: np.ndarray) -> Predictions:
        both = np.column_stack([1 - said, said])
        label = (said > 0.5).astype(int)
        return Predictions(task="binary", target=target, probabilities=both, label=label)

    sharp = p**3 / (p**3 + (1 - p) ** 3)
    rows = Rows(
        unit=np.arange(4000), weight=np.ones(4000), challenger=model(sharp), champion=model(p)
    )
    referee = Referee(status="compared", champion="version 3", rows=rows)
    evidence = Evidence(task="binary", metrics={}, referee=referee)
    verdict = judge(evidence, Rules())
    assert (verdict.outcome, verdict.decided_by) == ("reject", "calibration")
    assert 'gate.calibration = "no_worse"' in verdict.reasons[0]
    assert judge(evidence, Rules(calibration="off")).outcome == "promote"
    swapped = replace(rows, challenger=model(p), champion=model(sharp))
    evidence = replace(evidence, referee=replace(referee, rows=swapped))
    assert judge(evidence, Rules()).outcome == "promote"


def test_judging_again_gives_the_same_verdict_to_the_last_digit() -> None:
    evidence = compared(0.0, 600, unit=np.arange(600) // 2)
    rules = replace(RULES, metric="f1_macro", calibration="no_worse")
    first, second = (json.dumps(judge(evidence, rules).to_json()) for _ in range(2))
    assert first == second
    assert judge(evidence, Rules.from_json(json.loads(json.dumps(rules.to_json())))) == judge(
        evidence, rules
    )
