"""What enters the first hidden layer, the same for every family: numbers, indicators, embeddings.

- Numbers enter as they are and, beside that, by a piecewise-linear curve of their own, by waves
  (a periodic embedding with a layer of its own), or not at all.
- Categories enter by a table of vectors; a code that was rare or never seen starts in the middle.
- A column's units may be hidden (`features`) or scaled together: `spread` says which are whose.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, relu

if TYPE_CHECKING:
    from models.draw import Draw

Embedding = Literal["piecewise", "periodic", "none"]


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What a network is built for.

    Attributes:
        numbers: number columns n.
        indicators: extra 0/1 inputs m after the numbers.
        levels: codes per category column.
        outputs: K logits, or 1 for a value.
        bins: bins per number B (piecewise).
    """

    numbers: int
    indicators: int
    levels: tuple[int, ...]
    outputs: int
    bins: int

    @property
    def columns(self) -> int:
        """The number of columns: numbers, indicators, categories."""
        return self.numbers + self.indicators + len(self.levels)


@dataclass(frozen=True, kw_only=True)
class EmbedConfig:
    """Sizes of the embeddings: d units of a number, units of a category, waves of a number."""

    embedding: Embedding = "piecewise"
    number_size: int = 12
    category_size: int = 8
    frequencies: int = 24
    frequency_scale: float = 0.05
    bin_scale: float = 0.05

    def embedded(self, shape: Shape) -> int:
        """Return the units of all numbers' embeddings n * d."""
        return 0 if self.embedding == "none" else shape.numbers * self.number_size

    def inputs(self, shape: Shape) -> int:
        """Return the units I that enter the first hidden layer."""
        plain = shape.numbers + shape.indicators
        return plain + self.embedded(shape) + len(shape.levels) * self.category_size


class Embed(nn.Module):
    """P members' embeddings side by side."""

    def __init__(self, config: EmbedConfig, shape: Shape, draw: Draw) -> None:
        """Draw every member's embeddings."""
        super().__init__()
        self.config, self.shape = config, shape
        n, d = shape.numbers, config.number_size
        if n and config.embedding == "piecewise":
            self.bins = draw.normal(n, shape.bins + 1, d, scale=config.bin_scale)
        elif n and config.embedding == "periodic":
            self.frequencies = draw.normal(n, config.frequencies, scale=config.frequency_scale)
            self.waves = draw.uniform(n, 2 * config.frequencies, d, bound=1.0)
            self.wave_bias = draw.zeros(n, 1, d)
        if shape.levels:
            self.levels = draw.normal(sum(shape.levels), config.category_size, scale=0.5)
            starts = torch.tensor([0, *shape.levels[:-1]]).cumsum(0)
            self.register_buffer("starts", starts, persistent=False)
            with torch.no_grad():  # unknown starts in the middle; rare train levels may move it
                self.levels[:, starts] = 0.0

    def inputs(self, values: Tensor, codes: Tensor, features: Tensor | None) -> Tensor:
        """Return what enters the first hidden layer (P, N, I).

        Args:
            values: (P, N, v): scaled numbers n, indicators m, positions among bins n (piecewise).
            codes: int64 (P, N, c).
            features: 0/1 mask (P, n + m + c), None when every member sees every column.
        """
        parts = [values[..., : self.shape.numbers + self.shape.indicators]]
        if self.shape.numbers and self.config.embedding == "piecewise":
            parts.append(self._pieces(values))
        elif self.shape.numbers and self.config.embedding == "periodic":
            parts.append(self._waves(values))
        if self.shape.levels:
            parts.append(self._categories(codes))
        h = torch.cat(parts, dim=2)
        return h if features is None else h * self.spread(features)[:, None, :]

    def _pieces(self, values: Tensor) -> Tensor:
        """Look up a piecewise-linear curve per column and unit -> (P, N, n * d).

        A position j + t lies the share t into bin j. The curve's values at the edges are running
        sums of `bins`, so one step of the optimizer on a bin moves all that lies above it, as in
        the dense encoding of Gorishniy et al. (2022), without ever forming that.
        """
        members, columns, edges, size = self.bins.shape
        curve = self.bins.cumsum(2).reshape(members * columns * edges, size)
        position = values[..., -columns:]
        below = position.floor().clamp(0, edges - 2)
        start = torch.arange(members * columns, device=values.device) * edges
        index = below.long() + start.view(members, 1, columns)
        share = (position - below).unsqueeze(3)
        out = torch.lerp(embedding(index, curve), embedding(index + 1, curve), share)
        return out.reshape(members, -1, columns * size)

    def _waves(self, values: Tensor) -> Tensor:
        """Embed numbers by cosines and sines of learned frequencies -> (P, N, n * d)."""
        members, columns, _ = self.frequencies.shape
        x = values[..., :columns].transpose(1, 2).unsqueeze(3)  # (P, n, N, 1)
        angle = 2 * math.pi * x * self.frequencies.unsqueeze(2)
        code = torch.cat([torch.cos(angle), torch.sin(angle)], dim=3)
        out = relu(torch.matmul(code, self.waves) + self.wave_bias)
        return out.transpose(1, 2).reshape(members, -1, columns * self.config.number_size)

    def _categories(self, codes: Tensor) -> Tensor:
        """Look up (P, N, c) -> (P, N, c * d) in one table of all members."""
        members, rows, columns = codes.shape
        _, total, size = self.levels.shape
        first = torch.arange(members, device=codes.device)[:, None, None] * total
        index = codes + self.get_buffer("starts") + first
        found = embedding(index, self.levels.reshape(members * total, size))
        return found.reshape(members, rows, columns * size)

    def spread(self, each: Tensor) -> Tensor:
        """Repeat what belongs to columns (..., n + m + c) for every unit they enter by (..., I)."""
        n, plain = self.shape.numbers, self.shape.numbers + self.shape.indicators
        d = self.config.embedded(self.shape) // n if n else 0
        sizes = [1] * plain + [d] * n + [self.config.category_size] * len(self.shape.levels)
        columns = [*range(plain), *range(n), *range(plain, self.shape.columns)]
        counts = torch.tensor(sizes, device=each.device)
        return each[..., columns].repeat_interleave(counts, dim=-1)
