"""The parts of a source as one table.

- All parts are read before anything is refused, so every bad part is named at once.
- Parts must agree on their set of columns; their order may differ.
- `__source__` (the part's name) and `__record__` (from 1, within the part) go along.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from expectations.failure import Failure, describe, shown
from flows import header
from flows.errors import DataRefused
from flows.parts import Part, find_parts, refuse
from flows.sources import SOURCES, Read

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    import pyarrow as pa

    from flows.data_spec import DataSpec
    from flows.delimited import Piece


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A source as one table."""

    frame: pd.DataFrame
    """The source's columns, then `__source__` and `__record__`."""
    parts: list[dict[str, Any]]
    """Name, path, digest, bytes and rows of each part."""
    text: bool
    """Whether every cell is text."""
    renamed: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read_source(
    source: str | tuple[str, ...], data: DataSpec, folder: Path, *, key: str = "data.source"
) -> Loaded:
    """Return the rows of a source, read with the options in `data`.

    Raises:
        DataRefused: every part that cannot be read is named.

    """
    parts = find_parts(source, folder=folder, outside=data.outside, key=key)
    read: list[tuple[Part, Read]] = []
    refusals: list[DataRefused] = []
    for part in parts:
        try:
            read.append((part, SOURCES[part.kind](part, data)))
        except DataRefused as refusal:
            refusals.append(refusal)
    if refusals:
        text = "\n".join(str(refusal) for refusal in refusals[:5])
        more = f"\n... and {len(refusals) - 5} more parts" if len(refusals) > 5 else ""
        failures = [f for r in refusals for f in r.failures]
        first = refusals[0]  # whether it may pass by itself is seen from what it came of
        raise DataRefused(text + more, failures) from first
    table = _union([(part.name, r.piece) for part, r in read], key)
    notes = [f"{part.name}: {note}" for part, r in read for note in r.piece.notes]
    return Loaded(
        frame=frame_of(table),
        parts=[_part_facts(part, r) for part, r in read],
        text=all(part.kind == "text" for part in parts),
        renamed={old: new for _, r in read for old, new in r.piece.renamed.items()},
        notes=notes + header.near_case(table.column_names[:-2]),
    )


def _part_facts(part: Part, read: Read) -> dict[str, Any]:
    return {
        "name": part.name,
        "path": str(part.path) if part.path else None,
        "kind": part.kind,
        "sha256": read.digest,
        "bytes": read.size,
        "rows": read.piece.table.num_rows,
    }


def _union(pieces: list[tuple[str, Piece]], key: str) -> pa.Table:
    """Stack parts of one set of columns, with `__source__` and `__record__`."""
    import numpy as np
    import pyarrow as pa

    first_name, first = pieces[0]
    names = first.table.column_names
    others = [(name, piece.table.column_names) for name, piece in pieces[1:]]
    failures = [f for name, here in others for f in differences(name, here, first_name, names)]
    if failures:
        text = f"{key}: parts must have one set of columns:\n{describe(failures)}"
        raise DataRefused(text, failures)
    tables = []
    for name, piece in pieces:
        rows = piece.table.num_rows
        table = piece.table.select(names)
        source = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), [name])
        table = table.append_column("__source__", source.cast(pa.string()))
        tables.append(table.append_column("__record__", pa.array(np.arange(1, rows + 1))))
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        message = f"{key}: parts hold a column in different types: {shown(str(error), 300)}"
        raise refuse("parts.types", message, "write all parts with the same types") from None


def differences(name: str, here: list[str], first: str, names: list[str]) -> list[Failure]:
    """Return how the columns `here` of one part differ from those of the first."""
    missing = [n for n in names if n not in here]
    extra = [n for n in here if n not in names]
    if not missing and not extra:
        return []
    said = [f"lacks {', '.join(map(shown, missing[:5]))}"] if missing else []
    said += [f"adds {', '.join(map(shown, extra[:5]))}"] if extra else []
    return [
        Failure(
            rule="parts.columns",
            column=(missing or extra)[0],
            count=len(missing) + len(extra),
            total=len(names),
            message=f"{shown(name)} {' and '.join(said)}, compared with {shown(first)}",
            advice="leave the part out, or give it the same columns",
        )
    ]


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
