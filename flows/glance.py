"""What `init` sees of a large source: rows from all over it, and what only all of its rows can tell.

- Up to WHOLE cells a table is looked at as a whole. Of a larger one some rows are: CELLS cells drawn
  evenly from all parts, the first rows, and those that show something first (`flows/odd_rows.py`).
- All rows go by block by block, once; a second time, with a few columns, where it must be known
  whether a value occurs twice.
- Rows, labels and what repeats are counted in all rows, everything else in those that were looked at.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from expectations.leaks_sides import CAMEL, ID_LIKE, LEAST_VALUES
from flows.column_options import reading_of, role_of
from flows.describe import TEXT_LENGTH, TEXT_SHARE
from flows.distinct import Counted, Distinct, hashed
from flows.kinds import infer
from flows.load import aside_of, marked, parts_of, sides_of
from flows.odd_rows import OddRows
from flows.part_size import Size, size_of
from flows.part_types import schema_of
from flows.quarantine_records import kept
from flows.spread import Spread
from flows.suspicions import MANY_LEVELS, like_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    import pandas as pd
    import pyarrow as pa
    from numpy.typing import NDArray

    from flows.spec import Spec
    from flows.union import Source

    Sides = list[tuple[Source, bool]]

WHOLE, CELLS = 8_000_000, 4_000_000
LEAST, MOST = 20_000, 100_000  # rows that are drawn of a large source
BYTES, FEWEST = 400_000_000, 2_000  # of drawn rows, however long their texts; rows at least
AT_ONCE, BYTES_AT_ONCE = 16_384, 1 << 26  # rows and bytes that go by together
VALUES, LEAST_FOLLOWED = 1 << 22, 1 << 16  # that are followed, of all columns and of one
SETTLED = 3  # columns without a repeat among the values followed, of which all values are compared
TRIED = 1_000  # cells that tell what a column's values are
DIFFER = 0.5  # share of different values from which it must be known whether one occurs twice


@dataclass(frozen=True, kw_only=True)
class Glance:
    """What was seen of a large source."""

    rows: int
    """Of the source, and of a given test file."""
    drawn: NDArray[np.bool_]
    """Of the rows that were looked at (n,): whether they were drawn, and not chosen."""
    counted: Mapping[str, Counted] = field(default_factory=dict)
    """What all rows say, by column."""
    aside: int = 0
    """Records of another width, of all; they are no rows."""

    @property
    def said(self) -> str:
        """How much was looked at, in a sentence."""
        chosen = len(self.drawn) - int(self.drawn.sum())
        return (
            f"{len(self.drawn):,} of {self.rows:,} rows were looked at: {int(self.drawn.sum()):,} drawn "
            f"evenly from all of the source, and {chosen:,} that show what these lack; counts are of "
            "these rows"
            + f"; {self.aside:,} records of another width are set aside"
            * bool(self.aside)
        )

    def correct(self, profile: dict[str, Any], table: pd.DataFrame) -> None:
        """Put right in a profile of the rows that were looked at what all rows say otherwise."""
        profile |= {"of": self.rows, "drawn": int(self.drawn.sum())}
        for column in profile["columns"]:
            if known := self.counted.get(column["name"]):
                column["all"] = {"distinct": known.distinct, "unique": known.unique}
                cells: Any = table[column["name"]]
                _correct(column, known, cells)
        for alarm in profile["alarms"]:
            if alarm["kind"] == "duplicate_rows":
                alarm["message"] += ", of those that were looked at: in all there may be more"
            if alarm["kind"] == "duplicate_column":
                alarm["message"] += " that was looked at"


def rows_to_look_at(spec: Spec) -> int | None:
    """Return of how many rows a large source is known; None: it is looked at as a whole."""
    size = sum((size_of(part, spec.data) for part, _ in parts_of(spec)), Size())
    most = min(max(CELLS // max(size.columns, 1), LEAST), MOST)
    most = min(most, max(BYTES * size.rows // max(size.bytes, 1), FEWEST))
    return most if size.rows * size.columns > WHOLE and size.rows > most else None


def glance(spec: Spec, most: int, path: Path) -> Glance:
    """Write `most` rows of the source to `path`, drawn evenly, and those that show what these lack.

    Raises:
        DataRefused: a source cannot be read, or has too many records of another width.

    """
    from flows.tables import Writer

    sides = sides_of(spec)
    while True:
        spread, odd = _gone_by(spec, sides, most)
        if not any(side.late for side, _ in sides):
            break
        sides = [(side.mended() if side.late else side, given) for side, given in sides]
    aside = kept(*aside_of(sides), spec.data, path.parent)
    table, drawn = _together(spread, odd)
    with Writer(path, table.schema) as writer:
        writer.write(table)
    doubtful = [name for name in odd.columns if _is_doubtful(spec, name, table[name])]
    counted = _counted(sides, doubtful) if doubtful else {}
    return Glance(
        rows=spread.seen, drawn=drawn, counted=counted, aside=int(aside.get("records", 0))
    )


def _gone_by(spec: Spec, sides: Sides, most: int) -> tuple[Spread, OddRows]:
    """Let all rows go by."""
    schema = schema_of([side for side, _ in sides])
    spread, odd = Spread(most), OddRows(schema, spec.data.target)
    for side, given in sides:
        for table in _at_least(AT_ONCE, marked(side.tables(schema), given)):
            odd.add(table, spread.seen, given=given)
            spread.add(table)
    return spread, odd


def _at_least(rows: int, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Yield tables of so many rows at least, but for the last one: small ones take longer."""
    import pyarrow as pa

    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        size = sum(one.nbytes for one in waiting)
        if size >= BYTES_AT_ONCE or sum(one.num_rows for one in waiting) >= rows:
            yield table if len(waiting) == 1 else pa.concat_tables(waiting).combine_chunks()
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting).combine_chunks()


