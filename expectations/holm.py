"""Holm's step-down correction: many questions asked at once, one error rate for all of them.

- Valid under any dependence between the questions (Holm 1979), which overlapping slices have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence


def holm(p: Sequence[float] | np.ndarray) -> np.ndarray:
    """Adjusted p-values (m,) in the given order: reject those that are at most alpha."""
    given = np.asarray(p, dtype=np.float64)
    order = np.argsort(given, kind="stable")
    steps = given[order] * np.arange(len(given), 0, -1)
    adjusted = np.empty_like(given)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted
