"""What a split leaves behind: one line per row, the counts per side, and what was noticed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from expectations.failure import shown
from flows.identity import hexadecimal, text_hashes
from flows.timeline import known_ticks

if TYPE_CHECKING:
    import pandas as pd

    from flows.split import Plan


def counts_of(plan: Plan) -> dict[str, Any]:
    """Rows per side and, for a classification, per side and class."""
    held = plan.strata
    found: dict[str, Any] = {}
    for side in dict.fromkeys(["train", "validation", "test", *np.unique(plan.side.astype(str))]):
        rows = plan.side == side
        if not rows.any():
            continue
        found[side] = {"rows": int(rows.sum())}
        if held.labels is not None:
            per_class = np.bincount(held.codes[rows], minlength=held.size)
            found[side]["classes"] = dict(zip(held.labels, map(int, per_class), strict=True))
    return found


def ledger_of(plan: Plan) -> pd.DataFrame:
    """Return row, identity, side, fold and, where they are declared, group and time of each row."""
    import pandas as pd

    rows = plan.frame["__row__"] if "__row__" in plan.frame else np.arange(len(plan.frame))
    columns = {
        "row": np.asarray(rows, np.int64),
        "identity": hexadecimal(plan.identity),
        "side": plan.side.astype(str),
        "fold": plan.fold,
    }
    if plan.spec.data.group:
        groups: Any = plan.frame[plan.spec.data.group]
        columns["group"] = hexadecimal(text_hashes(groups))
    if plan.spec.data.time:
        columns["time"], _ = known_ticks(plan.frame[plan.spec.data.time])
    return pd.DataFrame(columns)


def _time_of(plan: Plan) -> dict[str, Any] | None:
    """Say what the ledger's times are: microseconds since 1970 (UTC), or the column's numbers."""
    name = plan.spec.data.time
    return None if not name else {"column": name, "dates": known_ticks(plan.frame[name])[1]}


def facts_of(plan: Plan) -> dict[str, Any]:
    """Return what `split.json` holds."""
    folds = [int((plan.fold == f).sum()) for f in range(plan.folds)]
    distinct = len(np.unique(plan.identity))
    plan.scheme |= {"folds": plan.folds, "train_only": list(plan.strata.train_only)}
    plan.scheme["merged"] = dict(plan.strata.merged)
    return {
        "scheme": plan.scheme,
        "frozen": plan.frozen,
        "time": _time_of(plan),
        "rows": len(plan.frame),
        "identities": distinct,
        "counts": counts_of(plan),
        "folds": folds,
        "merged": plan.scheme["merged"],
        "train_only": plan.scheme["train_only"],
        "reasons": plan.reasons,
        "warnings": plan.warnings + _identity_warnings(plan, distinct),
    }


def _identity_warnings(plan: Plan, distinct: int) -> list[str]:
    again = len(plan.frame) - distinct
    if plan.spec.data.id:
        names = ", ".join(map(shown, plan.spec.data.id))
        return (
            [f"the id ({names}) is not unique: {again:,} rows repeat one; they stay together"]
            if again
            else []
        )
    found = ["no id is declared: a row is known by its features, so a corrected row is a new row"]
    if again:
        found.append(f"{again:,} rows equal an earlier one in all features; equals stay together")
    return found
