"""The ladder beside the network: a dummy, a linear model and gradient boosting on the same rows.

- Same folds, same rows, same weights, same identities: the distance to the network is paired.
- The rung to compare with is chosen on validation; the test rows decide once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from expectations.predictions import Predictions
    from flows.sides import Judged, Side

RUNG_METRICS = {
    "binary": ("roc_auc", "average_precision", "log_loss", "accuracy", "expected_cost"),
    "multiclass": ("roc_auc", "log_loss", "accuracy", "f1_macro", "expected_cost"),
    "regression": ("rmse", "mae", "r2"),
}
RUNG_RESAMPLES = 400
MANY_CELLS = 500_000
LABELS = {"dummy": "dummy", "linear": "linear model", "hist_gradient_boosting": "gradient boosting"}


def climb(known: Judged, sides: Mapping[str, Side], metric: str, seed: int) -> list[dict[str, Any]]:
    """Every rung on the rows of the network, with its distance to it."""
    at = {name: known.at(side.row) for name, side in sides.items()}
    table, positions = _training_table(known)
    rungs = _rungs(table, _blocks(known, at["test"]), seed)
    place = np.full(len(known.row), -1)
    place[positions] = np.arange(len(positions))
    result = []
    for rung in rungs:
        entry: dict[str, Any] = {"name": rung.name, "label": LABELS.get(rung.name, rung.name)}
        entry |= {"seconds": round(rung.seconds, 3), "failed": rung.failed}
        entry |= {
            "metrics": {},
            "gain": {"test": {"metric": metric}, "validation": {"metric": metric}},
        }
        if rung.failed is None and rung.test is not None:
            said = {"validation": rung.validation[place[at["validation"]]], "test": rung.test}
            for name, side in sides.items():
                other = known.predictions(at[name], said[name])
                entry["metrics"][name] = _rung_metrics(known, side, other, metric, seed)
                entry["gain"][name] |= _gain(side, other, metric, seed)
        result.append(entry)
    return result


def _rungs(table: Any, test: tuple[np.ndarray, np.ndarray], seed: int) -> list[Any]:
    """Fit one rung after the other, on one thread where the table is small.

    There boosting's threads only wait for one another: 30 s instead of 0.6 s were seen on a busy
    machine. A limit holds for libraries that are loaded already, so each rung gets its own.
    """
    from threadpoolctl import threadpool_limits

    from models.baselines import BASELINES, ladder

    threads = 1 if table.numbers.size + table.categories.size < MANY_CELLS else None
    rungs: list[Any] = []
    for name in BASELINES:
        with threadpool_limits(limits=threads):
            rungs += ladder(table, *test, seed=seed, names=(name,))
    return rungs


def _training_table(known: Judged) -> tuple[Any, np.ndarray]:
    """The rows that the network was trained and validated on, and their positions."""
    from models.encode import Columns, TrainingTable

    at = known.known(np.flatnonzero(np.isin(known.side, ["train", "validation"])))
    fold = known.fold[at]
    if (fold < 0).all():  # one validation side instead of folds
        fold = np.where(known.side[at] == "validation", 0, -1)
    numbers, categories = _blocks(known, at)
    columns = Columns(
        numbers=tuple(known.schema.get("numbers") or ()),
        categories=tuple(known.schema.get("categories") or ()),
    )
    table = TrainingTable(
        numbers=numbers,
        categories=categories,
        target=known.target[at],
        weight=known.weight[at],
        fold=fold,
        columns=columns,
        classes=len(known.classes),
    )
    return table, at


def _blocks(known: Judged, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    numbers = known.feeds.get("numbers", np.zeros((len(known.row), 0)))
    categories = known.feeds.get("categories", np.zeros((len(known.row), 0), dtype=object))
    return numbers[at], categories[at]


def _rung_metrics(
    known: Judged, side: Side, other: Predictions, metric: str, seed: int
) -> dict[str, Any]:
    from expectations.metrics import names
    from flows.sides import Side, measured

    fitting = names(other)
    wanted = [name for name in RUNG_METRICS[known.task] if name in fitting]
    wanted += [metric] if metric in fitting and metric not in wanted else []
    rung = Side(row=side.row, found=other, weight=side.weight, identity=side.identity)
    return measured(rung, wanted, seed, RUNG_RESAMPLES)


def _gain(side: Side, other: Predictions, metric: str, seed: int) -> dict[str, Any]:
    from expectations.intervals import paired

    if not len(side.row):
        return {"value": None, "low": None, "high": None}
    gain = paired(side.found, other, metric, weight=side.weight, identity=side.identity, seed=seed)
    return gain.to_json()


def comparison(ladder: list[dict[str, Any]], metric: str) -> dict[str, Any] | None:
    """The network against the rung that is best on validation, judged on test."""
    climbed = [r for r in ladder if r["gain"]["validation"].get("value") is not None]
    if not climbed:
        return None
    best = min(climbed, key=lambda rung: rung["gain"]["validation"]["value"])
    gain = best["gain"]["test"]
    value, low, high = (gain.get(key) for key in ("value", "low", "high"))
    other = best["metrics"]["test"].get(metric, {}).get("value")
    if value is None or other is None:
        return None
    against = f"the best rung of the ladder, {best['label']} ({metric} {other:.4g})"
    if low is None or high is None:
        better, words = "undecided", f"cannot be told apart from {against}"
    elif low > 0:
        better, words = "network", f"beats {against} by {value:.2g} ({low:.2g} to {high:.2g})"
    elif high < 0:
        better, words = "rung", f"loses to {against} by {-value:.2g} ({-high:.2g} to {-low:.2g})"
    else:
        better = "undecided"
        words = f"is level with {against}: gain {value:.2g}, 95 % {low:.2g} to {high:.2g}"
    return {"rung": best["name"], "better": better, "sentence": f"On test the network {words}."}
