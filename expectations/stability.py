"""Whether answers stay when rows are disturbed a little: missing cells, unseen levels, noise.

- An answer stays if its label does, or a value moves by less than a tenth of the target's spread.
- A source column is disturbed together with all that is derived from it.
- Fixed seeds and a fixed number of rows: the same model on the same rows gives the same figures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from expectations.shares import share

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from expectations.predictions import Predictions

CELLS = 0.1
"""How likely a cell is to go missing, or to hold a level that no row had in training."""
NOISE = 0.01
"""Noise in standard deviations of a column on train rows."""
MOVED = 0.1
"""How far a value may move, in standard deviations of the target on train rows."""
REPEATS = 3
MOST_ROWS = 3_000
UNSEEN = "\N{REPLACEMENT CHARACTER} never seen"

Feeds = dict[str, np.ndarray]
Places = dict[str, list[tuple[str, int]]]


@dataclass(frozen=True, kw_only=True)
class Disturbed:
    """What may be disturbed: source columns with where they enter the model."""

    missing: Places
    """Columns whose cells the model's contract allows to be missing."""
    unseen: Places
    """Text columns whose contract allows other levels."""
    noise: Places
    """Columns of numbers."""
    spread: np.ndarray
    """Standard deviation of each number on train rows (numbers,)."""
    target: float
    """Standard deviation of the target on train rows; unused for classes."""


def stability(
    answer: Callable[[Mapping[str, np.ndarray], np.ndarray], Predictions],
    feeds: Mapping[str, np.ndarray],
    disturbed: Disturbed,
    *,
    weight: np.ndarray,
    unit: np.ndarray,
    seed: int = 0,
) -> dict[str, Any]:
    """Share of answers that stay, by disturbance; None where no column can be disturbed so.

    `answer(feeds, rows)` predicts the feeds, whose rows are the original rows `rows`.
    """
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.permutation(len(weight))[:MOST_ROWS])
    if not len(rows):
        return {}
    base = {block: values[rows] for block, values in feeds.items()}
    before = answer(base, rows)
    found: dict[str, Any] = {}
    for name, change in CHANGES.items():
        places: Places = getattr(disturbed, name)
        if not places:
            found[name] = None
            continue
        stays = np.zeros(len(rows))
        cells = 0
        for _ in range(REPEATS):
            feed = {block: values.copy() for block, values in base.items()}
            cells += change(feed, places, disturbed, rng)
            stays += _stays(before, answer(feed, rows), disturbed.target)
        figure = share(stays / REPEATS, weight=weight[rows], unit=unit[rows]).to_json()
        figure["share"] = figure.pop("value")
        found[name] = figure | {"repeats": REPEATS, "cells": cells, "columns": len(places)}
    return found


def _stays(before: Predictions, after: Predictions, spread: float) -> np.ndarray:
    if before.task != "regression":
        return np.asarray(before.label == after.label, dtype=np.float64)
    moved = np.abs(after.residual - before.residual)  # the true values are the same
    return np.asarray(moved < MOVED * spread, dtype=np.float64)


def _missing(feed: Feeds, places: Places, _: Disturbed, rng: np.random.Generator) -> int:
    cells = 0
    for at in places.values():
        gone = rng.random(len(feed[at[0][0]])) < CELLS
        cells += int(gone.sum())
        _put(feed, at, gone, {"numbers": np.nan, "categories": ""})
    return cells


def _unseen(feed: Feeds, places: Places, _: Disturbed, rng: np.random.Generator) -> int:
    cells = 0
    for at in places.values():
        odd = rng.random(len(feed["categories"])) < CELLS
        cells += int(odd.sum())
        _put(feed, at, odd, {"categories": UNSEEN})
    return cells


def _noise(feed: Feeds, places: Places, known: Disturbed, rng: np.random.Generator) -> int:
    for at in places.values():
        for block, column in at:
            drawn = rng.normal(size=len(feed[block]))
            feed[block][:, column] += NOISE * known.spread[column] * drawn
    return len(feed["numbers"]) * len(places)


def _put(
    feed: Feeds, at: Sequence[tuple[str, int]], rows: np.ndarray, value: Mapping[str, Any]
) -> None:
    for block, column in at:
        feed[block][rows, column] = value[block]


CHANGES: dict[str, Callable[[Feeds, Places, Disturbed, np.random.Generator], int]] = {
    "missing": _missing,
    "unseen": _unseen,
    "noise": _noise,
}
