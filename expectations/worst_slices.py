"""The slices where a model is worst, found among all levels and pairs of levels.

- Searched on validation predictions, judged elsewhere: what is found here decides nothing.
- A slice must be worse than the rest beyond the noise of so many tries (Bonferroni over all that
  were tried); losses are capped at their 99.5th percentile, so one outlier makes no slice.
- Ranked by the harm that is sure: the lower bound of loss inside less loss outside. A pair must
  surely be worse than the rest of either of its conditions, else the condition alone is told.
- The next slice is sought among the rows that no slice before it covers, so none says it twice.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import ndtri

from expectations.cuts import cuts, inside
from expectations.slices import named

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS = 50_000
MOST_PARTS = 250
LEVELS_TRIED = 12
CAP = 0.995
NOISE = 0.05


@dataclass(frozen=True, kw_only=True)
class _Parts:
    """Conditions and who meets them."""

    conditions: list[dict[str, Any]]
    column: np.ndarray
    """Number of the column that each condition asks (A,)."""
    held: np.ndarray
    """Membership, float32 (A, N)."""


def worst(
    frame: pd.DataFrame,
    loss: np.ndarray,
    weight: np.ndarray,
    *,
    min_support: int,
    depth: int = 2,
    most: int = 5,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """At most `most` slices, worst first, each of at least `min_support` rows.

    `loss` (N,) is what the model lost on each row, larger is worse; `depth` is 1 for single
    conditions, 2 for pairs of them too. At most 50,000 rows are searched, drawn with `seed`.

    Raises:
        ValueError: the depth is neither 1 nor 2.

    """
    if depth not in (1, 2):
        raise ValueError(f"the depth of the search must be 1 or 2, however: {depth}")
    if len(frame) > MOST_ROWS:
        kept = np.sort(np.random.default_rng(seed).permutation(len(frame))[:MOST_ROWS])
        frame, loss, weight = frame.iloc[kept], loss[kept], weight[kept]
    free = np.isfinite(loss) & (weight > 0)
    if free.sum() < 2 * min_support:
        return []
    capped = np.where(free, np.minimum(loss, np.quantile(loss[free], CAP)), 0.0)
    parts = _parts(frame, min_support)
    found: list[dict[str, Any]] = []
    while parts.conditions and len(found) < most:
        chosen = _worst(parts, capped, weight * free, free, min_support, depth)
        if chosen is None:
            break
        found.append(named([parts.conditions[at] for at in chosen], "automatic"))
        free &= ~np.logical_and.reduce(parts.held[list(chosen)] > 0)
    return found


def _parts(frame: pd.DataFrame, min_support: int) -> _Parts:
    """Every level and bin with support, the columns with the fewest parts first."""
    cut = [cuts(frame.loc[:, name], min_support=min_support, most=LEVELS_TRIED) for name in frame]
    order = sorted(range(len(cut)), key=lambda at: len(cut[at]))
    conditions, column, held = [], [], []
    for at in order:
        for condition in cut[at]:
            mask = inside(condition, frame.iloc[:, at])
            if min_support <= mask.sum() <= len(frame) - min_support:
                conditions.append(condition)
                column.append(at)
                held.append(mask.astype(np.float32))
        if len(conditions) >= MOST_PARTS:
            break
    stacked = np.stack(held) if held else np.zeros((0, len(frame)), dtype=np.float32)
    return _Parts(conditions=conditions, column=np.array(column), held=stacked)


def _worst(
    parts: _Parts,
    loss: np.ndarray,
    weight: np.ndarray,
    free: np.ndarray,
    min_support: int,
    depth: int,
) -> tuple[int, ...] | None:
    """The condition, or pair of them, whose harm is the surest; None within the noise."""
    centre = float(weight @ loss / weight.sum())
    apart = loss - centre  # so that float32 sums keep their digits
    columns = np.stack([free, weight, weight**2, weight * apart, (weight * apart) ** 2,
                        weight**2 * apart])  # fmt: skip
    whole = columns.sum(axis=1)
    single = parts.held @ columns.T.astype(np.float32)
    sums = [single.astype(np.float64).T]
    tried: list[tuple[int, ...]] = [(at,) for at in range(len(parts.held))]
    if depth == 2:
        pairs = [
            (a, b)
            for a, b in itertools.combinations(range(len(parts.held)), 2)
            if parts.column[a] != parts.column[b]
        ]
        if pairs:
            first, second = np.array(pairs).T
            sums.append(np.stack([_crossed(parts.held, row)[first, second] for row in columns]))
            tried += pairs
    inner = np.concatenate(sums, axis=1)
    large = (inner[0] >= min_support) & (inner[0] <= whole[0] - min_support)
    if not large.any():
        return None
    reach = -float(ndtri(NOISE / large.sum()))
    sure = np.where(large, _sure(inner, whole[:, None], reach), -np.inf)
    best = int(np.argmax(sure))
    if sure[best] <= 0:
        return None
    return _no_narrower(tried[best], inner, best, sure, reach)


def _no_narrower(
    pair: tuple[int, ...], inner: np.ndarray, at: int, sure: np.ndarray, reach: float
) -> tuple[int, ...]:
    """The pair, or one condition of it where the other one does not surely add to the harm."""
    if len(pair) == 1:
        return pair
    idle = [
        part
        for part in pair
        if sure[part] > 0 and _sure(inner[:, [at]], inner[:, [part]], reach)[0] <= 0
    ]
    return (max(idle, key=lambda part: sure[part]),) if idle else pair


def _crossed(held: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Sum of `row` over the rows that meet both conditions, (A, A)."""
    return ((held * row.astype(np.float32)) @ held.T).astype(np.float64)


def _sure(inner: np.ndarray, whole: np.ndarray, reach: float) -> np.ndarray:
    """Lower bound of the mean loss inside less that outside, from sums (6, M): (M,)."""
    means, variances = [], []
    for part in (inner, whole - inner):
        _, mass, mass2, lost, lost2, lost_mass = part
        mass = np.where(mass > 0, mass, 1.0)
        mean = lost / mass
        # Sum of (w (x - mean))², from its three terms.
        squares = np.maximum(lost2 - 2 * mean * lost_mass + mean**2 * mass2, 0.0)
        means.append(mean)
        variances.append(squares / mass**2)
    return means[0] - means[1] - reach * np.sqrt(variances[0] + variances[1])
