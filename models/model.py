"""What answers: one encoder, networks of any families, rungs of the ladder, calibration, decision.

- Every part has shares; those of all parts sum to 1. Probabilities are averaged, not logits; values
  are averaged where they were learned, that is before a logarithm is undone.
- `answers` is what the exported graph must return, in torch and numpy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from models import rungs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from models.calibrate import Calibration
    from models.decide import Decision
    from models.encode import Encoder
    from models.objective import Target
    from models.population import Population
    from models.rungs import Form


@dataclass(frozen=True, kw_only=True)
class Networks:
    """Members of one shape; `shares` (P,) are their weights in the model's answer."""

    population: Population
    shares: np.ndarray

    @property
    def heads(self) -> int:
        """How many answers one member averages."""
        return self.population.net.heads

    @property
    def members(self) -> int:
        """How many members weigh anything, those of all folds counted."""
        return int(np.count_nonzero(self.shares))


@dataclass(frozen=True, kw_only=True)
class RungPart:
    """A rung of the ladder with its weight in the model's answer, spread evenly over its folds."""

    name: str
    form: Form
    share: float


@dataclass(frozen=True, kw_only=True)
class Model:
    """Everything that answers: what the graph is made of.

    `classes` is K, 0 for regression, where `calibration` and `decision` are None.
    """

    encoder: Encoder
    target: Target
    networks: tuple[Networks, ...] = ()
    rungs: tuple[RungPart, ...] = ()
    classes: int
    calibration: Calibration | None = None
    decision: Decision | None = None

    @property
    def total(self) -> float:
        """The sum of all shares: 1 up to rounding."""
        networks = sum(float(part.shares.sum()) for part in self.networks)
        return networks + sum(part.share for part in self.rungs)

    @property
    def members(self) -> int:
        """How many networks answer, those of all folds counted."""
        return sum(part.members for part in self.networks)


def answers(model: Model, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return what the graph must return, computed by torch and numpy.

    `feeds` are `numbers` (N, n) and `categories` (N, c) as `models.served.inputs` makes them.
    """
    rows = len(next(iter(feeds.values())))
    numbers = np.asarray(feeds.get("numbers", np.empty((rows, 0))), dtype=np.float64)
    categories = feeds.get("categories", np.empty((rows, 0), dtype=object))
    mixed = sum(
        (part.share * rungs.answers(part.form, numbers, categories) for part in model.rungs),
        start=np.zeros((rows, model.classes) if model.classes else rows),
    )
    if model.networks:
        mixed = mixed + _networks(model, numbers, categories)
    mixed = mixed / model.total
    if not model.classes:
        return {"value": np.expm1(mixed) if model.target.log else mixed}
    calibrated = model.calibration.apply(mixed) if model.calibration else mixed
    label = model.decision.labels(calibrated) if model.decision else calibrated.argmax(axis=1)
    return {"probabilities": calibrated, "label": label}


def _networks(model: Model, numbers: np.ndarray, categories: np.ndarray) -> np.ndarray:
    """Return the networks' part of the mean: (N, K), or (N,) learned values."""
    target = model.target
    total = 0.0
    with torch.inference_mode():
        codes = model.encoder.codes(categories)
        encoded = model.encoder(torch.from_numpy(numbers), codes)
        for part in model.networks:
            raw = part.population.eval()(*encoded)
            if model.classes:
                each = torch.softmax(raw, dim=-1).double().cpu().numpy()
            else:
                own = part.population.fold
                mean, scale = target.mean[own, None], target.scale[own, None]
                each = (raw[..., 0].double() * scale + mean).cpu().numpy()
            used = part.shares > 0  # a member that weighs nothing may well be NaN
            total = total + np.tensordot(part.shares[used], each[used], axes=1)
    return np.asarray(total)
