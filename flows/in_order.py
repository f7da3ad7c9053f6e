"""What `init` says of rows that lie in the order of time: a split at random may not be what is asked.

- Only said: whether newer rows are to be predicted from older ones is for a person to know.
- Whole numbers that fit seconds or milliseconds since 1970 are taken for times.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from expectations.failure import shown
from flows.sentinels import numbers_of
from flows.settings_text import value_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from flows.settings_text import Draft

LEAST = 20  # different times
BETWEEN = (631_152_000, 2_208_988_800)  # the years 1990 to 2040 in seconds since 1970
DAY = 86_400


def in_order(draft: Draft, profile: Mapping[str, Any], table: pd.DataFrame) -> list[str]:
    """Name the first column whose times the rows are in the order of, and what that is good for."""
    if draft.split.get("by"):
        return []
    for column in profile["columns"]:
        if column["role"] != "feature" or column["missing"] or column["distinct"] < LEAST:
            continue
        days = _days(column, table)
        if days is None or not np.isfinite(days).all():
            continue
        steps = np.diff(days)
        if not ((steps >= 0).all() or (steps <= 0).all()):
            continue
        return [_said(column["name"], f"{_day(days.min())} to {_day(days.max())}")]
    return []


def _said(name: str, ends: str) -> str:
    return (
        f"the rows lie in the order of {shown(name, 30)} ({ends}), and are split at random: where "
        f"newer rows are predicted from older ones, set time = {value_text(name)} in [data] and "
        'by = "time" in [split]'
    )


def _days(column: Mapping[str, Any], table: pd.DataFrame) -> np.ndarray | None:
    """Return a column's times as days since 1970; None where it holds no times."""
    values: Any = table[column["name"]]
    if column["kind"] == "date":
        return numbers_of(values, column)
    if column["kind"] != "integer" or column["min"] is None:
        return None
    for unit in (1, 1_000):
        if BETWEEN[0] * unit <= column["min"] <= column["max"] <= BETWEEN[1] * unit:
            return numbers_of(values, column) / (DAY * unit)
    return None


def _day(days: float) -> str:
    return str(np.datetime64(int(days), "D"))
