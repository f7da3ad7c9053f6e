"""The settings file as frozen, typed objects that check themselves.

- Every key here works; a key that does not work yet does not exist.
- Strict types: `"yes"` is not true, `1.5` is not a count, NaN is not a rate.
- Contradictions between keys are refused where the objects are made.
- `flows/settings.py` reads TOML into these objects and words the errors.
"""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

LARGEST_SEED = 2**63 - 1


def _as_tuple(value: Any) -> Any:
    """Let a TOML list, or a single string, stand for a tuple of names."""
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


def _nfc(value: str) -> str:
    """A column's name in the form in which tables are read: NFC."""
    return unicodedata.normalize("NFC", value)


Texts = Annotated[tuple[str, ...], BeforeValidator(_as_tuple)]
Name = Annotated[str, AfterValidator(_nfc)]
Names = Annotated[tuple[Name, ...], BeforeValidator(_as_tuple)]
Kind = Literal["number", "integer", "boolean", "category", "date", "text", "ignored"]
Task = Literal["binary", "multiclass", "regression"]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]


class Section(BaseModel):
    """Base of all sections: frozen, strict, no unknown keys, docstrings as descriptions."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        use_attribute_docstrings=True,
        protected_namespaces=(),
    )


class ColumnSpec(Section):
    """How the cells of one column are read; `[data.columns."name"]`."""

    kind: Kind | None = None
    """What the column is; only needed where the contract's proposal would guess wrong."""
    missing: Texts = ()
    """Tokens that mean missing in this column, beside `data.missing`."""
    decimal: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    """The decimal mark of this column; left out: `data.decimal`."""
    thousands: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    """The mark between groups of three digits; left out: `data.thousands`."""
    format: str | None = None
    """A date's format in strptime codes, such as "%d/%m/%Y"; left out: ISO 8601."""
    true: Texts = ()
    """Tokens that mean true; left out: true, yes, t, y, 1 in any case."""
    false: Texts = ()
    """Tokens that mean false; left out: false, no, f, n, 0 in any case."""
    replace: dict[str, str] = {}
    """Cell texts to be replaced before anything else, such as {"<=50K." = "<=50K"}."""


