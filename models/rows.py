"""Rows that a rung is fitted on: a fold's train rows that weigh anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from models.table import TrainingTable


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Rows of a table: numbers (n, a) with NaN, categories (n, b) with "", target, weight (n,)."""

    numbers: np.ndarray
    categories: np.ndarray
    target: np.ndarray
    weight: np.ndarray

    @classmethod
    def of(cls, table: TrainingTable, mask: np.ndarray) -> Rows:
        """Cut a table to the masked rows that weigh anything."""
        mask = mask & (table.weight > 0)
        return cls(
            numbers=table.numbers[mask],
            categories=table.categories[mask],
            target=table.target[mask],
            weight=table.weight[mask],
        )

    def shares(self, classes: int) -> np.ndarray:
        """Return the classes' weighted shares (K,)."""
        counts = np.bincount(self.target, weights=self.weight, minlength=classes)
        return counts / self.weight.sum()

    def sample(self, most: int, seed: int) -> Rows:
        """Return at most `most` rows, drawn evenly; every class keeps at least one row."""
        if len(self.target) <= most:
            return self
        picked = np.random.default_rng(seed).permutation(len(self.target))[:most]
        if np.issubdtype(self.target.dtype, np.integer):
            picked = np.union1d(picked, np.unique(self.target, return_index=True)[1])
        return Rows(
            numbers=self.numbers[picked],
            categories=self.categories[picked],
            target=self.target[picked],
            weight=self.weight[picked],
        )
