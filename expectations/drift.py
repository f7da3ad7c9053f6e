"""How two sets of rows differ, column by column: sizes first, alarms second.

- One side may be a profile: counts in bins or levels, taken once and kept, so that old rows are not
  needed. Numbers are binned by the profile's own quantiles.
- Sizes: population stability index, largest distance of the distribution functions, area under the
  ROC curve of the column alone, shares of missing, of cells outside the range, of new levels.
- Tests: Kolmogorov-Smirnov for numbers, chi-square for levels, with Benjamini and Hochberg's (1995)
  correction over all columns. A column has drifted when its size is more than chance makes and the
  corrected test agrees.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import chi2, kstwobign

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BINS = 20
LEVELS = 100
SAMPLE = 100_000  # cells that quantiles are taken from
NOTABLE, LARGE = 0.1, 0.25
"""Usual bounds of the stability index: look at it, and another population."""
DISCOVERY = 0.01
FLOOR = 1e-4  # least share of a bin, so that an empty one does not cost infinity


def profile_of(cells: np.ndarray, names: Sequence[str] | None = None) -> dict[str, Any]:
    """Return a column's profile as plain JSON: float64 with NaN, or codes into `names`, -1 missing."""
    if names is None:
        return _numbers(cells)
    counts = np.bincount(cells[cells >= 0], minlength=len(names))
    order = [k for k in np.argsort(-counts, kind="stable") if counts[k]]
    return {
        "kind": "levels",
        "rows": len(cells),
        "missing": int((cells < 0).sum()),
        "levels": [[str(names[k]), int(counts[k])] for k in order[:LEVELS]],
        "other": int(counts[order[LEVELS:]].sum()),
        "distinct": len(order),
    }


