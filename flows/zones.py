"""Whether the dates of a column have a time zone, where nothing says so: as most of them do.

- The reader decides by the majority of what it is given; a table that it is given piece by piece
  must be asked as a whole before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def settled(schema: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Return a reading schema in which every date column of a raw table knows its zone."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {field.name: field.type for field in pq.read_schema(path)}
    open_ = [
        entry
        for entry in schema["columns"]
        if entry["kind"] == "date"
        and entry.get("zone") is None
        # what has a type of its own has one zone, or none, in every row
        and not pa.types.is_timestamp(kinds.get(entry["name"], pa.timestamp("us")))
    ]
    if not open_:
        return dict(schema)
    said = _majorities(open_, schema.get("missing", ()), path)
    columns = [
        entry | {"zone": said[entry["name"]]} if entry["name"] in said else entry
        for entry in schema["columns"]
    ]
    return {**schema, "columns": columns}


def _majorities(entries: list[dict[str, Any]], missing: Any, path: Path) -> dict[str, str]:
    import pandas as pd

    from flows.tables import blocks
    from models.served import ZONE, Column, read_cells

    columns = {e["name"]: Column.of(e | {"zone": "aware"}, missing) for e in entries}
    aware, naive = dict.fromkeys(columns, 0), dict.fromkeys(columns, 0)
    for frame in blocks(path, list(columns)):
        for name, column in columns.items():
            cells, fault = read_cells(pd.Series(frame[name]), column)
            aware[name] += int(np.count_nonzero(~np.isnat(cells)))
            naive[name] += int(np.count_nonzero(fault == ZONE))
    return {name: "aware" if aware[name] >= naive[name] else "naive" for name in columns}
