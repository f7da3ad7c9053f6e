"""Many networks trained at once: P members of one shape, each with its own settings, fold and seed.

- Parameters live in `(P, in, out)` tensors; a member is one index along the first axis.
- Each member reads the values that the encoder's buffers of its own fold give.
- A member may be narrower than the population: it is filled up with zeros, which stay zeros.
- `select` keeps chosen members: successive halving, early stopping and ensembles are index-selects.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from models.draw import Draw
from models.networks import CONFIGS, NETWORKS, MLPConfig, Shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.encode import Encoder
    from models.mlp import Noise


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
        width: of its hidden layers, at most the population's; None = the population's.
        balanced: every class has the same total weight in its loss.
        share: of its fold's train rows that it sees, the same ones in every epoch.
        trial: whose member it is; says nothing about its course.
    """

    fold: int
    seed: int
    lr: float = 2e-3
    weight_decay: float = 1e-2
    dropout: float = 0.1
    label_smoothing: float = 0.0
    features: tuple[int, ...] | None = None
    width: int | None = None
    balanced: bool = False
    share: float = 1.0
    trial: int = 0

    @classmethod
    def of(cls, described: dict[str, Any]) -> Member:
        """Return the member of which this is `asdict`, as JSON."""
        features = described["features"]
        return cls(**{**described, "features": tuple(features) if features else None})

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
    features: Tensor | None

    def __init__(
        self,
        *,
        network: str,
        config: MLPConfig,
        shape: Shape,
        members: Sequence[Member],
        drawn: bool = True,
    ) -> None:
        """Draw P members; without `drawn` they are zeros, for parameters that are loaded.

        Raises ValueError where a member is wider than the population.
        """
        super().__init__()
        self.network, self.config, self.shape = network, config, shape
        self.members = list(members)
        draw = Draw(
            [m.generator() if drawn else None for m in members],
            width=config.width,
            widths=_widths(members, config),
        )
        self.net = NETWORKS[network](config, shape, draw)
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
        """Encoder's values (F, N, v) and codes (F, N, c) -> each member's answer (P, N, K)."""
        return self.batch(values.index_select(0, self.fold), codes.index_select(0, self.fold))

    def heads(self, values: Tensor, codes: Tensor, noise: Noise | None = None) -> Tensor:
        """Values (P, N, v) and codes (P, N, c), rows of each member's own -> (P, H, N, K).

        Raw outputs of every head: a member's loss is the mean of its heads' losses.
        """
        return self.net(values, codes, features=self.features, noise=noise)

    def batch(self, values: Tensor, codes: Tensor, noise: Noise | None = None) -> Tensor:
        """Values (P, N, v) and codes (P, N, c), rows of each member's own -> (P, N, K).

        One answer per member: logits, of several heads the logarithm of their probabilities'
        mean; or the mean of their values where K = 1.
        """
        return combined(self.heads(values, codes, noise))

    def own_shapes(self, place: int) -> dict[str, tuple[int, ...]]:
        """Return the shapes of a member's parameters, without what fills it up to the others."""
        member = self.members[place]
        alone = Population(
            network=self.network,
            config=replace(self.config, width=member.width or self.config.width),
            shape=self.shape,
            members=[replace(member, width=None)],
            drawn=False,
        )
        return {name: tuple(p.shape[1:]) for name, p in alone.net.named_parameters()}

    def select(self, indices: Sequence[int]) -> Population:
        """Return a copy that holds the chosen members only, in that order."""
        tensors = {k: v.detach()[list(indices)].clone() for k, v in self.state_dict().items()}
        return Population.restore(
            {**self.describe(), "members": [asdict(self.members[i]) for i in indices]}, tensors
        )

    def block(self, members: slice) -> Population:
        """Return some members as a population of their own whose tensors are views of these.

        What is trained in it is trained here; gradients are added to those that stand here.
        """
        block = Population(
            network=self.network,
            config=self.config,
            shape=self.shape,
            members=self.members[members],
            drawn=False,
        )
        for name, parameter in self.named_parameters():
            own = block.get_parameter(name)
            own.data = parameter.data[members]
            if parameter.grad is not None:
                own.grad = parameter.grad[members]
        for name in ("fold", "features"):
            buffer = getattr(self, name)
            setattr(block, name, None if buffer is None else buffer[members])
        for name, buffer in self.net.named_buffers():
            setattr(block.net, name, buffer)
        return block

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
        members = [Member.of(m) for m in described["members"]]
        population = cls(
            network=described["network"],
            config=CONFIGS[described["network"]](**described["config"]),
            shape=shape,
            members=members,
            drawn=False,
        )
        population.to(next((t.dtype for t in tensors.values() if t.is_floating_point()), None))
        population.features = tensors.get("features")  # kept by those left when its owners go
        population.load_state_dict(tensors)
        return population


def combined(raw: Tensor) -> Tensor:
    """Raw outputs of heads (P, H, N, K) -> one answer per member (P, N, K)."""
    heads, outputs = raw.shape[1], raw.shape[3]
    if heads == 1:
        return raw[:, 0]
    if outputs == 1:
        return raw.mean(dim=1)
    return torch.log_softmax(raw, dim=3).logsumexp(dim=1) - math.log(heads)


def _widths(members: Sequence[Member], config: MLPConfig) -> list[int]:
    """Return every member's own hidden width; refuse what does not fit."""
    widths = [config.width if m.width is None else m.width for m in members]
    if not all(1 <= width <= config.width for width in widths):
        msg = f"members' widths must lie within 1 and {config.width}, however: {min(widths)} to {max(widths)}"
        raise ValueError(msg)
    return widths


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
