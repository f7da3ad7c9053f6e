"""Rows that show something first: a way of writing, an end of a range, a gap, a label.

- What only a few late rows of a large source hold is what a sample of its rows would lack: a decimal
  among whole numbers, "n.d.", a date in another format, -9999, a class of four rows.
- Of each way of writing (`flows/shapes.py`), end and gap of a column the first KEPT rows are kept, of
  each label of the target so many as tell whether it has enough. A column that is written in more
  than SHAPES ways is free text, and is not watched.
- In the end only those count that the sample lacks.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from flows.shapes import NUMBER, shapes

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow as pa
    from numpy.typing import NDArray

FIRST = 100  # rows of the source, which are always kept
KEPT = 3  # rows: so many may be a pile of stand-ins for missing
SHAPES = 64
LABELS, NUMBERS = 1_000, 20  # of a target, and numbers among them, above which these are no classes
PER_LABEL = 30  # rows, from which no class is too small
AT_ONCE = 32_768  # rows whose cells are near while they are looked at
DIGITS = re.compile(r"[0-9]+")
REPEATS = 4  # times that a text must occur on average to be looked at but once
WAITING = 50_000  # rows in memory before those that no longer count are let go


class OddRows:
    """Watches all columns of the tables that `add` is given."""

    def __init__(self, schema: pa.Schema, target: str) -> None:
        """Watch the columns of `schema`; `target` may be none of them."""
        self.columns = {kind.name: Watched(kind.type) for kind in schema}
        self.labels = {False: Labels(), True: Labels()} if target in self.columns else {}
        """Of the rows, and of given test rows."""
        self.target = target
        self._kept: list[tuple[pa.Table, NDArray[np.int64]]] = []

    def add(self, table: pa.Table, start: int, *, given: bool = False) -> None:
        """Take in the next rows, the first of which is the one at `start` of the source."""
        import pyarrow as pa

        for batch in table.to_batches(max_chunksize=AT_ONCE):
            wanted = set(range(start, min(FIRST, start + batch.num_rows)))
            for name, column in self.columns.items():
                wanted.update(column.look(batch.column(name), start))
            if self.labels:
                wanted.update(self.labels[given].look(batch.column(self.target), start))
            if wanted:
                places = np.sort(np.fromiter(wanted, np.int64))
                some = pa.Table.from_batches([batch]).take(pa.array(places - start))
                self._kept.append((some, places))
            start += batch.num_rows
        if sum(len(places) for _, places in self._kept) > WAITING:
            self._let_go(set(self._places()))

    def lacking(
        self, drawn: pa.Table, places: NDArray[np.int64], given: NDArray[np.bool_]
    ) -> tuple[pa.Table, NDArray[np.int64]] | None:
        """Return the rows that hold what the rows that were drawn lack, and their places.

        Args:
            drawn: the rows.
            places: where in the source they are.
            given: which of them are given test rows.

        """
        import pyarrow as pa

        wanted = set(range(FIRST))
        for name, column in self.columns.items():
            wanted.update(column.lacking(drawn[name].combine_chunks()))
        for side, labels in self.labels.items():
            there = drawn[self.target].filter(pa.array(given == side))
            wanted.update(labels.lacking(there, places))
        self._let_go(wanted.difference(places.tolist()))
        return self._kept[0] if self._kept else None

    def _places(self) -> Iterable[int]:
        yield from range(FIRST)
        for column in self.columns.values():
            yield from column.places()
        for labels in self.labels.values():
            yield from labels.places()

    def _let_go(self, wanted: set[int]) -> None:
        """Keep the rows at these places, each once."""
        import pyarrow as pa

        if not self._kept:
            return
        table = pa.concat_tables(one for one, _ in self._kept)
        places = np.concatenate([one for _, one in self._kept])
        there = np.isin(places, np.fromiter(wanted, np.int64, len(wanted)))
        self._kept = [(table.filter(pa.array(there)), places[there])] if there.any() else []


class Watched:
    """One column: what was seen in it, and the places of the rows that showed it first."""

    def __init__(self, kind: pa.DataType) -> None:
        """Nothing is seen yet."""
        import pyarrow as pa

        self.text = pa.types.is_string(kind)
        self.first: dict[str, list[int]] = {}
        """By shape."""
        self.ends: dict[str, tuple[Any, list[int]]] = {}
        """The least and the greatest number, or moment."""
        self.gaps: list[int] = []
        self.free = False
        """Whether it is written in too many ways to be watched."""
        self._repeats = True
        """Whether its texts repeat, so that it takes less to look at each of them once."""

    def look(self, cells: pa.Array, start: int) -> list[int]:
        """Return the places of rows that show something first; `start` is that of the first cell."""
        found: list[int] = []
        if cells.null_count and len(self.gaps) < KEPT:
            found = _more(self.gaps, cells.is_null(), start)
        if not self.text:
            return found + self._ends(_ordered(cells), start)
        if self.free:
            return found
        # Among numbers with decimals a plain number is nothing new.
        if "0.0" in self.first and (values := _plain_numbers(cells)) is not None:
            return found + self._ends(values, start)
        return found + self._written(cells, start)

    def _written(self, cells: pa.Array, start: int) -> list[int]:
        codes, written = self._coded(cells)
        found: list[int] = []
        for code, shape in enumerate(written):
            known = self.first.setdefault(shape, [])
            if len(known) < KEPT:
                found += _more(known, codes == code, start)
        if len(self.first) > SHAPES:
            self.free, self.first, self.ends = True, {}, {}
            return []
        digits = [code for code, shape in enumerate(written) if NUMBER.fullmatch(shape)]
        at = np.flatnonzero(np.isin(codes, digits))
        if len(at):
            import pyarrow as pa

            values = cells.take(pa.array(at)).cast(pa.float64())
            found += self._ends(values, start, at)
        return found

    def _coded(self, cells: pa.Array) -> tuple[NDArray[np.float64], list[str]]:
        """Return the place of each cell's shape in the list of shapes; NaN where there is none."""
        coded = cells.dictionary_encode() if self._repeats else None
        if coded is None or len(coded.dictionary) > len(cells) / REPEATS:
            self._repeats = False
            short = shapes(cells)
            return short.indices.to_numpy(zero_copy_only=False), short.dictionary.to_pylist()
        short = shapes(coded.dictionary)
        codes = short.indices.take(coded.indices)
        return codes.to_numpy(zero_copy_only=False), short.dictionary.to_pylist()

    def _ends(self, values: pa.Array, start: int, at: NDArray[np.int64] | None = None) -> list[int]:
        """Keep the places of the least and the greatest values; `at` says where they stand."""
        import pyarrow.compute as pc

        ask: Any = pc  # its functions are made when it is imported; checkers do not see them
        ends = ask.min_max(values)
        found: list[int] = []
        for end in ("min", "max"):
            value = ends[end].as_py()
            if value is None:
                continue
            known, places = self.ends.get(end, (value, []))
            if value < known if end == "min" else value > known:
                places = []
            elif value != known or len(places) >= KEPT:
                continue
            self.ends[end] = (value, places)
            same = np.flatnonzero(ask.fill_null(ask.equal(values, ends[end]), False))
            rows = (same if at is None else at[same])[: KEPT - len(places)] + start
            places += rows.tolist()
            found += rows.tolist()
        return found

    def places(self) -> Iterable[int]:
        """Return all places that count so far."""
        yield from self.gaps
        for places in self.first.values():
            yield from places
        for _, places in self.ends.values():
            yield from places

    def lacking(self, drawn: pa.Array) -> Iterable[int]:
        """Return the places of what occurs in fewer than KEPT of the drawn cells."""
        if drawn.null_count < KEPT:
            yield from self.gaps
        values = drawn
        if self.text:
            counts = _counts(shapes(drawn)) if self.first else {}
            for shape, places in self.first.items():
                yield from places if counts.get(shape, 0) < KEPT else ()
            values = _numbers_among(drawn) if self.ends else drawn
        else:
            values = _ordered(drawn)
        for value, places in self.ends.values():
            yield from places if _count(values, value) < KEPT else ()


