"""The served model: raw rows in, typed columns, row rules, and the answers of the ONNX graph.

- One reader for training and serving: text "3", 3, 3.0 and Int64 3 become the same cell, and a
  cell that cannot be typed never raises: it is returned with its row, column, value and rule.
- Self-contained (stdlib, numpy, pandas; onnxruntime and mlflow where they are used): MLflow
  stores this very file with the model and executes it; training imports it as `models.served`.
- A missing cell is None/NaN/NaT/NA, empty text, or a declared token; numbers that equal a numeric
  token ("-999") are missing too. Row numbers are positions in the frame, counted from 0.
- Everything is an array per column: float64 (number, integer, boolean), object of str or None
  (category, text), datetime64[us] (date; with a time zone: UTC).
"""

from __future__ import annotations

import ast
import datetime as dt
import difflib
import operator
import os
import re
import unicodedata
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, reduce
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import onnxruntime

NUMERIC = ("number", "integer")
EXACT = 2**53  # beyond it float64 skips integers
CHUNK = 1024  # rows per call of the graph where the schema does not say: what fits a cache
FEW = 64  # below this many cells looking for repeated ones costs more than it saves
DISTINCT_SAMPLE = 1_000
DIGITS = 30  # a Decimal longer than this is written with an exponent
BITS = 4_096  # Python refuses to write an integer of many more
VALUE = 200  # characters that are kept of a cell
SHOWN = 5  # bad rows that an error names
TRUE = ("true", "yes", "t", "y", "1")
FALSE = ("false", "no", "f", "n", "0")
EARLIEST, LATEST = np.datetime64("1678-01-01", "us"), np.datetime64("2262-01-01", "us")
ISO = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?P<zone>Z|[+-]\d\d:?\d\d)?)?"
)
HAS_DIGIT = re.compile("[0-9]")
WHOLE = re.compile(r"([+-]?(?:0|[1-9]\d*))\.0+")  # how a table with gaps writes an integer code
NUMBER, FINITE, EXACTLY, INTEGER, BOOLEAN, DATE, YEAR, ZONE, TEXT = range(1, 10)
FAULTS = {
    NUMBER: "is not a number",
    FINITE: "is not a finite number",
    EXACTLY: "is an integer beyond 2^53, which loses digits (declare the column a category or text)",
    INTEGER: "is not a whole number",
    BOOLEAN: "is none of the words declared for true and false",
    DATE: "is not a date in the declared format",
    YEAR: "is a date outside the years 1678 to 2261",
    ZONE: "has no time zone where the rest of the column has one, or the other way round",
    TEXT: "is neither text nor a number",
}
_NONE = np.zeros(0, dtype=bool)
LOST = "\0lost"  # stands for a cell that has no text form, such as a list
Cells = tuple[np.ndarray, np.ndarray]  # values and the fault of each cell (uint8, 0 = none)


@dataclass(frozen=True, kw_only=True)
class Column:
    """How the cells of one column are read; made once from its entry in the schema."""

    name: str
    kind: str
    missing: frozenset[str]
    sentinels: tuple[float, ...]
    replace: Mapping[str, str]
    true: tuple[str, ...]
    false: tuple[str, ...]
    decimal: str
    thousands: str | None
    unit: str  # a sign beside each number, such as €; "" for none
    format: str | None
    zone: str | None  # "aware", "naive", or None: decided by the majority of the frame
    required: bool

    @classmethod
    def of(cls, entry: Mapping[str, Any], missing: Iterable[str] = ()) -> Column:
        """Check and complete one column entry of the reading schema."""
        if entry["kind"] not in PARSERS:
            raise ValueError(
                f"column {shown(entry['name'])}: kind must be one of {', '.join(PARSERS)}, "
                f"however: {shown(entry['kind'])}"
            )
        tokens = frozenset(str(token).strip() for token in (*missing, *entry.get("missing", ())))
        numeric = [_one_number(token, ".", None) for token in tokens]
        return cls(
            name=entry["name"],
            kind=entry["kind"],
            missing=tokens | {""},
            sentinels=tuple(sorted(value for value in numeric if np.isfinite(value))),
            replace={str(old).strip(): str(new) for old, new in entry.get("replace", {}).items()},
            true=tuple(entry.get("true") or TRUE),
            false=tuple(entry.get("false") or FALSE),
            decimal=entry.get("decimal") or ".",
            thousands=entry.get("thousands"),
            unit=entry.get("unit") or "",
            format=entry.get("format"),
            zone=entry.get("zone"),
            required=entry.get("required", True),
        )


