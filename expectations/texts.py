"""Whether texts match a pattern: each distinct text once, by Python's own regular expressions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Iterable


def fitting(cells: pd.Series, pattern: str) -> np.ndarray:
    """Return 1.0 where the whole text matches, 0.0 where not, NaN where there is none."""
    codes, distinct = pd.factorize(cells)
    return np.array([*_matches(distinct, pattern), np.nan])[codes]


def _matches(texts: Iterable[object], pattern: str) -> list[float]:
    whole = re.compile(pattern).fullmatch
    return [float(whole(str(text)) is not None) for text in texts]
