"""The refusal of a source as a whole, and of one that is away for a moment."""

from __future__ import annotations

from expectations.failure import Failure, shown
from flows.errors import DataRefused


def refuse(rule: str, message: str, advice: str, *, source: str = "") -> DataRefused:
    """Return the refusal of a source as a whole."""
    failure = Failure(rule=rule, column=None, count=1, total=1, message=message, advice=advice)
    where = f"{shown(source, 300)}: " if source and source not in message else ""
    return DataRefused(f"{where}{message}; {advice}", [failure])


def away(message: str, advice: str = "run again when it is back") -> DataRefused:
    """Return the refusal of a source that may come back by itself, so that a run is tried again.

    Its cause is ours: that of a library may quote an address with a password in it.
    """
    refusal = refuse("source.away", message, advice)
    refusal.__cause__ = ConnectionError(message)
    return refusal
