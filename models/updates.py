"""UPDATES: how one step moves a flat buffer of parameters; each member has its own rate and decay.

- "adamw" (Loshchilov and Hutter, 2019), "lion" (Chen et al., 2023), "sgd" with Nesterov momentum.
- Weight decay is decoupled in all of them: weights shrink by rate times decay at each step.
- Every operation is elementwise, so a member moves as it would alone.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from models.optimize import Flat

BETAS = (0.9, 0.99)
EPSILON = 1e-8
MOMENTUM = 0.9
BIG = 4_000  # numbers of one member from which on a pass of its own is worth the call


class Update(Protocol):
    """Moves the values of a flat buffer by its gradients."""

    def __call__(
        self,
        flat: Flat,
        own: Sequence[tuple[float, float]],
        rates: Tensor,
        decays: Tensor,
        step: int,
    ) -> None:
        """Make step number `step` (from 1).

        `own` holds (rate, decay) of each member, `rates` and `decays` the same as columns (P, 1).
        """
        ...


def adamw(
    flat: Flat, own: Sequence[tuple[float, float]], rates: Tensor, decays: Tensor, step: int
) -> None:
    """Members with one pair of rates share a fused pass; small ones with their own a plain one."""
    same = len(set(own)) == 1
    if same or flat.values.shape[1] >= BIG:
        _fused_adamw(flat, own[:1] if same else own, step)
        return
    first, second = BETAS
    flat.mean.lerp_(flat.grads, 1.0 - first)
    flat.square.mul_(second).addcmul_(flat.grads, flat.grads, value=1.0 - second)
    torch.sqrt(flat.square, out=flat.work)
    flat.work.div_(math.sqrt(1.0 - second**step)).add_(EPSILON)
    torch.div(flat.mean, flat.work, out=flat.work)
    _shrink(flat, rates, decays)
    flat.values.sub_(flat.work.mul_(rates / (1.0 - first**step)))


def _fused_adamw(flat: Flat, own: Sequence[tuple[float, float]], step: int) -> None:
    parts = [flat.whole] if len(own) == 1 else flat.each
    count = torch.tensor(float(step), device=flat.values.device)
    for part, (rate, decay) in zip(parts, own, strict=True):
        torch.ops.aten._fused_adamw_(  # the kernel behind torch.optim.AdamW(fused=True)
            *part,
            [],
            [count],
            lr=rate,
            beta1=BETAS[0],
            beta2=BETAS[1],
            weight_decay=decay if flat.decay else 0.0,
            eps=EPSILON,
            amsgrad=False,
            maximize=False,
        )


def lion(
    flat: Flat, own: Sequence[tuple[float, float]], rates: Tensor, decays: Tensor, step: int
) -> None:
    """Move every value by the rate, towards the sign of an average of gradients."""
    del own, step
    first, second = BETAS
    torch.lerp(flat.mean, flat.grads, 1.0 - first, out=flat.work)
    _shrink(flat, rates, decays)
    flat.values.sub_(flat.work.sign_().mul_(rates))
    flat.mean.lerp_(flat.grads, 1.0 - second)


def sgd(
    flat: Flat, own: Sequence[tuple[float, float]], rates: Tensor, decays: Tensor, step: int
) -> None:
    """Move along the gradient and what is left of earlier ones, looking one step ahead."""
    del own, step
    flat.mean.mul_(MOMENTUM).add_(flat.grads)
    torch.add(flat.grads, flat.mean, alpha=MOMENTUM, out=flat.work)
    _shrink(flat, rates, decays)
    flat.values.sub_(flat.work.mul_(rates))


def _shrink(flat: Flat, rates: Tensor, decays: Tensor) -> None:
    if flat.decay:
        flat.values.mul_(1.0 - rates * decays)


UPDATES: Mapping[str, Update] = {"adamw": adamw, "lion": lion, "sgd": sgd}
PACE: Mapping[str, float] = {"adamw": 1.0, "lion": 0.1, "sgd": 25.0}
"""What a rate that does well with AdamW is multiplied by for each; its decay is divided by it."""
