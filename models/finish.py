"""From a trained population to the model that answers: choose, calibrate, decide.

- Every choice looks at validation predictions only, cross-fitted over parts of identities.
- Probabilities are averaged, not logits; values are averaged where they were learned, that is
  before a logarithm is undone: just what the graph does.
- The ensemble is bounded by what 100,000 rows cost on the exported graph: by the graph's size first,
  which is the same everywhere, then by the clock, where that is far over.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from models.calibrate import Calibration, calibrate
from models.decide import Decision, cost_matrix, decision
from models.ensemble import Choice, blend, greedy
from models.export import Model, chunk_of, estimated_seconds, graph_of, seconds_of
from models.fitted import Fitted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Literal

    import onnx

    from models.encode import TrainingTable


SLACK = 1.5  # how far a measurement may exceed the budget: a busy machine is no slow model


@dataclass(frozen=True, kw_only=True)
class Finished:
    """The model that answers, why it is that one, and its honest validation predictions.

    `validation` is (N, K) calibrated, cross-fitted probabilities or (N,) values in target units,
    NaN on rows that were only trained on; `labels` (N,) class codes, None for regression.
    `seconds` is what 100,000 rows cost on two cores, None where the budget was not looked at.
    """

    model: Model
    choice: Choice
    validation: np.ndarray
    labels: np.ndarray | None
    seconds: float | None


def finish(
    fitted: Fitted,
    table: TrainingTable,
    *,
    part: np.ndarray,
    costs: Mapping[str, Mapping[str, float]] | None = None,
    labels: Sequence[str] = (),
    ensemble: Literal["greedy", "best"] = "greedy",
    budget: float | None = None,
) -> Finished:
    """Choose members within `budget` seconds per 100,000 rows, calibrate, and decide.

    `part` (N,) are cross-fitting parts; `costs` are by label, `labels` the K class labels.
    Raises ValueError for costs that do not fit the labels.
    """
    matrix = cost_matrix(costs, labels) if costs else None
    limit = fitted.settings
    while True:
        found = _chosen(fitted, table, part=part, limit=limit, only=ensemble)
        found = _settled(found, table, part=part, costs=matrix)
        if budget is None:
            return found
        used = int(np.count_nonzero(found.choice.weights))
        graph = graph_of(found.model)
        over = estimated_seconds(graph) / budget
        if over <= 1 or used == 1:
            found = replace(found, seconds=_measured(found.model, graph, table, budget))
            over = (found.seconds or 0.0) / budget / SLACK
            if over <= 1 or used == 1:
                return found
        limit = max(1, min(used - 1, int(used / over)))


def _chosen(
    fitted: Fitted,
    table: TrainingTable,
    *,
    part: np.ndarray,
    limit: int,
    only: Literal["greedy", "best"],
) -> Finished:
    """Choose among the settings; the model has no calibration and no decision yet."""
    task = "class" if fitted.classes else "regression"
    target, learned = table.target, _learned(fitted)
    if not fitted.classes and fitted.target.log:
        target = np.log1p(target)
    judged = table.fold >= 0
    choice = greedy(
        learned[:, judged],
        target[judged],
        table.weight[judged],
        task=task,
        part=part[judged],
        limit=limit,
        only=only,
    )
    mixed = blend(learned, choice.weights)
    if not fitted.classes and fitted.target.log:
        mixed = np.expm1(mixed)
    return Finished(
        model=model_of(fitted, choice.weights),
        choice=choice,
        validation=mixed,
        labels=None,
        seconds=None,
    )


def _learned(fitted: Fitted) -> np.ndarray:
    """Return validation predictions as they are averaged: probabilities, or learned values."""
    if not fitted.classes:
        return np.log1p(fitted.validation) if fitted.target.log else fitted.validation
    scores = fitted.validation - fitted.validation.max(axis=-1, keepdims=True)
    shares = np.exp(scores)
    return shares / shares.sum(axis=-1, keepdims=True)


def _settled(
    found: Finished, table: TrainingTable, *, part: np.ndarray, costs: np.ndarray | None
) -> Finished:
    """Add calibration and decision to a chosen model."""
    if not found.model.classes:
        return found
    judged = table.fold >= 0
    target, weight = table.target[judged], table.weight[judged]
    calibration, honest = calibrate(found.validation[judged], target, weight, part=part[judged])
    decided = decision(costs, honest, target, weight, part=part[judged])
    validation = np.full(found.validation.shape, np.nan)
    validation[judged] = honest
    labels = np.full(len(validation), -1)
    labels[judged] = decided.labels(honest)
    model = replace(found.model, calibration=calibration, decision=decided)
    return replace(found, model=model, validation=validation, labels=labels)


def model_of(fitted: Fitted, weights: np.ndarray) -> Model:
    """Spread the weights (S,) of settings over folds; keep only members that weigh anything."""
    shares = np.repeat(weights / fitted.folds, fitted.folds)
    used = np.flatnonzero(shares > 0).tolist()
    return Model(
        encoder=fitted.encoder,
        population=fitted.population.select(used),
        target=fitted.target,
        shares=shares[used],
        classes=fitted.classes,
    )


def _measured(model: Model, graph: onnx.ModelProto, table: TrainingTable, budget: float) -> float:
    """Return what 100,000 rows of the table cost on the graph."""
    rows = slice(0, 1000)
    feeds: dict[str, np.ndarray] = {}
    if table.columns.numbers:
        feeds["numbers"] = table.numbers[rows]
    if table.columns.categories:
        feeds["categories"] = table.categories[rows]
    return seconds_of(graph.SerializeToString(), feeds, chunk=chunk_of(model), most=budget)


def save(found: Finished, fitted: Fitted, directory: Path, facts: Mapping[str, Any]) -> None:
    """Write `members.safetensors` and `fitted.json`, the latter with what was chosen.

    `facts` are further entries of `fitted.json`; nothing that differs between two equal trainings
    (such as seconds) belongs there.
    """
    fitted.save(directory)
    path = directory / "fitted.json"
    described = json.loads(path.read_text(encoding="utf-8"))
    calibration, decided = found.model.calibration, found.model.decision
    described |= dict(facts)
    described["ensemble"] = found.choice.facts()
    described["calibration"] = calibration.facts() if calibration else None
    described["decision"] = decided.facts() if decided else None
    text = json.dumps(described, ensure_ascii=False, allow_nan=False, indent=1)
    path.write_text(text, encoding="utf-8")


def load(directory: Path) -> tuple[Model, dict[str, Any]]:
    """Return the model that `save` wrote, and `fitted.json`."""
    fitted = Fitted.load(directory)
    described = json.loads((directory / "fitted.json").read_text(encoding="utf-8"))
    model = model_of(fitted, np.asarray(described["ensemble"]["weights"]))
    if not fitted.classes:
        return model, described
    calibration, decided = described["calibration"], described["decision"]
    return replace(
        model,
        calibration=Calibration(**{**calibration, "bias": np.asarray(calibration["bias"])}),
        decision=Decision(**{**decided, "matrix": np.asarray(decided["matrix"])}),
    ), described
