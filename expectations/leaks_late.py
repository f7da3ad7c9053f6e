"""Columns that come too late: written with the outcome, dated after the row, or forbidden by name.

- Rows without a target tell which columns come to be with it: these lack their cells in the same
  rows, or vary in those rows alone (a reason for which something was cancelled).
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import binom

from expectations.failure import shown
from expectations.leaks import Leak, named

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FEWEST = 10
MOSTLY = 0.8
CHANCE = 1e-9
VARIES = 0.01
LATER = 0.01


def comes_with_target(name: str, missing: np.ndarray, untold: np.ndarray) -> str | None:
    """Say how a column (bool: its cell is missing) shares its gaps with the target's; else None."""
    gaps, shared = int(missing.sum()), int((missing & untold).sum())
    rate = float(untold.mean())
    if shared < FEWEST or gaps == len(missing) or shared < MOSTLY * gaps or rate > MOSTLY / 2:
        return None
    if float(binom.sf(shared - 1, gaps, rate)) > CHANCE:
        return None
    return f"{shown(name)} ({shared:,} of its {gaps:,} gaps)"


def varies_without_target(name: str, codes: np.ndarray, untold: np.ndarray) -> str | None:
    """Say that a column (codes) is the same wherever the target is known, and differs elsewhere."""
    told, other = codes[~untold], codes[untold]
    if len(other) < FEWEST or len(told) < 10 * FEWEST or (told != told[0]).any():
        return None
    differs = int((other != told[0]).sum())
    if differs < max(FEWEST, VARIES * len(other)):
        return None
    return f"{shown(name)} ({differs:,} of {len(other):,} rows without a target)"


def late(gaps: Sequence[tuple[str, str]], varying: Sequence[tuple[str, str]]) -> list[Leak]:
    """Return what (column, sentence) pairs of the two functions above come to."""
    found: list[Leak] = []
    if gaps:
        said = f"these lack their cells where the target is missing: {_listed(gaps)}"
        found.append(_late("gaps", gaps, f"{said}; they come to be together with it"))
    if varying:
        said = f"these vary only in rows without a target: {_listed(varying)}"
        found.append(_late("outcome", varying, f"{said}; they tell what became of a row"))
    return found


def _listed(pairs: Sequence[tuple[str, str]]) -> str:
    more = len(pairs) - FEWEST
    return ", ".join(said for _, said in pairs[:FEWEST]) + (f", {more:,} more" if more > 0 else "")


def _late(kind: str, pairs: Sequence[tuple[str, str]], said: str) -> Leak:
    return Leak(
        type="illegitimate",
        kind=kind,
        columns=tuple(name for name, _ in pairs),
        sentence=said,
        numbers={"columns": len(pairs)},
        advice="leave out what is not known when the model is asked",
    )


def dated_later(name: str, moments: np.ndarray, time: np.ndarray, time_name: str) -> list[Leak]:
    """Suspect a date of being written after the row's own time; both in days, NaN where missing."""
    known = np.isfinite(moments) & np.isfinite(time)
    after = int((moments[known] > time[known]).sum())
    if after < FEWEST or after < LATER * known.sum():
        return []
    share = after / int(known.sum())
    said = f"{shown(name)} is later than {shown(time_name)} in {after:,} rows ({share:.1%})"
    return [
        Leak(
            type="illegitimate",
            kind="later",
            columns=(name,),
            sentence=f"{said}: it may be written when the outcome is known",
            numbers={"rows": after, "share": round(share, 6)},
            advice="a date that was planned ahead is no leak: then accept it",
        )
    ]


def denied(features: Iterable[str], patterns: Sequence[str]) -> list[Leak]:
    """Return the features that the settings forbid."""
    found = [name for name in features if any(fnmatchcase(name, each) for each in patterns)]
    if not found:
        return []
    return [
        Leak(
            type="illegitimate",
            kind="denied",
            columns=tuple(found),
            sure=True,
            sentence=f"features that leaks.deny forbids: {named(found)}",
            numbers={"columns": len(found)},
        )
    ]
