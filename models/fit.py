"""One call from a training table to a trained population.

- Encoder and target scale are learned per fold on its train rows, without outliers where these are
  left out; the population trains in one
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
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch

from models.balancing import drawn_rows, offsets, taken_back
from models.batches import Batches, Rows
from models.checkpoint import Checkpoints
from models.course import Courses
from models.encode import Encoder, TrainingTable, folds
from models.fitted import Fitted
from models.harvest import harvest
from models.learner import Learner, TrainingFailed, run
from models.objective import Target, loss_weights
from models.outliers import without_outliers
from models.population import Member, Population
from models.room import Room
from models.settings import ENCODED, Plan, TrainSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from torch import Tensor

    Progress = Callable[[int, int, float], None]

CHUNK, CELLS = 8192, 1 << 19  # rows encoded at a time, and numbers of theirs, at most
SHORT = 1 << 15  # codes that 16 bits can tell apart

__all__ = ["Fitted", "TrainSettings", "TrainingFailed", "train_population"]


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """A table made ready once: what every population on it shares.

    `rows` lie on the device; `count` is the number of folds, `size` the mean number of their train
    rows.
    """

    table: TrainingTable
    encoder: Encoder
    target: Target
    rows: Rows

    @property
    def count(self) -> int:
        """Return the number F of folds."""
        return folds(self.table)

    @property
    def size(self) -> int:
        """Return the mean number of train rows per fold, by which "auto" is resolved."""
        return train_rows(self.table, self.rows.draws)

    @cached_property
    def digest(self) -> str:
        """Digest of everything that a training reads."""
        digest = hashlib.sha256()
        rows = self.rows
        for array in (rows.values, rows.codes, rows.target, rows.loss_weight, rows.metric_weight):
            digest.update(np.ascontiguousarray(array.cpu().numpy()).data)  # no copy of it
        digest.update(self.table.fold.tobytes())
        if self.table.outliers is not None:
            digest.update(self.table.outliers.rows.tobytes())
        return digest.hexdigest()


def encode(
    table: TrainingTable,
    settings: TrainSettings,
    *,
    bins: int | None = None,
    encoder: Encoder | None = None,
    room: Room | None = None,
) -> Encoded:
    """Learn encoder and target scale per fold on its train rows, and encode every row once.

    `bins` per number; left out, what the settings come to for the table. An `encoder` that was
    learned on the very table is taken as it is. The encoded rows live in the `room`.
    Raises ValueError where a fold cannot do without its outliers.
    """
    room = room or Room()
    table = without_outliers(table, settings.drop_outliers)
    count = folds(table)
    device = device_of(settings)
    bins = settings.plan(train_rows(table, settings.balance)).bins if bins is None else bins
    if encoder is None:
        how = {name: getattr(settings, name) for name in ENCODED}
        encoder = Encoder(bins=bins, **how).fit(table, room)
    target = Target.fit(table, folds=count, log_target=settings.log_target)
    rows = _rows(table, encoder, target, settings, device, room)
    return Encoded(table=table, encoder=encoder, target=target, rows=rows)


def train_rows(table: TrainingTable, balance: str = "none") -> int:
    """Return the mean number of train rows per fold, of which balancing may leave a part."""
    count = folds(table)
    return round(sum(drawn_rows(table, table.train(f), balance) for f in range(count)) / count)


def train_population(
    table: TrainingTable,
    settings: TrainSettings,
    *,
    directory: Path | None = None,
    progress: Progress | None = None,
    members: Sequence[Member] | None = None,
    bins: int | None = None,
    checkpoint_seconds: float = 10.0,
    room: Room | None = None,
) -> Fitted:
    """Train folds x seeds members (or the given `members`) in one loop.

    Args:
        table: every row that may be trained or judged on.
        settings: how; "auto" is resolved by the table's size.
        directory: where checkpoints live while it runs; None = none are written.
        progress: called after each epoch with (epochs done, epochs at most, best score so far).
        members: other members than the settings' own: each seed once per fold.
        bins: of every number in the encoder; left out, what the settings come to.
        checkpoint_seconds: at least this long between two checkpoints.
        room: where what is as large as the table lives; left out: in memory.

    Raises:
        TrainingFailed: no setting is left of which every fold has a finite loss.
        ValueError: a fold cannot do without its outliers.
    """
    start = time.monotonic()
    encoded = encode(table, settings, bins=bins, room=room)
    plan = settings.plan(encoded.size)
    learner = learner_of(encoded, settings, plan, members or settings.population(encoded.count))
    checkpoints = None
    if directory is not None:
        named = {
            "settings": asdict(settings),
            "members": [asdict(m) for m in learner.population.members],
        }
        key = hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()
        checkpoints = Checkpoints(
            directory, key=f"{key} {encoded.digest}", seconds=checkpoint_seconds
        )
        checkpoints.resume(learner)

    def after_epoch(learner: Learner) -> None:
        if checkpoints is not None:
            checkpoints(learner)
        if progress is not None:
            progress(learner.epoch, plan.epochs, learner.courses.best)

    learner.after_epoch = after_epoch
    run(learner)
    fitted = harvest(encoded.table, encoded.encoder, encoded.target, learner, plan)
    fitted.facts["seconds"] = time.monotonic() - start
    if checkpoints is not None:
        checkpoints.clear()
    return fitted


def learner_of(
    encoded: Encoded, settings: TrainSettings, plan: Plan, members: Sequence[Member]
) -> Learner:
    """Draw the members and put them before their rows."""
    rows = encoded.rows
    dtype = torch.float64 if settings.precision == "double" else torch.float32
    population = Population.build(
        encoded.encoder,
        network=settings.network,
        config=plan.config,
        outputs=encoded.table.classes or 1,
        members=members,
    ).to(rows.values.device, dtype)
    if rows.offset is not None:
        taken_back(population, rows.offset)
    return Learner(
        population,
        Courses(population, patience=plan.patience, least=plan.least),
        Batches(rows, population, batch=plan.batch, steps=plan.steps),
        epochs=plan.epochs,
        update=plan.optimizer,
    )


def device_of(settings: TrainSettings) -> torch.device:
    """Return the device: a GPU where there is one, unless another is asked for."""
    if settings.device != "auto":
        return torch.device(settings.device)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _rows(
    table: TrainingTable,
    encoder: Encoder,
    target: Target,
    settings: TrainSettings,
    device: torch.device,
    room: Room,
) -> Rows:
    count = folds(table)
    dtype = torch.float64 if settings.precision == "double" else torch.float32
    values, codes = _encoded(table, encoder, dtype, room)
    learned = target.learned(table.target, table.classes)
    loss_weight, metric_weight = loss_weights(table, folds=count)
    offset = offsets(table, folds=count, kind=settings.balance)
    sides = [
        [torch.from_numpy(np.flatnonzero(side)) for side in (table.train(f), table.fold == f)]
        for f in range(count)
    ]
    return Rows(
        values=values.to(device),
        codes=codes.to(device),
        target=learned.to(device),
        loss_weight=loss_weight.to(device, dtype),
        metric_weight=metric_weight.to(device),
        train=tuple(train.to(device) for train, _ in sides),
        judged=tuple(judged.to(device) for _, judged in sides),
        offset=None if offset is None else offset.to(device, dtype),
        draws=settings.balance,
    )


def _encoded(
    table: TrainingTable, encoder: Encoder, dtype: torch.dtype, room: Room
) -> tuple[Tensor, Tensor]:
    """Encode all rows, some at a time: values (F, N, v), and codes (F, N, c) in as few bits."""
    numbers, categories = torch.from_numpy(table.numbers), encoder.codes(table.categories)
    size = max(1, min(CHUNK, CELLS // max(numbers.shape[1], 1)))
    short = max(encoder.sizes, default=0) <= SHORT
    made: list[Tensor] = []
    for start in range(0, len(numbers), size):
        part = slice(start, start + size)
        values, codes = encoder(numbers[part], categories[part])
        if not made:
            for block, kind in ((values, dtype), (codes, torch.int16 if short else torch.int32)):
                shape = (len(block), len(numbers), block.shape[2])
                array = room.array(shape, torch.empty(0, dtype=kind).numpy().dtype)
                made.append(torch.from_numpy(array))
        made[0][:, part], made[1][:, part] = values, codes
    return made[0], made[1]
