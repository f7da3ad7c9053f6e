"""The fit: clean rows and a ledger in, a population with its ensemble and calibration out.

- `train` writes `members.safetensors`, `fitted.json`, `validation.parquet` (row and calibrated,
  cross-fitted predictions of every validation row) and `curves.json`.
- `export` is in `flows/export.py`.
- What training sees goes through the served reader's own `inputs`: one path for both.
- Nothing about torch here: `models` fits, this file fetches and carries.
"""

from __future__ import annotations

import json
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from flows.errors import SettingsError, TrainingFailed
from flows.export import WHOLE, export
from flows.tables import read_parquet, write_parquet

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import pandas as pd

    from flows.spec import Spec
    from models.encode import TrainingTable
    from models.finish import Finished
    from models.fit import Fitted, TrainSettings

PARTS = 5  # of identities, for cross-fitting
__all__ = ["export", "train", "training_table"]

NUMERIC = ("number", "integer", "boolean")


def train(
    spec: Spec,
    schema: Mapping[str, Any],
    clean: Path,
    ledger: Path,
    out: Path,
    progress: Callable[[str], None] | None = None,
    *,
    checkpoints: Path | None = None,
) -> dict[str, Any]:
    """Fit the population, choose the ensemble, calibrate and decide; write what came of it.

    Args:
        spec: the settings.
        schema: the reading schema.
        clean: rows that passed validation.
        ledger: side, fold and identity per row, with `split.json` beside it.
        out: an existing folder.
        progress: hears how far the fit is.
        checkpoints: a folder that outlives a killed run; None: a killed fit starts anew.

    Raises:
        TrainingFailed: no member reached a finite loss.
        SettingsError: the costs do not fit the labels.

    """
    from models import finish
    from models.fit import TrainingFailed as Failed
    from models.fit import train_population

    table, book, labels = training_table(spec, schema, clean, ledger)
    settings = settings_of(spec, len(labels))
    say = progress or (lambda _: None)
    try:
        fitted = train_population(
            table, settings, directory=checkpoints, progress=_reporter(say, len(labels))
        )
    except Failed as error:
        raise TrainingFailed(str(error)) from error
    say("choosing the ensemble")
    try:
        found = finish.finish(
            fitted,
            table,
            part=parts_of(book),
            costs=spec.decision.costs if spec.decision else None,
            labels=labels,
            ensemble=spec.train.ensemble,
            budget=spec.train.inference_seconds,
        )
    except ValueError as error:
        raise SettingsError(str(error)) from error
    seconds = fitted.facts.pop("seconds", None)
    finish.save(found, fitted, out, _described(fitted, table, settings, labels))
    _write_validation(found, book, labels, out)
    _write_curves(fitted, found, out)
    return _facts(found, fitted, seconds)


def training_table(
    spec: Spec, schema: Mapping[str, Any], clean: Path, ledger: Path
) -> tuple[TrainingTable, pd.DataFrame, list[str]]:
    """Join clean rows and ledger; return the table, its ledger rows, and the K class labels.

    Rows of the sides "train" and "validation" are in it, in the order of the ledger.
    """
    from models.encode import Columns, TrainingTable
    from models.served import inputs

    book: Any = read_parquet(ledger)
    book = book[book["side"].isin(["train", "validation"])].reset_index(drop=True)
    frame: Any = read_parquet(clean)
    frame = frame.set_index("__row__").loc[book["row"]].reset_index(drop=True)
    fold = book["fold"].to_numpy(np.int64)
    if (fold < 0).all():  # one validation side instead of folds
        fold = np.where(book["side"] == "validation", 0, -1)
    columns = graph_columns(schema)
    feeds = inputs(frame, columns)
    target, labels = _target(frame[schema["target"]], schema, ledger)
    weight = np.ones(len(frame))
    if spec.data.weight:
        weight = frame[spec.data.weight].to_numpy(np.float64)
    table = TrainingTable(
        numbers=feeds.get("numbers", np.empty((len(frame), 0))),
        categories=feeds.get("categories", np.empty((len(frame), 0), dtype=object)),
        target=target,
        weight=weight,
        fold=fold.astype(np.int64),
        columns=Columns(numbers=tuple(columns["numbers"]), categories=tuple(columns["categories"])),
        classes=len(labels),
    )
    return table, book, labels


