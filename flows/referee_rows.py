"""The lines of `referee.parquet`: every test row that the new model answered and whose truth is known.

- `row` in table.parquet, `unit` (group, else identity) in hexadecimal, `weight`, `time` where the
  split was by time, `target`, what each model said, `slice.0` and on, `level.<column>`.
- `referee` marks those that the comparison rests on: known to none of the models.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from flows.bundle import columns_of
from flows.json_files import read_json
from flows.sides import crossfitted, judged
from flows.tables import read_parquet

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

    from flows.spec import Spec


@dataclass(frozen=True, kw_only=True)
class Lines:
    """The judged test rows (n), and what they were cut from."""

    frame: pd.DataFrame
    """The columns of `referee.parquet` so far; `referee` is true everywhere."""
    ledger: pd.DataFrame
    """This run's, a line per row that passed the contract."""
    serving: Mapping[str, Any]
    """The serving schema of the new model."""
    facts: Mapping[str, Any]
    """What `referee.json` says of reading them: task, classes, costs, metric, slices."""

    @property
    def row(self) -> NDArray[np.int64]:
        """Positions in table.parquet."""
        return self.frame["row"].to_numpy(np.int64)


def lines_of(spec: Spec, made: Mapping[str, Path]) -> Lines:
    """Return the judged test rows, with what the new model said of them when it was assessed."""
    import pandas as pd

    serving = read_json(made["export"] / "model" / "schema.json")
    schema = read_json(made["validate"] / "schema.json")
    evidence = read_json(made["assess"] / "evidence.json")
    ledger, clean = made["split"] / "ledger.parquet", made["validate"] / "clean.parquet"
    known = judged(spec, schema, serving, ledger, clean)
    test = crossfitted(known, made["assess"] / "test.parquet")
    book, at = read_parquet(ledger), known.at(test.row)
    said = test.found.value if test.found.task == "regression" else test.found.p
    columns: dict[str, Any] = {
        "row": test.row,
        "unit": book["group" if "group" in book else "identity"].to_numpy(object)[at],
        "weight": test.weight,
        "target": test.found.target,
        "referee": np.ones(len(test.row), bool),
        **columns_of("challenger", np.asarray(said), test.found.label),
    }
    if spec.split.by == "time" and "time" in book:
        columns["time"] = _ordered(book["time"].to_numpy(np.float64)[at])
    columns |= _kinds(spec, made, schema, evidence, test.row)
    costs = None if known.costs is None else known.costs.tolist()
    facts = {"task": known.task, "classes": known.classes, "costs": costs}
    slices = (evidence.get("slices") or {}).get("definitions", [])
    facts |= {"metric": evidence["metric"], "slices": slices}
    frame = pd.DataFrame(columns).astype({"unit": "str"})
    return Lines(frame=frame, ledger=book, serving=serving, facts=facts)


def _ordered(moments: NDArray[np.float64]) -> NDArray[np.int64]:
    """Times as whole numbers; places in their order where they are no whole numbers."""
    if (moments == np.floor(moments)).all():
        return moments.astype(np.int64)
    return np.unique(moments, return_inverse=True)[1].astype(np.int64)


def _kinds(
    spec: Spec,
    made: Mapping[str, Path],
    schema: Mapping[str, Any],
    evidence: Mapping[str, Any],
    rows: NDArray[np.int64],
) -> dict[str, Any]:
    """Which slices each row belongs to, and its level of each fairness column."""
    definitions = (evidence.get("slices") or {}).get("definitions", [])
    if not definitions and not spec.gate.fairness:
        return {}
    from expectations.slices import members
    from flows.slice_columns import fairness_levels, slice_frame

    clean, table = made["validate"] / "clean.parquet", made["load"] / "table.parquet"
    frame = slice_frame(spec, schema, clean, table, rows)
    found = members(definitions, frame)
    parts: dict[str, Any] = {
        f"slice.{k}": np.asarray(found[definition["name"]], bool)
        for k, definition in enumerate(definitions)
    }
    levels = fairness_levels(spec, evidence, frame)
    return parts | {f"level.{name}": texts for name, texts in levels.items()}


def known_units(spec: Spec, lines: Lines, known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which lines another model knows: their row, or, where groups stay together, their group.

    `known` tells it of every row of table.parquet.
    """
    found = known[lines.row]
    if not spec.data.group or spec.split.by == "time":
        return found
    units, rows = lines.ledger["group"].to_numpy(object), lines.ledger["row"].to_numpy(np.int64)
    return found | np.isin(
        lines.frame["unit"].to_numpy(object).astype(str), units[known[rows]].astype(str)
    )
