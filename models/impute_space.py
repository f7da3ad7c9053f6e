"""What imputers share: the space they work in, and how an imputer that is arrays fills a table.

- Everything here is learned on the rows that `fit` is handed, and on no other.
- A column without a single finite train cell has nothing to say: it is filled with 0.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

import numpy as np
import torch

from models.fill import fill
from models.threads import one_thread

if TYPE_CHECKING:
    from collections.abc import Mapping

ROWS = 8192  # filled at a time


class Imputer(Protocol):
    """Fills missing numbers by what was learned on train rows."""

    facts: dict[str, Any]
    """What the fit came to, as JSON."""

    def fit(self, numbers: np.ndarray, hints: np.ndarray | None = None) -> Self:
        """Learn from train rows: float64 (N, n), NaN where missing; known columns (N, k)."""
        ...

    def transform(self, numbers: np.ndarray, hints: np.ndarray | None = None) -> np.ndarray:
        """Return (M, n) without NaN; observed cells are the very same."""
        ...


class Arrays:
    """Base of imputers whose learned state is arrays that `models/fill.py` understands.

    `arrays` have no fold axis here; `hints` (k, h) among them is what known columns add.
    """

    kind: ClassVar[str]

    def __init__(self) -> None:
        """Start with nothing learned."""
        self.arrays: dict[str, np.ndarray] = {}
        self.facts: dict[str, Any] = {}

    def transform(self, numbers: np.ndarray, hints: np.ndarray | None = None) -> np.ndarray:
        """Fill rows in blocks."""
        arrays = {name: torch.from_numpy(value)[None] for name, value in self.arrays.items()}
        out = np.array(numbers, dtype=np.float64)
        for start in range(0, len(out), ROWS):
            part = slice(start, start + ROWS)
            offset = None
            if hints is not None and hints.shape[1]:
                weights = arrays["hints"][0]
                known = torch.from_numpy(np.ascontiguousarray(hints[part])).to(weights.dtype)
                offset = partial(_offset, known, weights)
            with torch.inference_mode(), one_thread():
                out[part] = fill(self.kind, arrays, torch.from_numpy(out[part]), offset)[0].numpy()
        return out


def _offset(known: torch.Tensor, weights: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Return what rows' known columns add (1, R, h)."""
    return (known[rows] @ weights)[None]


def finite(numbers: np.ndarray) -> np.ndarray:
    """Return numbers with infinities missing: nothing can be learned from them."""
    return np.where(np.isfinite(numbers), numbers, np.nan)


def bounds(numbers: np.ndarray) -> dict[str, np.ndarray]:
    """Return the train rows' smallest and largest finite cell per column (n,), 0 without any."""
    low, high = np.zeros(numbers.shape[1]), np.zeros(numbers.shape[1])
    for j, column in enumerate(numbers.T):  # a large table is not copied
        if len(cells := column[np.isfinite(column)]):
            low[j], high[j] = cells.min(), cells.max()
    return {"low": low, "high": high}


def standard(numbers: np.ndarray) -> dict[str, np.ndarray]:
    """Return the space of standardised numbers: z has mean 0 and deviation 1 over observed cells."""
    found = bounds(numbers)
    n = numbers.shape[1]
    center, factor = np.zeros(n), np.zeros(n)
    for j in range(n):
        cells = numbers[np.isfinite(numbers[:, j]), j]
        if not len(cells):
            continue
        # From the range's middle, so that squares of large numbers lose no digits.
        middle = found["low"][j] / 2 + found["high"][j] / 2
        center[j] = middle + float((cells - middle).mean())
        factor[j] = _inverse(float(cells.std()))
    center = np.clip(center, found["low"], found["high"])
    return {**found, "center": center, "factor": factor}


def unit(numbers: np.ndarray) -> dict[str, np.ndarray]:
    """Return the space in which the train rows' range is 0 to 1."""
    found = bounds(numbers)
    factor = np.array([_inverse(width) for width in (found["high"] - found["low"]).tolist()])
    return {**found, "center": found["low"].copy(), "factor": factor}


def _inverse(width: float) -> float:
    """Return 1 / width; 0 where that says nothing."""
    return 1 / width if width > 0 and np.isfinite(width) and np.isfinite(1 / width) else 0.0


def moved(numbers: np.ndarray, space: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return z (N, n), 0 where a cell is missing or a column is constant."""
    held = np.clip(numbers, space["low"], space["high"])
    z = (held - space["center"]) * space["factor"]
    return np.where(np.isnan(z), 0.0, z)
