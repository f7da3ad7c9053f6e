"""Rungs of the ladder that can answer: plain arrays of every fold's fit, and what they predict.

- Nothing of scikit-learn is kept: no pickle, no module path. What a form answers agrees with the
  library's own predictions, or the rung is no candidate and says why.
- A served rung answers with the mean over its folds: of probabilities, or of learned values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from models.texts import Texts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BLOCK = 1 << 21  # cells that a form spreads out at a time


class Form(Protocol):
    """A rung's arithmetic, folds together.

    `visits` and `products` are nodes of trees and float64 products per row, `widest` the most
    activations of one row: what serving costs.
    """

    kind: str

    @property
    def visits(self) -> float:
        """Nodes of trees that a row passes on average."""
        ...

    @property
    def products(self) -> int:
        """Float64 products per row."""
        ...

    @property
    def widest(self) -> int:
        """The most activations of one row at a time."""
        ...

    def scores(self, numbers: np.ndarray, categories: np.ndarray) -> np.ndarray:
        """Numbers (N, n), categories (N, c) of str -> raw scores (F, N, K), K 1 for a value."""
        ...

    def tensors(self) -> dict[str, np.ndarray]:
        """Return the arrays that `restore` needs."""
        ...

    def describe(self) -> dict[str, Any]:
        """Return the rest of what `restore` needs, as JSON."""
        ...


@dataclass(frozen=True, kw_only=True)
class FittedRung:
    """A rung that was fitted on the folds of the networks.

    `validation` is (N, K) probabilities or (N,) learned values by the folds that did not see the
    row, NaN on rows that only train. `form` is None where it cannot be served, `reason` says why.
    `sampled`: on how many rows a fold was fitted, where memory did not allow all.
    """

    name: str
    form: Form | None
    validation: np.ndarray
    seconds: float
    reason: str | None = None
    sampled: int | None = None


def answers(form: Form, numbers: np.ndarray, categories: np.ndarray) -> np.ndarray:
    """Return the mean over folds: (N, K) probabilities, or (N,) learned values."""
    scores = form.scores(numbers, categories)
    if scores.shape[2] == 1:
        return scores[:, :, 0].mean(axis=0)
    shares = np.exp(scores - scores.max(axis=2, keepdims=True))
    return (shares / shares.sum(axis=2, keepdims=True)).mean(axis=0)


def restore(described: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> Form:
    """Rebuild a form from its `describe()` and `tensors()`."""
    from models.linear import Linear
    from models.trees import Trees

    kinds = {form.kind: form for form in (Linear, Trees)}
    return kinds[described["kind"]].restore(described, tensors)


def codes_of(categories: np.ndarray | Texts, words: Sequence[Sequence[str]]) -> np.ndarray:
    """Strings (N, c) -> int64 (N, c): place + 1 among a column's words, 0 for all else."""
    texts = Texts.of(categories)
    out = np.zeros(texts.shape, dtype=np.int64)
    for j, column in enumerate(words):
        places = {word: place + 1 for place, word in enumerate(column)}
        own = [places.get(word, 0) for word in texts.words[j].tolist()]
        out[:, j] = texts.told(j, np.array(own, dtype=np.int64))
    return out


def constant_scores(shares: np.ndarray) -> np.ndarray:
    """Return the raw scores (K,) of an answer that is always the same: a class's may be -inf."""
    with np.errstate(divide="ignore"):
        return np.log(shares)


def columns_of(tensors: Mapping[str, np.ndarray], prefix: str) -> tuple[np.ndarray, ...]:
    """Return the arrays that were stored one per category column."""
    count = sum(name.startswith(f"{prefix}.") for name in tensors)
    return tuple(tensors[f"{prefix}.{j}"] for j in range(count))
