"""The target in numbers: its labels and how often each occurs, or the spread of its values.

- Labels are text, as the source writes them, the commonest first; `label_kind` says what a
  prediction should give back: text, integer or boolean.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from expectations.failure import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMED = 5
CLASSES = 1_000  # labels that are listed
WHOLE = re.compile(r"-?(0|[1-9]\d{0,17})")


def target_profile(
    column: dict[str, Any],
    cells: np.ndarray,
    codes: np.ndarray,
    *,
    classes: bool,
    boolean: bool,
) -> tuple[dict[str, Any], np.ndarray, int]:
    """Return the target's profile, its cells as float64 (class codes or values), and K."""
    head = {key: column[key] for key in ("name", "missing", "untypable")}
    if not classes:
        if codes.dtype.kind != "f":
            codes = np.full(len(cells), np.nan)
        keys = ("min", "max", "mean", "std", "skew", "quantiles")
        facts = {key: column[key] for key in keys}
        low, skew = facts["min"], facts["skew"]
        heavy = isinstance(low, float) and low >= 0 and skew is not None and skew > 1
        return {**head, "kind": "number", **facts, "log_hint": bool(heavy)}, codes, 0
    labels, counts, codes = _labels(cells, codes, boolean=boolean)
    whole = bool(labels) and all(WHOLE.fullmatch(label) for label in labels)
    pairs = [[label, count] for label, count in zip(labels, counts, strict=True)]
    facts = {
        "classes": pairs[:CLASSES],
        "classes_complete": len(pairs) <= CLASSES,
        "label_kind": "boolean" if boolean else "integer" if whole else "text",
        "near_labels": _near(labels[:CLASSES]),
    }
    return {**head, "kind": "category", **facts}, codes, len(labels)


def listed(target: Mapping[str, Any]) -> str:
    """Return the commonest labels in one line, as the source writes them."""
    labels = [shown(label, 30) for label, _ in target.get("classes", ())]
    return ", ".join(labels[:NAMED]) + (", ..." if len(labels) > NAMED else "")


def _labels(
    cells: np.ndarray, codes: np.ndarray, *, boolean: bool
) -> tuple[list[str], list[int], np.ndarray]:
    """Return labels as text, commonest first, their counts, and each row's code (NaN missing)."""
    values = cells if cells.dtype.kind == "O" else codes
    text = values is cells
    known = ~pd.isna(cells) if text else ~np.isnan(codes)
    distinct, inverse, counts = np.unique(values[known], return_inverse=True, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    place = np.empty(len(order), dtype=np.float64)
    place[order] = np.arange(len(order))
    full = np.full(len(values), np.nan)
    full[known] = place[inverse]
    return [_label(distinct[k], boolean=boolean) for k in order], counts[order].tolist(), full


def _label(value: Any, *, boolean: bool) -> str:
    if isinstance(value, str):
        return value
    if boolean:
        return str(bool(value))
    return str(int(value)) if value == int(value) else str(float(value))


def _near(labels: list[str]) -> list[list[str]]:
    """Return pairs of labels that look like one label written twice: rarer, commoner."""
    seen: dict[str, str] = {}
    pairs = []
    for label in labels:
        key = re.sub(r"\s+", " ", label).strip(" .").casefold()
        if key in seen:
            pairs.append([label, seen[key]])
        seen.setdefault(key, label)
    return pairs
