"""The `tabm` family: TabM-mini of Gorishniy et al. (2025), k answers from one network per member.

- k heads read the same embeddings, each scaled by its own numbers, go through one shared
  perceptron, and answer by a last layer of their own. The loss is the mean of the heads' losses;
  the answer is the mean of their probabilities or values.
- A head's scale starts as one number per column, drawn normal, or as a sign where numbers are not
  embedded. Published is a mean of 0; a mean of 0.87 and a deviation of 0.5, the same mean square,
  learn in half the epochs: heads that agree on a column's direction do not undo one another.
- The scales are multiplied into the first layer's weight, which is the same product: rows are
  never repeated per head, so that wide tables and long batches fit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from models.layers import last
from models.mlp import MLP, MLPConfig

if TYPE_CHECKING:
    from models.draw import Draw
    from models.embed import Shape


@dataclass(frozen=True, kw_only=True)
class TabMConfig(MLPConfig):
    """Sizes of the `tabm` family: k `heads` over layers of `width`.

    `scale_spread` (0..1) is the deviation of the heads' scales at the start; 1 as published.
    """

    width: int = 128
    heads: int = 16
    scale_spread: float = 0.5


class TabM(MLP):
    """P TabM-mini side by side."""

    def __init__(self, config: TabMConfig, shape: Shape, draw: Draw) -> None:
        """Draw every member's parameters."""
        super().__init__(config, shape, draw, heads=config.heads)
        signs = config.embedding == "none" or not shape.numbers
        sizes = (config.heads, shape.columns)
        each = draw.signs(*sizes) if signs else draw.normal(*sizes, scale=1.0)
        around = math.sqrt(1.0 - config.scale_spread**2)
        self.scales = nn.Parameter(self.spread(around + config.scale_spread * each.detach()))

    def _outputs(self, draw: Draw) -> tuple[nn.Parameter, nn.Parameter]:
        heads, outputs = self.heads, self.shape.outputs
        return draw.uniform(heads, None, outputs, bound=0.1), draw.zeros(heads, 1, outputs)

    def _first(self, inputs: Tensor) -> Tensor:
        members, rows, units = inputs.shape
        width = self.hidden[0].shape[2]
        scales = self.scales.transpose(1, 2).unsqueeze(3)  # (P, I, H, 1)
        weight = (scales * self.hidden[0].unsqueeze(2)).reshape(members, units, -1)
        bias = self.hidden[1].repeat(1, 1, self.heads)
        h = torch.baddbmm(bias, inputs, weight).view(members, rows, self.heads, width)
        return h.transpose(1, 2).reshape(members, -1, width)

    def _last(self, h: Tensor) -> Tensor:
        members, _, width = h.shape
        heads, outputs = self.heads, self.shape.outputs
        weight = self.last.reshape(members * heads, width, outputs)
        bias = self.last_bias.reshape(members * heads, 1, outputs)
        out = last(h.reshape(members * heads, -1, width), weight, bias)
        return out.view(members, heads, -1, outputs)

    def undecayed(self) -> set[str]:
        """Names of parameters that weight decay leaves alone: biases and the heads' scales."""
        return super().undecayed() | {"scales"}

    @staticmethod
    def widest(config: MLPConfig, shape: Shape) -> int:
        """Return the most activations that one row of one member has at a time when it is served.

        The piecewise code (n * B per row and fold, shared by the fold's members) is not in it.
        """
        heads = config.heads if isinstance(config, TabMConfig) else 1
        return max(MLP.widest(config, shape), heads * max(config.width, shape.outputs))
