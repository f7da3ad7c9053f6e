"""GAIN (Yoon, Jordon and van der Schaar, 2018): a generator fills, a discriminator looks for it.

- The published recipe (two hidden layers as wide as the table, hint rate 0.9, alpha 100, Adam
  1e-3, batches of 128, 10,000 steps), with its two weak points mended: losses are taken from
  logits, where log(0) cannot happen, and what fills is a running mean of the generator, which a
  bad last step cannot spoil.
- Filling is one forward pass without noise, so that the same row is always filled alike.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

from models.impute_net import Dense, joined, train
from models.impute_space import Arrays, finite, moved, unit
from models.population import seeded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

PURPOSE = 0x4741494E  # of the generator
NOISE = 0.01  # missing cells are shown as uniform noise of this size while it trains


class Gain(Arrays):
    """`gain`: a generator trained against a discriminator."""

    kind = "gain"

    def __init__(
        self,
        *,
        steps: int = 10_000,
        batch: int = 128,
        alpha: float = 100.0,
        hint: float = 0.9,
        lr: float = 1e-3,
        mean: float = 0.999,
        width: int | None = None,
        seed: int = 0,
    ) -> None:
        """Store the settings; `mean` is how much of the running mean a step keeps."""
        super().__init__()
        self.steps, self.batch, self.alpha, self.hint = steps, batch, alpha, hint
        self.lr, self.mean, self.width, self.seed = lr, mean, width, seed

    def fit(self, numbers: np.ndarray, hints: np.ndarray | None = None) -> Self:
        """Train on train rows (N, n) beside known columns (N, k)."""
        numbers = finite(numbers)
        space = unit(numbers)
        course = _Course(self, numbers, moved(numbers, space), hints)
        skipped = train(course, steps=self.steps, products=course.products)
        self.arrays = {**space, **course.averaged().arrays(2 * numbers.shape[1])}
        self.facts = {"steps": self.steps, "skipped": skipped}
        return self


class _Course:
    """One step of the discriminator, then one of the generator."""

    def __init__(
        self, made_by: Gain, numbers: np.ndarray, z: np.ndarray, hints: np.ndarray | None
    ) -> None:
        self.made_by = made_by
        self.random = seeded(PURPOSE, made_by.seed)
        self.z = torch.from_numpy(z).float()
        self.there = torch.from_numpy(~np.isnan(numbers)).float()
        known = np.zeros((len(z), 0)) if hints is None else hints
        self.known = torch.from_numpy(np.ascontiguousarray(known)).float()
        n, k = z.shape[1], self.known.shape[1]
        width = made_by.width or max(n, 8)
        sizes = [2 * n + k, width, width, n]
        self.generator = Dense(sizes, plain, self.random, normal=True)
        self.discriminator = Dense(sizes, plain, self.random, normal=True)
        self.running = [p.detach().clone() for p in self.generator.parameters()]
        self.optimizers = [
            torch.optim.Adam(net.parameters(), lr=made_by.lr, fused=True) for net in self.modules()
        ]
        self.products = made_by.batch * sum(a * b for a, b in pairwise(sizes))

    def modules(self) -> Iterator[Dense]:
        yield from (self.discriminator, self.generator)

    def step(self, place: int) -> bool:
        rows = torch.randint(len(self.z), (self.made_by.batch,), generator=self.random)
        z, there, known = self.z[rows], self.there[rows], self.known[rows]
        noise = NOISE * torch.rand(z.shape, generator=self.random)
        hint = there * (torch.rand(z.shape, generator=self.random) < self.made_by.hint)
        shown = there * z + (1 - there) * noise
        guess = torch.sigmoid(self.generator(joined(shown, there, known)))
        filled = there * z + (1 - there) * guess
        told = self.discriminator(joined(filled.detach(), hint, known))
        whole = self._down(0, binary_cross_entropy_with_logits(told, there))
        told = self.discriminator(joined(filled, hint, known))
        fooled = ((1 - there) * softplus(-told)).mean()
        kept = ((there * (z - guess)) ** 2).mean() / there.mean().clamp(min=1e-6)
        whole &= self._down(1, fooled + self.made_by.alpha * kept)
        keep = min(self.made_by.mean, (place + 1) / (place + 10))
        with torch.no_grad():
            for mean, now in zip(self.running, self.generator.parameters(), strict=True):
                mean.lerp_(now, 1 - keep)
        return whole

    def _down(self, which: int, loss: Tensor) -> bool:
        """Take one network's step, unless its loss is not finite."""
        optimizer = self.optimizers[which]
        optimizer.zero_grad()
        if not bool(torch.isfinite(loss)):
            return False
        loss.backward()
        optimizer.step()
        return True

    def averaged(self) -> Dense:
        """Return the generator with its running mean for weights."""
        with torch.no_grad():
            for mean, now in zip(self.running, self.generator.parameters(), strict=True):
                now.copy_(mean)
        return self.generator


def plain(out: Tensor, _: Tensor | None) -> Tensor:
    """Rectify a layer's answer."""
    return torch.relu(out)
