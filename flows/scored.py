"""The file of scored rows: written beside its place, made durable, and put there whole.

- Parquet holds who answered in its schema's metadata, and the counts beside them in the file's
  (`penstock.*`, `pyarrow.parquet.read_metadata(out).metadata` has both); CSV has no place for
  that, so a JSON file beside it (`out.csv.json`) does, with the CSV's own digest.
- A kill leaves the old file, and a hidden draft; an error leaves the old file alone.
- A text that a spreadsheet would run as a formula (=cmd|..., @SUM(...), +A1) gets a ' in front in
  CSV, and only there; the file beside it counts such cells.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
import os
from typing import TYPE_CHECKING, Any, Self

from flows.errors import PenstockError, SettingsError
from flows.whole_files import flush

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    import pyarrow as pa

FORMULA = r"^[=@\t\r].|^[+-].*[A-Za-z(|!]"
"""Texts that spreadsheets run."""
NUMBER = r"^[+-](\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?$|^[+-](?i:inf(inity)?|nan)$"
GROUP_ROWS, GROUP_BYTES = 131_072, 1 << 26
"""Of one row group of Parquet: few enough for memory, many enough to be read quickly."""


def check_place(out: Path, option: str = "OUT") -> None:
    """Refuse a file that cannot be written, before any work is done; `option` named it.

    Raises:
        SettingsError: `out` is neither Parquet nor CSV, or has no folder.

    """
    if out.suffix not in FORMS:
        msg = f"{option} must end in {' or '.join(FORMS)}, found {out.name!r}"
        raise SettingsError(msg)
    if not out.absolute().parent.is_dir():
        msg = f"{option} must lie in a folder that exists, found {out.absolute().parent}"
        raise SettingsError(msg)


class Output:
    """A file that appears whole when `finish` is called; use as a context manager."""

    def __init__(self, out: Path, schema: pa.Schema, facts: Mapping[str, str]) -> None:
        """Open a draft beside `out` for rows of this schema; `facts` say who answers."""
        self.out, self.facts = out.absolute(), facts
        self.draft = self.out.with_name(f".{out.name}.{os.getpid()}.part")
        with _writable(out):
            self.form = FORMS[out.suffix](self.draft, schema, facts)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the draft, if it is still one."""
        with contextlib.suppress(OSError):
            self.form.close({})
        self.draft.unlink(missing_ok=True)

    def write(self, table: pa.Table) -> None:
        """Append rows."""
        with _writable(self.out):
            self.form.write(table)

    def finish(self, counts: Mapping[str, Any]) -> None:
        """Write what was counted, make all of it durable and put it in its place."""
        with _writable(self.out):
            beside = self.form.close({**self.facts, **counts})
            flush(self.draft)
            self.draft.replace(self.out)
            place = self.out.with_name(f"{self.out.name}.json")
            if beside:
                self.draft.write_text(beside, encoding="utf-8")
                flush(self.draft)
                self.draft.replace(place)
            flush(self.out.parent)


@contextlib.contextmanager
def _writable(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        msg = f"{out} must be writable: {error}"
        raise PenstockError(msg) from None


class _Parquet:
    """Rows as Parquet with page checksums."""

    def __init__(self, draft: Path, schema: pa.Schema, facts: Mapping[str, str]) -> None:
        import pyarrow.parquet as pq

        known = schema.with_metadata({f"penstock.{k}": v for k, v in facts.items()})
        self.writer: Any = pq.ParquetWriter(draft, known, write_page_checksum=True)
        self.known = set(facts)
        self.kept: list[pa.Table] = []

    def write(self, table: pa.Table) -> None:
        self.kept.append(table)
        rows, size = sum(t.num_rows for t in self.kept), sum(t.nbytes for t in self.kept)
        if rows >= GROUP_ROWS or size >= GROUP_BYTES:
            self._flush(self.writer)

    def _flush(self, writer: Any) -> None:
        import pyarrow as pa

        kept, self.kept = self.kept, []
        if kept:
            whole = pa.concat_tables(kept).replace_schema_metadata(writer.schema.metadata)
            writer.write_table(whole)

    def close(self, facts: Mapping[str, Any]) -> str:
        """Close the file, without facts as one that nobody will want; nothing is kept beside it."""
        writer, self.writer = self.writer, None
        if writer is None:
            return ""
        with writer:
            if facts:
                self._flush(writer)
                counted = {k: _json(v) for k, v in facts.items() if k not in self.known}
                writer.add_key_value_metadata({f"penstock.{k}": v for k, v in counted.items()})
        return ""


class _Csv:
    """Rows as CSV in UTF-8, quoted where a chunk needs it."""

    def __init__(self, draft: Path, schema: pa.Schema, _: Mapping[str, str]) -> None:
        self.file = draft.open("wb")
        self.digest = hashlib.sha256()
        self.escaped = 0
        head = io.StringIO()
        csv.writer(head, lineterminator="\n").writerow(schema.names)
        self._write(head.getvalue().encode())

    def _write(self, content: Any) -> None:
        self.digest.update(content)
        self.file.write(content)

    def write(self, table: pa.Table) -> None:
        import pyarrow as pa

        table, escaped = harmless(table)
        self.escaped += escaped
        try:
            self._write(_as_csv(table, "none"))
        except pa.ArrowInvalid:  # a cell holds a separator, a quote or a line end
            self._write(_as_csv(table, "needed"))

    def close(self, facts: Mapping[str, Any]) -> str:
        """Close the file; return what is to be kept beside it."""
        self.file.close()
        known = {**facts, "escaped_cells": self.escaped, "sha256": self.digest.hexdigest()}
        return _json(known, indent=1) if facts else ""


def harmless(table: pa.Table) -> tuple[pa.Table, int]:
    """Return the table with a ' before every text that a spreadsheet would run, and their number."""
    import pyarrow as pa
    import pyarrow.compute as pc

    compute: Any = pc  # its functions are made when it is imported; checkers do not see them
    count = 0
    for place, (name, column) in enumerate(zip(table.column_names, table.columns, strict=True)):
        if not pa.types.is_string(column.type) and not pa.types.is_large_string(column.type):
            continue
        runs = compute.and_not(
            compute.match_substring_regex(column, FORMULA),
            compute.match_substring_regex(column, NUMBER),
        )
        found = compute.sum(runs).as_py() or 0
        if found:
            quoted = compute.binary_join_element_wise("'", column, "")
            quoted = compute.if_else(runs, quoted, column)
            table = table.set_column(place, pa.field(name, column.type), quoted)
            count += found
    return table, count


def _as_csv(table: pa.Table, quoting: Any) -> Any:
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    sink = pa.BufferOutputStream()
    options = arrow_csv.WriteOptions(include_header=False, quoting_style=quoting)
    arrow_csv.write_csv(table, sink, options)
    return sink.getvalue()


def _json(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


FORMS: Mapping[str, Callable[[Path, pa.Schema, Mapping[str, str]], Any]] = {
    ".parquet": _Parquet,
    ".csv": _Csv,
}
"""What can be written, by the file's ending."""
