"""What may answer: settings of networks and rungs of the ladder, side by side.

- Probabilities are averaged, not logits; values where they were learned, that is before a
  logarithm is undone: just what the graph does.
- One candidate at a time is looked at: all of them as probabilities could be gigabytes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from models.ensemble import Scored
from models.model import Model, Networks, RungPart
from models.speed import form_seconds, member_seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.encode import TrainingTable
    from models.fitted import Fitted
    from models.rungs import FittedRung

OWN = ("seed", "fold", "trial")  # what differs between the seeds of one setting


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A setting of a fitted population, or a rung.

    `seconds` is what it costs for 100,000 rows by estimate; `pool` is the same for the seeds of
    one setting.
    """

    name: str
    pool: str
    seconds: float
    fitted: int = -1
    setting: int = -1
    rung: int = -1


class Candidates:
    """All that competes on the rows of one table."""

    def __init__(
        self, fitted: Sequence[Fitted], rungs: Sequence[FittedRung], table: TrainingTable
    ) -> None:
        """List every setting and every rung that can be served and covers the judged rows.

        Raises ValueError where populations were not trained on one encoding.
        """
        self.fitted, self.table = list(fitted), table
        self.rungs = [rung for rung in rungs if rung.form is not None]
        self.judged = table.fold >= 0
        _alike(self.fitted)
        found = [
            candidate
            for place in range(len(self.fitted))
            for candidate in _settings(place, self.fitted[place])
        ]
        found += [
            Candidate(name=rung.name, pool=rung.name, seconds=form_seconds(rung.form), rung=place)
            for place, rung in enumerate(self.rungs)
            if rung.form is not None
        ]
        reduced = [self._reduced(candidate) for candidate in found]
        whole = [bool(np.isfinite(values).all()) for values in reduced]
        self.all = [c for c, ok in zip(found, whole, strict=True) if ok]
        if not self.all:
            message = (
                "an ensemble needs validation predictions, found: not one candidate's are finite"
            )
            raise ValueError(message)
        self._values = np.stack([v for v, ok in zip(reduced, whole, strict=True) if ok])

    @property
    def classes(self) -> int:
        """The number of classes K, 0 for regression."""
        return self.table.classes

    def scored(self, budget: float) -> Scored:
        """Return what the choice looks at: the judged rows, and what candidates cost."""
        target = None if self.classes else self._target()[self.judged]
        _, pools = np.unique([candidate.pool for candidate in self.all], return_inverse=True)
        return Scored(
            values=self._values,
            target=target,
            weight=self.table.weight[self.judged].astype(np.float64),
            pools=pools,
            seconds=np.array([candidate.seconds for candidate in self.all]),
            budget=budget,
        )

    def _target(self) -> np.ndarray:
        log = self.fitted[0].target.log
        return np.log1p(self.table.target) if log else self.table.target

    def _reduced(self, candidate: Candidate) -> np.ndarray:
        """Return the judged rows' probability of the true class, or learned values."""
        values = self._learned(candidate)[self.judged]
        if not self.classes:
            return values
        codes = self.table.target[self.judged].astype(np.int64)
        return values[np.arange(len(codes)), codes]

    def _learned(self, candidate: Candidate) -> np.ndarray:
        """Return validation predictions as they are averaged: (N, K) probabilities, (N,) values."""
        if candidate.rung >= 0:
            return self.rungs[candidate.rung].validation
        fitted = self.fitted[candidate.fitted]
        values = fitted.validation[candidate.setting]
        if not self.classes:
            return np.log1p(values) if fitted.target.log else values
        shares = np.exp(values - values.max(axis=-1, keepdims=True))
        return shares / shares.sum(axis=-1, keepdims=True)

    def mixed(self, weights: np.ndarray) -> np.ndarray:
        """Return the weighted mean of learned predictions: (N, K), or (N,)."""
        used = np.flatnonzero(weights)
        return np.asarray(sum(weights[i] * self._learned(self.all[i]) for i in used))

    def model(self, weights: np.ndarray) -> Model:
        """Spread weights over folds; keep only what weighs anything."""
        return Model(
            encoder=self.fitted[0].encoder,
            target=self.fitted[0].target,
            networks=tuple(self._networks(weights)),
            rungs=tuple(self._rung_parts(weights)),
            classes=self.classes,
        )

    def _networks(self, weights: np.ndarray) -> list[Networks]:
        """Return the chosen members; those of one width together, as narrow ones cost less."""
        networks = []
        for place, fitted in enumerate(self.fitted):
            own = np.zeros(fitted.settings)
            for candidate, weight in zip(self.all, weights, strict=True):
                if candidate.fitted == place:
                    own[candidate.setting] = weight
            shares = np.repeat(own / fitted.folds, fitted.folds)
            population = fitted.population
            widths = np.array([m.width or population.config.width for m in population.members])
            for width in np.unique(widths[shares > 0]):
                used = np.flatnonzero((shares > 0) & (widths == width)).tolist()
                networks.append(Networks(population=population.select(used), shares=shares[used]))
        return networks

    def _rung_parts(self, weights: np.ndarray) -> list[RungPart]:
        return [
            RungPart(name=candidate.name, form=form, share=float(weight))
            for candidate, weight in zip(self.all, weights, strict=True)
            if candidate.rung >= 0
            and weight > 0
            and (form := self.rungs[candidate.rung].form) is not None
        ]


def _settings(place: int, fitted: Fitted) -> list[Candidate]:
    """Return a population's settings; `place` 0 is the training's own, others are a sweep's."""
    records = {r.setting: r for r in fitted.members if r.setting >= 0}
    network = fitted.population.network
    found = []
    for setting in range(fitted.settings):
        record = records[setting]
        member = fitted.population.members[setting * fitted.folds]
        seconds = member_seconds(fitted.population, member) * fitted.folds
        what = {k: v for k, v in record.settings.items() if k not in OWN}
        sizes = vars(fitted.population.config)
        pool = json.dumps([network, sizes, what], sort_keys=True, default=str)
        name = f"seed {record.seed}" if place == 0 else f"trial {record.settings['trial']}"
        found.append(
            Candidate(
                name=f"{network} {name}", pool=pool, seconds=seconds, fitted=place, setting=setting
            )
        )
    return found


def _alike(fitted: Sequence[Fitted]) -> None:
    """Refuse populations that read different encodings."""
    for other in fitted[1:]:
        for part in ("encoder", "target"):
            first, second = (getattr(each, part).state_dict() for each in (fitted[0], other))
            same = first.keys() == second.keys() and all(
                first[k].shape == second[k].shape and bool((first[k] == second[k]).all())
                for k in first
            )
            if not same:
                message = (
                    f"populations that answer together must share one {part}, however they differ"
                )
                raise ValueError(message)
