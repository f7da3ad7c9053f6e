"""One training epoch of the default network beside a bare PyTorch loop on the same ready tensors.

- The loop is what one writes by hand: `torch.nn` layers, `randperm`, `AdamW(fused=True)`, a pass over
  the validation rows; same sizes, batch and threads, one process, turn about. It gets the rows
  encoded, and numbers by the same lookups, which are quicker than the usual dense encoding.
- Ours is the whole epoch: the trainer's start, the members' order, losses, validation, best weights.
- `python -m benchmarks.epoch --rows 1000000 --columns 300 --json`: the ratio, the seconds in which
  rows are made ready, and peak memory. `--mapped` keeps what is as large as the table in files.
"""

from __future__ import annotations

import argparse
import math
import statistics
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.commands import machine, tell
from benchmarks.scale import LEVELS, MISSING
from models.fit import encode, learner_of
from models.learner import run
from models.room import Room
from models.settings import TrainSettings
from models.table import Columns, TrainingTable
from models.texts import Texts

if TYPE_CHECKING:
    from collections.abc import Callable

    from models.batches import Rows
    from models.settings import Plan

TRAIN, JUDGED = 0.64, 0.16  # of the rows; the rest are test rows, which training never sees
CATEGORIES = 0.2  # of the columns
ASKED = 8192  # validation rows of the bare loop at a time


def table_of(rows: int, columns: int, room: Room) -> TrainingTable:
    """Make numbers and categories with 5 % missing cells, and a target of two classes."""
    draw = np.random.default_rng(0)
    size, categories = round(rows * (TRAIN + JUDGED)), round(columns * CATEGORIES)
    numbers = room.array((columns - categories, size), np.float64)
    score = np.zeros(size)
    for j, column in enumerate(numbers):
        column[:] = draw.normal(j, 1 + j % 12, size)
        if j < 12:
            score += (column - j) / (1 + j)
        column[draw.random(size) < MISSING] = np.nan
    codes, words = np.empty((categories, size), np.int32), []
    for j, column in enumerate(codes):
        levels = LEVELS[j % len(LEVELS)]
        column[:] = draw.integers(1, levels + 1, size)
        column[draw.random(size) < MISSING] = 0
        words.append(np.array(["", *(f"level {i}" for i in range(levels))], dtype=object))
    target = (score + draw.normal(0, 1, size) > 0).astype(np.int64)
    fold = np.where(draw.random(size) < JUDGED / (TRAIN + JUDGED), 0, -1)
    return TrainingTable(
        numbers=numbers.T,
        categories=Texts(codes.T, tuple(words)),
        target=target,
        weight=np.ones(size),
        fold=fold,
        columns=Columns(
            numbers=tuple(f"number {j}" for j in range(len(numbers))),
            categories=tuple(f"level {j}" for j in range(categories)),
        ),
        classes=2,
    )


class Bare(nn.Module):
    """The default network for one member, written plainly."""

    def __init__(self, plan: Plan, numbers: int, plain: int, levels: list[int], bins: int) -> None:
        """Take the sizes of the plan; `plain` values enter as they are."""
        super().__init__()
        config = plan.config
        self.numbers, self.plain = numbers, plain
        self.bins = nn.Parameter(torch.randn(numbers, bins + 1, config.number_size) * 0.05)
        self.levels = nn.Embedding(sum(levels), config.category_size)
        self.register_buffer("starts", torch.tensor([0, *levels[:-1]]).cumsum(0))
        inputs = plain + numbers * config.number_size + len(levels) * config.category_size
        sizes = [inputs, *[config.width] * config.depth]
        layers: list[nn.Module] = []
        for before, after in pairwise(sizes):
            layers += [nn.Linear(before, after), nn.Dropout(0.1), nn.ReLU()]
        self.body = nn.Sequential(*layers, nn.Linear(config.width, 2))

    def forward(self, values: Tensor, codes: Tensor) -> Tensor:
        """Values (N, v), codes (N, c) -> logits (N, 2)."""
        columns, edges, size = self.bins.shape
        curve = self.bins.cumsum(1).reshape(columns * edges, size)
        position = values[:, -self.numbers :]
        below = position.floor().clamp(0, edges - 2)
        index = below.long() + torch.arange(columns) * edges
        lower, upper = (nn.functional.embedding(index + i, curve) for i in (0, 1))
        pieces = torch.lerp(lower, upper, (position - below).unsqueeze(2)).flatten(1)
        words = self.levels(codes + self.get_buffer("starts")).flatten(1)
        return self.body(torch.cat([values[:, : self.plain], pieces, words], dim=1))


