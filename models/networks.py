"""Networks of a population: parameters `(P, in, out)`, one product for all members.

- Pure modules: no trainer, no logging. Each member is drawn from its own generator, so that its
  start does not depend on who trains beside it.
- `MLP`: number embeddings (piecewise-linear with a linear skip, or periodic with a shared linear
  layer), category embeddings, `depth` hidden layers of ReLU and dropout.
- `noise` is dropout's field, made once per epoch by the caller: the generator, not arithmetic, is
  what dropout costs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, relu

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Noise = Callable[[Tensor], Tensor]

Embedding = Literal["piecewise", "periodic"]


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


@dataclass(frozen=True, kw_only=True)
class MLPConfig:
    """Sizes of the `mlp` family."""

    width: int = 256
    depth: int = 2
    embedding: Embedding = "piecewise"
    number_size: int = 12
    category_size: int = 8
    frequencies: int = 24
    frequency_scale: float = 0.05
    bin_scale: float = 0.05


class MLP(nn.Module):
    """P multilayer perceptrons side by side."""

    def __init__(
        self, config: MLPConfig, shape: Shape, generators: Sequence[torch.Generator]
    ) -> None:
        """Draw every member's parameters from its own generator."""
        super().__init__()
        self.config, self.shape = config, shape
        draw = _Draw(generators)
        n, d = shape.numbers, config.number_size
        if n:
            if config.embedding == "piecewise":
                self.bins = draw.normal(n, shape.bins + 1, d, scale=config.bin_scale)
            else:
                self.frequencies = draw.normal(n, config.frequencies, scale=config.frequency_scale)
                fan = 2 * config.frequencies
                self.waves = draw.uniform(n, fan, d, bound=fan**-0.5)
                self.wave_bias = draw.zeros(n, 1, d)
        if shape.levels:
            self.levels = draw.normal(sum(shape.levels), config.category_size, scale=0.5)
            starts = torch.tensor([0, *shape.levels[:-1]]).cumsum(0)
            self.register_buffer("starts", starts, persistent=False)
            with torch.no_grad():  # unknown starts in the middle; rare train levels may move it
                self.levels[:, starts] = 0.0
        wide = n * d + n + shape.indicators + len(shape.levels) * config.category_size
        sizes = [wide, *[config.width] * config.depth]
        self.hidden = nn.ParameterList()
        for fan_in, fan_out in pairwise(sizes):
            self.hidden.append(draw.normal(fan_in, fan_out, scale=math.sqrt(2 / fan_in)))
            self.hidden.append(draw.zeros(1, fan_out))
        self.last = draw.uniform(sizes[-1], shape.outputs, bound=0.1 * sizes[-1] ** -0.5)
        self.last_bias = draw.zeros(1, shape.outputs)

    def forward(
        self,
        values: Tensor,
        codes: Tensor,
        *,
        features: Tensor | None = None,
        noise: Noise | None = None,
    ) -> Tensor:
        """Return raw outputs (P, N, K).

        Args:
            values: (P, N, v): scaled numbers n, indicators m, positions among bins n (piecewise).
            codes: int64 (P, N, c).
            features: 0/1 mask (P, n + m + c), None when every member sees every column.
            noise: h -> h with dropout, None outside of training.
        """
        n, plain = self.shape.numbers, self.shape.numbers + self.shape.indicators
        parts = [values[..., :plain]]
        if n:
            embed = self._pieces if self.config.embedding == "piecewise" else self._waves
            parts.append(embed(values))
        if self.shape.levels:
            parts.append(self._categories(codes))
        h = torch.cat(parts, dim=2)
        if features is not None:
            h = h * self._spread(features)[:, None, :]
        for weight, bias in zip(self.hidden[::2], self.hidden[1::2], strict=True):
            h = relu(torch.baddbmm(bias, h, weight))
            if noise is not None:
                h = noise(h)
        return torch.baddbmm(self.last_bias, h, self.last)

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

    def _spread(self, features: Tensor) -> Tensor:
        """Repeat a mask over columns (P, n + m + c) for every input unit of the first layer."""
        n, plain = self.shape.numbers, self.shape.numbers + self.shape.indicators
        sizes = [1] * plain + [self.config.number_size] * n
        sizes += [self.config.category_size] * len(self.shape.levels)
        columns = [*range(plain), *range(n), *range(plain, plain + len(self.shape.levels))]
        counts = torch.tensor(sizes, device=features.device)
        return features[:, columns].repeat_interleave(counts, dim=1)

    def undecayed(self) -> set[str]:
        """Names of parameters that weight decay leaves alone: biases."""
        names = {name for name, _ in self.named_parameters()}
        odd = {f"hidden.{i}" for i in range(1, len(self.hidden), 2)}
        return names & ({"wave_bias", "last_bias"} | odd)


class _Draw:
    """Parameters (P, ...) of which each member's slice comes from its own generator."""

    def __init__(self, generators: Sequence[torch.Generator]) -> None:
        self.generators = generators

    def normal(self, *shape: int, scale: float) -> nn.Parameter:
        drawn = [torch.randn(*shape, generator=g, dtype=torch.float64) for g in self.generators]
        return nn.Parameter(torch.stack(drawn).float() * scale)

    def uniform(self, *shape: int, bound: float) -> nn.Parameter:
        drawn = [torch.rand(*shape, generator=g, dtype=torch.float64) for g in self.generators]
        return nn.Parameter((torch.stack(drawn).float() * 2 - 1) * bound)

    def zeros(self, *shape: int) -> nn.Parameter:
        return nn.Parameter(torch.zeros(len(self.generators), *shape))


CONFIGS: dict[str, type[MLPConfig]] = {"mlp": MLPConfig}
NETWORKS: dict[str, type[MLP]] = {"mlp": MLP}
