"""Which of a sweep's parameters mattered: fANOVA over trials that are comparable."""

from __future__ import annotations

from typing import TYPE_CHECKING

import optuna

from flows.sampler import LARGEST, distributions, quietly

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from flows.space import Space

TREES = 24  # of the forest: enough for two digits
FEWEST = 8
"""Trials below which an importance would be noise."""


def importance(
    space: Space, rows: Iterable[tuple[Mapping[str, Any], float]], seed: int = 0
) -> dict[str, float]:
    """Return each searched parameter's share of what made scores differ; {} where it is too little.

    Args:
        space: what was searched.
        rows: parameters and score of trials that are comparable.
        seed: of the forest that explains the scores (fANOVA).

    """
    known = list(rows)
    if len(known) < FEWEST or len({score for _, score in known}) < FEWEST // 2:
        return {}
    asked = distributions(space)
    made = optuna.create_study(direction="minimize")
    for parameters, score in known:
        own = {name: parameters[name] for name in asked if name in parameters}
        made.add_trial(
            optuna.trial.create_trial(
                params=own, distributions={name: asked[name] for name in own}, value=score
            )
        )
    evaluator = optuna.importance.FanovaImportanceEvaluator(n_trees=TREES, seed=seed % LARGEST)
    with quietly():
        try:
            found = optuna.importance.get_param_importances(made, evaluator=evaluator)
        except (RuntimeError, ValueError):  # every score alike, or no parameter common to all
            return {}
    return {name: float(share) for name, share in found.items()}