class Reader:
    """A schema made ready: what `read` and `answer` need, computed once for many calls."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        """Prepare the columns of a reading or serving schema."""
        self.schema = schema
        self.columns = [Column.of(entry, schema.get("missing", ())) for entry in schema["columns"]]
        self.formulas = [Formula(entry) for entry in schema.get("formulas", ())]
        self.rules = [
            {
                **rule,
                "known": frozenset(_nfc(level) for level in rule.get("levels", ())),
                "match": re.compile(rule.get("pattern", "")).fullmatch,
                "columns": rule.get("columns") or [rule["column"]],
            }
            for rule in schema.get("rules", ())
        ]

    @staticmethod
    def of(schema: Mapping[str, Any] | Reader) -> Reader:
        """Return the schema itself where it is ready."""
        return schema if isinstance(schema, Reader) else Reader(schema)


def shown(value: object, limit: int = 60) -> str:
    """Return a value for a message: shortened, quoted, control characters escaped."""
    text = f"{value:#x}" if isinstance(value, int) and value.bit_length() > BITS else str(value)
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return '"' + "".join(c if c.isprintable() else repr(c)[1:-1] for c in cut) + '"'


# ---------------------------------------------------------------- cells


def read_column(
    values: pd.Series, column: Mapping[str, Any], missing: Iterable[str] = ()
) -> tuple[pd.Series, np.ndarray]:
    """Type one column: the typed cells (index 0..n-1), and a mask of the untypable ones."""
    ready = Column.of(column, missing)
    cells, fault = read_cells(values, ready)
    return _series(cells, ready.kind, name=ready.name), fault > 0


def _series(cells: np.ndarray, kind: str, name: str | None = None) -> pd.Series:
    return pd.Series(cells, dtype="str" if kind in _TEXTUAL else None, name=name)


def read_cells(values: pd.Series, column: Column) -> Cells:
    """Type one column: the values, and why each cell is untypable (a key of FAULTS; 0: it is not)."""
    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype) or _repeats(values):
        codes, levels = pd.factorize(values)  # code -1, the last level, is missing
        cells, fault = read_cells(pd.Series([*levels, None], dtype=object), column)
        return cells[codes], fault[codes]
    if column.kind in NUMERIC and (plain := _plain_numbers(values, column)) is not None:
        return plain
    raw, null, aware = _plain(values)
    if not column.replace and (fast := _typed(raw, null, column, aware=aware)) is not None:
        return fast
    if raw.dtype.kind != "O":
        distinct, inverse = np.unique(raw, return_inverse=True)
        distinct = (
            [pd.Timestamp(v, tz="UTC" if aware else None) for v in distinct]
            if raw.dtype.kind == "M"
            else distinct.tolist()
        )
        cells, fault = _read_list([*distinct, None], column)
        codes = np.where(null, len(distinct), inverse)
        return cells[codes], fault[codes]
    return _read_list(raw.tolist(), column)


def _repeats(values: pd.Series) -> bool:
    """Whether text cells repeat so often that each distinct one should be read once."""
    if not isinstance(values.dtype, pd.StringDtype) or len(values) <= FEW:
        return False
    head = values.iloc[: max(DISTINCT_SAMPLE, len(values) // 8)]  # of many cells more repeat
    return head.nunique() * 2 <= len(head)


def _plain_numbers(values: pd.Series, column: Column) -> Cells | None:
    """Read text that holds nothing but plain numbers and missing cells, ten times faster.

    Arrow rounds as float() does. Whatever it does not take, or takes and the pattern does not, is
    left to the slow way: blanks, marks, words, infinity, integers beyond 2^53.
    """
    dtype = values.dtype
    arrow = isinstance(dtype, pd.StringDtype) and dtype.storage == "pyarrow"
    if not arrow or len(values) <= FEW or column.decimal != "." or column.replace:
        return None
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = pa.array(values)
    texts = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
    known = pa.array(sorted(column.missing), texts.type)
    texts = pc.if_else(pc.is_in(texts, known), None, texts)  # pyright: ignore[reportAttributeAccessIssue]
    try:
        cells = texts.cast(pa.float64())
    except pa.ArrowInvalid:
        return None
    gaps = texts.is_null().to_numpy(zero_copy_only=False)
    numbers = np.array(cells.to_numpy(zero_copy_only=False))  # a copy of our own
    if (np.isnan(numbers) != gaps).any() or (np.abs(numbers[~gaps]) >= EXACT).any():
        return None
    return _checked_numbers(numbers, np.zeros(len(numbers), dtype=np.uint8), column)


def _plain(values: pd.Series) -> tuple[np.ndarray, np.ndarray, bool]:
    """Return numpy cells, the mask of missing ones, and whether they are instants in UTC."""
    dtype = values.dtype
    if isinstance(dtype, np.dtype):
        raw = values.to_numpy()
        return raw, _NONE if raw.dtype.kind == "O" else pd.isna(raw), False
    if isinstance(dtype, pd.DatetimeTZDtype):
        utc = values.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy()
        return utc, np.isnat(utc), True
    if dtype.kind in "biuf" and not isinstance(dtype, pd.SparseDtype):
        width = "bool" if dtype.kind == "b" else f"{dtype.kind}8"
        return values.to_numpy(dtype=width, na_value=0), values.isna().to_numpy(), False
    return values.to_numpy(dtype=object), _NONE, False


def _typed(raw: np.ndarray, null: np.ndarray, column: Column, *, aware: bool) -> Cells | None:
    """Read a typed array of the column's own kind without a detour through text."""
    kind = raw.dtype.kind
    if column.kind in NUMERIC and kind in "biuf":
        cells = raw.astype(np.float64)
        cells[null] = np.nan
        fault = np.where(np.isinf(cells), FINITE, 0).astype(np.uint8)
        if kind in "iu":
            beyond = (raw > EXACT) | (raw < -EXACT) if kind == "i" else raw > EXACT
            fault[beyond & ~null] = EXACTLY
        return _checked_numbers(cells, fault, column)
    if column.kind == "boolean" and kind == "b":
        return np.where(null, np.nan, raw), np.zeros(len(raw), dtype=np.uint8)
    if column.kind == "date" and kind == "M":
        return _checked_dates(raw.astype("datetime64[us]"), np.full(len(raw), aware), null, column)
    return None


def _read_list(cells: list[Any], column: Column) -> Cells:
    """Read cells of any types, each distinct one once where they repeat."""
    texts, inverse = cells, None
    if set(map(type, cells)) != {str}:
        texts = [cell if isinstance(cell, str) else _canonical(cell, column) for cell in cells]
    texts, inverse = _distinct(texts)
    if column.kind == "date":
        texts = [text.strip() if isinstance(text, str) else text for text in texts]
    else:
        texts = list(map(str.strip, texts))
    if column.replace:
        texts = [column.replace.get(text, text) for text in texts]
    missing = np.zeros(len(texts), dtype=bool)
    if not column.missing.isdisjoint(texts):
        texts = ["" if text in column.missing else text for text in texts]
        missing = np.array([text == "" for text in texts])
    if column.unit and column.kind in NUMERIC:
        texts = [bare(text, column.unit) for text in texts]
    values, fault = PARSERS[column.kind](texts, missing, column)
    return (values, fault) if inverse is None else (values[inverse], fault[inverse])


def bare(text: str, unit: str) -> str:
    """Return a number without the unit before or behind it: "-$5" is "-5", "12,50 €" is "12,50"."""
    sign, rest = (text[0], text[1:].lstrip()) if text[:1] in ("+", "-") else ("", text)
    if rest.startswith(unit):
        return sign + rest[len(unit) :].lstrip()
    return sign + rest[: -len(unit)].rstrip() if rest.endswith(unit) else text


def _canonical(cell: Any, column: Column) -> Any:
    """Return the text that a file would hold for a typed cell: 3.0 is "3", True is "True".

    "" is a missing cell, LOST one without a text form; a date column keeps its datetimes.
    """
    if isinstance(cell, bool | np.bool_):
        words = {"boolean": (column.false[0], column.true[0])}
        words |= dict.fromkeys(NUMERIC, ("0", "1"))
        return words.get(column.kind, ("False", "True"))[int(cell)]
    if isinstance(cell, int | float | np.integer | np.floating | Decimal):
        return _number_text(cell, column)
    if cell is None or cell is pd.NA or cell is pd.NaT:
        return ""
    if isinstance(cell, dt.date | np.datetime64):  # every datetime and Timestamp is a date
        return cell if column.kind == "date" else _date_text(cell)
    return LOST


