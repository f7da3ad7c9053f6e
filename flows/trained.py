"""What a training leaves in files: predictions of validation rows, curves, and a description.

- `validation.parquet`: row and calibrated, cross-fitted predictions of every validation row.
- `curves.json`: all members of the training's own population, a sweep's where they answer too, and
  the rungs that do; the weights of all of them sum to 1.
"""

from __future__ import annotations

import json
import math
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from flows import features_words
from flows.tables import write_parquet

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd

    from models.encode import TrainingTable
    from models.finish import Finished
    from models.fit import Fitted, TrainSettings


def described(
    fitted: Fitted, table: TrainingTable, settings: TrainSettings, labels: list[str]
) -> dict[str, Any]:
    """Return what `fitted.json` says beside the fit itself, for report and tracking."""
    units = len(labels) or 1
    why = f"one unit per class ({units})" if labels else "one standardised value"
    if fitted.target.log:
        why += ", of log(1 + y)"
    return {
        "task": settings.task,
        "network": settings.network,
        "settings": {f.name: getattr(settings, f.name) for f in fields(settings)},
        "parameters": fitted.facts.get("parameters"),
        "layers": _layers(fitted),
        "inputs": {
            "numbers": list(table.columns.numbers),
            "categories": list(table.columns.categories),
        },
        "output": {"units": units, "why": why},
        "labels": labels,
        "features": features_words.facts(fitted.encoder, table),
    }


def _layers(fitted: Fitted) -> list[dict[str, Any]]:
    """Return one member's own parameters by name, with shape and count."""
    return [
        {"name": name, "shape": str(shape), "parameters": math.prod(shape)}
        for name, shape in fitted.population.own_shapes(0).items()
    ]


def write_validation(found: Finished, book: pd.DataFrame, labels: list[str], out: Path) -> None:
    """Write row and predictions of every row that was a validation row."""
    import pandas as pd

    values = found.validation
    there = np.isfinite(values).reshape(len(values), -1).all(axis=1)
    frame = pd.DataFrame({"row": book["row"].to_numpy()[there]})
    if not labels:
        frame["value"] = values[there]
    else:
        for place, label in enumerate(labels):
            frame[f"probability_{label}"] = values[there, place]
        chosen = found.labels[there] if found.labels is not None else []
        frame["prediction"] = pd.Series([labels[code] for code in chosen], dtype="str")
    write_parquet(frame, out / "validation.parquet")


def write_curves(fitted: Sequence[Fitted], found: Finished, out: Path) -> None:
    """Write members' curves and weights: all of the training's own, the chosen ones of a sweep."""
    weights = {
        (candidate.fitted, candidate.setting): float(weight)
        for candidate, weight in zip(found.candidates.all, found.choice.weights, strict=True)
    }
    members = []
    for place, population in enumerate(fitted):
        for record in population.members:
            weight = weights.get((place, record.setting), 0.0) if record.setting >= 0 else 0.0
            if place and not weight:
                continue
            members.append(
                {
                    "index": len(members),
                    "fold": record.fold,
                    "seed": record.seed,
                    "trial": record.settings.get("trial") if place else None,
                    "train": _finite(record.train),
                    "validation": _finite(record.validation),
                    "best_epoch": record.best_epoch,
                    "stopped": record.stopped,
                    "failed": record.failed,
                    "weight": weight / population.folds,
                }
            )
    rungs = [{"name": part.name, "weight": part.share} for part in found.model.rungs]
    loss = "log loss" if fitted[0].classes else "squared error of the standardised target"
    text = json.dumps({"members": members, "rungs": rungs, "loss": loss}, allow_nan=False)
    (out / "curves.json").write_text(text, encoding="utf-8")


def _finite(curve: list[float]) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in curve]


def facts(found: Finished, fitted: Fitted, seconds: float | None) -> dict[str, Any]:
    """Return the stage's small facts."""
    outliers = found.candidates.table.outliers
    return {
        "members": len(fitted.members),
        "failed": fitted.facts.get("failed", 0),
        "folds": fitted.folds,
        "epochs": fitted.facts.get("epochs_run"),
        "ensemble": found.choice.kind,
        "chosen": found.model.members,
        "rungs": [part.name for part in found.model.rungs],
        "calibration": found.model.calibration.kind if found.model.calibration else None,
        "decision": found.model.decision.kind if found.model.decision else None,
        "log_target": bool(fitted.target.log),
        "outlier_rows": outliers.counts if outliers is not None else None,
        "fit_seconds": seconds,
        "hundred_thousand_rows_seconds": found.seconds,
    }
