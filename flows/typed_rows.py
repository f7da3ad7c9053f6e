"""The rows of the raw table as typed ones, piece by piece, and the cells that cannot be used.

- What is carried from piece to piece are counts, and lists of cells that cannot be used: so many
  rows are in memory as one piece has.
- Cells go from the reader to the file as arrays: a data frame of them would be one copy more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from flows.errors import DataRefused
from flows.formula_schema import truth_target, with_target
from flows.zones import settled
from models import served

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import pandas as pd
    import pyarrow as pa

RESERVED = ("__source__", "__record__", "__given__")


def pieces(path: Path) -> Iterator[pa.Table]:
    """Yield the raw table piece by piece; one without rows where it has none."""
    import pyarrow.parquet as pq

    from flows.tables import LEAST_ROWS, batches, group_rows

    schema = pq.read_schema(path)
    empty = True
    for table in batches(path, rows=max(group_rows(len(schema)) // 2, LEAST_ROWS)):
        empty = False
        yield table
    if empty:
        yield schema.empty_table()


class TypedRows:
    """Types one piece after the other; `rows`, `missing` and `listed` are of those so far."""

    def __init__(self, schema: Mapping[str, Any], table_path: Path) -> None:
        """Make the reading schema ready; the raw table is asked where it must be known as a whole."""
        self.schema = schema
        self.features = served.Reader(settled(schema, table_path))
        self.others = served.Reader(settled(with_target(schema), table_path))
        self.rows = 0
        self.missing: dict[str, int] = {}
        """Of each column."""
        self.truth = False
        """Whether the target's labels are true and false."""
        self._faults: list[tuple[pd.DataFrame, ...]] = []

    def typed(self, table: pa.Table) -> pa.Table:
        """Return the next rows as they are written.

        Raises:
            DataRefused: the table lacks a column, or has one twice.

        """
        import pyarrow as pa

        table = table.replace_schema_metadata(None)  # pandas' own would be parsed for each column
        try:
            typed, faults = _read(table, self.features)
            given, more = _read(table, self.others)
        except ValueError as error:
            raise DataRefused(str(error)) from None
        self.truth = truth_target(self.schema, _frame(table, [self.schema["target"]]))
        known = typed.keys()  # the faults of a feature are listed already
        more = {name: fault for name, fault in more.items() if name not in known}
        lists = _untypable(table, faults), _untypable(table, more)
        self._list((*lists, *_unusable(given, lists[1], self.schema)))
        places = np.arange(self.rows, self.rows + table.num_rows, dtype=np.int64)
        columns: dict[str, Any] = {"__row__": pa.array(places)}
        columns |= {name: table[name] for name in RESERVED if name in table.column_names}
        columns |= {name: _array(cells) for name, cells in typed.items()}
        columns |= {name: _array(cells) for name, cells in given.items() if name not in known}
        self.rows += table.num_rows
        for name, cells in columns.items():
            self.missing[name] = self.missing.get(name, 0) + cells.null_count
        return pa.table(columns)

    def _list(self, faults: tuple[pd.DataFrame, ...]) -> None:
        self._faults.append(tuple(part.assign(row=part["row"] + self.rows) for part in faults))

    def listed(self) -> pd.DataFrame:
        """Return the cells that cannot be used: of features by row, then those of other columns."""
        import pandas as pd

        parts = [part for kind in zip(*self._faults, strict=True) for part in kind]
        there = [part for part in parts if len(part)] or parts[:1]
        return pd.concat(there, ignore_index=True).astype({"row": "int64"})


def _read(
    table: pa.Table, reader: served.Reader
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return cells and faults by column, as `served.read` types the rows of a frame."""

    def cells(column: served.Column) -> served.Cells:
        values = table[column.name]
        if values.type == "double":
            import pandas as pd

            return served.read_cells(pd.Series(values.to_numpy()), column)
        return served.read_cells(_frame(table, [column.name])[column.name], column)

    return served.typed_by(cells, table.column_names, table.num_rows, reader)


def _frame(table: pa.Table, names: list[str]) -> Any:
    from flows.tables import frame_of

    return frame_of(table.select([name for name in names if name in table.column_names]))


def _untypable(table: pa.Table, faults: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """List the faulty cells, as `served.untypable` does."""
    bad = {name: fault for name, fault in faults.items() if fault.any()}
    return served.untypable(_frame(table, [*bad]), bad)


def _array(cells: np.ndarray) -> pa.Array:
    """Return typed cells for Parquet; NaN, NaT and None are missing."""
    import pyarrow as pa

    kind = pa.large_string() if cells.dtype.kind == "O" else None
    return pa.array(cells, kind, from_pandas=True)


def _unusable(
    given: Mapping[str, np.ndarray], faults: pd.DataFrame, schema: Mapping[str, Any]
) -> list[pd.DataFrame]:
    """List missing targets, and weights that are not above 0, as failures of their rows."""
    import pandas as pd

    target = schema["target"]
    listed = faults["row"].to_numpy()[faults["column"].to_numpy() == target]
    absent = np.setdiff1d(np.flatnonzero(pd.isna(given[target])), listed)
    why = "the target is missing"
    if schema.get("target_formulas"):
        why += ": a cell that it is derived from is, or the result is no number"
    lists = [_listed(absent, target, "present", "", why)]
    for entry in schema.get("role_columns", []):
        if entry["role"] == "weight":
            name = entry["name"]
            rows = np.flatnonzero(given[name] <= 0)
            values = pd.Series(given[name][rows]).astype(str).tolist()
            lists.append(_listed(rows, name, "range", values, "a weight must be above 0"))
    return lists


def _listed(rows: Any, column: str, rule: str, value: Any, reason: str) -> pd.DataFrame:
    import pandas as pd

    columns = {"row": rows, "column": column, "value": value, "rule": f"{column}.{rule}"}
    return pd.DataFrame({**columns, "reason": reason}).reset_index(drop=True)
