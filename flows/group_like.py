"""What `init` says of an id that repeats: the rows that share one may belong together.

- A customer's number says whom a row is about. As a feature it lets a model recognise customers, and
  rows of one customer on both sides flatter it. Whether it is one, a person knows: nothing is changed.
- Told by a name that says id, where values are many and repeat. Whole numbers are told by their values
  too: many, all of one length, spread evenly, neither dates nor times.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from expectations.failure import shown
from expectations.leaks_sides import CAMEL, ID_LIKE, LEAST_VALUES, REPEATED
from flows.in_order import BETWEEN
from flows.sentinels import numbers_of
from flows.settings_text import value_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pandas as pd

    from flows.settings_text import Draft

SURELY = re.compile(r"(?i:(^|[\W_])(ids?|uuid|guid)$|아이디$)|[a-z](Id|ID)$")
SHARE = 0.002  # different values per row, from which a name is believed
MANY = 100  # different values, from which a vague name and values alone are
LENGTHS = (5, 16)  # digits of ids that are told by their values
LONG, DENSE = 6, 0.05  # digits from which numbers are, however many of those between occur
EVEN = 0.1  # of the span: how far the quantiles of an even spread may be off
TOLD = 3  # columns
AS_IT_IS = {
    "integer": "it is read as a number",
    "category": "it is read as a category",
    "text": "nothing is learned from it",
}


def group_like(draft: Draft, profile: Mapping[str, Any], table: pd.DataFrame) -> list[str]:
    """Name columns that look like an id that repeats, and what is good for them."""
    if draft.data.get("group") or draft.split.get("by"):
        return []
    out = {*draft.data.get("drop", ()), *draft.data.get("id", ())}
    found = list(_found(profile, table, out))
    more = [f"{len(found) - TOLD:,} more columns look like an id that repeats"]
    return [*found[:TOLD], *(more if len(found) > TOLD else ())]


def _found(profile: Mapping[str, Any], table: pd.DataFrame, out: set[str]) -> Iterator[str]:
    for column in profile["columns"]:
        name = column["name"]
        if column["role"] != "feature" or name in out:
            continue
        cells = max(int((profile.get("of") or profile["rows"]) * (1 - column["missing_share"])), 1)
        distinct = (column.get("all") or column)["distinct"]
        if distinct < max(LEAST_VALUES, SHARE * cells) or cells < REPEATED * distinct:
            continue
        values: Any = table[name]
        if why := _named(column, distinct) or _numbered(column, distinct, values):
            about = "about " if profile.get("of") else ""
            yield (
                f"{shown(name, 30)} may be an id that repeats: {about}{distinct:,} values in {cells:,} "
                f"cells, {why}: if rows that share one belong together (a customer, a device), set "
                f'group = {value_text(name)} in [data] and by = "group" in [split]; as it is, '
                f"{AS_IT_IS[column['kind']]}"
            )


def _named(column: Mapping[str, Any], distinct: int) -> str:
    """Say that its name says so; "" where it does not."""
    name, kind = column["name"], column["kind"]
    if SURELY.search(name) and kind in AS_IT_IS:
        return "and its name says so"
    vague = ID_LIKE.search(name) or CAMEL.search(name)
    return "and its name says so" if vague and kind == "integer" and distinct >= MANY else ""


def _numbered(column: Mapping[str, Any], distinct: int, values: pd.Series) -> str:
    """Say that its whole numbers look so; "" where they do not."""
    if column["kind"] != "integer" or distinct < MANY or column["min"] <= 0:
        return ""
    low, high = int(column["min"]), int(column["max"])
    digits = len(str(low))
    if not LENGTHS[0] <= digits <= LENGTHS[1] or digits != len(str(high)):
        return ""
    numbers = numbers_of(values, column)
    numbers = numbers[np.isfinite(numbers)].astype(np.int64)
    dense = digits < LONG and distinct > DENSE * (high - low)  # days since 1900, amounts
    if dense or _times(low, high) or _days(numbers) or np.gcd.reduce(numbers) > 1:
        return ""
    shares = np.linspace(0.1, 0.9, 9)
    off = np.quantile(numbers, shares) - (low + shares * (high - low))
    return f"all of {digits} digits" if np.abs(off).max() <= EVEN * (high - low) else ""


def _times(low: int, high: int) -> bool:
    """Whether numbers between these may be seconds or milliseconds since 1970."""
    return any(BETWEEN[0] * unit <= low <= high <= BETWEEN[1] * unit for unit in (1, 1_000))


def _days(numbers: np.ndarray) -> bool:
    """Whether all numbers read as a year, a month and perhaps a day: 20240131, 202401."""
    if numbers.min() >= 10_000_000:
        day = numbers % 100
        months = numbers // 100 % 100
    else:
        day, months = np.ones_like(numbers), numbers % 100
    return bool(((months >= 1) & (months <= 12) & (day >= 1) & (day <= 31)).all())
