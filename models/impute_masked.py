"""A masked denoising network: guess cells that are hidden from it, as missing ones are.

- Every batch hides up to half of its observed cells; the loss looks at hidden cells alone, so
  that the network learns to fill gaps from what is left, whichever cells these are.
- A residual perceptron on standardised values and on which of them are there; filling is one
  forward pass.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Self

import numpy as np
import torch

from models.impute_net import Dense, joined, train
from models.impute_space import Arrays, finite, moved, standard
from models.mish import mish
from models.optimize import descended
from models.population import seeded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn

PURPOSE = 0x4D41534B  # of the generator
LEAST, USUAL, MOST = 1_000, 8_000, 20_000  # steps: small tables, most tables, a million rows
PASSES = 300  # over the rows, up to USUAL steps
WARM = 0.3  # share of the steps in which the learning rate rises
DEEP = 10_000  # rows from which a fourth layer pays
LONG = 5  # passes over the rows beyond


class Masked(Arrays):
    """`masked`: a residual network that was trained to guess hidden cells."""

    kind = "masked"

    def __init__(
        self,
        *,
        width: int = 256,
        depth: int | None = None,
        batch: int = 256,
        steps: int | None = None,
        lr: float = 2e-3,
        weight_decay: float = 1e-3,
        hidden: float = 0.5,
        seed: int = 0,
    ) -> None:
        """Store the settings; `hidden` is the largest share of cells that a batch hides.

        `depth` left out: 3 layers below DEEP rows, else 4, which overfit few rows.
        """
        super().__init__()
        self.width, self.depth, self.batch, self.steps = width, depth, batch, steps
        self.lr, self.weight_decay, self.hidden, self.seed = lr, weight_decay, hidden, seed

    def fit(self, numbers: np.ndarray, hints: np.ndarray | None = None) -> Self:
        """Train on train rows (N, n) beside known columns (N, k)."""
        numbers = finite(numbers)
        space = standard(numbers)
        course = _Course(self, numbers, moved(numbers, space), hints)
        steps = self.steps or steps_for(len(numbers), self.batch)
        course.begin(steps)
        skipped = train(course, steps=steps, products=course.products)
        self.arrays = {**space, **course.net.arrays(2 * numbers.shape[1])}
        self.facts = {"steps": steps, "skipped": skipped, "width": self.width}
        return self


def steps_for(rows: int, batch: int) -> int:
    """Return how many steps a table of so many rows is worth."""
    usual = int(np.clip(PASSES * rows / batch, LEAST, USUAL))
    return int(np.clip(LONG * rows / batch, usual, MOST))


class _Course:
    """Steps of AdamW on hidden cells."""

    def __init__(
        self, made_by: Masked, numbers: np.ndarray, z: np.ndarray, hints: np.ndarray | None
    ) -> None:
        self.made_by = made_by
        self.generator = seeded(PURPOSE, made_by.seed)
        self.z = torch.from_numpy(z).float()
        self.there = torch.from_numpy(~np.isnan(numbers))
        known = np.zeros((len(z), 0)) if hints is None else hints
        self.known = torch.from_numpy(np.ascontiguousarray(known)).float()
        n, k = z.shape[1], self.known.shape[1]
        depth = made_by.depth or (3 if len(z) < DEEP else 4)
        sizes = [2 * n + k, *[made_by.width] * depth, n]
        self.net = Dense(sizes, residual, self.generator)
        self.products = made_by.batch * sum(a * b for a, b in pairwise(sizes))

    def modules(self) -> Iterator[nn.Module]:
        yield self.net

    def begin(self, steps: int) -> None:
        """Make the optimizer for so many steps."""
        parameters = list(self.net.parameters())
        self.optimizer = torch.optim.AdamW(
            parameters, lr=self.made_by.lr, weight_decay=self.made_by.weight_decay, fused=True
        )
        self.steps = steps

    def step(self, place: int) -> bool:
        rows = torch.randint(len(self.z), (self.made_by.batch,), generator=self.generator)
        z, there = self.z[rows], self.there[rows]
        share = self.made_by.hidden * torch.rand(1, generator=self.generator)
        hidden = (torch.rand(z.shape, generator=self.generator) < share) & there
        seen = (there & ~hidden).float()
        guess = self.net(joined(z * seen, seen, self.known[rows]))
        loss = (((guess - z) ** 2) * hidden).sum() / hidden.sum().clamp(min=1)
        return descended(self.optimizer, loss, self.made_by.lr * warmed(place / self.steps))


def warmed(share: float) -> float:
    """Return the factor of the learning rate: up along a cosine for WARM of the steps, then down."""
    if share < WARM:
        return 0.04 + 0.96 * (1 - math.cos(math.pi * share / WARM)) / 2
    return (1 + math.cos(math.pi * (share - WARM) / (1 - WARM))) / 2


def residual(out: Tensor, before: Tensor | None) -> Tensor:
    """Add a layer's answer to what went into it; the first layer's stands alone."""
    return mish(out) if before is None else before + mish(out)
