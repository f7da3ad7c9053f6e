"""The settings of a sweep and of what it runs on: `[sweep]`, `[sweep.space]`, `[execution]`.

- The names in the space are settings of a training; a condition that can never hold is refused.
- Contradictions with other sections are refused by `check`, which the whole spec calls.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from flows.axis import Axis, Floats, Whole, Words, among, within
from flows.duration import seconds_of
from flows.section import Section, refuse

if TYPE_CHECKING:
    from flows.spec import Spec

FAMILIES = ("mlp", "tabm")
ONLY = {"heads": ("tabm",)}
"""Parameters that not every family has, with those that have them."""
CLASSES_ONLY = ("label_smoothing", "class_weight")
"""Parameters that a regression does not have."""
SHORTEST_BUDGET = 1.0  # seconds


class SpaceSpec(Section):
    """What the sweep searches: a value, a list, or a range for each parameter; `[sweep.space]`.

    A parameter left out keeps its value of `[train]`. Without this section the family's own
    published space is searched.
    """

    network: Annotated[Words | None, AfterValidator(among(*FAMILIES))] = None
    """Families of networks."""
    optimizer: Annotated[Words | None, AfterValidator(among("adamw", "lion", "sgd"))] = None
    """How a step is made. The same learning rate means other things to each: search it too, over a
    range that holds what all of them need."""
    lr: Annotated[Floats | None, AfterValidator(within(0, 1e9, above=True))] = None
    """Peak learning rate."""
    weight_decay: Annotated[Floats | None, AfterValidator(within(0, 100))] = None
    """Decoupled weight decay."""
    dropout: Annotated[Floats | None, AfterValidator(within(0, 1, below=True))] = None
    """Share of hidden units dropped while training."""
    label_smoothing: Annotated[Floats | None, AfterValidator(within(0, 1, below=True))] = None
    """Share of probability spread over all classes; not for a regression."""
    width: Annotated[Whole | None, AfterValidator(within(1, 8192))] = None
    """Units per hidden layer; widths of one group train together."""
    depth: Annotated[Whole | None, AfterValidator(within(1, 16))] = None
    """Hidden layers."""
    batch: Annotated[Whole | None, AfterValidator(within(2, 1_000_000))] = None
    """Rows per step; at most the train rows of a fold."""
    embedding: Annotated[Words | None, AfterValidator(among("piecewise", "periodic", "none"))] = (
        None
    )
    """How a number becomes a vector."""
    activation: Annotated[Words | None, AfterValidator(among("relu", "silu", "mish", "selu"))] = (
        None
    )
    """What stands between two layers."""
    number_size: Annotated[Whole | None, AfterValidator(within(1, 256))] = None
    """Length of the vector that a number becomes; where there is an embedding."""
    heads: Annotated[Whole | None, AfterValidator(within(1, 256))] = None
    """Predictions that share a network's weights; "tabm" only."""
    class_weight: Annotated[Words | None, AfterValidator(among("none", "balanced"))] = None
    """Whether rare classes weigh more in the loss; not for a regression."""

    @property
    def axes(self) -> dict[str, Axis]:
        """The axes that are given, in the order in which they are asked."""
        given = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: axis for name, axis in given.items() if axis is not None}


class SweepSpec(Section):
    """A search for good settings before the training proper; `[sweep]`.

    Without this section nothing is searched: `train.members` seeds of one setting are trained.
    Trials are judged on validation rows or folds; test rows are never handed to a sweep.
    """

    enabled: bool = True
    """false: as if this section were not there."""
    trials: Annotated[int, Field(ge=1, le=100_000)] = 32
    """The most settings that are tried."""
    budget: str | None = None
    """The longest that a sweep may take, such as "10m"; sittings that were killed count."""
    patience: Annotated[int, Field(ge=1)] | None = None
    """Trials without a better one before the sweep stops; left out: none."""
    sampler: Literal["tpe", "random", "qmc", "gp"] = "tpe"
    """How the next settings are chosen: by what did well, at random, evenly spread, or by a
    Gaussian process (slow)."""
    halving: bool = True
    """Whether the worse trials are stopped early, at equal epochs."""
    factor: Annotated[int, Field(ge=2, le=10)] = 3
    """Of how many trials one goes on at each rung of the halving."""
    min_epochs: Literal["auto"] | Annotated[int, Field(ge=1, le=10_000)] = "auto"
    """Epochs that every trial is given; "auto": by the most epochs."""
    min_finished: Annotated[int, Field(ge=1)] = 1
    """Fewer trials than these with a finite loss at their end fail the run."""
    batch: Literal["auto"] | Annotated[int, Field(ge=1, le=4096)] = "auto"
    """Trials asked for at once; they train together, and the next ones know how they did. "auto": 32."""
    learning_curve: bool = False
    """Whether the best trial's settings are trained on 1/8, 1/4, 1/2 and all rows too, to see
    whether more data would help."""
    storage: str | None = None
    """An Optuna database, such as "postgresql+psycopg://..."; ${NAME} stands for an environment
    variable. Left out: a journal file in the home."""
    study: Annotated[str, Field(min_length=1, max_length=400)] | None = None
    """The study's name in `storage`; left out: the name of the settings with a digest."""
    space: SpaceSpec | None = None
    """What is searched; left out: the family's own published space."""

    @field_validator("budget")
    @classmethod
    def _is_budget(cls, value: str | None) -> str | None:
        if value is not None and seconds_of(value) < SHORTEST_BUDGET:
            raise ValueError(f"must be at least {SHORTEST_BUDGET:g} s, found {value!r}")
        return value

    @field_validator("storage")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        if value is not None and "://" not in value and not value.startswith("${"):
            raise ValueError('must be a database URL such as "postgresql+psycopg://host/optuna"')
        return value

    @model_validator(mode="after")
    def _consistent(self) -> SweepSpec:
        if self.study is not None and self.storage is None:
            raise ValueError("study names a study in storage: give both, or neither")
        if self.min_finished > self.trials:
            raise ValueError(
                f"min_finished must be at most trials, found {self.min_finished} of {self.trials}"
            )
        if self.space is not None:
            _check_space(self.space, self.trials)
        return self

    @property
    def seconds(self) -> float | None:
        """The budget in seconds; None: no end."""
        return None if self.budget is None else seconds_of(self.budget)


