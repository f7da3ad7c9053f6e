"""What is known of a fitted model, as evidence.json: the gate judges it, the report shows it.

- `metrics`: side -> metric -> {value, low, high, standard_error, method, resamples}; sides are
  `validation` (out of fold, cross-fitted) and `test` (the exported graph, from raw rows).
- `ladder`: the rungs on the very same rows, each with `metrics` by side and `gain`: by how much
  the network is better in the deciding metric, paired by identity.
- `comparison`: the network against the best rung, chosen on validation, in one sentence.
- `confusion`, `curves`, `calibration` or `residuals`, `scatter` of the test rows; `importance` of
  columns on validation rows; `worst` test rows with their raw cells; `notes`.
- `slices`, `robustness`, and where the settings ask for them `fairness`, `conformal`,
  `direction_tests`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from flows.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from flows.sides import Judged, Side
    from flows.spec import Spec

CELLS_SHOWN = 6


def assess(
    spec: Spec,
    schema: Mapping[str, Any],
    ledger: Path,
    table: Path,
    clean: Path,
    train_dir: Path,
    export_dir: Path,
    out: Path,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Write evidence.json and test.parquet into `out`; return the deciding numbers.

    Raises:
        SettingsError: `gate.metric` does not exist or belongs to another task.
        ArtifactRefused: the exported graph refuses rows that passed the contract.

    """
    from flows.gate_checks import checks
    from flows.ladder import climb, comparison
    from flows.sides import answered, crossfitted, judged
    from flows.tables import write_parquet
    from models.served import open_session

    say = progress or (lambda _: None)
    serving = json.loads((export_dir / "model" / "schema.json").read_text("utf-8"))
    metric = _deciding(spec, serving["task"])
    known = judged(spec, schema, serving, ledger, clean)
    session = open_session(str(export_dir / "model" / "graph.onnx"))
    say("answering the test rows from their raw cells")
    test, answers, notes = answered(known, session, table)
    write_parquet(answers, out / "test.parquet")
    sides = {"validation": crossfitted(known, train_dir / "validation.parquet"), "test": test}
    evidence = _known_of(known, sides, metric, spec.train.seed)
    evidence["notes"] = notes
    say("climbing the ladder")
    drop = spec.features.drop_outliers
    evidence["ladder"] = climb(known, sides, metric, spec.train.seed, train_dir, outliers=drop)
    evidence["comparison"] = comparison(evidence["ladder"], metric)
    say("shuffling columns")
    evidence["importance"] = _importance(known, session, sides["validation"], spec.train.seed)
    say("looking into slices")
    evidence |= checks(spec, known, session, sides, metric, clean, table)
    evidence["worst"] = _worst(known, test, table, evidence["importance"])
    (out / "evidence.json").write_text(
        json.dumps(evidence, ensure_ascii=False, allow_nan=False), encoding="utf-8"
    )
    decided = evidence["metrics"]["test"].get(metric, {})
    return {"metric": metric, **{key: decided.get(key) for key in ("value", "low", "high")}}


def _deciding(spec: Spec, task: str) -> str:
    from expectations.gate import Rules, deciding_metric

    try:
        return deciding_metric(task, Rules(metric=spec.gate.metric))
    except ValueError as error:
        raise SettingsError(str(error)) from None


def _known_of(known: Judged, sides: Mapping[str, Side], metric: str, seed: int) -> dict[str, Any]:
    """Everything that follows from the network's own predictions."""
    from expectations import diagrams
    from expectations.metrics import METRICS, names
    from flows.sides import measured

    test = sides["test"]
    evidence: dict[str, Any] = {
        "version": 1,
        "task": known.task,
        "target": known.schema.get("target"),
        "classes": known.classes,
        "positive": known.classes[1] if known.task == "binary" else None,
        "metric": metric,
        "directions": {name: METRICS[name].direction for name in names(test.found)},
        "weighted": bool((known.weight != known.weight[0]).any()),
        "rows": {name: len(side.row) for name, side in sides.items()},
        "identities": {name: len(np.unique(side.identity)) for name, side in sides.items()},
        "metrics": {name: measured(side, names(side.found), seed) for name, side in sides.items()},
    }
    if not len(test.row):
        return evidence
    if known.task == "regression":
        evidence["residuals"] = diagrams.residuals(test.found, test.weight)
        evidence["scatter"] = diagrams.scatter(test.found, seed)
        return evidence
    evidence["confusion"] = diagrams.confusion(test.found, known.classes)
    evidence["calibration"] = diagrams.calibration(test.found, test.weight)
    evidence["curves"] = {
        name: diagrams.curves(side.found, side.weight) for name, side in sides.items()
    }
    return evidence


def _importance(known: Judged, session: Any, side: Side, seed: int) -> dict[str, Any]:
    from expectations.importance import permutation_importance, places
    from flows.sides import ask

    at = known.at(side.row)
    found = permutation_importance(
        lambda feeds, rows: ask(known, session, feeds, at[rows]),
        {block: part[at] for block, part in known.feeds.items()},
        places(known.schema),
        weight=side.weight,
        identity=side.identity,
        seed=seed,
    )
    # The exported graph holds every fold's members, most of which trained on these rows.
    note = "measured on validation rows with the exported model, which trained on part of them"
    return {**found, "note": note} if (known.fold > 0).any() else found


def _worst(
    known: Judged, test: Side, table: Path, importance: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The test rows with the largest loss, with where they stand and their telling cells."""
    from expectations.diagrams import worst
    from expectations.failure import shown
    from flows.formula_schema import raw_columns, with_formulas
    from flows.tables import read_parquet

    columns = [entry["column"] for entry in importance["columns"][:CELLS_SHOWN]]
    at = worst(test.found)
    needed = raw_columns(known.schema, columns)
    raw: Any = read_parquet(table, ["__source__", "__record__", *needed]).iloc[test.row[at]]
    raw = with_formulas(raw, known.schema, columns)
    result = []
    for place, (_, cells) in zip(at, raw.iterrows(), strict=True):
        found, k = test.found, int(place)
        entry: dict[str, Any] = {
            "source": str(cells["__source__"]),
            "record": int(cells["__record__"]),
        }
        if known.task == "regression":
            entry |= {
                "true": float(found.target[k]),
                "predicted": float(found.residual[k] + found.target[k]),
            }
        else:
            truth, label = int(found.target[k]), int(np.asarray(found.label)[k])
            entry |= {"true": known.classes[truth], "predicted": known.classes[label]}
            entry["probability"] = float(found.p[k, truth])
        entry |= {
            "loss": float(found.loss[k]),
            "cells": {name: shown(cells[name]) for name in columns},
        }
        result.append(entry)
    return result
