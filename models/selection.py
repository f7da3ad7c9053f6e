"""Ways to weigh candidates by their validation predictions: one, the seeds of one setting, a bag.

- Greedy selection with replacement (Caruana et al., ICML 2004), started from the best few; with
  many candidates it is bagged: selected among random halves, and what was picked most often, as
  far as the budget goes, is selected from once more.
- A selection looks at no more than ROWS rows and the NEAR best candidates, so that hundreds of
  candidates on hundreds of thousands of rows take seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

START = 3  # most candidates that greedy selection starts from
ROUNDS = 30  # most picks, repeats counted
IDLE = 6  # picks without a better mean after which a selection ends
ROWS = 20_000  # most rows that a selection looks at
NEAR = 60  # most candidates that it looks at, the best ones
BAGS, BAGGED = 8, 10  # random halves, and the number of candidates from which they are drawn
LEAST = 0.01  # a weight below this is not worth its time
FLOOR = 1e-7  # least probability that a log loss sees: float32 cannot tell 1 - p below it


@dataclass(frozen=True, kw_only=True)
class Scored:
    """What a loss needs of S candidates on n rows.

    `values` (S, n) are probabilities of the true class, or values; `target` (n,) the true values,
    None for classes; `weight` (n,). `seconds` (S,) is what a candidate costs, `budget` what all
    may; `pools` (S,) is the same for seeds of one setting.
    """

    values: np.ndarray
    target: np.ndarray | None
    weight: np.ndarray
    pools: np.ndarray
    seconds: np.ndarray
    budget: float

    def losses(self, values: np.ndarray) -> np.ndarray:
        """Return log losses, or squared errors, of (..., n) predictions, elementwise."""
        if self.target is None:
            return -np.log(np.maximum(values, FLOOR))
        return np.square(values - self.target)

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Return the weighted mean loss of (..., n) predictions."""
        return self.losses(values) @ self.weight / self.weight.sum()

    def singly(self) -> np.ndarray:
        """Return each candidate's mean loss (S,); one at a time, as there may be gigabytes."""
        return np.array([float(self.mean(values)) for values in self.values])

    def rows(self, mask: np.ndarray) -> Scored:
        """Cut to rows, given as a mask or places."""
        target = None if self.target is None else self.target[mask]
        return replace(self, values=self.values[:, mask], target=target, weight=self.weight[mask])

    def only(self, places: np.ndarray) -> Scored:
        """Cut to candidates."""
        return replace(
            self,
            values=self.values[places],
            pools=self.pools[places],
            seconds=self.seconds[places],
        )


def single(scored: Scored) -> np.ndarray:
    """All weight on the candidate with the least loss."""
    return _spread(scored, [int(np.argmin(scored.singly()))])


def pooled(scored: Scored) -> np.ndarray:
    """Equal weights on the seeds of one setting, that of which the mean has the least loss.

    Where the budget has no room for all of its seeds, on the best of them.
    """
    losses = scored.singly()
    found: list[tuple[float, np.ndarray]] = []
    for pool in several(scored):
        places = np.flatnonzero(scored.pools == pool)
        places = places[np.argsort(losses[places], kind="stable")]
        room = np.cumsum(scored.seconds[places]) <= scored.budget
        weights = _spread(scored, places[: max(1, int(room.sum()))].tolist())
        found.append((float(scored.mean(weights @ scored.values)), weights))
    return min(found, key=lambda pair: pair[0])[1]


def several(scored: Scored) -> np.ndarray:
    """Return the pools that hold more than one candidate."""
    pools, counts = np.unique(scored.pools, return_counts=True)
    return pools[counts > 1]


def selected(scored: Scored, *, seed: int = 0) -> np.ndarray:
    """Return greedily selected weights (S,), bagged where there are many candidates."""
    rng = np.random.default_rng(seed)
    count = scored.values.shape[1]
    if count > ROWS:
        scored = scored.rows(np.sort(rng.permutation(count)[:ROWS]))
    near = np.sort(np.argsort(scored.singly(), kind="stable")[:NEAR])
    close = scored.only(near)
    weights = np.zeros(len(scored.values))
    weights[near] = _bagged(close, rng) if len(near) >= BAGGED else _greedy(close)
    return weights


def _bagged(scored: Scored, rng: np.random.Generator) -> np.ndarray:
    """Select among what selections from random halves picked most."""
    count = len(scored.values)
    votes = np.zeros(count)
    for _ in range(BAGS):
        half = np.sort(rng.permutation(count)[: (count + 1) // 2])
        votes[half] += _greedy(scored.only(half)) / BAGS
    order = np.argsort(-votes, kind="stable")
    order = order[votes[order] >= LEAST]
    room = np.cumsum(scored.seconds[order]) <= scored.budget
    kept = np.sort(order[: max(1, int(room.sum()))])
    weights = np.zeros(count)
    weights[kept] = _greedy(scored.only(kept))
    return weights


def _greedy(scored: Scored) -> np.ndarray:
    """Add, with replacement, what lowers the loss of the mean most; return the best prefix."""
    try_all = _trials(scored)
    seconds, budget = scored.seconds, scored.budget
    counts, best = _start(scored)
    kept, idle = counts.copy(), 0
    for _ in range(ROUNDS):
        used = counts > 0
        open_ = used | (seconds[used].sum() + seconds <= budget)
        tried = np.where(open_, try_all(counts), np.inf)
        pick = int(np.argmin(tried))
        counts[pick] += 1.0
        idle += 1
        if tried[pick] < best:
            best, kept, idle = float(tried[pick]), counts.copy(), 0
        if idle == IDLE:
            break
    kept[kept < LEAST * kept.sum()] = 0.0
    return kept / kept.sum()


def _start(scored: Scored) -> tuple[np.ndarray, float]:
    """Return the best mean of the best one, two or three that fit the budget, and its loss."""
    order = np.argsort(scored.singly(), kind="stable")[:START]
    best, counts = np.inf, np.zeros(len(scored.values))
    for size in range(1, len(order) + 1):
        places = order[:size]
        if size > 1 and scored.seconds[places].sum() > scored.budget:
            break
        loss = float(scored.mean(scored.values[places].mean(axis=0)))
        if loss < best:
            best, counts = loss, np.zeros(len(counts))
            counts[places] = 1.0
    return counts, best


def _trials(scored: Scored) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function: picks so far (S,) -> the loss of the mean with each candidate added."""
    if scored.target is None:
        # Single precision and one buffer: this is where the time of a selection goes.
        values, room = scored.values.astype(np.float32), np.empty(scored.values.shape, np.float32)
        weight = (scored.weight / scored.weight.sum()).astype(np.float32)

        def by_rows(counts: np.ndarray) -> np.ndarray:
            """Log losses of the means."""
            size = np.float32(counts.sum() + 1.0)
            np.add(values, counts.astype(np.float32) @ values, out=room)
            np.log(np.maximum(room, FLOOR * size, out=room), out=room)
            return np.log(size) - room @ weight

        return by_rows
    errors = scored.values - scored.target
    gram = (errors * (scored.weight / scored.weight.sum())) @ errors.T

    def by_products(counts: np.ndarray) -> np.ndarray:
        """Squared errors of means follow from those of pairs."""
        own = float(counts @ gram @ counts)
        return (own + 2.0 * (gram @ counts) + np.diag(gram)) / (counts.sum() + 1.0) ** 2

    return by_products


def _spread(scored: Scored, places: list[int]) -> np.ndarray:
    """Equal weights on some candidates."""
    weights = np.zeros(len(scored.values))
    weights[places] = 1.0 / len(places)
    return weights
