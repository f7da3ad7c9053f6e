"""Which rows break which rules, gathered from reader and contract, and as failures for people.

- Untypable cells come from the reader, other offences from the contract's row rules.
- A cell that could not be typed breaks `<column>.type` only, not also `<column>.present`.
- What is written of them is `quarantine_rows.py`'s business, how many there may be
  `quarantine_limits.py`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import pandas as pd

    from expectations.contract import Contract
    from expectations.failure import Failure, Severity
    from expectations.witnesses import Frame

ROLES = ("feature", "target", "id", "group", "time", "weight")
EMPTY_ROW = "row.empty"
RECORDS = ("record.long", "record.short")
"""Of text files: more or fewer fields than the header."""


@dataclass(frozen=True, kw_only=True)
class Offence:
    """One row rule and the rows that break it."""

    rule: str
    columns: tuple[str, ...]
    """The columns that it looks at; empty for a rule of the whole row."""
    severity: Severity
    rows: np.ndarray
    """Positions in the typed table, int64, ascending."""
    values: Sequence[object]
    """The first few offending cells, one per row."""
    message: str
    advice: str

    @property
    def column(self) -> str | None:
        """The column that it is about, or the first of them."""
        return self.columns[0] if self.columns else None


def offences(
    contract: Contract,
    schema: Mapping[str, Any],
    typed: Frame,
    untypable: pd.DataFrame,
    broken: Mapping[str, np.ndarray],
    *,
    alone: bool = False,
) -> list[Offence]:
    """Gather every row offence of a typed table.

    Args:
        contract: for its rules and their severities.
        schema: the reading schema, for kinds and feature names.
        typed: one row per record.
        untypable: row, column, value, rule (and reason) of cells that the reader refused.
        broken: row positions by rule id, as `expectations.check.check` returns them.
        alone: the rows are judged away from their table, so that a feature without a cell in them
            says nothing of the column.

    """
    import numpy as np

    found = _untyped(contract, schema, untypable)
    known = {offence.rule for offence in found}
    refused = {name: rows["row"].to_numpy() for name, rows in untypable.groupby("column")}
    for rule in contract.row_rules(*ROLES):
        rows = np.asarray(broken.get(rule["id"], ()), dtype=np.int64)
        for column in columns_of(rule):
            rows = np.setdiff1d(rows, refused.get(column, ()))
        if rows.size and rule["id"] not in known:
            found.append(_broken(rule, typed, rows))
    features = [entry["name"] for entry in schema["columns"]]
    unreadable = np.unique(untypable["row"].to_numpy(dtype=np.int64))
    return found + _empty_rows(typed, features, unreadable, alone=alone)


def columns_of(rule: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the columns that a row rule looks at."""
    return tuple(rule.get("columns") or (rule["column"],))


def rules_known(contract: Contract) -> dict[str, str | None]:
    """Return every rule that could set a row aside, with its column."""
    found: dict[str, str | None] = dict.fromkeys((EMPTY_ROW, *RECORDS))
    found |= {f"{contract.target}.present": contract.target}
    for name, column in contract.columns.items():
        if column.role in ROLES and column.kind != "ignored":
            found[f"{name}.type"] = name
        if column.role == "weight":
            found[f"{name}.range"] = name
    return found | {rule["id"]: rule["column"] for rule in contract.row_rules(*ROLES)}


def _untyped(
    contract: Contract, schema: Mapping[str, Any], untypable: pd.DataFrame
) -> list[Offence]:
    from expectations.advice import LOOKED_AT, advise
    from expectations.failure import EXAMPLES_KEPT

    entries = [*schema["columns"], schema["target_column"], *schema.get("role_columns", [])]
    entries += schema.get("target_sources", ())
    kinds = {entry["name"]: entry["kind"] for entry in entries}
    found = []
    for keys, cells in untypable.groupby(["column", "rule"], sort=False):
        column, rule = (str(key) for key in tuple(keys))  # pyright: ignore[reportArgumentType]
        kind = kinds.get(column, "text")
        texts = [str(value) for value in cells["value"].iloc[:LOOKED_AT]]
        typing = rule == f"{column}.type"
        reasons = list(dict.fromkeys(cells["reason"])) if "reason" in cells else []
        said = f"every cell must be a {kind}; a cell {' or '.join(reasons)}" if typing else ""
        advice = advise(kind, texts) if typing else _missing(contract, column)
        absent = rule.endswith(".present")
        found.append(
            Offence(
                rule=rule,
                columns=(column,),
                severity="critical",
                rows=cells["row"].to_numpy(),
                values=[None if absent else text for text in texts[:EXAMPLES_KEPT]],
                message=said or "; ".join(reasons) or "every cell must be usable",
                advice=advice,
            )
        )
    return found


def _missing(contract: Contract, column: str) -> str:
    if column == contract.target:
        return "leave out rows without a target at the source, or raise data.max_fraction"
    return "fill the cells at the source, or leave the rows out"


def _broken(rule: Mapping[str, Any], typed: Frame, rows: np.ndarray) -> Offence:
    from expectations.failure import EXAMPLES_KEPT, shown
    from expectations.rule_words import must_hold, what_to_do

    columns = columns_of(rule)
    cells = typed[list(columns)].iloc[rows[:EXAMPLES_KEPT]]
    values = cells.iloc[:, 0].tolist()
    if len(columns) > 1:
        values = [
            ", ".join(
                f"{shown(name)} = {shown(cell)}" for name, cell in zip(columns, row, strict=True)
            )
            for row in cells.itertuples(index=False, name=None)
        ]
    return Offence(
        rule=rule["id"],
        columns=columns,
        severity=rule["severity"],
        rows=rows,
        values=values,
        message=must_hold(rule),
        advice=what_to_do(rule),
    )


def _empty_rows(
    typed: Frame, features: list[str], unreadable: np.ndarray, *, alone: bool
) -> list[Offence]:
    import numpy as np

    empty = np.full(len(typed), fill_value=bool(features))
    for name in features:
        if not empty.any():
            return []
        empty &= typed[name].isna().to_numpy()
    if empty.all() and not alone:
        return []  # that no feature has a cell is said of the table
    rows = np.setdiff1d(np.flatnonzero(empty), unreadable)
    if not rows.size:
        return []
    offence = Offence(
        rule=EMPTY_ROW,
        columns=(),
        severity="critical",
        rows=rows,
        values=[None] * min(rows.size, 5),
        message=f"a row must have a cell in at least one of the {len(features):,} features",
        advice="leave empty records out at the source",
    )
    return [offence]


def failures_of(typed: Frame, found: Sequence[Offence]) -> list[Failure]:
    """Return the offences as bounded failures with record numbers."""
    from expectations.failure import EXAMPLES_KEPT, Failure, located

    places = typed[[name for name in ("__source__", "__record__") if name in typed]]
    return [
        Failure(
            rule=offence.rule,
            column=offence.column,
            count=len(offence.rows),
            total=len(typed),
            message=offence.message,
            severity=offence.severity,
            examples=located(places, offence.rows[:EXAMPLES_KEPT].tolist(), offence.values),
            advice=offence.advice,
        )
        for offence in found
    ]
