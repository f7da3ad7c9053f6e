"""Whether a table fits in with the tables of earlier runs: how many rows, and how new the newest.

- Judged at every run, never kept in a cache: what is old enough today is too old tomorrow.
- Earlier runs are those of the same name whose data was not refused; without any, the rules about
  them have nothing to say, and say so.
"""

from __future__ import annotations

import re
import statistics
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator

from expectations.column import Severity
from expectations.failure import Failure, shown
from expectations.part import Part

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from expectations.contract import Contract

ROWS, FRESH = "table.rows_history", "table.freshness"
UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class History(Part):
    """How many rows a table may have, told from earlier runs; `[history]`."""

    runs: Annotated[int, Field(ge=1)] = 10
    """The newest earlier runs that count; their median is what is compared with."""
    fewer: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Share of the median by which a table may have fewer rows: 0.5 lets it shrink by half."""
    more: Annotated[float, Field(ge=0)] | None = None
    """Share of the median by which it may have more: 1.0 lets it double."""
    accepted: bool | None = None
    """Whether it binds; left out: as the contract."""
    severity: Severity | None = None
    """By hand; wins over acceptance."""


class Freshness(Part):
    """How new the newest row must be; `[freshness]`."""

    column: str | None = None
    """The date column; left out: the one with role time."""
    max_age: str | None = None
    """How old the newest cell may be when a run starts: "36h", "2d", "1w"."""
    may_go_back: bool = False
    """Whether it may be older than the newest of an earlier run."""
    timezone: str = "UTC"
    """The zone of dates that have none."""
    accepted: bool | None = None
    """Whether it binds; left out: as the contract."""
    severity: Severity | None = None
    """By hand; wins over acceptance."""

    @field_validator("max_age")
    @classmethod
    def _duration(cls, value: str | None) -> str | None:
        if value is not None:
            duration(value)
        return value

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            raise ValueError(f"must be a time zone such as Asia/Seoul, found {value!r}") from None
        return value


def duration(text: str) -> timedelta:
    """Return "36h" as a span of time; ValueError says what it must look like."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([mhdw])", text.strip())
    if found is None:
        raise ValueError(f'must be a duration such as "90m", "36h", "2d" or "1w", found {text!r}')
    return timedelta(**{UNITS[found[2]]: float(found[1])})


def newest(contract: Contract, profile: Mapping[str, Any]) -> str | None:
    """Return the newest cell of the column that says how fresh a table is, as ISO text.

    Args:
        contract: its `[freshness]`, else the column with role time.
        profile: of the raw table, as `flows.analyze` writes it.

    """
    name = fresh_column(contract)
    entry = next((c for c in profile["columns"] if c["name"] == name), None)
    return entry["max"] if entry is not None and entry.get("seen") == "date" else None


def fresh_column(contract: Contract) -> str | None:
    """Name the date column that says how fresh a table is, where there is one."""
    said = contract.freshness.column if contract.freshness else None
    times = (n for n, c in contract.columns.items() if c.role == "time" and c.kind == "date")
    return said or next(times, None)


def failures(
    contract: Contract,
    rows: int,
    newest_cell: str | None,
    past: Sequence[Mapping[str, Any]],
    now: datetime,
) -> list[Failure]:
    """Judge a table against the clock and against `past`, the newest run last.

    Args:
        contract: holds the rules.
        rows: of the table.
        newest_cell: as `newest` gives it.
        past: {"rows", "newest"} of earlier runs whose data was taken.
        now: with a time zone.

    """
    found = []
    if contract.history is not None:
        found += _rows(contract.history, contract, rows, past)
    if contract.freshness is not None:
        found += _fresh(contract.freshness, contract, newest_cell, past, now)
    return found


def _rows(
    rule: History, contract: Contract, rows: int, past: Sequence[Mapping[str, Any]]
) -> list[Failure]:
    known = [int(run["rows"]) for run in past if run.get("rows")][-rule.runs :]
    if not known:
        return []
    middle = statistics.median(known)
    least = 0 if rule.fewer is None else middle * (1 - rule.fewer)
    most = float("inf") if rule.more is None else middle * (1 + rule.more)
    if least <= rows <= most:
        return []
    bound = f"at least {least:,.0f}" if rows < least else f"at most {most:,.0f}"
    key = "fewer" if rows < least else "more"
    said = f"the table must have {bound} rows, {getattr(rule, key):.0%} {key} than the median of "
    said += (
        f"{len(known)} earlier run{'s' if len(known) > 1 else ''} ({middle:,.0f}), it has {rows:,}"
    )
    advice = f"find out what became of the rows, or change {key} of [history] in the contract"
    return [_failure(ROWS, contract.severity_of(rule), said, advice)]


def _fresh(
    rule: Freshness,
    contract: Contract,
    cell: str | None,
    past: Sequence[Mapping[str, Any]],
    now: datetime,
) -> list[Failure]:
    severity, name = contract.severity_of(rule), fresh_column(contract)
    column = f"column {shown(name)}" if name else "no column"
    if cell is None:
        said = f"the table must have a date that says how new it is, {column} gives none"
        advice = "name a date column in [freshness] of the contract, with its format"
        return [_failure(FRESH, severity, said, advice)]
    found, at = [], _moment(cell, rule.timezone)
    advice = "find out why the source stands still, or change [freshness] in the contract"
    if rule.max_age is not None and now - at > duration(rule.max_age):
        said = f"the newest cell of {column} may be {rule.max_age} old, {cell} is {_age(now - at)}"
        found.append(_failure(FRESH, severity, said, advice))
    earlier = [str(run["newest"]) for run in past if run.get("newest")]
    last = max(earlier, key=lambda text: _moment(text, rule.timezone), default=None)
    if not rule.may_go_back and last is not None and at < _moment(last, rule.timezone):
        said = f"the newest cell of {column} is {cell}, an earlier run has seen {last}"
        found.append(_failure(FRESH, severity, said, advice))
    return found


def _moment(text: str, zone: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)


def _age(span: timedelta) -> str:
    days = span / timedelta(days=1)
    return f"{days:.1f} days old" if days >= 1 else f"{span / timedelta(hours=1):.1f} hours old"


def _failure(rule: str, severity: Severity, message: str, advice: str) -> Failure:
    return Failure(
        rule=rule,
        column=None,
        count=1,
        total=1,
        message=message,
        severity=severity,
        advice=advice,
    )
