"""Traces of a preparation that saw test rows: scaled, filled or encoded before the split.

- A column that was standardised with all rows has mean 0 and deviation 1 over all rows, and not over
  the train rows; by chance both happen to one column in a hundred thousand, at any size.
- A value that stands for a level's mean target is the mean target of its rows: over which rows, says
  who was asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from expectations.failure import shown
from expectations.leaks import Leak, named

if TYPE_CHECKING:
    from collections.abc import Sequence

    from expectations.leaks_target import Target

LEAST_ROWS = 50
DISTINCT = 20
NOT_BY_CHANCE = 0.003  # of the standard error of a mean
EXACT = 1e-6
GROUPS = 4
VARYING = 0.5  # share of the groups in which the target varies
FILLED = 0.005
HEAD = 5_000  # cells that tell whether a look at all is worth it
LIKE = 1e-4
FEWEST = 5
CLASSES = 10


def scaled(cells: np.ndarray, fitted: np.ndarray) -> bool:
    """Whether a column was standardised with all rows (float64 (N,)); `fitted` marks train rows."""
    if cells.dtype.kind != "f":
        return False
    known = np.isfinite(cells)
    values = cells[known]
    if len(values) < LEAST_ROWS or fitted.all() or len(np.unique(values[:1_000])) < DISTINCT:
        return False
    return _standard(values) and not _standard(cells[known & fitted])


def _standard(values: np.ndarray) -> bool:
    count = len(values)
    spread = float(values.std())
    if count < 2 or spread == 0:
        return False
    most = NOT_BY_CHANCE / np.sqrt(count)
    unit = float(np.sqrt(count / (count - 1)))
    forms = (spread, spread * unit, spread * np.sqrt(count))  # deviations 0 and 1, or length 1
    return abs(float(values.mean())) <= most * spread and min(abs(f - 1) for f in forms) <= most


def filled(cells: np.ndarray, fitted: np.ndarray) -> float | None:
    """Return the value that stands in many cells and is the mean of all others, test rows too."""
    if cells.dtype.kind != "f":
        return None
    known = np.isfinite(cells)
    values = cells[known]
    if len(values) < LEAST_ROWS or fitted.all():
        return None
    _, few = np.unique(values[:: max(1, len(values) // HEAD)], return_counts=True)
    if few.max() < 2:  # hardly a value stands twice, so none stands often
        return None
    distinct, counts = np.unique(values, return_counts=True)
    commonest = float(distinct[counts.argmax()])
    if counts.max() < max(FEWEST, FILLED * len(values)) or len(distinct) < DISTINCT:
        return None
    if not commonest % 1:  # a whole number is a value of its own
        return None
    whole, own = values[values != commonest], cells[known & fitted]
    most = 1e-7 * float(values.std())
    there = abs(float(whole.mean()) - commonest) <= most
    alone = abs(float(own[own != commonest].mean()) - commonest) <= most
    return commonest if there and not alone else None


def encoded(cells: np.ndarray, target: Target, fitted: np.ndarray) -> bool:
    """Whether a column holds, for each of its values, the mean target of the rows that have it."""
    known = np.isfinite(cells) if cells.dtype.kind == "f" else np.zeros(0, bool)
    if known.sum() < LEAST_ROWS or fitted.all():
        return False
    mean = float(cells[known].mean())  # of means it is the mean
    truths = [t for t in _truths(target) if abs(t[known].mean() - mean) <= LIKE * t.std() + 1e-12]
    if not truths:
        return False
    values, codes, counts = np.unique(cells[known], return_inverse=True, return_counts=True)
    many = counts > 2
    if many.sum() < GROUPS or counts[many].sum() < known.sum() / 2:
        return False
    for truth in truths:
        held = truth[known]
        if _is_mean(values, codes, counts, held, many):
            inside = fitted[known]
            own = np.bincount(codes[inside], minlength=len(values))
            return not _is_mean(values, codes[inside], own, held[inside], own > 2)
    return False


def _truths(target: Target) -> list[np.ndarray]:
    if not target.classes:
        return [target.cells]
    return [(target.cells == k).astype(np.float64) for k in range(min(target.classes, CLASSES))]


def _is_mean(
    values: np.ndarray, codes: np.ndarray, counts: np.ndarray, truth: np.ndarray, many: np.ndarray
) -> bool:
    if many.sum() < GROUPS:
        return False
    low, high = float(truth.min()), float(truth.max())
    if values[many].min() < low - EXACT or values[many].max() > high + EXACT:
        return False
    means = np.bincount(codes, truth, minlength=len(values)) / np.maximum(counts, 1)
    near = np.abs(means - values)[many] <= max(EXACT * float(truth.std()), 1e-12)
    if not near.all():
        return False
    squares = np.bincount(codes, truth**2, minlength=len(values)) / np.maximum(counts, 1)
    varies = (squares - means**2)[many] > EXACT * max(float(truth.var()), 1e-300)
    return bool(varies.mean() >= VARYING)


def prepared(
    scaled_: Sequence[str], filled_: Sequence[tuple[str, float]], encoded_: Sequence[str]
) -> list[Leak]:
    """Return what the columns found by the three functions above come to."""
    found: list[Leak] = []
    if scaled_:
        count = f"{len(scaled_):,} columns were" if len(scaled_) > 1 else "a column was"
        said = f"{count} standardised with all rows, test rows among them: {named(scaled_)}"
        found.append(_leak("scaled", scaled_, said, "leave scaling to the run"))
    if filled_:
        pairs = ", ".join(f"{shown(name, 40)} with {value:g}" for name, value in filled_[:5])
        said = f"missing cells were filled with the mean of all rows, test rows among them: {pairs}"
        columns = [name for name, _ in filled_]
        found.append(_leak("filled", columns, said, "leave the cells empty: the run fills them"))
    if encoded_:
        said = f"each value is the mean target of all its rows, test rows among them: {named(encoded_)}"
        advice = "give the levels themselves: the run encodes them"
        found.append(_leak("encoded", encoded_, said, advice, sure=True))
    return found


def _leak(kind: str, columns: Sequence[str], said: str, advice: str, *, sure: bool = False) -> Leak:
    return Leak(
        type="preprocessing",
        kind=kind,
        columns=tuple(columns),
        sure=sure,
        sentence=said,
        numbers={"columns": len(columns)},
        advice=advice,
        droppable=sure,
    )
