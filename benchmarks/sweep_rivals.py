"""Other learners at their defaults on Penstock's rows, for the quality table.

- Each takes the sides and a seed and returns values (n,) or probabilities (n, K) of the test rows.
- Boosting comes with scikit-learn; the others are nobody's dependency and raise ImportError where
  they are not installed. Those that stop early are given the validation rows for it.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Callable

    from flows.sides import Judged

AUTOGLUON_S = 600
"""Seconds that AutoGluon may take."""


@dataclass(frozen=True, kw_only=True)
class Sides:
    """Columns and targets by side: numbers with NaN, categories as such, codes or values."""

    task: str
    x: dict[str, pd.DataFrame]
    y: dict[str, np.ndarray]

    @classmethod
    def of(cls, known: Judged) -> Sides:
        """Return the sides of a run's rows, as its networks read them."""
        parts = []
        for name, kind in (("numbers", "float64"), ("categories", "category")):
            if name in known.feeds:
                names = list(known.schema[name])
                parts.append(pd.DataFrame(known.feeds[name], columns=names).astype(kind))
        frame = pd.concat(parts, axis=1)
        rows = {
            side: np.flatnonzero((known.side == side) & ~pd.isna(known.target))
            for side in ("train", "validation", "test")
        }
        return cls(
            task=known.task,
            x={side: frame.iloc[at].reset_index(drop=True) for side, at in rows.items()},
            y={side: known.target[at] for side, at in rows.items()},
        )

    @property
    def regression(self) -> bool:
        """Whether values are predicted."""
        return self.task == "regression"

    @property
    def categories(self) -> list[str]:
        """Names of the categorical columns."""
        return [str(name) for name in self.x["train"].select_dtypes("category").columns]

    def filled(self) -> dict[str, pd.DataFrame]:
        """Columns with missing numbers at the train rows' median, for those that refuse them."""
        median = self.x["train"].median(numeric_only=True)
        return {side: frame.fillna(median) for side, frame in self.x.items()}


def boosting(sides: Sides, seed: int, *, also: bool = False) -> np.ndarray:
    """HistGradientBoosting's defaults on the train rows; `also`: and the validation rows."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    used = ("train", "validation") if also else ("train",)
    x = pd.concat([sides.x[side] for side in used])
    y = np.concatenate([sides.y[side] for side in used])
    if sides.regression:
        model = HistGradientBoostingRegressor(random_state=seed).fit(x, y)
        return np.asarray(model.predict(sides.x["test"]))
    model = HistGradientBoostingClassifier(random_state=seed).fit(x, y)
    return np.asarray(model.predict_proba(sides.x["test"]))


def boosting_all(sides: Sides, seed: int) -> np.ndarray:
    """HistGradientBoosting's defaults on train and validation rows."""
    return boosting(sides, seed, also=True)


def catboost(sides: Sides, seed: int) -> np.ndarray:
    """CatBoost's defaults, stopped where the validation rows are predicted best."""
    from catboost import CatBoostClassifier, CatBoostRegressor  # type: ignore[import-not-found]

    kind = CatBoostRegressor if sides.regression else CatBoostClassifier
    model = kind(
        random_seed=seed, verbose=0, allow_writing_files=False, cat_features=sides.categories
    )
    judged = (sides.x["validation"], sides.y["validation"])
    model.fit(sides.x["train"], sides.y["train"], eval_set=judged)
    return _answer(sides, model, sides.x["test"])


def realmlp(sides: Sides, seed: int) -> np.ndarray:
    """RealMLP's tuned defaults (Holzmueller et al., 2024)."""
    return _pytabkit("RealMLP_TD", sides, seed)


def tabm(sides: Sides, seed: int) -> np.ndarray:
    """TabM's defaults as pytabkit has them."""
    return _pytabkit("TabM_D", sides, seed)


def _pytabkit(name: str, sides: Sides, seed: int) -> np.ndarray:
    import pytabkit  # type: ignore[import-not-found]

    kind = f"{name}_{'Regressor' if sides.regression else 'Classifier'}"
    model = getattr(pytabkit, kind)(random_state=seed, device="cpu")
    x = sides.filled()
    model.fit(
        x["train"],
        sides.y["train"],
        X_val=x["validation"],
        y_val=sides.y["validation"],
        cat_col_names=sides.categories,
    )
    return _answer(sides, model, x["test"])


def autogluon(sides: Sides, seed: int) -> np.ndarray:
    """AutoGluon's "medium_quality"; it is given no seed and chooses its own validation rows."""
    from autogluon.tabular import TabularPredictor  # type: ignore[import-not-found]

    del seed
    x = pd.concat([sides.x["train"], sides.x["validation"]])
    y = np.concatenate([sides.y["train"], sides.y["validation"]])
    metric = {"regression": "root_mean_squared_error", "binary": "roc_auc"}.get(sides.task)
    with tempfile.TemporaryDirectory() as folder:
        predictor = TabularPredictor("__y__", path=folder, eval_metric=metric, verbosity=0)
        predictor.fit(x.assign(__y__=y), presets="medium_quality", time_limit=AUTOGLUON_S)
        if sides.regression:
            return np.asarray(predictor.predict(sides.x["test"]))
        return np.asarray(predictor.predict_proba(sides.x["test"]))


def _answer(sides: Sides, model: Any, x: pd.DataFrame) -> np.ndarray:
    return np.asarray(model.predict(x) if sides.regression else model.predict_proba(x))


RIVALS: dict[str, Callable[[Sides, int], np.ndarray]] = {
    "boosting": boosting,
    "boosting_all": boosting_all,
    "catboost": catboost,
    "realmlp": realmlp,
    "tabm": tabm,
    "autogluon": autogluon,
}
