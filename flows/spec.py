"""The settings file as frozen, typed objects that check themselves.

- Every key here works; a key that does not work yet does not exist.
- Contradictions between keys are refused where the objects are made.
- `flows/settings.py` reads TOML into these objects and words the errors.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from flows.data_spec import DataSpec
from flows.duration import check_cron, check_zone, seconds_of
from flows.features_spec import FeaturesSpec
from flows.file_kind import has_lines
from flows.gate_spec import GateSpec
from flows.leaks_spec import LeaksSpec
from flows.section import Positive, Section, Seed, Share, Task, refuse
from flows.sweep_spec import ExecutionSpec, SweepSpec
from flows.sweep_spec import check as check_sweep

SHORTEST_INTERVAL = 10  # seconds


class SplitSpec(Section):
    """Which rows train, which validate and which decide; `[split]`."""

    by: Literal["row", "group", "time", "given"] = "row"
    """What keeps rows together: their identity, their group, their time, or a given test file."""
    test: Share = 0.2
    """Share of rows that decide once, at the end."""
    validation: Share = 0.2
    """Share of rows for early stopping and selection, where there are no folds."""
    folds: Literal["auto"] | Annotated[int, Field(ge=0, le=50)] = "auto"
    """Number of folds; "auto": 5 below 10,000 rows, else 0 (one validation side)."""
    rare: Literal["error", "merge", "train_only"] = "error"
    """What to do with classes that are too small for every side."""
    test_source: str | None = None
    """The test file of `by = "given"`; read like `data.source`."""
    embargo: str | None = None
    """A gap left out between the sides of `by = "time"`, such as "7d" or "12h"."""
    seed: Seed = 0
    """Another seed gives another split."""

    @field_validator("embargo")
    @classmethod
    def _is_duration(cls, value: str | None) -> str | None:
        if value is not None:
            seconds_of(value)
        return value

    @model_validator(mode="after")
    def _consistent(self) -> SplitSpec:
        if self.folds == 1:
            raise ValueError("folds must be 0 (one validation side) or at least 2, found 1")
        if (self.by == "given") != (self.test_source is not None):
            raise ValueError('by = "given" and test_source belong together: give both or neither')
        if self.by == "time" and isinstance(self.folds, int) and self.folds:
            raise ValueError('by = "time" keeps the order of rows, so folds must be 0 or "auto"')
        if self.embargo and self.by != "time":
            raise ValueError('embargo needs by = "time"')
        if self.test + self.validation >= 1:
            raise ValueError(
                f"test + validation must leave rows to train on, found {self.test} + {self.validation}"
            )
        return self


class TrainSpec(Section):
    """The population of networks and how it is trained; `[train]`.

    A value left out takes the network's own default, which the report shows as resolved.
    """

    network: Literal["mlp", "tabm"] = "mlp"
    """The family of networks: perceptrons, or "tabm", many predictions over shared weights."""
    members: Annotated[int, Field(ge=1, le=64)] = 4
    """Seeds per fold."""
    epochs: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """The most passes over the train rows; early stopping usually ends before."""
    batch: Annotated[int, Field(ge=2, le=1_000_000)] | None = None
    """Rows per step; left out: by the size of the table."""
    optimizer: Literal["adamw", "lion", "sgd"] = "adamw"
    """How a step is made; "sgd" has Nesterov momentum."""
    lr: Positive | None = None
    """Peak learning rate; left out: by network and optimizer."""
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """Decoupled weight decay."""
    dropout: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)] | None = None
    """Share of hidden units dropped while training."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)] | None = None
    """Share of probability spread over all classes."""
    width: Annotated[int, Field(ge=1, le=8192)] | None = None
    """Units per hidden layer."""
    depth: Annotated[int, Field(ge=1, le=16)] | None = None
    """Hidden layers."""
    embedding: Literal["piecewise", "periodic", "none"] | None = None
    """How a number becomes a vector."""
    number_size: Annotated[int, Field(ge=1, le=256)] | None = None
    """Length of that vector; left out: by the size of the table."""
    activation: Literal["relu", "silu", "mish", "selu"] | None = None
    """What stands between two layers."""
    heads: Annotated[int, Field(ge=1, le=256)] | None = None
    """Predictions that share a network's weights; "tabm" only."""
    patience: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """Epochs without a better validation loss before a member stops."""
    class_weight: Literal["none", "balanced"] = "none"
    """Whether rare classes weigh more in the loss; calibration has to make up for it."""
    balance: Literal["none", "under", "over", "weights", "stratify"] = "none"
    """How classes are balanced while networks train: each member drops other rows of common classes,
    draws rows of rare ones more often, or weighs these more. Answers are corrected to the true
    shares inside the graph. "stratify" balances nothing: every batch has each class in its share."""
    log_target: Literal["auto"] | bool = "auto"
    """Whether a regression learns log(1 + y); "auto": where the target is heavy-tailed."""
    ensemble: Literal["greedy", "best"] = "greedy"
    """Whether the model is a selection of seeds or the single best seed."""
    inference_seconds: Positive = 1.5
    """The most time that 100,000 rows may take on the exported graph; bounds the ensemble. Half a
    second more goes into reading the rows."""
    seed: Seed = 0
    """Seed of the networks; the split has its own."""

    @model_validator(mode="after")
    def _consistent(self) -> TrainSpec:
        if self.heads is not None and self.network != "tabm":
            refuse("train.heads", f'needs network = "tabm", found "{self.network}"')
        if self.balance not in ("none", "stratify") and self.class_weight != "none":
            refuse(
                "train.balance", f'and class_weight = "{self.class_weight}" do the same: give one'
            )
        if self.number_size is not None and self.embedding == "none":
            refuse("train.number_size", 'needs an embedding, but embedding is "none"')
        return self


