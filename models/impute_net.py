"""Small networks that fill cells, and the Lightning loop that trains one of them.

- Layers draw their weights from a generator of their own: the same seed gives the same bits.
- Lightning gets a block of steps as one item, as in `models/learner.py`: its hooks around every
  step cost more than a small step.
- A step whose loss is not finite changes nothing and is counted.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from models.silent import silent_trainer
from models.threads import one_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np

BLOCK = 500  # steps that Lightning sees as one
FEW = 1 << 24  # products of one step below which a second thread gets into the first one's way


class Dense(nn.Module):
    """Fully connected layers (in, out); `between` joins what goes into a layer and what comes out."""

    def __init__(
        self,
        sizes: Sequence[int],
        between: Callable[[Tensor, Tensor | None], Tensor],
        generator: torch.Generator,
    ) -> None:
        """Draw weights uniformly within 1 / sqrt(in), as torch does."""
        super().__init__()
        self.between = between
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for size, out in pairwise(sizes):
            bound = max(size, 1) ** -0.5
            drawn = torch.rand(size + 1, out, generator=generator) * (2 * bound) - bound
            self.weights.append(nn.Parameter(drawn[:-1].clone()))
            self.biases.append(nn.Parameter(drawn[-1].clone()))

    def forward(self, h: Tensor) -> Tensor:
        """Return the last layer's outputs."""
        last = len(self.weights) - 1
        for place, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            out = torch.addmm(bias, h, weight)
            h = out if place == last else self.between(out, h if place else None)
        return h

    def arrays(self, columns: int) -> dict[str, np.ndarray]:
        """Return the layers as `models/fill.py` reads them; the first `columns` inputs are numbers."""
        found = {}
        for place, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            found[f"w{place}"] = weight.detach().numpy().copy()
            found[f"b{place}"] = bias.detach().numpy().copy()
        found["hints"] = found["w0"][columns:].copy()
        found["w0"] = found["w0"][:columns].copy()
        return found


class Course(Protocol):
    """What one step of a training does."""

    def modules(self) -> Iterator[nn.Module]:
        """Return the networks that are trained."""
        ...

    def step(self, place: int) -> bool:
        """Take step `place`; False where its loss was not finite and nothing changed."""
        ...


class _Loop(pl.LightningModule):
    """Takes a course's steps, a block at a time."""

    def __init__(self, course: Course, steps: int) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.course, self.steps, self.skipped = course, steps, 0
        self.networks = nn.ModuleList(course.modules())

    def configure_optimizers(self) -> None:
        """The course has its own."""

    def train_dataloader(self) -> list[range]:
        """Return blocks of steps."""
        ends = [*range(0, self.steps, BLOCK), self.steps]
        return [range(start, end) for start, end in pairwise(ends)]

    def training_step(self, block: range, _: int) -> None:
        """Take a block's steps."""
        for place in block:
            self.skipped += not self.course.step(place)

    def transfer_batch_to_device(
        self, batch: range, device: torch.device, dataloader_idx: int
    ) -> range:
        """Return the block as it is."""
        del device, dataloader_idx
        return batch


def train(course: Course, *, steps: int, products: int) -> int:
    """Take all steps of a course on the CPU; return how many were skipped as not finite.

    `products` of one step say whether a second thread would pay.
    """
    loop = _Loop(course, steps)
    with silent_trainer(epochs=1, gpu=False) as trainer:
        if products < FEW:
            with one_thread():
                trainer.fit(loop)
        else:
            trainer.fit(loop)
    return loop.skipped


def joined(*parts: Tensor) -> Tensor:
    """Put columns side by side."""
    return torch.cat(parts, dim=1)
