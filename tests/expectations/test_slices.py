"""Slices: what they are, who is in them, and when a challenger is worse in one."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from benchmarks.gate_slices import DROP, HARMED, harmed, rates, referee_rows
from expectations.evidence import Rows
from expectations.holm import holm
from expectations.predictions import Predictions
from expectations.slices import declared, judge_slices, members


def table(rows: int = 1_000) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "성별": rng.choice(["여", "남"], rows),
            "age": rng.integers(18, 90, rows).astype(float),
            "rooms": rng.integers(1, 4, rows).astype(float),
            "purpose": rng.choice(["car", "house", "boat", "zoo"], rows, p=[0.6, 0.37, 0.02, 0.01]),
            "since": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, rows), "D"),
        }
    )
    frame.loc[::20, "purpose"] = None
    frame.loc[::25, "age"] = np.nan
    return frame


def test_every_row_is_in_one_slice_of_a_declared_column():
    frame = table()
    for column in frame:
        masks = members(declared([[column]], frame), frame)
        assert (np.sum(list(masks.values()), axis=0) == 1).all()


def test_levels_rare_levels_and_missing_cells_are_slices_of_their_own():
    frame = table()
    names = [d["name"] for d in declared([["purpose"]], frame, min_support=50)]
    assert names == [
        "purpose = car",
        "purpose = house",
        "purpose = boat or zoo",
        "purpose is missing",
    ]


def test_numbers_are_cut_at_stated_edges_and_few_values_are_levels():
    frame = table()
    bins = declared([["age"]], frame)
    edges = [(d["conditions"][0].get("low"), d["conditions"][0].get("high")) for d in bins[:-1]]
    assert edges[0][0] is None
    assert edges[-1][1] is None
    assert [high for _, high in edges[:-1]] == [low for low, _ in edges[1:]]
    assert f"{edges[1][0]:g} < age ≤ {edges[1][1]:g}" == bins[1]["name"]
    sizes = [int(mask.sum()) for mask in members(bins[:-1], frame).values()]
    assert max(sizes) - min(sizes) < 60
    assert [d["name"] for d in declared([["rooms"]], frame)] == [
        f"rooms = {n}" for n in frame["rooms"].value_counts().index.astype(int)
    ]


def test_a_combination_has_the_cells_with_support():
    frame = table()
    found = declared([["성별", "purpose"]], frame, min_support=50)
    assert "성별 = 여 and purpose = car" in [d["name"] for d in found]
    assert all(mask.sum() >= 50 for mask in members(found, frame).values())


def test_a_definition_means_the_same_after_json_and_on_another_frame():
    frame = table()
    found = declared([["since"], ["age", "성별"], ["purpose"]], frame)
    again = json.loads(json.dumps(found))
    other = table(300).assign(purpose="plane")
    for name, mask in members(again, other).items():
        assert (mask == members(found, other)[name]).all()
    assert not any(
        mask.any() for name, mask in members(again, other).items() if name.startswith("purpose")
    )


def test_a_column_that_is_gone_is_named():
    frame = table()
    found = declared([["purpose"]], frame)
    with pytest.raises(ValueError, match="needs the column 'purpose'"):
        members(found, frame.drop(columns="purpose"))


def test_holm_agrees_with_a_hand_calculation():
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]).tolist() == []


def test_a_large_drop_is_found_and_named_first():
    judged = judge_slices(referee_rows(3, drop=0.08), "accuracy", 0.05, 0.05, 50)
    assert (judged[0]["name"], judged[0]["state"]) == (HARMED, "harmed")
    assert judged[0]["high"] < 0


def test_a_slice_without_power_is_not_judged_and_says_what_it_would_need():
    rows = referee_rows(0, rows=100)
    judged = judge_slices(rows, "accuracy", 0.05, 0.05, 50)
    assert {entry["state"] for entry in judged} == {"not judged"}
    for entry in judged:
        enough = referee_rows(5, rows=2 * entry["needed"])
        states = [e["state"] for e in judge_slices(enough, "accuracy", 0.05, 0.05, 50)]
        assert states.count("held") >= 19
        break


def test_a_slice_under_the_support_is_not_judged_whatever_it_shows():
    rows = referee_rows(0, drop=0.08, rows=60)
    judged = judge_slices(rows, "accuracy", 0.05, 0.05, 100)
    assert {entry["state"] for entry in judged} == {"not judged"}
    assert judged[0]["reason"] == "60 rows are fewer than gate.min_support = 100"
    assert {entry["needed"] for entry in judged} == {100}


def test_the_same_answers_are_not_worse_and_a_small_slice_of_them_is_no_pass():
    rows = referee_rows(0)
    same = replace(rows, challenger=rows.champion)
    assert {e["state"] for e in judge_slices(same, "accuracy", 0.05, 0.05, 50)} == {"held"}
    few = {"few": np.arange(len(rows)) < 60}
    judged = judge_slices(replace(same, slices=few), "accuracy", 0.05, 0.02, 50)
    assert judged[0]["state"] == "not judged"


def test_rows_of_one_unit_are_no_further_evidence():
    rows = referee_rows(1, drop=0.05)
    twice = np.repeat(np.arange(len(rows)), 2)
    doubled = Rows(
        unit=rows.unit[twice],
        weight=rows.weight[twice],
        challenger=rows.challenger.take(twice),
        champion=rows.champion.take(twice),
        slices={name: mask[twice] for name, mask in rows.slices.items()},
    )
    once = {e["name"]: e["p"] for e in judge_slices(rows, "accuracy", 0.05, 0.05, 50)}
    again = {e["name"]: e["p"] for e in judge_slices(doubled, "accuracy", 0.05, 0.05, 50)}
    assert again == pytest.approx(once)


def test_rows_of_few_units_are_not_judged():
    rows = referee_rows(1)
    few = replace(rows, unit=np.arange(len(rows)) % 5)
    judged = judge_slices(few, "accuracy", 0.05, 0.2, 50)
    assert {e["state"] for e in judged} == {"not judged"}
    assert judged[0]["reason"] == "its rows belong to 5 units only"


def scored(rng: np.random.Generator, rows: int, noise: float) -> tuple[Predictions, Predictions]:
    """Champion and challenger that know as much; the challenger knows less in the first third."""
    signal = rng.normal(size=rows)
    truth = (rng.random(rows) < 1 / (1 + np.exp(-2 * signal))).astype(int)
    blur = np.where(np.arange(rows) < rows // 3, noise, 0.3)
    made = []
    for spread in (0.3, blur):
        p = 1 / (1 + np.exp(-2 * (signal + spread * rng.normal(size=rows))))
        shares = np.stack([1 - p, p], axis=1)
        made.append(
            Predictions(task="binary", target=truth, probabilities=shares, label=(p > 0.5) * 1)
        )
    return made[0], made[1]


@pytest.mark.parametrize("metric", ["roc_auc", "log_loss", "brier", "balanced_accuracy"])
def test_a_slice_that_got_worse_is_found_by_every_kind_of_metric(metric):
    rng = np.random.default_rng(1)
    rows = 1_800
    champion, challenger = scored(rng, rows, noise=1.5)
    slices = {"first": np.arange(rows) < rows // 3, "rest": np.arange(rows) >= rows // 3}
    known = Rows(
        unit=np.arange(rows),
        weight=np.ones(rows),
        challenger=challenger,
        champion=champion,
        slices=slices,
    )
    states = {e["name"]: e["state"] for e in judge_slices(known, metric, 0.05, 0.05, 50)}
    assert states == {"first": "harmed", "rest": "held"}


@pytest.mark.parametrize("metric", ["rmse", "mae", "r2"])
def test_slices_of_a_regression(metric):
    rng = np.random.default_rng(0)
    rows = 900
    y = rng.normal(size=rows) * 10 + 1e6
    first = np.arange(rows) < 300
    said = [
        Predictions(task="regression", target=y, value=y + rng.normal(size=rows) * spread)
        for spread in (1.0, np.where(first, 2.0, 1.0))
    ]
    known = Rows(
        unit=np.arange(rows),
        weight=rng.uniform(0.5, 2, rows),
        challenger=said[1],
        champion=said[0],
        slices={"first": first, "rest": ~first},
    )
    judged = {e["name"]: e for e in judge_slices(known, metric, 0.05, 0.5, 50)}
    assert judged["first"]["state"] == "harmed"
    assert judged["rest"]["state"] == "held"


def test_a_metric_that_one_class_leaves_undefined_is_not_judged():
    rng = np.random.default_rng(0)
    champion, challenger = scored(rng, 600, noise=0.3)
    known = Rows(
        unit=np.arange(600),
        weight=np.ones(600),
        challenger=challenger,
        champion=champion,
        slices={"ones": champion.target == 1},
    )
    (entry,) = judge_slices(known, "roc_auc", 0.05, 0.05, 50)
    assert (entry["state"], entry["value"]) == ("not judged", None)
    assert entry["reason"] == "roc_auc cannot be told on these rows"


def test_a_ranking_of_few_positives_is_not_judged_however_narrow_it_looks():
    rng = np.random.default_rng(0)
    champion, challenger = scored(rng, 600, noise=0.3)
    ones = np.cumsum(champion.target == 1) <= 3
    known = Rows(
        unit=np.arange(600),
        weight=np.ones(600),
        challenger=challenger,
        champion=champion,
        slices={"few": ones | (champion.target == 0)},
    )
    (entry,) = judge_slices(known, "roc_auc", 0.05, 0.9, 50)
    assert (entry["state"], entry["reason"]) == ("not judged", "the rarer class has 3 units there")
    assert entry["needed"] > 3 * entry["rows"]


def test_a_column_that_names_its_rows_is_not_cut():
    frame = pd.DataFrame({"name": [f"n{k}" for k in range(900)]})
    assert declared([["name"]], frame) == []


@pytest.mark.slow
def test_a_drop_of_five_points_in_one_of_twenty_slices_is_caught_and_equal_ones_are_let_be():
    found = rates(400)
    assert found["slice_drop_caught"] >= 0.80
    assert found["slice_false_alarm"] <= 0.07


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "discordance"), [(60, 0.2), (60, 0.08), (200, 0.05)])
def test_equal_models_raise_few_alarms_in_small_slices(rows, discordance):
    alarms = [
        bool(harmed(referee_rows(seed, rows=rows, discordance=discordance), DROP))
        for seed in range(400)
    ]
    assert np.mean(alarms) <= 0.07


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["roc_auc", "log_loss"])
def test_equal_scores_raise_few_alarms(metric):
    alarms = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        champion, challenger = scored(rng, 2_000, noise=0.3)
        part = np.arange(2_000) % 20
        known = Rows(
            unit=np.arange(2_000),
            weight=np.ones(2_000),
            challenger=challenger,
            champion=champion,
            slices={str(k): part == k for k in range(20)},
        )
        judged = judge_slices(known, metric, 0.05, 0.05, 50)
        alarms += any(entry["state"] == "harmed" for entry in judged)
    assert alarms / 200 <= 0.07
