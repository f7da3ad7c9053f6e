"""The `mlp` family: P multilayer perceptrons side by side.

- Embeddings, `depth` hidden layers with dropout, one layer of outputs; parameters are `(P, in,
  out)`, one product for all members.
- Every activation gives 0 at 0: units that a narrower member does not have stay 0.
- `noise` is dropout's field, made once per epoch by the caller: the generator, not arithmetic, is
  what dropout costs.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.embed import Embed, EmbedConfig
from models.layers import last
from models.mish import mish

if TYPE_CHECKING:
    from collections.abc import Callable

    from models.draw import Draw
    from models.embed import Shape

    Noise = Callable[[Tensor], Tensor]

Activation = Literal["relu", "silu", "mish", "selu"]
ACTIVATIONS: dict[Activation, tuple[Callable[[Tensor], Tensor], float]] = {
    "relu": (functional.relu, 2.0),
    "silu": (functional.silu, 2.8108),
    "mish": (mish, 2.2107),
    "selu": (functional.selu, 1.0),
}
"""The function, and the gain of a layer before it: one over its mean square of a unit normal."""


@dataclass(frozen=True, kw_only=True)
class MLPConfig(EmbedConfig):
    """Sizes of the `mlp` family; `width` is that of the widest member."""

    width: int = 256
    depth: int = 2
    activation: Activation = "relu"


class MLP(Embed):
    """P multilayer perceptrons side by side."""

    def __init__(self, config: MLPConfig, shape: Shape, draw: Draw, *, heads: int = 1) -> None:
        """Draw every member's parameters; `heads` are the answers H it gives for a row."""
        super().__init__(config, shape, draw)
        self.heads = heads
        self.activation, gain = ACTIVATIONS[config.activation]
        self.hidden = nn.ParameterList()
        for fan_in, fan_out in pairwise([config.inputs(shape), *[None] * config.depth]):
            self.hidden.append(draw.weight(fan_in, fan_out, gain=gain))
            self.hidden.append(draw.zeros(1, fan_out))
        self.last, self.last_bias = self._outputs(draw)

    def _outputs(self, draw: Draw) -> tuple[nn.Parameter, nn.Parameter]:
        """Draw the last layer's weight and bias: small, so that training starts near the mean."""
        outputs = self.shape.outputs
        return draw.uniform(None, outputs, bound=0.1), draw.zeros(1, outputs)

    def forward(
        self,
        values: Tensor,
        codes: Tensor,
        *,
        features: Tensor | None = None,
        noise: Noise | None = None,
    ) -> Tensor:
        """Return every head's raw outputs (P, H, N, K).

        Args:
            values: (P, N, v): scaled numbers n, indicators m, positions among bins n (piecewise).
            codes: int64 (P, N, c).
            features: 0/1 mask (P, n + m + c), None when every member sees every column.
            noise: h -> h (P, H * N, width) with dropout, head by head; None outside of training.
        """
        h = self._first(self.inputs(values, codes, features))
        for weight, bias in zip(self.hidden[2::2], self.hidden[3::2], strict=True):
            h = self._active(h, noise)
            h = torch.baddbmm(bias, h, weight)
        return self._last(self._active(h, noise))

    def _active(self, h: Tensor, noise: Noise | None) -> Tensor:
        if self.activation is functional.relu:  # commutes with noise, and both can work in place
            return (h if noise is None else noise(h)).relu_()
        h = self.activation(h)
        return h if noise is None else noise(h)

    def _first(self, inputs: Tensor) -> Tensor:
        """Inputs (P, N, I) -> the first layer before its activation (P, H * N, width)."""
        return torch.baddbmm(self.hidden[1], inputs, self.hidden[0])

    def _last(self, h: Tensor) -> Tensor:
        """The last hidden layer (P, H * N, width) -> raw outputs (P, H, N, K)."""
        return last(h, self.last, self.last_bias).unsqueeze(1)

    def undecayed(self) -> set[str]:
        """Names of parameters that weight decay leaves alone: biases."""
        names = {name for name, _ in self.named_parameters()}
        odd = {f"hidden.{i}" for i in range(1, len(self.hidden), 2)}
        return names & ({"wave_bias", "last_bias"} | odd)

    @staticmethod
    def widest(config: MLPConfig, shape: Shape) -> int:
        """Return the most activations that one row of one member has at a time when it is served.

        The piecewise code (n * B per row and fold, shared by the fold's members) is not in it.
        """
        waves = 2 * config.frequencies * shape.numbers if config.embedding == "periodic" else 0
        return max(config.inputs(shape), waves, config.width)
