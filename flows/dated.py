"""Parts with a date in their names: `orders-{date}.csv`, `{date:%m-%d-%Y}.csv.gz`.

- `{date}` is `{date:%Y-%m-%d}`; codes of whole digits only, so that a name has one reading.
- Parts are in the order of their dates, whatever their names sort as. `data.last = "30d"` keeps
  those of the last 30 days, counted back from the newest part and not from today: the same files
  give the same table whenever they are read.
"""

from __future__ import annotations

import datetime as dt
import fnmatch
import glob
import re
from typing import TYPE_CHECKING, TypeVar

from flows.duration import seconds_of
from flows.failed import refuse

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

FIELD = re.compile(r"\{date(?::([^{}]*))?\}")
DIGITS = {"Y": 4, "m": 2, "d": 2, "H": 2, "M": 2, "S": 2, "j": 3, "y": 2}
T = TypeVar("T")


def is_dated(entry: str) -> bool:
    """Whether a pattern names a date."""
    return FIELD.search(entry) is not None


class Pattern:
    """A pattern with one date in it."""

    def __init__(self, entry: str, key: str) -> None:
        """Check the pattern.

        Raises:
            DataRefused: there are two dates, a `**`, or a code that is no whole number of digits.

        """
        self.entry, self.key = entry, key
        found = list(FIELD.finditer(entry))
        if len(found) > 1 or "**" in entry:
            message = f"{key} must name one {{date}}, and no ** beside it, found {entry}"
            raise refuse("source.date", message, "write the pattern with one {date}")
        self.format = found[0][1] or "%Y-%m-%d"
        codes = re.findall("%(.)", self.format)
        if not codes or any(code not in DIGITS for code in codes):
            known = ", ".join(f"%{code}" for code in DIGITS)
            message = f"{key}: a date in a name is written with {known}, found {self.format}"
            raise refuse("source.date", message, "such as {date:%Y%m%d}")
        before, after = entry[: found[0].start()], entry[found[0].end() :]
        self.glob = before + self._codes(lambda n: "[0-9]" * n, glob.escape) + after
        digits = self._codes(lambda n: f"[0-9]{{{n}}}", re.escape)
        self.depth = entry.count("/") + 1
        self.pattern = re.compile(f"{_regex(before)}({digits}){_regex(after)}", re.DOTALL)

    def _codes(self, digits: Callable[[int], str], plain: Callable[[str], str]) -> str:
        parts = re.split("(%.)", self.format)
        return "".join(digits(DIGITS[p[1]]) if p.startswith("%") else plain(p) for p in parts)

    def date_of(self, path: Path) -> dt.datetime:
        """Return the date in a path that the glob has found.

        Raises:
            DataRefused: the digits are no date.

        """
        tail = "/".join(path.parts[-self.depth :])
        found = self.pattern.fullmatch(tail) or self.pattern.fullmatch(str(path))
        try:
            return dt.datetime.strptime(found[1] if found else "", self.format)  # noqa: DTZ007 - a day has no zone
        except ValueError:
            message = f"{self.key}: {path.name} must hold a date as {self.format} writes it"
            advice = "rename the file, or correct the pattern"
            raise refuse("source.date", message, advice) from None


def _regex(text: str) -> str:
    return "/".join(fnmatch.translate(part)[4:-3] for part in text.split("/"))


def wanted(parts: Sequence[tuple[dt.datetime, T]], last: str | None) -> list[tuple[dt.datetime, T]]:
    """Return the parts in the order of their dates, those of the span `last` alone."""
    found = sorted(parts, key=lambda part: part[0])
    if last is None or not found:
        return found
    oldest = found[-1][0] - dt.timedelta(seconds=seconds_of(last))
    return [part for part in found if part[0] > oldest]


def gaps(dates: Sequence[dt.datetime]) -> list[dt.date]:
    """Return the days without a part, where there is one for most days."""
    days = sorted({date.date() for date in dates})
    if len(days) < 3:
        return []
    span = (days[-1] - days[0]).days + 1
    if len(days) * 2 <= span:
        return []
    every = (days[0] + dt.timedelta(days=n) for n in range(span))
    return sorted({*every} - {*days})
