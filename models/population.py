"""Many networks trained at once: P members of one shape, each with its own settings, fold and seed.

- Parameters live in `(P, in, out)` tensors; a member is one index along the first axis.
- Each member reads the values that the encoder's buffers of its own fold give.
- `select` keeps chosen members: successive halving, early stopping and ensembles are index-selects.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from models.networks import CONFIGS, NETWORKS, MLPConfig, Shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.encode import Encoder
    from models.networks import Noise


@dataclass(frozen=True, kw_only=True)
class Member:
    """What makes a member itself; everything random in its life follows from `seed` and `fold`.

    Attributes:
        fold: the fold whose train rows it learns from.
        seed: of its start, its batch order and its dropout.
        lr: peak learning rate, above 0.
        weight_decay: decoupled, per unit of learning rate; at least 0.
        dropout: share of hidden units silenced, within [0, 1).
        label_smoothing: share of a label spread over all classes, within [0, 1).
        features: 0/1 per input column (numbers, indicators, categories); None = sees all.
    """

    fold: int
    seed: int
    lr: float = 2e-3
    weight_decay: float = 1e-2
    dropout: float = 0.1
    label_smoothing: float = 0.0
    features: tuple[int, ...] | None = None

    def generator(self, *purpose: int) -> torch.Generator:
        """Return a generator that depends on this member and `purpose` alone."""
        return seeded(self.seed, self.fold, *purpose)


def seeded(*numbers: int) -> torch.Generator:
    """Return a CPU generator keyed by whole numbers (FNV-1a over them, 64 bits)."""
    state = 0xCBF29CE484222325
    for number in numbers:
        for byte in int(number & 0xFFFFFFFFFFFFFFFF).to_bytes(8, "little"):
            state = ((state ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return torch.Generator().manual_seed(state >> 1)


class Population(nn.Module):
    """P networks of one shape side by side."""

    fold: Tensor

    def __init__(
        self,
        *,
        network: str,
        config: MLPConfig,
        shape: Shape,
        members: Sequence[Member],
    ) -> None:
        """Draw P members."""
        super().__init__()
        self.network, self.config, self.shape = network, config, shape
        self.members = list(members)
        self.net = NETWORKS[network](config, shape, [m.generator() for m in members])
        fold = torch.tensor([m.fold for m in members], dtype=torch.int64)
        self.register_buffer("fold", fold)
        self.register_buffer("features", _masks(members))

    @classmethod
    def build(
        cls,
        encoder: Encoder,
        *,
        network: str,
        config: MLPConfig,
        outputs: int,
        members: Sequence[Member],
    ) -> Population:
        """Build a population that reads what `encoder` writes."""
        shape = Shape(
            numbers=encoder.low.shape[1],
            indicators=len(encoder.indicator),
            levels=tuple(encoder.sizes),
            outputs=outputs,
            bins=encoder.low.shape[2],
        )
        return cls(network=network, config=config, shape=shape, members=members)

    def __len__(self) -> int:
        """Return the number of members P."""
        return len(self.members)

    def forward(self, values: Tensor, codes: Tensor) -> Tensor:
        """Encoder's values (F, N, v) and codes (F, N, c) -> raw outputs (P, N, K)."""
        return self.batch(values.index_select(0, self.fold), codes.index_select(0, self.fold))

    def batch(self, values: Tensor, codes: Tensor, noise: Noise | None = None) -> Tensor:
        """Values (P, N, v) and codes (P, N, c), rows of each member's own -> (P, N, K)."""
        return self.net(values, codes, features=self.features, noise=noise)

    def select(self, indices: Sequence[int]) -> Population:
        """Return a copy that holds the chosen members only, in that order."""
        tensors = {k: v.detach()[list(indices)].clone() for k, v in self.state_dict().items()}
        return Population.restore(
            {**self.describe(), "members": [asdict(self.members[i]) for i in indices]}, tensors
        )

    def keep(self, indices: Sequence[int]) -> None:
        """Drop all other members in place; parameters stay the same objects."""
        chosen = torch.as_tensor(list(indices), device=self.fold.device)
        for parameter in self.parameters():
            parameter.grad = None
            parameter.data = parameter.data.index_select(0, chosen)
        for name in ("fold", "features"):
            buffer = getattr(self, name)
            if buffer is not None:
                setattr(self, name, buffer.index_select(0, chosen))
        self.members = [self.members[i] for i in indices]

    def describe(self) -> dict[str, Any]:
        """Return the part of the state that is no tensor, as JSON."""
        return {
            "network": self.network,
            "config": asdict(self.config),
            "shape": asdict(self.shape),
            "members": [asdict(m) for m in self.members],
        }

    @classmethod
    def restore(cls, described: dict[str, Any], tensors: dict[str, Tensor]) -> Population:
        """Rebuild a population from `describe()` and its `state_dict()`."""
        shape = Shape(**{**described["shape"], "levels": tuple(described["shape"]["levels"])})
        members = [
            Member(**{**m, "features": tuple(m["features"]) if m["features"] else None})
            for m in described["members"]
        ]
        population = cls(
            network=described["network"],
            config=CONFIGS[described["network"]](**described["config"]),
            shape=shape,
            members=members,
        )
        population.to(next((t.dtype for t in tensors.values() if t.is_floating_point()), None))
        population.load_state_dict(tensors)
        return population


def _masks(members: Sequence[Member]) -> Tensor | None:
    """Return feature masks (P, n + m + c), or None when nobody has one."""
    given = [m.features for m in members if m.features is not None]
    if not given:
        return None
    every = (1,) * len(given[0])
    return torch.tensor([m.features or every for m in members], dtype=torch.float32)


def predict(encoder: Encoder, population: Population, numbers: Tensor, codes: Tensor) -> Tensor:
    """Return every member's raw outputs (P, N, K) for float64 (N, n) and int64 (N, c)."""
    return population(*encoder(numbers, codes))
