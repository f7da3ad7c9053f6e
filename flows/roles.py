"""What `init` decides from a profile: task, id, dropped columns, labels, rare classes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from expectations.failure import Failure, describe, shown
from flows import leaks_init
from flows.errors import DataRefused
from flows.group_like import group_like
from flows.in_order import in_order
from flows.spec import SplitSpec
from flows.split import fold_count

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd

    from flows.settings_text import Draft

ID_NAME = re.compile(
    r"(^|[\W_])(id|ids|key|uuid|guid|index|idx|rownum|row|nr|no|num|number)\.?$|nummer$|(?<=[a-z])(Id|ID)$|(번호|아이디|코드|일련번호)$",
    re.IGNORECASE,
)
CAMEL_ID = re.compile(r"[a-z](Id|ID)$")
DEFAULT_FRACTION = 0.01
SURELY = 3  # standard deviations of a count, by which it may be larger among so many other rows


def decide(draft: Draft, profile: Mapping[str, Any], table: pd.DataFrame) -> list[str]:
    """Add to the draft what follows from the profile; return the decisions in words."""
    return [
        *_task(draft, profile),
        *_kinds(profile),
        *_id(draft, profile),
        *_drop(draft, profile, table),
        *_rare(draft, profile, table),
        *_fraction(draft, profile),
    ]


def warn(draft: Draft, profile: Mapping[str, Any], table: pd.DataFrame) -> list[str]:
    """Return what a person should look at."""
    found: list[str] = []
    if not draft.data.get("id"):
        found.append(
            "no column identifies a row, so a row is known by its features: a corrected row will "
            "count as a new one; give data.id where there is one"
        )
    settled = {*draft.data.get("drop", ()), *draft.data.get("id", ())}
    handled = {"no_id", "near_labels", "identifier", "rare_class", "ambiguous_date"}
    found += [
        alarm["message"]
        for alarm in profile.get("alarms", ())
        if alarm["kind"] not in handled and alarm.get("column") not in settled
    ]
    found += group_like(draft, profile, table)
    return [*found, *in_order(draft, profile, table), *leaks_init.suspects(draft, profile, table)]


def _task(draft: Draft, profile: Mapping[str, Any]) -> list[str]:
    task = profile["task"]
    if task.get("task") is None:
        return [f"task: left open: {task.get('reason', '')}"]
    draft.head["task"] = task["task"]
    draft.why["task"] = task["reason"]
    return [f"task: {task['task']}: {task['reason']}"]


def _features(profile: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    return (c for c in profile["columns"] if c["role"] == "feature")


def _kinds(profile: Mapping[str, Any]) -> list[str]:
    """Say how many columns are of which kind, and name those that are no features."""
    names: dict[str, list[str]] = {}
    for column in _features(profile):
        names.setdefault(column["kind"], []).append(shown(column["name"], 30))
    notes = {"text": " (no features)", "ignored": " (constant or empty)"}
    said = [
        f"{len(found)} {_counted(kind, len(found))}{notes.get(kind, '')}: {', '.join(found[:6])}"
        + (", ..." if len(found) > 6 else "")
        for kind, found in names.items()
    ]
    return [f"kinds: {'; '.join(said)}"] if said else []


def _counted(kind: str, count: int) -> str:
    """A kind after its count: 1 category, 2 categories."""
    if count == 1 or kind == "ignored":
        return kind
    return {"category": "categories"}.get(kind, f"{kind}s")


def _id(draft: Draft, profile: Mapping[str, Any]) -> list[str]:
    """Propose an id: a column without gaps or repeats whose name or place says that it is one."""
    if draft.data.get("id"):
        return [f"id: {', '.join(map(shown, draft.data['id']))}, as given"]
    for column in _features(profile):
        name = column["name"]
        alone = _alone(column, profile)
        counts = "row_number" in (column.get("flags") or ()) and column["position"] == 0
        named = bool(ID_NAME.search(name) or CAMEL_ID.search(name))
        whole = column["seen"] in ("integer", "text", "category") or counts
        if alone and whole and (named or counts):
            why = "no two rows share it" + (
                ", and its name says so" if named else ", it counts rows"
            )
            draft.data["id"] = [name]
            draft.why["data.id"] = why
            return [f"id: {shown(name)}: {why}"]
    return []


def _alone(column: Mapping[str, Any], profile: Mapping[str, Any]) -> bool:
    """Whether every row has a value of its own, of those that were not looked at too."""
    if profile.get("of"):
        return bool((column.get("all") or {}).get("unique"))
    return column["missing"] == 0 and column["distinct"] == profile["rows"]


def _drop(draft: Draft, profile: Mapping[str, Any], table: pd.DataFrame) -> list[str]:
    """Drop row numbers, and what is a copy or a part of the target: it is not known in time."""
    dropped, said = [], []
    ids = draft.data.get("id", ())
    for column in _features(profile):
        flags, name = column.get("flags") or (), column["name"]
        if name in ids or column["kind"] == "ignored":
            continue
        why = "it numbers the rows" if "row_number" in flags else ""
        why = "it is a copy of the target" if "target_copy" in flags else why
        if why:
            dropped.append(name)
            said.append(f"drop: {shown(name)}: {why}")
    if dropped:
        draft.data["drop"] = dropped
    for names, why in leaks_init.drops(draft, profile, table):
        dropped += [name for name in names if name not in dropped]
        said.append(f"drop: {', '.join(map(shown, names))}: {why}")
    if dropped:
        draft.data["drop"] = dropped
        draft.why["data.drop"] = "; ".join(text.removeprefix("drop: ") for text in said)
    return said


def one_spelling(draft: Draft, profile: Mapping[str, Any]) -> list[str]:
    """Make one label of two that are one label written twice."""
    near = (profile.get("target") or {}).get("near_labels") or []
    if not near:
        return []
    target = draft.data["target"]
    replace = dict(near)
    draft.columns.setdefault(target, {})["replace"] = replace
    draft.why[f"columns.{target}"] = "one label written in two ways"
    pairs = ", ".join(f"{shown(odd)} -> {shown(usual)}" for odd, usual in near[:5])
    return [f"labels: one label written in two ways is replaced: {pairs}"]


def _rare(draft: Draft, profile: Mapping[str, Any], table: pd.DataFrame) -> list[str]:
    """Keep classes that are too small to be judged on the train side, and say so."""
    if draft.head.get("task") not in ("binary", "multiclass"):
        return []
    target = draft.data["target"]
    given = draft.split.get("by") == "given"
    rows: Any = table[~table["__given__"]]
    folds = fold_count(SplitSpec(), profile.get("of") or len(rows))
    needed = (folds or 2) + (0 if given else 1)
    replaced = draft.columns.get(target, {}).get("replace", {})
    labels = rows[target].astype(object).where(rows[target].notna()).replace(replaced)
    counts = labels[~labels.isin(draft.data.get("missing", [""]))].value_counts()
    features = [c for c in table.columns if not c.startswith("__") and c != target]
    features = draft.data.get("id") or features
    small = [
        label
        for label, count in counts.items()
        if count < 10 * needed and len(rows[labels == label].drop_duplicates(features)) < needed
    ]
    if not small:
        return []
    if len(counts) - len(small) < 2:
        raise _unjudgeable(target, counts, len(small), needed)
    names = ", ".join(shown(label) for label in small[:5])
    why = f"{names} has fewer than {needed} different rows: trained on, never judged"
    draft.split["rare"] = "train_only"
    draft.why["split.rare"] = why
    return [f"rare: train_only: {why}"]


def _unjudgeable(target: str, counts: pd.Series, small: int, needed: int) -> DataRefused:
    """The refusal of a target whose classes are so small that there is nothing to tell apart."""
    listed = ", ".join(f"{shown(label)} {count:,}" for label, count in counts.iloc[:5].items())
    more = f", and {len(counts) - 5:,} more" if len(counts) > 5 else ""
    failure = Failure(
        rule="split.rare",
        column=target,
        count=small,
        total=len(counts),
        message=f"two classes or more must have {needed} different rows each, found {listed}{more}",
        advice="give more rows of the rare classes, or another --target",
    )
    return DataRefused(f"the target has too few rows per class:\n{describe([failure])}", [failure])


def _fraction(draft: Draft, profile: Mapping[str, Any]) -> list[str]:
    """Allow for the bad rows that are there already, and say how many they are."""
    target, rows = profile.get("target") or {}, max(profile.get("drawn") or profile["rows"], 1)
    bad = int(target.get("missing") or 0) + int(target.get("untypable") or 0)
    bad += max((int(c.get("untypable") or 0) for c in _features(profile)), default=0)
    if profile.get("of"):  # in all rows there may be more
        bad += round(SURELY * bad**0.5)
    if bad <= DEFAULT_FRACTION * rows or bad > rows / 2:
        return []
    allowed = float(np.ceil(bad / rows * 120) / 100)
    surely = "up to " if profile.get("of") else ""
    why = f"{surely}{bad:,} of {rows:,} rows have no usable target or a cell that does not fit its column"
    draft.data["max_fraction"] = min(allowed, 0.5)
    draft.why["data.max_fraction"] = why
    return [f"max_fraction: {draft.data['max_fraction']}: {why}"]
