"""The canary on a person's own function: rows that it reads are spoilt, other rows must not change.

- A source `"file.py:function"` is called again while the readers of pandas hand out frames in which
  some rows are garbage. A cell of another row that then differs was made with rows that judge: a
  scaler, a mean that fills, an encoding learned on everything.
- Rows are matched by index, and only where an untouched column proves that they are matched; a
  function that cannot be followed so is said to be, and nothing is concluded.
"""

from __future__ import annotations

import contextlib
import importlib.util
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from expectations.failure import shown
from expectations.leaks import Leak, named

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pandas as pd

    from flows.spec import Spec

READERS = (
    *("read_csv", "read_table", "read_parquet", "read_excel", "read_json", "read_fwf"),
    *("read_feather", "read_orc", "read_sql", "read_sql_query", "read_sql_table"),
)
LEAST_ROWS = 20
SPOILT = 0.2
EVERYWHERE = 0.99
PROOF = 20  # distinct cells of a column that proves which row is which


def functions(spec: Spec) -> list[tuple[str, Path, str]]:
    """Return the functions that the settings name: as written, file and name."""
    source = spec.data.source
    entries = [source] if isinstance(source, str) else list(source)
    entries += [spec.split.test_source] if spec.split.test_source else []
    told = [(e, re.fullmatch(r"(.+\.py):([^\W\d]\w*)", e)) for e in entries]
    return [(e, spec.folder / Path(m[1]).expanduser(), m[2]) for e, m in told if m]


def asked(spec: Spec) -> tuple[list[Leak], list[str]]:
    """Let the canary fly through every function; return findings, and what could not be judged."""
    leaks: list[Leak] = []
    notes: list[str] = []
    for entry, path, name in functions(spec):
        try:
            found, note = _judged(entry, path, name)
        except Exception as error:  # noqa: BLE001 - garbage may be too much for a person's code
            found, note = [], f"it failed on spoilt rows ({type(error).__name__})"
        leaks += found
        notes += [f"canary: {shown(entry)} was not judged: {note}"] if note else []
    return leaks, notes


@dataclass(kw_only=True)
class _Readers:
    """Stands in for the readers of pandas while a function runs."""

    spoil: bool
    frames: list[pd.DataFrame] = field(default_factory=list)
    touched: list[np.ndarray] = field(default_factory=list)

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        import pandas as pd

        kept = {name: getattr(pd, name) for name in READERS}
        try:
            for name, reader in kept.items():
                setattr(pd, name, self._wrapped(reader))
            yield
        finally:
            for name, reader in kept.items():
                setattr(pd, name, reader)

    def _wrapped(self, reader: Callable[..., Any]) -> Callable[..., Any]:
        import pandas as pd

        def read(*args: Any, **options: Any) -> Any:
            found = reader(*args, **options)
            if not isinstance(found, pd.DataFrame) or len(found) < LEAST_ROWS:
                return found
            rows = np.random.default_rng(len(self.frames)).random(len(found)) < SPOILT
            self.touched.append(rows)
            made = _spoilt(found, rows) if self.spoil else found
            self.frames.append(made.copy())
            return made

        return read


def _spoilt(frame: pd.DataFrame, rows: np.ndarray) -> pd.DataFrame:
    """Return the frame with garbage of each column's own type in some rows."""
    random, found = np.random.default_rng(0), frame.copy()
    for place in range(frame.shape[1]):
        column = frame.iloc[:, place]
        cells = column.to_numpy(copy=True)
        if cells.dtype.kind in "iuf":
            cells[rows] = random.permutation(cells[rows]) * 100
        else:
            cells[rows] = random.permutation(cells[rows])
        found.isetitem(place, type(column)(cells, index=frame.index).astype(column.dtype))
    return found


def _judged(entry: str, path: Path, name: str) -> tuple[list[Leak], str]:
    plain, frame = _called(path, name, spoil=False)
    if len(plain.frames) != 1:
        reads = f"{len(plain.frames)} tables" if plain.frames else "nothing"
        return [], f"it must read one table through pandas to be followed, it reads {reads}"
    if not _same(frame, _called(path, name, spoil=False)[1]):
        return [], "it returns something else at each call"
    garbled, other = _called(path, name, spoil=True)
    source, spoilt = plain.frames[0], garbled.frames[0]
    if not (_aligned(frame, source) and _aligned(other, spoilt)):
        return [], "its rows cannot be matched with those that it reads"
    whole = source.index[~plain.touched[0]]
    rows = frame.index.intersection(other.index).intersection(whole)
    sure, partly = _changed(frame.loc[rows], other.loc[rows])
    leaks = [_leak(entry, sure, sure=True)] if sure else []
    return leaks + ([_leak(entry, partly, sure=False)] if partly else []), ""


def _called(path: Path, name: str, *, spoil: bool) -> tuple[_Readers, pd.DataFrame]:
    readers = _Readers(spoil=spoil)
    spec = importlib.util.spec_from_file_location("penstock_canary", path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{path} is no Python file")
    with readers.in_place():
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return readers, getattr(module, name)()


def _same(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    return bool(one.equals(other))


def _aligned(made: pd.DataFrame, read: pd.DataFrame) -> bool:
    """Whether some column came through untouched, row by row."""
    if not made.index.is_unique or not made.index.isin(read.index).all():
        return False
    for name in made.columns.intersection(read.columns):
        cells: Any = made[name]
        if cells.nunique() >= PROOF and cells.equals(read[name].loc[made.index]):
            return True
    return False


def _changed(one: pd.DataFrame, other: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Return the columns that differ in all their cells, or by one filled value; and the others."""
    sure: list[str] = []
    partly: list[str] = []
    for name in one.columns.intersection(other.columns):
        a: Any = one[name]
        b: Any = other[name]
        differs = ~((a == b) | (a.isna() & b.isna())).to_numpy(dtype=bool, na_value=False)
        if not differs.any():
            continue
        share = differs.sum() / max(int(a.notna().sum()), 1)
        refilled = a[differs].nunique() == 1 == b[differs].nunique() and differs.sum() > 1
        (sure if share >= EVERYWHERE or refilled else partly).append(str(name))
    gone = one.columns.symmetric_difference(other.columns)
    return [*sure, *(str(name) for name in gone)], partly


def _leak(entry: str, columns: list[str], *, sure: bool) -> Leak:
    how = "every other row" if sure else "some other rows"
    said = (
        f"{shown(entry)} makes {named(columns)} of all its rows: with garbage in some rows, the "
        f"cells of {how} differ"
    )
    return Leak(
        type="preprocessing",
        kind="function",
        columns=tuple(columns),
        sure=sure,
        sentence=said,
        numbers={"columns": len(columns)},
        advice="make each row of itself alone, and leave scaling, filling and encoding to the run",
    )
