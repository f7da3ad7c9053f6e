"""How the next setting of a sweep is chosen: Optuna's samplers, one for each trial.

- A sampler is seeded by the study's seed and the trial's number, so that it does not matter when,
  or in which sitting, a trial is asked for.
"""

from __future__ import annotations

import hashlib
import warnings
from typing import TYPE_CHECKING, Any

import optuna

if TYPE_CHECKING:
    from collections.abc import Callable

    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler

    from flows.space import Space

LARGEST = 2**32  # seeds


def sampler_of(kind: str, seed: int, number: int, space: Space) -> BaseSampler:
    """Return the sampler for one trial."""

    def made(part: str = "") -> BaseSampler:
        return _plain(kind, seed, number, space, part)

    with quietly():
        return _Resumable(made)


def _plain(kind: str, seed: int, number: int, space: Space, part: str) -> BaseSampler:
    mixed = hashlib.sha256(f"{seed} {number} {part}".strip().encode()).digest()
    own = int.from_bytes(mixed[:4], "big") % LARGEST
    samplers = optuna.samplers
    if kind == "random":
        return samplers.RandomSampler(seed=own)
    if kind == "gp":
        return samplers.GPSampler(seed=own, warn_independent_sampling=False)
    if kind == "qmc":  # one sequence for all trials: its seed is the study's
        return _EvenSampler(space, seed % LARGEST, number, samplers.RandomSampler(seed=own))
    return samplers.TPESampler(
        seed=own,
        multivariate=True,
        group=space.conditional(),
        constant_liar=True,
        warn_independent_sampling=False,
    )


class _Resumable(optuna.samplers.BaseSampler):
    """A sampler whose every parameter has a seed of its own.

    A kill may cut a trial off between two parameters. What is already known is not drawn again,
    and with one stream for all of them the next would then get the first one's number.
    """

    def __init__(self, made: Callable[[str], BaseSampler]) -> None:
        self.made, self.whole = made, made("")

    def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, BaseDistribution]:
        """Ask the sampler."""
        return self.whole.infer_relative_search_space(study, trial)

    def sample_relative(self, study: Any, trial: Any, search_space: Any) -> dict[str, Any]:
        """Ask the sampler: all that depend on one another are drawn at once."""
        return self.whole.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Any, trial: Any, param_name: str, param_distribution: Any
    ) -> Any:
        """Ask one that is there for this parameter alone."""
        with quietly():
            own = self.made(param_name)
        return own.sample_independent(study, trial, param_name, param_distribution)


class _EvenSampler(optuna.samplers.QMCSampler):
    """A Sobol sequence over the whole space from the first trial on; a trial's place is its number.

    Optuna's own counts what it has drawn: a count that a kill cut off would skip a place.
    """

    def __init__(self, space: Space, seed: int, number: int, other: BaseSampler) -> None:
        super().__init__(
            scramble=True, seed=seed, independent_sampler=other, warn_independent_sampling=False
        )
        self.axes, self.number = distributions(space), number

    def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, BaseDistribution]:  # noqa: ARG002
        """Return every axis, whether it will be asked for or not."""
        return self.axes

    def _find_sample_id(self, study: Any, search_space: Any) -> int:  # noqa: ARG002
        return self.number


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """Return what Optuna is asked for, conditional parameters included."""
    kinds, found = optuna.distributions, dict[str, Any]()
    for name in space.searched:
        axis = space.axes[name]
        log, step = getattr(axis, "log", False), getattr(axis, "step", None)
        if axis.choices:
            found[name] = kinds.CategoricalDistribution(axis.choices)
        elif isinstance(axis.least, int):
            found[name] = kinds.IntDistribution(axis.least, axis.most, log, step or 1)
        else:
            found[name] = kinds.FloatDistribution(axis.least, axis.most, log, step)
    return found


def quietly() -> Any:
    """Keep back what Optuna says of features that may still change."""
    return warnings.catch_warnings(action="ignore")
