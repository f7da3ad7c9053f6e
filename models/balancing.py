"""Classes in equal shares while a network trains, and the true prior in its answers all the same.

| kind | every class of a fold's train rows |
|---|---|
| `weights` | has the same total weight in the loss |
| `over` | is drawn equally often: rows of rare classes several times in an epoch |
| `under` | is drawn equally often: of common classes each member has a part of its own |

- While it trains, a network's logits get an offset: the logarithm of the prior that it is shown over
  the true one (logit adjustment, Menon et al., 2021). So what it learns are logits under the true
  prior: early stopping, ensemble, calibration and graph see these and nothing else.
- Its last bias starts where the offset takes it back to zero, so that it trains as it would without.
- Judged rows are never drawn, weighed or counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from models.population import Population
    from models.table import TrainingTable

Kind = Literal["none", "under", "over", "weights"]
KINDS: tuple[Kind, ...] = ("none", "under", "over", "weights")
FEWEST = 100  # rows to which `under` cuts a class at most


def sizes(counts: np.ndarray, kind: str) -> np.ndarray:
    """Return how many rows of each class (K,) are drawn from, of so many that there are."""
    there = counts[counts > 0]
    if kind == "under" and len(there):
        return np.minimum(counts, max(int(there.min()), FEWEST))
    if kind == "over" and len(there):
        return np.where(counts > 0, there.max(), 0)
    return counts


def drawn_rows(table: TrainingTable, train: np.ndarray, kind: str) -> int:
    """Return how many of a fold's train rows (N,) an epoch is about.

    With `over` as many as there are: an epoch has no more steps than without.
    """
    if kind != "under":
        return int(train.sum())
    counts = np.bincount(table.target[train], minlength=table.classes)
    return int(sizes(counts, kind).sum())


def offsets(table: TrainingTable, *, folds: int, kind: str) -> Tensor | None:
    """Return the logarithm of the prior that is shown over the true one, float32 (F, K).

    None where nothing is balanced; 0 for a class that no train row of the fold has.
    """
    if kind == "none":
        return None
    found = np.zeros((folds, table.classes))
    for fold in range(folds):
        train = table.fold != fold
        counts = np.bincount(table.target[train], minlength=table.classes).astype(np.float64)
        totals = np.bincount(table.target[train], table.weight[train], minlength=table.classes)
        there = (counts > 0) & (totals > 0)
        if kind == "weights":
            shown = there.astype(np.float64)
        else:
            each = np.divide(totals, counts, out=np.zeros_like(totals), where=there)
            shown = each * sizes(counts.astype(np.int64), kind)
        true, shown = totals[there] / totals[there].sum(), shown[there] / shown[there].sum()
        found[fold, there] = np.log(shown) - np.log(true)
    return torch.from_numpy(found).float()


def pool(rows: Tensor, labels: Tensor, kind: str, generator: torch.Generator) -> Tensor:
    """Return the rows (M,) that a member draws from, of train rows (T,) with labels (T,).

    `under`: a part of each class; `over`: whole repeats of each class, and a part.
    """
    if kind not in ("under", "over"):
        return rows
    labels = labels.cpu()
    counts = np.bincount(labels.numpy())
    parts = []
    for label, size in enumerate(sizes(counts, kind).tolist()):
        own = (labels == label).nonzero()[:, 0]
        if not len(own):
            continue
        few = own[torch.randperm(len(own), generator=generator)]
        parts += [own] * (size // len(own)) + [few[: size % len(own)]]
    return rows[torch.cat(parts).to(rows.device)]


def taken_back(population: Population, offset: Tensor) -> None:
    """Let members' answers start where the offset (F, K) is taken back."""
    own = offset[population.fold]
    bias = population.net.last_bias
    with torch.no_grad():
        bias -= own.to(bias).reshape(len(own), *[1] * (bias.dim() - 2), -1)
