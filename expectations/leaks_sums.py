"""Targets that are made of features: sums, differences, means, products and quotients of columns.

- The parts are found by orthogonal matching pursuit (Pati, Rezaiifar, Krishnaprasad 1993) on a
  sample, pruned, and then must hold in every row that was given.
- Parts whose weights are all 1 or -1, or all the same, are how a total is booked: sure. Other
  weights may be a law of the world that is to be learned: a suspicion.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from expectations.failure import shown
from expectations.leaks import Leak

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

MOST_PARTS = 12
SAMPLE = 4_000
EXACT = 1e-6  # of the target's spread
WHOLE = 1e-9  # how near a weight, once it was rounded, is to 1 or -1
NEAR = 5e-3  # how near a fitted weight is to what it was meant to be
ROUNDED = 0.05  # of the spread: what rounding may leave of an exact relation
LEAST_ROWS = 30
POSITIVE = 0.9  # share of rows above 0 where a product is looked for


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Columns that make the target, with their weights (exponents of a product)."""

    names: tuple[str, ...]
    weights: tuple[float, ...]
    constant: float
    product: bool
    rows: int


def made_of(
    columns: Mapping[str, np.ndarray], target: np.ndarray, *, name: str, features: int
) -> list[Leak]:
    """Return at most one finding: the target (values, N) is made of `columns` (float64, N).

    `features` is the number of all features: where the parts are all there is, it is what the
    table wants to be learned, and only a suspicion.
    """
    found = parts_of(columns, target)
    if found is None:
        return []
    booked = _booked(found)
    sign = "product" if found.product else "sum"
    formula = _product(found) if found.product else _sum(found)
    said = f"{shown(name)} is an exact {sign} of columns, in {found.rows:,} rows: {formula}"
    numbers = {
        "weights": dict(zip(found.names, found.weights, strict=True)),
        "constant": found.constant,
        "product": found.product,
    }
    return [
        Leak(
            type="illegitimate",
            kind="made_of",
            columns=found.names,
            sure=booked and features > len(found.names),
            sentence=said,
            numbers=numbers,
            advice="a total is known no earlier than its parts",
        )
    ]


def parts_of(columns: Mapping[str, np.ndarray], target: np.ndarray) -> Parts | None:
    """Return the columns that make up the target exactly; None where there are none."""
    names = list(columns)
    if len(names) < 2:
        return None
    found = _searched(names, columns, target, product=False)
    if found is not None:
        return found
    positive = {n: c for n, c in columns.items() if _mostly_positive(c)}
    if len(positive) < 2 or not _mostly_positive(target):
        return None
    return _searched(list(positive), positive, target, product=True)


def _mostly_positive(cells: np.ndarray) -> bool:
    known = cells[np.isfinite(cells)]
    return len(known) >= LEAST_ROWS and float((known > 0).mean()) >= POSITIVE


def _searched(
    names: Sequence[str], columns: Mapping[str, np.ndarray], target: np.ndarray, *, product: bool
) -> Parts | None:
    usable = np.isfinite(target) & ((target > 0) if product else True)
    rows = np.flatnonzero(usable)
    if len(rows) > SAMPLE:
        rows = rows[np.linspace(0, len(rows) - 1, SAMPLE).astype(np.int64)]
    table = np.column_stack([columns[name][rows] for name in names])
    good = np.isfinite(table) & ((table > 0) if product else True)
    keep = good.mean(axis=0) >= POSITIVE if product else good.mean(axis=0) >= 0.5
    names = [name for name, kept in zip(names, keep, strict=True) if kept]
    table, y = table[:, keep], target[rows]
    if product:
        with np.errstate(divide="ignore", invalid="ignore"):
            table, y = np.log(table), np.log(y)
    for support in _pursued(table, y):
        found = _everywhere([names[k] for k in sorted(support)], columns, target, product=product)
        if found is not None:
            return found
    return None


def _pursued(table: np.ndarray, target: np.ndarray) -> Iterator[list[int]]:
    """Yield places of columns that make the target nearly, at last exactly."""
    known = np.isfinite(table)
    filled = np.where(known, table, 0.0)
    spread = filled.std(axis=0)
    scaled = np.divide(
        filled - filled.mean(axis=0), spread, out=np.zeros_like(filled), where=spread > 0
    )
    scale = float(target.std())
    if scale == 0 or len(target) < LEAST_ROWS:
        return
    y = (target - target.mean()) / scale
    support: list[int] = []
    residual = y
    for _ in range(min(MOST_PARTS, scaled.shape[1])):
        gain = np.abs(scaled.T @ residual)
        gain[support] = -1.0
        support.append(int(gain.argmax()))
        whole = np.asarray(known[:, support].all(axis=1))
        if whole.sum() < max(LEAST_ROWS, 3 * len(support)):
            return
        residual = _residual(filled, y, support, whole)
        off = float(np.abs(residual).max())
        if off < ROUNDED and len(support) > 1:
            pruned = _pruned(filled, y, support, whole, max(EXACT, 1.5 * off))
            if len(pruned) > 1:
                yield pruned
        if off < EXACT:
            return


