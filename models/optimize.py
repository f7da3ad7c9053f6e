"""One optimizer for many networks: learning rate and weight decay belong to the member.

- Parameters are `(P, ...)` views of two flat buffers `(P, D)`, one that decays and one that does
  not, so a step is a handful of kernels however many layers there are.
- How a step moves them is one of `models/updates.py`.
- `ramp`: a short linear warm-up, flat, then a cosine to zero; monotone after the warm-up, so that
  members may be compared at any epoch.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from models.updates import UPDATES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


def ramp(done: float, *, warm: float = 0.02, flat: float = 0.3) -> float:
    """Return the factor on the peak rate after the share `done` (0..1) of all steps."""
    if done < warm:
        return (done + 1e-3) / (warm + 1e-3)
    if done < flat:
        return 1.0
    return 0.5 * (1.0 + math.cos(math.pi * min(1.0, (done - flat) / (1.0 - flat))))


def descended(optimizer: torch.optim.Optimizer, loss: Tensor, rate: float) -> bool:
    """Take a step of a single network's optimizer; False where the loss was not finite: no step."""
    optimizer.param_groups[0]["lr"] = rate
    optimizer.zero_grad()
    whole = bool(torch.isfinite(loss))
    if whole:
        loss.backward()
        optimizer.step()
    return whole


class Flat:
    """Parameters (P, ...) side by side as one (P, D) buffer, with gradients and moments alike."""

    def __init__(self, parameters: Sequence[Tensor], *, decay: bool) -> None:
        """Move the parameters' values into one buffer; they become views of it."""
        self.parameters, self.decay = list(parameters), decay
        self.values = torch.cat([p.detach().flatten(1) for p in self.parameters], dim=1)
        self.grads, self.mean, self.square, self.work = (
            torch.zeros_like(self.values) for _ in range(4)
        )
        self.views: list[Tensor] = []
        start = 0
        for parameter in self.parameters:
            end = start + parameter[0].numel()
            parameter.data = self.values[:, start:end].view(parameter.shape)
            self.views.append(self.grads[:, start:end].view(parameter.shape))
            start = end
        buffers = (self.values, self.grads, self.mean, self.square)
        self.whole = [[buffer] for buffer in buffers]
        self.each = [[[buffer[i]] for buffer in buffers] for i in range(len(self.values))]
        self.clear()

    def clear(self) -> None:
        """Set gradients to zero; whoever has taken them from the parameters finds them again."""
        self.grads.zero_()
        for parameter, view in zip(self.parameters, self.views, strict=True):
            parameter.grad = view


class PopulationOptimizer(torch.optim.Optimizer):
    """An optimizer over parameters with a leading member axis."""

    def __init__(
        self,
        parameters: Iterable[tuple[str, Tensor]],
        *,
        lr: Sequence[float],
        weight_decay: Sequence[float],
        undecayed: set[str],
        update: str = "adamw",
    ) -> None:
        """Take named parameters (P, ...) and one peak rate and one decay per member.

        `update` is a key of UPDATES.
        """
        named = list(parameters)
        self.update = UPDATES[update]
        self.lr, self.weight_decay = list(lr), list(weight_decay)
        self.factor = 1.0  # set before each step by the schedule
        super().__init__(
            [
                {"params": [p for name, p in named if name not in undecayed], "decay": True},
                {"params": [p for name, p in named if name in undecayed], "decay": False},
            ],
            {},
        )
        self.steps = 0
        self._flatten()

    def _flatten(self) -> None:
        self.flats = [Flat(g["params"], decay=g["decay"]) for g in self.param_groups if g["params"]]
        like = self.flats[0].values
        self.rates = torch.tensor(self.lr, dtype=like.dtype, device=like.device)[:, None]
        self.decays = torch.tensor(self.weight_decay, dtype=like.dtype, device=like.device)[:, None]

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """Make one step with every member's own rates."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        if any(flat.parameters[0].grad is None for flat in self.flats):
            msg = "gradients must lie in the optimizer's buffers, which zero_grad provides"
            raise RuntimeError(msg)
        self.steps += 1
        own = list(zip([lr * self.factor for lr in self.lr], self.weight_decay, strict=True))
        rates = self.rates * self.factor
        for flat in self.flats:
            self.update(flat, own, rates, self.decays, self.steps)
        return loss

    def zero_grad(self, set_to_none: bool = True) -> None:  # noqa: ARG002 - torch's signature
        """Clear the gradients; they stay views of their buffers."""
        for flat in self.flats:
            flat.clear()

    def keep(self, indices: Sequence[int]) -> None:
        """Drop all other members; the population has dropped them already."""
        before = self.flats
        self.lr = [self.lr[i] for i in indices]
        self.weight_decay = [self.weight_decay[i] for i in indices]
        self._flatten()
        for flat, old in zip(self.flats, before, strict=True):
            flat.mean.copy_(old.mean[list(indices)])
            flat.square.copy_(old.square[list(indices)])

    def tensors(self) -> dict[str, Tensor]:
        """Return the state as named tensors (P, D), for a checkpoint."""
        return {
            f"{place}.{name}": getattr(flat, name)
            for place, flat in enumerate(self.flats)
            for name in ("mean", "square")
        }

    def load_tensors(self, tensors: dict[str, Tensor], *, steps: int) -> None:
        """Take back what `tensors` returned."""
        self.steps = steps
        for name, tensor in self.tensors().items():
            tensor.copy_(tensors[name])
