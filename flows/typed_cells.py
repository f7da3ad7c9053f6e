"""Cells that a library has typed already (a workbook's, a database's) as columns of one type each.

- A column of one kind keeps it: numbers, whole numbers, truths, moments. A mixed one becomes text,
  each cell as a file would hold it, so that the reader judges it as it judges text.
- Decimals become doubles; what has no cell value (bytes, lists) is refused by name.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pyarrow as pa

LARGEST = 2**63


class NoCell(ValueError):  # noqa: N818 - what it is
    """A value that no cell can hold."""


def columns_of(cells: Mapping[str, Sequence[Any]]) -> pa.Table:
    """Return the columns as a table; None is a missing cell.

    Raises:
        NoCell: a value is no single cell, such as bytes or a list.

    """
    import pyarrow as pa

    return pa.table({name: _column(name, values) for name, values in cells.items()})


def joined(tables: Sequence[pa.Table]) -> pa.Table:
    """Stack tables of the same columns; a column whose kinds differ becomes text in all of them."""
    import pyarrow as pa

    names = tables[0].column_names
    for name in names:
        kinds = {str(t.schema.field(name).type) for t in tables if t[name].null_count < t.num_rows}
        if len(kinds) > 1 and not kinds <= {"int64", "double"}:
            tables = [_as_text(table, name) for table in tables]
    return pa.concat_tables(tables, promote_options="permissive")


def _as_text(table: pa.Table, name: str) -> pa.Table:
    import pyarrow as pa

    texts = [None if cell is None else text_of(cell) for cell in table[name].to_pylist()]
    place = table.column_names.index(name)
    return table.set_column(place, name, pa.array(texts, pa.string()))


def _column(name: str, values: Sequence[Any]) -> pa.Array:
    import pyarrow as pa

    plain = [_plain(name, value) for value in values]
    kinds = {type(value) for value in plain if value is not None}
    if kinds == {int} and all(-LARGEST <= v < LARGEST for v in plain if v is not None):
        return pa.array(plain, pa.int64())
    if kinds and kinds <= {int, float} and all(_fits(v) for v in plain if type(v) is int):
        return pa.array([None if v is None else float(v) for v in plain], pa.float64())
    if kinds == {bool}:
        return pa.array(plain, pa.bool_())
    if kinds == {dt.datetime} and (zone := _zone(plain)) is not False:
        return pa.array(plain, pa.timestamp("us", tz=zone or None))
    return pa.array([None if v is None else text_of(v) for v in plain], pa.string())


def _fits(value: int) -> bool:
    return abs(value) <= 2**53


def _zone(moments: Iterable[dt.datetime | None]) -> str | bool:
    """Return "UTC" where all moments have a zone, "" where none has, False where some have."""
    aware = {moment.tzinfo is not None for moment in moments if moment is not None}
    return "" if aware == {False} else "UTC" if aware == {True} else False


def _plain(name: str, value: Any) -> Any:
    """Return a value as int, float, bool, str, datetime or None."""
    if value is None or isinstance(value, bool | int | str | dt.datetime):
        return value
    if isinstance(value, float | Decimal):
        return None if value != value else float(value)  # noqa: PLR0124 - NaN
    if isinstance(value, dt.date):
        return dt.datetime(value.year, value.month, value.day)  # noqa: DTZ001 - a day has no zone
    if isinstance(value, dt.time | UUID):
        return str(value)
    if isinstance(value, dt.timedelta):
        return value.total_seconds()
    raise NoCell(f"the column {name!r} holds {type(value).__name__}, which is no single cell value")


def text_of(value: Any) -> str:
    """Return the text that a file would hold for a cell."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, dt.datetime):
        midnight = value.time() == dt.time(0) and value.tzinfo is None
        return value.date().isoformat() if midnight else value.isoformat(sep=" ")
    return str(value)
