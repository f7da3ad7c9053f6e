"""Classes in equal shares while a network trains, or in their own shares in every batch.

| kind | every class of a fold's train rows |
|---|---|
| `weights` | has the same total weight in the loss |
| `over` | is drawn equally often: rows of rare classes several times in an epoch |
| `under` | is drawn equally often: of common classes each member has a part of its own |
| `stratify` | has its own share in every batch, to less than a row: a rare one is seldom absent |

- Answers have the true prior whatever the kind.
- While it trains, a network's logits get an offset: the logarithm of the prior that it is shown over
  the true one (logit adjustment, Menon et al., 2021). So what it learns are logits under the true
  prior: early stopping, ensemble, calibration and graph see these and nothing else.
  With `stratify` there is none.
- Its last bias starts where the offset takes it back to zero, so that it trains as it would without.
- Judged rows are never drawn, weighed or counted.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from models.population import Population
    from models.table import TrainingTable

Kind = Literal["none", "under", "over", "weights", "stratify"]
KINDS: tuple[Kind, ...] = ("none", "under", "over", "weights", "stratify")
PRIOR: tuple[Kind, ...] = ("none", "stratify")
"""Kinds that show classes in their own shares."""
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

    None where the prior is shown as it is; 0 for a class that no train row of the fold has.
    """
    if kind in PRIOR:
        return None
    found = np.zeros((folds, table.classes))
    for fold in range(folds):
        train = table.train(fold)
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


def stratified(labels: Tensor, *, steps: int, batch: int, generator: torch.Generator) -> Tensor:
    """Return the order of an epoch, int64 (steps * batch,): positions among train rows.

    - Of each class a batch holds its share of `batch` rows, rounded down or up.
    - Every row is drawn once where the rows fill the batches; where there are too many or too few,
      some wait or come twice, of every class in its share on average, as without strata.

    Args:
        labels: class codes (T,) of the train rows.
        steps: batches of an epoch.
        batch: rows of a batch.
        generator: of whatever is random.
    """
    codes = labels.cpu().numpy()
    counts = np.bincount(codes)
    short = codes.astype(np.min_scalar_type(len(counts)))  # sorted in a few passes
    groups = torch.from_numpy(np.argsort(short, kind="stable")).split(counts.tolist())
    drawn = _rounded(counts * (steps * batch), len(codes), generator)
    order = torch.empty(steps, batch, dtype=torch.int64)
    filled, rest = 0, []
    least = (counts * batch // len(codes)).tolist()
    for group, count, each in zip(groups, drawn, least, strict=True):
        own = group[torch.randperm(len(group), generator=generator)]
        if count > len(own):
            own = own.repeat(math.ceil(count / len(own)))
        order[:, filled : filled + each] = own[: steps * each].reshape(
            steps, each
        )  # repeats far apart
        rest.append(own[steps * each : count])
        filled += each
    # A class has at most one more for each batch; laid out one after the other over the batches,
    # those of a class fall into different ones, and every batch gets as many.
    order[:, filled:] = torch.cat(rest).reshape(-1, steps).T
    return order[torch.randperm(steps, generator=generator)].flatten()


def _rounded(parts: np.ndarray, whole: int, generator: torch.Generator) -> list[int]:
    """Return `parts` (K,) over `whole`, rounded down or up by chance so that the sum stays.

    The sum of `parts` is a multiple of `whole`; what is rounded is right on average (systematic
    sampling).
    """
    start = int(torch.randint(whole, (), generator=generator))
    passed = np.cumsum(parts % whole) + start
    up = np.diff(passed // whole, prepend=start // whole)
    return (parts // whole + up).tolist()


def taken_back(population: Population, offset: Tensor) -> None:
    """Let members' answers start where the offset (F, K) is taken back."""
    own = offset[population.fold]
    bias = population.net.last_bias
    with torch.no_grad():
        bias -= own.to(bias).reshape(len(own), *[1] * (bias.dim() - 2), -1)
