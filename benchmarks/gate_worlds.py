"""Models whose truth is known: what two retrains of one model look like on the same rows.

- Rows have a difficulty that all models share, and each model an error of its own: any two of them
  differ as two retrains do, and stay as far apart after a year as after a night.
- `loss` says how much worse a model truly is, in the metric's own unit, or as a share where the
  metric has no bounds.
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.optimize import root_scalar
from scipy.stats import multivariate_normal, norm

from expectations.gate import Evidence, Referee, Rows
from expectations.predictions import Predictions

if TYPE_CHECKING:
    from expectations.gate import Rules, Verdict

Metric = Literal["accuracy", "roc_auc", "rmse"]
METRICS: tuple[Metric, ...] = ("accuracy", "roc_auc", "rmse")
ACCURACY, AREA = 0.85, 0.85
DISCORDANCE = 0.10
ALIKE = 0.9
"""Correlation of the scores, or of the errors, of two retrains."""


class World:
    """Rows of one seed, and models that answer them."""

    def __init__(
        self, metric: Metric, rows: int, seed: int, *, discordance: float = DISCORDANCE
    ) -> None:
        """Draw the rows; two equal models differ in being right on a share `discordance` of them."""
        self.metric: Metric = metric
        self.rows, self.rng = rows, np.random.default_rng(seed)
        self.shared = self.rng.normal(size=rows)
        self.target = self.rng.integers(0, 2, rows)
        self.alike = _alike(discordance) if metric == "accuracy" else ALIKE

    def model(self, loss: float = 0.0) -> Predictions:
        """The answers of a model that is truly worse by `loss`, with errors of its own."""
        own = self.rng.normal(size=self.rows)
        noise = math.sqrt(self.alike) * self.shared + math.sqrt(1 - self.alike) * own
        if self.metric == "rmse":
            return Predictions(
                task="regression", target=np.zeros(self.rows), value=(1 + loss) * noise
            )
        if self.metric == "accuracy":
            return labelled(self.target, noise < norm.ppf(ACCURACY - loss))
        lift = math.sqrt(2) * float(norm.ppf(AREA - loss))
        p = 1 / (1 + np.exp(lift**2 / 2 - lift * (lift * self.target + noise)))
        both = np.column_stack([1 - p, p])
        return Predictions(
            task="binary", target=self.target, probabilities=both, label=(p > 0.5).astype(int)
        )


def labelled(target: np.ndarray, right: np.ndarray) -> Predictions:
    """A binary model that is right on these rows."""
    label = np.where(right, target, 1 - target)
    return Predictions(
        task="binary", target=target, probabilities=np.eye(2)[label] * 0.8 + 0.1, label=label
    )


def apart(
    rows: int, seed: int, *, gain: float, discordance: float
) -> tuple[Predictions, Predictions]:
    """A challenger that is truly `gain` more accurate, and its champion, at this discordance."""
    rng = np.random.default_rng(seed)
    target, kind = rng.integers(0, 2, rows), rng.random(rows)
    won, both = (discordance + gain) / 2, ACCURACY - (discordance - gain) / 2
    challenger = kind < won + both
    champion = (kind >= won) & (kind < discordance + both)
    return labelled(target, challenger), labelled(target, champion)


def verdict(
    challenger: Predictions,
    champion: Predictions,
    rules: Rules,
    *,
    look: int = 1,
    anchor: Predictions | None = None,
) -> Verdict:
    """What the gate says, as it says it of real models."""
    from expectations.gate import judge

    count = len(challenger.target)
    rows = Rows(
        unit=np.arange(count),
        weight=np.ones(count),
        challenger=challenger,
        champion=champion,
        anchor=anchor,
    )
    referee = Referee(
        status="compared",
        champion="version 1",
        anchor="" if anchor is None else "version 0",
        look=look,
        rows=rows,
    )
    return judge(Evidence(task=challenger.task, metrics={}, referee=referee), rules)


@cache
def _alike(discordance: float) -> float:
    """The correlation at which two equal models differ in being right on this share of rows."""
    edge = float(norm.ppf(ACCURACY))

    def off(alike: float) -> float:
        both = multivariate_normal.cdf([edge, edge], mean=[0, 0], cov=[[1, alike], [alike, 1]])  # pyright: ignore[reportArgumentType]
        return 2 * (ACCURACY - float(both)) - discordance

    return float(root_scalar(off, bracket=(0.0, 0.9999)).root)
