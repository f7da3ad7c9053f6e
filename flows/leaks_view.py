"""The table as the detectors see it: one column at a time, beside ledger and target.

- A column is float64 with NaN (numbers; dates as days), or level codes with -1 for missing and the
  levels' names; columns are read a few at a time, so a wide table is never whole in memory.
- What looks at the target sees rows that are learned from, at most SAMPLE of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from expectations.leaks_sides import Ledger
from expectations.leaks_target import Target
from flows.json_files import read_json
from flows.tables import columns_of, names_in, read_parquet

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from flows.spec import Spec

SAMPLE = 20_000
SEED = 0
DAY = 86_400_000_000  # microseconds


@dataclass(frozen=True, kw_only=True)
class Column:
    """A feature of N rows, in the order of the file."""

    name: str
    kind: str
    cells: np.ndarray
    names: Sequence[str] | None = None
    """The levels that codes stand for; None for numbers."""


@dataclass(frozen=True, kw_only=True)
class View:
    """Everything that does not depend on a single feature."""

    clean: Path
    features: Mapping[str, str]
    """Kind by name."""
    book: Ledger
    target: Target
    """Of all N rows."""
    truth: np.ndarray
    """The target as numbers (N,): its values, or whether a row is of the commonest class."""
    sample: np.ndarray
    """Places of rows that are learned from."""
    labels: tuple[str, ...] = ()
    """The classes in the order of the target's codes."""

    def columns(self, names: Sequence[str] | None = None) -> Iterator[Column]:
        """Yield the features, or those named."""
        wanted = list(self.features if names is None else names)
        for cells in columns_of(self.clean, wanted):
            yield column_of(cells, self.features.get(str(cells.name), "number"))

    @cached_property
    def train(self) -> np.ndarray:
        """Rows of the train side."""
        return self.book.side == "train"


def view_of(spec: Spec, schema: Mapping[str, Any], clean: Path, split: Path) -> View:
    """Join clean rows and ledger, whose rows are in one order."""
    from flows.derive import feature_kinds

    facts = read_json(split / "split.json")
    rows: Any = read_parquet(clean, ["__row__", schema["target"]])
    lines = read_parquet(split / "ledger.parquet")
    dates = bool((facts.get("time") or {}).get("dates"))
    book = _ledger(spec, lines, rows["__row__"].to_numpy(), dates=dates)
    target, labels = _target(rows[schema["target"]], schema, facts)
    fitted = np.flatnonzero(book.fitted)
    if len(fitted) > SAMPLE:
        chosen = np.random.default_rng(SEED).choice(len(fitted), SAMPLE, replace=False)
        fitted = fitted[np.sort(chosen)]
    truth = target.cells.astype(np.float64)
    if target.classes:
        truth = (target.cells == np.bincount(target.cells).argmax()).astype(np.float64)
    there = set(names_in(clean))
    features = {n: kind for n, kind in feature_kinds(schema).items() if n in there}
    features = {n: kind for n, kind in features.items() if n != schema["target"]}
    return View(
        clean=clean,
        features=features,
        book=book,
        target=target,
        truth=truth,
        sample=fitted,
        labels=labels,
    )


def column_of(cells: pd.Series, kind: str) -> Column:
    """Return typed cells as the detectors take them."""
    import pandas as pd

    name, dtype = str(cells.name), cells.dtype
    if pd.api.types.is_datetime64_any_dtype(dtype):
        if isinstance(dtype, pd.DatetimeTZDtype):
            cells = cells.dt.tz_convert("UTC").dt.tz_localize(None)
        ticks = cells.to_numpy().astype("datetime64[us]")
        days = np.where(np.isnat(ticks), np.nan, ticks.view(np.int64) / DAY)
        return Column(name=name, kind="date", cells=days)
    if pd.api.types.is_numeric_dtype(dtype) or pd.api.types.is_bool_dtype(dtype):
        values = cells.to_numpy(dtype=np.float64, na_value=np.nan)
        return Column(name=name, kind=kind, cells=np.where(np.isinf(values), np.nan, values))
    codes, levels = pd.factorize(cells, use_na_sentinel=True)
    names = [str(level) for level in levels]
    return Column(name=name, kind=kind, cells=codes.astype(np.int64), names=names)


def _ledger(spec: Spec, lines: pd.DataFrame, rows: np.ndarray, *, dates: bool) -> Ledger:
    """The ledger in the order of the clean rows."""
    import pandas as pd

    if not np.array_equal(lines["row"].to_numpy(), rows):
        order = np.argsort(lines["row"].to_numpy(), kind="stable")
        lines = lines.iloc[order[np.searchsorted(lines["row"].to_numpy()[order], rows)]]
    data, parts = spec.data, dict[str, np.ndarray]()
    if "group" in lines:
        parts["group"] = lines["group"].to_numpy(object).astype(str)
    if "time" in lines:
        parts["time"] = lines["time"].to_numpy(np.float64)
    return Ledger(
        row=lines["row"].to_numpy(np.int64),
        identity=pd.factorize(lines["identity"])[0],
        side=lines["side"].to_numpy(object).astype(str),
        by=spec.split.by,
        group_name=data.group or "",
        time_name=data.time or "",
        time_dates=dates,
        by_given="by" in spec.split.model_fields_set,
        **parts,
    )


def _target(
    cells: pd.Series, schema: Mapping[str, Any], facts: Mapping[str, Any]
) -> tuple[Target, tuple[str, ...]]:
    """The target with the labels that its codes stand for."""
    import pandas as pd

    from flows.split import merged_labels

    name = schema["target"]
    if schema.get("task") == "regression" or schema["target_column"]["kind"] == "number":
        return Target(name=name, cells=cells.to_numpy(np.float64), classes=0), ()
    codes, labels = pd.factorize(merged_labels(cells, facts).astype(str))
    found = Target(name=name, cells=codes.astype(np.int64), classes=len(labels))
    return found, tuple(map(str, labels))
