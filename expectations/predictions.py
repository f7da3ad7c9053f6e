"""True and predicted values side by side: what metrics, intervals and charts look at.

- What several metrics need (rankings, one-hot codes, losses per row) is worked out once and kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

Task = Literal["binary", "multiclass", "regression"]
# The served graph answers in float32, whose last step below one is 6e-8: a clip any finer would let
# one saturated row outweigh all others in the log loss.
SMALLEST = 1e-7
BINS = 15


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """Rows by ascending score."""

    order: np.ndarray | None
    """Row positions by score; None where the rows already stand in that order."""
    positive: np.ndarray
    """Which of the ordered rows are positive."""
    starts: np.ndarray | None
    """Where each distinct score starts; None where no two are equal."""


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """True and predicted values of N rows; what a metric looks at.

    Classification: `target` and `label` are class codes (N,), `probabilities` is (N, K).
    Regression: `target` and `value` are float (N,). `costs` is (K, K) by [true, predicted].
    """

    task: Task
    target: np.ndarray
    probabilities: np.ndarray | None = None
    label: np.ndarray | None = None
    value: np.ndarray | None = None
    costs: np.ndarray | None = None

    def __post_init__(self) -> None:
        """Refuse parts that do not belong together."""
        needed = ("value",) if self.task == "regression" else ("probabilities", "label")
        for name in needed:
            part = getattr(self, name)
            if part is None or len(part) != len(self.target):
                found = "none" if part is None else f"{len(part)} rows"
                message = (
                    f"{self.task} needs `{name}` for {len(self.target)} rows, however: {found}"
                )
                raise ValueError(message)

    @cached_property
    def p(self) -> np.ndarray:
        """Probabilities as float64 (N, K), whatever the graph answered in."""
        return np.asarray(self.probabilities, dtype=np.float64)

    @cached_property
    def residual(self) -> np.ndarray:
        """Predicted minus true, float64 (N,)."""
        return np.asarray(self.value, dtype=np.float64) - self.target

    @cached_property
    def one_hot(self) -> np.ndarray:
        """True classes as float64 (N, K)."""
        return np.eye(self.p.shape[1])[self.target]

    @cached_property
    def hits(self) -> np.ndarray:
        """Per class: true, predicted, and both at once; float64 (N, 3K)."""
        said = np.eye(self.p.shape[1])[self.label]
        return np.hstack([self.one_hot, said, self.one_hot * said])

    @cached_property
    def gaps(self) -> np.ndarray:
        """Predicted minus true per bin of confidence, float64 (N, BINS); see `metrics.ece`."""
        if self.task == "binary":
            said, came = self.p[:, 1], self.target == 1
        else:
            said, came = self.p.max(axis=1), self.p.argmax(axis=1) == self.target
        bins = np.minimum((said * BINS).astype(np.int64), BINS - 1)
        return np.eye(BINS)[bins] * (said - came)[:, None]

    @cached_property
    def rankings(self) -> list[Ranking]:
        """A ranking per class scored (binary: the positive one)."""
        scored = [1] if self.task == "binary" else range(self.p.shape[1])
        return [_ranking(self.p[:, k], self.target == k) for k in scored]

    @cached_property
    def loss(self) -> np.ndarray:
        """Loss of each row (N,): log loss in nats, or the squared error."""
        if self.task == "regression":
            return self.residual**2
        true = self.p[np.arange(len(self.target)), self.target]
        return -np.log(np.clip(true, SMALLEST, 1.0))

    def take(self, rows: np.ndarray) -> Predictions:
        """The same for some of the rows (positions or a mask)."""
        parts = {
            name: None if part is None else part[rows]
            for name in ("probabilities", "label", "value")
            for part in (getattr(self, name),)
        }
        return Predictions(task=self.task, target=self.target[rows], costs=self.costs, **parts)


def _ranking(score: np.ndarray, positive: np.ndarray) -> Ranking:
    order = np.argsort(score, kind="stable")
    ranked = score[order]
    starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
    return Ranking(
        order=None if (order == np.arange(len(order))).all() else order,
        positive=positive[order],
        starts=None if len(starts) == len(order) else starts,
    )