def bare_epoch(rows: Rows, plan: Plan, shape: dict[str, Any]) -> None:
    """Train for an epoch, and judge."""
    values, codes, target = rows.values[0], rows.codes[0], rows.target[0]
    net = Bare(plan, **shape)
    optimizer = torch.optim.AdamW(
        net.parameters(), lr=plan.lr, weight_decay=plan.weight_decay, betas=(0.9, 0.99), fused=True
    )
    order = rows.train[0][torch.randperm(len(rows.train[0]))]
    for step in range(plan.steps):
        at = order[step * plan.batch : (step + 1) * plan.batch]
        optimizer.zero_grad()
        answer = net(values[at], codes[at].long())
        nn.functional.cross_entropy(answer, target[at]).backward()
        optimizer.step()
    net.eval()
    loss = 0.0
    with torch.inference_mode():
        for start in range(0, len(rows.judged[0]), ASKED):
            at = rows.judged[0][start : start + ASKED]
            answer = net(values[at], codes[at].long())
            loss += nn.functional.cross_entropy(answer, target[at], reduction="sum").item()
    assert math.isfinite(loss)  # noqa: S101 - it has learned something


def measured(rows: int, columns: int, *, repeats: int, mapped: bool) -> dict[str, Any]:
    """Make the table ready, then time epochs of both, turn about."""
    with tempfile.TemporaryDirectory(prefix="penstock-epoch-") as place:
        room = Room(Path(place), limit=0 if mapped else None)
        table = table_of(rows, columns, room)
        settings = TrainSettings(task="binary", members=1, epochs=1)
        started = time.perf_counter()
        encoded = encode(table, settings, room=room)
        ready = time.perf_counter() - started
        plan = settings.plan(encoded.size)
        shape = {
            "numbers": len(table.columns.numbers),
            "plain": encoded.rows.values.shape[2] - len(table.columns.numbers),
            "levels": encoded.encoder.sizes,
            "bins": encoded.encoder.low.shape[2],
        }
        ours, bare = [], []
        for _ in range(repeats):
            ours.append(
                _timed(
                    lambda: run(
                        learner_of(encoded, settings, plan, settings.population(encoded.count))
                    )
                )
            )
            bare.append(_timed(lambda: bare_epoch(encoded.rows, plan, shape)))
        clock, cpu = (
            statistics.median(one[i] / other[i] for one, other in zip(ours, bare, strict=True))
            for i in range(2)
        )
        return {
            "rows": rows,
            "columns": columns,
            "train_rows": encoded.size,
            "batch": plan.batch,
            "threads": torch.get_num_threads(),
            "ready_seconds": ready,
            "epoch_seconds": statistics.median(one[0] for one in ours),
            "bare_seconds": statistics.median(one[0] for one in bare),
            "ratio": clock,
            "ratio_of_cpu_seconds": cpu,
            "peak_gb": peak(),
            "mapped_gb": room.mapped / 1e9,
        }


def _timed(work: Callable[[], None]) -> tuple[float, float]:
    """Return the seconds of the clock and of the processors that something takes."""
    clock, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - cpu


def peak() -> float:
    """Return the most memory that this process has had, in GB."""
    text = Path("/proc/self/status").read_text(encoding="ascii")
    return int(text.split("VmHWM:")[1].split()[0]) * 1024 / 1e9


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--columns", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--mapped", action="store_true", help="keep what is large in files")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    given = parser.parse_args()
    figures = measured(given.rows, given.columns, repeats=given.repeats, mapped=given.mapped)
    tell(figures | machine(), as_json=given.json)


if __name__ == "__main__":
    main()
