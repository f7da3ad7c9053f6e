"""The ladder that a network must climb: a dummy, a linear model, gradient boosting.

- Every rung is fitted on the very folds of the network and predicts the very rows; its test
  predictions are the mean over its folds, as the network's are.
- Nothing is tuned: a rung says what one gets without trying.
- A class that a fold's train rows lack gets probability 0 there, and crashes nothing.
"""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from models.encode import TrainingTable

LEVELS = 254  # categories that histogram boosting can tell apart (255 bins, one for the unknown)
ONE_HOT = 100  # most one-hot columns per categorical column of the linear rung
LINEAR_ROWS = 100_000  # rows beyond which the linear rung is fitted on an even sample


@dataclass(frozen=True, kw_only=True)
class Rung:
    """One fitted baseline: probabilities (n, K), or values (n,) for regression.

    `validation` (N, ...) covers the rows of the training table, NaN where a row is train-only;
    `test` (M, ...) the rows that were given as test, None without them. `failed` says why a rung
    has no predictions, else None.
    """

    name: str
    validation: np.ndarray
    test: np.ndarray | None
    seconds: float
    failed: str | None = None


class Baseline(Protocol):
    """Fit on the given rows; return a function of (numbers, categories) -> predictions."""

    def __call__(self, rows: Rows, classes: int, seed: int) -> Any:
        """Return the fitted prediction function."""
        ...


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Rows of a table: numbers (n, a) with NaN, categories (n, b) with "", target, weight (n,)."""

    numbers: np.ndarray
    categories: np.ndarray
    target: np.ndarray
    weight: np.ndarray


def ladder(
    table: TrainingTable,
    numbers: np.ndarray | None = None,
    categories: np.ndarray | None = None,
    *,
    seed: int = 0,
    names: tuple[str, ...] | None = None,
) -> list[Rung]:
    """Fit every baseline of BASELINES (or `names`) on each fold of `table`.

    `numbers` (M, a) and `categories` (M, b) are the test rows' inputs, None without test rows.
    A rung that fails is returned with its reason instead of ending the run.
    """
    return [
        _climb(name, BASELINES[name], table, numbers, categories, seed)
        for name in names or tuple(BASELINES)
    ]


def _climb(
    name: str,
    baseline: Baseline,
    table: TrainingTable,
    numbers: np.ndarray | None,
    categories: np.ndarray | None,
    seed: int,
) -> Rung:
    """Fit one baseline on every fold and gather its predictions."""
    started = time.perf_counter()
    shape = (table.classes,) if table.classes else ()
    validation = np.full((len(table.target), *shape), np.nan)
    tests, failed = [], None
    try:
        for fold in range(int(table.fold.max()) + 1):
            inside = table.fold == fold
            with warnings.catch_warnings():
                # Unconverged fits and levels seen only later are what a baseline is allowed.
                warnings.simplefilter("ignore")
                predict = baseline(_rows(table, ~inside), table.classes, seed)
                validation[inside] = predict(table.numbers[inside], table.categories[inside])
                if numbers is not None and categories is not None:
                    tests.append(predict(numbers, categories))
    except (ValueError, ArithmeticError, MemoryError, np.linalg.LinAlgError) as error:
        failed = f"{type(error).__name__}: {error}"[:300]
    return Rung(
        name=name,
        validation=validation,
        test=np.mean(tests, axis=0) if tests and failed is None else None,
        seconds=time.perf_counter() - started,
        failed=failed,
    )


def _rows(table: TrainingTable, mask: np.ndarray) -> Rows:
    """Cut a table to the masked rows that weigh anything."""
    mask = mask & (table.weight > 0)
    return Rows(
        numbers=table.numbers[mask],
        categories=table.categories[mask],
        target=table.target[mask],
        weight=table.weight[mask],
    )


def dummy(rows: Rows, classes: int, seed: int) -> Any:  # noqa: ARG001
    """Answer the train rows' class shares, or their mean."""
    if not classes:
        mean = np.average(rows.target, weights=rows.weight)
        return lambda numbers, _: np.full(len(numbers), mean)
    shares = np.bincount(rows.target, weights=rows.weight, minlength=classes) / rows.weight.sum()
    return lambda numbers, _: np.tile(shares, (len(numbers), 1))


