"""Which salt: the first of 256 that divides the rows into balanced sides, before anything is fitted.

- A side is an interval of the salted hash in [0, 1), so a row's side depends on its identity alone.
- Balanced means: the rows of every class, and all rows, are on every side about as many as the
  side's share says. The tolerance is the deviation that one salt in ten would meet by chance; it
  follows from the spread of such counts, so it fits ten rows as well as ten million, and units of
  many rows (duplicates, groups) widen it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from flows.identity import salted

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

SALTS = 256
CHANCE = 0.1  # share of salts that the tolerance lets pass


@dataclass(frozen=True, kw_only=True)
class Units:
    """What is divided: rows tied together by identity or group."""

    hashes: NDArray[np.uint64]
    """One per unit, shape (U,)."""
    unit: NDArray[np.int64]
    """The unit of each row, shape (N,)."""
    stratum: NDArray[np.int64]
    """The class of each row, or the bin of its target, shape (N,)."""
    strata: int


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The salt found."""

    salt: str
    tried: int
    balanced: bool
    """Whether it met the tolerance; else it is the best of those that were possible."""
    worst: float
    """Largest deviation from a side's share, in units of its standard deviation."""


def units_of(keys: NDArray[np.uint64], stratum: NDArray[np.int64], strata: int) -> Units:
    """Tie rows of equal keys together."""
    hashes, unit = np.unique(keys, return_inverse=True)
    return Units(hashes=hashes, unit=unit.astype(np.int64), stratum=stratum, strata=strata)


def sides_of(
    hashes: NDArray[np.uint64], salt: str, shares: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Return the number of each hash's side: side i takes `shares[i]` of [0, 1), in order."""
    cuts = np.cumsum(shares)[:-1]
    return np.searchsorted(cuts, salted(hashes, salt), side="right").astype(np.int64)


def count(units: Units, side: NDArray[np.int64], sides: int) -> NDArray[np.int64]:
    """Return the rows per side and stratum, shape (S, K), from the side of each row."""
    cells = np.bincount(side * units.strata + units.stratum, minlength=sides * units.strata)
    return cells.reshape(sides, units.strata)


def search(
    units: Units,
    *,
    name: str,
    shares: NDArray[np.float64],
    possible: Callable[[NDArray[np.int64]], bool],
) -> Choice | None:
    """Return the first balanced salt, else the best possible one, else None.

    `possible` judges the counts per side and stratum, shape (S, K).
    """
    expected, spread = _expected(units, shares)
    tolerance = _tolerance(expected.shape)
    best: Choice | None = None
    for number in range(SALTS):
        salt = f"{name}:{number}"
        side = sides_of(units.hashes, salt, shares)[units.unit]
        counts = count(units, side, len(shares))
        if not possible(counts):
            continue
        found = np.column_stack([counts, counts.sum(axis=1)])
        away = np.maximum(np.abs(found - expected) - 1.0, 0.0)  # one row is never too many
        worst = float((away / spread).max())
        choice = Choice(salt=salt, tried=number + 1, balanced=worst <= tolerance, worst=worst)
        if choice.balanced:
            return choice
        if best is None or worst < best.worst:
            best = choice
    return best


def _expected(
    units: Units, shares: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and standard deviation of the counts, shape (S, K + 1), the last for all rows."""
    cells, sizes = np.unique(units.unit * units.strata + units.stratum, return_counts=True)
    of = cells % units.strata
    totals = np.bincount(of, weights=sizes, minlength=units.strata)
    squares = np.bincount(of, weights=sizes.astype(float) ** 2, minlength=units.strata)
    rows = np.bincount(units.unit)
    totals = np.append(totals, rows.sum())
    squares = np.append(squares, (rows.astype(float) ** 2).sum())
    spread = np.sqrt(np.outer(shares * (1 - shares), squares))
    return np.outer(shares, totals), np.maximum(spread, 1e-9)


def _tolerance(shape: tuple[int, ...]) -> float:
    """Deviation within which all counts lie for one salt in ten, were they independent."""
    from statistics import NormalDist

    cells = max((shape[0] - 1) * (shape[1] - 1), 1)
    return NormalDist().inv_cdf((1 + CHANCE ** (1 / cells)) / 2)
