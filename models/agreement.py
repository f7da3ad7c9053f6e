"""Whether a model's answers are the ones that it must give."""

from __future__ import annotations

from typing import Any


def compare(found: Any, wanted: Any, tolerance: float, scale: float = 1.0) -> float:
    """Return the largest difference over `scale`; raise AssertionError beyond `tolerance`.

    Labels must be equal, but where the two likeliest classes are that close.
    """
    import numpy as np

    must(list(found.columns) == list(wanted.columns), f"columns {list(found.columns)}")
    must(len(found) == len(wanted), f"{len(found)} answers to {len(wanted)} rows")
    shares = [name for name in wanted.columns if name.startswith("probability_")]
    names = shares or ["prediction"]
    given, right = (frame[names].to_numpy(dtype=np.float64) for frame in (found, wanted))
    differences = np.abs(given - right).max(axis=1, initial=0.0) / scale
    worst = float(differences.max(initial=0.0))
    row = int(differences.argmax()) if len(found) else 0
    must(worst <= tolerance, f"row {row} differs by {worst:.2e}, more than {tolerance:.0e}")
    if shares:
        other = found["prediction"].astype(str).to_numpy() != wanted["prediction"].astype(str)
        # A decision may stand on an edge: one row in a thousand, and never a row alone.
        must(other.sum() <= len(found) // 1000 + (len(found) > 1), f"{other.sum()} labels differ")
    return worst


def must(condition: Any, found: str) -> None:
    """Raise AssertionError with what was found where a condition does not hold."""
    if not condition:
        raise AssertionError(found)


def said(error: Exception) -> str:
    """Return what an error says, shortened."""
    return f"{type(error).__name__}: {error}"[:1000]
