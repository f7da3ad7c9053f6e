"""Rules over several columns of one row: `[[rules]]`, in the language of `check_language.py`.

- A missing cell compares to nothing: it neither meets a condition nor breaks one; `present` and
  `missing` ask for it.
- Numbers compare with numbers, dates with dates, categories by their order where they have one.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, model_validator

from expectations.check_language import Condition, parsed
from expectations.column import Applies, Column, Severity
from expectations.part import Part

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


class Rule(Part):
    """One rule over the cells of a row; `[[rules]]`."""

    check: Annotated[str, Field(min_length=1)]
    """What must hold of every row: `a <= b`, or `if a = "x" then b present`."""
    id: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    """Its name in reports, after `check.`; left out: the check itself."""
    severity: Severity = "critical"
    """`critical` sets rows aside, `warning` is reported."""
    applies: Applies = "both"
    """Where it is judged; one that needs a column the served model lacks is for training alone."""
    note: str = ""
    """For people: why it is so. Not part of the digest."""

    @model_validator(mode="after")
    def _readable(self) -> Rule:
        parsed(self.check)
        return self

    @property
    def rule_id(self) -> str:
        """The rule's id in failures and answers."""
        return f"check.{self.id or ' '.join(self.check.split())}"

    def resolved(self, columns: Mapping[str, Column]) -> dict[str, Any]:
        """Return the rule as the reading schema holds it.

        Raises:
            ValueError: a column is not in the contract, or cannot be compared like that.

        """
        try:
            when, then = ([_fitted(c, columns) for c in part] for part in parsed(self.check))
        except ValueError as error:
            msg = f"check {self.check!r}: {error}"
            raise ValueError(msg) from None
        names = [n for c in (*then, *when) for n in (c.column, c.other) if n is not None]
        return {
            "id": self.rule_id,
            "column": names[0],
            "columns": list(dict.fromkeys(names)),
            "type": "check",
            "severity": self.severity,
            "text": " ".join(self.check.split()),
            "when": [c.to_json() for c in when],
            "then": [c.to_json() for c in then],
        }


def _fitted(condition: Condition, columns: Mapping[str, Column]) -> Condition:
    """Check a condition against the columns' kinds; return it as it is judged."""
    for name in (condition.column, condition.other):
        if name is not None and name not in columns:
            raise ValueError(f"must name columns of this contract, found {name!r}")
        if name is not None and columns[name].role in ("ignored", "text"):
            raise ValueError(f"must name columns that are read, but {name!r} is ignored")
    kind = family(columns[condition.column])
    if condition.op in ("present", "missing"):
        return condition
    if condition.other is not None:
        return _pair(condition, kind, columns)
    values = condition.value if isinstance(condition.value, list) else [condition.value]
    plain = list(_values(values, kind, condition.column))
    value = plain if condition.op == "in" else plain[0]
    ranks = ()
    if kind == "text" and condition.op not in ("=", "!=", "in"):
        ranks = _order(condition, columns[condition.column])
        if value not in ranks:
            raise ValueError(f"{value!r} must be one of the levels of {condition.column!r}")
    return Condition(column=condition.column, op=condition.op, value=value, ranks=ranks)


def family(column: Column) -> str:
    """What a column's cells compare with: number, date, boolean or text."""
    if column.role in ("id", "group"):
        return "text"
    return {"number": "number", "integer": "number", "date": "date", "boolean": "boolean"}.get(
        column.kind, "text"
    )


def _pair(condition: Condition, kind: str, columns: Mapping[str, Column]) -> Condition:
    left, right = columns[condition.column], columns[str(condition.other)]
    if family(right) != kind:
        raise ValueError(
            f"must compare cells of one kind, but {condition.column!r} is {left.kind} and "
            f"{condition.other!r} is {right.kind}"
        )
    if kind != "text" or condition.op in ("=", "!="):
        return condition
    ranks = _order(condition, left)
    if right.levels != left.levels or not right.ordered:
        raise ValueError(
            f"{condition.column!r} and {condition.other!r} must have the same ordered levels to be "
            f"compared by {condition.op}"
        )
    return Condition(column=condition.column, op=condition.op, other=condition.other, ranks=ranks)


def _order(condition: Condition, column: Column) -> tuple[str, ...]:
    if not column.ordered or column.levels is None:
        raise ValueError(
            f"{condition.column!r} must have levels and ordered = true to be compared by {condition.op}"
        )
    return column.levels


def _values(values: Sequence[Any], kind: str, name: str) -> Iterator[Any]:
    wanted = {"number": int | float, "date": datetime, "boolean": bool, "text": str}[kind]
    for said in values:
        value = _date(said) if kind == "date" and isinstance(said, str) else said
        fits = isinstance(value, wanted) and (kind == "boolean" or not isinstance(value, bool))
        if not fits:
            raise ValueError(f"{name!r} must be compared with a {kind}, found {value!r}")
        if isinstance(value, datetime):
            yield (
                value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
            ).isoformat()
        else:
            yield value


def _date(text: str) -> datetime | str:
    """Take a date in quotes too, as derived columns are written."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return text
