"""How far a proposed rule reaches beyond what was seen, and why, in words that stand in the file.

- Numbers may reach half their observed span further on both sides, but no new sign; dates a span
  back and five years on; texts twice the longest; a missing share half as much again as its upper
  bound by the exact binomial interval (Clopper and Pearson 1934), 1 % at least.
- Each function returns the rules of one profiled column as (values, why); why by key.
"""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeGuard

from scipy.special import betaincinv

from expectations.column import NUMERIC
from expectations.failure import shown, written

if TYPE_CHECKING:
    from collections.abc import Mapping

    Margins = tuple[dict[str, Any], dict[str, str]]

MOST_LEVELS = 50  # a column with more levels is open-ended
LEAST_PER_LEVEL = 5  # cells per level on average, below which new levels are to be expected
SELDOM = 5  # cells of a level, below which it is named
WIDER = 0.5  # of the observed span, on each side
YEARS_AHEAD = 5  # tables grow with time
TAIL = 1e-6  # of the binomial interval: a table of hundreds of columns is judged every night
SLACK = 1.5  # times the upper bound: rows of one day are more alike than coins
LEAST_SHARE = 0.01  # a few gaps in a column without any are no reason to refuse a table
LONGER = 2  # times the longest text seen
CLASSES = ("0-9", "A-Z", "a-z")
MOST_OTHERS = 5  # characters beside letters and digits, above which texts are no codes


def rules(entry: Mapping[str, Any], rows: int) -> Margins:
    """Return the rules of a feature, told from its profile."""
    kind = entry["kind"]
    found: Margins = ({}, {})
    if kind in NUMERIC:
        found = reach(entry)
    elif kind == "date":
        found = period(entry)
    elif kind == "category":
        found = texts(entry)
    share, why = missing(entry, rows)
    return found[0] | share, found[1] | why


def missing(entry: Mapping[str, Any], rows: int) -> Margins:
    """Return the largest share of missing cells, by the upper bound of what was seen."""
    share = entry.get("missing_share") or 0.0
    count = min(entry.get("missing") or round(share * rows), rows)
    if rows < 1 or count == rows:
        return {}, {}
    upper = float(betaincinv(count + 1, rows - count, 1 - TAIL))
    allowed = max(float(up(SLACK * upper)), LEAST_SHARE)
    if allowed >= 1:
        return {}, {}
    why = f"{count:,} of {rows:,} cells are missing, surely under {upper:.2%} (Clopper-Pearson, "
    why += f"one in {round(1 / TAIL):,}); half as much again is left, {LEAST_SHARE:.0%} at least"
    return {"missing_share": allowed}, {"missing_share": why}


def reach(entry: Mapping[str, Any]) -> Margins:
    """Return the range of a number."""
    low, high = entry.get("min"), entry.get("max")
    if not _is_number(low) or not _is_number(high) or low == high == 0:
        return {}, {}
    why = f"seen {written(low)} to {written(high)}; half of that span is left on each side"
    span = (high - low) or abs(high) or 1.0
    floor, ceiling = _rounded(low - WIDER * span, math.floor), up(high + WIDER * span)
    floor = max(floor, 0) if low >= 0 else floor
    ceiling = min(ceiling, 0) if high <= 0 else ceiling
    why += ", but no other sign" if low >= 0 or high <= 0 else ""
    low, high = min(floor, low), max(ceiling, high)
    if entry["kind"] == "integer" or (float(low).is_integer() and float(high).is_integer()):
        low, high = int(low), int(high)
    return {"min": low, "max": high}, {"min": why}


def _is_number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def up(value: float) -> int | float:
    """Round up to two digits."""
    return _rounded(value, math.ceil)


def _rounded(value: float, towards: Any) -> int | float:
    """Round outwards to two digits, so that a person reads 150 and not 148.73."""
    if value == 0 or not math.isfinite(value):
        return 0
    digits = 1 - math.floor(math.log10(abs(value)))
    if digits <= 0:
        step = 10**-digits
        return int(towards(value / step)) * step
    scaled = round(value * 10.0**digits, 6)  # 1.5e-9 * 1e10 is not quite 15
    return float(f"{towards(scaled)}e{-digits}")


def period(entry: Mapping[str, Any]) -> Margins:
    """Return the range of a date, and whether it has a time zone."""
    zone = {"zone": entry["zone"]} if entry.get("zone") else {}
    try:
        low = datetime.fromisoformat(entry["min"])
        high = datetime.fromisoformat(entry["max"])
        ahead = max(high - low, timedelta(days=366 * YEARS_AHEAD))
        first, last = low - (high - low), high + ahead
    except (KeyError, TypeError, ValueError, OverflowError):
        return zone, {}
    bounds = {
        "min": first.date().replace(month=1, day=1),
        "max": last.date().replace(month=12, day=31),
    }
    why = f"seen {entry['min']} to {entry['max']}; that span is left before it, and after it too, "
    return zone | bounds, {"min": f"{why}but {YEARS_AHEAD} years at least"}


def texts(entry: Mapping[str, Any]) -> Margins:
    """Return the levels of a category with few, else how long its texts may be."""
    counted = entry.get("levels") or []
    levels = [str(level) for level, _ in counted]
    cells = sum(count for _, count in counted)
    few = entry.get("levels_complete") and 0 < len(levels) <= MOST_LEVELS
    if few and cells >= LEAST_PER_LEVEL * len(levels):
        seldom = [f"{shown(level, 30)} {count}" for level, count in counted if count < SELDOM]
        why = f"{len(levels)} levels in {cells:,} cells"
        why += f"; seldom: {', '.join(seldom[:10])}" if seldom else ""
        why += f" and {len(seldom) - 10} more" if len(seldom) > 10 else ""
        return {"levels": tuple(sorted(set(levels)))}, {"levels": why}
    return length(entry)


def length(entry: Mapping[str, Any]) -> Margins:
    """Return how long a text may be and, where it is a code, of which characters."""
    longest = (entry.get("length") or {}).get("max")
    if not longest:
        return {}, {}
    found: dict[str, Any] = {"max_length": max(LONGER * int(longest), 10)}
    why = {"max_length": f"the longest text seen has {longest:,} characters; twice that is left"}
    if (allowed := alphabet(entry.get("characters") or "")) is not None:
        found["alphabet"] = allowed
        why["alphabet"] = "the kinds of characters seen, each kind whole"
    return found, why


def alphabet(characters: str) -> str | None:
    """Return the alphabet of codes, kinds whole and others singly; None for words in general.

    >>> alphabet("-127K")
    '0-9A-Z-'
    """
    kinds = [kind for kind in CLASSES if re.search(f"[{kind}]", characters)]
    others = re.sub(f"[{''.join(CLASSES)}]", "", characters)
    if not others.isascii() or not others.isprintable() or len(others) > MOST_OTHERS:
        return None
    hyphen = "-" if "-" in others else ""
    return "".join(kinds) + others.replace("-", "") + hyphen or None
