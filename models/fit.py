"""One call from a training table to a trained population.

- Encoder and target scale are learned per fold on its train rows; the population trains in one
  Lightning loop; what comes back are best weights and out-of-fold predictions.
- A killed call goes on from its last checkpoint when it is given the same directory, table and
  settings, with the result it would have had.
- Nothing is written but checkpoints under `directory`.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from models.batches import Batches, Rows
from models.checkpoint import Checkpoints
from models.course import Courses
from models.encode import Encoder, TrainingTable, folds
from models.fitted import Fitted
from models.harvest import harvest
from models.learner import Learner, TrainingFailed, run
from models.objective import Target, loss_weights
from models.population import Member, Population
from models.settings import Plan, TrainSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    Progress = Callable[[int, int, float], None]

CHUNK = 8192  # rows encoded at a time: bins are spread out only while a position is found

__all__ = ["Fitted", "TrainSettings", "TrainingFailed", "train_population"]


def train_population(
    table: TrainingTable,
    settings: TrainSettings,
    *,
    directory: Path | None = None,
    progress: Progress | None = None,
    members: Sequence[Member] | None = None,
    checkpoint_seconds: float = 10.0,
) -> Fitted:
    """Train folds x seeds members (or the given `members`) in one loop.

    Args:
        table: every row that may be trained or judged on.
        settings: how; "auto" is resolved by the table's size.
        directory: where checkpoints live while it runs; None = none are written.
        progress: called after each epoch with (epochs done, epochs at most, best score so far).
        members: other members than the settings' own (a sweep): each seed once per fold.
        checkpoint_seconds: at least this long between two checkpoints.

    Raises:
        TrainingFailed: no setting is left of which every fold has a finite loss.
    """
    start = time.monotonic()
    prepared = prepare(table, settings, members=members)
    learner, plan = prepared.learner, prepared.plan
    checkpoints = None
    if directory is not None:
        key = _key(table, prepared.rows, settings, learner.population.members)
        checkpoints = Checkpoints(directory, key=key, seconds=checkpoint_seconds)
        checkpoints.resume(learner)

    def after_epoch(learner: Learner) -> None:
        if checkpoints is not None:
            checkpoints(learner)
        if progress is not None:
            progress(learner.epoch, plan.epochs, learner.courses.best)

    learner.after_epoch = after_epoch
    run(learner)
    fitted = harvest(table, prepared.encoder, prepared.target, learner, plan)
    fitted.facts["seconds"] = time.monotonic() - start
    if checkpoints is not None:
        checkpoints.clear()
    return fitted


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """Everything a training needs, before its first step."""

    encoder: Encoder
    target: Target
    rows: Rows
    plan: Plan
    learner: Learner


def prepare(
    table: TrainingTable, settings: TrainSettings, *, members: Sequence[Member] | None = None
) -> Prepared:
    """Learn encoder and target scale, encode every row once, draw the members."""
    count = folds(table)
    device = _device(settings)
    plan = settings.plan(round(sum((table.fold != f).sum() for f in range(count)) / count))
    encoder = Encoder(bins=plan.bins).fit(table)
    target = Target.fit(table, folds=count, log_target=settings.log_target)
    population = Population.build(
        encoder,
        network=settings.network,
        config=plan.config,
        outputs=table.classes or 1,
        members=members or settings.population(count),
    ).to(device, torch.float64 if settings.precision == "double" else torch.float32)
    rows = _rows(table, encoder, target, settings, device)
    learner = Learner(
        population,
        Courses(population, patience=plan.patience, least=plan.least),
        Batches(rows, population, batch=plan.batch, steps=plan.steps),
        epochs=plan.epochs,
    )
    return Prepared(encoder=encoder, target=target, rows=rows, plan=plan, learner=learner)


def _device(settings: TrainSettings) -> torch.device:
    if settings.device != "auto":
        return torch.device(settings.device)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _rows(
    table: TrainingTable,
    encoder: Encoder,
    target: Target,
    settings: TrainSettings,
    device: torch.device,
) -> Rows:
    count = folds(table)
    dtype = torch.float64 if settings.precision == "double" else torch.float32
    numbers, codes = torch.from_numpy(table.numbers), encoder.codes(table.categories)
    blocks = [
        encoder(numbers[start : start + CHUNK], codes[start : start + CHUNK])
        for start in range(0, len(numbers), CHUNK)
    ]
    values, codes = (torch.cat(parts, dim=1) for parts in zip(*blocks, strict=True))
    learned = target.learned(table.target, table.classes)
    balanced = settings.class_weight == "balanced"
    loss_weight, metric_weight = loss_weights(table, folds=count, balanced=balanced)
    sides = [
        [torch.from_numpy(np.flatnonzero(side)) for side in (table.fold != f, table.fold == f)]
        for f in range(count)
    ]
    return Rows(
        values=values.to(device, dtype),
        codes=codes.to(device),
        target=learned.to(device),
        loss_weight=loss_weight.to(device, dtype),
        metric_weight=metric_weight.to(device),
        train=tuple(train.to(device) for train, _ in sides),
        judged=tuple(judged.to(device) for _, judged in sides),
    )


def _key(
    table: TrainingTable, rows: Rows, settings: TrainSettings, members: Sequence[Member]
) -> str:
    """Digest of everything that decides the course of a training."""
    digest = hashlib.sha256()
    named = {"settings": asdict(settings), "members": [asdict(m) for m in members]}
    digest.update(json.dumps(named, sort_keys=True).encode())
    for array in (rows.values, rows.codes, rows.target, rows.loss_weight, rows.metric_weight):
        digest.update(np.ascontiguousarray(array.cpu().numpy()).tobytes())
    digest.update(table.fold.tobytes())
    return digest.hexdigest()
