"""GAIN (Yoon, Jordon and van der Schaar, 2018): a generator fills, a discriminator looks for it.

- The published recipe (two hidden layers as wide as the table, hint rate 0.9, alpha 100, Adam
  1e-3, batches of 128, 10,000 steps), with its two weak points mended: losses are taken from
  logits, where log(0) cannot happen, and what fills is a running mean of the generator, which a
  bad last step cannot spoil.
- Filling is one forward pass without noise, so that the same row is always filled alike.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Self

import numpy as np
from threadpoolctl import threadpool_limits

from models.impute_layers import Layers
from models.impute_net import FEW
from models.impute_space import Arrays, finite, moved, unit

PURPOSE = 0x4741494E  # of the generator of random numbers
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
        alone = course.generator.flat.size * self.batch < FEW
        with threadpool_limits(limits=1) if alone else nullcontext():
            skipped = sum(not course.step(place) for place in range(self.steps))
        learned = course.generator.arrays(course.running, 2 * numbers.shape[1])
        self.arrays = {**space, **learned}
        self.facts = {"steps": self.steps, "skipped": skipped}
        return self


class _Course:
    """One step of the discriminator, then one of the generator."""

    def __init__(
        self, made_by: Gain, numbers: np.ndarray, z: np.ndarray, hints: np.ndarray | None
    ) -> None:
        self.made_by, self.rng = made_by, np.random.default_rng([PURPOSE, made_by.seed])
        self.z = z.astype(np.float32)
        self.there = (~np.isnan(numbers)).astype(np.float32)
        known = np.zeros((len(z), 0)) if hints is None else hints
        self.known = known.astype(np.float32)
        self.n = z.shape[1]
        width = made_by.width or max(self.n, 8)
        sizes = [2 * self.n + known.shape[1], width, width, self.n]
        self.generator, self.discriminator = (Layers(sizes, self.rng) for _ in range(2))
        self.running = self.generator.flat.copy()

    def step(self, place: int) -> bool:
        """Take step `place`; False where something was not finite and did not change."""
        made_by, rng, n = self.made_by, self.rng, self.n
        rows = rng.integers(0, len(self.z), made_by.batch)
        z, there, known = self.z[rows], self.there[rows], self.known[rows]
        gone, count = 1 - there, np.float32(1 / z.size)
        shown = z + gone * (NOISE * rng.random(z.shape, dtype=np.float32))  # z is 0 where gone
        guess = _sigmoid(self.generator.forward(np.hstack([shown, there, known])))
        hint = there * (rng.random(z.shape, dtype=np.float32) < made_by.hint)
        filled = np.hstack([z + gone * guess, hint, known])
        # The mean of cross-entropies has this derivative by the logits.
        self.discriminator.backward((_sigmoid(self.discriminator.forward(filled)) - there) * count)
        whole = self.discriminator.step(made_by.lr)
        fooled = _sigmoid(self.discriminator.forward(filled))
        found = self.discriminator.inward((fooled - 1) * gone * count, n)
        weight = 2 * made_by.alpha * count / max(float(there.mean()), 1e-6)
        found = gone * found + np.float32(weight) * there * (guess - z)
        self.generator.backward(found * guess * (1 - guess))
        whole &= self.generator.step(made_by.lr)
        keep = min(made_by.mean, (place + 1) / (place + 10))
        self.running += np.float32(1 - keep) * (self.generator.flat - self.running)
        return whole


def _sigmoid(x: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + e^-x) in a form that cannot overflow."""
    out = np.tanh(0.5 * x)
    out *= 0.5
    out += 0.5
    return out
