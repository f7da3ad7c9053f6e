"""Whole runs from a table's first look on: every kind of made feature, and a hundred thousand levels."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flows.json_files import read_json

pytestmark = pytest.mark.long

MADE = """
[features]
dates = "cyclic"
interactions = 3
drop_constant = 0.99
drop_outliers = 3.0
keep = 12
keep_by = "importance"
reduce = { kind = "autoencoder", size = 3, join = true }
[train]
balance = "over"
members = 2
epochs = 8
[gate]
floors = { roc_auc = 0.9 }
"""


def penstock(folder, *words):
    command = Path(sys.executable).with_name("penstock")
    done = subprocess.run(
        [command, *words], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def fitted(folder):
    (place,) = folder.glob(".penstock/cache/train/*/fitted.json")
    return read_json(place)


def doors(rows=4000):
    """One door in six has a fault, likelier where width times height is large, and at some hours."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        rng.uniform(0.5, 3, (rows, 3)).round(3), columns=["width", "height", "depth"]
    )
    core = rng.normal(size=(rows, 2))
    for k in range(4):
        frame[f"m{k}"] = (core @ rng.normal(size=2) + 0.1 * rng.normal(size=rows)).round(4)
    frame["flat"] = (np.arange(rows) % 997 == 0).astype(int)
    at = pd.date_range("2024-01-01", periods=rows, freq="3h")
    frame["at"] = at.strftime("%Y-%m-%d %H:%M:%S")
    size = frame["width"] * frame["height"] + np.sin(2 * np.pi * at.hour / 24)
    fault = size + 0.4 * rng.normal(size=rows)
    frame["fault"] = np.where(fault > np.quantile(fault, 5 / 6), "yes", "no")
    frame.loc[rng.random(rows) < 0.05, "depth"] = np.nan
    return frame


def test_all_made_features_together_are_learned_served_and_told(tmp_path):
    doors().to_csv(tmp_path / "doors.csv", index=False)
    penstock(tmp_path, "init", "doors.csv", "--target", "fault")
    settings = tmp_path / "doors.toml"
    text = settings.read_text("utf-8")
    settings.write_text(text.partition("[sweep]")[0] + MADE, encoding="utf-8")
    summary = json.loads(penstock(tmp_path, "run", "doors.toml", "--json"))
    assert summary["verdict"]["outcome"] == "promoted"
    features = fitted(tmp_path)["features"]
    assert features["interactions"]["width * height"]["folds"] >= 3
    assert "flat" in features["dropped"]
    assert features["chosen"]["width"] == features["chosen"]["height"] == 1.0
    assert features["reduced"]["kind"] == "autoencoder"
    assert min(features["outliers"]["left_out"]) > 0
    assert set(features["outliers"]["columns"]) <= {f"m{k}" for k in range(4)}
    page = next(tmp_path.glob(".penstock/runs/*/report.html")).read_text("utf-8")
    assert "width * height (" in page
    assert "beyond 3 widths left out; fold 0: " in page
    assert "Chosen by importance, share of looks" in page
    penstock(tmp_path, "score", "doors@champion", "doors.csv", "scored.csv")
    scored = pd.read_csv(tmp_path / "scored.csv")
    shares = scored["probability_yes"]
    assert abs(shares.mean() - (doors()["fault"] == "yes").mean()) < 0.02


def test_a_hundred_thousand_levels_from_init_to_a_champion(tmp_path):
    rng = np.random.default_rng(0)
    level = rng.permutation(
        np.concatenate([np.repeat(np.arange(100_000), 2), rng.integers(0, 500, 50_000)])
    )
    effect = np.where(np.arange(100_000) < 500, rng.normal(size=100_000), 0.0)
    x = rng.normal(size=len(level)).round(3)
    y = (x + 2 * effect[level] + 0.5 * rng.normal(size=len(level))).round(3)
    shops = pd.Series(level).map("shop {:06d}".format)
    pd.DataFrame({"x": x, "shop": shops, "y": y}).to_csv(tmp_path / "shops.csv", index=False)
    penstock(tmp_path, "init", "shops.csv", "--target", "y")
    fast = [
        f"--set={each}" for each in ("sweep.enabled=false", "train.epochs=2", "train.members=1")
    ]
    summary = json.loads(penstock(tmp_path, "run", "shops.toml", "--json", *fast))
    assert summary["verdict"]["outcome"] == "promoted"
    found = fitted(tmp_path)
    assert found["features"]["shared"]["shop"] > 50_000
    (levels,) = [each for each in found["layers"] if each["name"] == "levels"]
    assert levels["parameters"] == (2 + 1024 + 128) * 8
