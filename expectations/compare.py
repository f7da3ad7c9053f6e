"""By how much one model is better than another on the same rows, with one-sided bounds.

- On distinct rows of equal weight a binary AUC has DeLong's bounds and accuracy the score interval.
  With weights or groups they, and means and roots of means per row always, have bounds from each
  unit's influence. Everything else: a paired bootstrap over units.
- The bootstrap gives a standard error; the bounds are t quantiles of it. Percentiles of 2,000
  resamples end near a tail of .001, the thirtieth look asks for .00003, and they err more often
  than the t bounds long before (LOG.md).
- With `block`, spans of time are drawn instead of units: neighbours in time are not independent.
- Everything follows from the rows and a fixed seed, so that a judgement can be repeated.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from expectations.intervals import ONE_PER_CLASS, Interval, codes_of, draws, resamples_for
from expectations.metrics import METRICS, lookup
from expectations.paired import (
    INFLUENTIAL,
    NONE,
    Bounds,
    around,
    by_delong,
    by_influence,
    by_score,
    mcnemar,
    unseen,
)

if TYPE_CHECKING:
    from expectations.predictions import Predictions

RESAMPLES = 2_000
FEWEST = 200
CELLS = 250_000_000  # weights drawn for one comparison: a few seconds
COSTLY = {
    "average_precision": 4,
    "median_ae": 5,
}  # times the work of a product: they sort or search
TWO_SIDED = 0.025


class Told(NamedTuple):
    """A difference that has bounds, with the two values that it is taken of."""

    value: float
    low: float
    high: float
    challenger: float
    champion: float


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A challenger against a champion in one metric; above 0 the challenger is better, always."""

    metric: str
    value: float | None
    """The gain in the metric's own unit; None where the metric is undefined on these rows."""
    low: float | None
    high: float | None
    standard_error: float | None
    tail: float
    """The chance that each of the bounds is wrong, on its side."""
    units: int
    """Identities, groups or blocks of time: what was drawn."""
    rows: int
    method: str
    """`delong`, `score`, `influence`, `bootstrap`, `exact` (no unit told the models apart), or
    `none` where there are no bounds."""
    challenger: float | None = None
    champion: float | None = None
    discordance: float | None = None
    """Share of rows where just one of the two labels is right; classification."""
    mcnemar: float | None = None
    """Exact two-sided p of McNemar's test on these rows; classification."""
    resamples: int = 0

    @property
    def told(self) -> Told | None:
        """The numbers, where all of them are known."""
        found = (self.value, self.low, self.high, self.challenger, self.champion)
        known = [number for number in found if number is not None]
        return Told(*known) if len(known) == len(found) else None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


