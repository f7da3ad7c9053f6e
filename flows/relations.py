"""How columns relate: to the target, to each other, and rows that occur twice.

- One number between 0 and 1 for every kind of column: the share of the target that the column's
  bins explain (Cramér's V for classes, the correlation ratio for values), corrected for chance.
- `alone` says how well the column alone predicts the target, cross-fitted over two halves; above
  .99 it is a leak until shown otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

BY_VALUE = 64  # a number with at most so many values is binned by value
QUANTILES = 40
LEVELS = 256
PAIR_FLOOR = 0.8
PAIRS = 20
PAIR_LEVELS = 50
PAIR_CATEGORIES = 40


def binned(cells: np.ndarray) -> np.ndarray:
    """Return bin codes from 0 (int64): by value or quantile, missing cells in a bin of their own.

    `cells` is float64 with NaN, or integer codes of levels with -1 for missing.
    """
    if cells.dtype.kind != "f":
        common = np.argsort(np.bincount(cells + 1, minlength=1)[1:], kind="stable")[::-1][:LEVELS]
        rank = np.full(max(int(cells.max(initial=0)) + 2, 2), len(common) + 1)
        rank[common] = np.arange(1, len(common) + 1)
        rank[-1] = 0  # code -1, missing, finds the last place
        return rank[cells]
    missing = np.isnan(cells)
    present = np.sort(cells[~missing])
    distinct = present[np.diff(present, prepend=np.nan) != 0]
    if len(distinct) > BY_VALUE:
        places = np.linspace(0, len(present) - 1, QUANTILES + 1).astype(np.int64)
        distinct = np.unique(present[places])
    return np.where(missing, 0, np.searchsorted(distinct, cells) + 1)


def association(bins: np.ndarray, target: np.ndarray, classes: int) -> float:
    """Return how strongly bins and target go together, 0 to 1, corrected for chance.

    `target` holds class codes (`classes` > 0) or values; rows are those with a target.
    """
    counts = np.bincount(bins)
    used = counts > 0
    rows, width = len(bins), int(np.count_nonzero(used))
    if rows < 2 or width < 2:
        return 0.0
    if not classes:
        means = np.bincount(bins, target - target.mean())[used] / counts[used]
        total = float(np.sum((target - target.mean()) ** 2))
        if total == 0:
            return 0.0
        share = float(np.sum(counts[used] * means**2)) / total
        adjusted = 1 - (1 - share) * (rows - 1) / max(rows - width, 1)
        return float(np.sqrt(np.clip(adjusted, 0, 1)))
    size = len(counts) * classes
    return _cramer(np.bincount(bins * classes + target, minlength=size).reshape(-1, classes))


def _cramer(table: np.ndarray) -> float:
    """Return Cramér's V of a contingency table with Bergsma's (2013) correction of bias."""
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0].astype(np.float64)
    rows, (r, k) = table.sum(), table.shape
    if min(r, k) < 2:
        return 0.0
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / rows
    phi = float(np.sum((table - expected) ** 2 / expected)) / rows
    phi = max(0.0, phi - (k - 1) * (r - 1) / (rows - 1))
    smaller = min(k - (k - 1) ** 2 / (rows - 1), r - (r - 1) ** 2 / (rows - 1)) - 1
    return float(np.sqrt(min(1.0, phi / smaller))) if smaller > 0 else 0.0


def alone(
    cells: np.ndarray, bins: np.ndarray, target: np.ndarray, classes: int
) -> tuple[str, float]:
    """Return the measure and how well one column alone predicts the target, cross-fitted.

    Binary: area under the ROC curve. Several classes: share of the errors of the commonest label
    that it removes. Values: R2, or the squared (rank) correlation where that is higher.
    """
    half = np.arange(len(bins)) % 2
    number = cells.dtype.kind == "f" and not np.isnan(cells).any()
    if classes:
        width = int(bins.max(initial=0)) + 1
        places = (half * width + bins) * classes + target
        table = np.bincount(places, minlength=2 * width * classes).reshape(2, width, classes)
        if classes > 2:
            return "accuracy_gain", _gain(table)
        area = abs(auc(cells, target) - 0.5) + 0.5 if number else 0.5
        return "roc_auc", max(_area(table), area)
    values = target.astype(np.float64)
    fitted = _crossed(bins, values, half == 0)
    spread = float(np.var(values))
    r2 = max(0.0, 1 - float(np.mean((values - fitted) ** 2)) / spread) if spread else 0.0
    if not number:
        return "r2", r2
    squares = [_correlation(cells, values) ** 2, _correlation(_ranks(cells), _ranks(values)) ** 2]
    return "r2", max(r2, *squares)


def _shares(table: np.ndarray) -> np.ndarray:
    """Return the share of each class in each bin of the other half, shrunk to the overall shares.

    `table` counts by half, bin and class; the shares of row 0 are those that row 1 gives.
    """
    sizes = table.sum(axis=1, keepdims=True)
    overall = sizes / np.maximum(sizes.sum(axis=2, keepdims=True), 1)
    return ((table + overall) / (table.sum(axis=2, keepdims=True) + 1))[::-1]


def _gain(table: np.ndarray) -> float:
    """Return the share of the commonest class's errors that go where bins decide."""
    rows = int(table.sum())
    chosen = _shares(table).argmax(axis=2)
    right = float(np.take_along_axis(table, chosen[:, :, None], axis=2).sum()) / rows
    base = float(table.sum(axis=(0, 1)).max()) / rows
    return max(0.0, (right - base) / (1 - base)) if base < 1 else 0.0