def graph_columns(schema: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the graph's columns: numbers (derived ones last) and categories."""
    kinds = [(column["name"], column["kind"]) for column in schema["columns"]]
    numbers = [name for name, kind in kinds if kind in NUMERIC]
    numbers += [derived["name"] for derived in schema.get("derived", ())]
    return {"numbers": numbers, "categories": [n for n, kind in kinds if kind == "category"]}


def _target(
    cells: pd.Series, schema: Mapping[str, Any], ledger: Path
) -> tuple[np.ndarray, list[str]]:
    """Return class codes with their labels, or float64 values with none."""
    from flows.split import merged_labels

    if schema.get("task") == "regression" or schema["target_column"]["kind"] == "number":
        return cells.to_numpy(np.float64, copy=True), []
    record = ledger.with_name("split.json")
    facts = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else {}
    texts = merged_labels(cells, facts).astype(str)
    labels = ordered(texts.unique())
    code = {label: place for place, label in enumerate(labels)}
    return texts.map(code).to_numpy(np.int64, copy=True), labels


def ordered(labels: Any) -> list[str]:
    """Return labels in the order of their codes: whole numbers by value, others as text."""
    names = [str(label) for label in labels]
    whole = all(WHOLE.fullmatch(name) for name in names)
    return sorted(names, key=int if whole else None)


def parts_of(book: pd.DataFrame) -> np.ndarray:
    """Return cross-fitting parts (N,): rows of one identity, or group, share theirs."""
    unit = book["group"] if "group" in book else book["identity"]
    return np.fromiter((int(name[-8:], 16) % PARTS for name in unit), np.int64, len(unit))


def settings_of(spec: Spec, classes: int) -> TrainSettings:
    """Return the models' settings; what the file leaves out takes the network's default."""
    from models.fit import TrainSettings

    task = "regression" if not classes else "binary" if classes == 2 else "multiclass"
    known = {field.name for field in fields(TrainSettings)}
    given = {
        name: value
        for name, value in spec.train.model_dump().items()
        if name in known and value is not None
    }
    return TrainSettings(task=task, **given)


def _reporter(say: Callable[[str], None], classes: int) -> Callable[[int, int, float], None]:
    """Word the fit's progress: epochs, and the best validation loss so far."""
    unit = "log loss" if classes else "squared error"

    def report(done: int, most: int, best: float) -> None:
        say(f"epoch {done} of at most {most}, best {unit} {best:.4g}")

    return report


def _described(
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
    }


def _layers(fitted: Fitted) -> list[dict[str, Any]]:
    """Return one member's parameters by name, with shape and count."""
    return [
        {"name": name, "shape": str(tuple(p.shape[1:])), "parameters": p[0].numel()}
        for name, p in fitted.population.net.named_parameters()
    ]


def _write_validation(found: Finished, book: pd.DataFrame, labels: list[str], out: Path) -> None:
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


def _write_curves(fitted: Fitted, found: Finished, out: Path) -> None:
    """Write every member's curves, and its weight in the ensemble."""
    members = []
    for place, record in enumerate(fitted.members):
        weight = 0.0
        if record.setting >= 0:
            weight = float(found.choice.weights[record.setting]) / fitted.folds
        members.append(
            {
                "index": place,
                "fold": record.fold,
                "seed": record.seed,
                "train": _finite(record.train),
                "validation": _finite(record.validation),
                "best_epoch": record.best_epoch,
                "stopped": record.stopped,
                "failed": record.failed,
                "weight": weight,
            }
        )
    loss = "log loss" if fitted.classes else "squared error of the standardised target"
    text = json.dumps({"members": members, "loss": loss}, allow_nan=False)
    (out / "curves.json").write_text(text, encoding="utf-8")


def _finite(curve: list[float]) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in curve]


def _facts(found: Finished, fitted: Fitted, seconds: float | None) -> dict[str, Any]:
    """Return the stage's small facts."""
    used = int(np.count_nonzero(found.choice.weights))
    return {
        "members": len(fitted.members),
        "failed": fitted.facts.get("failed", 0),
        "folds": fitted.folds,
        "epochs": fitted.facts.get("epochs_run"),
        "ensemble": found.choice.kind,
        "chosen": used * fitted.folds,
        "calibration": found.model.calibration.kind if found.model.calibration else None,
        "decision": found.model.decision.kind if found.model.decision else None,
        "log_target": bool(fitted.target.log),
        "fit_seconds": seconds,
        "hundred_thousand_rows_seconds": found.seconds,
    }
