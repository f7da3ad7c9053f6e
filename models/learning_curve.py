"""Would more data help: one setting trained on parts of the rows, as one population.

- Every part is judged on the same rows; each takes as many steps as the whole does, so that less
  data is not less training. Encoder and target scale are those of all train rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from models.balancing import PRIOR
from models.fit import learner_of
from models.learner import run
from models.threads import one_thread

if TYPE_CHECKING:
    from models.course import MemberRecord
    from models.fit import Encoded
    from models.settings import TrainSettings

SHARES = (0.125, 0.25, 0.5, 1.0)
WORTH = 0.005  # share of the loss below which a gain is none
WIDE = 0.1  # share of the validation loss between it and the training loss that is called wide

SAID = {
    True: "more rows should help",
    False: "more rows would hardly help",
    None: "that is within noise, and whether more rows would help cannot be told",
}


@dataclass(frozen=True, kw_only=True)
class Point:
    """One part of the rows: how many, the loss on validation and on the rows themselves.

    `scores` are by fold and seed, `score` and `train` means over them; `error` is the standard error
    of the score, None for one fold and seed.
    """

    share: float
    rows: int
    score: float | None
    error: float | None
    train: float | None
    scores: tuple[float, ...] = ()
    comparable: bool = True
    """Whether both losses are of the same shares of classes."""


def learning_curve(encoded: Encoded, settings: TrainSettings) -> list[Point]:
    """Train a setting on growing parts of the train rows; parts hold one another."""
    plan = settings.plan(encoded.size)
    members = [
        replace(member, share=share, trial=place)
        for place, share in enumerate(SHARES)
        for member in settings.population(encoded.count)
    ]
    learner = learner_of(encoded, settings, plan, members)
    with one_thread():
        run(learner)
    records = learner.courses.records
    alike = settings.balance in PRIOR and settings.class_weight == "none"
    return [
        replace(
            _point(share, encoded, [r for r in records if r.settings["trial"] == place]),
            comparable=alike,
        )
        for place, share in enumerate(SHARES)
    ]


def _point(share: float, encoded: Encoded, records: list[MemberRecord]) -> Point:
    rows = round(share * encoded.size)
    whole = [r for r in records if r.failed is None and math.isfinite(r.best)]
    if not whole:
        return Point(share=share, rows=rows, score=None, error=None, train=None)
    scores = [record.best for record in whole]
    return Point(
        share=share,
        rows=rows,
        score=fmean(scores),
        error=stdev(scores) / math.sqrt(len(scores)) if len(scores) > 1 else None,
        train=fmean(record.train[record.best_epoch] for record in whole),
        scores=tuple(scores),
    )


def diagnosis(points: list[Point]) -> dict[str, Any]:
    """Say in a sentence whether more data would help, and how far training and validation part."""
    known = [p for p in points if p.score is not None and p.train is not None]
    if len(known) < 2 or known[-1].share < 1.0:
        return {"helps": None, "sentence": "The learning curve is too short to say anything."}
    half, whole = known[-2], known[-1]
    assert half.score is not None  # noqa: S101 - see `known`
    assert whole.score is not None  # noqa: S101
    gains = [a - b for a, b in zip(half.scores, whole.scores, strict=False)]
    gain = half.score - whole.score
    noise = stdev(gains) / math.sqrt(len(gains)) if len(gains) > 1 else 0.0
    seen = gain > WORTH * abs(half.score)
    helps = None if seen and gain <= noise else seen
    went = f"fell by {gain / half.score:.1%}" if gain > 0 else "did not fall"
    first = f"From {half.rows:,} to {whole.rows:,} rows the validation loss {went}: {SAID[helps]}."
    if not whole.comparable:
        return {"helps": helps, "sentence": first}
    gap = whole.score - (whole.train or 0.0)
    second = (
        "It lies well above the training loss: the error is variance more than bias."
        if gap > WIDE * abs(whole.score)
        else "It is close to the training loss: the error is bias or noise, which a larger network "
        "or better columns may lower."
    )
    return {"helps": helps, "sentence": f"{first} {second}"}
