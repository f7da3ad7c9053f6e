"""The columns that slices, rates and directions are about: known before training, read for judging.

- Features, parts of dates, the group; and columns that the settings or the contract leave out:
  whether the model treats the levels of such a column alike is a fair question.
- A name that the table does not have is refused before anything is trained, with the nearest one.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

import numpy as np

from flows.derive import feature_kinds
from flows.errors import SettingsError
from flows.tables import read_parquet

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from flows.spec import Spec

MOVABLE = ("number", "integer", "boolean")
SEARCHED = ("number", "integer", "boolean", "category", "date")
MISSING = "missing"


def known_columns(spec: Spec, schema: Mapping[str, Any], ignored: Iterable[str] = ()) -> None:
    """Refuse columns of `gate.slices`, `fairness` and `directions` that cannot be asked.

    `schema` is the reading schema as `validate` left it, `ignored` what the contract leaves out.

    Raises:
        SettingsError: a column does not exist, or no row can be moved along it.

    """
    from expectations.directions import parse

    readable = [*_features(schema), *_parts(schema), *_others(spec), *ignored]
    readable = [name for name in readable if name not in schema.get("dropped", {})]
    for names in spec.gate.slices:
        for name in names:
            _check(spec, schema, "gate.slices", name, readable)
    for name in spec.gate.fairness:
        _check(spec, schema, "gate.fairness", name, readable)
    movable = [n for n, kind in _features(schema).items() if kind in MOVABLE]
    for text in spec.gate.directions:
        name = parse(text).column
        _check(spec, schema, "gate.directions", name, [*movable, *_parts(schema)])


def known_answers(spec: Spec, schema: Mapping[str, Any], classes: Iterable[str]) -> None:
    """Refuse directions about something that the model does not say; classes as it knows them.

    Raises:
        SettingsError: what must not be lower or higher is neither the target nor a class.

    """
    from expectations.directions import output, parse

    for text in spec.gate.directions:
        try:
            output(parse(text), str(schema["target"]), sorted(map(str, classes)))
        except ValueError as error:
            msg = f"{spec.path}: gate.directions: {error}"
            raise SettingsError(msg) from None


def _features(schema: Mapping[str, Any]) -> dict[str, str]:
    return feature_kinds(schema)


def _parts(schema: Mapping[str, Any]) -> list[str]:
    return [str(entry["name"]) for entry in schema.get("derived", ())]


def _others(spec: Spec) -> list[str]:
    return [*spec.data.drop, *([spec.data.group] if spec.data.group else [])]


def _check(
    spec: Spec, schema: Mapping[str, Any], key: str, name: str, known: Sequence[str]
) -> None:
    if name in known:
        return
    if name in _features(schema):
        kind = _features(schema)[name]
        msg = (
            f"{spec.path}: {key}: {name!r} is a {kind} column; only numbers and flags can be moved"
        )
    elif name in schema.get("dropped", {}):
        msg = f"{spec.path}: {key}: {name!r} cannot be asked: {schema['dropped'][name]}"
    elif name == schema.get("target"):
        msg = f"{spec.path}: {key}: {name!r} is the target; rows are cut by what is known before it"
    else:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f"; the nearest is {near[0]!r}" if near else ""
        listed = ", ".join(known[:20]) + (" and more" if len(known) > 20 else "")
        msg = f"{spec.path}: {key}: must name columns among {listed}, found {name!r}{hint}"
    raise SettingsError(msg)


def wanted(spec: Spec, schema: Mapping[str, Any]) -> list[str]:
    """Every column that the settings' slices and rates need, and those that are searched."""
    named = [*(name for names in spec.gate.slices for name in names), *spec.gate.fairness]
    return [*dict.fromkeys([*named, *(searched(schema) if spec.gate.find_slices else ())])]


def searched(schema: Mapping[str, Any]) -> list[str]:
    """The columns whose levels and bins are searched for the worst slices."""
    return [name for name, kind in _features(schema).items() if kind in SEARCHED]


def slice_frame(
    spec: Spec, schema: Mapping[str, Any], clean: Path, table: Path, rows: np.ndarray
) -> pd.DataFrame:
    """The columns that are `wanted`, typed, of rows of table.parquet (n,), in their order.

    All rows must have passed the contract. What `clean` does not have is a dropped column: it is
    read from the raw table, as numbers where every cell is one, else as levels.
    """
    import pandas as pd
    import pyarrow.parquet as pq

    columns = wanted(spec, schema)
    held = set(pq.read_schema(clean).names)
    frame = read_parquet(clean, ["__row__", *(name for name in columns if name in held)])
    frame = frame.set_index("__row__").loc[rows].reset_index(drop=True)
    absent = [name for name in columns if name not in held]
    if absent:
        raw = read_parquet(table, absent).iloc[rows].reset_index(drop=True)
        read = {name: _read(spec, raw.loc[:, name]) for name in absent}
        frame = pd.concat([frame, pd.DataFrame(read)], axis=1)
    return frame.loc[:, columns]


def fairness_levels(
    spec: Spec, evidence: Mapping[str, Any], frame: pd.DataFrame
) -> dict[str, np.ndarray]:
    """Column of `gate.fairness` -> level of each row as text (n,), cut as evidence.json says."""
    parts = {entry["column"]: entry.get("parts") for entry in evidence.get("fairness") or ()}
    return {
        name: level_texts(frame.loc[:, name], parts[name])
        for name in spec.gate.fairness
        if name in parts
    }


def _read(spec: Spec, cells: pd.Series) -> pd.Series:
    from models.served import read_column

    options = spec.data.columns.get(str(cells.name))
    entry: dict[str, Any] = {"name": str(cells.name), "decimal": spec.data.decimal}
    if options is not None:
        entry |= {"missing": list(options.missing), "replace": dict(options.replace)}
    numbers, bad = read_column(cells, entry | {"kind": "number"}, spec.data.missing)
    if not bad.any():
        return numbers
    return read_column(cells, entry | {"kind": "category"}, spec.data.missing)[0]


def level_texts(cells: pd.Series, parts: Sequence[Mapping[str, Any]] | None) -> np.ndarray:
    """The level of each row as text (n,): its own, or that of the bin among `parts`."""
    from expectations.cuts import inside, level_words, words

    found = np.full(len(cells), "", dtype=object)
    if parts is None:
        codes, levels = _factorized(cells)
        found[codes >= 0] = np.array([level_words(x) for x in levels], dtype=object)[
            codes[codes >= 0]
        ]
        found[codes < 0] = MISSING
        return found
    for part in parts:
        found[inside(part, cells)] = MISSING if part.get("missing") else words(part)
    return found


def _factorized(cells: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    import pandas as pd

    codes, levels = pd.factorize(cells, sort=True)
    return codes, np.asarray(levels, dtype=object)
