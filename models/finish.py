"""From what was trained to the model that answers: choose, calibrate, decide.

- Every choice looks at validation predictions only, cross-fitted over parts of identities.
- Networks of several settings, and rungs of the ladder, may answer together; a rung may answer
  alone.
- The ensemble is bounded by what 100,000 rows cost on the exported graph: by arithmetic first,
  which is the same everywhere, then by the clock, where that is far over.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from models.calibrate import calibrate
from models.candidates import Candidates
from models.decide import cost_matrix, decision
from models.ensemble import Choice, choose
from models.export import Model, RungPart, difference, graph_of, spoilt
from models.saved import load, save
from models.speed import chunk_of, encoder_seconds, estimated_seconds, form_seconds, seconds_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Literal

    from models.encode import TrainingTable
    from models.fitted import Fitted
    from models.rungs import FittedRung

__all__ = ["Finished", "finish", "load", "save"]

SLACK = 1.5  # how far a measurement may exceed the budget: a busy machine is no slow model
MOST_FILLED = 0.8  # of the budget that filling missing cells may take
ROOM = 0.98  # of the budget, once it was overdrawn
PROBED, EXACT = 300, 1e-6  # rows, spoilt ones too, on which a rung's graph must be as its arrays


@dataclass(frozen=True, kw_only=True)
class Finished:
    """The model that answers, why it is that one, and its honest validation predictions.

    `validation` is (N, K) calibrated, cross-fitted probabilities or (N,) values in target units,
    NaN on rows that were only trained on; `labels` (N,) class codes, None for regression.
    `seconds` is what 100,000 rows cost on two cores, None where the budget was not looked at.
    `candidates` are what competed, in the order of the choice's weights; `left_out` says of rungs
    why they did not.
    """

    model: Model
    choice: Choice
    candidates: Candidates
    validation: np.ndarray
    labels: np.ndarray | None = None
    seconds: float | None = None
    left_out: Mapping[str, str]


def finish(
    fitted: Sequence[Fitted],
    table: TrainingTable,
    *,
    rungs: Sequence[FittedRung] = (),
    part: np.ndarray,
    costs: Mapping[str, Mapping[str, float]] | None = None,
    labels: Sequence[str] = (),
    ensemble: Literal["greedy", "best"] = "greedy",
    budget: float | None = None,
) -> Finished:
    """Choose among settings and rungs within `budget` seconds per 100,000 rows, calibrate, decide.

    `fitted` share one encoder; the first is the training's own, others are a sweep's trials.
    `part` (N,) are cross-fitting parts; `costs` are by label, `labels` the K class labels.
    Raises ValueError for costs that do not fit the labels.
    """
    matrix = cost_matrix(costs, labels) if costs else None
    fixed = encoder_seconds(fitted[0].encoder)
    _affordable(fitted[0], fixed, budget)
    room = np.inf if budget is None else budget - fixed
    rungs = [_proved(rung, fitted[0], table, room) for rung in rungs]
    candidates = Candidates(fitted, rungs, table)
    while True:
        choice = choose(
            candidates.scored(room),
            [candidate.name for candidate in candidates.all],
            np.array([candidate.rung < 0 for candidate in candidates.all]),
            part=part[candidates.judged],
            only=ensemble,
        )
        model = candidates.model(choice.weights)
        alone = np.count_nonzero(choice.weights) == 1
        seconds, over = (None, 0.0) if budget is None else _cost(model, table, budget)
        if alone or over <= 1:
            break
        # Arithmetic counts what parts share twice, so it is seldom here, and never for long.
        room = ROOM * min(room, estimated_seconds(model) - fixed) / over
    mixed = candidates.mixed(choice.weights)
    found = Finished(
        model=model,
        choice=choice,
        candidates=candidates,
        validation=np.expm1(mixed) if model.target.log else mixed,
        seconds=seconds,
        left_out={rung.name: rung.reason for rung in rungs if rung.reason},
    )
    return _settled(found, table, part=part, costs=matrix)


def _affordable(fitted: Fitted, seconds: float, budget: float | None) -> None:
    """Refuse an imputer, or components, that would take most of the time there is.

    Raises ValueError.
    """
    encoder = fitted.encoder
    made = encoder.filling is not None or encoder.reducing is not None
    if budget is None or not made or seconds <= MOST_FILLED * budget:
        return
    what, instead = "[features.reduce]", "take fewer components"
    if encoder.filling is not None:
        what = f'features.impute = "{encoder.filling.kind}"'
        instead = 'let "mice" or "median" fill'
    message = (
        f"{what} must leave time to answer, found: 100,000 rows would take it about {seconds:.2g} s "
        f"of the {budget:g} s of train.inference_seconds; raise that, or {instead}"
    )
    raise ValueError(message)


def _proved(rung: FittedRung, fitted: Fitted, table: TrainingTable, budget: float) -> FittedRung:
    """Return the rung; without its form, and with the reason, where the graph cannot serve it."""
    if rung.form is None:
        return rung
    if (seconds := form_seconds(rung.form)) > budget:
        reason = f"100,000 rows would take it about {seconds:.2g} s, and there are {budget:.2g} s"
        return replace(rung, form=None, reason=reason)
    part = RungPart(name=rung.name, form=rung.form, share=1.0)
    model = Model(
        encoder=fitted.encoder, target=fitted.target, rungs=(part,), classes=fitted.classes
    )
    feeds = _feeds(table, PROBED)
    try:
        graph = graph_of(model).SerializeToString()
        off = max(difference(model, graph, rows) for rows in (feeds, spoilt(feeds)))
    except Exception as error:  # noqa: BLE001 - whatever the runtime raises: the networks answer
        reason = f"it cannot be exported: {type(error).__name__}: {error}"[:300]
        return replace(rung, form=None, reason=reason)
    if off <= EXACT:
        return rung
    return replace(rung, form=None, reason=f"its graph differs by {off:.2g}, more than {EXACT}")


def _feeds(table: TrainingTable, rows: int) -> dict[str, np.ndarray]:
    """Return the first rows as the graph takes them."""
    feeds: dict[str, np.ndarray] = {}
    if table.columns.numbers:
        feeds["numbers"] = table.numbers[:rows]
    if table.columns.categories:
        feeds["categories"] = np.asarray(table.categories[:rows])
    return feeds


def _cost(model: Model, table: TrainingTable, budget: float) -> tuple[float, float]:
    """Return the measured seconds of 100,000 rows, and how often the budget is in them."""
    graph = graph_of(model).SerializeToString()
    seconds = seconds_of(graph, _feeds(table, 1000), chunk=chunk_of(model), most=budget)
    return seconds, seconds / budget / SLACK


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