class DecisionSpec(Section):
    """What a wrong label costs; `[decision]`."""

    costs: dict[str, dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]]]
    """Cost by true label, then predicted label: `costs.bad.good = 5`."""


class KeepSpec(Section):
    """How long the home keeps what can be made again; `[keep]`."""

    days: Annotated[int, Field(ge=1)] = 90
    """Cached stages, quarantined rows and run folders older than this are removed."""
    gigabytes: Positive = 20.0
    """The largest size of the cache, and of the quarantine; what was used longest ago goes first."""


class ScheduleSpec(Section):
    """When `penstock deploy` lets the servers run these settings by themselves; `[schedule]`.

    Give `cron` or `interval`; without either, a deployment runs only when somebody starts it.
    """

    cron: str | None = None
    """Five cron fields, such as "0 3 * * *": every night at three."""
    interval: str | None = None
    """Time from one run to the next, such as "15min", "6h" or "1d"; at least 10 seconds."""
    timezone: str = "UTC"
    """The time zone that the clock is read in, such as "Asia/Seoul"."""
    overlap: Literal["wait", "skip"] = "wait"
    """What a run does that finds another run of the same name under way. "wait": it begins when
    that one has ended; runs that piled up meanwhile are one run, as it sees their data too.
    "skip": it ends at once, as Skipped."""
    timeout: str | None = None
    """The longest that a scheduled run may take, such as "6h"; then it fails and frees its place.
    Waiting for another run does not count."""

    @field_validator("cron")
    @classmethod
    def _is_cron(cls, value: str | None) -> str | None:
        if value is not None:
            check_cron(value)
        return value

    @field_validator("timezone")
    @classmethod
    def _is_zone(cls, value: str) -> str:
        check_zone(value)
        return value

    @field_validator("interval", "timeout")
    @classmethod
    def _is_duration(cls, value: str | None) -> str | None:
        if value is not None and seconds_of(value) < SHORTEST_INTERVAL:
            raise ValueError(f"must be at least {SHORTEST_INTERVAL} s, found {value!r}")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> ScheduleSpec:
        if self.cron and self.interval:
            raise ValueError("give cron or interval, not both")
        return self

    @property
    def on_a_clock(self) -> bool:
        """Whether runs start by themselves."""
        return bool(self.cron or self.interval)


class ServersSpec(Section):
    """Where `penstock up SPEC` listens; `[servers]`. Its options win over these."""

    host: str = "127.0.0.1"
    """The address; another than loopback needs credentials in the environment."""
    prefect_port: Annotated[int, Field(ge=1, le=65_535)] | None = None
    """The Prefect server's port; left out: that of last time, else a free one."""
    mlflow_port: Annotated[int, Field(ge=1, le=65_535)] | None = None
    """The MLflow server's port; left out: that of last time, else a free one."""
    runs: Annotated[int, Field(ge=1, le=64)] = 2
    """The most runs under way at once, those that wait for another included."""


class Spec(Section):
    """One settings file: from a table to a registered model."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    """Name of the experiment and of the registered model."""
    task: Task | None = None
    """Left out: inferred from the target, and reported."""
    data: DataSpec
    split: SplitSpec = SplitSpec()
    leaks: LeaksSpec = LeaksSpec()
    features: FeaturesSpec = FeaturesSpec()
    train: TrainSpec = TrainSpec()
    sweep: SweepSpec | None = None
    """A search before the training; left out: none."""
    execution: ExecutionSpec = ExecutionSpec()
    decision: DecisionSpec | None = None
    gate: GateSpec = GateSpec()
    keep: KeepSpec = KeepSpec()
    schedule: ScheduleSpec = ScheduleSpec()
    servers: ServersSpec = ServersSpec()
    path: Annotated[Path | None, Field(exclude=True)] = None
    """Where the settings were read from; set by the reader, refused in the file."""

    @field_validator("name")
    @classmethod
    def _registry_name(cls, value: str) -> str:
        if re.search(r"[/:\\\x00-\x1f]", value) or value != value.strip() or value.startswith("."):
            rule = "must not hold / : \\ or control characters, nor begin with a dot or end with a blank"
            msg = f"{rule}, found {value!r}"
            raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Spec:
        needs = {"group": self.data.group, "time": self.data.time}
        if self.split.by in needs and needs[self.split.by] is None:
            raise ValueError(f'split.by = "{self.split.by}" needs data.{self.split.by}')
        if self.decision and self.task == "regression":
            raise ValueError("decision.costs needs a classification, but task is regression")
        if self.train.balance != "none" and self.task == "regression":
            refuse("train.balance", "needs classes, but task is regression")
        self._has_lines_to_skip()
        check_sweep(self)
        return self

    def _has_lines_to_skip(self) -> None:
        source = self.data.source
        entries = [*((source,) if isinstance(source, str) else source), self.split.test_source]
        if self.data.skip_lines and not any(entry and has_lines(entry) for entry in entries):
            refuse("data.skip_lines", "needs a text file or a workbook; others have no such lines")

    @property
    def search(self) -> SweepSpec | None:
        """The sweep to be made; None: there is none, or it is switched off."""
        return self.sweep if self.sweep and self.sweep.enabled else None

    @property
    def folder(self) -> Path:
        """The folder that relative paths of the settings start from."""
        return (self.path.parent if self.path else Path.cwd()).resolve()

    @property
    def contract_path(self) -> Path:
        """Where the contract lies, or will be written when it is proposed."""
        if self.data.contract:
            return self.folder / self.data.contract
        stem = self.path.stem if self.path else self.name
        return self.folder / f"{stem}.contract.toml"
