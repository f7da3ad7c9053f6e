"""The one LightningModule: a population, its loss, its optimizer and its schedule.

- Lightning gets an epoch as one item and optimisation is by hand: on small networks its hooks
  around every step cost more than the step.
- Losses are gathered in tensors and read once per epoch; no `self.log` in a step.
- Dropout multiplies by a slice of a field that each seed draws once per epoch.
- Stopped and failed members leave the tensors at the end of the epoch.
"""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from models.objective import row_losses
from models.optimize import PopulationOptimizer, ramp
from models.population import Population, seeded
from models.silent import silent_trainer
from models.threads import one_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from models.batches import Batches
    from models.course import Courses

DROPOUT, OFFSETS = 2, 3  # purposes of generators
SHORT_FIT = 2_000  # train rows
FIELD = 1 << 15  # smallest field of one member, in units
STRIDE = 61  # units from one row's noise to the next row's
WIDEST = 8192  # units of a layer
UNITS = 1 << 18  # activations of one layer: fewer cost calls, more leave the cache


class TrainingFailed(RuntimeError):  # noqa: N818 - it says what happened
    """No member of a population is left whose loss is finite."""


class Field:
    """Dropout's noise: one field per member and epoch, of which each layer takes a slice.

    Row r of a slice starts STRIDE units after row r - 1, whatever the layer's width, so that a
    member's noise does not depend on how wide its neighbours are. Members of one seed and fold
    read one draw, each with its own rate.
    """

    def __init__(self, population: Population, *, epoch: int, rows: int, calls: int) -> None:
        """Draw fields for layers of up to `rows` rows and `calls` slices."""
        span = rows * STRIDE
        size = max(FIELD, 2 * span) + WIDEST
        like = next(population.parameters())
        drawn = torch.empty(len(population), size)
        shared: dict[tuple[int, int], Tensor] = {}
        for place, member in enumerate(population.members):
            keep, stream = 1.0 - member.dropout, (member.seed, member.fold)
            if stream not in shared:
                shared[stream] = torch.rand(size, generator=member.generator(DROPOUT, epoch))
            torch.mul((shared[stream] < keep), 1.0 / keep, out=drawn[place])
        self.field = drawn.to(like.device, like.dtype)
        last = size - span - WIDEST
        self.offsets = torch.randint(last, (calls,), generator=seeded(OFFSETS, epoch)).tolist()

    def at(self, call: int, members: slice) -> Callable[[Tensor], Tensor]:
        """Return h (P, rows, width) -> h in place with units silenced and the rest scaled up.

        The function's first call uses slice `call` of some members' fields, its next the next.
        """
        own, offsets = self.field[members], iter(self.offsets[call:])

        def silence(h: Tensor) -> Tensor:
            strides = (own.stride(0), STRIDE, 1)
            return h.mul_(own.as_strided(h.shape, strides, own.storage_offset() + next(offsets)))

        return silence


