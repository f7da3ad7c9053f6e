"""What a trial costs as the population grows, against what its products alone would cost.

- P trials of one shape (width 128, two layers, batch 256) with rates of their own, dropout and
  validation after every epoch, as one group: the job that every worker of a sweep does.
- The bound is a trial's operations over what `torch.bmm` reaches for the hidden layer's shape,
  (P, 256, 128) x (P, 128, 128), measured beside it with the same number of threads: one, as a
  group is trained by one process.
- On a GPU, where there is one, up to P = 1024.
"""

from __future__ import annotations

import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.sweep_cases import CALIFORNIA, DIABETES, RATES, TABLES, Case
from models.encode import Columns, TrainingTable
from models.fit import Encoded, encode
from models.phase import Job, train_job
from models.settings import TrainSettings
from models.trials import Trial

WIDTH, DEPTH = 128, 2
MARK = 32
"""The P of `bound_fraction`."""


def growth(*, smoke: bool, rounds: int) -> dict[str, Any]:
    """Return the table's columns, and `bound_fraction` of P = 32."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    sizes = [2**power for power in range(11 if device == "cuda" else 8)]
    case, sizes = (DIABETES, [1, MARK]) if smoke else (CALIFORNIA, sizes)
    epochs = 2 if smoke else case.epochs
    torch.set_num_threads(1)
    encoded = encode(table(case), _settings(0, epochs, device))
    _cost(encoded, 2, 1, device)  # the first warms up
    rows = [_row(encoded, size, epochs, rounds, device) for size in sizes]
    marked = next(row for row in rows if row["P"] == MARK)
    return {
        "bound_fraction": marked["fraction"],
        "growth_device": device,
        "growth": [{name: round(value, 5) for name, value in row.items()} for row in rows],
    }


def table(case: Case) -> TrainingTable:
    """A case's table, with a fifth of its rows for validation."""
    frame = TABLES[case.name]().sample(frac=0.8, random_state=0)
    target = frame.pop("target").to_numpy(np.float64, copy=True)
    return TrainingTable(
        numbers=frame.to_numpy(np.float64),
        categories=np.empty((len(frame), 0), dtype=object),
        target=target,
        weight=np.ones(len(frame)),
        fold=np.where(np.arange(len(frame)) % 5 == 0, 0, -1).astype(np.int64),
        columns=Columns(numbers=tuple(frame.columns), categories=()),
        classes=0,
    )


def _row(encoded: Encoded, size: int, epochs: int, rounds: int, device: str) -> dict[str, float]:
    """One line: seconds per trial, operations per second of a plain product, their ratio."""
    pairs = [(_rate(size, device), _cost(encoded, size, epochs, device)) for _ in range(rounds)]
    rate, cost = max(rate for rate, _ in pairs), min(cost for _, cost in pairs)
    bound = operations(encoded, epochs) / rate
    return {
        "P": size,
        "trial_s": cost,
        "trials_per_minute": 60 / cost,
        "product_gflops": rate / 1e9,
        "bound_s": bound,
        "fraction": bound / cost,
    }


def operations(encoded: Encoded, epochs: int) -> float:
    """Multiplications and additions in the products of one trial.

    Forward, the weights' gradients and, but for the first layer, the inputs'.
    """
    plan = _settings(0, epochs, "cpu").plan(encoded.size)
    sizes = [encoded.rows.values.shape[2], *[WIDTH] * DEPTH, 1]
    products = [fan_in * fan_out for fan_in, fan_out in pairwise(sizes)]
    trained = 6 * sum(products) - 2 * products[0]
    judged = 2 * sum(products) * len(encoded.rows.judged[0])
    return epochs * (plan.steps * plan.batch * trained + judged)


def _settings(place: int, epochs: int, device: str) -> TrainSettings:
    """Return one trial's settings, others for each place."""
    rng = np.random.default_rng(place)
    own: dict[str, Any] = {name: float(rng.uniform(*ends)) for name, ends in RATES.items()}
    own["dropout"] = max(own["dropout"], 0.05)
    return TrainSettings(
        task="regression",
        members=1,
        epochs=epochs,
        patience=epochs,
        batch=CALIFORNIA.batch,
        width=WIDTH,
        depth=DEPTH,
        embedding="none",
        log_target=False,
        **{"device": device, **own},
    )


def _cost(encoded: Encoded, size: int, epochs: int, device: str) -> float:
    """Train a group of `size` trials; return the seconds of one."""
    trials = tuple(Trial(number=i, settings=_settings(i, epochs, device)) for i in range(size))
    plan = trials[0].settings.plan(encoded.size)
    job = Job(name=f"group-{size}", trials=trials, plan=plan, until=epochs, last=True)
    with tempfile.TemporaryDirectory(prefix="penstock-growth-") as folder:
        started = time.perf_counter()
        done = train_job(encoded, job, Path(folder), lambda _: None)
        spent = time.perf_counter() - started
    failed = [result.reason for result in done.results if result.state != "finished"]
    if failed:
        raise SystemExit(f"{len(failed)} of {size} trials did not finish: {failed[0]}")
    return spent / size


def _rate(size: int, device: str, seconds: float = 0.3) -> float:
    """Return the operations per second of a plain batched product, the best of several runs."""
    left = torch.randn(size, CALIFORNIA.batch, WIDTH, device=device)
    right = torch.randn(size, WIDTH, WIDTH, device=device)
    out = torch.empty_like(left)
    best, end = 0.0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        started, count = time.perf_counter(), max(1, 64 // size)
        for _ in range(count):
            torch.bmm(left, right, out=out)
        if device == "cuda":
            torch.cuda.synchronize()
        spent = time.perf_counter() - started
        best = max(best, 2.0 * count * left.numel() * WIDTH / spent)
    return best
