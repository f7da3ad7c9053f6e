"""Split-conformal intervals and prediction sets, and whether they cover what they promise.

- The width is learned on validation rows, from predictions of members that did not see them, and
  held against the test rows (Vovk et al. 2005; Lei et al. 2018): value plus or minus a quantile of
  the absolute residual; or every class whose probability is at least one minus a quantile of
  1 - p(true) (Sadinle et al. 2019).
- The promise is over all rows, not within each slice: the coverage per slice says where it fails.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from expectations.intervals import mean
from expectations.shares import share

if TYPE_CHECKING:
    from collections.abc import Mapping

    from expectations.predictions import Predictions


def scores(found: Predictions) -> np.ndarray:
    """How unlike its true value each row's answer is (N,): what must lie below the quantile."""
    if found.task == "regression":
        return np.abs(found.residual)
    return 1 - found.p[np.arange(len(found.target)), found.target]


def quantile(values: np.ndarray, weight: np.ndarray, coverage: float) -> float:
    """The score that a new row stays below with probability `coverage`; infinite if too few rows.

    The new row counts as one more, of average weight and the worst score.
    """
    if not len(values):
        return math.inf
    order = np.argsort(values, kind="stable")
    mass = np.cumsum(weight[order])
    wanted = coverage * (mass[-1] + weight.mean())
    at = int(np.searchsorted(mass, wanted * (1 - 1e-12)))
    return float(values[order][at]) if at < len(values) else math.inf


def conformal(
    validation: Predictions,
    validation_weight: np.ndarray,
    test: Predictions,
    *,
    coverage: float,
    weight: np.ndarray,
    unit: np.ndarray,
    slices: Mapping[str, np.ndarray],
) -> dict[str, Any]:
    """The quantile, and what it covers on test rows: over all, and in each slice (name -> mask)."""
    limit = quantile(scores(validation), validation_weight, coverage)
    kind = "interval" if test.task == "regression" else "set"
    result: dict[str, Any] = {"coverage": coverage, "kind": kind, "rows": len(validation.target)}
    if not math.isfinite(limit):
        needed = math.ceil(round(coverage / (1 - coverage), 9))
        note = (
            f"{len(validation.target):,} validation rows are too few for a coverage of "
            f"{coverage:g}, which takes at least {needed:,}"
        )
        return result | {"quantile": None, "note": note, "test": None, "slices": []}
    covered = (scores(test) <= limit) * 1.0
    if kind == "interval":
        size = np.full(len(covered), 2 * limit)
    else:
        size = (1 - test.p <= limit).sum(axis=1).astype(np.float64)
    parts = {"covered": covered, "size": size, "weight": weight, "unit": unit}
    everyone = np.ones(len(covered), dtype=bool)
    found = [{"name": name, **_covers(mask, **parts)} for name, mask in slices.items()]
    found = [entry for entry in found if entry["rows"]]
    found.sort(key=lambda entry: entry["coverage"]["value"])
    return result | {"quantile": limit, "test": _covers(everyone, **parts), "slices": found}


def _covers(
    mask: np.ndarray, *, covered: np.ndarray, size: np.ndarray, weight: np.ndarray, unit: np.ndarray
) -> dict[str, Any]:
    """Coverage and mean size of the rows, with intervals."""
    mass, units = weight[mask], unit[mask]
    figure = share(covered[mask], weight=mass, unit=units).to_json()
    rows = figure.pop("rows")
    wide = mean(size[mask], weight=mass, identity=units) if rows else None
    return {
        "rows": rows,
        "coverage": figure,
        "size": None if wide is None else {k: getattr(wide, k) for k in ("value", "low", "high")},
        "empty": int((size[mask] == 0).sum()),
    }
