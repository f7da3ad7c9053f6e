"""What is looked for as a leak, how strictly, and what a person has accepted: `[leaks]`."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, field_validator, model_validator

from expectations.leaks import LeakType, Level
from flows.section import Name, Names, Section, Share, as_tuple


class AcceptedSpec(Section):
    """A finding that a person has looked at and knows to be no leak."""

    type: LeakType
    """The type of the finding."""
    column: Name | None = None
    """The column that it names; left out: a finding about rows."""
    reason: Annotated[str, Field(min_length=3, max_length=500)]
    """Why it is no leak; stands in the report, in summary.json and on the model's card."""

    @field_validator("reason")
    @classmethod
    def _is_said(cls, value: str) -> str:
        if not any(letter.isalpha() for letter in value):
            raise ValueError(f"must say in words why it is no leak, found {value!r}")
        return value


class LeaksSpec(Section):
    """How leaks are looked for; `[leaks]`. Each type has a level: "auto" refuses what is sure and
    warns of what is suspicious, "error" refuses both, "warn" refuses nothing, "off" does not look.
    """

    test_set: Level = "auto"
    """The test rows are rows of their own: no row or identity is on two sides."""
    preprocessing: Level = "auto"
    """Nothing was scaled, filled or encoded with rows that judge: the canary, and traces in the
    columns."""
    selection: Level = "auto"
    """No column, level or bin was chosen with rows that judge: the canary."""
    duplicates: Level = "auto"
    """Test rows that are nearly a train row."""
    illegitimate: Level = "auto"
    """Features that cannot be known when the model is asked: copies and parts of the target, gaps
    that tell it, row numbers, columns that come too late."""
    temporal: Level = "auto"
    """Train rows that are later than test rows."""
    dependent: Level = "auto"
    """Rows of one customer, patient or device on two sides."""
    population: Level = "auto"
    """Test rows that a classifier can tell from train rows."""
    duplicates_share: Share = 0.5
    """The share of test rows that may be nearly a train row before that refuses."""
    deny: Names = ()
    """Columns that must never be a feature, such as "settled_*"; patterns with * and ?."""
    accept: Annotated[tuple[AcceptedSpec, ...], BeforeValidator(as_tuple)] = ()
    """Findings that were looked at: [{type = "illegitimate", column = "x", reason = "..."}]."""

    @model_validator(mode="after")
    def _once(self) -> LeaksSpec:
        seen = [(each.type, each.column) for each in self.accept]
        twice = [pair for pair in seen if seen.count(pair) > 1]
        if twice:
            about = f" about {twice[0][1]!r}" if twice[0][1] else ""
            raise ValueError(f'accept must name a finding once, "{twice[0][0]}"{about} is twice')
        return self
