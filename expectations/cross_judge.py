"""A rule over several columns, judged through Great Expectations.

- The rows that meet what stands before `then` are picked here; each condition after it becomes one
  expectation on those of them whose cells are there. A row breaks the rule if it fails any.
- Ordered categories are judged by their places in the order, `a != b` by where `a = b` holds.
"""

from __future__ import annotations

import operator
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from expectations.findings import COMPLETE, Engine, Findings, Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

Plan = tuple[str, dict[str, Any]]
COMPARED = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    "!=": operator.ne,
}


def judge_check(
    rule: Mapping[str, Any], frame: pd.DataFrame, engine: Engine, found: Findings
) -> np.ndarray | None:
    """Judge one check; return the places of the rows that break it, None where none does."""
    chosen = np.full(len(frame), fill_value=True)
    for condition in rule["when"]:
        chosen &= _meets(frame, condition)
    broken: set[int] = set()
    judged, errors = 0, ""
    for condition in rule["then"]:
        outcome, places = _judged(frame, np.flatnonzero(chosen), condition, engine)
        broken.update(places)
        judged = max(judged, outcome.judged or 0)
        errors = errors or outcome.error
    rows = np.array(sorted(broken), dtype=np.int64)
    cells = [_cells(rule, frame, row) for row in rows[:20]]
    said = Outcome(
        success=not len(rows) and not errors,
        error=errors,
        judged=judged,
        unexpected=len(rows),
        places=rows.tolist(),
        cells=cells,
    )
    found.keep(rule["id"], rule["severity"], said, judged)
    if errors:
        found.errored(rule["id"], None, rule["severity"], said)
        return None
    return rows if len(rows) else None


def _cells(rule: Mapping[str, Any], frame: pd.DataFrame, row: int) -> str:
    return ", ".join(f"{name} = {frame[name].iloc[row]}" for name in rule["columns"])


def _sides(frame: pd.DataFrame, condition: Mapping[str, Any]) -> tuple[pd.Series, Any]:
    """Return the cells of a condition and what they are compared with, a column or a value."""
    left, right = pd.Series(frame[condition["column"]]), condition.get("value")
    if "other" in condition:
        right = pd.Series(frame[condition["other"]])
    if ranks := condition.get("ranks"):
        places = pd.Series({level: float(place) for place, level in enumerate(ranks)})
        left = left.map(places)
        right = right.map(places) if isinstance(right, pd.Series) else places[right]
    elif isinstance(right, list):
        right = [_typed(value, left) for value in right]
    elif not isinstance(right, pd.Series):
        right = _typed(right, left)
    return left, right


def _typed(value: Any, cells: pd.Series) -> Any:
    """Return a value of a check as a cell of its column: dates stand as text, truth as a number."""
    if cells.dtype.kind == "M" and isinstance(value, str):
        return datetime.fromisoformat(value)
    return float(value) if isinstance(value, bool) else value


def _known(left: pd.Series, right: Any) -> np.ndarray:
    known = left.notna().to_numpy()
    return known & right.notna().to_numpy() if isinstance(right, pd.Series) else known


def _meets(frame: pd.DataFrame, condition: Mapping[str, Any]) -> np.ndarray:
    """Return which rows meet a condition; a missing cell meets none but `missing`."""
    op = condition["op"]
    left, right = _sides(frame, condition)
    if op in ("present", "missing"):
        return (left.notna() if op == "present" else left.isna()).to_numpy()
    known = _known(left, right)
    met = left.isin(right) if op == "in" else COMPARED[op](left, right)
    return known & np.asarray(met.fillna(value=False), dtype=bool)


def _judged(
    frame: pd.DataFrame, rows: np.ndarray, condition: Mapping[str, Any], engine: Engine
) -> tuple[Outcome, list[int]]:
    """Judge one condition on the chosen rows; return the outcome, and the rows that fail it."""
    left, right = _sides(frame, condition)
    if condition["op"] not in ("present", "missing"):
        rows = rows[_known(left, right)[rows]]
    if not len(rows):
        return Outcome(success=True, judged=0), []
    part = pd.DataFrame({"c0": left.to_numpy()[rows]}, dtype=None if left.dtype != "str" else "str")
    if isinstance(right, pd.Series):
        part["c1"] = pd.Series(right.to_numpy()[rows], dtype=right.dtype)
    outcome = engine.run(part, [_plan(condition["op"], right)], COMPLETE)[0]
    if outcome.error:
        return outcome, []
    places = np.array(outcome.places, dtype=np.int64)
    if condition["op"] == "!=" and isinstance(right, pd.Series):  # it was asked for the contrary
        places = np.setdiff1d(np.arange(len(rows)), places)
    return Outcome(success=not len(places), judged=len(rows)), rows[places].tolist()


def _plan(op: str, right: Any) -> Plan:
    """Return the expectation that judges a condition on columns c0 and c1."""
    one: dict[str, Any] = {"column": "c0"}
    if op in ("present", "missing"):
        return f"expect_column_values_to_{'not_' if op == 'present' else ''}be_null", one
    if isinstance(right, pd.Series):
        if op in ("=", "!="):
            pair = {"column_A": "c0", "column_B": "c1"}
            return "expect_column_pair_values_to_be_equal", pair
        first, second = ("c0", "c1") if op in (">", ">=") else ("c1", "c0")
        pair = {"column_A": first, "column_B": second, "or_equal": op in ("<=", ">=")}
        return "expect_column_pair_values_a_to_be_greater_than_b", pair
    if op in ("=", "in", "!="):
        listed = right if isinstance(right, list) else [right]
        kind = "not_be_in_set" if op == "!=" else "be_in_set"
        return f"expect_column_values_to_{kind}", one | {"value_set": listed}
    low = op in (">", ">=")
    bound = {"min_value" if low else "max_value": right}
    bound |= {"strict_min" if low else "strict_max": op in ("<", ">")}
    return "expect_column_values_to_be_between", one | bound
