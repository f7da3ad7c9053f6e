"""How columns become what networks read, all of it learned on train rows; `[features]`.

- What cannot be served is refused here, with the reason, before anything is computed.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from flows.section import Section, refuse


class ReduceSpec(Section):
    """Components of the numbers, which networks read in their stead; `[features.reduce]`."""

    kind: Literal["pca", "autoencoder"]
    """Principal components of the scaled numbers, or the middle layer of a small network that was
    trained to give them back."""
    size: Annotated[int, Field(ge=1, le=1024)]
    """How many components; as many as there are numbers where these are fewer."""
    join: bool = False
    """Whether the numbers stay beside them."""


class FeaturesSpec(Section):
    """How columns become what networks read, learned on train rows; `[features]`.

    Rungs of the ladder read the columns in their own ways.
    """

    impute: Literal["median", "mice", "masked", "gain", "forest", "auto"] = "median"
    """What fills a missing number, beside the column that says it was missing: the median; chained
    linear regressions ("mice"); a network that learned to guess hidden cells ("masked"); GAIN; or
    "auto", whichever does best on validation rows."""
    scale: Literal["robust", "standard", "minmax", "quantile"] = "robust"
    """How numbers are scaled: by median and quartiles, mean and deviation, the range, or rank."""
    clip: Annotated[float, Field(ge=0, lt=0.5, allow_inf_nan=False)] = 0.0
    """Share of train cells at either end of a number beyond which cells are held."""
    drop_outliers: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """A train row is not learned from that has a number farther than so many robust widths (the
    middle half's, as a standard deviation) from the median of a fold's train rows. Rows that judge or
    are scored never go."""
    rare: Annotated[int, Field(ge=1)] = 2
    """Train rows below which a category's level counts as unknown."""
    levels: Annotated[int, Field(ge=1, le=100_000)] = 1024
    """The most levels of a category that have a vector of their own, the commonest first."""
    buckets: Annotated[int, Field(ge=0, le=100_000)] = 128
    """Vectors that levels beyond `levels` share, by a hash of their text; 0: they are unknown."""
    dates: Literal["parts", "cyclic"] = "parts"
    """What a date becomes: its parts (year, month, day, weekday, hour, days); "cyclic": beside them
    sine and cosine of where it lies in its year, its week and its day."""
    drop_constant: Annotated[float, Field(gt=0.5, le=1, allow_inf_nan=False)] | None = None
    """A column is dropped of which one value, or the missing one, fills at least this share of the
    train rows; 1.0: constant columns alone."""
    drop_correlated: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = None
    """Of two numbers whose correlation in train rows is at least this, the later one is dropped."""
    keep: Annotated[int, Field(ge=1)] | None = None
    """The most columns that are read: those that say most of the target in most of ten halves of
    the train rows."""
    keep_by: Literal["information", "importance"] = "information"
    """What says most: the information that a column alone shares with the target, or how much worse
    boosting answers without what the column adds to all others."""
    interactions: Annotated[int, Field(ge=0, le=64)] = 0
    """The most products and quotients of two numbers that come beside them, found in the train rows
    where they say what single columns do not. Those that you know are `[data.derive]`'s."""
    reduce: ReduceSpec | None = None
    """Components in the numbers' stead; left out: none."""

    @field_validator("impute")
    @classmethod
    def _can_be_served(cls, value: str) -> str:
        if value == "forest":
            msg = (
                '"forest" needs a set of trees for every column and round, which no served graph '
                'can answer in time; choose "mice" or "masked", or fill the table beforehand with '
                "models.impute.IMPUTERS"
            )
            raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def _consistent(self) -> FeaturesSpec:
        if self.keep is None and self.keep_by != "information":
            refuse("features.keep_by", "says how features.keep chooses: give that too")
        return self