def _together(spread: Spread, odd: OddRows) -> tuple[pa.Table, NDArray[np.bool_]]:
    """Return all rows that are looked at in their order, and which of them were drawn."""
    import pyarrow as pa

    drawn, places = spread.rows()
    found, where = [drawn], [places]
    given = drawn["__given__"].to_numpy()
    if (more := odd.lacking(drawn, places, given)) is not None:
        found.append(more[0])
        where.append(more[1])
    every = np.concatenate(where)
    order = np.argsort(every)
    table = pa.concat_tables(found).take(pa.array(order))
    return table, np.arange(len(every))[order] < len(places)


def _is_doubtful(spec: Spec, name: str, cells: pa.ChunkedArray) -> bool:
    """Whether it must be known of a column if values repeat: most differ here, or it is called an id."""
    import pyarrow as pa

    kind = cells.type
    if role_of(spec, name) == "target" or not (
        pa.types.is_string(kind) or pa.types.is_integer(kind)
    ):
        return False
    here = Distinct()
    here.add(cells)
    counted = here.counted()
    named = ID_LIKE.search(name) or CAMEL.search(name)
    if counted.distinct < LEAST_VALUES or (counted.share <= DIFFER and not named):
        return False
    some = np.linspace(0, len(cells) - 1, min(TRIED, len(cells))).astype(np.int64)
    guess, _, _ = infer(cells.take(pa.array(some)).to_pandas(), *reading_of(spec, name))
    return guess.kind in ("integer", "category", "text")


def _counted(sides: Sides, names: list[str]) -> dict[str, Counted]:
    """Count the values of some columns in all rows."""
    schema = schema_of([side for side, _ in sides], names)
    found = {name: Distinct(most=max(VALUES // len(names), LEAST_FOLLOWED)) for name in names}
    for side, _ in sides:
        for table in side.tables(schema, names):
            for name, column in found.items():
                column.add(table[name])
    known = {name: column.counted() for name, column in found.items()}
    open_ = [name for name, counted in known.items() if counted.unique and not counted.exact]
    for place, name in enumerate(open_):  # no value was seen twice, but not all were followed
        repeats = place >= SETTLED or _repeats(sides, name)
        known[name] = replace(known[name], repeats=repeats)
    return known


def _repeats(sides: Sides, name: str) -> bool:
    """Whether a value occurs twice in all rows: eight bytes of each row are in memory."""
    schema = schema_of([side for side, _ in sides], [name])
    parts = [hashed(t[name]) for side, _ in sides for t in side.tables(schema, [name])]
    hashes = np.sort(np.concatenate(parts))
    return bool((hashes[1:] == hashes[:-1]).any())


def _correct(column: dict[str, Any], known: Counted, cells: pd.Series) -> None:
    """Tell identifiers, row numbers and texts of a column by all rows."""
    flags: list[str] = [flag for flag in column["flags"] if flag != "identifier"]
    number = column["kind"] == "integer"
    column["flags"] = flags
    if known.unique and number and known.in_steps:
        flags.append("row_number")
    if known.unique and number and like_id(column["min"], column["max"], known.rows):
        flags.append("identifier")
    if column["kind"] != "text":
        return
    texts = cells.dropna().astype(str)
    if known.share <= TEXT_SHARE and float(texts.str.len().mean()) <= TEXT_LENGTH:
        column |= {"kind": "category", "seen": "category"}
        column["reason"] = f"about {known.distinct:,} different texts in {known.present:,} cells"
        flags += ["high_cardinality"] if known.distinct > MANY_LEVELS else []
    elif known.unique:
        flags.append("identifier")
