"""AdamW whose learning rate and weight decay belong to the member, and its schedule.

- Parameters are `(P, ...)`; state is held the same way, so that `keep` is an index-select.
- Members with the same rates share one fused pass; otherwise each member's slices get their own.
- `ramp`: a short linear warm-up, flat, then a cosine to zero; monotone after the warm-up.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

BETAS = (0.9, 0.99)
EPSILON = 1e-8


def ramp(done: float, *, warm: float = 0.02, flat: float = 0.3) -> float:
    """Return the factor on the peak rate after the share `done` (0..1) of all steps."""
    if done < warm:
        return (done + 1e-3) / (warm + 1e-3)
    if done < flat:
        return 1.0
    return 0.5 * (1.0 + math.cos(math.pi * min(1.0, (done - flat) / (1.0 - flat))))


class PopulationAdamW(torch.optim.Optimizer):
    """AdamW (Loshchilov and Hutter, 2019) over parameters with a leading member axis."""

    def __init__(
        self,
        parameters: Iterable[tuple[str, Tensor]],
        *,
        lr: Sequence[float],
        weight_decay: Sequence[float],
        undecayed: set[str],
    ) -> None:
        """Take named parameters (P, ...) and one peak rate and one decay per member."""
        named = list(parameters)
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
        for parameter in self._parameters():
            self.state[parameter] = {
                "mean": torch.zeros_like(parameter),
                "square": torch.zeros_like(parameter),
            }

    def _parameters(self) -> list[Tensor]:
        return [p for group in self.param_groups for p in group["params"]]

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """Make one step with every member's own rates."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        rates = list(zip(self.lr, self.weight_decay, strict=True))
        shared = len(set(rates)) == 1
        for group in self.param_groups:
            live = [p for p in group["params"] if p.grad is not None]
            if not live:
                continue
            tensors = [
                live,
                [p.grad for p in live],
                [self.state[p]["mean"] for p in live],
                [self.state[p]["square"] for p in live],
            ]
            if shared:
                self._fused(tensors, *rates[0], decay=group["decay"])
            else:
                for member, (lr, decay) in enumerate(rates):
                    own = [[t[member] for t in kind] for kind in tensors]
                    self._fused(own, lr, decay, decay=group["decay"])
        self.steps += 1
        return loss

    def _fused(
        self, tensors: list[list[Tensor]], lr: float, weight_decay: float, *, decay: bool
    ) -> None:
        parameters, grads, means, squares = tensors
        count = torch.tensor(float(self.steps + 1), device=parameters[0].device)
        torch.ops.aten._fused_adamw_(  # the kernel behind torch.optim.AdamW(fused=True)
            parameters,
            grads,
            means,
            squares,
            [],
            [count] * len(parameters),
            lr=lr * self.factor,
            beta1=BETAS[0],
            beta2=BETAS[1],
            weight_decay=weight_decay if decay else 0.0,
            eps=EPSILON,
            amsgrad=False,
            maximize=False,
        )

    def keep(self, indices: Sequence[int]) -> None:
        """Drop the state of all other members."""
        for parameter in self._parameters():
            state = self.state[parameter]
            for name in state:
                state[name] = state[name][list(indices)].clone()
        self.lr = [self.lr[i] for i in indices]
        self.weight_decay = [self.weight_decay[i] for i in indices]

    def tensors(self) -> dict[str, Tensor]:
        """Return the state as named tensors, for a checkpoint."""
        return {
            f"{i}.{name}": value
            for i, parameter in enumerate(self._parameters())
            for name, value in self.state[parameter].items()
        }

    def load_tensors(self, tensors: dict[str, Tensor], *, steps: int) -> None:
        """Take back what `tensors` returned."""
        self.steps = steps
        for i, parameter in enumerate(self._parameters()):
            for name in self.state[parameter]:
                self.state[parameter][name] = tensors[f"{i}.{name}"].to(parameter.device)
