"""How a model treats the levels of a column: rates per level, the largest gap between two levels.

- Two classes: how often the positive one is said, how often it is recognised, how often it is
  falsely said, how often the answer is right. More classes: how often each is said, and accuracy.
  Regression: mean residual (predicted minus true) and mean absolute error.
- Intervals are drawn over units. That of the largest gap holds for all pairs of levels together,
  since the largest of many gaps is large by chance.
- Rates are figures for a person: equal rates are not always what is fair, and no rule judges them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from expectations.intervals import Z, draws, resamples_for
from expectations.shares import wilson

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from expectations.predictions import Predictions

RESAMPLES = 400
MOST_LEVELS = 20
MOST_CLASSES = 10
Rate = tuple[str, np.ndarray, np.ndarray]
"""A rate: its name, what counts (N,), and among which rows (N,)."""


def fairness(
    found: Predictions,
    levels: Mapping[str, np.ndarray],
    *,
    weight: np.ndarray,
    unit: np.ndarray,
    min_support: int,
    classes: Sequence[str] = (),
    seed: int = 0,
) -> list[dict[str, Any]]:
    """One entry per column of `levels` (column -> level of each row as text, "" for none)."""
    rates = _rates(found, classes)
    return [
        _column(name, text, rates, weight, unit, min_support, seed) for name, text in levels.items()
    ]


def _rates(found: Predictions, classes: Sequence[str]) -> list[Rate]:
    everyone = np.ones(len(found.target))
    if found.task == "regression":
        return [
            ("mean residual", found.residual, everyone),
            ("mean absolute error", np.abs(found.residual), everyone),
        ]
    label = np.asarray(found.label)
    right = ("accuracy", (label == found.target) * 1.0, everyone)
    if found.task == "binary":
        said, true = (label == 1) * 1.0, (found.target == 1) * 1.0
        return [
            ("selection rate", said, everyone),
            ("true positive rate", said, true),
            ("false positive rate", said, 1 - true),
            right,
        ]
    said = [(f"says {c}", (label == k) * 1.0, everyone) for k, c in enumerate(classes)]
    return [right, *said[:MOST_CLASSES]]


def _column(
    name: str,
    text: np.ndarray,
    rates: Sequence[Rate],
    weight: np.ndarray,
    unit: np.ndarray,
    min_support: int,
    seed: int,
) -> dict[str, Any]:
    counts = {level: int((text == level).sum()) for level in sorted(set(text) - {""})}
    often = sorted((x for x in counts if counts[x] >= min_support), key=lambda x: -counts[x])
    often = often[:MOST_LEVELS]
    small = [{"level": x, "rows": counts[x]} for x in counts if x not in often]
    result: dict[str, Any] = {"column": name, "levels": [], "gaps": [], "small": small}
    result["note"] = _note(often, small, min_support)
    if not often:
        return result
    masks = [text == level for level in often]
    values, drawn = _drawn(masks, rates, weight, unit, seed)
    bounds = [
        [_bounds(values[r, at], drawn[:, r, at], among[mask], weight[mask])
         for at, mask in enumerate(masks)]
        for r, (_, _, among) in enumerate(rates)
    ]  # fmt: skip
    for at, level in enumerate(often):
        told = {rate: bounds[r][at] for r, (rate, _, _) in enumerate(rates)}
        result["levels"].append({"level": level, "rows": counts[level], "rates": told})
    gaps = [
        _gap(rate, often, values[r], drawn[:, r], bounds[r]) for r, (rate, _, _) in enumerate(rates)
    ]
    result["gaps"] = [gap for gap in gaps if gap]
    return result


def _note(often: Sequence[str], small: Sequence[Mapping[str, Any]], min_support: int) -> str:
    if not small:
        return ""
    named = ", ".join(f"{entry['level']} ({entry['rows']:,})" for entry in small[:5])
    more = f" and {len(small) - 5} more" if len(small) > 5 else ""
    left = "" if often else "; no level is left to compare"
    return f"too small to be told, under {min_support:,} rows: {named}{more}{left}"


def _drawn(
    masks: Sequence[np.ndarray],
    rates: Sequence[Rate],
    weight: np.ndarray,
    unit: np.ndarray,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Rates as they are (R, L) and resampled (B, R, L)."""
    above = [counted * among * mask for _, counted, among in rates for mask in masks]
    below = [among * mask for _, _, among in rates for mask in masks]
    sums = np.column_stack([*above, *below]).astype(np.float64)
    shape, half = (len(rates), len(masks)), len(above)

    def ratio(weights: np.ndarray) -> np.ndarray:
        total = weights @ sums
        with np.errstate(divide="ignore", invalid="ignore"):
            return (total[:, :half] / total[:, half:]).reshape(-1, *shape)

    chunks = [
        ratio(weights)
        for weights in draws(unit, weight, resamples_for(len(unit), most=RESAMPLES), seed)
    ]
    return ratio(weight[None, :])[0], np.concatenate(chunks)


def _bounds(
    value: float, drawn: np.ndarray, among: np.ndarray, weight: np.ndarray
) -> dict[str, float | None]:
    """The rate of one level; a share without spread (none of 20) has Wilson's interval."""
    kept = drawn[np.isfinite(drawn)]
    if not np.isfinite(value):
        return {"value": None, "low": None, "high": None}
    if value in (0.0, 1.0):
        mass = weight[among > 0]
        low, high = wilson(value, float(mass.sum() ** 2 / (mass @ mass)))
        return {"value": float(value), "low": low, "high": high}
    if len(kept) < 0.9 * len(drawn):
        return {"value": float(value), "low": None, "high": None}
    low, high = np.percentile(kept, [2.5, 97.5])
    return {"value": float(value), "low": float(low), "high": float(high)}


def _gap(
    rate: str,
    levels: Sequence[str],
    values: np.ndarray,
    drawn: np.ndarray,
    bounds: Sequence[Mapping[str, float | None]],
) -> dict[str, Any] | None:
    """The two levels that are furthest apart, and bounds that hold over all pairs together."""
    from scipy.special import ndtri

    known = np.flatnonzero(np.isfinite(values) & [b["low"] is not None for b in bounds])
    if len(known) < 2:
        return None
    order = known[np.argsort(values[known], kind="stable")]
    least, most = int(order[0]), int(order[-1])
    variance = float(np.nanvar(drawn[:, most] - drawn[:, least], ddof=1))
    for at in (least, most):  # a share without spread is not known for certain
        low, high = bounds[at]["low"], bounds[at]["high"]
        if values[at] in (0.0, 1.0) and low is not None and high is not None:
            variance += ((high - low) / (2 * Z)) ** 2
    pairs = len(known) * (len(known) - 1) // 2
    reach = -float(ndtri(0.025 / pairs)) * variance**0.5
    value = float(values[most] - values[least])
    return {
        "rate": rate,
        "value": value,
        "low": max(value - reach, 0.0),
        "high": value + reach,
        "highest": levels[most],
        "lowest": levels[least],
        "beyond_noise": value - reach > 0,
    }
