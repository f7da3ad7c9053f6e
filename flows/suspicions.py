"""What a person should look at before anything is learned: flags of columns, alarms of the table.

- A flag never removes a column by itself; `suggest` says what `init` would do with it.
- identifier: every cell differs, and it is no measured number; row_number: 1, 2, 3, ... in order;
  target_copy: one value of the column for each value of the target, and back; leak: predicts the
  target on its own above .99.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from models.served import shown

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from flows.spec import Spec

LEAK = 0.99
NEAR_CONSTANT = 0.99
MANY_LEVELS = 1_000
UNIQUE_ROWS = 20
RARE = 10  # rows of a class
SPARSE = 0.9


def flag(column: dict[str, Any], cells: np.ndarray, codes: np.ndarray, role: str) -> None:
    """Add the flags that a column earns by itself, and what `init` would do with it."""
    flags: list[str] = column["flags"]
    rows = len(cells)
    present = rows - column["missing"] - column["untypable"]
    top = _share_of_commonest(column, present)
    if column["kind"] != "ignored" and present and top >= NEAR_CONSTANT and column["distinct"] > 1:
        flags.append("near_constant")
    if column["missing_share"] and column["missing_share"] > SPARSE:
        flags.append("sparse")
    if column["kind"] == "category" and column["distinct"] > MANY_LEVELS:
        flags.append("high_cardinality")
    unique = present == rows >= UNIQUE_ROWS and column["distinct"] == rows
    if unique and column["kind"] == "integer" and np.all(np.diff(codes) == 1):
        flags.append("row_number")
    if unique and (column["kind"] == "text" or (column["kind"] == "integer" and _counts(codes))):
        flags.append("identifier")
    if role == "feature":
        column["suggest"] = _suggestion(column)


def _share_of_commonest(column: dict[str, Any], present: int) -> float:
    median = column.pop("_common", 0)  # a value that 99 % share is the median
    if not present:
        return 0.0
    return (column["levels"][0][1] if column["levels"] else median) / present


def _counts(codes: np.ndarray) -> bool:
    return like_id(float(codes.min()), float(codes.max()), len(codes))


def like_id(low: float, high: float, count: int) -> bool:
    """Whether distinct whole numbers count something: dense, or all of one length from 4 on."""
    dense = count / (high - low + 1) > 0.5
    return low >= 0 and (dense or (low >= 1_000 and len(str(int(low))) == len(str(int(high)))))


def _suggestion(column: Mapping[str, Any]) -> str | None:
    flags = column["flags"]
    if "row_number" in flags:
        return "drop"
    if "identifier" in flags:
        return "id" if column["distinct_share"] == 1 else "drop"
    return "drop" if column["kind"] in {"ignored", "text"} else None


def flag_relation(column: dict[str, Any], cells: np.ndarray, target: np.ndarray) -> None:
    """Add the flags that a column earns beside the target."""
    if column["alone"]["value"] > LEAK:
        column["flags"].append("leak")
        if _one_to_one(cells, target):
            column["flags"].append("target_copy")


def _one_to_one(cells: np.ndarray, target: np.ndarray) -> bool:
    one = np.unique(cells, return_inverse=True)[1]
    other = np.unique(target, return_inverse=True)[1]
    both = len(np.unique(one.astype(np.int64) * (int(other.max()) + 1) + other))
    return both == len(np.unique(one)) == len(np.unique(other))


SENTENCES = {
    "target_copy": "{name} is a copy of the target under another name",
    "leak": "{name} alone predicts the target with {measure} {value:.4f}: is it known in time?",
    "row_number": "{name} numbers the rows 1, 2, 3, ...: it says when a row was written, no more",
    "identifier": "{name} differs in every row: an identifier, not a measurement",
    "ambiguous_date": "{name} holds dates that fit {formats}: declare the format",
    "ambiguous_number": "{name} holds cells such as {example}, whose mark could be for decimals or "
    "thousands: declare decimal or thousands of the column; until then it is text",
    "unit": "{name} holds numbers with a sign beside them, such as {example}: they are read as text; "
    "declare unit of the column, or take the sign off where the table is made",
    "mixed": "{name} mixes {kind} with other cells, such as {example}",
}


def alarms(
    columns: list[dict[str, Any]],
    target: Mapping[str, Any],
    duplicates: Mapping[str, Any],
    spec: Spec,
    rows: int,
) -> list[dict[str, Any]]:
    """Return what is suspicious as sentences, the gravest first."""
    found = []
    features = [column for column in columns if column["role"] == "feature"]
    for kind, sentence in SENTENCES.items():
        for column in features:
            graver = kind == "leak" and "target_copy" in column["flags"]
            twice = kind == "identifier" and "row_number" in column["flags"]
            # Free text and what is ignored is never read as anything else.
            unread = kind == "mixed" and column["kind"] in {"text", "ignored"}
            if kind in column["flags"] and not graver and not twice and not unread:
                found.append(_alarm(kind, column, sentence))
    found += _of_table(target, duplicates, spec, rows)
    for column in features:
        if column["kind"] == "ignored":
            kind = "empty" if column["seen"] == "empty" else "constant"
            found.append(
                _said(kind, column["name"], f"{shown(column['name'])}: {column['reason']}")
            )
    return found


def of_use(profile: Mapping[str, Any], unused: Collection[str]) -> list[dict[str, Any]]:
    """Return the alarms of a profile that are not about columns that nothing is learned from."""
    copies = profile.get("duplicates", {}).get("columns", ())
    quiet = {copy for first, copy in copies if first in unused} | {*unused}
    return [
        alarm
        for alarm in profile.get("alarms", ())
        if alarm["column"] not in (quiet if alarm["kind"] == "duplicate_column" else unused)
    ]


def _alarm(kind: str, column: Mapping[str, Any], sentence: str) -> dict[str, Any]:
    alone = column["alone"] or {"measure": "", "value": None}
    bad = column["untypable_examples"]
    levels = column["levels"] or [["", 0]]
    message = sentence.format(
        name=shown(column["name"]),
        measure=alone["measure"],
        value=alone["value"] or 0.0,
        formats=" and ".join(column["formats"]),
        kind=column["kind"],
        example=shown(bad[0][1] if bad else levels[0][0]),
    )
    return _said(kind, column["name"], message, alone["value"])


def _said(kind: str, column: str | None, message: str, value: Any = None) -> dict[str, Any]:
    return {"kind": kind, "column": column, "message": message, "value": value}


def _of_table(
    target: Mapping[str, Any], duplicates: Mapping[str, Any], spec: Spec, rows: int
) -> list[dict[str, Any]]:
    found = []
    for rare, common in target.get("near_labels", ()):
        message = f"the labels {shown(rare)} and {shown(common)} look like one"
        found.append(_said("near_labels", target["name"], message))
    for label, count in target.get("classes", ()):
        if count < RARE:
            message = f"the class {shown(label)} has only {count} rows"
            found.append(_said("rare_class", target["name"], message, count))
    if duplicates["rows"]:
        message = f"{duplicates['rows']:,} of {rows:,} rows equal an earlier row"
        found.append(_said("duplicate_rows", None, message, duplicates["rows"]))
    for first, copy in duplicates["columns"]:
        message = f"{shown(copy)} equals {shown(first)} in every row"
        found.append(_said("duplicate_column", copy, message))
    if not spec.data.id:
        message = "there is no id: a row whose cells are corrected is then a new row"
        found.append(_said("no_id", None, message))
    return found
