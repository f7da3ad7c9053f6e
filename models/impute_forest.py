"""MissForest (Stekhoven and Buehlmann, 2012) by histogram boosting on sub-samples of rows.

- Every column that lacks cells is predicted from all others; rounds go on from what the last one
  filled, the columns that lack least first. In the first round trees see missing cells as such.
- For small tables: a set of trees for every column and round is too much for a served graph, so
  that this imputer is for tables that are filled once, and a yardstick for the others.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from models.impute_space import bounds, finite


class Forest:
    """`forest`: boosted trees per column, in rounds.

    `rows` is the largest sub-sample that a column's trees are fitted on.
    """

    def __init__(
        self, *, rounds: int = 2, trees: int = 60, rows: int = 10_000, seed: int = 0
    ) -> None:
        """Store the settings."""
        self.rounds, self.trees, self.rows, self.seed = rounds, trees, rows, seed
        self.facts: dict[str, Any] = {}

    def fit(self, numbers: np.ndarray, hints: np.ndarray | None = None) -> Self:
        """Fit every lacking column's trees on train rows, round after round."""
        numbers = finite(numbers)
        absent = np.isnan(numbers)
        shares = absent.mean(axis=0)
        self.bounds_ = bounds(numbers)
        lacking = [int(j) for j in np.argsort(shares, kind="stable") if 0 < shares[j] < 1]
        self.median_ = np.array([np.median(c[~np.isnan(c)]) if not np.isnan(c).all() else 0.0
                                 for c in numbers.T])  # fmt: skip
        self.steps_: list[tuple[int, Any]] = []
        table, rng = self._started(numbers), np.random.default_rng(self.seed)
        for round_ in range(self.rounds):
            for j in lacking:
                there = np.flatnonzero(~absent[:, j])
                if len(there) > self.rows:
                    there = np.sort(rng.choice(there, self.rows, replace=False))
                model = self._model(round_)
                model.fit(_others(table, hints, j)[there], numbers[there, j])
                self.steps_.append((j, model))
                self._step(table, absent, hints, j, model)
        self.facts = {"rounds": self.rounds, "columns": len(lacking), "trees": self.trees}
        return self

    def _started(self, numbers: np.ndarray) -> np.ndarray:
        """Return a copy in which columns that train rows say nothing of are filled already."""
        nothing = self.bounds_["low"] == self.bounds_["high"]
        return np.where(np.isnan(numbers) & nothing, self.median_, numbers)

    def _model(self, round_: int) -> Any:
        from sklearn.ensemble import HistGradientBoostingRegressor

        settings: dict[str, Any] = {"learning_rate": 0.1, "early_stopping": False}
        state = (self.seed + round_) % 2**32
        return HistGradientBoostingRegressor(max_iter=self.trees, random_state=state, **settings)

    def _step(
        self,
        table: np.ndarray,
        absent: np.ndarray,
        hints: np.ndarray | None,
        column: int,
        model: Any,
    ) -> None:
        """Fill one column's missing cells in place."""
        rows = np.flatnonzero(absent[:, column])
        if len(rows):
            known = None if hints is None else hints[rows]
            guess = model.predict(_others(table[rows], known, column))
            low, high = (self.bounds_[side][column] for side in ("low", "high"))
            table[rows, column] = np.clip(guess, low, high)

    def transform(self, numbers: np.ndarray, hints: np.ndarray | None = None) -> np.ndarray:
        """Fill rows (M, n) by the same columns in the same rounds; a column without trees: median."""
        absent = np.isnan(numbers)
        table = self._started(finite(numbers))
        for column, model in self.steps_:
            self._step(table, absent, hints, column, model)
        table = np.where(absent & np.isnan(table), self.median_, table)
        return np.where(absent, table, numbers)


def _others(table: np.ndarray, hints: np.ndarray | None, column: int) -> np.ndarray:
    """Return what a column is predicted from: every other number, and the hints."""
    rest = table.copy()
    rest[:, column] = 0.0  # a constant says nothing, and some column there must be
    return rest if hints is None else np.concatenate([rest, hints], axis=1)
