"""The sections `[data]` and `[data.columns]`: where the table is and how its text is read."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, field_validator, model_validator

from flows.section import Kind, Name, Names, Section, Texts, as_tuple


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
    replace: dict[str, str] = Field(default={})
    """Cell texts to be replaced before anything else, such as {"<=50K." = "<=50K"}."""


class DataSpec(Section):
    """Where the table is, what its columns are for, and how its text is read; `[data]`."""

    source: str | Annotated[tuple[str, ...], BeforeValidator(as_tuple)]
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
    columns: dict[Name, ColumnSpec] = Field(default={})
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
