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

from models.balancing import pool, stratified

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from models.population import Member, Population

JUDGED = 512  # rows of one validation chunk: bigger ones leave the cache
ORDER, PART, BALANCED = 1, 4, 5  # purposes of generators: shuffle, choose a part, balance


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Everything that training reads, on the device.

    Attributes:
        values: (F, N, n + m) encoded numbers and indicators.
        codes: whole numbers (F, N, c), in as few bits as hold them.
        target: (F, N) codes or standardised values.
        loss_weight: float (C, F, N), mean 1 over train rows: plain, then balanced over classes.
        metric_weight: float64 (N,).
        train: per fold, its train rows int64.
        judged: per fold, its validation rows int64.
        offset: float (F, K), added to logits while training (`models/balancing.py`); None: nothing.
        draws: one of `models.balancing.KINDS`.
    """

    values: Tensor
    codes: Tensor
    target: Tensor
    loss_weight: Tensor
    metric_weight: Tensor
    train: tuple[Tensor, ...]
    judged: tuple[Tensor, ...]
    offset: Tensor | None = None
    draws: str = "none"

    def take(self, fold: Tensor, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return values (P, B, .), codes int64 (P, B, c) and flat positions of rows (P, B)."""
        flat = rows + (fold * self.values.shape[1])[:, None]
        values = embedding(flat, self.values.flatten(0, 1))
        codes = self.codes.flatten(0, 1)
        codes = embedding(flat, codes) if codes.shape[1] else codes[flat]
        return values, codes.long(), flat


class Batches(pl.LightningDataModule):
    """Train batches in each member's own order; validation chunks of its fold's rows."""

    def __init__(self, rows: Rows, population: Population, *, batch: int, steps: int) -> None:
        """Serve `steps` batches of `batch` rows per epoch to the members of `population`."""
        super().__init__()
        self.rows, self.population = rows, population
        self.batch, self.steps = batch, steps
        self.epoch = 0  # the learner moves it

    def train_dataloader(self) -> _Once:
        """Return an iterable whose one item iterates over the steps of an epoch."""
        return _Once(self.train_steps)

    def val_dataloader(self) -> _Once:
        """Return an iterable whose one item iterates over validation chunks."""
        return _Once(self.judged_chunks)

    def balanced(self) -> Tensor | None:
        """Return where each member's loss weights start (P, 1); None where all are plain."""
        asked = [m.balanced for m in self.population.members]
        if not any(asked):
            return None
        size = self.rows.loss_weight[0].numel()
        return torch.tensor(asked, device=self.rows.target.device).long()[:, None] * size

    def order(self, member: Member, epoch: int) -> Tensor:
        """Return a member's rows of one epoch, int64 (steps * batch,)."""
        rows, draws = self.rows.train[member.fold], self.rows.draws
        labels = self.rows.target[member.fold]
        if draws == "under":  # before a part is taken, which then has the same shares of classes
            rows = pool(rows, labels[rows], draws, member.generator(BALANCED))
        if member.share < 1.0:
            few = torch.randperm(len(rows), generator=member.generator(PART))
            rows = rows[few[: max(1, round(member.share * len(rows)))].to(rows.device)]
        if draws == "over":
            rows = pool(rows, labels[rows], draws, member.generator(BALANCED))
        chance = member.generator(ORDER, epoch)
        if draws == "stratify":
            how = {"steps": self.steps, "batch": self.batch}
            return rows[stratified(labels[rows], **how, generator=chance).to(rows.device)]
        needed = self.steps * self.batch
        drawn = torch.randperm(len(rows), generator=chance)
        if len(drawn) < needed:
            drawn = drawn.repeat(math.ceil(needed / len(drawn)))
        return rows[drawn[:needed].to(rows.device)]

    def train_steps(self) -> Iterator[tuple[Tensor, ...]]:
        """Iterate over values, codes, target and weight (P, B, ...) of the epoch's steps."""
        rows, members, balanced = self.rows, self.population.members, self.balanced()
        streams = list(dict.fromkeys((m.seed, m.fold, m.share) for m in members))
        place = [streams.index((m.seed, m.fold, m.share)) for m in members]
        first = [members[place.index(stream)] for stream in range(len(streams))]
        order = torch.stack([self.order(m, self.epoch) for m in first])
        fold = torch.tensor([m.fold for m in first], device=order.device)
        spread = _spread(torch.tensor(place, device=order.device), len(streams))
        target, weight = rows.target.flatten(), rows.loss_weight.flatten()
        for step in range(self.steps):
            chosen = order[:, step * self.batch : (step + 1) * self.batch]
            values, codes, flat = rows.take(fold, chosen)
            weights = spread(weight[flat]) if balanced is None else weight[spread(flat) + balanced]
            yield spread(values), spread(codes), spread(target[flat]), weights

    def judged_chunks(self) -> Iterator[tuple[Tensor, ...]]:
        """Iterate over values, codes, target and weight (P, n, ...) of the folds' judged rows."""
        rows, longest = self.rows, max(len(judged) for judged in self.rows.judged)
        there = self.population.fold.unique()  # sorted
        spread = _spread(torch.searchsorted(there, self.population.fold), len(there))
        for start in range(0, longest, JUDGED):
            chunks = [judged[start : start + JUDGED] for judged in rows.judged]
            most = max(len(chunk) for chunk in chunks)
            padded = torch.zeros(len(chunks), most, dtype=torch.int64, device=there.device)
            weight = torch.zeros(padded.shape, dtype=torch.float64, device=there.device)
            for fold, chunk in enumerate(chunks):
                padded[fold, : len(chunk)] = chunk
                weight[fold, : len(chunk)] = rows.metric_weight[chunk]
            values, codes, flat = rows.take(there, padded[there])
            target = rows.target.flatten()[flat]
            yield tuple(map(spread, (values, codes, target, weight[there])))


class _Once:
    """Hands a whole epoch to Lightning as one item: its hooks cost more than a small step."""

    def __init__(self, steps: Callable[[], Iterator[tuple[Tensor, ...]]]) -> None:
        self.steps = steps

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[Iterator[tuple[Tensor, ...]]]:
        yield self.steps()


def _spread(place: Tensor, streams: int) -> Callable[[Tensor], Tensor]:
    """Return a function from (U, ...) of the streams of rows to (P, ...) of the members.

    Members of one seed and fold read the same rows: what is gathered once is not copied.
    """
    if torch.equal(place, torch.arange(len(place), device=place.device)):
        return lambda rows: rows
    if streams == 1:
        return lambda rows: rows.expand(len(place), *rows.shape[1:])
    return lambda rows: rows.index_select(0, place)
