"""What is kept of a finished training: whole settings with best weights, judged out of fold.

- A setting (a seed) counts only when none of its folds has failed: every row of its validation
  predictions comes from a member that did not train on it.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np
import torch

from models.batches import JUDGED
from models.encode import folds
from models.fitted import Fitted
from models.learner import TrainingFailed
from models.population import Population

if TYPE_CHECKING:
    from models.batches import Rows
    from models.course import Courses
    from models.encode import Encoder, TrainingTable
    from models.learner import Learner
    from models.objective import Target
    from models.settings import Plan


def harvest(
    table: TrainingTable, encoder: Encoder, target: Target, learner: Learner, plan: Plan
) -> Fitted:
    """Return the fitted population of a learner that has run.

    Raises:
        TrainingFailed: no setting is whole.
    """
    courses, rows = learner.courses, learner.batches.rows
    count, records = folds(table), courses.records
    chosen = _whole(courses, count)
    if not chosen:
        reasons = {r.failed for r in records if r.failed}
        msg = (
            f"at least one seed must end with a finite loss in every fold, however: "
            f"{sum(r.failed is not None for r in records)} of {len(records)} members failed "
            f"({'; '.join(sorted(reasons))}); lower lr, or look for extreme values in the target"
        )
        raise TrainingFailed(msg)
    for place, i in enumerate(chosen):
        records[i].index, records[i].setting = place, place // count
    described = learner.population.describe()
    described["members"] = [records[i].settings for i in chosen]
    best = {k: v[chosen] for k, v in courses.best_weights.items()}
    fitted = Population.restore(described, best).to(rows.values.device).eval()
    return Fitted(
        population=fitted.cpu(),
        encoder=encoder,
        target=target,
        members=records,
        classes=table.classes,
        validation=_validation(fitted, target, rows, table),
        facts={
            "plan": asdict(plan),
            "epochs_run": learner.epoch,
            "steps_run": learner.optimizer.steps,
            "failed": sum(r.failed is not None for r in records),
            "folds": count,
            "log_target": target.log,
            "parameters": sum(math.prod(shape) for shape in fitted.own_shapes(0).values()),
        },
    )


def _whole(courses: Courses, count: int) -> list[int]:
    """Return records' places setting by setting, fold by fold, where no fold has failed."""
    by_setting: dict[str, dict[int, int]] = {}
    for i, record in enumerate(courses.records):
        name = json.dumps({**record.settings, "fold": None}, sort_keys=True)
        if record.failed is None and record.best_epoch >= 0:
            by_setting.setdefault(name, {})[record.fold] = i
    return [
        places[fold]
        for places in by_setting.values()
        if len(places) == count
        for fold in range(count)
    ]


def _validation(
    population: Population, target: Target, rows: Rows, table: TrainingTable
) -> np.ndarray:
    """Return logits (S, N, K) or values (S, N) of each row by its own fold's members."""
    count = folds(table)
    settings = len(population) // count
    out = np.full((settings, len(table.target), population.shape.outputs), np.nan)
    with torch.inference_mode():
        for fold, judged in enumerate(rows.judged):
            own = population.select(range(fold, len(population), count)).to(rows.values.device)
            for start in range(0, len(judged), JUDGED):
                chunk = judged[start : start + JUDGED]
                values, codes, _ = rows.take(own.fold, chunk.expand(len(own), -1))
                raw = own.batch(values, codes)
                if not table.classes:
                    raw = target.to(raw.device)(raw, own.fold).unsqueeze(2)
                out[:, chunk.cpu().numpy()] = raw.double().cpu().numpy()
    target.cpu()
    return out if table.classes else out[:, :, 0]
