"""What `init` sees of leaks: columns that a run would refuse, which it proposes to leave out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from expectations import leaks_target
from expectations.leaks_sums import made_of
from expectations.leaks_target import Target

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from expectations.leaks import Leak
    from flows.settings_text import Draft

SAMPLE = 20_000
KINDS = ("number", "integer", "boolean", "category")


def drops(
    draft: Draft, profile: Mapping[str, Any], table: pd.DataFrame
) -> list[tuple[tuple[str, ...], str]]:
    """Return the columns that are surely no features, with the evidence."""
    return [(leak.columns, leak.sentence) for leak in _seen(draft, profile, table) if leak.sure]


def suspects(draft: Draft, profile: Mapping[str, Any], table: pd.DataFrame) -> list[str]:
    """Return what a person should look at: a target that is made of columns in its own way."""
    found = [leak for leak in _seen(draft, profile, table) if leak.kind == "made_of"]
    return [
        f"{leak.sentence}: if these are only known together with it, add them to data.drop"
        for leak in found
        if not leak.sure
    ]


def _seen(draft: Draft, profile: Mapping[str, Any], table: pd.DataFrame) -> list[Leak]:
    out = {*draft.data.get("drop", ()), *draft.data.get("id", ())}
    columns = [c for c in profile["columns"] if c["role"] == "feature" and c["kind"] in KINDS]
    rows = np.unique(np.linspace(0, len(table) - 1, min(SAMPLE, len(table))).astype(np.int64))
    few: Any = table.iloc[rows]
    target = _target(draft, profile, few)
    if target is None:
        return []
    known = np.isfinite(target.cells) if not target.classes else target.cells >= 0
    target = Target(name=target.name, cells=target.cells[known], classes=target.classes)
    cells = {c["name"]: _cells(profile, c, few[c["name"]])[known] for c in columns}
    cells = {name: each for name, each in cells.items() if name not in out}
    found = [
        leaks_target.of_column(name, each, target, None, lonely=False)
        for name, each in cells.items()
    ]
    leaks = [leak for leak in found if leak is not None]
    copies = {name for leak in leaks if leak.sure for name in leak.columns}
    numbers = {n: c for n, c in cells.items() if c.dtype.kind == "f" and n not in copies}
    if not target.classes:
        leaks += made_of(numbers, target.cells, name=target.name, features=len(cells))
    return leaks


def _target(draft: Draft, profile: Mapping[str, Any], few: Any) -> Target | None:
    """The target as the run will see it."""
    name = draft.data["target"]
    column = next((c for c in profile["columns"] if c["name"] == name), None)
    if column is None:
        return None
    if draft.head.get("task") == "regression":
        numbers = _cells(profile, {**column, "kind": "number"}, few[name])
        return Target(name=name, cells=numbers, classes=0)
    codes = _cells(profile, {**column, "kind": "category"}, few[name])
    return Target(name=name, cells=codes, classes=int(codes.max(initial=-1)) + 1)


def _cells(profile: Mapping[str, Any], column: Mapping[str, Any], raw: pd.Series) -> np.ndarray:
    """Type a raw column as the profile says: float64, or level codes with -1 for missing."""
    import pandas as pd

    from models.served import read_column

    entry = {
        "name": column["name"],
        "kind": column["kind"],
        "missing": [*profile.get("missing", ()), *column.get("missing_tokens", ())],
        "decimal": column.get("decimal") or ".",
        "thousands": column.get("thousands"),
        "unit": column.get("unit"),
        "true": column.get("true") or (),
        "false": column.get("false") or (),
    }
    typed, _ = read_column(raw.reset_index(drop=True), entry)
    if column["kind"] == "category":
        return pd.factorize(typed, use_na_sentinel=True)[0].astype(np.int64)
    return typed.to_numpy(dtype=np.float64, na_value=np.nan)
