"""Intervals of metrics: a bootstrap over identities, DeLong for a binary AUC.

- The unit that is drawn is an identity (or a group): its rows share one draw, since twice the same
  row is not twice the evidence. 95 %, percentile.
- A fixed seed and a number of resamples that follows from the number of rows alone, never from the
  clock: the same predictions always have the same interval. 1,000 resamples up to about 20,000
  rows; under 200 the normal interval from their spread is used, and `method` says so.
- A resample in which a metric is undefined is left out; more than one in ten, and there are no
  bounds.
- A flawless score has no spread to draw from; its bound is the exact binomial one instead of a
  claim of certainty.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from expectations.metrics import METRICS, lookup

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from expectations.predictions import Predictions

LEVEL = 0.95
Z = 1.959963984540054
RESAMPLES = 1_000
FEWEST = 60
PERCENTILE_FROM = 200
CELLS = 20_000_000  # weights drawn for one set of predictions: what a second or so pays for
CHUNK = 1_000_000  # weights in memory at once; 8 MB stays near the cache
# Resampling noise can only add to a calibration error, so its percentiles stand above its value.
LIFTED_BY_NOISE = {"ece"}
ONE_PER_CLASS = {"roc_auc", "average_precision", "balanced_accuracy", "f1", "f1_macro"}


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A value with its 95 % bounds; what is undefined is None."""

    value: float | None
    low: float | None
    high: float | None
    standard_error: float | None
    method: str
    """`bootstrap`, `bootstrap, normal`, `delong`, `exact`, or `none` where there are no bounds."""
    resamples: int = 0
    """Resamples that the bounds rest on; 0 for formulas."""

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


def resamples_for(rows: int, passes: int = 1, *, most: int = RESAMPLES) -> int:
    """How many resamples `rows` rows get; `passes`: how many rankings each of them costs."""
    affordable = CELLS // max(rows * max(passes, 1), 1)
    return int(min(most, max(affordable, FEWEST)))


def draws(
    identity: np.ndarray, weight: np.ndarray, resamples: int, seed: int
) -> Iterator[np.ndarray]:
    """Yield row weights (b, N), `resamples` in all: every identity drawn with replacement."""
    codes, groups = codes_of(identity)
    rng = np.random.default_rng(seed)
    at_once = max(1, CHUNK // max(len(codes), 1))
    alone = groups == len(codes)
    for start in range(0, resamples, at_once):
        b = min(at_once, resamples - start)
        drawn = rng.integers(0, groups, size=(b, groups))
        drawn += (np.arange(b) * groups)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=b * groups).reshape(b, groups)
        yield (counts if alone else counts[:, codes]) * weight


def codes_of(identity: np.ndarray) -> tuple[np.ndarray, int]:
    """Return codes 0..G-1 by first appearance, (N,), and G."""
    _, first, inverse = np.unique(identity, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first, kind="stable")] = np.arange(len(first))
    return rank[inverse.reshape(-1)], len(first)


def measure(
    found: Predictions,
    names: Sequence[str],
    *,
    weight: np.ndarray,
    identity: np.ndarray,
    seed: int = 0,
    most: int = RESAMPLES,
) -> dict[str, Interval]:
    """Metrics of one model with intervals; names as in METRICS.

    A binary AUC whose rows are all distinct and weigh the same gets DeLong's interval.
    """
    metrics = {name: lookup(name) for name in names}
    found, weight, identity = _ranked(found, weight, identity)
    plain = weight[None, :].astype(np.float64)
    values = {name: float(m.function(found, plain)[0]) for name, m in metrics.items()}
    result: dict[str, Interval] = {}
    if "roc_auc" in metrics and _is_plain(found, weight, identity):
        result["roc_auc"] = delong(found.target == 1, found.p[:, 1])
    rest = [name for name in names if name not in result]
    if not rest:
        return result
    passes = len(found.rankings) if {"roc_auc", "average_precision"} & set(rest) else 1
    count = resamples_for(len(weight), passes, most=most)
    drawn: dict[str, list[np.ndarray]] = {name: [] for name in rest}
    for weights in draws(identity, weight, count, seed):
        for name in rest:
            drawn[name].append(metrics[name].function(found, weights))
    for name in rest:
        spread = np.concatenate(drawn[name])
        interval = _interval(values[name], spread, normal=name in LIFTED_BY_NOISE)
        result[name] = _flawless(interval, name, found, identity)
    return {name: result[name] for name in names}