class Labels:
    """The first rows of each value of a target."""

    def __init__(self) -> None:
        """Nothing is seen yet."""
        self.many = False
        """Whether there are too many values for labels."""
        self._first: dict[Any, list[int]] = {}

    def look(self, cells: pa.Array, start: int) -> list[int]:
        """Return the places of rows whose label was seen in too few so far."""
        if self.many:
            return []
        coded = cells.dictionary_encode()
        codes = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        labels = coded.dictionary.to_pylist()
        every = {*self._first, *labels}
        if len(every) > LABELS or sum(map(_is_number, every)) > NUMBERS:
            self.many, self._first = True, {}
            return []
        found: list[int] = []
        for code, label in enumerate(labels):
            known = self._first.setdefault(label, [])
            if label != "" and len(known) < PER_LABEL:
                found += _more(known, codes == code, start, most=PER_LABEL)
        return found

    def places(self) -> Iterable[int]:
        """Return all places that count so far."""
        for places in self._first.values():
            yield from places

    def lacking(self, drawn: pa.ChunkedArray, places: NDArray[np.int64]) -> Iterable[int]:
        """Return the places of rows that fill each label up to PER_LABEL; `places` were drawn."""
        if not self._first:
            return
        counts = _counts(drawn.combine_chunks().dictionary_encode())
        there = set(places.tolist())
        for label, known in self._first.items():
            more = [place for place in known if place not in there]
            yield from more[: max(PER_LABEL - counts.get(label, 0), 0)]


