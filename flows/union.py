"""The parts of a source as one table, block by block.

- All parts are looked at before anything is refused or set aside, so every bad part is named at
  once; what is wrong deep inside a large one is found while it goes by, and then the others are
  looked through all the same, and the table is begun anew.
- Parts must agree on their set of columns, by `flows/aliases.py`; their order may differ.
- `__source__` (the part's name) and `__record__` (from 1, within the part) go along.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flows import aliases, header
from flows.errors import DataRefused
from flows.part_cache import PARSED, Parts
from flows.part_types import other_types, schema_of
from flows.parts import Part, find_parts
from flows.quarantine_files import said_of, set_aside
from flows.streams import HELD, Stream, open_stream, opened_again
from flows.tables import frame_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    import pandas as pd
    import pyarrow as pa

    from flows.aliases import Agreed
    from flows.data_spec import DataSpec

__all__ = ["Loaded", "Source", "columns_of", "frame_of", "open_source", "read_source"]
Refused = list[tuple[Part, DataRefused]]


@dataclass(kw_only=True)
class Source:
    """A source whose parts agree; `tables` reads it."""

    data: DataSpec
    key: str
    found: list[Part]
    """Every part, in order."""
    streams: list[Stream]
    """Those that can be read, as far as that is known."""
    refused: Refused
    bad: list[dict[str, Any]]
    """What is known of those that are left out (`quarantine_files.set_aside`)."""
    agreed: Agreed
    reader: Parts
    late: Refused = field(default_factory=list)
    """Parts that turned out to be bad while they went by."""

    @property
    def kept(self) -> frozenset[str]:
        """Names of the parts that were parsed before and did not have to be again."""
        return frozenset(self.reader.kept)

    @property
    def columns(self) -> list[str]:
        """The source's own columns."""
        return self.agreed.names

    def kinds(self) -> list[pa.Schema]:
        """Return each part's columns, by their common names."""
        import pyarrow as pa

        found = []
        for stream, renames in zip(self.streams, self.agreed.renames, strict=True):
            fields = [f.with_name(renames.get(f.name, f.name)) for f in stream.rows.schema]
            found.append(pa.schema(fields))
        return found

    def tables(self, schema: pa.Schema, names: Collection[str] | None = None) -> Iterator[pa.Table]:
        """Yield all rows in order: the columns of `schema`, then `__source__` and `__record__`.

        What is wrong with a part is kept in `late`, and the next one goes by.
        """
        for place, stream in enumerate(self.streams):
            if any(part is stream.part for part, _ in self.late):
                continue
            tables = stream.tables(self._wanted(place, names))
            while True:
                try:
                    table, records = next(tables)
                except StopIteration:
                    break
                except DataRefused as refusal:
                    self.late.append((stream.part, refusal))
                    break
                yield self._whole(place, table, records, schema)

    def _wanted(self, place: int, names: Collection[str] | None) -> set[str] | None:
        """Return what a part calls these columns."""
        back = {new: old for old, new in self.agreed.renames[place].items()}
        return None if names is None else {back.get(name, name) for name in names}

    def _whole(self, place: int, table: pa.Table, records: Any, schema: pa.Schema) -> pa.Table:
        import numpy as np
        import pyarrow as pa

        try:
            whole = self.agreed.table(place, table, schema.names).cast(schema)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise other_types(self.key, error) from None
        name = self.streams[place].part.name
        source = pa.DictionaryArray.from_arrays(np.zeros(table.num_rows, np.int32), [name])
        whole = _without_nan(whole).append_column("__source__", source.cast(pa.string()))
        return whole.append_column("__record__", pa.array(records, pa.int64()))

    def mended(self) -> Source:
        """Return the source without the parts, or the records, that turned out to be bad.

        Raises:
            DataRefused: they must not be left out; every one of them is named.

        """
        again = {id(p): opened_again(p, why, self.data, self.reader) for p, why in self.late}
        order = {id(part): place for place, part in enumerate(self.found)}
        late = [one for one in self.late if again[id(one[0])] is None]
        refused = sorted([*self.refused, *late], key=lambda one: order[id(one[0])])
        streams = [again.get(id(stream.part), stream) for stream in self.streams]
        there = [stream for stream in streams if stream is not None]
        return _agreed(self.data, self.key, self.found, there, refused, self.reader)

    def facts(self) -> list[dict[str, Any]]:
        """Return name, path, digest, bytes and rows of each part that went by."""
        return [_part_facts(stream) for stream in self.streams]

    def renamed(self) -> dict[str, str]:
        """Return names of the source that were put right."""
        return {old: new for stream in self.streams for old, new in stream.renamed.items()}

    def notes(self) -> list[str]:
        """Return what a person should know, after all rows went by."""
        rows = [stream.read for stream in self.streams]
        said = self.agreed.said(rows)
        said += [f"{s.part.name}: {note}" for s in self.streams for note in s.notes]
        return said + said_of(self.bad) + header.near_case(self.columns)

    @property
    def text(self) -> bool:
        """Whether every cell is text."""
        return all(stream.part.kind in ("text", "jsonl") for stream in self.streams)


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A source as one table in memory."""

    frame: pd.DataFrame
    """The source's columns, then `__source__` and `__record__`."""
    parts: list[dict[str, Any]]
    """Name, path, digest, bytes and rows of each part."""
    text: bool
    """Whether every cell is text."""