def _number_text(cell: Any, column: Column) -> str:
    if cell != cell:  # noqa: PLR0124 - NaN of any type
        return ""
    if isinstance(cell, int) and cell.bit_length() > BITS:
        return LOST
    short = isinstance(cell, Decimal) and cell.is_finite() and abs(cell.adjusted()) < DIGITS
    text = format(cell, "f") if short else str(cell)
    if column.kind in NUMERIC:
        return text.replace(".", column.decimal)
    whole = WHOLE.sub(r"\1", text)
    return "0" if whole == "-0" else whole


def _date_text(cell: Any) -> str:
    moment: Any = pd.Timestamp(cell)
    midnight = moment == moment.normalize() and moment.tzinfo is None
    return str(moment.date() if midnight else moment)


def _distinct(texts: list[Any]) -> tuple[list[Any], np.ndarray | None]:
    """Return the distinct texts and where each cell finds its own, or the cells as they are."""
    head = texts[:DISTINCT_SAMPLE]
    if len(texts) <= FEW or len(set(head)) * 2 > len(head):
        return texts, None
    places: dict[Any, int] = {}
    codes = [places.setdefault(text, len(places)) for text in texts]
    return list(places), np.array(codes, dtype=np.intp)


def _numbers(texts: list[str], missing: np.ndarray, column: Column) -> Cells:
    values = None
    joined = "".join(texts)
    if column.decimal == "." and joined.isascii() and "_" not in joined:
        try:  # then float() accepts no more than the pattern, except "nan", which is judged below
            filled = [text or "nan" for text in texts] if missing.any() else texts
            values = np.array(list(map(float, filled)), dtype=np.float64)
        except ValueError:
            values = None
    if values is None:
        parsed = (_one_number(text, column.decimal, column.thousands) for text in texts)
        values = np.fromiter(parsed, np.float64, len(texts))
    fault = np.where(np.isnan(values) & ~missing, NUMBER, 0).astype(np.uint8)
    fault[np.isinf(values)] = FINITE
    for place in np.flatnonzero(np.isfinite(values) & (np.abs(values) >= EXACT)):
        literal = _strip_groups(texts[place], column.thousands)
        if literal.lstrip("+-").isdigit() and abs(int(literal)) > EXACT:
            fault[place] = EXACTLY
    return _checked_numbers(values, fault, column)


def _checked_numbers(values: np.ndarray, fault: np.ndarray, column: Column) -> Cells:
    """Apply what holds for typed and text numbers alike: sentinels, wholeness, no infinity."""
    if column.sentinels:
        known = np.isin(values, column.sentinels)
        values[known], fault[known] = np.nan, 0
    if column.kind == "integer":
        fraction = np.isfinite(values) & (values != np.floor(values))
        fault[fraction & (fault == 0)] = INTEGER
        fault[(np.abs(values) > EXACT) & (fault == 0)] = EXACTLY
    values[fault > 0] = np.nan
    return values, fault


def _one_number(text: str, decimal: str, thousands: str | None) -> float:
    """Parse one number strictly; NaN when it is none, infinity when float64 cannot hold it."""
    if not _number_pattern(decimal, thousands).fullmatch(text):
        return np.nan
    return float(_strip_groups(text, thousands).replace(decimal, "."))


def _strip_groups(text: str, thousands: str | None) -> str:
    return re.sub(_group_class(thousands), "", text) if thousands else text


def _group_class(thousands: str) -> str:
    alike = {" ": " \u00a0\u202f", "'": "'\u2019"}.get(thousands, thousands)
    return f"[{re.escape(alike)}]"


@cache
def _number_pattern(decimal: str, thousands: str | None) -> re.Pattern[str]:
    """Match a number; thousands only in whole groups of three, so that 1,5 is never 15."""
    point = re.escape(decimal)
    grouped = rf"[0-9]{{1,3}}(?:{_group_class(thousands)}[0-9]{{3}})+|" if thousands else ""
    body = rf"(?:(?:{grouped}[0-9]+)(?:{point}[0-9]*)?|{point}[0-9]+)(?:[eE][+-]?[0-9]+)?"
    return re.compile(rf"[+-]?(?:{body}|inf(?:inity)?)", re.IGNORECASE)


def _booleans(texts: list[str], missing: np.ndarray, column: Column) -> Cells:
    words = dict.fromkeys((word.strip().casefold() for word in column.false), 0.0)
    words.update(dict.fromkeys((word.strip().casefold() for word in column.true), 1.0))
    found = [words.get(WHOLE.sub(r"\1", text).casefold(), np.nan) for text in texts]
    values = np.array(found, dtype=np.float64)
    return values, np.where(np.isnan(values) & ~missing, BOOLEAN, 0).astype(np.uint8)


def _categories(texts: list[str], missing: np.ndarray, column: Column) -> Cells:
    joined = "\n".join(texts)
    if not joined.isascii():
        texts = [unicodedata.normalize("NFC", text) for text in texts]
    if column.kind == "category" and ".0" in joined:
        texts = [WHOLE.sub(r"\1", text) for text in texts]
    values = np.empty(len(texts), dtype=object)
    values[:] = texts
    lost = values == LOST
    values[lost | missing] = None
    return values, np.where(lost, TEXT, 0).astype(np.uint8)


def _dates(texts: list[Any], missing: np.ndarray, column: Column) -> Cells:
    values = np.full(len(texts), np.datetime64("NaT", "us"))
    aware = np.zeros(len(texts), dtype=bool)
    written: list[int] = []
    for place, cell in enumerate(texts):
        if isinstance(cell, str):
            match = (HAS_DIGIT.search if column.format else ISO.fullmatch)(cell)
            if match:  # a digit, so that "today" is no date
                written.append(place)
                aware[place] = not column.format and match["zone"] is not None
        else:
            values[place], aware[place] = _moment(cell)
    if written:
        parse = _strptime if column.format else _iso
        values[written] = parse([texts[place] for place in written], column.format)
        if "%z" in (column.format or ""):
            aware[written] = True
    return _checked_dates(values, aware, missing, column)


def _moment(cell: dt.date) -> tuple[np.datetime64, bool]:
    """Return a typed date as an instant in UTC, or as the naive time that it is."""
    stamp = pd.Timestamp(cell)
    aware = stamp.tzinfo is not None
    return (stamp.tz_convert(None) if aware else stamp).to_datetime64(), aware


def _iso(texts: list[str], _: str | None) -> np.ndarray:
    if len(texts) > FEW:
        return _strptime(texts, "ISO8601")
    return np.array([_iso_moment(text) for text in texts], dtype="datetime64[us]")


