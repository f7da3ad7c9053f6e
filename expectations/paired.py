"""Closed forms of the difference between two models on the same rows: DeLong, score, influence.

- Bounds are one-sided, each at its own tail, and stay honest far out: t quantiles with the degrees
  of freedom that there are, and a score interval where only few rows tell the models apart.
- A difference without any spread claims no certainty: were a share of units up to
  1 - tail^(1/units) unlike the others, seeing none of them would not be rare.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import bdtr, ndtri, stdtrit

from expectations.intervals import mean
from expectations.metrics import PER_ROW, ROOTS

if TYPE_CHECKING:
    from expectations.predictions import Predictions, Ranking

HALVINGS = 45
INFLUENTIAL = frozenset({*PER_ROW, "roc_auc"})


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """One-sided bounds of a difference and the spread that they rest on."""

    low: float | None
    high: float | None
    standard_error: float | None
    method: str
    resamples: int = 0


NONE = Bounds(low=None, high=None, standard_error=None, method="none")


def around(value: float, error: float, freedom: float, tail: float, method: str) -> Bounds:
    """Bounds a t quantile with `freedom` degrees of freedom away, each missed at `tail`."""
    if not math.isfinite(error) or freedom <= 0:
        return NONE
    reach = -float(stdtrit(freedom, tail)) * error
    return Bounds(low=value - reach, high=value + reach, standard_error=error, method=method)


def by_influence(
    ours: Predictions,
    theirs: Predictions,
    name: str,
    value: float,
    *,
    weight: np.ndarray,
    unit: np.ndarray,
    units: int,
    tail: float,
) -> Bounds:
    """Bounds of a metric in INFLUENTIAL from what each unit adds to it (the delta method).

    `value`: by how much `ours` has more of the metric than `theirs`; `units`: how many there are
    of the rarest kind that the metric needs.
    """
    influence = _influence(ours, name, weight) - _influence(theirs, name, weight)
    spread = mean(influence, weight=weight, identity=unit).standard_error
    error = math.nan if spread is None else spread
    return around(value, error, units - 1, tail, "influence")


def _influence(found: Predictions, name: str, weight: np.ndarray) -> np.ndarray:
    if name == "roc_auc":
        present = [ranking for ranking in found.rankings if ranking.positive.any()]
        return np.mean([_area_influence(ranking, weight) for ranking in present], axis=0)
    values = PER_ROW[name](found)
    if name not in ROOTS:
        return values
    root = math.sqrt(float(weight @ values / weight.sum()))
    return values / (2 * root) if root > 0 else values


def _area_influence(ranking: Ranking, weight: np.ndarray) -> np.ndarray:
    """What each row adds to an AUC: its own share on the right side, by the weight of its class."""
    places, positive = _places(ranking, weight), np.empty(len(weight), dtype=bool)
    positive[_order(ranking)] = ranking.positive
    plus, minus = float(weight[positive].sum()), float(weight[~positive].sum())
    area = float(weight[positive] @ places[positive]) / plus
    return (places - area) * np.where(positive, 1 / plus, 1 / minus) * float(weight.sum())


def _places(ranking: Ranking, weight: np.ndarray) -> np.ndarray:
    """The share of the other class that stands on the right side of each row (N,); ties a half."""
    order, positive = _order(ranking), ranking.positive
    starts = np.arange(len(weight)) if ranking.starts is None else ranking.starts
    mass, sizes = weight[order], np.diff(np.r_[starts, len(order)])
    plus, minus = (np.add.reduceat(mass * part, starts) for part in (positive, ~positive))
    below = np.repeat(np.cumsum(minus) - minus / 2, sizes) / minus.sum()
    above = 1 - np.repeat(np.cumsum(plus) - plus / 2, sizes) / plus.sum()
    result = np.empty(len(weight))
    result[order] = np.where(positive, below, above)
    return result


def _order(ranking: Ranking) -> np.ndarray:
    return np.arange(len(ranking.positive)) if ranking.order is None else ranking.order


def by_delong(ours: Predictions, theirs: Predictions, value: float, tail: float) -> Bounds:
    """Bounds of the difference of two binary AUCs on the same rows, distinct and of equal weight.

    DeLong et al. 1988, by ranks (Sun and Xu 2014); degrees of freedom after Welch, from the two
    classes' shares of the variance.
    """
    positive, whole = ours.target == 1, np.ones(len(ours.target))
    m, n = int(positive.sum()), int((~positive).sum())
    if min(m, n) < 2:
        return NONE
    apart = _places(ours.rankings[0], whole) - _places(theirs.rankings[0], whole)
    parts = float(apart[positive].var(ddof=1)) / m, float(apart[~positive].var(ddof=1)) / n
    total = sum(parts)
    if total == 0:
        return around(value, 0.0, min(m, n) - 1, tail, "delong")
    freedom = total**2 / (parts[0] ** 2 / (m - 1) + parts[1] ** 2 / (n - 1))
    return around(value, math.sqrt(total), freedom, tail, "delong")


def by_score(won: int, lost: int, rows: int, tail: float) -> Bounds:
    """Bounds of a difference of two paired shares: Tango's score interval (1998).

    `won`, `lost`: rows where the first alone, or the second alone, is right. Holds its error where
    few rows tell the models apart, and has a width where none does.
    """
    z = -float(ndtri(tail))
    found = (won - lost) / rows

    def edge(towards: float) -> float:
        inside, outside = found, towards
        for _ in range(HALVINGS):
            middle = (inside + outside) / 2
            if abs(_score(won, lost, rows, middle)) < z:
                inside = middle
            else:
                outside = middle
        return (inside + outside) / 2

    error = math.sqrt(max((won + lost) / rows - found**2, 0.0) / rows)
    return Bounds(low=edge(-1.0), high=edge(1.0), standard_error=error, method="score")


def _score(won: int, lost: int, rows: int, difference: float) -> float:
    """How many standard errors `difference` is away, were it the truth."""
    b = (2 * rows - won + lost) * difference - won - lost
    root = math.sqrt(max(b * b + 8 * rows * lost * difference * (1 - difference), 0.0))
    share = max((root - b) / (4 * rows), 0.0)
    variance = rows * (2 * share + difference * (1 - difference))
    away = won - lost - rows * difference
    return away / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, away)


def unseen(units: int, tail: float) -> float:
    """The share of units that may differ although none of `units` did, at `tail`."""
    return 1 - tail ** (1 / units)


def mcnemar(won: int, lost: int) -> float:
    """Exact two-sided p of McNemar's test."""
    if won == lost:
        return 1.0
    return min(1.0, 2 * float(bdtr(min(won, lost), won + lost, 0.5)))
