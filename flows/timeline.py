"""Splitting by time: the latest span is test, the one before it validation.

- Rows of one moment stay together, so a boundary lies between two moments.
- The embargo leaves out the rows that lie too close before a boundary; they are on no side.
- As the table grows boundaries only move forward: a row may go from test to train, never back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from expectations.failure import Example, Failure, describe, shown
from flows.duration import seconds_of
from flows.errors import DataRefused

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import NDArray

    from flows.split import Plan


def by_time(plan: Plan, previous: Mapping[str, Any] | None) -> None:
    """Assign the sides of `plan` by its time column.

    Raises:
        DataRefused: a time is missing or cannot be read, or there are too few moments.

    """
    name = plan.spec.data.time or ""
    ticks, dates = _ticks(plan.frame, name)
    split = plan.spec.split
    moments, first = np.unique(ticks), np.sort(ticks)
    if len(moments) < 3:
        message = f"a split by time needs at least 3 moments, {shown(name)} has {len(moments)}"
        raise _refused(name, message, 'choose another column, or split.by = "row"', len(ticks))
    earlier = previous if plan.frozen and previous else {}
    test = _boundary(first, moments, split.test, earlier.get("test_from"))
    validation = _boundary(
        first,
        moments[moments <= test],
        split.test + split.validation,
        earlier.get("validation_from"),
    )
    gap = _gap(split.embargo, dates, name)
    plan.side[ticks >= validation] = "validation"
    plan.side[ticks >= test] = "test"
    close = np.zeros(len(ticks), bool)
    for boundary in (validation, test):
        close |= (ticks < boundary) & (ticks >= boundary - gap) & (plan.side != "test")
    plan.side[close] = "embargo"
    plan.scheme |= {"validation_from": _plain(validation), "test_from": _plain(test)}
    plan.scheme["boundaries"] = {
        s: _shown(b, dates) for s, b in (("validation", validation), ("test", test))
    }
    plan.reasons.append(
        f"validation starts at {_shown(validation, dates)}, test at {_shown(test, dates)}"
        + (f"; {close.sum():,} rows lie in the embargo of {split.embargo}" if gap else "")
    )
    _repeated(plan)


def _ticks(frame: pd.DataFrame, name: str) -> tuple[NDArray[Any], bool]:
    """Return time as sortable numbers: microseconds (UTC), or the column's own numbers."""
    cells = _moments(frame[name])
    missing = np.flatnonzero(cells.isna())
    if len(missing):
        raise _unreadable(frame, name, missing)
    if not _is_date(cells):
        return cells.to_numpy(np.float64), False
    return cells.to_numpy().astype("datetime64[us]").view(np.int64), True


def known_ticks(cells: Any) -> tuple[NDArray[np.float64], bool]:
    """Return the same as float64, NaN where a cell is no time, and whether these are dates.

    Microseconds are whole in float64 up to the year 2255.
    """
    cells = _moments(cells)
    if not _is_date(cells):
        return cells.to_numpy(dtype=np.float64, na_value=np.nan), False
    ticks = cells.to_numpy().astype("datetime64[us]").view(np.int64).astype(np.float64)
    return np.where(cells.isna(), np.nan, ticks), True


def _moments(cells: Any) -> Any:
    """Read cells as numbers or as dates (UTC, without a zone), whichever they are."""
    import pandas as pd

    if not pd.api.types.is_numeric_dtype(cells.dtype) and not _is_date(cells):
        numbers: Any = pd.to_numeric(cells, errors="coerce")
        dates = pd.to_datetime(cells, format="ISO8601", errors="coerce", utc=True)
        cells = numbers if numbers.notna().all() else dates
    if _is_date(cells) and cells.dt.tz is not None:
        cells = cells.dt.tz_convert("UTC").dt.tz_localize(None)
    return cells


def _is_date(cells: pd.Series) -> bool:
    import pandas as pd

    return pd.api.types.is_datetime64_any_dtype(cells.dtype)


def _unreadable(frame: pd.DataFrame, name: str, rows: NDArray[np.int64]) -> DataRefused:
    records: Any = frame["__record__"] if "__record__" in frame else frame.index + 1
    sources = frame.get("__source__")
    examples = tuple(
        Example(
            row=int(records[i]),
            value=str(frame[name].iloc[i]),
            source=None if sources is None else str(sources.iloc[i]),
        )
        for i in rows[:5]
    )
    message = f"every row needs a time in {shown(name)}: an ISO 8601 date or a number"
    advice = f"correct the cells, or give the format in [data.columns.{name}]"
    failure = Failure(
        rule=f"{name}.time", column=name, count=len(rows), total=len(frame), message=message,
        examples=examples, advice=advice,
    )  # fmt: skip
    return DataRefused(describe([failure]), [failure])


def _boundary(ordered: NDArray[Any], moments: NDArray[Any], share: float, earlier: Any) -> Any:
    """Return the moment from which on the last `share` of the rows lies, a moment itself."""
    wanted = ordered[min(round((1 - share) * len(ordered)), len(ordered) - 1)]
    place = int(np.searchsorted(moments, wanted))
    found = moments[max(place, 1)] if len(moments) > 1 else moments[0]
    if earlier is not None and earlier > found and earlier in moments:
        return moments.dtype.type(earlier)
    return found


def _gap(embargo: str | None, dates: bool, name: str) -> int:
    """Return the embargo in microseconds; 0 for none."""
    if embargo is None:
        return 0
    if not dates:
        message = f"split.embargo = {embargo!r} needs dates, {shown(name)} holds numbers"
        raise _refused(name, message, "leave the embargo out, or declare a date column", 1)
    return round(seconds_of(embargo) * 1e6)


def _plain(value: Any) -> int | float:
    return value.item() if hasattr(value, "item") else value


def _shown(value: Any, dates: bool) -> str:
    return str(np.datetime64(int(value), "us")) if dates else f"{value:g}"


def _repeated(plan: Plan) -> None:
    """Warn where one identity or group lies on both sides of a boundary."""
    train = plan.side == "train"
    judged = np.isin(plan.side.astype(str), ("validation", "test"))
    shared = np.intersect1d(plan.identity[train], plan.identity[judged])
    if len(shared):
        plan.warnings.append(f"{len(shared):,} identities lie on both sides of a boundary in time")
    if name := plan.spec.data.group:
        groups: Any = plan.frame[name]
        both = np.intersect1d(groups[train].dropna(), groups[judged].dropna())
        if len(both):
            plan.warnings.append(
                f"{len(both):,} groups of {shown(name)} lie on both sides of a boundary in time; "
                'split.by = "group" keeps each on one side'
            )


def _refused(column: str, message: str, advice: str, total: int) -> DataRefused:
    failure = Failure(
        rule=f"{column}.time",
        column=column,
        count=total,
        total=total,
        message=message,
        advice=advice,
    )
    return DataRefused(f"{message}; {advice}", [failure])
