"""Numbers -> a few components, learned on a fold's train rows; they replace the numbers or join them.

- `pca`: principal components of the scaled numbers, each of deviation 1, in float64.
- `autoencoder`: the middle layer of a small network that was trained to give its inputs back, each
  unit of deviation 1, in float32.
- Both are a few products: the same arithmetic stands in the graph (`models/emit_numbers.py`).
- What comes out is clipped smoothly, as numbers are: a row far out stays within three units.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from models.mish import mish
from models.optimize import descended
from models.population import seeded
from models.scaling import squash
from models.threads import one_thread

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

Kind = Literal["pca", "autoencoder"]
KINDS: tuple[Kind, ...] = ("pca", "autoencoder")
PURPOSE = 0x52454455  # of the generator
SAMPLE = 100_000  # train rows that the autoencoder learns from
HIDDEN = (16, 128)  # units of its layers beside the middle one, at least and at most
BATCH, RATE = 256, 2e-3
STEPS, PASSES = (500, 4_000), 60  # at least and at most; over the rows, in between
FLAT = 1e-5  # share of the largest variance below which a component is nothing; ranks are float32


class Reducing(nn.Module):
    """Components of every fold: one linear layer (`pca`), or two with Mish between (`autoencoder`).

    Buffers: `w0` (F, v, h), `b0` (F, h), for the autoencoder `w1` (F, h, k), `b1` (F, k); `center`,
    `factor` (F, k), factor 0 where a component says nothing.
    """

    w0: Tensor
    b0: Tensor
    center: Tensor
    factor: Tensor

    def __init__(self, kind: str, size: int, *, join: bool) -> None:
        """Take the kind, how many components at most, and whether numbers stay beside them."""
        super().__init__()
        self.kind, self.size, self.join = kind, size, join
        self.facts: dict[str, Any] = {}

    def fit(
        self, blocks: Iterable[tuple[int, Tensor]], trains: Sequence[np.ndarray], *, seed: int
    ) -> Reducing:
        """Learn every fold's components.

        Args:
            blocks: first row and scaled numbers float64 (F, n, v) of all rows, in order.
            trains: per fold, which rows (N,) it may learn from.
            seed: of the autoencoder.
        """
        learned = _principal if self.kind == "pca" else _encoded
        with one_thread():
            found = list(learned(blocks, trains, self.size, seed))
        for name in found[0][0]:
            stacked = np.stack([arrays[name] for arrays, _ in found])
            self.register_buffer(name, torch.from_numpy(stacked))
        columns, size = self.w0.shape[1], self.factor.shape[1]
        self.facts = {
            "kind": self.kind, "size": size, "asked": self.size, "numbers": columns,
            "kept": [share for _, share in found], "join": self.join,
        }  # fmt: skip
        return self

    def forward(self, scaled: Tensor) -> Tensor:
        """Scaled float64 (F, N, v) -> components float64 (F, N, k), after the numbers with `join`."""
        inner = scaled if self.kind == "pca" else scaled.float()
        with one_thread():
            out = torch.baddbmm(self.b0[:, None], inner, self.w0)
            if self.kind != "pca":
                weight, bias = self.get_buffer("w1"), self.get_buffer("b1")
                out = torch.baddbmm(bias[:, None], mish(out), weight)
        factor = self.factor[:, None]
        out = squash((out - self.center[:, None]) * factor, factor).double()
        return torch.cat([scaled, out], dim=2) if self.join else out

    @property
    def products(self) -> int:
        """Products of all folds for one row."""
        return sum(b.numel() for name, b in self.named_buffers() if name.startswith("w"))


Learned = tuple[dict[str, np.ndarray], float]


def _principal(
    blocks: Iterable[tuple[int, Tensor]], trains: Sequence[np.ndarray], size: int, _: int
) -> Iterator[Learned]:
    """Yield every fold's principal components, and the share of variance that they hold."""
    sums: list[Any] = [0.0] * len(trains)
    squares: list[Any] = [0.0] * len(trains)
    for start, block in blocks:
        for f, train in enumerate(trains):
            own = block[f].numpy()[train[start : start + block.shape[1]]]
            sums[f] = sums[f] + own.sum(axis=0)
            squares[f] = squares[f] + own.T @ own
    for f, train in enumerate(trains):
        rows = max(int(train.sum()), 1)
        mean = sums[f] / rows
        values, vectors = np.linalg.eigh(squares[f] / rows - np.outer(mean, mean))
        order = np.argsort(-values, kind="stable")[:size]
        variance, chosen = np.maximum(values[order], 0.0), vectors[:, order]
        largest = np.abs(chosen).argmax(axis=0)
        chosen = chosen * np.where(chosen[largest, np.arange(chosen.shape[1])] < 0, -1.0, 1.0)
        there = variance > FLAT * max(float(variance.max(initial=0.0)), 1e-12)
        factor = np.where(there, 1.0 / np.sqrt(np.where(there, variance, 1.0)), 0.0)
        total = float(np.maximum(values, 0.0).sum())
        arrays = {"w0": chosen, "b0": np.zeros(chosen.shape[1])}
        share = float(variance.sum()) / total if total > 0 else 0.0
        yield arrays | {"center": mean @ chosen, "factor": factor}, share


