"""Which trials train in one population: those of one shape, as many as memory and cores allow.

- What cannot differ inside one tensor makes a group; a narrower member is padded to the group's
  width where that costs less than a population of its own.
- Estimates rest on operations and sizes alone, so the same trials always make the same groups.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING

from models.embed import Shape

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from models.encode import Encoder
    from models.networks import MLPConfig
    from models.settings import Plan
    from models.trials import Trial

RATE = 50e9  # products and sums per second of one thread
STEP = 1e-3  # seconds that a step costs whatever its size
MEMORY = 1 << 30  # bytes that one population may take
COPIES = 6  # of the parameters: values, gradients, two moments, best, scratch
UNEVEN = 1.2  # times an even share of the work, above which a group is divided
WORTH = 2.0  # seconds of work below which a group is not divided among processes


@dataclass(frozen=True, kw_only=True)
class Group:
    """Trials that train side by side; `width` is their network's, `plan` that of the widest."""

    trials: tuple[Trial, ...]
    plan: Plan
    folds: int
    inputs: int
    """Units that enter the first hidden layer."""
    outputs: int

    @property
    def members(self) -> int:
        """Return how many members it has."""
        return len(self.trials) * self.folds

    @property
    def bytes(self) -> int:
        """Estimate what it takes in memory."""
        config, batch = self.plan.config, self.plan.batch
        parameters = sum(_products(config, self.inputs, self.outputs))
        activations = batch * (
            3 * self.inputs + 3 * _heads(config) * config.width * (config.depth + 1)
        )
        return 4 * self.members * (COPIES * parameters + activations + (1 << 16))

    @property
    def seconds_per_epoch(self) -> float:
        """Estimate what an epoch takes one thread."""
        return self.plan.steps * (STEP + self.members * _step_seconds(self))

    def halves(self) -> tuple[Group, Group]:
        """Return two groups that hold half of the trials each."""
        middle = (len(self.trials) + 1) // 2
        return (
            replace(self, trials=self.trials[:middle]),
            replace(self, trials=self.trials[middle:]),
        )


def _products(config: MLPConfig, inputs: int, outputs: int) -> tuple[int, int, int]:
    inner = config.width * config.width * (config.depth - 1)
    return inputs * config.width, inner, config.width * outputs * _heads(config)


def _heads(config: MLPConfig) -> int:
    return getattr(config, "heads", 1)


def _step_seconds(group: Group) -> float:
    """Estimate one member's share of a step: forward and twice as much backward."""
    config = group.plan.config
    first, inner, last = _products(config, group.inputs, group.outputs)
    per_row = _heads(config) * (first + inner) + last
    return 6 * per_row * group.plan.batch / RATE


def group(trials: Sequence[Trial], encoder: Encoder, *, size: int, outputs: int) -> list[Group]:
    """Sort trials into groups of one shape, for `size` train rows and `outputs` per head."""
    folds = len(encoder.known)
    made = []
    by_shape = sorted(((_shape(trial, size), trial) for trial in trials), key=lambda pair: pair[0])
    for _, same in groupby(by_shape, key=lambda pair: pair[0]):
        own = [trial for _, trial in same]
        by_width = []
        for same_width in _by_width(own, size):
            plan = same_width[0].settings.plan(size)
            inputs = plan.config.inputs(_entering(encoder, plan.bins, outputs))
            by_width.append(
                Group(
                    trials=tuple(same_width), plan=plan, folds=folds, inputs=inputs, outputs=outputs
                )
            )
        made += _merged(by_width)
    return made


def _shape(trial: Trial, size: int) -> tuple[str, ...]:
    """What must be equal inside one population, width excepted."""
    settings, plan = trial.settings, trial.settings.plan(size)
    config = replace(plan.config, width=1)
    rest = (
        plan.optimizer,
        plan.epochs,
        plan.batch,
        plan.steps,
        plan.patience,
        plan.least,
        plan.bins,
    )
    return settings.network, settings.precision, repr(config), repr(rest)


def _by_width(trials: Iterable[Trial], size: int) -> list[list[Trial]]:
    def width(trial: Trial) -> int:
        return trial.settings.plan(size).config.width

    ordered = sorted(trials, key=lambda trial: (width(trial), trial.number))
    return [list(same) for _, same in groupby(ordered, key=width)]


def _merged(groups: list[Group]) -> list[Group]:
    """Pad a narrower group of one shape to the next width where that is cheaper; widths rise."""
    merged: list[Group] = []
    for wide in groups:
        if merged:
            before = merged[-1]
            own = before.members * _step_seconds(before)
            padded = before.members * _step_seconds(wide)
            if padded - own < STEP:
                merged[-1] = replace(wide, trials=(*before.trials, *wide.trials))
                continue
        merged.append(wide)
    return merged


def divided(groups: Sequence[Group], *, workers: int, epochs: int) -> list[Group]:
    """Divide groups that are too big for memory, or that would leave a process without work.

    The biggest come first.
    """
    jobs = list(groups)

    def asked(job: Group) -> bool:
        if len(job.trials) < 2 or job.bytes > MEMORY:
            return len(job.trials) > 1
        seconds = job.seconds_per_epoch * epochs
        share = sum(each.seconds_per_epoch for each in jobs) * epochs / workers
        return workers > 1 and seconds > max(WORTH, UNEVEN * share)

    while too_big := next(filter(asked, jobs), None):
        jobs.remove(too_big)
        jobs += too_big.halves()
    return sorted(jobs, key=lambda job: -job.seconds_per_epoch)


def _entering(encoder: Encoder, bins: int, outputs: int) -> Shape:
    return Shape(
        numbers=encoder.entering,
        indicators=len(encoder.indicator),
        levels=tuple(encoder.sizes),
        outputs=outputs,
        bins=bins,
    )
