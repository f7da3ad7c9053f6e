"""The parts of a source as one table.

- All parts are read before anything is refused or set aside, so every bad part is named at once.
- Parts must agree on their set of columns, by `flows/aliases.py`; their order may differ.
- `__source__` (the part's name) and `__record__` (from 1, within the part) go along.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from expectations.failure import shown
from flows import aliases, header
from flows.errors import DataRefused
from flows.part_cache import Parts
from flows.parts import Part, find_parts, refuse
from flows.quarantine_files import said_of, set_aside

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    import pyarrow as pa

    from flows.aliases import Agreed
    from flows.data_spec import DataSpec
    from flows.sources import Read


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A source as one table."""

    frame: pd.DataFrame
    """The source's columns, then `__source__` and `__record__`."""
    parts: list[dict[str, Any]]
    """Name, path, digest, bytes and rows of each part."""
    text: bool
    """Whether every cell is text."""
    names: tuple[str, ...]
    """Every part that was found, in order."""
    bad: list[dict[str, Any]] = field(default_factory=list)
    """Parts that could not be read and are left out (`quarantine_files.set_aside`)."""
    kept: frozenset[str] = frozenset()
    """Names of the parts that were parsed before and did not have to be again."""
    renamed: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read_source(
    source: str | tuple[str, ...], data: DataSpec, folder: Path, *, key: str = "data.source"
) -> Loaded:
    """Return the rows of a source, read with the options in `data`.

    Raises:
        DataRefused: every part that cannot be read is named.

    """
    options: Any = {"outside": data.outside, "key": key, "data": data}
    parts = find_parts(source, folder=folder, lenient=True, **options)  # all bad parts at once
    reader = Parts(data, folder, many=len(parts) > 1)
    read: list[tuple[Part, Read]] = []
    refused: list[tuple[Part, DataRefused]] = []
    for part in parts:
        try:
            read.append((part, reader.read(part)))
        except DataRefused as refusal:
            refused.append((part, refusal))
    bad = set_aside(parts, refused, data)
    agreed = aliases.agree(
        [(part.name, r.piece.table.column_names) for part, r in read],
        data,
        key=key,
        newest=len(read) - 1 if read[-1][0].date else 0,
        rows=[r.piece.table.num_rows for _, r in read],
    )
    table = _union([(part.name, r.piece.table) for part, r in read], agreed, key)
    notes = agreed.notes + [f"{part.name}: {note}" for part, r in read for note in r.piece.notes]
    return Loaded(
        frame=frame_of(table),
        parts=[_part_facts(part, r) for part, r in read],
        names=tuple(part.name for part in parts),
        bad=bad,
        text=all(part.kind in ("text", "jsonl") for part, _ in read),
        kept=frozenset(reader.kept),
        renamed={old: new for _, r in read for old, new in r.piece.renamed.items()},
        notes=notes + said_of(bad) + header.near_case(table.column_names[:-2]),
    )


def _part_facts(part: Part, read: Read) -> dict[str, Any]:
    return {
        "name": part.name,
        "path": str(part.path) if part.path else None,
        "kind": part.kind,
        "sha256": read.digest,
        "bytes": read.size,
        "rows": read.piece.table.num_rows,
        **({"date": part.date.isoformat()} if part.date else {}),
    }


def _union(parts: list[tuple[str, pa.Table]], agreed: Agreed, key: str) -> pa.Table:
    """Stack parts of one set of columns, with `__source__` and `__record__`."""
    import numpy as np
    import pyarrow as pa

    tables = []
    for place, (name, part) in enumerate(parts):
        rows = part.num_rows
        table = agreed.table(place, part)
        source = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), [name])
        table = table.append_column("__source__", source.cast(pa.string()))
        tables.append(table.append_column("__record__", pa.array(np.arange(1, rows + 1))))
    tables = _fitting(tables)
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        message = f"{key}: parts hold a column in different types: {shown(str(error), 300)}"
        raise refuse("parts.types", message, "write all parts with the same types") from None


def _fitting(tables: list[pa.Table]) -> list[pa.Table]:
    """Let columns that are filled with missing cells be of the type that other parts have."""
    import pyarrow as pa

    if len(tables) == 1:
        return tables
    types = {}
    for table in tables:
        for column in table.schema:
            if table[column.name].null_count < table.num_rows:
                types.setdefault(column.name, column.type)
    fitted = []
    for table in tables:
        empty = [n for n in table.column_names if table[n].null_count == table.num_rows]
        for name in (n for n in empty if n in types):
            place = table.column_names.index(name)
            table = table.set_column(place, name, pa.nulls(table.num_rows, types[name]))  # noqa: PLW2901
        fitted.append(table)
    return fitted


def frame_of(table: pa.Table) -> pd.DataFrame:
    """To pandas; whole numbers and booleans stay what they are beside missing cells."""
    import pandas as pd
    import pyarrow as pa

    nullable = {
        pa.int8(): pd.Int8Dtype(), pa.int16(): pd.Int16Dtype(), pa.int32(): pd.Int32Dtype(),
        pa.int64(): pd.Int64Dtype(), pa.uint8(): pd.UInt8Dtype(), pa.uint16(): pd.UInt16Dtype(),
        pa.uint32(): pd.UInt32Dtype(), pa.uint64(): pd.UInt64Dtype(), pa.bool_(): pd.BooleanDtype(),
    }  # fmt: skip
    gaps = {name for name in table.column_names if table[name].null_count}
    whole = [name for name in table.column_names if name not in gaps]
    found: dict[str, Any] = {**table.select(whole).to_pandas()}
    found |= table.select(list(gaps)).to_pandas(types_mapper=nullable.get)
    return pd.DataFrame({name: found[name] for name in table.column_names}, copy=False)


def columns_of(frame: pd.DataFrame) -> list[str]:
    """Return the source's own columns, without the reserved ones."""
    return [c for c in frame.columns if c not in header.RESERVED]
