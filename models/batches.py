"""Batches from tensors in memory: no per-sample collate, nothing computed twice.

- Every fold's scaled inputs are computed once, before the first epoch.
- A member's order of rows in an epoch follows from its own seed and fold and the epoch's number
  alone: it is the same whoever trains beside it, and after a restart.
- Steps per epoch follow from the table, never from who is in the population.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn.functional import embedding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from models.population import Member, Population

JUDGED = 4096  # rows of one validation chunk
ORDER = 1  # purpose of the generator that shuffles


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Everything that training reads, on the device.

    Attributes:
        values: (F, N, n + m) encoded numbers and indicators.
        codes: int64 (F, N, c).
        target: (F, N) codes or standardised values.
        loss_weight: float (F, N), mean 1 over train rows.
        metric_weight: float64 (N,).
        train: per fold, its train rows int64.
        judged: per fold, its validation rows int64.
    """

    values: Tensor
    codes: Tensor
    target: Tensor
    loss_weight: Tensor
    metric_weight: Tensor
    train: tuple[Tensor, ...]
    judged: tuple[Tensor, ...]

    def take(self, fold: Tensor, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return values (P, B, .), codes (P, B, c) and flat positions of rows (P, B)."""
        flat = rows + (fold * self.values.shape[1])[:, None]
        values = embedding(flat, self.values.flatten(0, 1))
        codes = self.codes.flatten(0, 1)
        return values, embedding(flat, codes) if codes.shape[1] else codes[flat], flat


class Batches(pl.LightningDataModule):
    """Train batches in each member's own order; validation chunks of its fold's rows."""

    def __init__(self, rows: Rows, population: Population, *, batch: int, steps: int) -> None:
        """Serve `steps` batches of `batch` rows per epoch to the members of `population`."""
        super().__init__()
        self.rows, self.population = rows, population
        self.batch, self.steps = batch, steps
        self.epoch = 0  # the learner moves it

    def train_dataloader(self) -> _Train:
        """Return an iterable that reads the epoch's number when it starts."""
        return _Train(self)

    def val_dataloader(self) -> _Judged:
        """Return an iterable over validation chunks of the members at that time."""
        return _Judged(self)

    def order(self, member: Member, epoch: int) -> Tensor:
        """Return a member's rows of one epoch, int64 (steps * batch,)."""
        rows = self.rows.train[member.fold]
        needed = self.steps * self.batch
        drawn = torch.randperm(len(rows), generator=member.generator(ORDER, epoch))
        if len(drawn) < needed:
            drawn = drawn.repeat(math.ceil(needed / len(drawn)))
        return rows[drawn[:needed].to(rows.device)]


class _Train:
    def __init__(self, batches: Batches) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return self.batches.steps

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        own, rows = self.batches, self.batches.rows
        order = torch.stack([own.order(m, own.epoch) for m in own.population.members])
        fold = own.population.fold
        target, weight = rows.target.flatten(), rows.loss_weight.flatten()
        for step in range(own.steps):
            chosen = order[:, step * own.batch : (step + 1) * own.batch]
            values, codes, flat = rows.take(fold, chosen)
            yield values, codes, target[flat], weight[flat]


class _Judged:
    def __init__(self, batches: Batches) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return math.ceil(max(len(judged) for judged in self.batches.rows.judged) / JUDGED)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        rows, population = self.batches.rows, self.batches.population
        for start in range(0, len(self) * JUDGED, JUDGED):
            chunks = [judged[start : start + JUDGED] for judged in rows.judged]
            longest = max(len(chunk) for chunk in chunks)
            padded = torch.zeros(len(chunks), longest, dtype=torch.int64, device=chunks[0].device)
            weight = torch.zeros(padded.shape, dtype=torch.float64, device=padded.device)
            for fold, chunk in enumerate(chunks):
                padded[fold, : len(chunk)] = chunk
                weight[fold, : len(chunk)] = rows.metric_weight[chunk]
            fold = population.fold
            values, codes, flat = rows.take(fold, padded[fold])
            yield values, codes, rows.target.flatten()[flat], weight[fold]
