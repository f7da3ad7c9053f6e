"""What the sides of rows rest on, recorded so that a later run can keep or find them again.

- The scheme names the identity's algorithm and columns, the shares, the seed and the salts.
- An earlier scheme is kept as long as the settings that it rests on and its columns are the same.
- `differences` says in words what changed between two; `identity_digest` names what a row or group
  is known by, whatever the sides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from expectations.failure import Example, Failure, describe, shown
from flows.errors import DataRefused
from flows.header import RESERVED
from flows.identity import ALGORITHM, combined, identities
from flows.stage import digest_of
from flows.tables import columns_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

    from flows.spec import Spec


SETTINGS = {
    "algorithm": "the algorithm of identities",
    "by": "split.by",
    "id": "data.id",
    "group": "data.group",
    "time": "data.time",
    "test": "split.test",
    "validation": "split.validation",
    "seed": "split.seed",
    "folds": "the number of folds",
    "salt": "the salt of the sides",
}
"""What of a scheme a person can recognise, as it is called."""


def scheme_of(
    spec: Spec,
    names: Sequence[str],
    schema: Mapping[str, Any] | None,
    previous: Mapping[str, Any] | None,
) -> tuple[dict[str, Any], list[str], bool]:
    """Return the scheme of this run: the previous one where nothing that it rests on changed.

    `names` are the table's columns.
    """
    settings = {
        "version": 1,
        "algorithm": ALGORITHM,
        "by": spec.split.by,
        "id": list(spec.data.id),
        "group": spec.data.group,
        "time": spec.data.time if spec.split.by == "time" else None,
        "test": spec.split.test,
        "validation": spec.split.validation,
        "seed": spec.split.seed,
    }
    columns = [] if spec.data.id else _features(spec, names, schema)
    fresh = {**settings, "columns": columns, "salt": None, "fold_salt": None}
    if not previous:
        return fresh, [], False
    changed = [key for key, value in settings.items() if previous.get(key) != value]
    gone = [name for name in previous.get("columns", []) if name not in names]
    if changed or gone:
        why = [f"{key} was {previous.get(key)!r} and is {settings[key]!r}" for key in changed]
        why += [f"column {shown(name)} is gone" for name in gone]
        return fresh, [f"the earlier split could not be kept: {'; '.join(why)}"], False
    return {**fresh, **previous}, ["the sides of the earlier run are kept"], True


def _features(spec: Spec, names: Sequence[str], schema: Mapping[str, Any] | None) -> list[str]:
    """Return the columns that a row is known by where no id is declared."""
    if schema:
        kinds = {column["name"]: column["kind"] for column in schema["columns"]}
        found = [n for n, kind in kinds.items() if kind not in ("text", "ignored") and n in names]
        return found or [n for n in kinds if n in names]
    data = spec.data
    others = {data.target, data.weight, data.group, data.time, *data.drop, *RESERVED}
    return [name for name in names if name not in others]


def row_identity(
    spec: Spec, frame: pd.DataFrame, scheme: Mapping[str, Any], table: Path
) -> NDArray[np.uint64]:
    """Return each row's identity: of its declared id, else of the recorded columns of `table`.

    `frame` holds the columns with a role, of the same rows.
    """
    if spec.data.id:
        present(frame, spec.data.id, "data.id")
        return identities(frame, spec.data.id, as_text=True)
    return combined(columns_of(table, scheme["columns"]), len(frame))


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Say in words how the scheme `now` differs from an earlier one."""
    found = [
        f"{name} was {_said(before.get(key))} and is {_said(now.get(key))}"
        for key, name in SETTINGS.items()
        if (before.get(key) or None) != (now.get(key) or None)
    ]
    old, new = before.get("columns") or [], now.get("columns") or []
    if before.get("id") or now.get("id"):
        return found
    found += [f"a row is no longer known by {shown(name)}" for name in old if name not in new]
    found += [f"a row is now also known by {shown(name)}" for name in new if name not in old]
    return found + (["the order of the columns changed"] if not found and old != new else [])


def _said(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(shown(name) for name in value) or "none"
    return "none" if value is None else str(value)


def identity_digest(scheme: Mapping[str, Any]) -> str:
    """Return the digest of what makes two rows or groups one under `scheme`."""
    parts = {key: scheme.get(key) or None for key in ("algorithm", "id", "group", "columns")}
    return digest_of(parts | {"by time": scheme.get("by") == "time"})[:16]


def present(frame: pd.DataFrame, names: tuple[str, ...], key: str) -> None:
    """Refuse rows without a value in the columns that the settings key `key` names."""
    for name in names:
        if name not in frame:
            msg = f"{key} names {shown(name)}, which the contract does not have: add it there, or leave it out"
            raise DataRefused(msg)
        cells: Any = frame[name]
        missing = np.flatnonzero(cells.isna() | (cells == "").fillna(value=False))
        if len(missing):
            records: Any = frame["__record__"] if "__record__" in frame else frame.index + 1
            failure = Failure(
                rule=f"{name}.present", column=name, count=len(missing), total=len(frame),
                message=f"every row needs its {key}, these have none in {shown(name)}",
                examples=tuple(Example(row=int(records[i]), value="<missing>") for i in missing[:5]),
                advice=f"fill the column, or leave it out of {key}",
            )  # fmt: skip
            raise DataRefused(describe([failure]), [failure])
