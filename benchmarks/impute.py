"""Imputers against one another and scikit-learn's, on the same hidden cells of real tables.

- The protocol of GAIN's paper: a share of all cells is hidden, each imputer learns from what is
  left and fills it, and the error is the root mean square over hidden cells of data between 0 and 1.
- Masks: `mcar` (anywhere), `mar` (by another column that stays whole), `mnar` (the larger the
  likelier). Seconds are CPU seconds of one process: fit and fill.
- `--downstream`: what the filling is worth to boosting and to a linear model of the target, cells
  hidden in train and test rows alike, the imputer learned on train rows alone.
- Run: `PENSTOCK_DATA=... python -m benchmarks.impute [--tables spam letter] [--imputers mice ...]
  [--masks 5] [--kinds mcar] [--downstream] [--json]`.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from models.impute import IMPUTERS

if TYPE_CHECKING:
    from collections.abc import Sequence

TABLES = {
    "spam": ("spambase/spambase.csv", "type"),
    "letter": ("letter_recognition/letter.csv", "lettr"),
}
SHARE = 0.2
BARS = {("mice", "spam"): 0.0515, ("mice", "letter"): 0.115,
        ("masked", "spam"): 0.0475, ("masked", "letter"): 0.078,
        ("gain", "spam"): 0.0528 * 1.05, ("gain", "letter"): 0.126 * 1.05}  # fmt: skip
"""What each must reach on `mcar`."""


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


def measure(name: str, imputer: str, kind: str, seed: int) -> dict[str, Any]:
    """Return the error on hidden cells and the CPU seconds that fit and fill took."""
    numbers, _ = table(name)
    hidden = mask(kind, numbers, seed)
    blind = np.where(hidden, np.nan, numbers)
    started = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's rounds seldom converge
        guess = ALL[imputer](seed=seed).fit(blind).transform(blind)
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
    learned: Any = ALL[imputer](seed=seed).fit(blind[~test])
    sides = [np.hstack([learned.transform(blind[s]), np.isnan(blind[s])]) for s in (~test, test)]
    models: dict[str, Any] = {
        "boosting": HistGradientBoostingClassifier(random_state=seed),
        "linear": make_pipeline(StandardScaler(), LogisticRegression(max_iter=300)),
    }
    return {
        key: float(model.fit(sides[0], target[~test]).score(sides[1], target[test]))
        for key, model in models.items()
    }


def summed(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return mean and deviation over masks."""
    errors = [each["rmse"] for each in found]
    return {
        "rmse": round(float(np.mean(errors)), 5),
        "sd": round(float(np.std(errors, ddof=1)), 5) if len(errors) > 1 else None,
        "cpu_seconds": round(float(np.mean([each["seconds"] for each in found])), 2),
        "masks": len(found),
        "not_finite": sum(not each["finite"] for each in found),
    }


def main() -> None:
    """Print a table for people, or one JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tables", nargs="+", default=list(TABLES), choices=list(TABLES))
    parser.add_argument("--imputers", nargs="+", default=list(ALL), choices=list(ALL))
    parser.add_argument("--kinds", nargs="+", default=["mcar"], choices=["mcar", "mar", "mnar"])
    parser.add_argument("--masks", type=int, default=5)
    parser.add_argument("--first", type=int, default=0, help="the first mask's number")
    parser.add_argument("--downstream", action="store_true")
    parser.add_argument("--json", action="store_true", help="one JSON object of named figures")
    given = parser.parse_args()
    seeds = range(given.first, given.first + given.masks)
    figures: dict[str, Any] = {}
    for name in given.tables:
        for imputer in given.imputers:
            for kind in given.kinds:
                one = summed([measure(name, imputer, kind, seed) for seed in seeds])
                bar = BARS.get((imputer, name)) if kind == "mcar" else None
                one |= {} if bar is None else {"bar": round(bar, 4), "held": one["rmse"] <= bar}
                figures[f"{name}/{kind}/{imputer}"] = one
                if not given.json:
                    print(f"{name:8}{kind:6}{imputer:20}{one}", flush=True)
            if given.downstream:
                runs = [downstream(name, imputer, seed) for seed in seeds]
                means = {key: round(float(np.mean([r[key] for r in runs])), 4) for key in runs[0]}
                figures[f"{name}/downstream/{imputer}"] = means
                if not given.json:
                    print(f"{name:8}test accuracy {imputer:20}{means}", flush=True)
    if given.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
