"""What rows and sides show: who is on which side, near copies, other populations, late columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from expectations import leaks_late, leaks_sides
from expectations.drift import settled
from expectations.leaks_twins import twins
from expectations.population import of_sides, told_apart
from flows.leaks_columns import compared_rows, names_rows
from flows.leaks_view import column_of
from flows.tables import columns_of, names_in, read_parquet

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd

    from expectations.leaks import Leak
    from flows.leaks_columns import Found
    from flows.leaks_view import Column, View
    from flows.spec import Spec

NUMBERS = 0.9
MOST_DROPPED = 100  # columns that are not used and looked at all the same


def sides_of(spec: Spec, view: View, found: Found, made: Mapping[str, Path]) -> list[Leak]:
    """Ask the detectors that look at rows and sides."""
    book = view.book
    result = [
        *leaks_sides.own_test_set(book),
        *leaks_sides.whole_groups(book),
        *leaks_sides.forward_in_time(book),
        *twins(found.twins, book.row, most=spec.leaks.duplicates_share),
        *_dropped_names(spec, view, found, made),
    ]
    if not any(leak.type == "temporal" for leak in found.leaks):
        result += leaks_sides.like_series(book, view.truth)
    rows = compared_rows(view)
    told = None
    if len(rows) and found.told and spec.leaks.population != "off":
        told = told_apart(np.column_stack(list(found.told.values())), book.judged[rows])
    test = int(book.judged.sum())
    return [*result, *of_sides(told, settled(found.sides), by=book.by, test=test)]


def _dropped_names(spec: Spec, view: View, found: Found, made: Mapping[str, Path]) -> list[Leak]:
    """Columns that are not learned from may still name what rows share."""
    if view.book.group is not None or view.book.by == "time":
        return []
    table = made["load"] / "table.parquet"
    names = [n for n in names_in(table) if not n.startswith("__")]
    used = {*view.features, spec.data.target, spec.data.weight, *spec.data.id}
    leaks: list[Leak] = []
    for name in [n for n in names if n not in used][:MOST_DROPPED]:
        cells = read_parquet(table, [name])[name].iloc[view.book.row].replace("", None)
        column = _typed(cells)
        before = len(found.leaks)
        names_rows(found, view, column)
        leaks += found.leaks[before:]
        del found.leaks[before:]
    return leaks


def _typed(cells: pd.Series) -> Column:
    """A raw column that nobody has typed: numbers where nearly all cells are."""
    import pandas as pd

    numbers: Any = pd.to_numeric(cells, errors="coerce")
    if numbers.notna().sum() > NUMBERS * cells.notna().sum():
        return column_of(numbers, "integer")
    return column_of(cells.astype("str"), "text")


def late_columns(spec: Spec, view: View, made: Mapping[str, Path]) -> list[Leak]:
    """Ask which columns come to be with the target, where some rows have none."""
    typed = made["engineer"] / "typed.parquet"
    target = read_parquet(typed, [spec.data.target])[spec.data.target]
    untold = target.isna().to_numpy()
    gaps: list[tuple[str, str]] = []
    varying: list[tuple[str, str]] = []
    if untold.sum() < leaks_late.FEWEST:
        return []
    names = [name for name, kind in view.features.items() if kind != "text"]
    for column in columns_of(typed, names):
        name, cells = str(column.name), column_of(column, "number").cells
        missing = np.isnan(cells) if cells.dtype.kind == "f" else cells < 0
        plain = np.where(missing, -1e300, cells)
        if said := leaks_late.comes_with_target(name, missing, untold):
            gaps.append((name, said))
        elif said := leaks_late.varies_without_target(name, plain, untold):
            varying.append((name, said))
    return leaks_late.late(gaps, varying)
