"""What a split is balanced by: the classes of the target, or bins of a number; and rare classes.

- A class needs a unit (a row of its own identity, or a group) for every side, and with folds one
  for every fold and one for the test side.
- What is to be done with a class that has fewer is the settings' word (`split.rare`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from expectations.failure import Failure, describe, shown
from flows.errors import DataRefused

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import NDArray

    from flows.spec import Spec
    from flows.split import Plan

BINS = 10
ROWS_PER_BIN = 20
LARGE_CLASS = 10_000  # rows in which enough units are looked for
FEW_VALUES = 20  # a numeric target with more distinct values is a regression, if nobody says
ADVICE = (
    'give more rows of it, or set split.rare = "train_only" (its rows are trained on but never '
    'judged) or "merge" (rare classes become one class)'
)


@dataclass(frozen=True, kw_only=True)
class Strata:
    """The class of each row, or the bin of its target."""

    codes: NDArray[np.int64]
    size: int
    labels: tuple[str, ...] | None
    """Class names in the order of the codes; None for a regression."""
    train_only: tuple[str, ...] = ()
    merged: Mapping[str, str] = field(default_factory=dict)

    def required(self, rows: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which strata every side must have: the classes among `rows`; none for a regression."""
        if self.labels is None:
            return np.zeros(self.size, bool)
        return np.bincount(self.codes[rows], minlength=self.size) > 0


def strata_of(spec: Spec, frame: pd.DataFrame, schema: Mapping[str, Any] | None) -> Strata:
    """Return the strata of the target.

    Raises:
        DataRefused: the target is missing in a row, or has a single value.

    """
    target: Any = frame[spec.data.target]
    if missing := int(target.isna().sum()):
        message = f"every row needs its target, {missing:,} of {len(frame):,} have none"
        raise _refused("target.present", message, "remove these rows", missing, len(frame))
    distinct = target.nunique()
    if distinct < 2:
        value = shown(target.iloc[0])
        message = f"the target {shown(spec.data.target)} must vary, every row has {value}"
        raise _refused(
            "target.constant", message, "check the target and the rows", len(frame), len(frame)
        )
    task = spec.task or (schema or {}).get("task")
    if task == "regression" or (task is None and _is_number(target) and distinct > FEW_VALUES):
        return _bins(target.to_numpy(np.float64))
    labels, codes = np.unique(
        label_texts(target).to_numpy(dtype=object).astype(str), return_inverse=True
    )
    return Strata(codes=codes.astype(np.int64), size=len(labels), labels=tuple(map(str, labels)))


def label_texts(labels: pd.Series) -> pd.Series:
    """Return labels as text; whole numbers without a point."""
    import pandas as pd

    if pd.api.types.is_float_dtype(labels.dtype):
        return labels.map(lambda x: str(int(x)) if x == int(x) else repr(x)).astype(str)
    return labels.astype(str)


def _is_number(target: pd.Series) -> bool:
    import pandas as pd

    return pd.api.types.is_numeric_dtype(target.dtype) and not pd.api.types.is_bool_dtype(
        target.dtype
    )


