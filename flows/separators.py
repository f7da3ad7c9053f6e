"""Which separator cuts a text into a table: the one that gives its first records one width, the widest.

- Lines above the header count neither for nor against it, where they are surely such lines; a table
  that begins at its first record is taken as it is.
- Runs of blanks cut nearly everything into something, so they come last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flows import titles

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar", " ": "blanks"}
QUOTES = ('"', "")
RECORDS = 200
MOSTLY = 0.9  # share of the first records that must have one width
LEAST = 0.5  # the same, of what is a table at all


@dataclass(frozen=True, kw_only=True)
class Cut:
    """The first records of a table, from the header on, as one separator cuts them."""

    separator: str
    records: list[list[str]]
    why: str
    """The evidence for the separator."""
    title: titles.Title | None
    """What stands above the header."""


@dataclass(frozen=True, kw_only=True)
class _Try:
    """The first records of a text, as one separator cuts them."""

    separator: str
    records: list[list[str]]
    width: int
    """Of most of them."""
    share: float
    """How many have it."""
    title: titles.Title | None

    @classmethod
    def of(cls, text: str, separator: str, quote: str) -> _Try:
        numbered = titles.numbered(text, separator, quote)
        records = [cells for _, cells in numbered]
        width, share = width_of(records[:RECORDS])
        title = titles.found(numbered)
        return cls(separator=separator, records=records, width=width, share=share, title=title)

    @property
    def rank(self) -> tuple[float, int]:
        return round(self.share, 2), 0 if self.separator == " " else self.width

    @property
    def begins(self) -> bool:
        """Whether the first record is as wide as nearly all are."""
        return len(self.records[0]) == self.width and self.share >= MOSTLY


def best(text: str, *, titled: bool = True) -> Cut | None:
    """Return the first records as the separator that fits best cuts them; None where none does.

    `titled`: lines above the header are looked for.
    """
    tries = [_Try.of(text, separator, quote) for separator in SEPARATORS for quote in QUOTES]
    wide = [one for one in tries if one.width > 1]
    widest = max(wide, key=lambda one: one.rank, default=None)
    chosen = _titled(widest, tries) if titled else None
    title = chosen.title if chosen else None
    if chosen is None and widest and widest.rank[0] >= LEAST:
        chosen = widest
    if chosen is None:
        return None
    records = chosen.records[title.place if title else 0 :][:RECORDS]
    cuts: dict[str, tuple[int, float]] = {}
    for one in wide:
        cuts.setdefault(one.separator, (one.width, one.share))
    why = _evidence(chosen.separator, records, cuts)
    return Cut(separator=chosen.separator, records=records, why=why, title=title)


def _titled(widest: _Try | None, tries: Sequence[_Try]) -> _Try | None:
    """Return the try that finds a title above the table; None where the table begins at the top."""
    if widest and widest.separator != " " and (widest.title or widest.begins):
        return widest if widest.title else None
    own = widest.separator if widest else ""
    sure = [
        ((one.title.stands_out, one.separator != " ", one.title.width), one)
        for one in tries
        if one.title and (one.title.stands_out or one.separator == own)
    ]
    return max(sure, key=lambda pair: pair[0])[1] if sure else None


def width_of(records: Sequence[Sequence[str]]) -> tuple[int, float]:
    """Return the width of most records, and how many have it."""
    if not records:
        return 0, 0.0
    widths = [len(record) for record in records]
    usual = max(set(widths), key=widths.count)
    return usual, widths.count(usual) / len(widths)


def _evidence(
    best: str, records: Sequence[Sequence[str]], cuts: Mapping[str, tuple[int, float]]
) -> str:
    """Say what the separator makes of the first records, and what the next best one would."""
    width, share = width_of(records)
    fitting = (
        f"all {len(records):,}" if share == 1 else f"{share:.0%} of the first {len(records):,}"
    )
    said = f"{SEPARATORS[best]}: it cuts {fitting} records looked at into {width} fields"
    others = [s for s in cuts if s not in (best, " ")]
    if not others:
        return f"{said}; no other separator cuts them"
    other = max(others, key=lambda s: cuts[s][1])
    return (
        f"{said}; the {SEPARATORS[other]} cuts {cuts[other][1]:.0%} of them into {cuts[other][0]}"
    )