def _residual(table: np.ndarray, y: np.ndarray, support: list[int], rows: np.ndarray) -> np.ndarray:
    """What is left of y after the best weights; 0 on other rows."""
    design = np.column_stack([table[:, support], np.ones(len(y))])
    size = np.abs(design[rows]).max(axis=0)
    design = design / np.where(size > 0, size, 1.0)
    weights, *_ = np.linalg.lstsq(design[rows], y[rows], rcond=1e-12)
    return np.where(rows, y - design @ weights, 0.0)


def _pruned(
    table: np.ndarray, y: np.ndarray, support: list[int], rows: np.ndarray, most: float
) -> list[int]:
    for place in support:
        rest = [k for k in support if k != place]
        if rest and np.abs(_residual(table, y, rest, rows)).max() < most:
            support = rest
    return support


def _everywhere(
    names: list[str], columns: Mapping[str, np.ndarray], target: np.ndarray, *, product: bool
) -> Parts | None:
    """Refit on every row that has all parts; the relation must hold in each of them."""
    table = np.column_stack([columns[name] for name in names])
    rows = np.isfinite(table).all(axis=1) & np.isfinite(target)
    rows &= ((table > 0).all(axis=1) & (target > 0)) if product else True
    if rows.sum() < LEAST_ROWS or float(rows.mean()) < 0.5:
        return None
    table, y = table[rows], target[rows].astype(np.float64)
    whole = np.column_stack([np.log(table) if product else table, np.ones(len(y))])
    found, *_ = np.linalg.lstsq(whole, np.log(y) if product else y, rcond=1e-12)
    meant = np.array([_plain(float(w)) for w in found])
    plain = np.append(meant[:-1], 0.0)
    for weights in (plain, meant, found):
        said = np.exp(whole @ weights) if product else whole @ weights
        if (np.abs(y - said) <= max(EXACT * float(y.std()), 0.501 * _unit(y))).all():
            each = tuple(float(w) for w in weights)
            return Parts(
                names=tuple(names),
                weights=each[:-1],
                constant=each[-1],
                product=product,
                rows=len(y),
            )
    return None


def _plain(weight: float) -> float:
    """A weight as it was meant: whole, or one over a small whole number."""
    part = round(1 / weight) if abs(weight) > NEAR else 0
    for meant in (round(weight), 1 / part if part else 0.0):
        if abs(weight - meant) < NEAR * max(abs(meant), 0.5):
            return float(meant)
    return weight


def _unit(values: np.ndarray) -> float:
    """What the last written digit is worth where values were rounded; 0 where they were not."""
    for digits in range(5):
        if np.abs(values - np.round(values, digits)).max() < 1e-9:
            return 10.0**-digits
    return 0.0


def _booked(found: Parts) -> bool:
    """Whether the weights are those of a total, a difference, a mean, a product or a quotient."""
    plain = all(abs(abs(w) - 1) < WHOLE for w in found.weights)
    first = found.weights[0]
    mean = not found.product and all(abs(w - first) < WHOLE * abs(first) for w in found.weights)
    return (plain or mean) and abs(found.constant) < WHOLE


def _sum(found: Parts) -> str:
    terms = [_term(w, n) for w, n in zip(found.weights, found.names, strict=True)]
    tail = f" + {found.constant:g}" if found.constant else ""
    return f"{' + '.join(terms)}{tail}".replace("+ -", "- ")


def _term(weight: float, name: str) -> str:
    known = {1.0: "", -1.0: "-"}
    return f"{known.get(weight, f'{weight:g} * ')}{shown(name, 40)}"


def _product(found: Parts) -> str:
    above = [n for n, w in zip(found.names, found.weights, strict=True) if w == 1]
    below = [n for n, w in zip(found.names, found.weights, strict=True) if w == -1]
    if len(above) + len(below) < len(found.names):
        pairs = zip(found.names, found.weights, strict=True)
        return " * ".join(f"{shown(n, 40)}^{w:g}" for n, w in pairs)
    text = " * ".join(shown(n, 40) for n in above) or "1"
    return text + "".join(f" / {shown(n, 40)}" for n in below)
