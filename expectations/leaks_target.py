"""Features that cannot be known: copies of the target, gaps that tell it, and single columns too good.

- A column is float64 with NaN (numbers; dates as days), or int64 level codes with -1 for missing.
- A copy is sure where it is exact and chance cannot make it: one value for each class and back, or
  a monotone curve without a single exception. A strong column alone is a suspicion, never more: an
  honest marker may be as good.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import gammaln

from expectations.failure import shown
from expectations.leaks import Leak

if TYPE_CHECKING:
    from collections.abc import Mapping

CHANCE = -9.0  # log10 of the chance that is too small for a coincidence
LEAST_ROWS = 20
VALUES = 20  # distinct values from which a monotone curve says something
TINY_NOISE = 0.9999  # R2 of a copy with noise below one hundredth of the target's spread
STRONG = 0.99
LONELY, OTHERS = 0.95, 0.75  # far above all other columns
NEAR_COPY = 0.97  # agreement of a column with as many levels as classes
GAPS = 10  # missing cells from which their pattern says something
GAP_AREA = 0.95
MOSTLY, TIMES, FEWEST = 0.5, 30, 20  # share of a class, against its share elsewhere, in rows
ORDER = 0.9


@dataclass(frozen=True, kw_only=True)
class Target:
    """The target of N rows: class codes from 0 (int64), or values; `classes` is 0 for values."""

    name: str
    cells: np.ndarray
    classes: int


@dataclass(frozen=True, kw_only=True)
class Alone:
    """How well one column predicts the target by itself, as the profile measures it."""

    measure: str
    """roc_auc, accuracy_gain or r2."""
    value: float

    @property
    def words(self) -> str:
        """The measure and its value."""
        return f"{self.measure} {self.value:.4g}"


def of_column(
    name: str, cells: np.ndarray, target: Target, alone: Alone | None, *, lonely: bool
) -> Leak | None:
    """Return the gravest that one column shows beside the target.

    `lonely` says that no other column comes near what this one can do.
    """
    if len(cells) < LEAST_ROWS:
        return None
    copy = _class_copy(name, cells, target) if target.classes else _value_copy(name, cells, target)
    if copy is not None:
        return copy
    if (gaps := _gaps(name, cells, target)) is not None:
        return gaps
    return _strong(name, alone, lonely=lonely) if alone is not None else None


def lonely(name: str, alone: Mapping[str, Alone]) -> bool:
    """Whether a column predicts well and all others do not."""
    rest = [found.value for other, found in alone.items() if other != name]
    own = alone.get(name)
    return own is not None and len(rest) > 1 and own.value >= LONELY and max(rest) <= OTHERS


def row_number(name: str, cells: np.ndarray, alone: Alone | None) -> Leak | None:
    """Return a finding where a column of N rows, in the order of the file, counts them."""
    whole = cells.dtype.kind == "f" and len(cells) >= LEAST_ROWS and np.isfinite(cells).all()
    if not whole or (cells % 1).any() or not (np.diff(cells) > 0).all():
        return None
    span = float(cells[-1] - cells[0] + 1)
    if span > 1.25 * len(cells) + 5:  # rows may have been set aside
        return None
    strong = alone is not None and alone.value >= ORDER
    said = (
        f"{shown(name)} numbers the rows of the table: {cells[0]:.0f} to {cells[-1]:.0f} in order"
    )
    if strong and alone is not None:
        said += f", and predicts the target with {alone.words}: the file is sorted by what is asked"
    numbers = {"first": float(cells[0]), "last": float(cells[-1]), **_measured(alone)}
    return Leak(
        type="illegitimate",
        kind="row_number",
        columns=(name,),
        sure=strong,
        sentence=said,
        numbers=numbers,
        advice="a new row has no place in this file",
    )


# ------------------------------------------------------------------ copies


def _class_copy(name: str, cells: np.ndarray, target: Target) -> Leak | None:
    """A column that names the classes by other names, wholly or nearly."""
    known = ~_missing(cells)
    if known.sum() < max(LEAST_ROWS, 0.5 * len(cells)):
        return None
    values, codes = np.unique(cells[known], return_inverse=True)
    classes, labels = np.unique(target.cells[known], return_inverse=True)
    if not 2 <= len(classes) <= len(values) <= max(2 * len(classes), 3):
        return None
    table = np.zeros((len(values), len(classes)), np.int64)
    np.add.at(table, (codes, labels), 1)
    best = table.max(axis=1)
    agree = float(best.sum()) / float(table.sum())
    each = len(set(table.argmax(axis=1).tolist())) == len(classes)
    if agree == 1.0 and each and len(values) == len(classes) and _improbable(table.sum(axis=0)):
        said = (
            f"{shown(name)} is {shown(target.name)} under another name: one value for each class, "
        )
        said += f"in all {int(known.sum()):,} rows that have one"
        return _copy(name, said, {"agreement": 1.0, "classes": len(classes)}, sure=True)
    top = float(table.sum(axis=0).max()) / float(table.sum())
    if agree >= NEAR_COPY and each and (agree - top) / max(1 - top, 1e-12) >= 0.9:
        said = f"{shown(name)} has the class of {shown(target.name)} in {agree:.2%} of the rows"
        return _copy(name, said, {"agreement": round(agree, 6)}, sure=False, kind="near_copy")
    return None


def _value_copy(name: str, cells: np.ndarray, target: Target) -> Leak | None:
    """A column that is a curve through the target without exception, or nearly without noise."""
    known = ~_missing(cells) & np.isfinite(target.cells)
    if known.sum() < max(LEAST_ROWS, 0.5 * len(cells)):
        return None
    own, other = cells[known].astype(np.float64), target.cells[known]
    x, y = (np.unique(each, return_inverse=True)[1] for each in (own, other))
    if min(x.max(), y.max()) < 1:
        return None
    pairs = len(np.unique(x * (int(y.max()) + 1) + y))
    exact = int(x.max()) == int(y.max()) == pairs - 1
    curve = exact and cells.dtype.kind == "f" and pairs >= VALUES
    if curve and ((x == y).all() or (x == y.max() - y).all()):
        line = _squared(own, other)
        shape = "a rescaled copy" if line > 1 - 1e-9 else "a monotone copy"
        shape = "a copy" if np.array_equal(own, other) else shape
        said = f"{shown(name)} is {shape} of {shown(target.name)}: no row of {len(x):,} departs"
        return _copy(name, f"{said} from the curve", {"r2": round(line, 9)}, sure=True)
    if exact and pairs <= len(x) / 2 and _improbable(np.bincount(y)):
        said = f"{shown(name)} has one value for each value of {shown(target.name)}, and back"
        return _copy(name, f"{said}, in {len(x):,} rows", {"values": pairs}, sure=True)
    if cells.dtype.kind == "f" and min(x.max(), y.max()) + 1 >= VALUES:
        return _nearly(name, own, other, target)
    return None


def _nearly(name: str, own: np.ndarray, other: np.ndarray, target: Target) -> Leak | None:
    """A copy with noise that is too small for any measurement of another thing."""
    best = max(_squared(own, other), _squared(_ranks(own), _ranks(other)))
    if best >= TINY_NOISE:
        said = f"{shown(name)} is {shown(target.name)} but for tiny noise (R2 {best:.6f})"
        return _copy(name, said, {"r2": round(best, 9)}, sure=True, kind="near_copy")
    return None


def _copy(name: str, said: str, numbers: dict[str, Any], *, sure: bool, kind: str = "copy") -> Leak:
    return Leak(
        type="illegitimate",
        kind=kind,
        columns=(name,),
        sure=sure,
        sentence=said,
        numbers=numbers,
        advice="it is known only when the target is",
    )


def _improbable(counts: np.ndarray) -> bool:
    """Whether labels with these counts cannot have fallen into one pattern by chance."""
    counts = counts[counts > 0]
    ways = gammaln(counts.sum() + 1) - gammaln(counts + 1).sum()
    return float(ways) / np.log(10) > -CHANCE


# -------------------------------------------------------------- gaps, strength


def _gaps(name: str, cells: np.ndarray, target: Target) -> Leak | None:
    """A column whose missing cells tell the target."""
    missing = _missing(cells)
    count = int(missing.sum())
    if not GAPS <= count <= len(cells) - GAPS:
        return None
    if not target.classes:
        return _value_gaps(name, missing, target)
    table = np.zeros((2, target.classes), np.int64)
    np.add.at(table, (missing.astype(np.int64), target.cells), 1)
    seen = table.sum(axis=0) > 0
    pure = ((table[0] == 0) | (table[1] == 0))[seen].all()
    area = _best_area(table)
    if pure and seen.sum() > 1 and _improbable(table.sum(axis=1)):
        said = f"{shown(name)} is missing in all rows of some classes and in none of the others"
        said += f" ({count:,} of {len(cells):,}): whether it has a cell tells the target"
        return _gap(name, said, {"rows": count, "roc_auc": 1.0}, sure=True)
    if area >= GAP_AREA:
        said = f"whether {shown(name)} has a cell tells the target with roc_auc {area:.4f}"
        return _gap(name, said, {"rows": count, "roc_auc": round(area, 6)}, sure=False)
    return _rare_gaps(name, table)


def _rare_gaps(name: str, table: np.ndarray) -> Leak | None:
    """A cell, or its gap, of which most rows are of a class that hardly occurs elsewhere; (2, K)."""
    shares = table / table.sum(axis=1, keepdims=True)
    side, one = np.unravel_index(np.argmax(shares - TIMES * shares[::-1]), table.shape)
    hits, share, other = int(table[side, one]), shares[side, one], shares[1 - side, one]
    if hits < FEWEST or share < MOSTLY or share < TIMES * other:
        return None
    rows = f"{table[side].sum():,} rows {'without' if side else 'with'} a cell in {shown(name)}"
    said = f"{share:.0%} of the {rows} are of one class, {other:.2%} of the others"
    return _gap(name, said, {"rows": hits, "share": round(float(share), 6)}, sure=False)


def _best_area(table: np.ndarray) -> float:
    """The best area under the ROC curve of a flag for one class against the rest; (2, K) counts."""
    total = table.sum(axis=1, keepdims=True)
    positive = np.maximum(table.sum(axis=0), 1)
    negative = np.maximum(table.sum() - table.sum(axis=0), 1)
    rate = table[1] / positive - (total[1] - table[1]) / negative
    return float(0.5 + np.abs(rate).max() / 2)


def _value_gaps(name: str, missing: np.ndarray, target: Target) -> Leak | None:
    """The same for values: both groups of rows must not overlap."""
    with_cell, without = target.cells[~missing], target.cells[missing]
    apart = with_cell.min() > without.max() or with_cell.max() < without.min()
    if not apart:
        return None
    said = (
        f"{shown(name)} is missing exactly where {shown(target.name)} lies on one side of a value"
    )
    counts = np.array([len(without), len(with_cell)])
    numbers = {"rows": len(without)}
    return _gap(name, said, numbers, sure=_improbable(counts) and len(np.unique(without)) > 1)


def _gap(name: str, said: str, numbers: dict[str, Any], *, sure: bool) -> Leak:
    return Leak(
        type="illegitimate",
        kind="missingness",
        columns=(name,),
        sure=sure,
        sentence=said,
        numbers=numbers,
        advice="the column is filled in once the outcome is known",
    )


def _strong(name: str, alone: Alone, *, lonely: bool) -> Leak | None:
    if alone.value <= STRONG and not lonely:
        return None
    said = f"{shown(name)} alone predicts the target with {alone.words}"
    said += "" if alone.value > STRONG else ", far above every other column"
    return Leak(
        type="illegitimate",
        kind="strong",
        columns=(name,),
        sentence=f"{said}: is it known in time?",
        numbers=_measured(alone),
        advice="find out when the column is written",
    )


def _measured(alone: Alone | None) -> dict[str, Any]:
    return {alone.measure: round(alone.value, 6)} if alone else {}


def _missing(cells: np.ndarray) -> np.ndarray:
    return np.isnan(cells) if cells.dtype.kind == "f" else cells < 0


def _ranks(values: np.ndarray) -> np.ndarray:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]


def _squared(one: np.ndarray, other: np.ndarray) -> float:
    """The squared correlation."""
    one, other = one - one.mean(), other - other.mean()
    scale = float(np.sum(one**2) * np.sum(other**2))
    return float(np.sum(one * other)) ** 2 / scale if scale > 0 else 0.0