def compare(
    challenger: Predictions,
    champion: Predictions,
    metric: str,
    *,
    weight: np.ndarray,
    unit: np.ndarray,
    block: np.ndarray | None = None,
    tail: float,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Difference:
    """Compare two models on the same N rows in one metric.

    Args:
        challenger: what the first model said; above 0 it is the better one.
        champion: what the other said of the same rows.
        metric: a name in METRICS.
        weight: weight of each row (N,).
        unit: identity or group of each row (N,): drawn together, counted once.
        block: code of the contiguous span of time of each row (N,); drawn instead of `unit`.
        tail: the chance of error of each bound, on its side; at most a half.
        seed: of the bootstrap.
        resamples: the most that the bootstrap draws; fewer for millions of rows.

    """
    sign = 1.0 if lookup(metric).direction == "max" else -1.0
    codes, units = codes_of(unit if block is None else block)
    weight = weight.astype(np.float64)
    whole = weight[None, :]
    function = METRICS[metric].function
    ours, theirs = (float(function(found, whole)[0]) for found in (challenger, champion))
    known: dict[str, Any] = {"metric": metric, "tail": tail, "units": units, "rows": len(weight)}
    known |= _beside(challenger, champion)
    if not (math.isfinite(ours) and math.isfinite(theirs)):
        return Difference(
            value=None, low=None, high=None, standard_error=None, method="none", **known
        )
    value = sign * (ours - theirs)
    pair = _Pair(challenger, champion, metric, sign, weight, codes, units)
    found = pair.bounds(value, tail, seed, resamples)
    if found.standard_error == 0 and found.method != "score":
        found = pair.without_spread(value, abs(theirs), tail)
    return Difference(value=value, challenger=ours, champion=theirs, **known, **asdict(found))


def paired(
    found: Predictions,
    other: Predictions,
    name: str,
    *,
    weight: np.ndarray,
    identity: np.ndarray,
    seed: int = 0,
) -> Interval:
    """By how much `found` is better than `other` on the same rows, with a 95 % interval."""
    count = resamples_for(len(weight), 2 * COSTLY.get(name, 1))
    gain = compare(
        found, other, name, weight=weight, unit=identity, tail=TWO_SIDED, seed=seed, resamples=count
    )
    return Interval(
        value=gain.value,
        low=gain.low,
        high=gain.high,
        standard_error=gain.standard_error,
        method=gain.method,
        resamples=gain.resamples,
    )


def blocks_of(time: np.ndarray) -> np.ndarray:
    """Code of the contiguous span of time of each row (N,), about N^(1/3) rows long.

    Rows of one moment stay together. The length is the usual one for the variance of a mean under
    short memory (Künsch 1989).
    """
    order = np.argsort(time, kind="stable")
    _, first, moment = np.unique(time[order], return_index=True, return_inverse=True)
    length = max(round(len(time) ** (1 / 3)), 1)
    codes = np.empty(len(time), dtype=np.int64)
    codes[order] = (first // length)[moment.reshape(-1)]
    return np.unique(codes, return_inverse=True)[1].reshape(-1)


@dataclass(frozen=True)
class _Pair:
    ours: Predictions
    theirs: Predictions
    metric: str
    sign: float
    weight: np.ndarray
    codes: np.ndarray
    units: int

    def bounds(self, value: float, tail: float, seed: int, resamples: int) -> Bounds:
        if self.units < 2:
            return NONE
        plain = self.units == len(self.weight) and bool((self.weight == self.weight[0]).all())
        if plain and self.metric == "roc_auc" and self.ours.task == "binary":
            return by_delong(self.ours, self.theirs, value, tail)
        if plain and self.metric == "accuracy":
            return by_score(*_told_apart(self.ours, self.theirs), len(self.weight), tail)
        if self.metric in INFLUENTIAL:
            return by_influence(
                self.ours,
                self.theirs,
                self.metric,
                value,
                weight=self.weight,
                unit=self.codes,
                units=self._rarest(),
                tail=tail,
            )
        return self._bootstrap(value, tail, seed, resamples)

    def _bootstrap(self, value: float, tail: float, seed: int, resamples: int) -> Bounds:
        function = METRICS[self.metric].function
        most = max(CELLS // (len(self.weight) * COSTLY.get(self.metric, 1)), FEWEST)
        drawn = np.concatenate(
            [
                function(self.ours, weights) - function(self.theirs, weights)
                for weights in draws(self.codes, self.weight, min(resamples, most), seed)
            ]
        )
        kept = drawn[np.isfinite(drawn)]
        if len(kept) < 2 or len(kept) < 0.9 * len(drawn):
            return NONE
        error = float(kept.std(ddof=1)) * math.sqrt(self.units / (self.units - 1))
        found = around(value, error, self.units - 1, tail, "bootstrap")
        return Bounds(**{**asdict(found), "resamples": len(kept)})

    def without_spread(self, value: float, theirs: float, tail: float) -> Bounds:
        # Of an unbounded metric a row that differs is taken to err by as much as a row does.
        scale = 1.0 if METRICS[self.metric].bounded else theirs
        reach = scale * unseen(self._rarest(), tail)
        return Bounds(low=value - reach, high=value + reach, standard_error=0.0, method="exact")

    def _rarest(self) -> int:
        """Units of the rarest class where the metric needs some of each, else all units."""
        if self.metric not in ONE_PER_CLASS:
            return self.units
        target = self.ours.target
        return min(len(np.unique(self.codes[target == k])) for k in np.unique(target))


def _told_apart(ours: Predictions, theirs: Predictions) -> tuple[int, int]:
    """Rows where the first label alone is right, and where the second alone is."""
    first, second = ours.label == ours.target, theirs.label == theirs.target
    return int((first & ~second).sum()), int((second & ~first).sum())


def _beside(ours: Predictions, theirs: Predictions) -> dict[str, float]:
    if ours.task == "regression" or not len(ours.target):
        return {}
    won, lost = _told_apart(ours, theirs)
    return {"discordance": (won + lost) / len(ours.target), "mcnemar": mcnemar(won, lost)}