def _area(table: np.ndarray) -> float:
    """Return the area under the ROC curve where each bin answers with its share of class 1."""
    table = np.concatenate([table, np.zeros_like(table)], axis=2)[:, :, :2]
    scores = _shares(table)[:, :, 1].ravel()
    _, inverse = np.unique(scores, return_inverse=True)
    counts = np.bincount(inverse, table.sum(axis=2).ravel())
    ones = np.bincount(inverse, table[:, :, 1].ravel())
    positive, negative = float(ones.sum()), float(counts.sum() - ones.sum())
    if not positive or not negative:
        return 0.5
    ranks = float(np.sum(ones * (np.cumsum(counts) - (counts - 1) / 2)))
    return (ranks - positive * (positive + 1) / 2) / (positive * negative)


def _crossed(bins: np.ndarray, target: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Return for each row the mean target of its bin in the other half, shrunk to the overall mean."""
    fitted = np.empty_like(target)
    width = int(bins.max(initial=0)) + 1
    for side in (half, ~half):
        overall = target[side].mean() if side.any() else 0.0
        here = bins[side]
        sums, counts = np.bincount(here, target[side], width), np.bincount(here, minlength=width)
        fitted[~side] = ((sums + overall) / (counts + 1))[bins[~side]]
    return fitted


def auc(scores: np.ndarray, target: np.ndarray) -> float:
    """Return the area under the ROC curve of scores for target 1 against 0; ties count half."""
    positive = int(target.sum())
    negative = len(target) - positive
    if not positive or not negative:
        return 0.5
    ranks = float(_ranks(scores)[target == 1].sum())
    return (ranks - positive * (positive + 1) / 2) / (positive * negative)


def _ranks(values: np.ndarray) -> np.ndarray:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return (ends - (counts - 1) / 2)[inverse]


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    one, other = one - one.mean(), other - other.mean()
    scale = float(np.sqrt(np.sum(one**2) * np.sum(other**2)))
    return float(np.sum(one * other)) / scale if scale > 0 else 0.0


def pairs(columns: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """Return the most related pairs: Pearson between numbers, Cramér's V between categories.

    Missing numbers count as the mean, missing categories as a level. At most PAIRS pairs of at
    least PAIR_FLOOR, strongest first.
    """
    numbers = {name: cells for name, cells in columns.items() if cells.dtype.kind == "f"}
    codes = {name: cells for name, cells in columns.items() if cells.dtype.kind != "f"}
    found = [*_number_pairs(numbers), *_category_pairs(codes)]
    found.sort(key=lambda pair: -abs(pair["correlation"]))
    return found[:PAIRS]


def _number_pairs(columns: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    if len(columns) < 2:
        return []
    names = list(columns)
    rows = len(columns[names[0]])
    rows = min(rows, max(1_000, int(1e10 / len(names) ** 2)))  # bounds the matrix product
    table = np.column_stack([columns[name][:rows] for name in names])
    table -= np.nanmean(table, axis=0) if rows else 0.0
    table[np.isnan(table)] = 0.0
    norms = np.sqrt(np.sum(table**2, axis=0))
    table /= np.where(norms > 0, norms, 1.0)
    matrix = np.triu(table.T @ table, 1)
    strongest = np.argsort(-np.abs(matrix), axis=None, kind="stable")[:PAIRS]
    places = zip(*np.unravel_index(strongest, matrix.shape), strict=True)
    return [
        _pair(names[i], names[j], float(matrix[i, j]), "pearson", rows)
        for i, j in places
        if abs(matrix[i, j]) >= PAIR_FLOOR
    ]


def _category_pairs(columns: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    small = {n: c + 1 for n, c in columns.items() if c.max(initial=0) < PAIR_LEVELS}
    names = list(small)[:PAIR_CATEGORIES]
    found = []
    for place, first in enumerate(names):
        for second in names[place + 1 :]:
            one, other = small[first], small[second]
            width = int(other.max(initial=0)) + 1
            counts = np.bincount(
                one * width + other, minlength=(int(one.max(initial=0)) + 1) * width
            )
            value = _cramer(counts.reshape(-1, width))
            if value >= PAIR_FLOOR:
                found.append(_pair(first, second, value, "cramers_v", len(one)))
    return found


def _pair(first: str, second: str, value: float, measure: str, rows: int) -> dict[str, Any]:
    return {
        "a": first,
        "b": second,
        "correlation": round(value, 6),
        "measure": measure,
        "rows": rows,
    }


def cell_hash(column: np.ndarray) -> np.ndarray:
    """Return a hash of each cell, alike on any machine."""
    import pandas as pd

    return pd.util.hash_array(column)  # pyright: ignore[reportAttributeAccessIssue]


def row_hash(hashes: np.ndarray | None, cells: np.ndarray, place: int) -> np.ndarray:
    """Return the rows' running hash with one column's `cell_hash` more; columns in order matter."""
    mixed = cells * np.uint64(2 * place + 0x9E3779B97F4A7C15)
    return mixed if hashes is None else (hashes ^ (hashes >> np.uint64(29))) * np.uint64(31) + mixed


def repeated(hashes: np.ndarray, target: np.ndarray | None) -> tuple[int, int]:
    """Return how many rows equal an earlier one, and how many have twins with another target."""
    distinct, inverse, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    if target is None:
        return len(hashes) - len(distinct), 0
    low = np.full(len(distinct), np.inf)
    high = np.full(len(distinct), -np.inf)
    np.fmin.at(low, inverse, target)  # a missing target (NaN) is no other target
    np.fmax.at(high, inverse, target)
    return len(hashes) - len(distinct), int(counts[low < high].sum())
