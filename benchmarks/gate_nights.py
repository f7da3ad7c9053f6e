"""Sequences of nights under the gate: on the same test rows, with models whose truth is known.

- `equal`: challengers as good as the champion, night after night. `worse`: worse by exactly the
  margin. `creep`: each a twentieth of the margin worse than what is in service by then.
- Beside the gate stand the rules that others use: the higher number wins, and an interval at 95 %
  (one-sided) that is not paid for. Both see the same answers.
- Calibration is not judged here: it can only hold back more.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.gate_worlds import METRICS, Metric, World, verdict
from expectations.gate import Rules
from expectations.looks import FIRST

if TYPE_CHECKING:
    from collections.abc import Iterable

NIGHTS, YEAR = 30, 365
MARGINS: dict[Metric, float] = {"accuracy": 0.02, "roc_auc": 0.01, "rmse": 0.02}
CREEP_MARGIN, STEPS = 0.005, 20
ALPHA = 0.05


def rules(metric: Metric, against: str, margin: float | None = None) -> Rules:
    """The gate's rules in one metric; a margin of an unbounded one is a share."""
    given: float | str | None = margin
    if margin is not None and metric == "rmse":
        given = f"{100 * margin:g}%"
    return Rules(metric=metric, against_champion=against, margin=given, calibration="off")  # pyright: ignore[reportArgumentType]


def unspent(known: Rules) -> Rules:
    """The same rules at 95 % on one side in every look, as if each were the first and only one."""
    return replace(known, confidence=1 - ALPHA / FIRST)


def equal(metric: Metric, seeds: Iterable[int], *, rows: int = 2000) -> dict[str, float]:
    """Share of seeds in which an equal model is promoted as better within thirty nights."""
    return _any_night(metric, seeds, rules(metric, "better"), rows, loss=0.0)


def worse(metric: Metric, seeds: Iterable[int], *, rows: int = 2000) -> dict[str, float]:
    """Share of seeds in which a model worse by the margin passes as no worse within thirty."""
    margin = MARGINS[metric]
    return _any_night(metric, seeds, rules(metric, "no_worse", margin), rows, loss=margin)


def _any_night(
    metric: Metric, seeds: Iterable[int], known: Rules, rows: int, *, loss: float
) -> dict[str, float]:
    found = []
    for seed in seeds:
        world = World(metric, rows, seed)
        champion = world.model()
        hit = {"gate": 0, "first_look": 0, "unspent": 0, "point": 0}
        for night in range(1, NIGHTS + 1):
            challenger = world.model(loss)
            judged = verdict(challenger, champion, known, look=night)
            free = verdict(challenger, champion, unspent(known))
            hit["gate"] |= judged.outcome == "promote"
            hit["first_look"] |= night == 1 and judged.outcome == "promote"
            hit["unspent"] |= free.outcome == "promote"
            hit["point"] |= judged.findings[0].numbers["value"] > 0
        found.append(hit)
    return {name: float(np.mean([hit[name] for hit in found])) for name in found[0]}


def creep(
    seed: int,
    *,
    spent: bool = True,
    anchored: bool = True,
    fresh: int = YEAR,
    nights: int = YEAR,
    rows: int = 20_000,
) -> dict[str, Any]:
    """Nights in which each challenger is a twentieth of the margin worse than the champion.

    Args:
        seed: of rows and models.
        spent: whether looks are paid for.
        anchored: whether the anchor is asked.
        fresh: after how many nights the test rows are new ones and looks start again.
        nights: how many.
        rows: how many test rows.

    Returns:
        How many margins the champion has lost at the end against the first one, and the promotions.

    """
    known = rules("accuracy", "no_worse", CREEP_MARGIN)
    known = known if spent else unspent(known)
    lost, anchor_lost, promoted = 0.0, 0.0, 0
    world, champion, anchor = _rows(rows, seed, 0, 0.0, 0.0)
    for night in range(nights):
        if night and night % fresh == 0:
            world, champion, anchor = _rows(rows, seed, night, lost, anchor_lost)
        step = lost + CREEP_MARGIN / STEPS
        challenger = world.model(step)
        judged = verdict(
            challenger,
            champion,
            known,
            look=night % fresh + 1 if spent else 1,
            anchor=anchor if anchored else None,
        )
        if judged.outcome == "promote":
            champion, lost, promoted = challenger, step, promoted + 1
            if judged.rule == "better":
                anchor, anchor_lost = challenger, step
    return {"lost": lost / CREEP_MARGIN, "promoted": promoted}


def _rows(
    rows: int, seed: int, night: int, lost: float, anchor_lost: float
) -> tuple[World, Any, Any]:
    """New test rows, and what champion and anchor say of them."""
    world = World("accuracy", rows, seed * 1000 + night, discordance=0.05)
    return world, world.model(lost), world.model(anchor_lost)


def years(seeds: int, **how: Any) -> dict[str, float]:
    """The creep over several seeds: the most and the mean that was lost, and the promotions."""
    found = [creep(seed, **how) for seed in range(seeds)]
    lost = [each["lost"] for each in found]
    return {
        "most": max(lost),
        "mean": float(np.mean(lost)),
        "promoted": float(np.mean([each["promoted"] for each in found])),
    }


def sequences(seeds: int, *, every: bool = True) -> dict[str, Any]:
    """Equal models and models worse by the margin, in each metric, and the worst of the metrics."""
    metrics = METRICS if every else METRICS[:1]
    table = {
        name: {metric: task(metric, range(seeds)) for metric in metrics}
        for name, task in (("equal", equal), ("worse", worse))
    }

    def most(name: str, rule: str) -> float:
        return max(found[rule] for found in table[name].values())

    return {
        "equal_promoted_30_nights": most("equal", "gate"),
        "equal_promoted_30_nights_unspent": most("equal", "unspent"),
        "equal_promoted_30_nights_point_rule": most("equal", "point"),
        "worse_by_margin_promoted": most("worse", "gate"),
        "worse_by_margin_promoted_first_look": most("worse", "first_look"),
        "worse_by_margin_promoted_unspent": most("worse", "unspent"),
        "sequences": table,
    }
