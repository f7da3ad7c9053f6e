"""How many units a comparison needs, and how small a margin so many units can tell.

- Both answer for a chance of 80 % to be told, at the tail of the look that is meant.
- Before there are two models, what tells them apart is taken from retrains of others.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from scipy.special import ndtri

from expectations.metrics import METRICS, lookup

if TYPE_CHECKING:
    from expectations.compare import Difference

POWER = 0.8
# Spread of a difference per unit, in a bounded metric's unit, else as a share of its value: what two
# retrains on nine tenths of the same rows were apart on adult and California (LOG.md).
SPREADS = {
    "accuracy": 0.22,  # just one of two labels right on a twentieth of the rows
    "brier": 0.05,
    "ece": 0.4,
    "log_loss": 0.45,
    "expected_cost": 0.5,
    "rmse": 0.35,
    "rmsle": 0.35,
    "mae": 0.35,
    "median_ae": 1.0,
    "r2": 0.3,
}
# The same times the root of the rarer class's share, for metrics that need some of each class.
SPREADS_OF_RARER = {
    "roc_auc": 0.04,
    "average_precision": 0.09,
    "balanced_accuracy": 0.14,
    "f1": 0.22,
    "f1_macro": 0.22,
}


def units_needed(found: Difference, margin: float, *, power: float = POWER) -> int | None:
    """Units that would tell a true distance of `margin`, from the spread that was observed.

    None where nothing is known of the spread, or the margin is 0: no number is enough.
    """
    if margin <= 0 or found.standard_error is None or found.units < 1:
        return None
    if found.standard_error == 0:
        scale = 1.0 if METRICS[found.metric].bounded else abs(found.champion or 0.0)
        share = min(margin / scale, 0.5) if scale > 0 else 0.5
        return math.ceil(math.log(found.tail) / math.log1p(-share))
    reach = _reach(found.tail, power)
    return max(math.ceil(found.units * (reach * found.standard_error / margin) ** 2), 2)


def smallest_margin(
    units: int, metric: str, *, tail: float, positive: float = 0.5, power: float = POWER
) -> tuple[float, str]:
    """The smallest margin within which `units` tell an equal model to be no worse.

    In units of a bounded metric, else as a share of the champion's value; with what is assumed of
    the two models in words. `positive`: share of the rarest class.

    Raises:
        ValueError: there is no such metric, or there are fewer than two units.

    """
    lookup(metric)
    if units < 2:
        raise ValueError(f"a comparison needs two units at least, however: {units}")
    if metric in SPREADS:
        spread = SPREADS[metric]
    else:
        spread = SPREADS_OF_RARER[metric] / math.sqrt(min(max(positive, 1 / units), 0.5))
    assumed = "models that differ as two retrains of one do"
    if metric == "accuracy":
        assumed = f"models of which just one is right on {spread**2:.0%} of the rows"
    return _reach(tail, power) * spread / math.sqrt(units), assumed


def _reach(tail: float, power: float) -> float:
    return float(ndtri(power) - ndtri(tail))
