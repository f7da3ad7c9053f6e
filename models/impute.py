"""Imputers by name, behind one protocol: `fit` on train rows, `transform` any rows.

| name | what fills a missing number | in the graph |
|---|---|---|
| `median` | the train rows' median | yes |
| `mice` | chained linear regressions that share one Gram matrix | yes |
| `masked` | a network that learned to guess hidden cells | yes |
| `gain` | a generator trained against a discriminator | yes |
| `forest` | boosted trees, a set for every column | no |

Whatever fills, an indicator beside it says that a cell was missing (`models/encode.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from models.impute_forest import Forest
from models.impute_gain import Gain
from models.impute_linear import Mice
from models.impute_masked import Masked
from models.impute_space import Arrays, finite

if TYPE_CHECKING:
    from collections.abc import Callable

    from models.impute_space import Imputer


class Median:
    """`median`: the middle of what train rows have; 0 where they have nothing."""

    def __init__(self, *, seed: int = 0) -> None:
        """`seed` is taken for the sake of the others: nothing is random here."""
        del seed
        self.facts: dict[str, Any] = {}

    def fit(self, numbers: np.ndarray, hints: np.ndarray | None = None) -> Self:
        """Learn the medians (n,) of finite train cells."""
        del hints
        columns = (column[np.isfinite(column)] for column in numbers.T)
        self.median_ = np.array([np.median(c) if len(c) else 0.0 for c in columns])
        return self

    def transform(self, numbers: np.ndarray, hints: np.ndarray | None = None) -> np.ndarray:
        """Fill rows (M, n)."""
        del hints
        return np.where(np.isnan(numbers), self.median_, numbers)


IMPUTERS: dict[str, Callable[..., Imputer]] = {
    "median": Median,
    "mice": Mice,
    "masked": Masked,
    "gain": Gain,
    "forest": Forest,
}
"""Every imputer; each takes `seed` and has defaults for the rest."""

SERVED = ("median", "mice", "masked", "gain")
"""Those that a graph can hold, the cheapest first."""

__all__ = ["IMPUTERS", "SERVED", "Arrays", "Median", "finite"]
