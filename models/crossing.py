"""Products and quotients of two numbers as further columns, chosen by a fold's train rows.

- What is looked for is what single columns cannot say: boosting without interactions answers first,
  out of sample, and a cross must explain some of what is left over, again out of sample, and more of
  it than chance would (`NOISE` standard errors). Fewer are found than asked for where there are fewer.
- One after the other: what a cross explains is taken off before the next is looked for, so that no
  two say the same.
- Numbers are held within the train rows' range before they are crossed, and only a number that keeps
  one sign there divides: no served row makes an infinity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from models.scaling import measured, squash

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

ROWS = 6_000  # looked at to choose
MEASURED = 50_000  # looked at for ranges and units
WIDEST = 200  # numbers that are crossed at most, those with most to say
SHORTLIST = 24  # pairs that are looked at closely for each cross
PARTS = 4  # of the rows, of which each is told by the others
PIECES = 8  # of the curves by which columns and crosses are asked what they explain
RIDGE = 1e-4
TAIL = 0.01  # share of rows at either end of which what is left over is held
NOISE = 3.0  # standard errors
LEVELS = 254  # that boosting takes of a category
FEWEST = 100  # train rows below which nothing is looked for

Pair = tuple[int, int, bool]
"""First and second column, and whether the first is divided by the second."""


class Crossing(nn.Module):
    """The crosses of every fold, centred, scaled and clipped as numbers are.

    Buffers: `first`, `second` int64, `divides` bool, `center`, `factor` float64 (F, k), factor 0
    where a fold has fewer; `low`, `high` float64 (F, n), the train rows' range.
    """

    first: Tensor
    second: Tensor
    divides: Tensor
    center: Tensor
    factor: Tensor
    low: Tensor
    high: Tensor

    def fit(self, samples: Sequence[np.ndarray], pairs: Sequence[Sequence[Pair]]) -> Crossing:
        """Learn ranges and units of every fold's pairs from filled train rows (M, n)."""
        most = max(map(len, pairs))
        shape = (len(pairs), most)
        first, second = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        divides, center, factor = np.zeros(shape, bool), np.zeros(shape), np.zeros(shape)
        ranges = [_range(sample) for sample in samples]
        for f, (sample, found) in enumerate(zip(samples, pairs, strict=True)):
            held = np.clip(sample, *ranges[f])
            for k, pair in enumerate(found):
                first[f, k], second[f, k], divides[f, k] = pair
                center[f, k], factor[f, k] = measured(crossed(held, pair), "robust")
        low, high = (np.stack([each[side] for each in ranges]) for side in (0, 1))
        for name, array in (
            *(("first", first), ("second", second), ("divides", divides)),
            *(("center", center), ("factor", factor), ("low", low), ("high", high)),
        ):
            self.register_buffer(name, torch.from_numpy(array))
        return self

    def forward(self, filled: Tensor) -> Tensor:
        """Filled float64 (F, N, n) -> (F, N, k) within (-3, 3)."""
        held = torch.minimum(torch.maximum(filled, self.low[:, None]), self.high[:, None])
        rows = held.shape[1]
        one, other = (
            held.gather(2, place[:, None].expand(-1, rows, -1))
            for place in (self.first, self.second)
        )
        divides = self.divides[:, None]
        below = torch.where(divides, other, torch.ones_like(other))
        value = torch.where(divides, one / below, one * other)
        return squash((value - self.center[:, None]) * self.factor[:, None], self.factor[:, None])


def crossed(held: np.ndarray, pair: Pair) -> np.ndarray:
    """Return the cross of two columns of (M, n): finite, or 0 where a float cannot hold it."""
    first, second, divides = pair
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        value = held[:, first] / held[:, second] if divides else held[:, first] * held[:, second]
    return np.nan_to_num(value, nan=0.0, posinf=0.0, neginf=0.0)


