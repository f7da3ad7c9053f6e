"""Excel workbooks (.xlsx) as a source: one sheet, its first row the names, cells as they are typed.

- Which sheet: `data.sheet`, by name or by place from 1; a workbook with one sheet that holds cells
  needs none. What formulas gave when the workbook was saved is read, never computed.
- Empty rows below the table and empty columns beside it are no part of it.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

from expectations.failure import shown
from flows import columnar, diagnose
from flows.delimited import BOMB_BYTES, BOMB_RATIO, Piece, unreadable
from flows.extras import needed
from flows.parts import refuse
from flows.typed_cells import NoCell, columns_of, text_of

if TYPE_CHECKING:
    from flows.data_spec import DataSpec

SPREAD = "write the table alone: names in the first row, one record per row"


def read_workbook(content: bytes, data: DataSpec, name: str) -> Piece:
    """Return the table of one sheet.

    Raises:
        DataRefused: the workbook is damaged, the sheet is not chosen or not there, or holds no table.
        PenstockError: openpyxl is not installed.

    """
    openpyxl = needed("openpyxl", "excel", "Excel workbooks")
    _no_bomb(content, name)
    try:
        book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        sheets = {sheet.title: sheet for sheet in book.worksheets}
        rows = _rows(sheets[_chosen(sheets, data, name)])
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
    return _table(rows, name)


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
    filled = [title for title, sheet in sheets.items() if next(iter(_rows(sheet)), None)]
    if len(filled) > 1:
        message = f"{name} has several sheets with cells ({listed})"
        raise refuse("source.sheet", message, f"say which: data.sheet = {filled[0]!r}")
    return filled[0] if filled else titles[0]


def _rows(sheet: Any) -> list[tuple[Any, ...]]:
    """Return the rows of a sheet without the empty ones after the last, blank texts as empty."""
    sheet.reset_dimensions()
    rows = [
        tuple(None if isinstance(c, str) and not c.strip() else c for c in row)
        for row in sheet.iter_rows(values_only=True)
    ]
    while rows and not any(cell is not None for cell in rows[-1]):
        rows.pop()
    return rows


def _table(rows: list[tuple[Any, ...]], name: str) -> Piece:
    start = next((i for i, row in enumerate(rows) if any(c is not None for c in row)), len(rows))
    if failures := diagnose.no_rows(len(rows) - start - 1, name) if rows else _empty(name):
        raise unreadable(failures, name)
    head, body = rows[start], rows[start + 1 :]
    width = max((i + 1 for row in rows[start:] for i in (_last(row),) if i is not None), default=0)
    names = ["" if cell is None else text_of(cell) for cell in (*head, *[None] * width)][:width]
    if twice := sorted({n for n in names if n and names.count(n) > 1}):
        message = f"column names must differ, {', '.join(map(shown, twice[:5]))} stand twice"
        raise unreadable([diagnose.failure("names.duplicate", name, message, SPREAD)], name)
    if "" in names:
        message = (
            f"every column needs a name, column {names.index('') + 1} has none in row {start + 1}"
        )
        raise unreadable([diagnose.failure("names.empty", name, message, SPREAD)], name)
    kept = [row for row in body if any(cell is not None for cell in row)]
    cells = {n: [row[i] if i < len(row) else None for row in kept] for i, n in enumerate(names)}
    notes = [f"{start:,} empty rows above the names are not read"] * bool(start)
    notes += [f"{len(body) - len(kept):,} empty rows are not read"] * (len(kept) < len(body))
    try:
        table = columns_of(cells)
    except NoCell as error:
        raise unreadable([diagnose.failure("file.cells", name, str(error), SPREAD)], name) from None
    return columnar.from_arrow(table, name, tuple(notes))


def _last(row: tuple[Any, ...]) -> int | None:
    return next((i for i in range(len(row) - 1, -1, -1) if row[i] is not None), None)


def _empty(name: str) -> list[Any]:
    return [diagnose.failure("file.empty", name, "the sheet holds no cells", SPREAD)]
