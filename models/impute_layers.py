"""A small rectifying network in numpy, with its derivatives and Adam written out.

- For networks of some ten thousand weights: what torch does around each of their products takes
  several times as long as the products.
- Weights, gradients and moments are one buffer each; layers are views of them.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

FIRST, SECOND, TINY = 0.9, 0.999, 1e-8  # of Adam


class Layers:
    """Fully connected layers (in, out) in float32, rectified between."""

    def __init__(self, sizes: Sequence[int], rng: np.random.Generator) -> None:
        """Draw weights from a normal distribution of variance 2 / in; biases are 0."""
        self.shapes = [(i + 1, o) for i, o in pairwise(sizes)]
        size = sum(rows * out for rows, out in self.shapes)
        self.flat, self.grad, self._m, self._v = (np.zeros(size, np.float32) for _ in range(4))
        self.layers, self._grads = self.views(self.flat), self.views(self.grad)
        for weight, _ in self.layers:
            weight[:] = rng.standard_normal(weight.shape) * (2 / max(len(weight), 1)) ** 0.5
        self._inputs: list[np.ndarray] = []
        self._steps = 0

    def views(self, flat: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return every layer's weight (in, out) and bias (out,) as views of a buffer like `flat`."""
        ends = np.cumsum([rows * out for rows, out in self.shapes])[:-1]
        parts = zip(np.split(flat, ends), self.shapes, strict=True)
        whole = [part.reshape(shape) for part, shape in parts]
        return [(each[:-1], each[-1]) for each in whole]

    def forward(self, h: np.ndarray) -> np.ndarray:
        """Return the last layer's outputs (B, out); what `backward` needs is kept until the next."""
        self._inputs = [h]
        for weight, bias in self.layers[:-1]:
            h = h @ weight
            h += bias
            np.maximum(h, 0, out=h)
            self._inputs.append(h)
        weight, bias = self.layers[-1]
        out = h @ weight
        out += bias
        return out

    def backward(self, down: np.ndarray) -> None:
        """Put into `grad` what the loss's derivative by the last outputs comes to."""
        for place in range(len(self.layers) - 1, -1, -1):
            weight, bias = self._grads[place]
            np.matmul(self._inputs[place].T, down, out=weight)
            np.sum(down, axis=0, out=bias)
            if place:
                down = self._before(place, down)

    def inward(self, down: np.ndarray, columns: int) -> np.ndarray:
        """Return the derivative by the first `columns` inputs (B, columns) of the last `forward`."""
        for place in range(len(self.layers) - 1, 0, -1):
            down = self._before(place, down)
        return down @ self.layers[0][0][:columns].T

    def _before(self, place: int, down: np.ndarray) -> np.ndarray:
        """Return the derivative by what the layer below answered before it was rectified."""
        back = down @ self.layers[place][0].T
        back *= self._inputs[place] > 0
        return back

    def step(self, lr: float) -> bool:
        """Take a step of Adam along `grad`; False where that is not finite and nothing changes."""
        if not np.isfinite(self.grad.sum(dtype=np.float64)):
            return False
        self._steps += 1
        self._m += (1 - FIRST) * (self.grad - self._m)
        self._v += (1 - SECOND) * (self.grad * self.grad - self._v)
        spread = np.sqrt(self._v)
        spread *= (1 - SECOND**self._steps) ** -0.5
        spread += TINY
        np.divide(self._m, spread, out=spread)
        spread *= lr / (1 - FIRST**self._steps)
        self.flat -= spread
        return True

    def arrays(self, flat: np.ndarray, columns: int) -> dict[str, np.ndarray]:
        """Return layers as `models/fill.py` reads them; the first `columns` inputs are numbers."""
        found = {}
        for place, (weight, bias) in enumerate(self.views(flat)):
            found[f"w{place}"], found[f"b{place}"] = weight.copy(), bias.copy()
        found["hints"] = found["w0"][columns:].copy()
        found["w0"] = found["w0"][:columns].copy()
        return found