def _more(known: list[int], here: Any, start: int, *, most: int = KEPT) -> list[int]:
    """Add the places of the first of some cells, up to `most` in all; return those that are new."""
    rows = np.flatnonzero(here)[: most - len(known)] + start
    known += rows.tolist()
    return rows.tolist()


def _counts(coded: pa.DictionaryArray) -> dict[Any, int]:
    """Return how often each value occurs."""
    codes = coded.indices.drop_null().to_numpy()
    values = coded.dictionary.to_pylist()
    return dict(zip(values, np.bincount(codes, minlength=len(values)).tolist(), strict=True))


def _is_number(label: Any) -> bool:
    return not isinstance(label, str) or NUMBER.fullmatch(DIGITS.sub("0", label)) is not None


def _ordered(cells: pa.Array) -> pa.Array:
    """Return cells as what can be compared: moments as their ticks."""
    import pyarrow as pa

    return cells.view(pa.int64()) if pa.types.is_timestamp(cells.type) else cells


def _plain_numbers(cells: pa.Array) -> pa.Array | None:
    """Return texts as doubles, empty ones as missing; None where one is something else."""
    import pyarrow as pa
    import pyarrow.compute as pc

    ask: Any = pc
    present = ask.if_else(ask.equal(cells, ""), pa.scalar(None, pa.utf8()), cells)
    try:
        values = present.cast(pa.float64())
    except pa.ArrowInvalid:
        return None
    finite = ask.all(ask.is_finite(values)).as_py()
    return values if finite is not False else None


def _numbers_among(cells: pa.Array) -> pa.Array:
    """Return those of the texts that are numbers, as doubles."""
    import pyarrow as pa

    coded = shapes(cells)
    digits = [k for k, shape in enumerate(coded.dictionary.to_pylist()) if NUMBER.fullmatch(shape)]
    there = np.isin(coded.indices.to_numpy(zero_copy_only=False), digits)
    return cells.filter(pa.array(there)).cast(pa.float64())


def _count(values: pa.Array, value: Any) -> int:
    """Return how often a value occurs."""
    import pyarrow as pa
    import pyarrow.compute as pc

    ask: Any = pc
    return ask.sum(ask.equal(values, pa.scalar(value, values.type))).as_py() or 0
