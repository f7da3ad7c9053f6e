"""Successive halving: at a rung all trials are compared at the same epoch, and the worse stop.

- The schedule of the learning rate falls monotonically after a short warm-up and is the same for
  all, so that a comparison at equal epochs is one at equal points of it.
- Scores of earlier batches at the same rung (`standing`) take part in the comparison.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, kw_only=True)
class Halving:
    """The epochs after which trials are compared, and the share 1 / `factor` that goes on."""

    rungs: tuple[int, ...]
    factor: int = 3

    @classmethod
    def of(cls, epochs: int, *, factor: int = 3, least: int | None = None) -> Halving:
        """Return rungs for trainings of `epochs`, none before `least` epochs.

        `least` left out: an eighth of the epochs, and at least 2.
        """
        least = max(2, epochs // 8) if least is None else least
        rungs, rung = [], least
        while rung * 2 <= epochs:
            rungs.append(rung)
            rung *= factor
        return cls(rungs=tuple(rungs), factor=factor)

    def stopped(self, scores: Mapping[int, float], standing: Sequence[float] = ()) -> set[int]:
        """Return the trials (numbers) that do not go on; lower scores are better.

        A trial goes on that is among the best 1 / factor of all that have reached the rung; of
        the first batch at least one always is.
        """
        everyone = sorted([*scores.values(), *standing])
        if not everyone:
            return set()
        limit = everyone[math.ceil(len(everyone) / self.factor) - 1]
        return {number for number, score in scores.items() if score > limit}
