"""The linear rung: logistic or ridge regression, and its arithmetic as plain arrays.

- Numbers: missing ones become the median and set an indicator; scaled by mean and deviation, and
  held within FAR deviations. Categories: one-hot, rare levels together.
- A value stays within the targets that the fold has seen: a line knows no bounds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from models.rungs import codes_of, columns_of, constant_scores

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from models.rows import Rows
    from models.texts import Texts

ONE_HOT = 100  # most one-hot columns per category
LINEAR_ROWS = 100_000  # rows beyond which it is fitted on an even sample
HUGE = 1e150  # numbers are held within it: infinite ones would overflow a sum of squares
FAR = 1e6  # deviations from the mean within which a scaled number is held
ARRAYS = ("median", "center", "factor", "weight", "absent", "bias", "low", "high")


@dataclass(frozen=True, kw_only=True)
class Linear:
    """The linear models of all folds.

    Attributes:
        median, center, factor: (F, n) of the numbers.
        weight, absent: (F, n, K) of scaled numbers, and of their being missing.
        bias: (F, K).
        low, high: (F, 1) within which values stay; infinite for classes.
        levels: per category (codes, F, K): what each level adds; code 0 is any other.
        words: per category, the levels that codes 1.. stand for.
    """

    median: np.ndarray
    center: np.ndarray
    factor: np.ndarray
    weight: np.ndarray
    absent: np.ndarray
    bias: np.ndarray
    low: np.ndarray
    high: np.ndarray
    levels: tuple[np.ndarray, ...]
    words: tuple[tuple[str, ...], ...]
    kind = "linear"
    visits = 0.0

    @property
    def products(self) -> int:
        """Float64 products per row."""
        return 2 * self.weight.size + len(self.levels) * self.bias.size

    @property
    def widest(self) -> int:
        """The most activations of one row at a time."""
        return max(self.median.size, len(self.levels) * self.bias.size)

    def scores(self, numbers: np.ndarray, categories: np.ndarray) -> np.ndarray:
        """Numbers (N, n), categories (N, c) of str -> raw scores (F, N, K), K 1 for a value."""
        absent = np.isnan(numbers)
        held = np.clip(numbers, -HUGE, HUGE)
        filled = np.where(absent, self.median[:, None], held)
        with np.errstate(over="ignore"):
            scaled = (filled - self.center[:, None]) * self.factor[:, None]
        scores = np.clip(scaled, -FAR, FAR) @ self.weight + absent.astype(float) @ self.absent
        scores += self.bias[:, None]
        codes = codes_of(categories, self.words)
        for j, added in enumerate(self.levels):
            scores += added[codes[:, j]].transpose(1, 0, 2)
        return np.clip(scores, self.low[:, None], self.high[:, None])

    def tensors(self) -> dict[str, np.ndarray]:
        """Return the arrays that `restore` needs."""
        arrays = {name: getattr(self, name) for name in ARRAYS}
        return arrays | {f"levels.{j}": added for j, added in enumerate(self.levels)}

    def describe(self) -> dict[str, Any]:
        """Return the rest of what `restore` needs, as JSON."""
        return {"kind": self.kind, "words": [list(words) for words in self.words]}

    @classmethod
    def restore(cls, described: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> Linear:
        """Rebuild the models from `describe()` and `tensors()`."""
        return cls(
            **{name: tensors[name] for name in ARRAYS},
            levels=columns_of(tensors, "levels"),
            words=tuple(tuple(words) for words in described["words"]),
        )


@dataclass(frozen=True, kw_only=True)
class Lined:
    """One fold's fit: the library's transformers and model, or a constant (K,).

    `shape` is the number of number columns and of categories, `span` the least and the greatest
    target of a regression.
    """

    prepare: Any
    model: Any
    constant: np.ndarray | None
    shape: tuple[int, int]
    classes: int
    span: tuple[float, float] = (-np.inf, np.inf)

    def predict(self, numbers: np.ndarray, categories: np.ndarray | Texts) -> np.ndarray:
        """Return (n, K) probabilities or (n,) values."""
        if self.constant is not None:
            return np.tile(self.constant, (len(numbers), 1))
        inputs = self.prepare.transform(_joined(numbers, categories))
        if not self.classes:
            return np.clip(np.asarray(self.model.predict(inputs), dtype=np.float64), *self.span)
        spread = np.zeros((len(numbers), self.classes))
        spread[:, self.model.classes_.astype(np.int64)] = self.model.predict_proba(inputs)
        return spread


def lined(rows: Rows, classes: int, seed: int) -> Lined:
    """Fit one fold."""
    from sklearn.linear_model import LogisticRegression, Ridge

    shape = rows.shape
    if classes and len(np.unique(rows.target)) == 1:
        constant = rows.shares(classes)
        return Lined(prepare=None, model=None, constant=constant, shape=shape, classes=classes)
    rows = rows.sample(LINEAR_ROWS, seed)
    prepare = _prepare(*shape)
    model: Any = LogisticRegression(max_iter=200) if classes else Ridge()
    inputs = prepare.fit_transform(_joined(rows.numbers, rows.categories))
    model.fit(inputs, rows.target, sample_weight=rows.weight / rows.weight.mean())
    span = (-np.inf, np.inf) if classes else (float(rows.target.min()), float(rows.target.max()))
    return Lined(
        prepare=prepare, model=model, constant=None, shape=shape, classes=classes, span=span
    )


def _prepare(numbers: int, categories: int) -> Any:
    """Make the transformers: one for all numbers, one for each category."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

    steps: list[tuple[str, Any]] = [
        (
            "fill",
            SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
        ),
        ("scale", StandardScaler()),
        ("hold", FunctionTransformer(np.clip, kw_args={"a_min": -FAR, "a_max": FAR})),
    ]
    parts: list[tuple[str, Any, list[int]]] = []
    if numbers:
        parts.append(("numbers", Pipeline(steps), list(range(numbers))))
    for j in range(categories):
        hot = OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=ONE_HOT)
        parts.append((f"category {j}", hot, [numbers + j]))
    return ColumnTransformer(parts)


