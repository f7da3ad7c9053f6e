"""What imputers are measured on: two real tables, three ways of hiding cells, two learners beside.

- The protocol of GAIN's paper: a share of all cells is hidden, each imputer learns from what is
  left and fills it, and the error is the root mean square over hidden cells of data between 0 and 1.
- `mcar` hides cells anywhere, `mar` by another column that stays whole, `mnar` the larger the
  likelier.
- `downstream`: cells are hidden in train and test rows alike, the imputer learns from train rows
  alone, and models of the target read filled cells beside which were missing.
"""

from __future__ import annotations

import os
import time
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from models.impute import IMPUTERS

TABLES = {
    "spam": ("spambase/spambase.csv", "type"),
    "letter": ("letter_recognition/letter.csv", "lettr"),
}
SHARE = 0.2
BOOSTED = 40  # rounds of boosting: Letter has 26 trees in each


class Iterative:
    """scikit-learn's IterativeImputer as it comes (ten rounds of Bayesian ridge)."""

    def __init__(self, *, seed: int = 0) -> None:
        """Store the seed."""
        self.seed = seed

    def fit(self, numbers: np.ndarray) -> Iterative:
        """Learn."""
        from sklearn.experimental import enable_iterative_imputer  # noqa: F401
        from sklearn.impute import IterativeImputer

        low, high = np.nanmin(numbers, axis=0), np.nanmax(numbers, axis=0)
        self.model: Any = IterativeImputer(
            random_state=self.seed, min_value=low, max_value=high, keep_empty_features=True
        )
        self.model.fit(numbers)
        return self

    def transform(self, numbers: np.ndarray) -> np.ndarray:
        """Fill."""
        return self.model.transform(numbers)


ALL = {**IMPUTERS, "sklearn_iterative": Iterative}


@cache
def table(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return features between 0 and 1, and the target's codes."""
    path, target = TABLES[name]
    frame = pd.read_csv(Path(os.environ["PENSTOCK_DATA"]) / path)
    numbers = frame.drop(columns=target).to_numpy(np.float64)
    low, high = numbers.min(axis=0), numbers.max(axis=0)
    return (numbers - low) / (high - low), np.unique(frame[target], return_inverse=True)[1]


def mask(kind: str, numbers: np.ndarray, seed: int) -> np.ndarray:
    """Return which cells to hide; a share of SHARE in all, by `kind`."""
    rng = np.random.default_rng([seed, 20])
    drawn = rng.random(numbers.shape)
    if kind == "mcar":
        return drawn < SHARE
    ranks = numbers.argsort(axis=0, kind="stable").argsort(axis=0) / (len(numbers) - 1)
    if kind == "mnar":
        return drawn < 2 * SHARE * ranks
    whole = rng.choice(numbers.shape[1], max(1, numbers.shape[1] // 5), replace=False)
    cause = ranks[:, rng.choice(whole, numbers.shape[1])]
    hidden = drawn < 2 * SHARE * cause * numbers.shape[1] / (numbers.shape[1] - len(whole))
    hidden[:, whole] = False
    return hidden


def filled(name: str, imputer: str, kind: str, seed: int, **options: Any) -> dict[str, Any]:
    """Return the error on hidden cells and the CPU seconds that fit and fill took.

    `options` are the imputer's, other than its defaults.
    """
    numbers, _ = table(name)
    hidden = mask(kind, numbers, seed)
    blind = np.where(hidden, np.nan, numbers)
    started = time.process_time()
    guess = _fitted(imputer, blind, seed, **options).transform(blind)
    seconds = time.process_time() - started
    off = np.sqrt(np.mean((guess - numbers)[hidden] ** 2))
    return {"rmse": float(off), "seconds": seconds, "finite": bool(np.isfinite(guess).all())}


def downstream(name: str, imputer: str, seed: int) -> dict[str, float]:
    """Return test accuracy of boosting and of a linear model on filled cells and indicators."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    numbers, target = table(name)
    blind = np.where(mask("mcar", numbers, seed), np.nan, numbers)
    test = np.random.default_rng(seed).permutation(len(numbers)) % 5 == 0
    started = time.process_time()
    learned = _fitted(imputer, blind[~test], seed)
    sides = [np.hstack([learned.transform(blind[s]), np.isnan(blind[s])]) for s in (~test, test)]
    models: dict[str, Any] = {
        "boosting": HistGradientBoostingClassifier(max_iter=BOOSTED, random_state=seed),
        "linear": make_pipeline(StandardScaler(), LogisticRegression(max_iter=300)),
    }
    scores = {
        key: float(model.fit(sides[0], target[~test]).score(sides[1], target[test]))
        for key, model in models.items()
    }
    return {**scores, "seconds": time.process_time() - started}


def _fitted(imputer: str, numbers: np.ndarray, seed: int, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's rounds seldom converge
        return ALL[imputer](seed=seed, **options).fit(numbers)