def _encoded(
    blocks: Iterable[tuple[int, Tensor]], trains: Sequence[np.ndarray], size: int, seed: int
) -> Iterator[Learned]:
    """Yield every fold's autoencoder, and the share of variance that it gives back."""
    chosen = [_sample(train, seed, fold) for fold, train in enumerate(trains)]
    parts: list[list[Tensor]] = [[] for _ in trains]
    for start, block in blocks:
        for f, rows in enumerate(chosen):
            own = rows[(rows >= start) & (rows < start + block.shape[1])] - start
            parts[f].append(block[f, torch.from_numpy(own)].float())
    for fold, own in enumerate(parts):
        yield _autoencoder(torch.cat(own), size, seed, fold)
        own.clear()


def _sample(train: np.ndarray, seed: int, fold: int) -> np.ndarray:
    rows = np.flatnonzero(train)
    if len(rows) <= SAMPLE:
        return rows
    return np.sort(np.random.default_rng([seed, fold]).choice(rows, SAMPLE, replace=False))


def _autoencoder(rows: Tensor, size: int, seed: int, fold: int) -> Learned:
    """Train on float32 (M, v); return the half that encodes."""
    from models.impute_net import train  # with Lightning, which takes seconds to import

    columns = rows.shape[1]
    size = min(size, columns)
    hidden = int(np.clip((columns + size) // 2, *HIDDEN))
    steps = int(np.clip(PASSES * len(rows) / BATCH, *STEPS))
    generator = seeded(PURPOSE, seed, fold)
    net = _Net([columns, hidden, size, hidden, columns], generator)
    train(_Course(net, rows, steps, generator), steps=steps, products=0)
    with torch.no_grad():
        code = net.code(rows)
        rest = float(((net(rows) - rows) ** 2).sum())
    center, width = code.mean(dim=0), code.std(dim=0, unbiased=False)
    there = width > FLAT
    factor = torch.where(there, 1.0 / torch.where(there, width, torch.ones_like(width)), 0.0)
    total = float(((rows - rows.mean(dim=0)) ** 2).sum())
    arrays = net.encoding() | {"center": center.numpy().copy(), "factor": factor.numpy().copy()}
    return arrays, 1.0 - rest / total if total > 0 else 0.0


class _Net(nn.Module):
    """Four layers: in, to the middle, and back out."""

    def __init__(self, sizes: Sequence[int], generator: torch.Generator) -> None:
        super().__init__()
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for into, out in pairwise(sizes):
            drawn = torch.randn(into, out, generator=generator) / math.sqrt(max(into, 1))
            self.weights.append(nn.Parameter(drawn))
            self.biases.append(nn.Parameter(torch.zeros(out)))

    def encoding(self) -> dict[str, np.ndarray]:
        """Return the layers that encode, by the names of the buffers."""
        found = {}
        for i in range(2):
            found[f"w{i}"] = self.weights[i].detach().numpy().copy()
            found[f"b{i}"] = self.biases[i].detach().numpy().copy()
        return found

    def code(self, rows: Tensor) -> Tensor:
        """Return the middle layer (M, k)."""
        inner = mish(torch.addmm(self.biases[0], rows, self.weights[0]))
        return torch.addmm(self.biases[1], inner, self.weights[1])

    def forward(self, rows: Tensor) -> Tensor:
        """Return the inputs as the network gives them back (M, v)."""
        inner = mish(torch.addmm(self.biases[2], self.code(rows), self.weights[2]))
        return torch.addmm(self.biases[3], inner, self.weights[3])


class _Course:
    """Steps of AdamW towards the inputs themselves; `models/impute_net.py` takes them."""

    def __init__(self, net: _Net, rows: Tensor, steps: int, generator: torch.Generator) -> None:
        self.net, self.rows, self.steps, self.generator = net, rows, steps, generator
        self.optimizer = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=1e-4)

    def modules(self) -> Iterator[nn.Module]:
        yield self.net

    def step(self, place: int) -> bool:
        chosen = torch.randint(len(self.rows), (BATCH,), generator=self.generator)
        rows = self.rows[chosen]
        loss = ((self.net(rows) - rows) ** 2).mean()
        rate = RATE * (1 + math.cos(math.pi * place / self.steps)) / 2
        return descended(self.optimizer, loss, rate)
