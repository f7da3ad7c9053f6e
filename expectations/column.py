"""One column of a contract: its role, its kind, how its cells are read, and its rules.

- Contradictions (min above max, levels of a number, a feature that is text) are refused when made.
- A date bound without a time means the whole day; one with an offset is taken to UTC.
- What `penstock contract propose` would change stands in `proposed` and binds nobody.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, model_validator

from expectations.part import Bound, Levels, Mark, Part, Texts

Role = Literal["feature", "target", "id", "group", "time", "weight", "text", "ignored"]
Kind = Literal["number", "integer", "boolean", "category", "date", "text", "ignored"]
RuleType = Literal[
    "range", "levels", "present", "length", "pattern", "alphabet", "missing_share", "unique"
]
Severity = Literal["critical", "warning"]
Applies = Literal["both", "training", "serving"]

NUMERIC = ("number", "integer")
KINDS_OF_ROLE: dict[str, tuple[str, ...]] = {
    "feature": ("number", "integer", "boolean", "category", "date"),
    "target": ("number", "integer", "boolean", "category"),
    "time": ("date", "number", "integer"),
    "weight": NUMERIC,
}
PRESENT_ROLES = ("target", "id", "group", "time", "weight")  # a row without it cannot be used


class Proposed(Part):
    """What the data would need beyond a column's rules; `proposed = { max = 130 }`."""

    kind: Kind | None = None
    min: Bound = None
    max: Bound = None
    levels: Levels | None = None
    """Levels to be added, in this order."""
    max_length: Annotated[int, Field(ge=1)] | None = None
    alphabet: Annotated[str, Field(min_length=1)] | None = None
    missing_share: Annotated[float, Field(ge=0, le=1)] | None = None