def _range(sample: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    there = np.isfinite(sample)
    low = np.where(there, sample, np.inf).min(axis=0, initial=np.inf)
    high = np.where(there, sample, -np.inf).max(axis=0, initial=-np.inf)
    known = low <= high
    return np.where(known, low, 0.0), np.where(known, high, 0.0)


def found(
    filled: np.ndarray,
    codes: np.ndarray,
    target: np.ndarray,
    *,
    classes: int,
    most: int,
    seed: int,
    without: Sequence[int] = (),
) -> list[tuple[Pair, float, float]]:
    """Return at most so many crosses, each with the share it explains and that share's error.

    Args:
        filled: numbers of train rows (M, n).
        codes: their categories (M, c).
        target: class codes or values (M,).
        classes: 0 for a regression.
        most: crosses at most.
        seed: of boosting.
        without: numbers that are not read.
    """
    few = slice(0, ROWS)
    low, high = _range(filled)
    held = np.clip(filled[few], low, high)
    divisors = {int(j) for j in np.flatnonzero((low > 0) | (high < 0))}
    wide = np.flatnonzero((held.max(axis=0) > held.min(axis=0)) if len(held) else [])
    usable = [int(j) for j in wide if int(j) not in without]
    if len(held) < FEWEST or len(usable) < 2:
        return []
    left = _left_over(held, codes[few], target[few], classes=classes, seed=seed)
    total = float((left**2).sum())
    usable = _strongest(held, left, usable)
    scores = _normal(held[:, usable])
    chosen: list[tuple[Pair, float, float]] = []
    while len(chosen) < most and total > 0:
        gains = [(_gain(held, pair, left), pair) for pair in _pairs(scores, left, usable, divisors)]
        (explained, error), best = max(gains, key=lambda each: each[0][0] - NOISE * each[0][1])
        if explained <= NOISE * error or any(best == pair for pair, _, _ in chosen):
            break
        share = len(left) / total
        chosen.append((best, explained * share, error * share))
        left = left - _explained(held, best, left, of=best)
    return chosen


def named(found: Sequence[tuple[Pair, float, float]], names: Sequence[str]) -> list[dict[str, Any]]:
    """Return crosses as JSON, by the names of their columns."""
    return [
        {
            "name": f"{names[a]} {'/' if divides else '*'} {names[b]}",
            "explains": explains,
            "error": error,
        }
        for (a, b, divides), explains, error in found
    ]


def _left_over(
    held: np.ndarray,
    codes: np.ndarray,
    target: np.ndarray,
    *,
    classes: int,
    seed: int,
) -> np.ndarray:
    """Return what single columns leave of the target, out of sample: (M, 1), or (M, K)."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    levels = np.array([_commonest(column) for column in codes.T]).reshape(-1, len(codes)).T
    table = np.concatenate([levels, held], axis=1)  # in boosting's own order
    kind = HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
    settings: dict[str, Any] = {
        "max_iter": 100, "early_stopping": False, "interaction_cst": "no_interactions",
        "categorical_features": np.arange(table.shape[1]) < codes.shape[1],
        "random_state": seed % 2**32, "max_leaf_nodes": 3,
        "min_samples_leaf": 30,
    }  # fmt: skip
    if classes:
        left = np.zeros((len(target), classes))
        left[np.arange(len(target)), target.astype(np.int64)] = 1.0
    else:
        left = ((target - target.mean()) / (target.std() or 1.0))[:, None]
    with threadpool_limits(limits=1):
        for side in _sides(len(left)):
            truth = target[~side] if classes else left[~side, 0]
            if len(np.unique(truth)) < 2:
                continue
            model: Any = kind(**settings).fit(table[~side], truth)
            if classes:
                known = model.classes_.astype(np.int64)
                left[np.ix_(np.flatnonzero(side), known)] -= model.predict_proba(table[side])
            else:
                left[side, 0] -= model.predict(table[side])
    if not classes:  # a few rows far out must not decide
        return np.clip(left, *np.quantile(left, [TAIL, 1 - TAIL]))
    return left[:, 1:] if classes == 2 else left


def _sides(rows: int) -> list[np.ndarray]:
    """Return parts of the rows (bool); each is told by the others. Rows come in an order of chance."""
    return [np.arange(rows) % PARTS == part for part in range(PARTS)]


def _commonest(column: np.ndarray) -> np.ndarray:
    """Return codes by how common they are; the rare ones share the last."""
    _, code, counts = np.unique(column, return_inverse=True, return_counts=True)
    place = np.empty(len(counts), dtype=np.float64)
    place[np.argsort(-counts, kind="stable")] = np.arange(len(counts))
    return np.minimum(place[code], LEVELS)


def _normal(columns: np.ndarray) -> np.ndarray:
    """Return every column's ranks, evenly spread around 0: a product of two of them is no main effect."""
    order = np.argsort(np.argsort(columns, axis=0, kind="stable"), axis=0, kind="stable")
    return 2.0 * order / max(len(columns) - 1, 1) - 1.0


def _strongest(held: np.ndarray, left: np.ndarray, usable: list[int]) -> list[int]:
    """Return at most WIDEST columns: those whose rank goes with the size of what is left over."""
    if len(usable) <= WIDEST:
        return usable
    size = (left**2).sum(axis=1)
    scores = _normal(held[:, usable])
    weight = np.abs(scores.T @ (size - size.mean())) + np.abs((scores**2).T @ (size - size.mean()))
    return sorted(usable[int(j)] for j in np.argsort(-weight, kind="stable")[:WIDEST])


def _pairs(
    scores: np.ndarray, left: np.ndarray, usable: list[int], divisors: Container[int]
) -> list[Pair]:
    """Return the crosses worth a closer look: of pairs whose ranks' product goes with what is left.

    Only `divisors` may divide: those whose whole range, in which they are held, is of one sign.
    """
    strength = np.zeros((len(usable), len(usable)))
    for column in left.T:
        strength += (scores.T @ (scores * column[:, None])) ** 2
    one, other = np.triu_indices(len(usable), 1)
    best = np.argsort(-strength[one, other], kind="stable")[:SHORTLIST]
    pairs: list[Pair] = []
    for i, j in ((usable[int(one[k])], usable[int(other[k])]) for k in best):
        pairs.append((i, j, False))
        pairs += [(a, b, True) for a, b in ((i, j), (j, i)) if b in divisors]
    return pairs


def _pieces(column: np.ndarray) -> np.ndarray:
    """Return a piecewise-linear basis of a column (M, at most PIECES)."""
    edges = np.unique(np.quantile(column, np.linspace(0, 1, PIECES + 1)))
    if len(edges) < 2:
        return np.zeros((len(column), 0))
    return np.clip((column[:, None] - edges[:-1]) / np.diff(edges), 0.0, 1.0)


def _explained(held: np.ndarray, pair: Pair | None, left: np.ndarray, *, of: Pair) -> np.ndarray:
    """Return what curves of two columns, and of their cross, say of what is left: like `left`.

    Each part of the rows is told by the others. `pair` None: the two columns of `of` alone, whose curves are
    other ones beside a cross than without it.
    """
    parts = [np.ones((len(held), 1)), *(_pieces(held[:, j]) for j in of[:2])]
    if pair is not None:
        parts.append(_pieces(crossed(held, pair)))
    basis = np.concatenate(parts, axis=1)
    said = np.zeros_like(left)
    for side in _sides(len(left)):
        own = basis[~side]
        gram = own.T @ own + RIDGE * len(own) * np.eye(own.shape[1])
        said[side] = basis[side] @ np.linalg.solve(gram, own.T @ left[~side])
    return said


def _gain(held: np.ndarray, pair: Pair, left: np.ndarray) -> tuple[float, float]:
    """Return by how much the cross lowers a row's squared rest on average, and the error of that."""
    before, after = (
        ((left - _explained(held, which, left, of=pair)) ** 2).sum(axis=1) for which in (None, pair)
    )
    fall = before - after
    return float(fall.mean()), float(fall.std() / len(fall) ** 0.5)