def _numbers(cells: np.ndarray) -> dict[str, Any]:
    known = cells[np.isfinite(cells)]
    edges = _edges(known[:: max(1, len(known) // SAMPLE)])
    counts = np.bincount(_bins(known, edges), minlength=len(edges) + 1)
    facts = {"min": known.min, "max": known.max, "mean": known.mean, "std": known.std}
    return {
        "kind": "numbers",
        "rows": len(cells),
        "missing": len(cells) - len(known),
        "edges": edges.tolist(),
        "counts": counts.tolist(),
        **{name: float(fact()) if len(known) else None for name, fact in facts.items()},
    }


def _edges(known: np.ndarray) -> np.ndarray:
    """Return where bins end: at each value where there are few, else at quantiles."""
    distinct = np.unique(known)
    if len(distinct) > BINS:
        places = np.linspace(0, 1, BINS + 1)[1:-1]
        distinct = np.unique(np.quantile(known, places, method="lower"))
    return distinct[: BINS - 1]


def _bins(known: np.ndarray, edges: np.ndarray) -> np.ndarray:
    return np.searchsorted(edges, known, side="left")


def counted(
    profile: Mapping[str, Any], cells: np.ndarray, names: Sequence[str] | None = None
) -> dict[str, Any]:
    """Return what other rows of the column come to in the same bins or levels.

    Cells of the other kind count as missing.
    """
    if (profile["kind"] == "numbers") != (names is None):
        cells = np.full(len(cells), np.nan) if names is not None else np.full(len(cells), -1)
        names = () if names is None else None
    if names is not None:
        return _levels_now(profile, cells, names)
    known = cells[np.isfinite(cells)]
    edges, outside = np.asarray(profile["edges"], np.float64), 0
    if profile["min"] is not None:
        outside = int(((known < profile["min"]) | (known > profile["max"])).sum())
    return {
        "rows": len(cells),
        "missing": len(cells) - len(known),
        "counts": np.bincount(_bins(known, edges), minlength=len(edges) + 1).tolist(),
        "outside": outside,
        "mean": float(known.mean()) if len(known) else None,
    }


def _levels_now(
    profile: Mapping[str, Any], cells: np.ndarray, names: Sequence[str]
) -> dict[str, Any]:
    counts = np.bincount(cells[cells >= 0], minlength=len(names))
    found = {str(name): int(n) for name, n in zip(names, counts, strict=True) if n}
    levels = [found.pop(name, 0) for name, _ in profile["levels"]]
    other = sum(found.values())
    return {
        "rows": len(cells),
        "missing": int((cells < 0).sum()),
        "counts": levels,
        "other": other,
        "outside": 0 if profile["other"] else other,
    }


def compared(profile: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Return how a column differs from its profile; `now` is what `counted` gave."""
    numbers = profile["kind"] == "numbers"
    before = np.array(
        profile["counts"] if numbers else [n for _, n in profile["levels"]] + [profile["other"]]
    )
    after = np.array(now["counts"] if numbers else [*now["counts"], now["other"]])
    old, new = (np.append(b, m) for b, m in ((before, profile["missing"]), (after, now["missing"])))
    psi, chance = stability(old, new)
    distance, p = _distance(before, after) if numbers else _independence(old, new)
    rows = (max(profile["rows"], 1), max(now["rows"], 1))
    found = {
        "kind": profile["kind"],
        "psi": round(psi, 6),
        "chance": round(chance, 6),
        "distance": round(distance, 6),
        "p": p,
        "auc": round(_area(old, new, ordered=numbers), 6),
        "missing": [round(profile["missing"] / rows[0], 6), round(now["missing"] / rows[1], 6)],
        "outside": round(now["outside"] / rows[1], 6),
    }
    if numbers:
        found["mean"] = [profile["mean"], now["mean"]]
    return found


def stability(old: np.ndarray, new: np.ndarray) -> tuple[float, float]:
    """Return the stability index of two counts (B,), and what chance makes of equal populations."""
    used = (old + new) > 0
    if not old.sum() or not new.sum():
        return 0.0, 0.0
    p, q = (np.maximum(c[used] / c.sum(), FLOOR) for c in (old, new))
    value = float(np.sum((q - p) * np.log(q / p)))
    return value, float((used.sum() - 1) * (1 / old.sum() + 1 / new.sum()))


def _distance(old: np.ndarray, new: np.ndarray) -> tuple[float, float]:
    """Largest distance of the distribution functions, and its p-value (too large for few bins)."""
    if not old.sum() or not new.sum():
        return 0.0, 1.0
    far = float(np.abs(np.cumsum(old) / old.sum() - np.cumsum(new) / new.sum()).max())
    size = old.sum() * new.sum() / (old.sum() + new.sum())
    return far, float(kstwobign.sf(np.sqrt(size) * far))


def _independence(old: np.ndarray, new: np.ndarray) -> tuple[float, float]:
    """Cramer's V of levels and sides, and the p-value of chi-square; rare levels count as one."""
    table = np.vstack([old, new]).astype(np.float64)
    if not (table.sum(axis=1) > 0).all():
        return 0.0, 1.0
    least = table.sum(axis=0) * table.sum(axis=1).min() / table.sum()
    rare = least < 5
    table = np.column_stack([table[:, ~rare], table[:, rare].sum(axis=1)])
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2:
        return 0.0, 1.0
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    found = float(np.sum((table - expected) ** 2 / expected))
    return float(np.sqrt(found / table.sum())), float(chi2.sf(found, table.shape[1] - 1))


def _area(old: np.ndarray, new: np.ndarray, *, ordered: bool) -> float:
    """How well the column alone tells new rows from old ones, by its bins."""
    if not old.sum() or not new.sum():
        return 0.5
    p, q = old / old.sum(), new / new.sum()
    if not ordered:
        order = np.argsort(q / np.maximum(p, FLOOR), kind="stable")
        p, q = p[order], q[order]
    area = float(np.sum(q * (np.cumsum(p) - p / 2)))
    return max(area, 1 - area)


def adjusted(p: Sequence[float]) -> np.ndarray:
    """Return Benjamini and Hochberg's corrected p-values, in the given order."""
    given = np.asarray(p, np.float64)
    order = np.argsort(-given, kind="stable")
    steps = given[order] * len(given) / np.arange(len(given), 0, -1)
    found = np.empty_like(given)
    found[order] = np.minimum(np.minimum.accumulate(steps), 1.0)
    return found


def settled(columns: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Return all columns with corrected p-values, the largest difference first."""
    corrected = adjusted([found["p"] for found in columns.values()])
    result = []
    for (name, found), q in zip(columns.items(), corrected, strict=True):
        size = found["psi"] - found["chance"]
        word = "large" if size >= LARGE else "notable" if size >= NOTABLE else "small"
        drifted = word != "small" and bool(q <= DISCOVERY)
        result.append({"column": name, **found, "q": float(q), "size": word, "drifted": drifted})
    return sorted(result, key=lambda each: (not each["drifted"], -each["psi"]))
