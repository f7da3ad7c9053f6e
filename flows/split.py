"""Stable split and row ledger: which side each row is on, today and after the table has grown.

- A row's side follows from its identity (flows/identity.py) and a salt, so it does not depend on
  order, on other rows or on the run; duplicates fall together, and so do the rows of a group.
- At the first run the first balanced salt of 256 is chosen, before anything is fitted; it is
  recorded in `split.json` as the scheme. A later run that is given the scheme keeps it.
- With folds the sides are "train" (all rows but the test rows, with folds 0..F-1) and "test";
  without, "train", "validation" and "test". Rows on no side have their reason as the side:
  "embargo" (too close before a boundary in time) or "overlap" (a train row whose identity is in
  the given test file). Fold -1 is no fold: the row is never validated on.
- Classes too small for every side follow `split.rare`: "error"; "train_only" keeps their rows on
  the train side and out of validation; "merge" makes one class "other" of them, which the model
  then predicts (`split.json` has the mapping under "merged", `merged_labels` applies it).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from expectations.failure import Failure, shown
from flows import salts, strata
from flows.errors import DataRefused
from flows.header import RESERVED
from flows.identity import text_hashes
from flows.ledger import counts_of, facts_of, ledger_of
from flows.scheme import present, row_identity, scheme_of
from flows.timeline import by_time

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

    from flows.spec import Spec, SplitSpec

FEW_ROWS = 10_000
AUTO_FOLDS = 5
LEAST_ROWS = 10


@dataclass(kw_only=True)
class Plan:
    """What the split is made from and what it comes to."""

    spec: Spec
    frame: pd.DataFrame
    """The columns of ours and those with a role."""
    identity: NDArray[np.uint64]
    unit: NDArray[np.uint64]
    """What stays together: the group, else the identity."""
    strata: strata.Strata
    folds: int
    scheme: dict[str, Any]
    side: NDArray[np.object_]
    fold: NDArray[np.int64]
    frozen: bool = False
    """Whether an earlier run's scheme is kept."""
    reasons: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def split(
    spec: Spec,
    clean: Path,
    out: Path,
    *,
    schema: Mapping[str, Any] | None = None,
    previous: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write `ledger.parquet` and `split.json`; return the facts.

    Args:
        spec: the settings.
        clean: the rows that passed validation.
        out: an existing folder.
        schema: the reading schema, which says what is a feature and what the task is; left out:
            every column without a role is a feature.
        previous: the `split.json` of the last run, or its "scheme"; kept where it still applies.

    Raises:
        DataRefused: too few rows, an id or group is missing, a class is too small, or the target
            has one value only.

    """
    from flows.tables import write_parquet

    previous = (previous or {}).get("scheme", previous)
    plan = _plan(spec, clean, schema, previous)
    if spec.split.by == "time":
        by_time(plan, previous)
    else:
        _by_hash(plan, previous)
    _check_sides(plan)
    ledger = ledger_of(plan)
    facts = facts_of(plan)
    write_parquet(ledger, out / "ledger.parquet")
    text = json.dumps(facts, ensure_ascii=False, indent=1)
    (out / "split.json").write_text(text, encoding="utf-8")
    return facts


def fold_count(split: SplitSpec, rows: int) -> int:
    """Return how many folds `rows` non-test rows are divided into; 0: one validation side."""
    if split.by == "time":
        return 0
    if split.folds == "auto":
        return AUTO_FOLDS if rows < FEW_ROWS else 0
    return split.folds


def least_rows(split: SplitSpec, rows: int) -> int:
    """Return how many rows the split needs at least."""
    return max(LEAST_ROWS, 2 * fold_count(split, rows) + 2)


def merged_labels(labels: pd.Series, facts: Mapping[str, Any]) -> pd.Series:
    """Return the labels with the classes that the split merged under their common name."""
    merged = facts.get("merged") or {}
    return labels if not merged else labels.astype(str).map(lambda label: merged.get(label, label))


def _plan(
    spec: Spec,
    clean: Path,
    schema: Mapping[str, Any] | None,
    previous: Mapping[str, Any] | None,
) -> Plan:
    from flows.tables import names_in, read_parquet

    names, data = names_in(clean), spec.data
    roles = {*RESERVED, data.target, *data.id, data.group, data.time}
    frame = read_parquet(clean, [name for name in names if name in roles])
    rows = len(frame)
    if rows < (needed := least_rows(spec.split, rows)):
        folds = fold_count(spec.split, rows)
        parts = f"{folds} folds and a test side" if folds else "three sides"
        message = f"the split into {parts} needs at least {needed} rows, found {rows}"
        raise _refuse("split.rows", message, "give more rows, or fewer folds", rows)
    given = frame["__given__"].to_numpy(bool) if "__given__" in frame else np.zeros(rows, bool)
    folds = fold_count(spec.split, rows - int(given.sum()))
    scheme, reasons, frozen = scheme_of(spec, names, schema, previous)
    identity = row_identity(spec, frame, scheme, clean)
    unit = identity
    if spec.data.group and spec.split.by != "time":
        present(frame, (spec.data.group,), "data.group")
        groups: Any = frame[spec.data.group]
        unit = text_hashes(groups)
    return Plan(
        spec=spec, frame=frame, identity=identity, unit=unit, folds=folds, scheme=scheme,
        strata=strata.strata_of(spec, frame, schema), frozen=frozen, reasons=reasons,
        side=np.full(rows, "train", dtype=object), fold=np.full(rows, -1, np.int64),
    )  # fmt: skip


def _refuse(rule: str, message: str, advice: str, total: int) -> DataRefused:
    failure = Failure(
        rule=rule, column=None, count=total, total=total, message=message, advice=advice
    )
    return DataRefused(f"{message}; {advice}", [failure])


def _by_hash(plan: Plan, previous: Mapping[str, Any] | None) -> None:
    """Assign sides and folds by salted hashes of what stays together."""
    spec, by_file = plan.spec.split, plan.spec.split.by == "given"
    inside = np.ones(len(plan.frame), bool)
    if by_file:
        inside = _given(plan)
    held = strata.settle_rare(plan, inside, previous)
    free = inside & ~held
    test = 0.0 if by_file else spec.test
    validation = 0.0 if plan.folds else spec.validation
    shares = {"test": test, "validation": validation, "train": 1 - test - validation}
    names = [name for name, share in shares.items() if share > 0]
    if len(names) > 1:
        values = np.array([shares[name] for name in names])
        side = _assigned(plan, free, values, key="salt")
        plan.side[free] = np.array(names, dtype=object)[side]
    if plan.folds:
        rest = free & (plan.side == "train")
        equal = np.full(plan.folds, 1 / plan.folds)
        plan.fold[rest] = _assigned(plan, rest, equal, key="fold_salt")


def _given(plan: Plan) -> NDArray[np.bool_]:
    """Put the given rows on the test side; return the rows that are left to train on."""
    given = plan.frame["__given__"].to_numpy(bool)
    plan.side[given] = "test"
    overlap = ~given & np.isin(plan.unit, plan.unit[given])
    if plan.unit is not plan.identity:
        overlap |= ~given & np.isin(plan.identity, plan.identity[given])
    plan.side[overlap] = "overlap"
    if overlap.any():
        plan.warnings.append(
            f"{overlap.sum():,} train rows are also in the given test file (same "
            f"{_known_by(plan.spec)}); they were left out of training"
        )
    return ~given & ~overlap


def _known_by(spec: Spec) -> str:
    names = [spec.data.group] if spec.data.group else list(spec.data.id)
    return ", ".join(map(shown, names)) if names else "cells in all features"


def _assigned(
    plan: Plan, rows: NDArray[np.bool_], shares: NDArray[np.float64], *, key: str
) -> NDArray[np.int64]:
    """Return the side number of each selected row, with a frozen salt or a newly found one."""
    held = plan.strata
    units = salts.units_of(plan.unit[rows], held.codes[rows], held.size)
    if len(units.hashes) < len(shares):
        message = (
            f"{len(shares)} parts need as many different rows or groups, found {len(units.hashes)}"
        )
        raise _refuse("split.units", message, "give more rows, or fewer folds", int(rows.sum()))
    name = f"side:{plan.scheme['seed']}"
    if key == "fold_salt":
        name = f"fold:{plan.scheme['seed']}:{len(shares)}"
    possible = _folds_possible if key == "fold_salt" else _sides_possible
    required = held.required(rows)
    salt = plan.scheme[key] if plan.frozen else None
    if salt and salt.rpartition(":")[0] == name:
        found = salts.sides_of(units.hashes, salt, shares)[units.unit]
        counts = salts.count(units, found, len(shares))
        if key == "salt" or possible(counts, required):
            return found
        plan.reasons.append(
            "the recorded folds keep a class from being learned; folds are chosen anew"
        )
    choice = salts.search(
        units, name=name, shares=shares, possible=lambda counts: possible(counts, required)
    )
    if choice is None:
        raise strata.impossible(plan, rows, len(shares), key)
    plan.scheme[key] = choice.salt
    what = "folds" if key == "fold_salt" else "sides"
    if not choice.balanced:
        plan.warnings.append(
            f"no salt of {salts.SALTS} balances the {what} within the tolerance; the best is "
            f"{choice.worst:.1f} standard deviations off"
        )
    plan.reasons.append(
        f"{what}: salt {choice.salt} is the first of {choice.tried} that is balanced"
    )
    return salts.sides_of(units.hashes, choice.salt, shares)[units.unit]


def _sides_possible(counts: NDArray[np.int64], required: NDArray[np.bool_]) -> bool:
    """Whether every side has rows, and some of every class."""
    return bool((counts.sum(axis=1) > 0).all() and (counts[:, required] > 0).all())


def _folds_possible(counts: NDArray[np.int64], required: NDArray[np.bool_]) -> bool:
    """Whether every fold has rows, and no class lies within a single fold."""
    inside_one = (counts == counts.sum(axis=0)).any(axis=0)
    return bool((counts.sum(axis=1) > 0).all() and not inside_one[required].any())


def _check_sides(plan: Plan) -> None:
    """Refuse a class that is judged but never trained on, and an empty side."""
    counts = counts_of(plan)
    expected = ["train", "test"] if plan.folds else ["train", "validation", "test"]
    for side in expected:
        if not counts.get(side, {}).get("rows"):
            message = f"every side needs rows, the {side} side has none"
            raise _refuse(
                "split.empty", message, "give more rows, or larger shares", len(plan.frame)
            )
    if plan.strata.labels is None:
        return
    strata.check_unseen(plan, {side: counts[side]["classes"] for side in expected})