class ExecutionSpec(Section):
    """Which processes train the groups of a sweep; `[execution]`. The outcome is the same."""

    runner: Literal["local", "dask"] = "local"
    """Processes of this machine, or of a Dask cluster."""
    workers: Annotated[int, Field(ge=1, le=1024)] | None = None
    """How many processes; left out: one for each core, or as many as the cluster has."""
    address: str | None = None
    """The Dask scheduler, such as "tcp://host:8786"; left out: a cluster on this machine."""

    @model_validator(mode="after")
    def _consistent(self) -> ExecutionSpec:
        if self.address is not None and self.runner != "dask":
            raise ValueError('address needs runner = "dask"')
        return self

    @property
    def processes(self) -> int:
        """How many processes train on this machine."""
        return self.workers or len(os.sched_getaffinity(0))

    @property
    def helpers(self) -> int:
        """How many processes train beside the run's own."""
        return self.processes - 1 if self.runner == "local" else 0


def _check_space(space: SpaceSpec, trials: int) -> None:
    axes = space.axes
    if not axes:
        known = ", ".join(SpaceSpec.model_fields)
        refuse("sweep.space", f"names nothing to search; leave it out, or give of {known}")
    if trials > 1 and all(axis.single for axis in axes.values()):
        refuse(
            "sweep.space",
            f"holds a single setting, but {trials} trials are asked for; give a range or a list",
        )


def check(spec: Spec) -> None:
    """Refuse what contradicts the rest of the settings; raises as a validator does."""
    train, sweep = spec.train, spec.sweep
    if sweep is None:
        return
    space = sweep.space or SpaceSpec()
    families = space.network.choices if space.network else (train.network,)
    for name in space.axes:
        having = ONLY.get(name, FAMILIES)
        if not set(having) & set(families):
            mine = [n for n in SpaceSpec.model_fields if families[0] in ONLY.get(n, FAMILIES)]
            refuse(
                f"sweep.space.{name}",
                f"{' and '.join(families)} has no {name}, {' and '.join(having)} has; "
                f"a sweep of {families[0]} may search {', '.join(mine)}",
            )
        if name in CLASSES_ONLY and spec.task == "regression":
            refuse(f"sweep.space.{name}", "needs classes, but task is regression")
    if space.class_weight and train.balance not in ("none", "stratify"):
        refuse(
            "sweep.space.class_weight",
            f'and train.balance = "{train.balance}" do the same: give one',
        )
    embeddings = space.embedding.choices if space.embedding else (train.embedding,)
    if space.number_size and set(embeddings) == {"none"}:
        refuse("sweep.space.number_size", 'needs an embedding, but embedding is "none"')
    if sweep.min_epochs != "auto" and train.epochs is not None and sweep.min_epochs > train.epochs:
        refuse(
            "sweep.min_epochs",
            f"must be at most train.epochs, found {sweep.min_epochs} of {train.epochs}",
        )


def check_table(sweep: SweepSpec, *, rows: int, regression: bool) -> None:
    """Raise ValueError, as "<parameter>: <what must hold>", where the space does not fit the table.

    `rows` are the train rows of the smallest fold.
    """
    axes = sweep.space.axes if sweep.space else {}
    batch = axes.get("batch")
    if batch is not None and batch.most > rows:
        raise ValueError(
            f"batch: every value must be at most the {rows:,} train rows of a fold, "
            f"found {batch.most:,}"
        )
    for name in CLASSES_ONLY:
        if name in axes and regression:
            raise ValueError(f"{name}: needs classes, but the target is a number")
