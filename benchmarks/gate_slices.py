"""Slices under the gate: how often a planted drop is caught, how often equal models raise an alarm.

- Twenty slices of 500 rows each; the two models' labels differ on a share of rows (discordance).
  Whatever differs is right or wrong at even odds, save in the harmed slice, where the challenger's
  accuracy is lower by the drop.
- `benchmarks/gate.py` and the tests run the same code.
"""

from __future__ import annotations

import argparse
import json

import numpy as np

from expectations.evidence import Rows
from expectations.predictions import Predictions
from expectations.slices import judge_slices

SLICES, ROWS, DISCORDANCE, DROP, ALPHA = 20, 500, 0.08, 0.05, 0.05
HARMED = "slice 0"


def referee_rows(
    seed: int,
    *,
    drop: float = 0.0,
    rows: int = ROWS,
    slices: int = SLICES,
    discordance: float = DISCORDANCE,
) -> Rows:
    """Referee rows of two models that are equal but for `drop` of accuracy in the first slice."""
    rng = np.random.default_rng(seed)
    part = np.repeat(np.arange(slices), rows)
    count = len(part)
    differs = rng.random(count) < discordance
    lost = np.where(part == 0, (discordance + drop) / (2 * discordance), 0.5)
    wrong = rng.random(count) < lost
    truth = rng.integers(0, 2, count)
    both = rng.random(count) < 0.9  # where they agree, they are mostly right
    right = {"challenger": np.where(differs, ~wrong, both)}
    right["champion"] = np.where(differs, wrong, both)
    said = {
        name: _labelled(truth, np.where(held, truth, 1 - truth)) for name, held in right.items()
    }
    return Rows(
        unit=np.arange(count),
        weight=np.ones(count),
        slices={f"slice {k}": part == k for k in range(slices)},
        challenger=said["challenger"],
        champion=said["champion"],
    )


def _labelled(truth: np.ndarray, label: np.ndarray) -> Predictions:
    return Predictions(
        task="binary", target=truth, label=label, probabilities=np.eye(2)[label] * 0.8 + 0.1
    )


def harmed(rows: Rows, drop: float = DROP, metric: str = "accuracy") -> set[str]:
    """The slices in which the challenger is found to be worse."""
    judged = judge_slices(rows, metric, ALPHA, drop, min_support=50)
    return {entry["name"] for entry in judged if entry["state"] == "harmed"}


def rates(seeds: int, *, discordance: float = DISCORDANCE) -> dict[str, float]:
    """Share of seeds in which the drop is caught, and in which equal models raise any alarm."""
    caught = [
        HARMED in harmed(referee_rows(s, drop=DROP, discordance=discordance)) for s in range(seeds)
    ]
    alarms = [bool(harmed(referee_rows(10**6 + s, discordance=discordance))) for s in range(seeds)]
    return {
        "slice_drop_caught": float(np.mean(caught)),
        "slice_false_alarm": float(np.mean(alarms)),
    }


def main() -> None:
    """Print both rates at three discordances as JSON."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--seeds", type=int, default=2_000)
    seeds = asked.parse_args().seeds
    found = {f"discordance {d:g}": rates(seeds, discordance=d) for d in (0.08, 0.10, 0.20)}
    print(json.dumps({"seeds": seeds, **found}, indent=1))


if __name__ == "__main__":
    main()
