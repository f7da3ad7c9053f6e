"""What a check has found so far: failures for people, and every rule's outcome as plain JSON.

- Great Expectations answers in numpy and pandas scalars, and its lists grow with the table;
  what is kept here is plain, bounded JSON.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from expectations.failure import Example, Failure, Severity, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd

    from expectations.witnesses import Look

ROWS_KEPT = 20  # per rule in the full result
COMPLETE = {"result_format": "COMPLETE", "return_unexpected_index_query": False}


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """What a table's rules say of it."""

    row_failures: dict[str, np.ndarray]
    """Positions (int64, ascending) of the rows that break each row rule, by rule id."""
    table_failures: list[Failure]
    """Broken rules of the whole table, both severities."""
    full: dict[str, Any]
    """Every rule with its outcome and counts, as bounded plain JSON."""
    looks: dict[str, Look] = field(default_factory=dict)
    """What was seen of each column of the contract that the table has."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One expectation's result in plain Python."""

    success: bool
    error: str = ""
    judged: int | None = None
    unexpected: int | None = None
    observed: Any = None
    places: Sequence[int] = ()
    cells: Sequence[Any] = ()


class Engine(Protocol):
    """Runs (expectation type, arguments) pairs on one frame."""

    version: str

    def run(
        self,
        frame: pd.DataFrame,
        suite: Sequence[tuple[str, dict[str, Any]]],
        form: Any,
        where: str = "",
    ) -> list[Outcome]:
        """Return one outcome per pair, in the same order."""
        ...


class Findings:
    """The failures and results of one check of a table of `total` rows."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.failures: list[Failure] = []
        self.results: list[dict[str, Any]] = []

    def keep(
        self, rule: str, severity: str, outcome: Outcome, judged: int | None
    ) -> dict[str, Any]:
        """Record a rule's outcome; return the entry, to which more may be added."""
        entry: dict[str, Any] = {"rule": rule, "success": outcome.success, "severity": severity}
        entry |= {"judged": judged, "vacuous": judged == 0}
        if not outcome.success:
            entry["unexpected"] = outcome.unexpected
            entry["rows"] = plain(outcome.places[:ROWS_KEPT])
            entry["values"] = [shown(v) for v in outcome.cells[:ROWS_KEPT]]
        if outcome.error:
            entry["error"] = shown(outcome.error, 500)
        self.results.append(entry)
        return entry

    def fail(
        self,
        rule: str,
        column: str | None,
        severity: Severity,
        *,
        count: int,
        message: str,
        advice: str,
        total: int | None = None,
        examples: Iterable[Example] = (),
    ) -> None:
        """Add a failure; `total` is the number of rows unless said otherwise."""
        self.failures.append(
            Failure(
                rule=rule,
                column=column,
                count=count,
                total=self.total if total is None else total,
                message=message,
                severity=severity,
                examples=tuple(examples),
                advice=advice,
            )
        )

    def errored(self, rule: str, column: str | None, severity: Severity, outcome: Outcome) -> None:
        """Add the failure of a rule that raised: it does not pass."""
        self.fail(
            rule,
            column,
            severity,
            count=1,
            total=1,
            message=f"the rule could not be evaluated: {shown(outcome.error, 300)}",
            advice="a rule that cannot be evaluated does not pass: correct it in the contract",
        )


def plain(value: Any) -> Any:
    """Return plain JSON: numpy and pandas scalars unpacked, NaN as null, lists cut."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in list(value.items())[:ROWS_KEPT]}
    if isinstance(value, list | tuple | set | np.ndarray):
        return [plain(v) for v in list(value)[:ROWS_KEPT]]
    return shown(value)
