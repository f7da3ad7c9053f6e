"""Rows that a rung is fitted on: a fold's train rows that weigh anything.

- Cells are copied when they are asked for, column by column, so that who wants a sample of the
  rows copies no more than that.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from models.texts import Texts

if TYPE_CHECKING:
    from models.table import TrainingTable


@dataclass(frozen=True)
class Rows:
    """The rows of `table` at the positions `at` (n,)."""

    table: TrainingTable
    at: np.ndarray

    @classmethod
    def of(cls, table: TrainingTable, mask: np.ndarray) -> Rows:
        """Cut a table to the masked rows that weigh anything."""
        return cls(table, np.flatnonzero(mask & (table.weight > 0)))

    @cached_property
    def numbers(self) -> np.ndarray:
        """Numbers (n, a), NaN where missing."""
        return numbers_at(self.table.numbers, self.at)

    @cached_property
    def categories(self) -> Texts:
        """Categories (n, b), "" where missing."""
        return Texts.of(self.table.categories)[self.at]

    @cached_property
    def target(self) -> np.ndarray:
        """The target (n,)."""
        return self.table.target[self.at]

    @cached_property
    def weight(self) -> np.ndarray:
        """What each row weighs (n,)."""
        return self.table.weight[self.at]

    @property
    def shape(self) -> tuple[int, int]:
        """The number of number columns, and of categories."""
        return self.table.numbers.shape[1], self.table.categories.shape[1]

    def shares(self, classes: int) -> np.ndarray:
        """Return the classes' weighted shares (K,)."""
        counts = np.bincount(self.target, weights=self.weight, minlength=classes)
        return counts / self.weight.sum()

    def sample(self, most: int, seed: int) -> Rows:
        """Return at most `most` rows, drawn evenly; every class keeps at least one row."""
        if len(self.at) <= most:
            return self
        picked = np.random.default_rng(seed).permutation(len(self.at))[:most]
        if np.issubdtype(self.target.dtype, np.integer):
            picked = np.union1d(picked, np.unique(self.target, return_index=True)[1])
        return Rows(self.table, self.at[picked])


def numbers_at(numbers: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Return rows of numbers (N, a), column by column."""
    return np.take(numbers.T, at, axis=1).T
