"""The boosting rung: histogram gradient boosting with native missing values and categories.

- As it comes, nothing tuned; with row weights on quantile bins of our own, which is much faster.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from models.texts import Texts

if TYPE_CHECKING:
    from models.rows import Rows

LEVELS = 254  # categories that histogram boosting can tell apart (255 bins, one for the unknown)


@dataclass(frozen=True, kw_only=True)
class Boosted:
    """One fold's fit.

    Attributes:
        model: the library's; None where the train rows hold one class.
        constant: what is answered then: shares (K,).
        numbers: number columns n.
        levels: known levels per category, sorted; a level's place is its code.
        cuts: quantiles per number between which the model was fitted, None: numbers as they are.
        classes: number of classes K, 0 for regression.
    """

    model: Any
    constant: np.ndarray | None
    numbers: int
    levels: list[np.ndarray]
    cuts: list[np.ndarray] | None
    classes: int

    def predict(self, numbers: np.ndarray, categories: np.ndarray | Texts) -> np.ndarray:
        """Return (n, K) probabilities or (n,) values."""
        if self.constant is not None:
            return np.tile(self.constant, (len(numbers), 1))
        inputs = _coded(_binned(numbers, self.cuts), categories, self.levels)
        if not self.classes:
            return np.asarray(self.model.predict(inputs), dtype=np.float64)
        spread = np.zeros((len(inputs), self.classes))
        spread[:, self.model.classes_.astype(np.int64)] = self.model.predict_proba(inputs)
        return spread


def boosted(rows: Rows, classes: int, seed: int) -> Boosted:
    """Fit one fold."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    width, categories = rows.shape
    levels = [_levels(rows.categories, column) for column in range(categories)]
    if classes and len(np.unique(rows.target)) == 1:
        return Boosted(
            model=None, constant=rows.shares(classes), numbers=width,
            levels=levels, cuts=None, classes=classes,
        )  # fmt: skip
    weighted = bool((rows.weight != rows.weight[0]).any())
    cuts = [_cuts(column) for column in rows.numbers.T] if weighted else None
    settings: dict[str, Any] = {
        "random_state": seed,
        "categorical_features": list(range(width, width + len(levels))) or None,
        # Early stopping holds out a stratified share, which a class of one row cannot give.
        "early_stopping": _can_stop_early(rows.target, classes),
    }
    kind = HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
    model: Any = kind(**settings)
    model.fit(
        _coded(_binned(rows.numbers, cuts), rows.categories, levels),
        rows.target,
        sample_weight=rows.weight / rows.weight.mean() if weighted else None,
    )
    return Boosted(
        model=model, constant=None, numbers=width, levels=levels, cuts=cuts, classes=classes
    )


def _cuts(column: np.ndarray) -> np.ndarray:
    """Return at most LEVELS increasing quantiles of the finite cells.

    With row weights scikit-learn 1.9 finds each of 254 quantiles of each column by a sort of its
    own: 3 s for 569 rows of 30 columns. A column of few distinct values is spared that.
    """
    finite = column[np.isfinite(column)]
    return np.unique(np.quantile(finite, np.arange(1, LEVELS) / LEVELS)) if len(finite) else finite


def _binned(numbers: np.ndarray, cuts: list[np.ndarray] | None) -> np.ndarray:
    """Replace numbers by the place among their column's cuts; NaN stays NaN."""
    if cuts is None:
        return numbers
    places = [np.searchsorted(cut, column) for cut, column in zip(cuts, numbers.T, strict=True)]
    return np.where(np.isnan(numbers), np.nan, np.reshape(places, numbers.T.shape).T)


def _levels(categories: Texts, column: int) -> np.ndarray:
    """Return a column's most frequent levels, at most LEVELS, sorted; "" is missing."""
    words, counts = categories.words[column], categories.counts(column)
    there = np.flatnonzero((counts > 0) & (words != ""))
    values, place = np.unique(words[there].astype(str), return_index=True)
    return np.sort(values[np.argsort(-counts[there[place]], kind="stable")[:LEVELS]])


def _coded(
    numbers: np.ndarray, categories: np.ndarray | Texts, vocabularies: list[np.ndarray]
) -> np.ndarray:
    """Append categories as codes; missing and unknown levels are NaN."""
    texts, width = Texts.of(categories), numbers.shape[1]
    inputs = np.empty((width + len(vocabularies), len(numbers))).T
    inputs[:, :width] = numbers
    for j, levels in enumerate(vocabularies):
        words = texts.words[j].astype(str)
        codes = np.full(len(words), np.nan)
        if len(levels) and len(words):
            at = np.minimum(np.searchsorted(levels, words), len(levels) - 1)
            known = levels[at] == words
            codes[known] = at[known]
        inputs[:, width + j] = texts.told(j, codes)
    return inputs


def _can_stop_early(target: np.ndarray, classes: int) -> bool | str:
    """Leave the choice to scikit-learn unless a class is too small to be held out of."""
    if not classes:
        return "auto"
    counts = np.bincount(target, minlength=classes)
    return "auto" if counts[counts > 0].min() > 1 else False
