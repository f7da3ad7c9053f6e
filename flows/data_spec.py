"""The sections `[data]` and `[data.columns]`: where the table is and how its text is read."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from flows.derive import Formula, FormulaError, formulas
from flows.derive_roles import check_roles
from flows.duration import seconds_of
from flows.fetch_spec import HttpSpec
from flows.quarantine_limits import Fractions
from flows.section import Kind, Name, Names, Section, Texts, as_tuple, refuse


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
    unit: (
        Annotated[str, Field(min_length=1, max_length=20, pattern=r"^[^\s\d+.,-](.*\S)?$")] | None
    ) = None
    """A sign or word beside each number, before or behind it, such as "€", "km" or "%" ("5 %" is
    then 5); it is taken off where it stands."""
    format: str | None = None
    """A date's format in strptime codes, such as "%d/%m/%Y"; left out: ISO 8601."""
    true: Texts = ()
    """Tokens that mean true; left out: true, yes, t, y, 1 in any case."""
    false: Texts = ()
    """Tokens that mean false; left out: false, no, f, n, 0 in any case."""
    replace: dict[str, str] = Field(default={})
    """Cell texts to be replaced before anything else, such as {"<=50K." = "<=50K"}."""
    aliases: Names = ()
    """Names that the column had, or has in some parts; they are read as this one."""


class DataSpec(Section):
    """Where the table is, what its columns are for, and how its text is read; `[data]`."""

    source: str | Annotated[tuple[str, ...], BeforeValidator(as_tuple)]
    """A CSV, TSV, JSON lines (these with gzip, too), Parquet or Excel file, a glob, a pattern with
    a date ("orders-{date:%Y%m%d}.csv"), a folder of parts, an address (https://, ftp://, s3://,
    "feed:https://..." for RSS, "sql:..." for a database), a list of these, "sklearn:breast_cancer",
    or "file.py:function" returning a DataFrame. ${NAME} stands for an environment variable."""
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
    only: Names = ()
    """Columns that are read, beside those with a role and those of formulas; left out: all. The
    others are not even looked at, so they take no memory."""
    sample: Annotated[int, Field(ge=100)] | None = None
    """Rows of `source` that are used, chosen by what they hold (the id, where one is declared), so
    the same are chosen again when the table has grown or lies in another order; left out: all."""
    contract: str | None = None
    """The contract file; left out: `<settings>.contract.toml` beside the settings, proposed
    on the first run."""
    max_fraction: Fractions = 0.01
    """Share of bad rows that may be set aside before the data is refused; or a table of shares:
    { total = 0.01, "age.range" = 0.001 }, by rule id, by column or by a pattern of either."""
    bad_files: Literal["refuse", "quarantine"] = "refuse"
    """What to do about parts of a source of many parts that cannot be read. "quarantine": they are
    set aside whole, counted and said, and the others are used."""
    max_bad_files: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)] = 0.1
    """Share of the parts, and of their bytes, that `bad_files = "quarantine"` may set aside."""
    query: str | None = None
    """The rows of an "sql:" source: one SELECT, with ORDER BY where the order should stay."""
    sheet: Annotated[str, Field(min_length=1)] | Annotated[int, Field(ge=1)] | None = None
    """The sheet of a workbook, by name or by place from 1; left out: the only one with cells."""
    http: HttpSpec = HttpSpec()
    last: str | None = None
    """Of a source with {date}: the span that is read, such as "30d", counted back from the newest
    part; left out: all."""
    columns_differ: Literal["refuse", "fill"] = "refuse"
    """What to do about parts without a column that others have. "fill": their cells are missing,
    which is said. Old names of a column are mapped by `aliases`."""
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
    skip_lines: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Lines of a text file, or rows of a workbook, that stand above the header in every part: a
    title, a date, blank ones too. Other sources have none."""
    header: bool = True
    """Whether the first record holds the column names."""
    names: Names | None = None
    """The column names of a file without a header."""
    missing: Texts = ("",)
    """Cell texts that mean missing, compared after blanks around them are stripped."""
    columns: dict[Name, ColumnSpec] = Field(default={})
    """Read options of single columns."""
    derive: dict[Name, str] = Field(default={})
    """New columns, the target too, as formulas over those of the same row: `tipped = "tips > 0.2 *
    fare"`. What there is: docs/sources.md."""
    keep: Names = ()
    """Columns that a derived target is made from and that stay features all the same, because they
    are known when a row is scored."""
    outside: bool = False
    """Allow symbolic links and ".." that lead out of the settings' folder."""

    @field_validator("last")
    @classmethod
    def _is_duration(cls, value: str | None) -> str | None:
        if value is not None:
            seconds_of(value)
        return value

    @field_validator("columns")
    @classmethod
    def _one_meaning(cls, value: dict[str, ColumnSpec]) -> dict[str, ColumnSpec]:
        seen: dict[str, str] = {}
        for name, column in value.items():
            for old in column.aliases:
                if old in value or old in seen:
                    refuse(
                        f"data.columns.{name}", f"alias {old!r} is another column's name or alias"
                    )
                seen[old] = name
        return value

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
        entries = (self.source,) if isinstance(self.source, str) else self.source
        if both := sorted({*self.only} & {*self.drop}):
            raise ValueError(f"a column is read or dropped, but {both[0]!r} is in only and in drop")
        if self.last and not any("{date" in entry for entry in entries):
            raise ValueError("last needs a date in the source, such as orders-{date}.csv")
        check_roles(self)
        roles = [("target", self.target), *(("id", name) for name in self.id)]
        roles += [(r, v) for r in ("group", "time", "weight") if (v := getattr(self, r))]
        roles += [("drop", name) for name in self.drop]
        self._one_role_each([(r, n) for r, n in roles if (r, n) != ("group", self.group)])
        if self.group and self.group in {self.target, self.weight, *self.drop}:
            raise ValueError(
                f"group must not be the target, the weight or dropped, found {self.group!r}"
            )
        return self

    @property
    def formulas(self) -> tuple[Formula, ...]:
        """The formulas of `derive`, each after those that it uses."""
        return tuple(formulas(self.derive))

    @field_validator("derive")
    @classmethod
    def _sound(cls, value: dict[str, str]) -> dict[str, str]:
        try:
            formulas(value)
        except FormulaError as error:
            refuse(f"data.derive.{error.name}", str(error))
        return value

    @staticmethod
    def _one_role_each(roles: list[tuple[str, str]]) -> None:
        seen: dict[str, str] = {}
        for role, name in roles:
            if name in seen:
                msg = f"a column has one role, but {name!r} is both {seen[name]} and {role}"
                raise ValueError(msg)
            seen[name] = role
