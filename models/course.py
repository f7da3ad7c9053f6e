"""The course of every member: curves, its best weights, and why it ended.

- Best weights are kept per member, copied by mask at the end of an epoch.
- A member stops when its validation score has not improved for twice as many epochs as its best
  took, within `least` and `patience`: one that overfits early does so for good.
- A member whose loss is not finite is failed: it is dropped and counted, never used.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from models.population import Population


@dataclass(kw_only=True)
class MemberRecord:
    """What happened to one member.

    Attributes:
        index: its place in the fitted population, -1 when it is not there.
        setting: its row s of the validation predictions, -1 when it is not there.
        fold: the fold it was judged on.
        seed: its seed.
        settings: learning rate and so on.
        train: training loss per epoch.
        validation: validation loss per epoch (nats, or squared standardised error).
        best_epoch: epoch (from 0) of its kept weights, -1 before the first.
        best: validation loss there.
        stopped: "patience" | "epochs" | "halving" | "budget" | "failed" | None while it runs.
        failed: why it failed, else None.
    """

    index: int = -1
    setting: int = -1
    fold: int
    seed: int
    settings: dict[str, Any]
    train: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    best_epoch: int = -1
    best: float = math.inf
    stopped: str | None = None
    failed: str | None = None


class Courses:
    """Records of all members and the best weights of each."""

    def __init__(self, population: Population, *, patience: int, least: int | None = None) -> None:
        """Start a record per member; `alive` maps the population's places to records.

        `least` left out: every member waits for `patience` epochs.
        """
        self.patience, self.least = patience, patience if least is None else least
        self.records = [
            MemberRecord(fold=m.fold, seed=m.seed, settings=asdict(m)) for m in population.members
        ]
        self.seconds = [0.0] * len(self.records)
        self.alive = list(range(len(self.records)))
        self.best_weights = {k: v.detach().clone() for k, v in population.state_dict().items()}

    @property
    def best(self) -> float:
        """The best validation loss so far of any member."""
        return min((r.best for r in self.records if r.failed is None), default=math.inf)

    def close_epoch(
        self,
        population: Population,
        *,
        epoch: int,
        train: list[float],
        validation: list[float],
        seconds: float = 0.0,
    ) -> list[int]:
        """Note one epoch's losses of the living members; return the places that go on.

        The epoch's seconds are shared among them equally.
        """
        for i in self.alive:
            self.seconds[i] += seconds / len(self.alive)
        better, onward = [], []
        for place, record in enumerate(self.records[i] for i in self.alive):
            record.train.append(train[place])
            record.validation.append(validation[place])
            if not (math.isfinite(train[place]) and math.isfinite(validation[place])):
                record.stopped = "failed"
                record.failed = f"its loss was not finite in epoch {epoch + 1}"
                continue
            if validation[place] < record.best:
                record.best, record.best_epoch = validation[place], epoch
                better.append(place)
            wait = min(self.patience, max(self.least, 2 * (record.best_epoch + 1)))
            if epoch - record.best_epoch >= wait:
                record.stopped = "patience"
            else:
                onward.append(place)
        self._snapshot(population, better)
        self.alive = [self.alive[place] for place in onward]
        return onward

    def _snapshot(self, population: Population, places: list[int]) -> None:
        if not places:
            return
        into = torch.tensor([self.alive[place] for place in places])
        for name, parameter in population.named_parameters():
            kept = self.best_weights[name]
            kept[into.to(kept.device)] = parameter.detach()[places]

    def close(self, why: str = "epochs") -> None:
        """Mark the members that ran to the end, or to the end of the time."""
        for i in self.alive:
            self.records[i].stopped = why

    def state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return the JSON part and the tensors of a checkpoint."""
        facts = {"alive": self.alive, "records": [asdict(r) for r in self.records]}
        return {**facts, "seconds": self.seconds}, self.best_weights

    def take(self, state: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        """Take over what `state` returned of members that are others than its own."""
        self.best_weights = {k: v.to(self.best_weights[k].device) for k, v in tensors.items()}
        self.load(state, {})

    def load(self, state: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        """Take back what `state` returned."""
        self.alive = list(state["alive"])
        self.records = [MemberRecord(**r) for r in state["records"]]
        self.seconds = list(state["seconds"])
        for name, tensor in tensors.items():
            self.best_weights[name].copy_(tensor)
