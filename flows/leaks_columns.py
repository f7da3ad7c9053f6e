"""What single columns show: beside the target, in the order of the file, and between the sides.

- Each column is read once; what a finding needs of several columns is gathered here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from expectations import leaks_late, leaks_prepared, leaks_sides, leaks_target
from expectations.drift import compared, counted, profile_of
from expectations.leaks_sums import made_of
from expectations.leaks_target import Alone, Target
from expectations.leaks_twins import Twins
from flows import relations

if TYPE_CHECKING:
    from expectations.leaks import Leak
    from flows.leaks_view import Column, View
    from flows.spec import Spec

EPOCHS = ((9e8, 2.5e9), (9e11, 2.5e12))
"""Numbers that are moments: seconds and milliseconds since 1970, of this century."""
COMPARED = 20_000  # rows of a side that a classifier sees
DAY = 86_400_000_000  # microseconds


@dataclass(kw_only=True)
class Found:
    """What is gathered while the columns go by."""

    twins: Twins
    alone: dict[str, Alone] = field(default_factory=dict)
    sampled: dict[str, np.ndarray] = field(default_factory=dict)
    leaks: list[Leak] = field(default_factory=list)
    scaled: list[str] = field(default_factory=list)
    filled: list[tuple[str, float]] = field(default_factory=list)
    encoded: list[str] = field(default_factory=list)
    profiles: dict[str, dict[str, Any]] = field(default_factory=dict)
    sides: dict[str, dict[str, Any]] = field(default_factory=dict)
    """How the test rows of each column differ from its train rows."""
    told: dict[str, np.ndarray] = field(default_factory=dict)
    """Numbers or codes of rows that a classifier is asked about."""


def gathered(spec: Spec, view: View, say: Any) -> Found:
    """Ask every detector that looks at one column; gather what others need."""
    book = view.book
    found = Found(twins=Twins(train=book.fitted, test=book.judged))
    own = Target(
        name=view.target.name, cells=view.target.cells[view.sample], classes=view.target.classes
    )
    columns = len(view.features)
    rows = compared_rows(view)
    for place, column in enumerate(view.columns()):
        if place % 50 == 0:
            say(f"looking at column {place + 1:,} of {columns:,}")
        if column.kind == "text":
            names_rows(found, view, column)
            continue
        _beside_target(found, column, view, own)
        _in_the_file(found, column, view)
        _between_sides(found, column, view, rows)
    for name, cells in found.sampled.items():
        lonely = leaks_target.lonely(name, found.alone)
        leak = leaks_target.of_column(name, cells, own, found.alone.get(name), lonely=lonely)
        found.leaks += [leak] if leak else []
    numbers = {n: c for n, c in found.sampled.items() if c.dtype.kind == "f"}
    copies = {name for leak in found.leaks if leak.sure for name in leak.columns}
    if not own.classes:
        parts = {n: c for n, c in numbers.items() if n not in copies}
        found.leaks += made_of(parts, own.cells, name=own.name, features=len(found.sampled))
    found.leaks += leaks_prepared.prepared(found.scaled, found.filled, found.encoded)
    found.leaks += leaks_late.denied(view.features, spec.leaks.deny)
    return found


def _beside_target(found: Found, column: Column, view: View, own: Target) -> None:
    """Measure how well a column predicts alone, on rows that are learned from."""
    cells = column.cells[view.sample]
    known = np.isfinite(own.cells) if not own.classes else own.cells >= 0
    found.sampled[column.name] = cells
    if known.sum() < 2 or len(np.unique(own.cells[known])) < 2:
        return
    bins = relations.binned(cells[known])
    measure, value = relations.alone(cells[known], bins, own.cells[known], own.classes)
    found.alone[column.name] = Alone(measure=measure, value=value)


def _in_the_file(found: Found, column: Column, view: View) -> None:
    """Look at a column over all rows: order, preparation, times, names."""
    book, alone = view.book, found.alone.get(column.name)
    if column.names is None:
        counts = leaks_target.row_number(column.name, column.cells, alone)
        if counts is not None:
            found.leaks.append(counts)
        if leaks_prepared.scaled(column.cells, book.fitted):
            found.scaled.append(column.name)
        if (value := leaks_prepared.filled(column.cells, book.fitted)) is not None:
            found.filled.append((column.name, value))
        if leaks_prepared.encoded(column.cells, view.target, book.fitted):
            found.encoded.append(column.name)
        if _is_time(column) and counts is None:
            found.leaks += leaks_sides.like_time(column.name, column.cells, book, view.truth)
    names_rows(found, view, column)
    if column.kind == "date" and book.time is not None and book.time_dates:
        days = book.time / DAY
        found.leaks += leaks_late.dated_later(column.name, column.cells, days, book.time_name)


def _is_time(column: Column) -> bool:
    if column.kind == "date":
        return True
    low, high = np.nanmin(column.cells, initial=np.inf), np.nanmax(column.cells, initial=-np.inf)
    return any(first <= low and high <= last for first, last in EPOCHS)


def names_rows(found: Found, view: View, column: Column) -> None:
    """Suspect a column of naming what rows share."""
    if view.book.group is not None or view.book.by == "time":
        return
    codes, textual = column.cells, column.names is not None
    if not textual:
        if column.kind != "integer" or not leaks_sides.ID_LIKE.search(column.name):
            return
        known = np.isfinite(codes)
        codes = np.where(known, np.unique(np.where(known, codes, 0), return_inverse=True)[1], -1)
    found.leaks += leaks_sides.shared_names(
        column.name, codes, view.book, view.truth, textual=textual
    )


def _between_sides(found: Found, column: Column, view: View, rows: np.ndarray) -> None:
    """Compare a column's test rows with its train rows, and keep what others need."""
    found.twins.add(column.cells)
    profile = profile_of(column.cells[view.train], column.names)
    found.profiles[column.name] = profile
    if view.book.judged.any():
        now = counted(profile, column.cells[view.book.judged], column.names)
        found.sides[column.name] = compared(profile, now)
    if len(rows) and column.kind != "date":  # dates differ where the split is by time
        cells = column.cells[rows].astype(np.float32)
        found.told[column.name] = np.where(cells < 0, np.nan, cells) if column.names else cells


def compared_rows(view: View) -> np.ndarray:
    """The rows of both sides that a classifier is asked to tell apart; none where chance split."""
    if view.book.by == "row":
        return np.zeros(0, np.int64)
    random, parts = np.random.default_rng(0), []
    for side in (view.book.judged, view.train):
        places = np.flatnonzero(side)
        if len(places) > COMPARED:
            places = np.sort(random.choice(places, COMPARED, replace=False))
        parts.append(places)
    return np.concatenate(parts)