def mean(values: np.ndarray, *, weight: np.ndarray, identity: np.ndarray) -> Interval:
    """Weighted mean of values per row with a normal interval over identities (delta method)."""
    total = weight.sum()
    if total <= 0:
        return Interval(value=None, low=None, high=None, standard_error=None, method="none")
    centre = float(weight @ values / total)
    codes, groups = codes_of(identity)
    sums = np.bincount(codes, weights=weight * (values - centre), minlength=groups)
    error = math.sqrt(float(sums @ sums) * groups / max(groups - 1, 1)) / float(total)
    return Interval(
        value=centre,
        low=centre - Z * error,
        high=centre + Z * error,
        standard_error=error,
        method="normal",
    )


def delong(positive: np.ndarray, score: np.ndarray) -> Interval:
    """AUC with DeLong's variance (DeLong et al. 1988; ranks after Sun and Xu 2014).

    The interval is formed on the logit scale, which keeps it inside 0..1 and covers better near 1.
    """
    from scipy.stats import rankdata

    ours, theirs = score[positive], score[~positive]
    m, n = len(ours), len(theirs)
    if not m or not n:
        return Interval(value=None, low=None, high=None, standard_error=None, method="none")
    ranks = rankdata(np.concatenate([ours, theirs]))
    above = (ranks[:m] - rankdata(ours)) / n
    below = 1 - (ranks[m:] - rankdata(theirs)) / m
    area = float(above.mean())
    spread = (above.var(ddof=1) / m if m > 1 else 0.0) + (below.var(ddof=1) / n if n > 1 else 0.0)
    error = math.sqrt(float(spread))
    if error == 0 and 0 < area < 1:  # every score alike, as a dummy's: nothing was drawn
        return Interval(value=area, low=area, high=area, standard_error=0.0, method="delong")
    if error == 0 or min(m, n) == 1:
        low, high = _binomial(area, min(m, n))
        return Interval(value=area, low=low, high=high, standard_error=error, method="exact")
    centre, reach = math.log(area / (1 - area)), Z * error / (area * (1 - area))
    low, high = (1 / (1 + math.exp(-x)) for x in (centre - reach, centre + reach))
    return Interval(value=area, low=low, high=high, standard_error=error, method="delong")


def _ranked(
    found: Predictions, weight: np.ndarray, identity: np.ndarray
) -> tuple[Predictions, np.ndarray, np.ndarray]:
    """The rows in the order in which the metrics will rank them, which spares them the sorting."""
    if found.task == "multiclass":
        return found, weight, identity
    key = found.p[:, 1] if found.task == "binary" else np.abs(found.residual)
    order = np.argsort(key, kind="stable")
    return found.take(order), weight[order], identity[order]


def _is_plain(found: Predictions, weight: np.ndarray, identity: np.ndarray) -> bool:
    if found.task != "binary" or len(weight) == 0 or (weight != weight[0]).any():
        return False
    return len(np.unique(identity)) == len(identity)


def _interval(value: float, drawn: np.ndarray, *, normal: bool = False) -> Interval:
    kept = drawn[np.isfinite(drawn)]
    if not math.isfinite(value):
        return Interval(value=None, low=None, high=None, standard_error=None, method="none")
    if len(kept) < 2 or len(kept) < 0.9 * len(drawn):
        return Interval(value=value, low=None, high=None, standard_error=None, method="none")
    error = float(kept.std(ddof=1))
    if len(kept) >= PERCENTILE_FROM and not normal:
        tail = 50 * (1 - LEVEL)
        low, high = (float(x) for x in np.percentile(kept, [tail, 100 - tail]))
        method = "bootstrap"
    else:
        low, high, method = value - Z * error, value + Z * error, "bootstrap, normal"
        low = max(low, 0.0) if normal else low
    return Interval(
        value=value, low=low, high=high, standard_error=error, method=method, resamples=len(kept)
    )


def _flawless(interval: Interval, name: str, found: Predictions, identity: np.ndarray) -> Interval:
    """Bounds for a score without spread, such as an accuracy of 1 on 36 rows."""
    metric = METRICS[name]
    degenerate = interval.low is not None and interval.low == interval.high
    if not (degenerate and metric.direction == "max" and metric.bounded and interval.value == 1):
        return interval
    units = len(np.unique(identity))
    if name in ONE_PER_CLASS:
        classes = np.unique(found.target)
        units = min(len(np.unique(identity[found.target == k])) for k in classes)
    low, high = _binomial(1.0, units)
    return Interval(value=1.0, low=low, high=high, standard_error=0.0, method="exact")


def _binomial(share: float, trials: int) -> tuple[float, float]:
    """Clopper and Pearson's interval for `share` of `trials`."""
    from scipy.stats import beta

    hits, tail = round(share * trials), (1 - LEVEL) / 2
    low = 0.0 if hits == 0 else float(beta.ppf(tail, hits, trials - hits + 1))
    high = 1.0 if hits == trials else float(beta.ppf(1 - tail, hits + 1, trials - hits))
    return low, high