def _bins(values: NDArray[np.float64]) -> Strata:
    count = int(np.clip(len(values) // ROWS_PER_BIN, 1, BINS))
    edges = np.unique(np.quantile(values, np.linspace(0, 1, count + 1)[1:-1]))
    codes = np.searchsorted(edges, values, side="right").astype(np.int64)
    return Strata(codes=codes, size=len(edges) + 1, labels=None)


def settle_rare(
    plan: Plan, inside: NDArray[np.bool_], previous: Mapping[str, Any] | None
) -> NDArray[np.bool_]:
    """Apply `split.rare` to classes too small for every side; return the rows held on train.

    Raises:
        DataRefused: a class is too small and the settings do not say what to do.

    """
    held = plan.strata
    none = np.zeros(len(inside), bool)
    if held.labels is None:
        return none
    if plan.frozen and previous:
        return _frozen(plan, previous)
    units = _units_per_class(plan, inside)
    judged_here = plan.spec.split.by != "given"
    needed = (plan.folds or 2) + int(judged_here)
    rare = [i for i, found in enumerate(units) if 0 < found < needed]
    if not rare:
        return none
    names = [held.labels[i] for i in rare]
    policy = plan.spec.split.rare
    if policy == "merge":
        _merge(plan, _enough(units, rare, needed))
        return none
    if policy == "train_only" and len(rare) < (np.array(units) > 0).sum() - 1:
        plan.strata = replace(held, train_only=tuple(names))
        rows = np.isin(held.codes, rare) & inside
        _say(plan, names, f"{rows.sum():,} rows of them are trained on and never judged")
        return rows
    raise _too_rare(plan, rare, units, needed)


def _units_per_class(plan: Plan, inside: NDArray[np.bool_]) -> list[int]:
    """Return how many units each class has; for a large class, at least how many."""
    held, found = plan.strata, []
    for code in range(held.size):
        rows = np.flatnonzero(inside & (held.codes == code))[:LARGE_CLASS]
        found.append(len(np.unique(plan.unit[rows])))
    return found


def _frozen(plan: Plan, previous: Mapping[str, Any]) -> NDArray[np.bool_]:
    """Apply what an earlier run decided about rare classes."""
    if merged := previous.get("merged"):
        labels = plan.strata.labels or ()
        _merge(
            plan,
            [i for i, label in enumerate(labels) if label in merged],
            next(iter(merged.values())),
        )
    only = tuple(previous.get("train_only", ()))
    labels = plan.strata.labels or ()
    plan.strata = replace(plan.strata, train_only=only)
    return np.isin(plan.strata.codes, [i for i, label in enumerate(labels) if label in only])


def _enough(units: list[int], rare: list[int], needed: int) -> list[int]:
    """Return the classes to merge: the rare ones, and the next smallest until there are enough."""
    chosen = list(rare)
    for code in sorted(range(len(units)), key=lambda c: units[c]):
        if sum(units[c] for c in chosen) >= needed and len(chosen) > 1:
            break
        if code not in chosen and units[code]:
            chosen.append(code)
    return sorted(chosen)


def _merge(plan: Plan, codes: list[int], name: str | None = None) -> None:
    held = plan.strata
    labels = list(held.labels or ())
    if not codes:
        return
    if len(codes) >= len(labels):
        message = "merging rare classes would leave a single class"
        raise _refused("split.rare", message, "give more rows", len(plan.frame), len(plan.frame))
    name = name or next(n for n in ("other", "other classes", "(other)") if n not in labels)
    names = [labels[c] for c in codes]
    merged = np.array([name if i in codes else label for i, label in enumerate(labels)])
    unique, place = np.unique(merged, return_inverse=True)
    plan.strata = replace(
        held,
        codes=place[held.codes].astype(np.int64),
        size=len(unique),
        labels=tuple(map(str, unique)),
        merged=dict.fromkeys(names, name),
    )
    rows = int((plan.strata.codes == list(unique).index(name)).sum())
    _say(plan, names, f"{rows:,} rows of them are now the class {shown(name)}")


def _say(plan: Plan, names: list[str], what: str) -> None:
    listed = ", ".join(map(shown, names[:10])) + (", ..." if len(names) > 10 else "")
    plan.warnings.append(f"classes too small for every side: {listed}; {what}")


def _too_rare(plan: Plan, rare: list[int], units: list[int], needed: int) -> DataRefused:
    labels = plan.strata.labels or ()
    unit = "groups" if plan.spec.data.group else "different rows"
    parts = f"{plan.folds} folds" if plan.folds else "the train and validation sides"
    parts += "" if plan.spec.split.by == "given" else " and the test side"
    failures = [
        Failure(
            rule="split.rare",
            column=plan.spec.data.target,
            count=int((plan.strata.codes == code).sum()),
            total=len(plan.frame),
            message=f"class {shown(labels[code])} needs {needed} {unit} for {parts}, found {units[code]}",
            advice=ADVICE,
        )
        for code in rare
    ]
    return DataRefused(f"classes too small to be split:\n{describe(failures)}", failures)


def impossible(plan: Plan, rows: NDArray[np.bool_], parts: int, key: str) -> DataRefused:
    """Return the refusal where no salt puts every class on every side."""
    held = plan.strata
    what = "folds" if key == "fold_salt" else "sides"
    if held.labels is None:
        message = f"no salt divides these rows into {parts} {what}, each with rows"
        return _refused(
            "split.sides", message, "give more rows, or fewer folds", int(rows.sum()), len(rows)
        )
    counts = np.bincount(held.codes[rows], minlength=held.size)
    order = [c for c in np.argsort(counts, kind="stable") if counts[c]][:5]
    smallest = ", ".join(f"{shown(held.labels[c])} ({counts[c]} rows)" for c in order)
    message = f"no salt puts every class on all {parts} {what}; the smallest classes are {smallest}"
    return _refused("split.rare", message, ADVICE, int(rows.sum()), len(rows))


def check_unseen(plan: Plan, counts: Mapping[str, Mapping[str, int]]) -> None:
    """Refuse classes that no train row has, warn of classes that a side lacks."""
    from difflib import get_close_matches

    train, failures = counts["train"], []
    for side in (side for side in counts if side != "train"):
        lacking = [n for n, rows in train.items() if rows and not counts[side][n]]
        lacking = [name for name in lacking if name not in plan.strata.train_only]
        if lacking:
            plan.warnings.append(
                f"the {side} side has no row of {', '.join(map(shown, lacking[:5]))}"
            )
        for name in (n for n, rows in counts[side].items() if rows and not train[n]):
            near = get_close_matches(name, [n for n, rows in train.items() if rows], n=1)
            hint = (
                f"if it is {shown(near[0])}, say so with replace in [data.columns]; "
                if near
                else ""
            )
            failures.append(
                Failure(
                    rule="split.unseen", column=plan.spec.data.target, count=counts[side][name],
                    total=sum(counts[side].values()),
                    message=f"class {shown(name)} is on the {side} side and on no train row",
                    advice=f"{hint}a class can only be judged where it was learned",
                )
            )  # fmt: skip
    if failures:
        raise DataRefused(f"classes without train rows:\n{describe(failures)}", failures)


def _refused(rule: str, message: str, advice: str, count: int, total: int) -> DataRefused:
    failure = Failure(
        rule=rule, column=None, count=count, total=total, message=message, advice=advice
    )
    return DataRefused(f"{message}; {advice}", [failure])