def _joined(numbers: np.ndarray, categories: np.ndarray | Texts) -> Any:
    """Put numbers and categories into one frame of columns 0..a+b-1, each with its own dtype."""
    import pandas as pd

    width = numbers.shape[1]
    finite = np.clip(numbers, -HUGE, HUGE)
    columns = {i: finite[:, i] for i in range(width)}
    texts = np.asarray(categories)
    columns |= {width + i: texts[:, i] for i in range(texts.shape[1])}
    return pd.DataFrame(columns)


def linear_of(folds: Sequence[Lined], outputs: int) -> Linear:
    """Read every fold's fit; `outputs` is K, 1 for a value."""
    numbers, categories = folds[0].shape
    words = tuple(
        tuple(sorted(set().union(*(_known(fold, j) for fold in folds)))) for j in range(categories)
    )
    count = len(folds)
    arrays = {name: np.zeros((count, numbers)) for name in ("median", "center")}
    arrays["factor"] = np.ones((count, numbers))
    arrays |= {name: np.zeros((count, numbers, outputs)) for name in ("weight", "absent")}
    arrays["bias"] = np.zeros((count, outputs))
    arrays["low"], arrays["high"] = np.array([fold.span for fold in folds]).T[:, :, None]
    levels = tuple(np.zeros((1 + len(known), count, outputs)) for known in words)
    for f, fold in enumerate(folds):
        if fold.constant is not None:
            arrays["bias"][f] = constant_scores(fold.constant)
            continue
        own, constant = _coefficients(fold, outputs)
        arrays["bias"][f] = constant
        if numbers:
            _read_numbers(fold, own, {name: array[f] for name, array in arrays.items()})
        for j, known in enumerate(words):
            levels[j][:, f] = _read_levels(fold, own, j, known)
    return Linear(**arrays, levels=levels, words=words)


def _known(fold: Lined, column: int) -> set[str]:
    """Return the levels of a category that a fold knows."""
    if fold.constant is not None:
        return set()
    return set(fold.prepare.named_transformers_[f"category {column}"].categories_[0].tolist())


def _coefficients(fold: Lined, outputs: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights (inputs, K) and biases (K,) of every class; absent ones get -inf."""
    weight, bias = np.atleast_2d(fold.model.coef_).T, np.atleast_1d(fold.model.intercept_)
    if outputs == 1:
        return weight, bias
    present = np.asarray(fold.model.classes_, dtype=np.int64)
    spread, constant = np.zeros((len(weight), outputs)), np.full(outputs, -np.inf)
    constant[present] = 0.0
    own = present[1:] if len(present) == 2 else present
    spread[:, own], constant[own] = weight, bias
    return spread, constant


def _read_numbers(fold: Lined, own: np.ndarray, into: dict[str, np.ndarray]) -> None:
    """Read what a fold does with numbers; an indicator's scaling goes into weight and bias."""
    steps = fold.prepare.named_transformers_["numbers"].named_steps
    numbers = fold.shape[0]
    part = own[fold.prepare.output_indices_["numbers"]]
    mean, factor = steps["scale"].mean_, 1.0 / steps["scale"].scale_
    into["median"][:] = np.nan_to_num(steps["fill"].statistics_)
    into["center"][:], into["factor"][:] = mean[:numbers], factor[:numbers]
    into["weight"][:] = part[:numbers]
    shown = steps["fill"].indicator_.features_
    scaled = part[numbers:] * factor[numbers:, None]
    into["absent"][shown] = scaled
    into["bias"] -= mean[numbers:] @ scaled


def _read_levels(fold: Lined, own: np.ndarray, column: int, known: Sequence[str]) -> np.ndarray:
    """Return what each level of a category adds (1 + words, K), the first for any other."""
    import pandas as pd

    hot = fold.prepare.named_transformers_[f"category {column}"]
    part = own[fold.prepare.output_indices_[f"category {column}"]]
    asked = np.array(["\u2047 any other", *known], dtype=object)
    frame = pd.DataFrame({fold.shape[0] + column: asked})
    return np.asarray(hot.transform(frame) @ part)
