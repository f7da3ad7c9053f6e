"""The one LightningModule: a population, its loss, its optimizer and its schedule.

- Losses are gathered in tensors and read once per epoch; no `self.log` in a step.
- Dropout multiplies by a slice of a field that each member draws once per epoch.
- Stopped and failed members leave the tensors at the end of the epoch.
"""

from __future__ import annotations

import logging
import signal
import tempfile
import threading
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from models.objective import row_losses
from models.optimize import PopulationAdamW, ramp
from models.population import Population, seeded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from models.batches import Batches
    from models.course import Courses

DROPOUT, OFFSETS = 2, 3  # purposes of generators
SHORT_FIT = 2_000  # train rows
FIELD = 1 << 16  # smallest field of one member, in units


class TrainingFailed(RuntimeError):  # noqa: N818 - it says what happened
    """No member of a population is left whose loss is finite."""


class Field:
    """Dropout's noise: one field per member and epoch, of which each layer takes a slice."""

    def __init__(self, population: Population, *, epoch: int, units: int, calls: int) -> None:
        """Draw fields for layers of up to `units` activations and `calls` slices."""
        size = max(FIELD, 8 * units)
        like = next(population.parameters())
        drawn = torch.empty(len(population), size)
        for place, member in enumerate(population.members):
            keep = 1.0 - member.dropout
            noise = torch.rand(size, generator=member.generator(DROPOUT, epoch))
            torch.mul((noise < keep), 1.0 / keep, out=drawn[place])
        self.field = drawn.to(like.device, like.dtype)
        offsets = torch.randint(size - units, (calls,), generator=seeded(OFFSETS, epoch))
        self.offsets = iter(offsets.tolist())

    def __call__(self, h: Tensor) -> Tensor:
        """Silence units of h (P, N, width) and scale up the rest."""
        start = next(self.offsets)
        units = h.shape[1] * h.shape[2]
        return h * self.field[:, start : start + units].view(h.shape)


class Learner(pl.LightningModule):
    """Trains a population; knows nothing of files, tracking or flows."""

    def __init__(
        self,
        population: Population,
        courses: Courses,
        batches: Batches,
        *,
        epochs: int,
        after_epoch: Callable[[Learner], None] | None = None,
    ) -> None:
        """Train `population` for up to `epochs`; `after_epoch` sees the state after each."""
        super().__init__()
        self.population, self.courses, self.batches = population, courses, batches
        self.epochs, self.after_epoch = epochs, after_epoch
        self.epoch = 0
        self.optimizer = PopulationAdamW(
            population.named_parameters(),
            lr=[m.lr for m in population.members],
            weight_decay=[m.weight_decay for m in population.members],
            undecayed={f"net.{name}" for name in population.net.undecayed()},
        )

    def configure_optimizers(self) -> PopulationAdamW:
        """Return the population's optimizer; its factor is set before every step."""
        return self.optimizer

    def on_train_epoch_start(self) -> None:
        """Draw the epoch's noise and clear its sums."""
        members, config = self.population.members, self.population.config
        self.batches.epoch = self.epoch
        self.noise = None
        if any(m.dropout for m in members):
            self.noise = Field(
                self.population,
                epoch=self.epoch,
                units=self.batches.batch * config.width,
                calls=self.batches.steps * config.depth,
            )
        smoothing = torch.tensor([m.label_smoothing for m in members], device=self.device)
        self.smoothing = smoothing if bool(smoothing.any()) else None
        self.train_sum = torch.zeros(len(members), device=self.device, dtype=torch.float64)

    def training_step(self, batch: tuple[Tensor, ...], step: int) -> Tensor:
        """Return the sum of the members' mean losses: no member's gradient sees another."""
        values, codes, target, weight = batch
        raw = self.population.batch(values, codes, self.noise)
        loss = (row_losses(raw, target, self.smoothing) * weight).mean(dim=1)
        self.train_sum.add_(loss.detach())
        total = self.epochs * self.batches.steps
        self.optimizer.factor = ramp((self.epoch * self.batches.steps + step) / total)
        return loss.sum()

    def on_validation_epoch_start(self) -> None:
        """Clear the sums of validation."""
        shape = (2, len(self.population))
        self.judged = torch.zeros(shape, device=self.device, dtype=torch.float64)

    def validation_step(self, batch: tuple[Tensor, ...], step: int) -> None:  # noqa: ARG002
        """Add a chunk's weighted losses of every member."""
        values, codes, target, weight = batch
        losses = row_losses(self.population.batch(values, codes), target)
        self.judged[0] += (losses.double() * weight).sum(dim=1)
        self.judged[1] += weight.sum(dim=1)

    def on_train_epoch_end(self) -> None:
        """Close the epoch: curves, best weights, who goes on (validation ran before)."""
        onward = self.courses.close_epoch(
            self.population,
            epoch=self.epoch,
            train=(self.train_sum / self.batches.steps).tolist(),
            validation=(self.judged[0] / self.judged[1]).tolist(),
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


def run(learner: Learner) -> None:
    """Train for the epochs that are left, with everything of Lightning's that writes turned off."""
    left = learner.epochs - learner.epoch
    if left > 0:
        with _quiet():
            trainer = pl.Trainer(
                accelerator="gpu" if learner.population.fold.is_cuda else "cpu",
                devices=1,
                max_epochs=left,
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                num_sanity_val_steps=0,
                default_root_dir=tempfile.gettempdir(),
            )
            with _interruptible(), _threads(learner):
                trainer.fit(learner, datamodule=learner.batches)
    learner.courses.close()


@contextmanager
def _threads(learner: Learner) -> Iterator[None]:
    """One thread for short fits: the second buys a fifth there, and takes it from the run's
    other processes, which start beside it.
    """
    before = torch.get_num_threads()
    if learner.batches.steps * learner.batches.batch < SHORT_FIT:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl+C through: Lightning would exit the process and ignore the signal from then on."""
    main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT) if main else None
    try:
        yield
    except SystemExit as stop:
        if isinstance(stop.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise
    finally:
        if handler is not None:
            signal.signal(signal.SIGINT, handler)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Lightning's greetings and advice out of a run's output."""
    loggers = [logging.getLogger(n) for n in ("pytorch_lightning", "lightning.fabric")]
    loggers += [logging.getLogger("pytorch_lightning.utilities.rank_zero")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"(pytorch_lightning|lightning_fabric).*")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
