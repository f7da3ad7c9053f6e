"""Whether anything can be learned from what passed: enough rows, a target that varies, features.

- Judged before any split or fit, on the rows that were not set aside and are not given test rows.
- Classes too small for every side are not judged here: `split.rare` says what happens to them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flows.derive import feature_kinds

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import pandas as pd

    from expectations.contract import Contract
    from expectations.failure import Failure, Severity
    from expectations.witnesses import Frame, Look
    from flows.spec import Spec

LEAST_ROWS = 20
ROWS_PER_FOLD = 2
AUTO_FOLDS = 5  # what split.folds = "auto" means for a small table
CLASSES_LISTED = 200
UNUSED_LISTED = 5


@dataclass(frozen=True, kw_only=True)
class Target:
    """What there is to predict."""

    task: str
    classes: dict[str, int] | None
    """Rows per label, most common first (at most 200); None for a regression."""


@dataclass(frozen=True, kw_only=True)
class Soundness:
    """What was found."""

    failures: list[Failure]
    dropped: dict[str, str]
    """Features without a single cell, with the reason."""
    features: int
    target: Target


def sound(
    spec: Spec,
    contract: Contract,
    schema: Mapping[str, Any],
    typed: Frame,
    kept: np.ndarray,
    looks: Mapping[str, Look],
) -> Soundness:
    """Judge the rows of `typed` that are `kept` (bool, one per row); `looks` are of all rows."""
    import numpy as np

    left = kept
    if "__given__" in typed:
        left = kept & ~typed["__given__"].to_numpy(dtype=bool)
    rows, usable = int(np.count_nonzero(left)), int(np.count_nonzero(kept))
    names = list(feature_kinds(schema))
    known = _Known(typed, kept, looks)
    dropped = {n: "every cell is missing" for n in names if not known.is_left(n)}
    labels = typed[schema["target"]].loc[left].dropna()
    failures = _rows(spec, contract, rows)
    failures += _features(contract, names, dropped, usable)
    if schema["target_column"]["kind"] == "number":
        target = Target(task="regression", classes=None)
        failures += _constant_target(schema["target"], labels)
    else:
        counts = labels.value_counts()
        task = schema.get("task") or ("binary" if len(counts) == 2 else "multiclass")
        classes = {str(k): int(v) for k, v in counts.iloc[:CLASSES_LISTED].items()}
        target = Target(task=task, classes=classes)
        failures += _classes(contract, schema, labels, counts, task)
    failures += _constants(known, [n for n in names if n not in dropped])
    features = len(names) - len(dropped)
    failures += _wide(features, rows)
    return Soundness(failures=failures, dropped=dropped, features=features, target=target)


GAPS = 10  # missing cells from which even a single value tells rows apart: it is there, or is not


class _Known:
    """What is known of the columns without some rows; reads one again only where looks cannot tell."""

    def __init__(self, typed: Frame, kept: np.ndarray, looks: Mapping[str, Look]) -> None:
        self.typed, self.kept, self.looks = typed, kept, looks
        self.gone = int((~kept).sum())

    def cells(self, name: str) -> pd.Series:
        """Return the cells that are left."""
        return self.typed[name].loc[self.kept].dropna()

    def is_left(self, name: str) -> bool:
        """Whether a cell is left."""
        look = self.looks.get(name)
        said = look.is_left(self.gone) if look else None
        return bool(len(self.cells(name))) if said is None else said

    def constant(self, name: str) -> pd.Series | None:
        """Return the cells that are left, where there are several and all are the same."""
        look = self.looks.get(name)
        if look and look.varies(self.gone):
            return None
        cells = self.cells(name)
        return cells if len(cells) > 1 and (cells == cells.iloc[0]).all() else None


def _failure(
    rule: str,
    column: str | None,
    message: str,
    advice: str,
    *,
    count: int = 1,
    total: int = 1,
    severity: Severity = "critical",
) -> Failure:
    from expectations.failure import Failure

    return Failure(
        rule=rule,
        column=column,
        count=count,
        total=total,
        message=message,
        severity=severity,
        advice=advice,
    )


def _rows(spec: Spec, contract: Contract, rows: int) -> list[Failure]:
    folds = AUTO_FOLDS if spec.split.folds == "auto" else spec.split.folds
    for_folds = math.ceil(ROWS_PER_FOLD * folds / (1 - spec.split.test))
    least = max(LEAST_ROWS, contract.min_rows, for_folds)
    if rows >= least:
        return []
    why = f"a test side and {folds} folds" if folds else "a test and a validation side"
    message = f"need at least {least:,} rows for {why}, have {rows:,}"
    return [_failure("table.rows", None, message, "gather more rows, or ask for fewer folds")]


def _features(
    contract: Contract, names: list[str], dropped: Mapping[str, str], rows: int
) -> list[Failure]:
    failures = [
        _failure(
            f"{name}.empty",
            name,
            "must have cells, every one is missing: the column is left out of the features",
            "give the column values, or drop it in the settings (data.drop)",
            count=rows,
            total=rows,
            severity="warning",
        )
        for name in dropped
    ]
    if len(dropped) < len(names):
        return failures
    left = "every feature is empty" if names else _unused(contract)
    advice = (
        'give the table a number, date or category to learn from, or give a column role = "feature" '
        'and kind = "category" in the contract; free text is not learned from'
    )
    said = f"need at least one feature to learn from, but {left}"
    return [*failures, _failure("table.features", None, said, advice)]


def _unused(contract: Contract) -> str:
    """Say what the columns are instead of features."""
    from expectations.failure import shown

    said = [
        f"{shown(name)} ({column.note or column.role})"
        for name, column in contract.columns.items()
        if column.role not in ("target", "feature")
    ]
    more = f", and {len(said) - UNUSED_LISTED:,} more" if len(said) > UNUSED_LISTED else ""
    return (
        f"no column is one: {', '.join(said[:UNUSED_LISTED]) or 'there is only the target'}{more}"
    )


def _wide(features: int, rows: int) -> list[Failure]:
    if features <= rows:
        return []
    message = f"a table should have more rows than features, it has {rows:,} rows and {features:,} features"
    advice = (
        "whatever is learned may hold by chance: leave columns out (data.drop), or gather more rows"
    )
    return [_failure("table.wide", None, message, advice, severity="warning")]


def _constant_target(name: str, values: pd.Series) -> list[Failure]:
    from expectations.failure import shown, written

    if not len(values) or (values != values.iloc[0]).any():
        return []
    message = (
        f"the target must vary, all {len(values):,} rows hold {shown(written(values.iloc[0]))}"
    )
    return [_failure(f"{name}.constant", name, message, "look at data.target and the source")]


def _classes(
    contract: Contract,
    schema: Mapping[str, Any],
    labels: pd.Series,
    counts: pd.Series,
    task: str,
) -> list[Failure]:
    from expectations.failure import shown

    name = schema["target"]
    listed = ", ".join(f"{shown(str(k), 30)} ({v:,})" for k, v in counts.iloc[:10].items())
    failures = []
    if len(counts) == 1:
        message = (
            f"the target must have at least two classes, all {len(labels):,} rows are {listed}"
        )
        failures.append(_failure(f"{name}.classes", name, message, "look at data.target"))
    elif task == "binary" and len(counts) > 2:
        message = f'task = "binary" needs two classes, found {len(counts)}: {listed}'
        advice = 'set task = "multiclass", or merge labels with data.columns.NAME.replace'
        failures.append(_failure(f"{name}.classes", name, message, advice))
    known = contract.columns[name].levels or ()
    absent = [level for level in known if level not in set(counts.index.astype(str))]
    if absent and len(counts):
        said = ", ".join(shown(level, 30) for level in absent[:10])
        message = f"every class of the contract should occur, {said} does not"
        advice = "look at the source, or take the label out of levels in the contract"
        missing, total = len(absent), len(known)
        failures.append(
            _failure(
                f"{name}.absent",
                name,
                message,
                advice,
                count=missing,
                total=total,
                severity="warning",
            )
        )
    return failures


def _constants(known: _Known, names: list[str]) -> list[Failure]:
    from expectations.failure import shown, written

    failures = []
    for name in names:
        cells = known.constant(name)
        gaps = 0 if cells is None else int(known.kept.sum()) - len(cells)
        if cells is not None and gaps < GAPS:
            message = f"a feature should vary, all {len(cells):,} cells hold {shown(written(cells.iloc[0]))}"
            advice = 'it teaches nothing: role = "ignored" in the contract leaves it out'
            failures.append(_failure(f"{name}.constant", name, message, advice, severity="warning"))
    return failures
