"""What a member is trained for: row losses, and the target's own scale.

- Classification uses K logits for every K, binary included; label smoothing belongs to the member.
- Regression learns a standardised target, by each fold's weighted train mean and deviation; after
  log1p where the target is heavy-tailed and asked for (or found) to be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from models.encode import TrainingTable

SKEWED = 1.5  # above this skewness a non-negative target is a candidate for the log
TAMED = 0.5  # and the log must bring the skewness below this share of it


class Target(nn.Module):
    """Per fold: how raw outputs become values of the target (identity for classes)."""

    mean: Tensor
    scale: Tensor
    log: bool

    def __init__(self, mean: Tensor, scale: Tensor, *, log: bool) -> None:
        """Take float64 (F,) means and deviations, in log1p units where `log`."""
        super().__init__()
        self.log = log
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)

    @classmethod
    def fit(cls, table: TrainingTable, *, folds: int, log_target: Literal["auto"] | bool) -> Target:
        """Learn from each fold's train rows; the log is chosen once, on fold 0's train rows."""
        if table.classes:
            return cls(torch.zeros(folds).double(), torch.ones(folds).double(), log=False)
        log = wants_log(table.target[table.train(0)]) if log_target == "auto" else log_target
        if log and float(table.target.min()) <= -1.0:
            msg = f"a log target must be above -1, however: {float(table.target.min())!r}"
            raise ValueError(msg)
        y = np.log1p(table.target) if log else table.target
        mean, scale = np.zeros(folds), np.ones(folds)
        for fold in range(folds):
            train = table.train(fold)
            weight = table.weight[train]
            mean[fold] = np.average(y[train], weights=weight)
            spread = np.sqrt(np.average((y[train] - mean[fold]) ** 2, weights=weight))
            scale[fold] = spread if spread > 0 else 1.0
        return cls(torch.from_numpy(mean), torch.from_numpy(scale), log=log)

    def learned(self, target: np.ndarray, classes: int) -> Tensor:
        """Return what networks learn: int64 (F, N) codes, or float32 (F, N) standardised."""
        y = torch.from_numpy(np.require(target, requirements="W"))  # read-only ones are copied
        folds = len(self.mean)
        if classes:
            return y.long().expand(folds, -1).contiguous()
        y = torch.log1p(y.double()) if self.log else y.double()
        return ((y - self.mean[:, None]) / self.scale[:, None]).float()

    def forward(self, raw: Tensor, fold: Tensor) -> Tensor:
        """Raw (P, N, 1) of members of `fold` (P,) -> float64 values (P, N) in target units."""
        mean, scale = self.mean.index_select(0, fold), self.scale.index_select(0, fold)
        value = raw[:, :, 0].double() * scale[:, None] + mean[:, None]
        return torch.expm1(value) if self.log else value


def wants_log(target: np.ndarray) -> bool:
    """Say whether a target is not negative, heavy-tailed, and much less so after log1p."""
    if len(target) == 0 or float(target.min()) < 0:
        return False
    before, after = _skewness(target), _skewness(np.log1p(target))
    return before > SKEWED and abs(after) < TAMED * before


def _skewness(values: np.ndarray) -> float:
    spread = values.std()
    return float((((values - values.mean()) / spread) ** 3).mean()) if spread > 0 else 0.0


def row_losses(raw: Tensor, target: Tensor, smoothing: Tensor | None = None) -> Tensor:
    """Return losses (P, N) of raw outputs (P, N, K) for targets (P, N).

    Integer targets: cross-entropy in nats, with the members' label smoothing (P,); floating
    targets: squared error of the standardised value.
    """
    if target.is_floating_point():
        return (raw[:, :, 0] - target.to(raw.dtype)) ** 2
    logs = torch.log_softmax(raw, dim=2)
    right = -logs.gather(2, target.unsqueeze(2)).squeeze(2)
    if smoothing is None:
        return right
    return right + smoothing[:, None] * (-logs.mean(dim=2) - right)


def loss_weights(table: TrainingTable, *, folds: int) -> tuple[Tensor, Tensor]:
    """Return float32 (C, F, N) weights of the loss and (N,) of the metric.

    The loss's are scaled to mean 1 over each fold's train rows. C is 2 for classes: plain ones,
    and balanced ones, which give every class of the fold's train rows the same total.
    """
    kinds = 2 if table.classes else 1
    weights = np.zeros((kinds, folds, len(table.target)))
    for fold in range(folds):
        train = table.train(fold)
        weight = table.weight.astype(np.float64)
        total = weight[train].sum()
        if not total > 0:
            msg = f"row weights must not all be zero, however: they are on fold {fold}'s train rows"
            raise ValueError(msg)
        weights[0, fold] = weight * (train.sum() / total)
        if table.classes:
            totals = np.bincount(table.target[train], weight[train], minlength=table.classes)
            share = np.divide(1.0, totals, out=np.zeros_like(totals), where=totals > 0)
            even = weight * share[table.target]
            weights[1, fold] = even * (train.sum() / even[train].sum())
    return torch.from_numpy(weights).float(), torch.from_numpy(table.weight).double()
