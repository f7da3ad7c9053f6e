"""The ladder beside the network: a dummy, a linear model and gradient boosting on the same rows.

- Same folds, same rows, same weights, same identities: the distance to the network is paired.
- The rung to compare with is chosen on validation; the test rows decide once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from expectations.predictions import Predictions
    from flows.sides import Judged, Side

RUNG_METRICS = {
    "binary": ("roc_auc", "average_precision", "log_loss", "accuracy", "expected_cost"),
    "multiclass": ("roc_auc", "log_loss", "accuracy", "f1_macro", "expected_cost"),
    "regression": ("rmse", "mae", "r2"),
}
RUNG_RESAMPLES = 400
LABELS = {"dummy": "dummy", "linear": "linear model", "hist_gradient_boosting": "gradient boosting"}


def climb(
    known: Judged,
    sides: Mapping[str, Side],
    metric: str,
    seed: int,
    kept: Path | None = None,
    *,
    outliers: float | None = None,
) -> list[dict[str, Any]]:
    """Every rung on the rows of the network, with its distance to it.

    `kept` is where the training left the rungs that it had fitted; others are fitted here, without
    the rows that `outliers` (`features.drop_outliers`) leaves out.
    """
    at = {name: known.at(side.row) for name, side in sides.items()}
    result = []
    for rung in _climbed(known, at, seed, kept, outliers):
        entry: dict[str, Any] = {"name": rung.name, "label": LABELS.get(rung.name, rung.name)}
        entry |= {"seconds": round(rung.seconds, 3), "failed": rung.failed}
        entry |= {
            "metrics": {},
            "gain": {"test": {"metric": metric}, "validation": {"metric": metric}},
        }
        if rung.failed is None:
            for name, side in sides.items():
                other = known.predictions(at[name], rung.said[name])
                entry["metrics"][name] = _rung_metrics(known, side, other, metric, seed)
                entry["gain"][name] |= _gain(side, other, metric, seed)
        result.append(entry)
    return result


@dataclass(frozen=True, kw_only=True)
class _Rung:
    """What a rung says of the rows of each side."""

    name: str
    said: Mapping[str, np.ndarray]
    seconds: float
    failed: str | None = None


def _climbed(
    known: Judged,
    at: Mapping[str, np.ndarray],
    seed: int,
    kept: Path | None,
    outliers: float | None,
) -> list[_Rung]:
    """Each rung, as the training fitted it or fitted now, in the ladder's order."""
    from models.baselines import BASELINES

    found = _kept(known, at, kept) if kept is not None else {}
    left = [name for name in BASELINES if name not in found]
    found |= {rung.name: rung for rung in _fitted(known, at, seed, left, outliers)}
    return [found[name] for name in BASELINES]


def _kept(known: Judged, at: Mapping[str, np.ndarray], folder: Path) -> dict[str, _Rung]:
    from models.saved_rungs import FACTS, load_rungs

    found = dict[str, _Rung]()
    if not (folder / FACTS).is_file():
        return found
    rungs = load_rungs(folder)
    test = _blocks(known, at["test"])
    for rung in rungs.fitted:
        if rung.form is not None:
            said = {
                "validation": rungs.validation(rung, known.row[at["validation"]]),
                "test": rungs.test(rung, *test),
            }
            found[rung.name] = _Rung(name=rung.name, said=said, seconds=rung.seconds)
    return found


def _fitted(
    known: Judged,
    at: Mapping[str, np.ndarray],
    seed: int,
    names: Sequence[str],
    outliers: float | None,
) -> Iterator[_Rung]:
    from models.baselines import ladder
    from models.outliers import without_outliers

    table, positions = _training_table(known)
    table = without_outliers(table, outliers, strict=False)
    place = np.full(len(known.row), -1)
    place[positions] = np.arange(len(positions))
    for rung in ladder(table, *_blocks(known, at["test"]), seed=seed, names=tuple(names)):
        said = {} if rung.test is None else {"test": rung.test}
        said["validation"] = rung.validation[place[at["validation"]]]
        failed = rung.failed or (None if rung.test is not None else "there are no test rows")
        yield _Rung(name=rung.name, said=said, seconds=rung.seconds, failed=failed)


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
    from expectations.compare import paired

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
