"""What one Lightning loop around a population costs: against a bare PyTorch loop of the same network.

- Both train the same population on the same rows with the same batch sizes, an AdamW kernel of
  torch, and judge the validation rows after every epoch; they take turns, the median counts.
- `loop_efficiency` = bare seconds / our seconds (target: at least 0.8) on a table of California's
  size without dropout; `_dropout` with it (the bare loop uses torch's own); `_small` on a table of
  breast cancer's size, where the fixed cost of a step weighs most.
- Run: `python -m benchmarks.loop [--quick] [--json]`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn.functional import dropout

from models.encode import Columns, TrainingTable
from models.fit import TrainSettings, encode, learner_of
from models.learner import run
from models.objective import row_losses

if TYPE_CHECKING:
    from torch import Tensor

    from models.learner import Learner

CASES = {
    "": {"rows": 16_000, "columns": 9, "folds": 1, "members": 4, "dropout": 0.0, "epochs": 3},
    "_dropout": {
        "rows": 16_000,
        "columns": 9,
        "folds": 1,
        "members": 4,
        "dropout": 0.1,
        "epochs": 3,
    },
    "_small": {"rows": 450, "columns": 30, "folds": 5, "members": 4, "dropout": 0.0, "epochs": 20},
}


def make(case: dict[str, float]) -> Learner:
    """Put a population before a table of noise."""
    rows, columns, folds = int(case["rows"]), int(case["columns"]), int(case["folds"])
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(rows, columns))
    table = TrainingTable(
        numbers=numbers,
        categories=np.empty((rows, 0), dtype=object),
        target=numbers[:, 0] + rng.normal(size=rows),
        weight=np.ones(rows),
        fold=np.arange(rows) % folds if folds > 1 else np.where(np.arange(rows) % 5 == 0, 0, -1),
        columns=Columns(numbers=tuple(f"x{i}" for i in range(columns)), categories=()),
        classes=0,
    )
    settings = TrainSettings(
        task="regression",
        members=int(case["members"]),
        epochs=int(case["epochs"]),
        patience=1000,
        dropout=case["dropout"],
    )
    encoded = encode(table, settings)
    members = settings.population(encoded.count)
    return learner_of(encoded, settings, settings.plan(encoded.size), members)


def ours(case: dict[str, float]) -> float:
    """Return the seconds of our loop."""
    learner = make(case)
    start = time.perf_counter()
    run(learner)
    return time.perf_counter() - start


def bare(case: dict[str, float]) -> float:
    """Return the seconds of a loop that someone would write by hand."""
    batches = make(case).batches
    population = batches.population
    optimizer = torch.optim.AdamW(population.parameters(), lr=2e-3, fused=True)
    share = case["dropout"]

    def noise(h: Tensor) -> Tensor:
        return dropout(h, share)

    start = time.perf_counter()
    for epoch in range(int(case["epochs"])):
        batches.epoch = epoch
        for values, codes, target, weight in batches.train_steps():
            optimizer.zero_grad()
            raw = population.batch(values, codes, noise if share else None)
            loss = (row_losses(raw, target) * weight).mean(dim=1).sum()
            loss.backward()
            optimizer.step()
        with torch.inference_mode():
            scores = [
                (row_losses(population.batch(values, codes), target) * weight).sum(dim=1)
                for values, codes, target, weight in batches.judged_chunks()
            ]
            torch.stack(scores).sum(dim=0).tolist()
    return time.perf_counter() - start


def measure(rounds: int) -> dict[str, float]:
    """Return named figures."""
    figures: dict[str, float] = {}
    for name, case in CASES.items():
        pairs = [(bare(case), ours(case)) for _ in range(rounds + 1)][1:]  # the first warms up
        figures[f"bare_s{name}"] = statistics.median(b for b, _ in pairs)
        figures[f"ours_s{name}"] = statistics.median(o for _, o in pairs)
        figures[f"loop_efficiency{name}"] = statistics.median(b / o for b, o in pairs)
    return figures


def main() -> None:
    """Print a table for people, or one JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds, within a minute")
    parser.add_argument("--json", action="store_true", help="one JSON object of named figures")
    arguments = parser.parse_args()
    figures = measure(3 if arguments.quick else 9)
    if arguments.json:
        print(json.dumps({name: round(value, 4) for name, value in figures.items()}))
        return
    print(f"{'case':12}{'bare s':>10}{'ours s':>10}{'efficiency':>12}")
    for name in CASES:
        bare_s, ours_s = figures[f"bare_s{name}"], figures[f"ours_s{name}"]
        print(
            f"{name or 'main':12}{bare_s:10.3f}{ours_s:10.3f}{figures[f'loop_efficiency{name}']:12.2f}"
        )


if __name__ == "__main__":
    main()
