"""The table that training reads: typed blocks, target, weights and who judges which row.

- A fold number says in which fold a row is *validation*; every other fold trains on it, unless it
  is an outlier there.
- Contradicting shapes and one-sided folds are refused when the table is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from models.outliers import Outliers
    from models.texts import Texts


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Feature names in graph order."""

    numbers: tuple[str, ...]
    categories: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class TrainingTable:
    """Every row that may be trained or judged on; test rows are never in it.

    Attributes:
        numbers: float64 (N, n), NaN where missing; of a large table column by column, and
            perhaps mapped from a file (`models/room.py`).
        categories: texts (N, c), "" where missing: as codes, or an array of objects.
        target: int64 class codes (N,) or float64 values (N,).
        weight: float64 (N,), not negative.
        fold: int64 (N,), the fold in which a row is validation; -1 = always a train row.
        columns: names of both blocks.
        classes: number of classes K, 0 for regression.
        outliers: train rows that a fold does not learn from (`models/outliers.py`); None: it learns
            from all.
    """

    numbers: np.ndarray
    categories: np.ndarray | Texts
    target: np.ndarray
    weight: np.ndarray
    fold: np.ndarray
    columns: Columns
    classes: int
    outliers: Outliers | None = None

    def __post_init__(self) -> None:
        """Refuse blocks whose shapes contradict each other or that leave nothing to learn from."""
        rows = len(self.target)
        expected = {
            "numbers": (self.numbers.shape, (rows, len(self.columns.numbers))),
            "categories": (self.categories.shape, (rows, len(self.columns.categories))),
            "weight": (self.weight.shape, (rows,)),
            "fold": (self.fold.shape, (rows,)),
        }
        for name, (found, wanted) in expected.items():
            if found != wanted:
                msg = f"TrainingTable.{name} must have shape {wanted}, however: {found}"
                raise ValueError(msg)
        if not self.columns.numbers and not self.columns.categories:
            msg = "a training table must have at least one feature column, however: none is left"
            raise ValueError(msg)
        for fold in range(folds(self)):
            judged = int((self.fold == fold).sum())
            if judged in {0, rows}:
                msg = (
                    f"fold {fold} must leave rows on both sides, however: "
                    f"{judged} of {rows} rows are its validation rows"
                )
                raise ValueError(msg)
        if self.outliers is not None and self.outliers.rows.shape != (folds(self), rows):
            msg = (
                f"outliers must be known of {folds(self)} folds and {rows} rows, however: "
                f"{self.outliers.rows.shape}"
            )
            raise ValueError(msg)

    def train(self, fold: int) -> np.ndarray:
        """Return the rows that a fold learns from, bool (N,)."""
        train = self.fold != fold
        return train if self.outliers is None else train & ~self.outliers.rows[fold]


def folds(table: TrainingTable) -> int:
    """Return the number F of validation sets (1 for a single holdout)."""
    count = int(table.fold.max(initial=-1)) + 1
    if count < 1:
        msg = "at least one row must be a validation row, however: every fold is -1"
        raise ValueError(msg)
    return count