class DataSpec(Section):
    """Where the table is, what its columns are for, and how its text is read; `[data]`."""

    source: str | Annotated[tuple[str, ...], BeforeValidator(_as_tuple)]
    """A CSV, TSV or Parquet file (gzip too), a glob, a folder of parts, a list of these,
    "sklearn:breast_cancer", or "file.py:function" returning a DataFrame. ${NAME} stands for an
    environment variable."""
    target: Annotated[Name, Field(min_length=1)]
    """The column to be predicted."""
    id: Names = ()
    """The column or columns that identify a row; never features."""
    group: Name | None = None
    """Rows of one group (a customer, a patient) stay on one side; not where the split is by time."""
    time: Name | None = None
    """When the row came to be; needed by `split.by = "time"`; never a feature."""
    weight: Name | None = None
    """How much a row counts, above 0, in the loss and in every metric; never a feature."""
    drop: Names = ()
    """Columns that are not used."""
    contract: str | None = None
    """The contract file; left out: `<settings>.contract.toml` beside the settings, proposed
    on the first run."""
    max_fraction: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)] = 0.01
    """Share of bad rows that may be set aside before the data is refused."""
    separator: Annotated[str, Field(min_length=1, max_length=1)] = ","
    """The character between two cells of a text file."""
    encoding: str = "utf-8"
    """The text encoding; a byte-order mark is always understood."""
    decimal: Annotated[str, Field(min_length=1, max_length=1)] = "."
    """The decimal mark."""
    thousands: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    """The mark between groups of three digits; left out: none."""
    quote: Annotated[str, Field(max_length=1)] = '"'
    """The quoting character; "" for none."""
    header: bool = True
    """Whether the first record holds the column names."""
    names: Names | None = None
    """The column names of a file without a header."""
    missing: Texts = ("",)
    """Cell texts that mean missing, compared after blanks around them are stripped."""
    columns: dict[Name, ColumnSpec] = {}
    """Read options of single columns."""
    outside: bool = False
    """Allow symbolic links and ".." that lead out of the settings' folder."""

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str) -> str:
        import codecs

        try:
            codecs.lookup(value)
        except LookupError:
            msg = f"must be a text encoding that Python knows, such as utf-8 or cp949, found {value!r}"
            raise ValueError(msg) from None
        return value

    @model_validator(mode="after")
    def _consistent(self) -> DataSpec:
        if not self.source:
            raise ValueError("source must name at least one table, found an empty list")
        if not self.header and not self.names:
            raise ValueError("names must list the columns when header = false")
        if self.decimal == self.thousands:
            raise ValueError(f"decimal and thousands must differ, both are {self.decimal!r}")
        roles = [("target", self.target), *(("id", name) for name in self.id)]
        roles += [(r, v) for r in ("group", "time", "weight") if (v := getattr(self, r))]
        roles += [("drop", name) for name in self.drop]
        self._one_role_each([(r, n) for r, n in roles if (r, n) != ("group", self.group)])
        if self.group and self.group in {self.target, self.weight, *self.drop}:
            raise ValueError(
                f"group must not be the target, the weight or dropped, found {self.group!r}"
            )
        return self

    @staticmethod
    def _one_role_each(roles: list[tuple[str, str]]) -> None:
        seen: dict[str, str] = {}
        for role, name in roles:
            if name in seen:
                msg = f"a column has one role, but {name!r} is both {seen[name]} and {role}"
                raise ValueError(msg)
            seen[name] = role


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
        if value is not None and not re.fullmatch(r"\d+(\.\d+)?\s*(d|h|min|m|s|w)", value):
            msg = f'must be a duration such as "7d", "12h" or "30min", found {value!r}'
            raise ValueError(msg)
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

    network: Literal["mlp"] = "mlp"
    """The family of networks."""
    members: Annotated[int, Field(ge=1, le=64)] = 4
    """Seeds per fold."""
    epochs: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """The most passes over the train rows; early stopping usually ends before."""
    batch: Annotated[int, Field(ge=2, le=1_000_000)] | None = None
    """Rows per step; left out: by the size of the table."""
    lr: Positive | None = None
    """Peak learning rate."""
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
    embedding: Literal["piecewise", "periodic"] | None = None
    """How a number becomes a vector."""
    patience: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """Epochs without a better validation loss before a member stops."""
    class_weight: Literal["none", "balanced"] = "none"
    """Whether rare classes weigh more in the loss."""
    log_target: Literal["auto"] | bool = "auto"
    """Whether a regression learns log(1 + y); "auto": where the target is heavy-tailed."""
    ensemble: Literal["greedy", "best"] = "greedy"
    """Whether the model is a selection of seeds or the single best seed."""
    inference_seconds: Positive = 1.5
    """The most time that 100,000 rows may take on the exported graph; bounds the ensemble. Half a
    second more goes into reading the rows."""
    seed: Seed = 0
    """Seed of the networks; the split has its own."""


class DecisionSpec(Section):
    """What a wrong label costs; `[decision]`."""

    costs: dict[str, dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]]]
    """Cost by true label, then predicted label: `costs.bad.good = 5`."""


class GateSpec(Section):
    """What a model must reach before it is published; `[gate]`."""

    metric: str | None = None
    """The metric that leads; left out: roc_auc, log_loss or rmse by task."""
    floors: dict[str, Annotated[float, Field(allow_inf_nan=False)]] = {}
    """Worst admissible test value by metric: a minimum, or a maximum for errors and losses."""
    mode: Literal["enforce", "dry_run"] = "enforce"
    """"dry_run" judges and reports, and publishes nothing."""


class KeepSpec(Section):
    """How long the home keeps what can be made again; `[keep]`."""

    days: Annotated[int, Field(ge=1)] = 90
    """Cached stages, quarantined rows and run folders older than this are removed."""
    gigabytes: Positive = 20.0
    """The cache's largest size; what was used longest ago goes first."""


class Spec(Section):
    """One settings file: from a table to a registered model."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    """Name of the experiment and of the registered model."""
    task: Task | None = None
    """Left out: inferred from the target, and reported."""
    data: DataSpec
    split: SplitSpec = SplitSpec()
    train: TrainSpec = TrainSpec()
    decision: DecisionSpec | None = None
    gate: GateSpec = GateSpec()
    keep: KeepSpec = KeepSpec()
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
        return self

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
