"""Excel workbooks (.xlsx) as a source: one sheet, its first row the names, cells as they are typed.

- Which sheet: `data.sheet`, by name or by place from 1; a workbook with one sheet that holds cells
  needs none. What formulas gave when the workbook was saved is read, never computed.
- Empty rows below the table and empty columns beside it are no part of it; `data.skip_lines` rows
  above the names are passed over.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

from expectations.failure import shown
from flows import columnar, diagnose, skipped, titles
from flows.delimited import BOMB_BYTES, BOMB_RATIO, Piece, unreadable
from flows.extras import needed
from flows.parts import refuse
from flows.typed_cells import NoCell, columns_of, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from expectations.failure import Failure
    from flows.data_spec import DataSpec

Row = tuple[Any, ...]
SPREAD = "write the table alone: names in the first row, one record per row"


def read_workbook(content: bytes, data: DataSpec, name: str) -> Piece:
    """Return the table of one sheet.

    Raises:
        DataRefused: the workbook is damaged, the sheet is not chosen or not there, or holds no table.
        PenstockError: openpyxl is not installed.

    """
    return _table(_read(content, data, name), data, name)


def head_of(content: bytes, data: DataSpec, name: str) -> list[titles.Numbered]:
    """Return the first rows of the sheet that hold anything, as texts, with their numbers.

    Raises:
        DataRefused: the workbook is damaged, or the sheet is not chosen or not there.
        PenstockError: openpyxl is not installed.

    """
    return _numbered(_read(content, data, name, most=titles.RECORDS))


def _read(content: bytes, data: DataSpec, name: str, most: int | None = None) -> list[Row]:
    """Return the rows of the chosen sheet, or the first of them."""
    openpyxl = needed("openpyxl", "excel", "Excel workbooks")
    _no_bomb(content, name)
    try:
        book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        sheets = {sheet.title: sheet for sheet in book.worksheets}
        return _rows(sheets[_chosen(sheets, data, name)], most)
    except (
        zipfile.BadZipFile,
        zlib.error,
        KeyError,
        ValueError,
        TypeError,
        EOFError,
        OSError,
    ) as error:
        message = f"the workbook cannot be read: {shown(str(error), 200)}"
        failure = diagnose.failure("file.damaged", name, message, "save it again as .xlsx")
        raise unreadable([failure], name) from None


def _no_bomb(content: bytes, name: str) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            size = sum(entry.file_size for entry in packed.infolist())
    except zipfile.BadZipFile:
        return  # said by who reads it
    if size > BOMB_BYTES and size > BOMB_RATIO * len(content):
        raise unreadable([diagnose.bomb(name, size, len(content))], name)


def _chosen(sheets: dict[str, Any], data: DataSpec, name: str) -> str:
    titles = list(sheets)
    listed = ", ".join(f"{place} {shown(title)}" for place, title in enumerate(titles, start=1))
    if isinstance(data.sheet, int) and 1 <= data.sheet <= len(titles):
        return titles[data.sheet - 1]
    if data.sheet in sheets:
        return str(data.sheet)
    if data.sheet is not None:
        message = f"data.sheet names {shown(data.sheet)}, {name} has the sheets {listed}"
        raise refuse("source.sheet", message, "name one of them, or its place from 1")
    filled = [title for title, sheet in sheets.items() if any(map(_holds, _cells(sheet)))]
    if len(filled) > 1:
        message = f"{name} has several sheets with cells ({listed})"
        raise refuse("source.sheet", message, f"say which: data.sheet = {filled[0]!r}")
    return filled[0] if filled else titles[0]


def _cells(sheet: Any, most: int | None = None) -> Iterator[Row]:
    """Yield the rows of a sheet, or the first of them, blank texts as empty."""
    sheet.reset_dimensions()
    for row in sheet.iter_rows(values_only=True, max_row=most):
        yield tuple(None if isinstance(c, str) and not c.strip() else c for c in row)


def _holds(row: Row) -> bool:
    return any(cell is not None for cell in row)


def _rows(sheet: Any, most: int | None = None) -> list[Row]:
    """Return the rows of a sheet without the empty ones after the last."""
    rows = list(_cells(sheet, most))
    while rows and not _holds(rows[-1]):
        rows.pop()
    return rows


def _numbered(rows: Sequence[Row]) -> list[titles.Numbered]:
    """Return the first rows that hold anything as texts of one width, with their numbers."""
    some = [(number, row) for number, row in enumerate(rows[: titles.RECORDS], 1) if _holds(row)]
    width = _width([row for _, row in some])
    return [(number, [text.strip() for text in _texts(row, width)]) for number, row in some]


def _texts(row: Row, width: int) -> list[str]:
    return ["" if cell is None else text_of(cell) for cell in (*row, *[None] * width)][:width]


def _table(rows: list[Row], data: DataSpec, name: str) -> Piece:
    above, rows = rows[: data.skip_lines], rows[data.skip_lines :]
    if above and not rows:
        raise unreadable([skipped.nothing_below(data, name, "row")], name)
    start = next((i for i, row in enumerate(rows) if _holds(row)), len(rows))
    if failures := diagnose.no_rows(len(rows) - start - 1, name) if rows else _empty(name):
        raise unreadable(failures, name)
    head, body = rows[start], rows[start + 1 :]
    names = _texts(head, _width(rows[start:]))
    row = len(above) + start + 1
    if failures := skipped.misplaced(_numbered(above), names, data, name, "row"):
        raise unreadable(failures, name)
    if failures := _bad_names(names, row, name):
        title = titles.found(_numbered(rows))
        failures = [titles.named(title, data, name, "row")] if title else failures
        raise unreadable(failures, name)
    kept = [row for row in body if _holds(row)]
    cells = {n: [row[i] if i < len(row) else None for row in kept] for i, n in enumerate(names)}
    notes = [f"{start:,} empty rows above the names are not read"] * bool(start)
    notes += [f"{len(body) - len(kept):,} empty rows are not read"] * (len(kept) < len(body))
    try:
        table = columns_of(cells)
    except NoCell as error:
        raise unreadable([diagnose.failure("file.cells", name, str(error), SPREAD)], name) from None
    return columnar.from_arrow(table, name, tuple(notes))


def _bad_names(names: list[str], row: int, name: str) -> list[Failure]:
    """Return what is wrong with the names in a row of the sheet."""
    if twice := sorted({n for n in names if n and names.count(n) > 1}):
        message = f"column names must differ, {', '.join(map(shown, twice[:5]))} stand twice"
        return [diagnose.failure("names.duplicate", name, message, SPREAD)]
    if "" in names:
        message = f"every column needs a name, column {names.index('') + 1} has none in row {row:,}"
        return [diagnose.failure("names.empty", name, message, SPREAD)]
    return []


def _width(rows: Sequence[Row]) -> int:
    return max((i + 1 for row in rows for i in (_last(row),) if i is not None), default=0)


def _last(row: tuple[Any, ...]) -> int | None:
    return next((i for i in range(len(row) - 1, -1, -1) if row[i] is not None), None)


def _empty(name: str) -> list[Any]:
    return [diagnose.failure("file.empty", name, "the sheet holds no cells", SPREAD)]
