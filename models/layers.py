"""The last layer of few outputs, as a product that is quick.

- A matrix product of one column takes longer than one of eight, forward and back, so that few
  outputs are padded with zeros to as many columns as there is a quick product for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import pad

if TYPE_CHECKING:
    from torch import Tensor

COLUMNS = 8  # below which a product takes longer, not less


def last(inputs: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return inputs @ weight + bias: (P, N, W), (P, W, K) and (P, 1, K) -> (P, N, K)."""
    if weight.shape[2] >= COLUMNS:
        return torch.baddbmm(bias, inputs, weight)
    return _Last.apply(inputs, weight, bias)


class _Last(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        wide = _padded(weight)
        ctx.outputs = weight.shape[2]
        ctx.save_for_backward(inputs, wide)
        return torch.bmm(inputs, wide)[..., : ctx.outputs] + bias

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        inputs, wide = ctx.saved_tensors
        grad = _padded(grads[0])
        weights = torch.bmm(inputs.transpose(1, 2), grad)[..., : ctx.outputs]
        own = torch.bmm(grad, wide.transpose(1, 2))
        return own, weights, grads[0].sum(dim=1, keepdim=True)


def _padded(columns: Tensor) -> Tensor:
    """Append zeros to (P, N, K) until there are COLUMNS columns."""
    return pad(columns, (0, COLUMNS - columns.shape[2]))