def linear(rows: Rows, classes: int, seed: int) -> Any:
    """Logistic or ridge regression on scaled numbers, missing indicators and one-hot levels."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    if classes and len(np.unique(rows.target)) == 1:
        return dummy(rows, classes, seed)
    rows = _even_sample(rows, LINEAR_ROWS, seed)
    width = rows.numbers.shape[1]
    prepare = ColumnTransformer(
        [
            (
                "numbers",
                make_pipeline(
                    SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
                    StandardScaler(),
                ),
                list(range(width)),
            ),
            (
                "categories",
                OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=ONE_HOT),
                list(range(width, width + rows.categories.shape[1])),
            ),
        ]
    )
    model: Any = LogisticRegression(max_iter=200) if classes else Ridge()
    inputs = prepare.fit_transform(_joined(rows.numbers, rows.categories))
    model.fit(inputs, rows.target, sample_weight=rows.weight / rows.weight.mean())

    def predict(numbers: np.ndarray, categories: np.ndarray) -> np.ndarray:
        """Return (n, K) probabilities or (n,) values."""
        scaled = prepare.transform(_joined(numbers, categories))
        if not classes:
            return np.asarray(model.predict(scaled), dtype=np.float64)
        return _all_classes(model.predict_proba(scaled), model.classes_, classes)

    return predict


def hist_gradient_boosting(rows: Rows, classes: int, seed: int) -> Any:
    """Histogram gradient boosting with native missing values and categories, as it comes."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    if classes and len(np.unique(rows.target)) == 1:
        return dummy(rows, classes, seed)
    vocabularies = [_levels(column) for column in rows.categories.T]
    width = rows.numbers.shape[1]
    weighted = bool((rows.weight != rows.weight[0]).any())
    cuts = [_cuts(column) for column in rows.numbers.T] if weighted else None
    settings: dict[str, Any] = {
        "random_state": seed,
        "categorical_features": list(range(width, width + len(vocabularies))) or None,
        # Early stopping holds out a stratified share, which a class of one row cannot give.
        "early_stopping": _can_stop_early(rows.target, classes),
    }
    kind = HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
    model: Any = kind(**settings)
    model.fit(
        _coded(_binned(rows.numbers, cuts), rows.categories, vocabularies),
        rows.target,
        sample_weight=rows.weight / rows.weight.mean() if weighted else None,
    )

    def predict(numbers: np.ndarray, categories: np.ndarray) -> np.ndarray:
        """Return (n, K) probabilities or (n,) values."""
        inputs = _coded(_binned(numbers, cuts), categories, vocabularies)
        if not classes:
            return np.asarray(model.predict(inputs), dtype=np.float64)
        return _all_classes(model.predict_proba(inputs), model.classes_, classes)

    return predict


BASELINES: dict[str, Baseline] = {
    "dummy": dummy,
    "linear": linear,
    "hist_gradient_boosting": hist_gradient_boosting,
}


def _even_sample(rows: Rows, most: int, seed: int) -> Rows:
    """Return at most `most` rows, drawn evenly; every class keeps at least one row."""
    if len(rows.target) <= most:
        return rows
    picked = np.random.default_rng(seed).permutation(len(rows.target))[:most]
    if np.issubdtype(rows.target.dtype, np.integer):
        picked = np.union1d(picked, np.unique(rows.target, return_index=True)[1])
    return Rows(
        numbers=rows.numbers[picked],
        categories=rows.categories[picked],
        target=rows.target[picked],
        weight=rows.weight[picked],
    )


def _joined(numbers: np.ndarray, categories: np.ndarray) -> Any:
    """Put numbers and categories into one frame of columns 0..a+b-1, each with its own dtype."""
    import pandas as pd

    width = numbers.shape[1]
    # Infinite and huge numbers would overflow a sum of squares.
    finite = np.clip(numbers, -1e150, 1e150)
    columns = {i: finite[:, i] for i in range(width)}
    columns |= {width + i: categories[:, i] for i in range(categories.shape[1])}
    return pd.DataFrame(columns)


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


def _levels(column: np.ndarray) -> np.ndarray:
    """Return a column's most frequent levels, at most LEVELS, sorted; "" is missing."""
    values, counts = np.unique(column.astype(str), return_counts=True)
    values, counts = values[values != ""], counts[values != ""]
    return np.sort(values[np.argsort(-counts, kind="stable")[:LEVELS]])


def _coded(
    numbers: np.ndarray, categories: np.ndarray, vocabularies: list[np.ndarray]
) -> np.ndarray:
    """Append categories as codes; missing and unknown levels are NaN."""
    inputs = [np.asarray(numbers, dtype=np.float64)]
    for column, levels in zip(categories.T, vocabularies, strict=True):
        codes = np.full(len(column), np.nan)
        if len(levels):
            text = column.astype(str)
            at = np.minimum(np.searchsorted(levels, text), len(levels) - 1)
            known = levels[at] == text
            codes[known] = at[known]
        inputs.append(codes[:, None])
    return np.concatenate(inputs, axis=1)


def _can_stop_early(target: np.ndarray, classes: int) -> bool | str:
    """Leave the choice to scikit-learn unless a class is too small to be held out of."""
    if not classes:
        return "auto"
    counts = np.bincount(target, minlength=classes)
    return "auto" if counts[counts > 0].min() > 1 else False


def _all_classes(probabilities: np.ndarray, present: np.ndarray, classes: int) -> np.ndarray:
    """Spread (n, k) over all K classes; the absent ones get 0."""
    spread = np.zeros((len(probabilities), classes))
    spread[:, np.asarray(present, dtype=np.int64)] = probabilities
    return spread
