"""Parameters `(P, ...)` of which each member's slice comes from its own generator.

- A member starts as it would alone: who trains beside it draws from other generators.
- A size of None is the member's own hidden width. A narrower member draws for its own width, and
  zeros fill what is left: its units there stay exactly 0, and so do their gradients.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Draw:
    """Draws the parameters of P members side by side."""

    def __init__(
        self,
        generators: Sequence[torch.Generator | None],
        *,
        width: int,
        widths: Sequence[int] | None = None,
    ) -> None:
        """Take one generator per member (None: zeros, for parameters that are loaded afterwards).

        `width` is the widest member's hidden width, `widths` (P,) each member's own.
        """
        self.generators, self.width = list(generators), width
        self.widths = list(widths) if widths is not None else [width] * len(self.generators)

    def zeros(self, *sizes: int | None) -> nn.Parameter:
        """Return zeros (P, *sizes)."""
        return nn.Parameter(self._empty(sizes))

    def normal(self, *sizes: int | None, scale: float) -> nn.Parameter:
        """Draw from a normal distribution of deviation `scale`."""
        return self._filled(sizes, lambda own, g: _normal(own, g) * scale)

    def weight(self, *sizes: int | None, gain: float) -> nn.Parameter:
        """Draw a normal weight (..., in, out) of variance `gain` / in."""
        return self._filled(sizes, lambda own, g: _normal(own, g) * (gain / own[-2]) ** 0.5)

    def uniform(self, *sizes: int | None, bound: float) -> nn.Parameter:
        """Draw a uniform weight (..., in, out) within `bound` / sqrt(in)."""
        return self._filled(
            sizes, lambda own, g: (_uniform(own, g) * 2 - 1) * (bound * own[-2] ** -0.5)
        )

    def signs(self, *sizes: int | None) -> nn.Parameter:
        """Draw -1 or 1."""
        return self._filled(sizes, lambda own, g: (_uniform(own, g) < 0.5).float() * 2 - 1)

    def _empty(self, sizes: Sequence[int | None]) -> Tensor:
        whole = [self.width if size is None else size for size in sizes]
        return torch.zeros(len(self.generators), *whole)

    def _filled(
        self,
        sizes: Sequence[int | None],
        sample: Callable[[list[int], torch.Generator], Tensor],
    ) -> nn.Parameter:
        """Write every member's sample of its own sizes into the corner of its slice."""
        out = self._empty(sizes)
        for member, (generator, width) in enumerate(zip(self.generators, self.widths, strict=True)):
            if generator is not None:
                own = [width if size is None else size for size in sizes]
                out[(member, *map(slice, own))] = sample(own, generator)
        return nn.Parameter(out)


def _normal(sizes: Sequence[int], generator: torch.Generator) -> Tensor:
    return torch.randn(*sizes, generator=generator, dtype=torch.float64).float()


def _uniform(sizes: Sequence[int], generator: torch.Generator) -> Tensor:
    return torch.rand(*sizes, generator=generator, dtype=torch.float64).float()