def open_source(
    source: str | tuple[str, ...], data: DataSpec, folder: Path, *, key: str = "data.source"
) -> Source:
    """Return a source whose rows can be read with the options in `data`.

    Raises:
        DataRefused: every part that cannot be read is named.

    """
    options: Any = {"outside": data.outside, "key": key, "data": data}
    parts = find_parts(source, folder=folder, lenient=True, **options)  # all bad parts at once
    reader = Parts(data, folder, many=len(parts) > 1)
    streams: list[Stream] = []
    refused: Refused = []
    held = 0
    for part in parts:
        try:
            stream = open_stream(part, data, reader)
        except DataRefused as refusal:
            refused.append((part, refusal))
            continue
        streams.append(stream)
        held += stream.held
        if held > HELD and len(parts) > 1 and part.kind in PARSED:
            stream.let_go()
    return _agreed(data, key, parts, streams, refused, reader)


def read_source(
    source: str | tuple[str, ...], data: DataSpec, folder: Path, *, key: str = "data.source"
) -> Loaded:
    """Return all rows of a source in memory.

    Raises:
        DataRefused: every part that cannot be read is named.

    """
    import pyarrow as pa

    opened = open_source(source, data, folder, key=key)
    while True:
        tables = list(opened.tables(schema_of([opened])))
        if not opened.late:
            frame = frame_of(pa.concat_tables(tables))
            return Loaded(frame=frame, parts=opened.facts(), text=opened.text)
        opened = opened.mended()


def _agreed(
    data: DataSpec,
    key: str,
    parts: list[Part],
    streams: list[Stream],
    refused: Refused,
    reader: Parts,
) -> Source:
    bad = set_aside(parts, refused, data)
    named = [(stream.part.name, list(stream.rows.schema.names)) for stream in streams]
    newest = len(streams) - 1 if streams[-1].part.date else 0
    agreed = aliases.agree(named, data, key=key, newest=newest)
    return Source(
        data=data, key=key, found=parts, streams=streams, refused=refused, bad=bad, agreed=agreed,
        reader=reader,
    )  # fmt: skip


def _part_facts(stream: Stream) -> dict[str, Any]:
    part = stream.part
    return {
        "name": part.name,
        "path": str(part.path) if part.path else None,
        "kind": part.kind,
        "sha256": stream.digest,
        "bytes": stream.size,
        "rows": stream.read,
        **({"date": part.date.isoformat()} if part.date else {}),
    }


def _without_nan(table: pa.Table) -> pa.Table:
    """Return a table in which a number that is none is a missing cell."""
    import pyarrow as pa
    import pyarrow.compute as pc

    ask: Any = pc  # its functions are made when it is imported; checkers do not see them
    for place, kind in enumerate(table.schema):
        if pa.types.is_floating(kind.type):
            odd = ask.is_nan(table.column(place))
            if ask.any(odd).as_py():
                cells = ask.if_else(odd, pa.scalar(None, kind.type), table.column(place))
                table = table.set_column(place, kind, cells)
    return table


def columns_of(frame: pd.DataFrame) -> list[str]:
    """Return the source's own columns, without the reserved ones."""
    return [c for c in frame.columns if c not in header.RESERVED]
