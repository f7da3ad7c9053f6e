"""Of which characters the texts of a column are, and whether its dates carry a time zone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from models.served import ISO

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flows.candidates import Guess

AT_ONCE = 10_000
LONGEST = 64  # characters of a code
MOST = 100  # different characters, above which texts are words and no codes
LOOKED_AT = 1_000  # dates


def characters_of(texts: Sequence[str]) -> str | None:
    """Return the characters that occur, in order; None for words: too many, or too long.

    >>> characters_of(["K-12", "K-7"])
    '-127K'
    """
    seen: set[str] = set()
    for start in range(0, len(texts), AT_ONCE):
        part = texts[start : start + AT_ONCE]
        if max(map(len, part)) > LONGEST:
            return None
        seen |= set("".join(part))
        if len(seen) > MOST:
            return None
    return "".join(sorted(seen))


def zone_of(guess: Guess, values: pd.Series) -> str | None:
    """Return whether dates are `aware` of a time zone or `naive`; None where they differ."""
    written = guess.entry.get("format")
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        return "aware"
    if values.dtype.kind == "M" or written:
        return "aware" if "%z" in (written or "") else "naive"
    texts = values.dropna()
    step = max(len(texts) // LOOKED_AT, 1)
    matches = [ISO.fullmatch(str(text).strip()) for text in texts.iloc[::step]]
    zones = {match["zone"] is not None for match in matches if match}
    if len(zones) != 1:
        return None
    return "aware" if zones.pop() else "naive"
