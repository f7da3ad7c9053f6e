"""The worst slices: a planted one is found, noise gives none, none is told twice."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from expectations.slices import members
from expectations.worst_slices import worst

ROWS = 2_400


def world(seed: int, rows: int = ROWS) -> tuple[pd.DataFrame, np.random.Generator]:
    rng = np.random.default_rng(seed)
    columns = {f"수{k}": rng.normal(size=rows) for k in range(5)}
    columns |= {
        f"글{k}": rng.choice(list("abcd"), rows, p=[0.5, 0.3, 0.15, 0.05]) for k in range(5)
    }
    return pd.DataFrame(columns), rng


def columns_of(definition: dict) -> set[str]:
    return {condition["column"] for condition in definition["conditions"]}


def test_a_planted_pair_of_conditions_is_found_first():
    frame, rng = world(0)
    planted = (frame["글1"] == "b") & (frame["수2"] > 0.67)
    loss = rng.exponential(size=ROWS) + 2.0 * planted
    found = worst(frame, loss, np.ones(ROWS), min_support=50)
    assert columns_of(found[0]) == {"글1", "수2"}
    (mask,) = members(found[:1], frame).values()
    assert (mask & planted).sum() >= 0.9 * max(mask.sum(), planted.sum())
    assert len(found) == 1


def test_a_whole_level_is_told_as_one_condition():
    frame, rng = world(1)
    loss = rng.exponential(size=ROWS) + 1.0 * (frame["글0"] == "c")
    found = worst(frame, loss, np.ones(ROWS), min_support=50)
    assert [d["name"] for d in found] == ["글0 = c"]
    assert found[0]["found"] == "automatic"


def test_two_planted_slices_are_both_found_though_they_overlap():
    frame, rng = world(2)
    first, second = frame["글0"] == "c", frame["글1"] == "c"
    loss = rng.exponential(size=ROWS) + 1.5 * first + 1.0 * second
    names = {d["name"] for d in worst(frame, loss, np.ones(ROWS), min_support=50)}
    assert {"글0 = c", "글1 = c"} <= names
    assert len(names) <= 3


def test_missing_cells_are_a_slice():
    frame, rng = world(3)
    gone = rng.random(ROWS) < 0.1
    frame.loc[gone, "수0"] = np.nan
    found = worst(frame, rng.exponential(size=ROWS) + 1.0 * gone, np.ones(ROWS), min_support=50)
    assert [d["name"] for d in found] == ["수0 is missing"]


@pytest.mark.parametrize("kind", ["flat", "heavy", "wrong or right"])
def test_noise_gives_no_slice(kind):
    alarms = 0
    for seed in range(25):
        frame, rng = world(seed, 900)
        loss = {
            "flat": rng.uniform(size=900),
            "heavy": rng.lognormal(sigma=1.5, size=900),
            "wrong or right": (rng.random(900) < 0.15) * 1.0,
        }[kind]
        alarms += bool(worst(frame, loss, rng.uniform(0.2, 3, 900), min_support=50))
    assert alarms <= 2


def test_support_and_weight_are_held():
    frame, rng = world(4)
    loss = rng.exponential(size=ROWS) + 5.0 * (frame["글0"] == "d")
    support = int((frame["글0"] == "d").sum()) + 1
    found = worst(frame, loss, np.ones(ROWS), min_support=support, depth=1)
    assert "글0 = d" not in [d["name"] for d in found]
    ignored = np.where(frame["글0"] == "d", 0.0, 1.0)
    assert worst(frame, loss, ignored, min_support=50) == []


def test_too_few_rows_or_a_depth_beyond_two():
    frame, rng = world(5)
    few = frame.iloc[:80]
    assert worst(few, rng.random(80), np.ones(80), min_support=50) == []
    with pytest.raises(ValueError, match="depth of the search must be 1 or 2"):
        worst(frame, rng.random(ROWS), np.ones(ROWS), min_support=50, depth=3)