class Column(Part):
    """One column; `[columns."name"]`."""

    role: Role = "feature"
    """What the column is for; roles of the settings win, except that both must name one target."""
    kind: Kind
    """What every cell that is not missing must be."""
    required: bool = True
    """Whether the table must have the column."""
    missing: Texts = ()
    """Cell texts that mean missing in this column, beside `data.missing` of the settings."""
    decimal: Mark | None = None
    """The decimal mark; left out: the settings'."""
    thousands: Mark | None = None
    """The mark between groups of three digits; left out: the settings'."""
    format: str | None = None
    """A date's format in strptime codes; left out: ISO 8601."""
    zone: Literal["aware", "naive"] | None = None
    """Whether every date has a time zone, or none has; left out: as most of the table's dates."""
    true: Texts = ()
    """Cell texts that mean true."""
    false: Texts = ()
    """Cell texts that mean false."""
    replace: dict[str, str] = Field(default={})
    """Cell texts to be replaced before anything else."""
    present: bool | None = None
    """Whether every row must have a cell; left out: yes for target, id, group, time and weight."""
    min: Bound = None
    """Smallest value, inclusive; a date without quotes for kind date."""
    max: Bound = None
    """Largest value, inclusive; a date without a time means the whole day."""
    strict_min: bool = False
    """Whether `min` itself is forbidden."""
    strict_max: bool = False
    """Whether `max` itself is forbidden."""
    levels: Levels | None = None
    """The texts that a category may hold."""
    ordered: bool = False
    """Whether `levels` go from the lowest to the highest, so that checks may compare them."""
    min_length: Annotated[int, Field(ge=1)] | None = None
    """Fewest characters of a text."""
    max_length: Annotated[int, Field(ge=1)] | None = None
    """Most characters of a text."""
    alphabet: Annotated[str, Field(min_length=1)] | None = None
    """The characters of a text, ranges with a hyphen: "0-9A-F-"."""
    pattern: str | None = None
    """A regular expression (Python's) that the whole text must match."""
    unique: bool = False
    """Whether no two rows of a table may hold the same cell; the served model sees no table."""
    missing_share: Annotated[float, Field(ge=0, le=1)] | None = None
    """Largest share of rows whose cell may be missing."""
    accepted: bool | dict[RuleType, bool] | None = None
    """Whether this column's proposed rules bind, or single ones; left out: as the contract's."""
    proposed: Proposed | None = None
    """What `contract propose` found that the rules do not allow yet; not part of the digest."""
    applies: Applies | dict[RuleType, Applies] | None = None
    """Where the rules of single rows are judged: `training` (ingest), `serving`, or `both`."""
    severity: Severity | dict[RuleType, Severity] | None = None
    """Of this column's rules, or of single ones: `{ range = "critical" }`."""
    note: str = ""
    """For people: why it is so. Not part of the digest."""

    @model_validator(mode="after")
    def _consistent(self) -> Column:
        kinds = KINDS_OF_ROLE.get(self.role, get_args(Kind))
        if self.kind not in kinds:
            hint = '; role = "ignored" keeps a column out' if self.role == "feature" else ""
            msg = f"kind of a {self.role} must be {' or '.join(kinds)}, found {self.kind}{hint}"
            raise ValueError(msg)
        self._needs(("decimal", "thousands"), NUMERIC)
        self._needs(("format", "zone"), ("date",))
        self._needs(("true", "false"), ("boolean", "category"))
        self._needs(("min", "max"), (*NUMERIC, "date"))
        texts = ("levels", "min_length", "max_length", "alphabet", "pattern")
        self._needs(texts, ("category", "text"))
        self._bounds()
        self._texts()
        if self.levels is not None and len(set(self.levels)) < max(len(self.levels), 1):
            msg = f"levels must name each allowed text once, found {list(self.levels)}"
            raise ValueError(msg)
        if self.decimal is not None and self.decimal == self.thousands:
            msg = f"decimal and thousands must differ, both are {self.decimal!r}"
            raise ValueError(msg)
        return self

    def _texts(self) -> None:
        if (self.min_length or 0) > (self.max_length or float("inf")):
            msg = f"min_length must not be above max_length, found {self.min_length} and {self.max_length}"
            raise ValueError(msg)
        if self.ordered and self.levels is None:
            raise ValueError("ordered needs levels, the lowest first")
        wanted = {"alphabet": "characters and ranges", "pattern": "a regular expression"}
        for name, pattern in (("alphabet", self.character_class), ("pattern", self.pattern)):
            try:
                re.compile(pattern or "")
            except re.error as error:
                msg = f"{name} must be {wanted[name]}, found {getattr(self, name)!r}: {error}"
                raise ValueError(msg) from None

    @property
    def character_class(self) -> str | None:
        """`alphabet` as a regular expression: nothing but ranges has a meaning in it."""
        if self.alphabet is None:
            return None
        return f"[{re.sub(r'([^-])', lambda found: re.escape(found[0]), self.alphabet)}]*"

    def _needs(self, names: tuple[str, ...], kinds: tuple[str, ...]) -> None:
        if self.kind in (*kinds, "ignored"):
            return
        for name in names:
            if getattr(self, name) not in (None, ()):
                msg = f"{name} needs kind {' or '.join(kinds)}, but kind is {self.kind}"
                raise ValueError(msg)

    def _bounds(self) -> None:
        wanted, what = (date, "a date such as 2020-01-31, without quotes")
        if self.kind != "date":
            wanted, what = (int | float, "a number")
        for name in ("min", "max"):
            bound = getattr(self, name)
            if bound is not None and self.kind != "ignored" and not isinstance(bound, wanted):
                msg = f"{name} of kind {self.kind} must be {what}, found {bound}"
                raise ValueError(msg)
        low, high = self.low, self.high
        if low is not None and high is not None and low > high:  # pyright: ignore[reportOperatorIssue]
            msg = f"min must not be above max, found min = {self.min} and max = {self.max}"
            raise ValueError(msg)

    @property
    def low(self) -> int | float | datetime | None:
        """`min` as a number or a naive datetime (UTC where the bound has an offset)."""
        return _moment(self.min, time.min)

    @property
    def high(self) -> int | float | datetime | None:
        """`max` as a number or a naive datetime; a bare date means its last microsecond."""
        return _moment(self.max, time.max)

    @property
    def must_be_present(self) -> bool:
        """Whether a missing cell breaks the row."""
        return self.role in PRESENT_ROLES if self.present is None else self.present

    def row_rules(self) -> list[tuple[RuleType, dict[str, Any]]]:
        """Return the rules that judge single rows: type and plain JSON arguments."""
        rules: list[tuple[RuleType, dict[str, Any]]] = []
        if self.must_be_present:
            rules.append(("present", {}))
        if self.low is not None or self.high is not None:
            strict = {"strict_min": self.strict_min, "strict_max": self.strict_max}
            rules.append(("range", {"min": _plain(self.low), "max": _plain(self.high)} | strict))
        if self.levels is not None:
            rules.append(("levels", {"levels": list(self.levels)}))
        if self.max_length is not None or self.min_length is not None:
            shortest = {} if self.min_length is None else {"min": self.min_length}
            rules.append(("length", {**shortest, "max": self.max_length}))
        if self.alphabet is not None:
            rules.append(("alphabet", {"pattern": self.character_class, "alphabet": self.alphabet}))
        if self.pattern is not None:
            rules.append(("pattern", {"pattern": self.pattern}))
        return rules

    def applies_to(self, rule: RuleType, place: Applies) -> bool:
        """Whether one of `row_rules` is judged at a place."""
        said = self.applies.get(rule) if isinstance(self.applies, dict) else self.applies
        return said in (None, "both", place)


def _moment(bound: Bound, clock: time) -> int | float | datetime | None:
    if isinstance(bound, datetime):
        return bound.astimezone(UTC).replace(tzinfo=None) if bound.tzinfo else bound
    return datetime.combine(bound, clock) if isinstance(bound, date) else bound


def _plain(bound: float | datetime | None) -> float | str | None:
    return bound.isoformat() if isinstance(bound, datetime) else bound
