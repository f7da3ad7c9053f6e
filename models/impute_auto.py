"""Which imputer: each is tried on rows that it has not seen, by hidden cells and by what they are for.

- On the first fold: an imputer learns from its train rows, fills cells that were hidden in its
  validation rows, and a cheap learner of the target says what the filling is worth.
- The cheapest one answers that is no more than one standard error worse than the best, and fills
  hidden cells no worse than the median. Better filling seldom makes a better model (Le Morvan and
  Varoquaux, 2025), and what it costs is paid for every row that is served.
- Hidden cells are hidden at random, which missing ones seldom are: the error says how well cells
  follow from others, not how well the missing ones were guessed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from models.filling import hints_of, known_of
from models.impute import IMPUTERS, SERVED
from models.impute_space import standard

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.table import TrainingTable

ROWS = 20_000  # of either side, at most
LEAST = 0.05  # share of a column's cells that is hidden at least
QUICK: dict[str, dict[str, Any]] = {"masked": {"steps": 2_000}, "gain": {"steps": 3_000}}
"""Networks are tried on fewer steps than they are trained with."""


def choose(
    table: TrainingTable, codes: np.ndarray, trains: Sequence[np.ndarray], *, seed: int
) -> tuple[str, dict[str, Any]]:
    """Return the name of the imputer that should answer, and the table that says why.

    `codes` (F, N, c) are each fold's own, as `models.filling.Filling.fit` takes them.
    """
    rng = np.random.default_rng(seed)
    train = _some(np.flatnonzero(trains[0]), rng)
    judged = _some(np.flatnonzero(table.fold == 0), rng)
    hints = hints_of(codes[0][train])
    known = known_of(codes[0], hints)
    hidden = _hidden(table.numbers, train, judged, rng)
    scale = standard(table.numbers[train])["factor"]
    flags = np.isnan(table.numbers)[:, np.isnan(table.numbers[train]).any(axis=0)]
    rows, losses = [], []
    for name in SERVED:
        imputer = IMPUTERS[name](seed=seed, **QUICK.get(name, {}))
        imputer.fit(table.numbers[train], known[train])
        blind = np.where(hidden, np.nan, table.numbers[judged])
        guess = imputer.transform(blind, known[judged])
        off = ((guess - table.numbers[judged]) * scale)[hidden]
        sides = [
            np.concatenate(
                [imputer.transform(table.numbers[own], known[own]), flags[own], known[own]], axis=1
            )
            for own in (train, judged)
        ]
        loss = _losses(
            sides[0], sides[1], table.target[train], table.target[judged], table.classes, seed
        )
        losses.append(loss)
        rows.append(
            {
                "imputer": name,
                "error": float(np.sqrt(np.mean(off**2))) if len(off) else None,
                "loss": float(loss.mean()),
            }
        )
    return _chosen(rows, losses, int(hidden.sum()))


def _chosen(
    rows: list[dict[str, Any]], losses: Sequence[np.ndarray], hidden: int
) -> tuple[str, dict[str, Any]]:
    """Apply the rule; every row learns how far it is from the best, and with what error."""
    best = int(np.argmin([row["loss"] for row in rows]))
    chosen = best
    for place, row in enumerate(rows):
        apart = losses[place] - losses[best]
        row["worse"] = float(apart.mean())
        row["standard_error"] = float(apart.std() / max(len(apart), 1) ** 0.5)
    for place, row in enumerate(rows):  # the cheapest first
        blind = place > 0 and _above(row["error"], rows[0]["error"])
        if row["worse"] <= row["standard_error"] and not blind:
            chosen = place
            break
    words = "log_loss or squared error of the standardised target, by boosting"
    return rows[chosen]["imputer"], {"tried": rows, "hidden_cells": hidden, "loss": words}


def _above(error: float | None, other: float | None) -> bool:
    return error is not None and other is not None and error > other


def _some(rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return at most ROWS rows, in order."""
    return rows if len(rows) <= ROWS else np.sort(rng.choice(rows, ROWS, replace=False))


def _hidden(
    numbers: np.ndarray, train: np.ndarray, judged: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return which observed cells of judged rows to hide: of columns that lack cells, as often."""
    shares = np.isnan(numbers[train]).mean(axis=0)
    shares = np.where(shares > 0, np.clip(shares, LEAST, 0.5), 0.0)
    block = numbers[judged]
    return (rng.random(block.shape) < shares) & np.isfinite(block)


def _losses(
    train: np.ndarray,
    judged: np.ndarray,
    target: np.ndarray,
    wanted: np.ndarray,
    classes: int,
    seed: int,
) -> np.ndarray:
    """Return the loss of every judged row by boosting on filled numbers, flags and hints."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    kind = HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
    settings: dict[str, Any] = {"max_iter": 60, "early_stopping": False}
    model = kind(random_state=seed % 2**32, **settings)
    with threadpool_limits(limits=1):
        if not classes:
            scale = float(target.std()) or 1.0
            predicted = model.fit(train, target / scale).predict(judged)
            return (predicted - wanted / scale) ** 2
        if len(np.unique(target)) < 2:
            return np.zeros(len(wanted))
        shares: Any = model.fit(train, target)
        spread = np.full((len(judged), classes), 1e-6)
        spread[:, shares.classes_] = shares.predict_proba(judged)
        return -np.log(np.maximum(spread[np.arange(len(wanted)), wanted], 1e-6))
