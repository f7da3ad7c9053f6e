"""How much better a challenger is in one slice, and how surely.

- A metric that is a mean over rows, or the root of one, gives a difference per row, and its error
  is that of a sum over units. The test takes the variance under equality, as McNemar's does, which
  keeps its level where only few rows differ. Everything else is left to `expectations.compare`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr, ndtri

from expectations.intervals import ONE_PER_CLASS, codes_of
from expectations.metrics import PER_ROW, ROOTS, lookup

if TYPE_CHECKING:
    from expectations.evidence import Rows
    from expectations.predictions import Predictions

POWER = 0.8
RESAMPLES = 500


@dataclass(frozen=True, kw_only=True)
class Told:
    """What the rows of one slice say: how much better the challenger is, and how surely."""

    rows: int
    units: int
    value: float | None = None
    error: float | None = None
    """Standard error of the value if both models were equal."""
    spread: float | None = None
    """Standard error of the value as it is."""
    rarest: int | None = None
    """Units of the rarer of two classes, where the metric needs some of both."""

    @property
    def p(self) -> float:
        """One-sided: how rarely equal models look so much worse; 1 where it cannot be told."""
        if self.value is None or self.error is None:
            return 1.0
        if self.error <= 0:
            return 1.0 if self.value >= 0 else 0.0
        return float(ndtr(self.value / self.error))

    def interval(self, tail: float) -> tuple[float | None, float | None]:
        """Bounds that leave `tail` on each side."""
        if self.value is None or self.spread is None:
            return None, None
        reach = -float(ndtri(tail)) * self.spread
        return self.value - reach, self.value + reach

    def needed(self, drop: float, tail: float) -> int | None:
        """Rows that would show `drop` at this tail with probability POWER."""
        if self.error is None:
            return None
        wanted = (float(ndtri(POWER)) - float(ndtri(tail))) * self.error / drop
        return math.ceil(self.rows * wanted**2)


def told(rows: Rows, mask: np.ndarray, metric: str, seed: int = 0) -> Told:
    """Compare both models on the rows of a slice."""
    new, old = rows.challenger.take(mask), rows.champion.take(mask)
    weight = rows.weight[mask].astype(np.float64)
    codes, units = codes_of((rows.unit if rows.block is None else rows.block)[mask])
    if units < 2 or metric not in PER_ROW:
        return _compared(rows, mask, metric, codes, seed)
    each = _per_row(new, old, metric, weight)
    if not np.isfinite(each).all():
        return Told(rows=len(weight), units=units)
    total = float(weight.sum())
    centre = float(weight @ each) / total
    sums = np.bincount(codes, weights=weight * each, minlength=units)
    mass = np.bincount(codes, weights=weight, minlength=units)
    centred = sums - mass * centre
    error = math.sqrt(float(sums @ sums)) / total
    if metric == "accuracy":  # no row that differs is not the promise that none ever will
        error = max(error, math.sqrt(float(mass @ mass) / units) / total)
    spread = math.sqrt(float(centred @ centred) * units / (units - 1)) / total
    return Told(rows=len(weight), units=units, value=centre, error=error, spread=spread)


def _per_row(new: Predictions, old: Predictions, metric: str, weight: np.ndarray) -> np.ndarray:
    """By how much the challenger is better on each row (n,); their mean is the difference."""
    ours, theirs = PER_ROW[metric](new), PER_ROW[metric](old)
    if lookup(metric).direction == "min":
        ours, theirs = -ours, -theirs
    if metric not in ROOTS:
        return ours - theirs
    # The roots differ by the difference of the means over the sum of the roots.
    roots = [math.sqrt(abs(float(np.average(part, weights=weight)))) for part in (ours, theirs)]
    return (ours - theirs) / (sum(roots) or 1.0)


def _compared(rows: Rows, mask: np.ndarray, metric: str, codes: np.ndarray, seed: int) -> Told:
    from expectations.compare import compare

    known = {"rows": len(codes), "units": len(np.unique(codes))}
    new, old = rows.challenger.take(mask), rows.champion.take(mask)
    if new.task == "binary" and metric in ONE_PER_CLASS:
        known["rarest"] = min(len(np.unique(codes[new.target == k])) for k in (0, 1))
    if known["units"] < 2:
        return Told(**known)
    found = compare(
        new,
        old,
        metric,
        weight=rows.weight[mask],
        unit=rows.unit[mask],
        block=None if rows.block is None else rows.block[mask],
        tail=0.025,
        seed=seed,
        resamples=RESAMPLES,
    )
    error = found.standard_error
    return Told(**known, value=found.value, error=error, spread=error)