class Learner(pl.LightningModule):
    """Trains a population; knows nothing of files, tracking or flows."""

    def __init__(
        self,
        population: Population,
        courses: Courses,
        batches: Batches,
        *,
        epochs: int,
        until: int | None = None,
        update: str = "adamw",
        after_epoch: Callable[[Learner], None] | None = None,
    ) -> None:
        """Train `population` for up to `epochs`, now for those before `until`.

        The schedule is that of all epochs; `update` is a key of UPDATES, how a step is made.
        `after_epoch` sees the state after each.
        """
        super().__init__()
        self.automatic_optimization = False
        self.population, self.courses, self.batches = population, courses, batches
        self.epochs, self.after_epoch = epochs, after_epoch
        self.until = epochs if until is None else until
        self.epoch = 0
        self.optimizer = PopulationOptimizer(
            population.named_parameters(),
            lr=[m.lr for m in population.members],
            weight_decay=[m.weight_decay for m in population.members],
            undecayed={f"net.{name}" for name in population.net.undecayed()},
            update=update,
        )

    def configure_optimizers(self) -> PopulationOptimizer:
        """Return the population's optimizer; its factor is set before every step."""
        return self.optimizer

    def on_train_epoch_start(self) -> None:
        """Draw the epoch's noise and clear its sums."""
        members, config = self.population.members, self.population.config
        self.batches.epoch = self.epoch
        self.optimizer.zero_grad()  # Lightning has taken the gradients' views away
        self.blocks = self._blocks()
        self.noise = None
        if any(m.dropout for m in members):
            self.noise = Field(
                self.population,
                epoch=self.epoch,
                rows=self.batches.batch * self.population.net.heads,
                calls=self.batches.steps * config.depth,
            )
        smoothing = torch.tensor([m.label_smoothing for m in members], device=self.device)
        self.smoothing = smoothing if bool(smoothing.any()) else None
        offset = self.batches.rows.offset
        self.offset = None if offset is None else offset[self.population.fold][:, None, None]
        self.train_sum = torch.zeros(len(members), device=self.device, dtype=torch.float64)
        self.began = time.perf_counter()

    def training_step(self, steps: Iterator[tuple[Tensor, ...]], _: int) -> None:
        """Train for the steps of an epoch.

        Each member's loss is its own, so that no member's gradient sees another: blocks of members
        go forward and back one after the other, while what they hold lies in the cache.
        """
        blocks = self.blocks
        total = self.epochs * self.batches.steps
        train_sum = torch.zeros(len(self.population), device=self.device, dtype=torch.float64)
        with torch.enable_grad():
            for step, batch in enumerate(steps):
                self.optimizer.zero_grad()
                for members, block in blocks:
                    loss = self._loss(block, members, step, *(part[members] for part in batch))
                    train_sum[members] += loss.detach()
                    loss.sum().backward()
                self.optimizer.factor = ramp((self.epoch * self.batches.steps + step) / total)
                self.optimizer.step()
        self.train_sum = train_sum

    def _loss(
        self,
        block: Population,
        members: slice,
        step: int,
        values: Tensor,
        codes: Tensor,
        target: Tensor,
        weight: Tensor,
    ) -> Tensor:
        """Return the mean losses of a block's members, over rows and heads."""
        depth = self.population.config.depth
        noise = None if self.noise is None else self.noise.at(step * depth, members)
        raw = block.heads(values, codes, noise)
        if self.offset is not None:
            raw = raw + self.offset[members]
        smoothing = None if self.smoothing is None else self.smoothing[members]
        losses = row_losses(raw.flatten(1, 2), _each(target, raw), smoothing)
        return (losses * _each(weight, raw)).mean(dim=1)

    def _blocks(self) -> list[tuple[slice, Population]]:
        """Return the population in blocks of which one layer's activations fit into a cache."""
        config, net = self.population.config, self.population.net
        units = self.batches.batch * net.heads * config.width
        most = len(self.population)
        if not self.population.fold.is_cuda:
            most = max(1, UNITS // units)
        places = range(0, len(self.population), most)
        return [
            (slice(at, at + most), self.population.block(slice(at, at + most))) for at in places
        ]

    def on_validation_epoch_start(self) -> None:
        """Clear the sums of validation."""
        shape = (2, len(self.population))
        self.judged = torch.zeros(shape, device=self.device, dtype=torch.float64)

    def validation_step(self, chunks: Iterator[tuple[Tensor, ...]], _: int) -> None:
        """Add every member's weighted losses on its judged rows."""
        for values, codes, target, weight in chunks:
            for members, block in self.blocks:
                raw = block.batch(values[members], codes[members])
                own = weight[members]
                losses = row_losses(raw, target[members])
                self.judged[0, members] += (losses.double() * own).sum(dim=1)
                self.judged[1, members] += own.sum(dim=1)

    def on_train_epoch_end(self) -> None:
        """Close the epoch: curves, best weights, who goes on (validation ran before)."""
        onward = self.courses.close_epoch(
            self.population,
            epoch=self.epoch,
            train=(self.train_sum / self.batches.steps).tolist(),
            validation=(self.judged[0] / self.judged[1]).tolist(),
            seconds=time.perf_counter() - self.began,
        )
        if 0 < len(onward) < len(self.population):
            self.population.keep(onward)
            self.optimizer.keep(onward)
        self.epoch += 1
        if not onward:
            self.trainer.should_stop = True
        if self.after_epoch is not None:
            self.after_epoch(self)

    def transfer_batch_to_device(
        self, batch: Any, device: torch.device, dataloader_idx: int
    ) -> Any:
        """Return the batch as it is: rows live on the device already."""
        del device, dataloader_idx
        return batch


def _each(rows: Tensor, raw: Tensor) -> Tensor:
    """Repeat (P, N) for every head of raw (P, H, N, K) -> (P, H * N)."""
    heads = raw.shape[1]
    return rows if heads == 1 else rows[:, None].expand(-1, heads, -1).flatten(1)


def run(learner: Learner) -> None:
    """Train for the epochs that are left, with everything of Lightning's that writes turned off."""
    left = learner.until - learner.epoch
    if left > 0 and learner.courses.alive:
        # A second thread buys a fifth on short fits, and takes it from the run's other processes.
        short = learner.batches.steps * learner.batches.batch < SHORT_FIT
        with (
            silent_trainer(epochs=left, gpu=learner.population.fold.is_cuda) as trainer,
            one_thread() if short else nullcontext(),
        ):
            trainer.fit(learner, datamodule=learner.batches)
    if learner.until >= learner.epochs:
        learner.courses.close()
