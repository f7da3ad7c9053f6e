"""Which rows break which rules, as failures for people and as the table of rows set aside.

- Untypable cells come from the reader, other offences from the contract's row rules.
- A cell that could not be typed breaks `<column>.type` only, not also `<column>.present`.
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

ROLES = ("feature", "target", "id", "group", "time", "weight")
EMPTY_ROW = "row.empty"


@dataclass(frozen=True, kw_only=True)
class Offence:
    """One row rule and the rows that break it."""

    rule: str
    column: str | None
    severity: Severity
    rows: np.ndarray
    """Positions in the typed table, int64, ascending."""
    values: Sequence[object]
    """The offending cells, one per row."""
    message: str
    advice: str


def offences(
    contract: Contract,
    schema: Mapping[str, Any],
    typed: pd.DataFrame,
    untypable: pd.DataFrame,
    broken: Mapping[str, np.ndarray],
) -> list[Offence]:
    """Gather every row offence of a typed table.

    Args:
        contract: for the words and severities of its rules.
        schema: the reading schema, for kinds and feature names.
        typed: one row per record.
        untypable: row, column, value, rule (and reason) of cells that the reader refused.
        broken: row positions by rule id, as `expectations.check.check` returns them.

    """
    import numpy as np

    found = _untyped(contract, schema, untypable)
    known = {offence.rule for offence in found}
    refused = {name: rows["row"].to_numpy() for name, rows in untypable.groupby("column")}
    for rule in contract.row_rules(*ROLES):
        rows = np.setdiff1d(broken.get(rule["id"], ()), refused.get(rule["column"], ()))
        if rows.size and rule["id"] not in known:
            found.append(_broken(rule, typed, rows.astype(np.int64)))
    features = [entry["name"] for entry in schema["columns"]]
    unreadable = np.unique(untypable["row"].to_numpy(dtype=np.int64))
    return found + _empty_rows(typed, features, unreadable)


def _untyped(
    contract: Contract, schema: Mapping[str, Any], untypable: pd.DataFrame
) -> list[Offence]:
    from expectations.advice import advise

    entries = [*schema["columns"], schema["target_column"], *schema.get("role_columns", [])]
    kinds = {entry["name"]: entry["kind"] for entry in entries}
    found = []
    for keys, cells in untypable.groupby(["column", "rule"], sort=False):
        column, rule = (str(key) for key in tuple(keys))  # pyright: ignore[reportArgumentType]
        kind = kinds.get(column, "text")
        texts = [str(value) for value in cells["value"]]
        typing = rule == f"{column}.type"
        reasons = list(dict.fromkeys(cells["reason"])) if "reason" in cells else []
        said = f"every cell must be a {kind}; a cell {' or '.join(reasons)}" if typing else ""
        advice = advise(kind, texts) if typing else _advice(contract, column, "present")
        found.append(
            Offence(
                rule=rule,
                column=column,
                severity="critical",
                rows=cells["row"].to_numpy(),
                values=[None if rule.endswith(".present") else text for text in texts],
                message=said or "; ".join(reasons) or "every cell must be usable",
                advice=advice,
            )
        )
    return found


def _broken(rule: Mapping[str, Any], typed: pd.DataFrame, rows: np.ndarray) -> Offence:
    column = rule["column"]
    return Offence(
        rule=rule["id"],
        column=column,
        severity=rule["severity"],
        rows=rows,
        values=typed[column].iloc[rows].tolist(),
        message=_message(rule),
        advice=_advice(None, column, rule["type"]),
    )


def _message(rule: Mapping[str, Any]) -> str:
    from expectations.failure import shown

    if rule["type"] == "present":
        return "every row must have a cell"
    if rule["type"] == "length":
        return f"a text may have at most {rule['max']:,} characters"
    if rule["type"] == "levels":
        levels = [shown(level, 30) for level in rule["levels"][:10]]
        more = f" and {len(rule['levels']) - 10:,} more" if len(rule["levels"]) > 10 else ""
        return f"must be one of {', '.join(levels)}{more}"
    low = (
        ""
        if rule["min"] is None
        else f"{'above' if rule['strict_min'] else 'at least'} {rule['min']}"
    )
    high = (
        ""
        if rule["max"] is None
        else f"{'below' if rule['strict_max'] else 'at most'} {rule['max']}"
    )
    return f"must be {' and '.join(part for part in (low, high) if part)}"


def _advice(contract: Contract | None, column: str, rule: str) -> str:
    from expectations.failure import shown

    if rule == "present":
        if contract is not None and column == contract.target:
            return "leave out rows without a target at the source, or raise data.max_fraction"
        return "fill the cells at the source, or leave the rows out"
    what = {"range": "min and max", "levels": "levels", "length": "max_length"}[rule]
    return f"correct the cells, or change {what} of [columns.{shown(column)}] in the contract"


def _empty_rows(typed: pd.DataFrame, features: list[str], unreadable: np.ndarray) -> list[Offence]:
    import numpy as np

    used = [name for name in features if typed[name].notna().to_numpy().any()]
    if not used:
        return []
    rows = np.flatnonzero(typed[used].isna().to_numpy().all(axis=1))
    rows = np.setdiff1d(rows, unreadable)
    if not rows.size:
        return []
    offence = Offence(
        rule=EMPTY_ROW,
        column=None,
        severity="critical",
        rows=rows,
        values=[None] * rows.size,
        message=f"a row must have a cell in at least one of the {len(used)} features",
        advice="leave empty records out at the source",
    )
    return [offence]


def failures_of(typed: pd.DataFrame, found: Sequence[Offence]) -> list[Failure]:
    """Return the offences as bounded failures with record numbers."""
    from expectations.failure import Failure, located

    return [
        Failure(
            rule=offence.rule,
            column=offence.column,
            count=len(offence.rows),
            total=len(typed),
            message=offence.message,
            severity=offence.severity,
            examples=located(typed, offence.rows.tolist(), offence.values),
            advice=offence.advice,
        )
        for offence in found
    ]


def quarantined(typed: pd.DataFrame, found: Sequence[Offence], bad: np.ndarray) -> pd.DataFrame:
    """Return one row per row set aside: row, source, record, rules, column, value.

    `row` is the position in the raw table; where a row breaks several rules, rules, columns and
    values are joined by "; " in the same order.
    """
    import numpy as np
    import pandas as pd

    from expectations.failure import shown

    rows = np.flatnonzero(bad)
    texts: dict[str, dict[int, list[str]]] = {"rules": {}, "column": {}, "value": {}}
    for offence in found:
        if offence.severity == "critical":
            for row, value in zip(offence.rows.tolist(), offence.values, strict=True):
                texts["rules"].setdefault(row, []).append(offence.rule)
                texts["column"].setdefault(row, []).append(offence.column or "")
                texts["value"].setdefault(row, []).append(shown(value))
    head = {
        "row": typed["__row__"].to_numpy()[rows] if "__row__" in typed else rows,
        "source": typed["__source__"].to_numpy()[rows] if "__source__" in typed else "",
        "record": typed["__record__"].to_numpy()[rows] if "__record__" in typed else rows + 1,
    }
    tail = {
        name: ["; ".join(by_row[row]) for row in rows.tolist()] for name, by_row in texts.items()
    }
    frame = pd.DataFrame({**head, **tail})
    return frame.astype({"source": "str", **dict.fromkeys(tail, "str")})
