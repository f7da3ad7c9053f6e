"""A share of rows with an interval over units: how often something held.

- Wilson's interval on the number of units that the rows are worth: rows of one unit, or of unequal
  weight, say less than as many independent ones, and a share of 0 or 1 is no certainty.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from expectations.intervals import Z, codes_of


@dataclass(frozen=True, kw_only=True)
class Share:
    """A share with its 95 % bounds; all None where there are no rows."""

    value: float | None
    low: float | None
    high: float | None
    rows: int

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


def share(held: np.ndarray, *, weight: np.ndarray, unit: np.ndarray) -> Share:
    """Weighted share of rows (n,) where `held`; values between 0 and 1 may be given too."""
    total = float(weight.sum())
    if total <= 0:
        return Share(value=None, low=None, high=None, rows=len(held))
    value = float(weight @ held / total)
    low, high = wilson(value, worth(held, weight=weight, unit=unit))
    return Share(value=value, low=low, high=high, rows=len(held))


def worth(held: np.ndarray, *, weight: np.ndarray, unit: np.ndarray) -> float:
    """The number of independent units that the rows are worth for this share."""
    codes, units = codes_of(unit)
    mass = np.bincount(codes, weights=weight, minlength=units)
    most = float(mass.sum() ** 2 / (mass @ mass))
    value = float(weight @ held / weight.sum())
    sums = np.bincount(codes, weights=weight * (held - value), minlength=units)
    variance = float(sums @ sums) / float(weight.sum()) ** 2
    if variance <= 0 or units < 2:
        return most
    # Never more than the rows that were counted: unlike answers within a unit may cancel.
    return min(value * (1 - value) / (variance * units / (units - 1)), float(len(held)))


def wilson(value: float, trials: float) -> tuple[float, float]:
    """Wilson's 95 % interval of a share of `trials`, which need not be whole."""
    trials = max(trials, 1e-9)
    centre = (value + Z**2 / (2 * trials)) / (1 + Z**2 / trials)
    reach = Z * np.sqrt(value * (1 - value) / trials + Z**2 / (4 * trials**2))
    reach /= 1 + Z**2 / trials
    low = 0.0 if value <= 0 else float(max(0.0, centre - reach))
    return low, 1.0 if value >= 1 else float(min(1.0, centre + reach))
