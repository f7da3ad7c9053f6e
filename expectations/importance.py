"""Permutation importance: how much worse the model answers when one column is shuffled.

- A source column is shuffled together with all that is derived from it, so a date's year and month
  do not cover for one another.
- Losses per row, averaged over the repeats, give an interval over identities.
- A fixed number of rows is evaluated, whatever the clock says; what was sampled is returned.
- Correlated columns cover for one another (Breiman 2001; Strobl et al. 2008): a low value says that
  the model can do without the column, not that the column says nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from expectations.intervals import mean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from expectations.predictions import Predictions

EVALUATIONS = 150_000  # rows that the model answers in all
REPEATS = 5
FEWEST_ROWS = 200
MOST_ROWS = 2_000
MOST_COLUMNS = 2_000


def places(schema: Mapping[str, Any]) -> dict[str, list[tuple[str, int]]]:
    """Source column -> where it enters the model, as (block, column of the block)."""
    parent = {str(e["name"]): str(e["column"]) for e in schema.get("derived", ())}
    found: dict[str, list[tuple[str, int]]] = {}
    for block in ("numbers", "categories"):
        for at, name in enumerate(map(str, schema.get(block) or ())):
            found.setdefault(parent.get(name, name), []).append((block, at))
    return found


def permutation_importance(
    answer: Callable[[Mapping[str, np.ndarray], np.ndarray], Predictions],
    feeds: Mapping[str, np.ndarray],
    columns: Mapping[str, Sequence[tuple[str, int]]],
    *,
    weight: np.ndarray,
    identity: np.ndarray,
    seed: int = 0,
) -> dict[str, Any]:
    """Importance of each column, largest first, with what it rests on.

    `answer(feeds, rows)` predicts the feeds, whose rows are the original rows `rows`. The unit is
    the rise of the log loss in nats, for regression the loss of R2 (rise of the squared error over
    the target's variance).
    """
    names = list(columns)[:MOST_COLUMNS]
    repeats = int(np.clip(EVALUATIONS // (FEWEST_ROWS * max(len(names), 1)), 1, REPEATS))
    most = int(np.clip(EVALUATIONS // max(repeats * len(names), 1), FEWEST_ROWS, MOST_ROWS))
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.permutation(len(weight))[:most])
    base_feeds = {block: values[rows] for block, values in feeds.items()}
    base = answer(base_feeds, rows)
    scale = _scale(base, weight[rows])
    orders = np.concatenate([rng.permutation(len(rows)) for _ in range(repeats)])
    tiled = np.tile(np.arange(len(rows)), repeats)
    found = []
    for name in names:
        shuffled = {block: values[tiled] for block, values in base_feeds.items()}
        for block, at in columns[name]:
            shuffled[block][:, at] = base_feeds[block][orders, at]
        loss = answer(shuffled, rows[tiled]).loss.reshape(repeats, len(rows)).mean(axis=0)
        rise = mean((loss - base.loss) / scale, weight=weight[rows], identity=identity[rows])
        found.append({"column": name, **rise.to_json()})
    found.sort(key=lambda entry: -(entry["value"] or 0.0))
    return {
        "unit": "loss of R2" if base.task == "regression" else "rise of the log loss",
        "rows": len(rows),
        "of_rows": len(weight),
        "repeats": repeats,
        "columns_left_out": len(columns) - len(names),
        "columns": found,
    }


def _scale(base: Predictions, weight: np.ndarray) -> float:
    if base.task != "regression":
        return 1.0
    centre = np.average(base.target, weights=weight)
    return float(np.average((base.target - centre) ** 2, weights=weight)) or 1.0
