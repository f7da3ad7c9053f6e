"""What a model must reach before it is published, and how it is compared: `[gate]`."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from flows.duration import seconds_of
from flows.section import Names, Positive, Section, Share, Texts, as_tuple, refuse

Number = Annotated[float, Field(allow_inf_nan=False)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)] | str
PERCENT = re.compile(r"\s*\d+(\.\d+)?\s*%\s*")
DIRECTION = re.compile(r"(?:increase|decrease) (?P<column>.+) -> not (?:lower|higher) (?P<what>.+)")


class GateSpec(Section):
    """What a model must reach before it is published; `[gate]`."""

    metric: str | None = None
    """The metric that leads; left out: roc_auc, log_loss or rmse by task."""
    floors: dict[str, Number] = Field(default={})
    """Worst admissible test value by metric: a minimum, or a maximum for errors and losses."""
    floors_lower: dict[str, Number] = Field(default={})
    """The same for the bound of the interval that speaks against the model: a floor with
    confidence."""
    against_champion: Literal["better", "no_worse", "off"] = "no_worse"
    """What must be shown against the model in service, on rows that neither has seen. "better":
    that the new one is better; "no_worse": that it is not worse by the margin, nor worse by it than
    the last version that won as better or was set by hand."""
    margin: Amount | None = None
    """How much worse "no_worse" may be, in units of the metric or as "2%" of the champion's value;
    left out: 0.005 of a metric between 0 and 1, else "2%"."""
    confidence: Annotated[float, Field(ge=0.5, lt=1)] = 0.95
    """How sure a comparison must be, on one side, over all looks at the same rows together."""
    on_inconclusive: Literal["keep", "promote"] = "keep"
    """What becomes of a model when the comparison cannot tell. "keep": what is in service stays."""
    max_age: str | None = None
    """An older champion raises an alarm, never a promotion; such as "90d"."""
    min_referee: Annotated[int, Field(ge=2)] = 50
    """The fewest units (rows, or groups) that neither model has seen that a comparison may rest on."""
    min_match: Annotated[float, Field(ge=0, le=1)] = 0.95
    """The least share of the champion's rows that must be found again in today's data, so that rows
    known to it can be told; 0 where data is replaced as a whole, as by a new survey."""
    slices: Annotated[tuple[Names, ...], BeforeValidator(as_tuple)] = ()
    """Columns, or combinations of columns, in whose levels the model must not get worse."""
    find_slices: bool = True
    """Whether the slices where the model is worst are searched, on validation rows, and judged
    too."""
    slice_drop: Amount | None = None
    """The drop in a slice that must not go unseen: a slice too small to show it is "not judged".
    Left out: 0.05 of a metric between 0 and 1, else "10%"."""
    min_support: Annotated[int, Field(ge=10)] = 50
    """The fewest rows of a slice that is judged."""
    fairness: Names = ()
    """Columns between whose levels rates are compared in the report."""
    calibration: Literal["no_worse", "off"] = "no_worse"
    """Whether probabilities may get worse calibrated than the champion's."""
    conformal: Share | None = None
    """Coverage of prediction intervals or sets, such as 0.9; left out: none are made."""
    directions: Texts = ()
    """What must hold of the model's answers: "increase age -> not lower risk"."""
    robustness: dict[Literal["missing", "unseen", "noise"], Share] = Field(default={})
    """Least share of answers that must stay stable under such a disturbance of the test rows."""
    one_row_ms: Positive | None = None
    """The most that the median answer to one row may take."""
    one_row_p95_ms: Positive | None = None
    """The most that 95 of 100 answers to one row may take."""
    memory_gb: Positive | None = None
    """The most memory that the serving process may take."""
    serve: Literal["process", "http"] = "process"
    """How the model is questioned before it is registered: loaded in a fresh process, or through a
    real scoring server too."""
    mode: Literal["enforce", "dry_run", "disabled"] = "enforce"
    """"dry_run" judges and reports, and publishes nothing; "disabled" judges nothing: the model is
    registered as challenger, and a person may promote it."""

    @field_validator("margin", "slice_drop")
    @classmethod
    def _amount(cls, value: float | str | None) -> float | str | None:
        if isinstance(value, str) and not PERCENT.fullmatch(value):
            raise ValueError(f'must be a number or a share such as "2%", found {value!r}')
        return value

    @field_validator("max_age")
    @classmethod
    def _is_duration(cls, value: str | None) -> str | None:
        if value is not None:
            seconds_of(value)
        return value

    @field_validator("directions")
    @classmethod
    def _are_directions(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            if not DIRECTION.fullmatch(each):
                wanted = 'must read "increase COLUMN -> not lower TARGET" (decrease, higher)'
                raise ValueError(f"{wanted}, found {each!r}")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> GateSpec:
        if self.against_champion == "better" and self.margin is not None:
            refuse("gate.margin", 'belongs to against_champion = "no_worse", found "better"')
        return self
