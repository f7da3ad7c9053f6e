"""Raw cells to typed columns: the reader that the served model carries, called on the table.

- Row by row and stateless: nothing here is learned, so nothing can leak from one row to another.
- A cell that cannot be typed becomes missing and is listed, with its row, value and rule.
- Dates also give their parts (`signup.year`, `signup.days`, ...), which are what a network takes.
- Class labels and identifiers are text; a weight must be above 0.
"""

from __future__ import annotations

import json
import re
from functools import partial
from typing import TYPE_CHECKING, Any

from flows.derive import feature_kinds
from flows.labels import WHOLE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd

    from expectations.contract import Column, Contract
    from flows.spec import Spec
    from flows.typed_rows import TypedRows

PARTS = ("year", "month", "day", "weekday", "days")
CIRCLES = ("year_sin", "year_cos", "week_sin", "week_cos", "day_sin", "day_cos")
ROLES = ("id", "group", "time", "weight")
HAS_CLOCK = re.compile("%[HIcXs]")


def reading_schema(spec: Spec, contract: Contract) -> dict[str, Any]:
    """Return how rows are read: what `models.served.read` takes and the model carries.

    The contract wins where it says something of a column, then the settings' options of the
    column, then those of the whole table. `task` is None where the settings leave it out and the
    target is no number: `engineer` then tells from the labels.
    """
    from flows.formula_schema import feature_parts, target_parts

    features = [name for name in contract.features if contract.columns[name].kind != "ignored"]
    columns, formulas = feature_parts(spec, contract, features, partial(_entry, spec))
    target = contract.columns[contract.target]
    classification = spec.task in {"binary", "multiclass"} or (
        spec.task is None and target.kind in {"category", "boolean", "text"}
    )
    kind = "category" if classification else "number"
    return {
        "version": 1,
        "name": spec.name,
        "task": spec.task or (None if classification else "regression"),
        "target": contract.target,
        "missing": list(spec.data.missing),
        "contract_digest": contract.digest(),
        "contract_version": contract.number,
        "columns": columns,
        **({"formulas": formulas} if formulas else {}),
        **target_parts(spec, contract, partial(_entry, spec)),
        "target_column": _entry(spec, contract.target, target) | {"kind": kind},
        "role_columns": _role_entries(spec, contract),
        "derived": _derived(contract, features, cyclic=spec.features.dates == "cyclic"),
        "rules": contract.serving_rules(),
    }


def _entry(spec: Spec, name: str, column: Column) -> dict[str, Any]:
    """Return one column of the reading schema, without what is left at its default."""
    from flows.data_spec import ColumnSpec

    options = spec.data.columns.get(name, ColumnSpec())
    entry = {
        "name": name,
        "kind": column.kind,
        "required": column.required,
        "missing": [*dict.fromkeys([*column.missing, *options.missing])],
        "decimal": column.decimal or options.decimal or spec.data.decimal,
        "thousands": column.thousands or options.thousands or spec.data.thousands,
        "unit": options.unit,
        "format": column.format or options.format,
        "zone": column.zone,
        "true": [*(column.true or options.true)],
        "false": [*(column.false or options.false)],
        "replace": {**options.replace, **column.replace},
    }
    if column.kind not in {"number", "integer"} and column.role != "target":
        del entry["decimal"], entry["thousands"], entry["unit"]
    return {key: value for key, value in entry.items() if value not in (None, [], {})}


def _role_entries(spec: Spec, contract: Contract) -> list[dict[str, Any]]:
    """Return how identifiers (as text), time and weight are read; one entry per column."""
    entries = []
    for name, column in contract.columns.items():
        if column.role in ROLES:
            entry = _entry(spec, name, column) | {"role": column.role}
            if column.role in {"id", "group"}:
                entry["kind"] = "text"
            entries.append(entry)
    return entries


def _derived(contract: Contract, features: list[str], *, cyclic: bool) -> list[dict[str, str]]:
    """Return the parts of each date; those of the clock only where the format can hold one."""
    derived = []
    taken = set(contract.columns)
    for name in features:
        column = contract.columns[name]
        if column.kind != "date":
            continue
        clock = column.format is None or HAS_CLOCK.search(column.format)
        circles = [part for part in CIRCLES if clock or not part.startswith("day")]
        for part in (*PARTS, *(["hour"] if clock else []), *(circles if cyclic else [])):
            derived_name = f"{name}.{part}"
            while derived_name in taken:
                derived_name += "_"
            taken.add(derived_name)
            derived.append({"name": derived_name, "column": name, "part": part})
    return derived


def engineer(spec: Spec, schema: Mapping[str, Any], table_path: Path, out: Path) -> dict[str, Any]:
    """Type the raw table; write `typed.parquet`, `untypable.parquet` and `engineer.json`.

    `typed.parquet` has `__row__` (position in the raw table), `__source__`, `__record__`,
    `__given__`, the features, their derived parts, the target and the role columns.
    `untypable.parquet` has row, column, value, rule and reason; a missing target is listed there
    too, and so is a weight that is not above 0. The table is read and written piece by piece.

    Raises:
        DataRefused: the table lacks a column, or has one twice.

    """
    from flows.tables import Writer, write_parquet
    from flows.typed_rows import TypedRows, pieces

    del spec
    typing = TypedRows(schema, table_path)
    rows = (typing.typed(raw) for raw in pieces(table_path))
    first = next(rows)
    with Writer(out / "typed.parquet", first.schema) as typed:
        typed.write(first)
        for piece in rows:
            typed.write(piece)
    faults = typing.listed()
    write_parquet(faults, out / "untypable.parquet")
    facts = _facts(typing, out / "typed.parquet", faults, schema)
    (out / "engineer.json").write_text(
        json.dumps(facts, ensure_ascii=False, indent=1), encoding="utf-8"
    )
    return facts


def _facts(
    typing: TypedRows, typed: Path, faults: pd.DataFrame, schema: Mapping[str, Any]
) -> dict[str, Any]:
    import pandas as pd

    from flows.tables import read_parquet

    target, features = schema["target"], list(feature_kinds(schema))
    labels = pd.Series(read_parquet(typed, [target])[target])
    return {
        "rows": typing.rows,
        "features": len(features),
        "derived": [entry["name"] for entry in schema.get("derived", [])],
        "formulas": _said_formulas(typing.missing, schema),
        "missing": {n: count for n in features if (count := typing.missing[n])},
        "untypable": {
            rule: int(count) for rule, count in faults["rule"].value_counts(sort=True).items()
        },
        **_target_facts(labels, schema, truth=typing.truth),
    }


def _said_formulas(missing: Mapping[str, int], schema: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return each formula with how many rows it gives nothing for."""
    made = [*schema.get("formulas", ()), *schema.get("target_formulas", ())]
    names = [name for name in dict.fromkeys(f["name"] for f in made) if name in missing]
    text = {f["name"]: f["expression"] for f in made}
    return [{"name": n, "expression": text[n], "missing": missing[n]} for n in names]


def _target_facts(labels: pd.Series, schema: Mapping[str, Any], *, truth: bool) -> dict[str, Any]:
    """Return the task and, for a classification, the labels and what they were in the source."""
    if schema["target_column"]["kind"] == "number":
        return {"task": "regression"}
    counts = labels.value_counts()
    names = [str(name) for name in counts.index]
    kind = "integer" if names and all(WHOLE.fullmatch(name) for name in names) else "text"
    if truth:
        kind = "boolean"
    return {
        "task": schema["task"] or ("binary" if len(names) == 2 else "multiclass"),
        "classes": dict(zip(names, map(int, counts), strict=True)),
        "class_kind": kind,
    }
