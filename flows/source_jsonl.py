"""JSON lines as a source: one object per line, every value as the text that stands in the file.

- Columns are the keys of all lines, in the order in which they first occur; a line without a key,
  or with null, has a missing cell. An object within an object gives columns named `a.b`.
- Numbers keep their digits: the reader types them, as it does those of a CSV file.
- A line that is no object, holds a list, or names a key twice is refused with its number.
"""

from __future__ import annotations

import gzip
import io
import json
import zlib
from typing import TYPE_CHECKING, Any

from flows import diagnose, header
from flows.delimited import Piece, stripped, unreadable
from flows.file_kind import GZIP
from flows.parts import refuse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa

    from expectations.failure import Failure

ROWS = 32_768  # of one table
TOLD = 5
LONGEST = 1 << 26  # bytes of a line
BOM = b"\xef\xbb\xbf"


class _Odd(ValueError):  # noqa: N818 - what a line is
    """What is wrong with a line; the text is for people."""


class JsonLines:
    """One file of JSON lines: its columns, then its rows, in constant memory."""

    def __init__(self, path: Path, name: str) -> None:
        """Read the file once for its keys, and refuse it where lines are wrong.

        Raises:
            DataRefused: every wrong line is named, up to a cap.

        """
        self.path, self.name = path, name
        self.size, self.bytes_read = path.stat().st_size, 0
        keys: dict[str, None] = {}
        failures: list[Failure] = []
        self.rows = 0
        for number, row in self._lines():
            if isinstance(row, _Odd):
                failures.append(self._failure(number, str(row)))
                if len(failures) == TOLD:
                    break
                continue
            self.rows += 1
            keys |= dict.fromkeys(row)
        self.keys = list(keys)
        self.names, self.renamed, wrong = header.clean_names(self.keys, name)
        if failures := [*failures, *wrong] or diagnose.no_rows(self.rows, name):
            raise unreadable(failures, name)

    @property
    def schema(self) -> pa.Schema:
        """Columns by clean name, all of text."""
        import pyarrow as pa

        return pa.schema([(name, pa.string()) for name in self.names])

    def tables(self) -> Iterator[pa.Table]:
        """Yield the rows in order."""
        rows: list[dict[str, str | None]] = []
        for number, row in self._lines():
            if isinstance(row, _Odd):  # it was not there at the first look
                raise refuse("source.changed", f"line {number} of {self.name}: {row}", "run again")
            rows.append(row)
            if len(rows) == ROWS:
                yield self._table(rows)
                rows = []
        if rows:
            yield self._table(rows)

    def piece(self) -> Piece:
        """Return the whole file as one table."""
        import pyarrow as pa

        return Piece(table=pa.concat_tables(self.tables()), renamed=self.renamed)

    def _table(self, rows: list[dict[str, str | None]]) -> pa.Table:
        import pyarrow as pa

        columns = [pa.array([row.get(key) for row in rows], pa.string()) for key in self.keys]
        return stripped(pa.table(columns, names=self.names))

    def _lines(self) -> Iterator[tuple[int, dict[str, str | None] | _Odd]]:
        self.bytes_read = 0
        with self.path.open("rb") as raw:
            packed = raw.read(len(GZIP)) == GZIP
            raw.seek(0)
            stream: Any = gzip.GzipFile(fileobj=raw) if packed else raw
            number = 0
            try:
                for number, line in enumerate(io.BufferedReader(stream, 1 << 20), start=1):
                    self.bytes_read = min(raw.tell(), self.size)
                    text = line.removeprefix(BOM).strip() if number == 1 else line.strip()
                    if text:
                        yield number, _row(text)
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                yield number + 1, _Odd(f"the gzip data is damaged or cut off ({error})")

    def _failure(self, number: int, message: str) -> Failure:
        advice = "write one JSON object per line, each on a line of its own"
        said = f"every line must be a JSON object of plain values; line {number:,}: {message}"
        return diagnose.failure("file.json", self.name, said, advice, row=number)


def _row(line: bytes) -> dict[str, str | None] | _Odd:
    """Return the cells of one line by key, or what is wrong with it."""
    if len(line) > LONGEST:
        return _Odd(f"it is longer than {LONGEST:,} bytes")
    try:
        found = json.loads(
            line, parse_int=str, parse_float=str, parse_constant=str, object_pairs_hook=_object
        )
        return dict(_flat(found)) if isinstance(found, dict) else _Odd(f"it is {_named(found)}")
    except json.JSONDecodeError as error:
        return _Odd(f"{error.msg} at character {error.colno:,}")
    except UnicodeDecodeError as error:
        return _Odd(f"byte {error.start:,} is not UTF-8")
    except RecursionError:
        return _Odd("it is nested too deep")
    except _Odd as odd:
        return odd


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise _Odd(f"it names {next(n for n in names if names.count(n) > 1)!r} twice")
    return found


def _flat(values: dict[str, Any], before: str = "") -> Iterator[tuple[str, str | None]]:
    for key, value in values.items():
        name = f"{before}{key}"
        if value is None or isinstance(value, str):
            yield name, value
        elif isinstance(value, bool):
            yield name, "true" if value else "false"
        elif isinstance(value, dict):
            yield from _flat(value, f"{name}.")
        else:
            raise _Odd(f"{name!r} holds a list, a cell holds one value")


def _named(value: Any) -> str:
    kinds = {list: "a list", str: "a text or a number", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "no object")