def _iso_moment(text: str) -> dt.datetime | None:
    try:
        moment = dt.datetime.fromisoformat(text)
        return moment.astimezone(dt.UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except (ValueError, OverflowError):
        return None


def _strptime(texts: list[str], written: str | None) -> np.ndarray:
    aware = written == "ISO8601" or "%z" in str(written)
    parsed = pd.to_datetime(texts, format=written, errors="coerce", utc=aware)
    return parsed.tz_localize(None).to_numpy().astype("datetime64[us]")


def _checked_dates(
    values: np.ndarray, aware: np.ndarray, missing: np.ndarray, column: Column
) -> Cells:
    """Apply what holds for typed and text dates alike: a sane year, one habit of time zones."""
    fault = np.where(np.isnat(values) & ~missing, DATE, 0).astype(np.uint8)
    fault[(values < EARLIEST) | (values >= LATEST)] = YEAR
    here = ~missing & (fault == 0)
    expected = column.zone == "aware"
    if column.zone is None:
        expected = 2 * int(aware[here].sum()) >= int(here.sum())
    fault[here & (aware != expected)] = ZONE
    values[fault > 0] = np.datetime64("NaT")
    return values, fault


_TEXTUAL = {"category", "text", "ignored"}
PARSERS: dict[str, Callable[[list[Any], np.ndarray, Column], Cells]] = {
    "number": _numbers,
    "integer": _numbers,
    "boolean": _booleans,
    "date": _dates,
    "category": _categories,
    "text": _categories,
    "ignored": _categories,
}


# ---------------------------------------------------------------- frames


def read(
    frame: pd.DataFrame, schema: Mapping[str, Any] | Reader
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Type every column of the schema, in any order and with any extra columns beside them.

    Returns the typed frame (schema columns, then derived ones; index 0..n-1) and the untypable
    cells: row (position), column, value, rule ("<column>.type") and reason. Never raises for a
    bad cell; raises ValueError for missing or repeated columns.
    """
    reader = Reader.of(schema)
    typed, faults = typed_cells(frame, reader)
    kinds = {column.name: column.kind for column in (*reader.columns, *reader.formulas)}
    table = {name: _series(cells, kinds.get(name, "number")) for name, cells in typed.items()}
    return pd.DataFrame(table, index=pd.RangeIndex(len(frame))), untypable(frame, faults)


def untypable(frame: pd.DataFrame, faults: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """List the faulty cells of `frame`: row, column, value as given, rule and reason."""
    names = ("row", "column", "value", "rule", "reason")
    parts: dict[str, list[Any]] = {name: [] for name in names}
    for name, fault in faults.items():
        rows = np.flatnonzero(fault)
        if not rows.size:
            continue
        raw = frame.iloc[rows, _places(frame)[name]]
        parts["row"] += rows.tolist()
        parts["column"] += [name] * rows.size
        parts["value"] += [shown(value, VALUE)[1:-1] for value in raw]
        parts["rule"] += [f"{name}.type"] * rows.size
        parts["reason"] += [FAULTS[int(code)] for code in fault[rows]]
    listed = pd.DataFrame(parts).astype({"row": "int64", **dict.fromkeys(names[1:], "str")})
    return listed.sort_values("row", kind="stable", ignore_index=True)


def _places(frame: pd.DataFrame) -> dict[str, int]:
    """Return the place of each column by its name in NFC; refuse names that occur twice."""
    names = [_nfc(name) for name in frame.columns]
    places = {name: place for place, name in enumerate(names)}
    if len(places) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"column names must be unique, however twice: {_listed(twice)}")
    return places


def _nfc(name: object) -> str:
    return unicodedata.normalize("NFC", str(name).strip())


def _listed(names: Sequence[str], cap: int = 10) -> str:
    more = f" and {len(names) - cap} more" if len(names) > cap else ""
    return ", ".join(shown(name) for name in names[:cap]) + more


def typed_cells(
    frame: pd.DataFrame, reader: Reader
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return what `read` does as arrays: the cells, and why each is untypable, by column."""
    places = _places(frame)
    few = _rows(frame) if len(frame) <= FEW else None

    def cells(column: Column) -> Cells:
        place = places[column.name]
        if few is not None:
            return _read_list([row[place] for row in few], column)
        return read_cells(frame.iloc[:, place], column)

    return typed_by(cells, places, len(frame), reader)


def typed_by(
    cells: Callable[[Column], Cells], names: Iterable[str], rows: int, reader: Reader
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return the cells and faults of a table that has columns of these names, read by `cells`."""
    names = list(names)
    there = set(names)
    absent = [c.name for c in reader.columns if c.required and c.name not in there]
    if absent:
        near = {n: m[0] for n in absent if (m := difflib.get_close_matches(n, names, n=1))}
        hints = "".join(f"; did you mean {shown(m)} for {shown(n)}?" for n, m in near.items())
        raise ValueError(
            f"the table must have the columns {_listed(absent)}, however they are missing "
            f"(it has {_listed(names) or 'none'}){hints}"
        )
    typed: dict[str, np.ndarray] = {}
    faults: dict[str, np.ndarray] = {}
    for column in reader.columns:
        found = cells(column) if column.name in there else _read_list([None] * rows, column)
        typed[column.name], faults[column.name] = found
    for entry in reader.schema.get("derived", ()):
        typed[entry["name"]] = _part(typed[entry["column"]], entry["part"])
    for formula in reader.formulas:
        typed[formula.name] = formula.cells(typed, rows)
    return typed, faults


def _rows(frame: pd.DataFrame) -> list[list[Any]]:
    """Return a small frame row by row: pandas takes longer for a column than the reader."""
    if len(frame) == 1 and (row := frame.iloc[0]).dtype.kind == "O":  # nothing was cast
        return [row.tolist()]
    return frame.to_numpy(dtype=object).tolist()


def _part(moments: np.ndarray, part: str) -> np.ndarray:
    """Return a part of dates as float64: calendar parts, or `days` since 1970 with fractions."""
    days = moments.astype("datetime64[D]")
    if part == "days":
        values = (moments - np.datetime64(0, "us")) / np.timedelta64(1, "D")
    elif part == "hour":
        values = (moments - days) / np.timedelta64(1, "h") // 1
    elif part == "day":
        values = (days - moments.astype("datetime64[M]")) / np.timedelta64(1, "D") + 1
    elif part == "weekday":  # Monday is 0; 1970-01-01 was a Thursday
        values = ((days - np.datetime64(0, "D")) / np.timedelta64(1, "D") + 3) % 7
    elif part in {"month", "year"}:
        months = moments.astype("datetime64[M]").astype(np.float64)
        values = months % 12 + 1 if part == "month" else months // 12 + 1970
    elif part in CIRCLES:
        turn = 2 * np.pi * _turn(moments, days, part.split("_", maxsplit=1)[0])
        values = np.sin(turn) if part.endswith("_sin") else np.cos(turn)
    else:
        raise ValueError(
            "a date part must be one of year, month, day, weekday, hour, days, "
            f"{', '.join(CIRCLES)}, however: {part}"
        )
    return np.where(np.isnat(moments), np.nan, values)


CIRCLES = tuple(f"{turn}_{wave}" for turn in ("year", "week", "day") for wave in ("sin", "cos"))
"""Date parts that go round: where a moment lies in its year, its week and its day."""


def _turn(moments: np.ndarray, days: np.ndarray, turn: str) -> np.ndarray:
    """Return which share of its year, week or day has passed at each moment."""
    passed = (moments - days) / np.timedelta64(1, "D")
    if turn == "day":
        return passed
    if turn == "week":
        return (((days - np.datetime64(0, "D")) / np.timedelta64(1, "D") + 3) % 7 + passed) / 7
    start = moments.astype("datetime64[Y]")
    length = (start + np.timedelta64(1, "Y")).astype("datetime64[D]") - start.astype(
        "datetime64[D]"
    )
    gone = (days - start.astype("datetime64[D]")) / np.timedelta64(1, "D") + passed
    return gone / (length / np.timedelta64(1, "D"))


# ---------------------------------------------------------------- formulas


class Formula:
    """A column made from others in its row; the expression is interpreted, never run as Python.

    A missing cell makes what is computed from it missing, and so does what has no finite value
    (a division by zero, the logarithm of 0). `and`, `or`, `not` know three values, as SQL does.
    """

    def __init__(self, entry: Mapping[str, Any]) -> None:
        """Parse `expression`; `result` is what it gives, `kind` what the column is to be."""
        self.name, self.kind = str(entry["name"]), str(entry["kind"])
        self.truth = entry.get("result") == "boolean"
        self.tree = parsed(entry["expression"])

    def cells(self, typed: Mapping[str, np.ndarray], rows: int) -> np.ndarray:
        """Return the column's cells from typed ones."""
        with np.errstate(all="ignore"):
            found = _value(self.tree, typed)
        if self.kind not in _TEXTUAL:
            return np.broadcast_to(_finite(_as_numbers(found)), rows).copy()
        if self.truth:
            words = np.array(["False", "True", None], dtype=object)
            found = words[np.where(np.isnan(found), 2, found).astype(np.intp)]
        return np.broadcast_to(np.asarray(_as_texts(found), dtype=object), rows).copy()


def parsed(expression: str) -> ast.expr:
    """Parse an expression; a column's name that is no Python name stands in backquotes."""
    plain = re.sub(r"`([^`]*)`", lambda name: f" col({_nfc(name[1])!r}) ", expression)
    return ast.parse(f"({plain.strip()})", mode="eval").body


def called(node: ast.expr) -> tuple[str, list[ast.expr], dict[str, ast.expr]] | None:
    """Return name and arguments of `abs(x)`, `x.abs()`, `x.str.len()`, `x.dt.hour`; else None."""
    function = node.func if isinstance(node, ast.Call) else node
    arguments = list(node.args) if isinstance(node, ast.Call) else []
    named = {str(k.arg): k.value for k in node.keywords} if isinstance(node, ast.Call) else {}
    if isinstance(function, ast.Name) and isinstance(node, ast.Call):
        return function.id, arguments, named
    if not isinstance(function, ast.Attribute):
        return None
    name, on = function.attr, function.value
    if isinstance(on, ast.Attribute) and on.attr in ("str", "dt"):
        name, on = f"{on.attr}.{name}", on.value
    return name, [on, *arguments], named


def _value(node: Any, cells: Mapping[str, np.ndarray]) -> Any:
    """Interpret one node: an array of cells, a plain value, or a list of plain values."""
    interpret = NODES.get(type(node), _call)
    return interpret(node, lambda part: _value(part, cells), cells)


def _call(node: Any, value: Callable[[Any], Any], cells: Mapping[str, np.ndarray]) -> Any:
    name, arguments, named = called(node) or ("", [], {})
    if name == "col":
        return cells[arguments[0].value]  # pyright: ignore[reportAttributeAccessIssue]
    if name not in FUNCTIONS:
        raise ValueError(f"a formula cannot hold {shown(ast.unparse(node))}")
    options = {key: value(item) for key, item in named.items()}
    return FUNCTIONS[name](*map(value, arguments), **options)


def _joined(node: Any, value: Callable[[Any], Any], _: Any) -> Any:
    join = BINARY[ast.BitAnd if isinstance(node.op, ast.And) else ast.BitOr]
    return reduce(join, [_as_numbers(value(item)) for item in node.values])  # noqa: PD011 - no frame


def _chained(node: Any, value: Callable[[Any], Any], _: Any) -> Any:
    sides = [value(side) for side in (node.left, *node.comparators)]
    pairs = zip(sides, node.ops, sides[1:], strict=False)
    return reduce(BINARY[ast.BitAnd], [_relation(type(op), a, b) for a, op, b in pairs])


def _binary(sign: type, left: Any, right: Any) -> Any:
    if sign is ast.Sub and _sort(left) == _sort(right) == "date":  # in days
        return (left - right) / np.timedelta64(1, "D")
    return _finite(BINARY[sign](_as_numbers(left), _as_numbers(right)))


def _sort(value: Any) -> str:
    if isinstance(value, str):
        return "text"
    return {"O": "text", "M": "date"}.get(np.asarray(value).dtype.kind, "number")


def _finite(numbers: Any) -> Any:
    return np.where(np.isfinite(numbers), numbers, np.nan)


def _per_level(cells: np.ndarray, read: Callable[[Any], Any], missing: Any) -> np.ndarray:
    """Apply `read` to each distinct cell; missing ones become `missing`."""
    codes, levels = pd.factorize(cells)
    found = np.empty(len(levels) + 1, dtype=object if missing is None else np.float64)
    found[:-1] = [read(level) for level in levels]
    found[-1] = missing
    return found[codes]


def _as_numbers(value: Any) -> Any:
    """Read text as numbers, whatever is none as missing; a date is its days since 1970."""
    if isinstance(value, str):
        return _one_number(value, ".", None)
    if _sort(value) == "date":
        return _part(value, "days")
    if _sort(value) == "text":
        return _per_level(value, lambda text: _one_number(text, ".", None), np.nan)
    return value


def _as_texts(value: Any) -> Any:
    if isinstance(value, float):
        return None if value != value else WHOLE.sub(r"\1", str(value))  # noqa: PLR0124 - NaN
    if _sort(value) == "number":
        return _per_level(value, lambda number: WHOLE.sub(r"\1", str(number)), None)
    if _sort(value) == "date":
        return _per_level(value, _date_text, None)
    return value


def _as_dates(value: Any) -> Any:
    if isinstance(value, str):
        return _iso([value], None)[0] if ISO.fullmatch(value) else np.datetime64("NaT", "us")
    if _sort(value) != "text":
        return value
    codes, levels = pd.factorize(value)
    return np.array([*(_as_dates(text) for text in levels), "NaT"], "datetime64[us]")[codes]


def _alike(*values: Any) -> list[Any]:
    """Bring values to one sort: dates where one is a date, else numbers where one is a number."""
    sorts = {_sort(value) for value in values}
    if len(sorts) == 1:
        return list(values)
    return [(_as_dates if "date" in sorts else _as_numbers)(value) for value in values]


def _gaps(value: Any) -> Any:
    return pd.isna(value)


def _relation(sign: type, left: Any, right: Any) -> Any:
    if sign in (ast.In, ast.NotIn):
        known = _isin(left, right)
        return known if sign is ast.In else UNARY[ast.Not](known)
    left, right = _alike(left, right)
    gaps = _gaps(left) | _gaps(right)
    return np.where(gaps, np.nan, np.asarray(RELATIONS[sign](left, right)).astype(np.float64))


def _isin(cells: Any, levels: list[Any]) -> Any:
    levels = levels if isinstance(levels, list) else [levels]
    cells = _alike(cells, levels[0])[0]
    found = np.isin(np.where(_gaps(cells), levels[0], cells), levels)
    return np.where(_gaps(cells), np.nan, found)


def _where(test: Any, yes: Any, no: Any) -> Any:
    test, (yes, no) = _as_numbers(test), _alike(yes, no)
    gap: Any = {"text": None, "date": np.datetime64("NaT", "us")}.get(_sort(yes), np.nan)
    textual = _sort(yes) == "text"
    yes, no = (np.asarray(v, dtype=object) if textual else v for v in (yes, no))
    return np.where(np.isnan(test), gap, np.where(test != 0, yes, no))


def _filled(cells: Any, value: Any) -> Any:
    cells, value = _alike(cells, value)
    return np.where(_gaps(cells), value, cells)


def _either(left: Any, right: Any) -> Any:
    true, gap = (left != 0) & (left == left), np.isnan(left) | np.isnan(right)  # noqa: PLR0124
    true = true | ((right != 0) & (right == right))  # noqa: PLR0124 - not NaN
    return np.where(true, 1.0, np.where(gap, np.nan, 0.0))


def _negated(value: Any) -> Any:
    return np.where(np.isnan(value), np.nan, np.asarray(value == 0).astype(np.float64))


def _between(cells: Any, left: Any, right: Any) -> Any:
    return BINARY[ast.BitAnd](_relation(ast.GtE, cells, left), _relation(ast.LtE, cells, right))


def _numeric(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *values, **named: _finite(
        function(*map(_as_numbers, values), **{k: _as_numbers(v) for k, v in named.items()})
    )


def _clipped(x: Any, lower: float = -np.inf, upper: float = np.inf) -> Any:
    return np.clip(x, lower, upper)


def _rounded(x: Any, digits: float = 0.0) -> Any:
    return np.round(x, int(digits))


def _text(function: Callable[..., Any], missing: Any = None) -> Callable[..., Any]:
    """A function of one text and plain values, as one of all cells."""

    def apply(cells: Any, *values: Any) -> Any:
        texts = _as_texts(cells)
        if texts is None or isinstance(texts, str):
            return missing if texts is None else function(texts, *values)
        return _per_level(texts, lambda text: function(text, *values), missing)

    return apply


def _date(part: str) -> Callable[..., Any]:
    return lambda cells: _part(np.asarray(_as_dates(cells), "datetime64[us]"), part)


UNARY: dict[type, Callable[..., Any]] = {
    ast.USub: operator.neg, ast.UAdd: operator.pos, ast.Not: _negated, ast.Invert: _negated,
}  # fmt: skip
BINARY: dict[type, Callable[..., Any]] = {
    ast.Add: np.add, ast.Sub: np.subtract, ast.Mult: np.multiply, ast.Div: np.divide,
    ast.FloorDiv: np.floor_divide, ast.Mod: np.mod, ast.Pow: np.power, ast.BitOr: _either,
    ast.BitAnd: lambda left, right: _negated(_either(_negated(left), _negated(right))),
}  # fmt: skip
RELATIONS: dict[type, Callable[..., Any]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt,
    ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
}  # fmt: skip
NODES: dict[type, Callable[..., Any]] = {
    ast.Constant: lambda n, *_: n.value if isinstance(n.value, str) else float(n.value),
    ast.Name: lambda n, _, cells: cells[_nfc(n.id)],
    ast.List: lambda n, value, _: list(map(value, n.elts)),
    ast.Tuple: lambda n, value, _: list(map(value, n.elts)),
    ast.UnaryOp: lambda n, value, _: UNARY[type(n.op)](_as_numbers(value(n.operand))),
    ast.BinOp: lambda n, value, _: _binary(type(n.op), value(n.left), value(n.right)),
    ast.IfExp: lambda n, value, _: _where(value(n.test), value(n.body), value(n.orelse)),
    ast.BoolOp: _joined,
    ast.Compare: _chained,
}
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": _numeric(np.abs), "sign": _numeric(np.sign), "sqrt": _numeric(np.sqrt),
    "log": _numeric(np.log), "log10": _numeric(np.log10), "log1p": _numeric(np.log1p),
    "exp": _numeric(np.exp), "floor": _numeric(np.floor), "ceil": _numeric(np.ceil),
    "round": _numeric(_rounded), "clip": _numeric(_clipped),
    "minimum": _numeric(np.minimum), "maximum": _numeric(np.maximum),
    "number": _as_numbers, "text": _as_texts,
    "where": _where, "fillna": _filled, "isin": _isin, "between": _between,
    "isna": lambda cells: np.asarray(_gaps(cells)).astype(np.float64),
    "notna": lambda cells: np.asarray(~_gaps(cells)).astype(np.float64),
    "str.lower": _text(str.lower), "str.upper": _text(str.upper), "str.strip": _text(str.strip),
    "str.len": _text(lambda text: float(len(text)), np.nan),
    "str.contains": _text(lambda text, part: float(part in text), np.nan),
    "str.startswith": _text(lambda text, part: float(text.startswith(part)), np.nan),
    "str.endswith": _text(lambda text, part: float(text.endswith(part)), np.nan),
    **{f"dt.{part}": _date(part) for part in ("year", "month", "day", "weekday", "hour", "days")},
}  # fmt: skip
"""What a formula may call; every one works on each row by itself."""


# ---------------------------------------------------------------- rules


def judge(
    typed: pd.DataFrame | Mapping[str, np.ndarray],
    schema: Mapping[str, Any] | Reader,
    severity: str | None = "critical",
) -> dict[str, np.ndarray]:
    """Return, for each row rule of that severity (None: all), the mask of rows that break it.

    `type` rules are left out (the reader's list of untypable cells is their result), and so are
    rules of columns that `typed` does not have, such as the target at serving. A missing cell
    breaks `present` only.
    """
    failing: dict[str, np.ndarray] = {}
    for rule in Reader.of(schema).rules:
        wanted = severity is None or rule.get("severity", "critical") == severity
        if not wanted or rule["type"] == "type" or any(n not in typed for n in rule["columns"]):
            continue
        if rule["type"] == "check":
            failing[rule["id"]] = _fails(typed, rule)
        else:
            failing[rule["id"]] = _breaks(np.asarray(typed[rule["column"]]), rule)
    return failing


def _breaks(cells: np.ndarray, rule: Mapping[str, Any]) -> np.ndarray:
    missing = pd.isna(cells)
    if rule["type"] == "present":
        return missing
    if rule["type"] == "range":
        return ~missing & _outside(cells, rule)
    textual = cells.dtype.kind == "O"
    if rule["type"] == "levels":
        if not textual:
            return ~missing & ~np.isin(cells, np.array(rule["levels"], dtype=cells.dtype))
        return ~missing & ~np.array(list(map(rule["known"].__contains__, cells)), dtype=bool)
    if rule["type"] == "length":
        sizes = np.fromiter(
            (len(cell) if isinstance(cell, str) else 0 for cell in cells), np.int64, len(cells)
        )
        least, most = rule.get("min") or 0, rule.get("max") or np.inf
        return ~missing & ((sizes < least) | (sizes > most))
    if rule["type"] in ("pattern", "alphabet"):
        codes, distinct = pd.factorize(cells)
        fits = [rule["match"](str(text)) is not None for text in distinct]
        return ~np.array([*fits, True], dtype=bool)[codes]
    raise ValueError(
        f"rule {shown(rule['id'])}: type must be one of type, present, range, levels, length, "
        f"pattern, alphabet, check, however: {shown(rule['type'])}"
    )


def _outside(cells: np.ndarray, rule: Mapping[str, Any]) -> np.ndarray:
    out = np.zeros(len(cells), dtype=bool)
    if rule.get("min") is not None:
        low = np.array(rule["min"]).astype(cells.dtype)
        out |= cells <= low if rule.get("strict_min") else cells < low
    if rule.get("max") is not None:
        high = np.array(rule["max"]).astype(cells.dtype)
        out |= cells >= high if rule.get("strict_max") else cells > high
    return out


COMPARED = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    "!=": operator.ne,
}


def _fails(typed: pd.DataFrame | Mapping[str, np.ndarray], rule: Mapping[str, Any]) -> np.ndarray:
    """Return which rows meet all of `when` and fail some of `then`."""
    failing = np.zeros(len(np.asarray(typed[rule["column"]])), dtype=bool)
    for condition in rule["then"]:
        met, known = _meets(typed, condition)
        failing |= known & ~met
    for condition in rule["when"]:
        failing &= _meets(typed, condition)[0]
    return failing


def _meets(
    typed: pd.DataFrame | Mapping[str, np.ndarray], condition: Mapping[str, Any]
) -> tuple[np.ndarray, np.ndarray]:
    """Return which rows meet a condition, and in which it can be told: nothing compares with a gap."""
    op, left = condition["op"], _compared(np.asarray(typed[condition["column"]]), condition)
    there = ~pd.isna(left)
    if op in ("present", "missing"):
        return there == (op == "present"), np.ones(len(left), dtype=bool)
    met = np.zeros(len(left), dtype=bool)
    if op == "in":
        met[there] = np.isin(left[there], np.array(condition["value"]).astype(left.dtype))
        return met, there
    if "other" in condition:
        right = _compared(np.asarray(typed[condition["other"]]), condition)
        there &= ~pd.isna(right)
        right = right[there]
    elif "ranks" in condition:
        right = condition["ranks"].index(condition["value"])
    else:
        right = np.array(condition["value"]).astype(left.dtype)
    met[there] = np.asarray(COMPARED[op](left[there], right), dtype=bool)
    return met, there


def _compared(cells: np.ndarray, condition: Mapping[str, Any]) -> np.ndarray:
    """Return cells as they are compared: those of an ordered category by their place in the order."""
    ranks = condition.get("ranks")
    if not ranks:
        return cells
    places = {level: float(place) for place, level in enumerate(ranks)}
    return np.array([places.get(cell, np.nan) for cell in cells], dtype=np.float64)


# ---------------------------------------------------------------- answers


def inputs(
    typed: pd.DataFrame | Mapping[str, np.ndarray], schema: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """Return what the graph takes: `numbers` float64 (n, numbers), `categories` str (n, categories).

    A missing number is NaN, a missing category "". A key without columns is absent.
    """
    feeds: dict[str, np.ndarray] = {}
    if numbers := schema.get("numbers"):
        feeds["numbers"] = np.column_stack(
            [np.asarray(typed[name], np.float64) for name in numbers]
        )
    if categories := schema.get("categories"):
        stacked = np.column_stack([np.asarray(typed[name], dtype=object) for name in categories])
        stacked[pd.isna(stacked)] = ""
        feeds["categories"] = stacked
    return feeds


def answer(
    session: onnxruntime.InferenceSession,
    frame: pd.DataFrame,
    schema: Mapping[str, Any] | Reader,
    on_bad_row: str = "error",
) -> pd.DataFrame:
    """Answer raw rows: `prediction`, and `probability_<label>` for each class.

    A bad row (a cell that cannot be typed, a broken critical rule) is a ValueError that names up
    to five of them; with on_bad_row="null" its answers are None (all columns hold Python objects
    then) and `bad_row` holds its rules.
    """
    if on_bad_row not in {"error", "null"}:
        raise ValueError(f'on_bad_row must be "error" or "null", however: {shown(on_bad_row)}')
    reader = Reader.of(schema)
    typed, faults = typed_cells(frame, reader)
    broken = _broken(typed, faults, reader)
    bad = np.logical_or.reduce([*broken.values(), np.zeros(len(frame), dtype=bool)])
    if broken and on_bad_row == "error":
        columns = {rule["id"]: rule["columns"] for rule in reader.rules}
        raise ValueError(_complaint(frame, faults, broken, bad, columns))
    answers = _answers(_run(session, inputs(typed, reader.schema), reader.schema), reader.schema)
    if on_bad_row == "null":
        for name, values in answers.items():
            answers[name] = pd.Series(_with_nulls(values, bad), dtype=object)
        answers["bad_row"] = _rules_of(broken, bad)
    return pd.DataFrame(answers, copy=False)


def check(frame: pd.DataFrame, schema: Mapping[str, Any] | Reader) -> pd.DataFrame:
    """Judge raw rows without answering them: `broken` and `warned`, the rule ids of each row.

    `broken` lists what keeps a row from being answered (cells that cannot be typed, critical
    rules), `warned` the rules that only warn.
    """
    reader = Reader.of(schema)
    typed, faults = typed_cells(frame, reader)
    found = {}
    for name, severity in (("broken", "critical"), ("warned", "warning")):
        listed: list[list[str]] = [[] for _ in range(len(frame))]
        for rule, rows in _broken(typed, faults, reader, severity).items():
            for row in np.flatnonzero(rows):
                listed[row].append(rule)
        found[name] = pd.Series(listed, dtype=object)
    return pd.DataFrame(found)


def _broken(
    typed: Mapping[str, np.ndarray],
    faults: Mapping[str, np.ndarray],
    reader: Reader,
    severity: str = "critical",
) -> dict[str, np.ndarray]:
    """Return the rules that some row breaks: untypable cells first, which are not also absent."""
    count = np.count_nonzero  # ten times faster than any() on one row
    told = faults if severity == "critical" else {}
    broken = {f"{name}.type": fault > 0 for name, fault in told.items() if count(fault)}
    columns = {rule["id"]: rule["columns"] for rule in reader.rules}
    for rule, rows in judge(typed, reader, severity).items():
        typed_rows = rows
        for name in columns[rule]:
            if count(faults.get(name, ())):
                typed_rows = typed_rows & (faults[name] == 0)
        if count(typed_rows):
            broken[rule] = typed_rows
    return broken


def _run(
    session: onnxruntime.InferenceSession,
    feeds: Mapping[str, np.ndarray],
    schema: Mapping[str, Any],
) -> dict[str, np.ndarray]:
    chunk = int(schema.get("chunk", CHUNK))
    names = [output.name for output in session.get_outputs()]
    rows = len(next(iter(feeds.values())))
    parts = [
        session.run(names, {key: value[start : start + chunk] for key, value in feeds.items()})
        for start in range(0, rows, chunk)
    ]
    if not parts:
        return {}
    return {
        name: np.concatenate(column)
        for name, column in zip(names, zip(*parts, strict=True), strict=True)
    }


def _answers(outputs: Mapping[str, np.ndarray], schema: Mapping[str, Any]) -> dict[str, Any]:
    classes = schema.get("classes")
    if not classes:
        return {"prediction": np.asarray(outputs.get("value", ()), np.float64).reshape(-1)}
    kind = schema.get("class_kind", "text")
    if kind == "integer":
        labels = np.array([int(label) for label in classes], dtype=np.int64)
    elif kind == "boolean":
        labels = np.array([str(label).casefold() in TRUE for label in classes])
    else:
        labels = np.array(classes, dtype=object)
    chosen = labels[np.asarray(outputs.get("label", ()), dtype=np.int64).reshape(-1)]
    shares = np.asarray(outputs.get("probabilities", ()), np.float64).reshape(-1, len(classes))
    named = {f"probability_{label}": shares[:, k] for k, label in enumerate(classes)}
    typed = chosen if len(chosen) else pd.Series(chosen, dtype="str" if kind == "text" else None)
    return {"prediction": typed, **named}


def _with_nulls(values: Any, bad: np.ndarray) -> np.ndarray:
    """Return plain Python values with None where bad: what JSON writes as null."""
    cells = np.array([*np.asarray(values).tolist(), None], dtype=object)[:-1]
    cells[bad] = None
    return cells


def _rules_of(broken: Mapping[str, np.ndarray], bad: np.ndarray) -> pd.Series:
    rules = np.full(len(bad), "", dtype=object)
    for row in np.flatnonzero(bad):
        rules[row] = "; ".join(rule for rule, rows in broken.items() if rows[row])
    return pd.Series(rules, dtype="str")


def _complaint(
    frame: pd.DataFrame,
    faults: Mapping[str, np.ndarray],
    broken: Mapping[str, np.ndarray],
    bad: np.ndarray,
    columns: Mapping[str, Sequence[str]],
) -> str:
    places, lines = _places(frame), []
    for row in np.flatnonzero(bad)[:SHOWN]:
        for rule in (rule for rule, rows in broken.items() if rows[row]):
            names = columns.get(rule) or [rule.rpartition(".")[0]]
            cells = [
                f"column {shown(n)}: {shown(frame.iloc[row, places[n]]) if n in places else 'no value'}"
                for n in names
            ]
            code = 0 if rule in columns else int(faults[names[0]][row])
            lines.append(
                f"row {row}, {', '.join(cells)} breaks {rule}"
                + (f" ({FAULTS[code]})" if code else "")
            )
    return (
        f"every row must satisfy the model's contract, however {int(bad.sum())} of {len(frame)} "
        'do not (rows are counted from 0; on_bad_row="null" answers the others):\n  '
        + "\n  ".join(lines)
    )


# ---------------------------------------------------------------- MLflow


def open_session(path: str, threads: int = 0) -> onnxruntime.InferenceSession:
    """Open an exported graph; idle threads sleep, because a server has other work to do."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _threads() -> int:
    """Return how many threads answer one question: OMP_NUM_THREADS, else 0, one per core."""
    said = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(said) if said.isdecimal() else 0


def _set_model() -> None:
    """Hand MLflow the model: artifacts `graph` and `schema`, parameters `on_bad_row` and `check`."""
    import json
    from pathlib import Path

    from mlflow.models import set_model
    from mlflow.pyfunc.model import PythonModel

    class Served(PythonModel):
        def load_context(self, context: Any) -> None:
            self.reader = Reader(json.loads(Path(context.artifacts["schema"]).read_text("utf-8")))
            self.session = open_session(context.artifacts["graph"], _threads())

        def predict(  # noqa: ANN202 # pyright: ignore[reportIncompatibleMethodOverride]
            self,
            context: Any,
            model_input: pd.DataFrame,  # the one hint that keeps MLflow from judging rows itself
            params: Any = None,
        ):
            del context
            asked, rows = params or {}, pd.DataFrame(model_input)
            if asked.get("check"):
                return check(rows, self.reader)
            return answer(self.session, rows, self.reader, asked.get("on_bad_row", "error"))

    set_model(Served())


if __name__.startswith("code_model_"):  # the name under which MLflow executes a model's own file
    _set_model()
