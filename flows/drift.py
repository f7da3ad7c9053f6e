"""Drift: today's train rows beside those that the model in service was trained on.

- What the champion's run left is enough: a profile of its train rows, `gate/training.json`, and its
  ledger. No old table is needed.
- Its profile's bins are filled with today's rows; the classifier is asked to tell rows that the
  champion knew from those that came since.
- It never ends a run: where the profile is gone or cannot be read, the reason is said instead.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from expectations.drift import compared, counted, settled
from expectations.failure import shown
from expectations.population import told_apart
from flows.book import GATE, book_of
from flows.bundle import MANIFEST, TRAINING, verify_bundle
from flows.errors import Doubt
from flows.json_files import read_json
from flows.leaks_view import View, view_of
from flows.registry import client
from flows.scheme import identity_digest
from flows.versions import EVIDENCE, EVIDENCE_RUN, KEY, champion

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flows.home import Home
    from flows.spec import Spec

LISTED = 200
NAMED = 5
ROWS = 10_000  # of a side that a classifier sees


def against_champion(
    spec: Spec, home: Home, made: Mapping[str, Path], *, key: str
) -> dict[str, Any] | None:
    """Return how today's train rows differ from the champion's; None where there is none other.

    `made` are the folders of the stages validate and split; `key` is that of this run's model.
    """
    try:
        version = champion(home, spec.name)
        if version is None or version.tags.get(KEY) == key:
            return None
        with tempfile.TemporaryDirectory(prefix="penstock-drift-") as place:
            return _compared(spec, home, made, version, Path(place))
    except Exception as error:  # noqa: BLE001 - a look back must not end a run
        said = f"drift was not looked at: {error}"
        return {"status": "unknown", "sentence": said, "columns": [], "drifted": []}


def training_profile(home: Home, version: Any, into: Path) -> dict[str, Any] | None:
    """Return the profile of the rows that a version was trained on; None for an older version.

    Raises:
        ArtifactRefused: it is not what was sealed.

    """
    reader = client(home)
    there = {found.path for found in reader.list_artifacts(version.run_id, GATE)}
    if f"{GATE}/{TRAINING}" not in there:
        return None
    for name in (TRAINING, MANIFEST):
        draft = reader.download_artifacts(version.run_id, f"{GATE}/{name}", str(into))
        Path(draft).replace(into / name)  # stores differ in where they put it
    own = version.tags.get(EVIDENCE_RUN) == version.run_id
    verify_bundle(into, version.tags.get(EVIDENCE) if own else None, only=(TRAINING,))
    return json.loads((into / TRAINING).read_text(encoding="utf-8"))


def _compared(
    spec: Spec, home: Home, made: Mapping[str, Path], version: Any, place: Path
) -> dict[str, Any]:
    profile = training_profile(home, version, place)
    if profile is None:
        raise Doubt(f"version {version.version} was made before profiles were kept")
    schema = read_json(made["validate"] / "schema.json")
    view = view_of(spec, schema, made["validate"] / "clean.parquet", made["split"])
    rows, since = _since(spec, home, made, view, version, place)
    columns: dict[str, dict[str, Any]] = {}
    told: list[np.ndarray] = []
    for column in view.columns():
        if (before := profile["columns"].get(column.name)) is not None:
            now = counted(before, column.cells[view.train], column.names)
            columns[column.name] = compared(before, now)
        if len(rows) and column.kind != "text":
            told.append(column.cells[rows].astype(np.float32))
    area = told_apart(np.column_stack(told), since) if told else None
    found = settled(columns)
    target = _target(profile["target"], view)
    drifted = [each["column"] for each in found if each["drifted"]]
    facts = {
        "status": "compared",
        "version": int(version.version),
        "rows": [profile["rows"], int(view.train.sum())],
        "columns": found[:LISTED],
        "drifted": drifted,
        "gone": [name for name in profile["columns"] if name not in view.features],
        "new": [name for name in columns_of(view) if name not in profile["columns"]],
        "target": target,
        "roc_auc": None if area is None else [round(a, 6) for a in area],
    }
    return {**facts, "sentence": sentence(facts, f"version {version.version}")}


def columns_of(view: View) -> list[str]:
    """Return the features that a profile has."""
    return [name for name, kind in view.features.items() if kind != "text"]


def sentence(facts: Mapping[str, Any], against: str) -> str:
    """Say in words how much has drifted."""
    drifted, count = facts["drifted"], len(facts["columns"])
    if not drifted:
        return f"none of {count:,} columns differs notably from the training rows of {against}"
    first = facts["columns"][0]
    more = f" and {len(drifted) - NAMED:,} more" if len(drifted) > NAMED else ""
    names = ", ".join(shown(name, 40) for name in drifted[:NAMED])
    return (
        f"{len(drifted):,} of {count:,} columns differ from the training rows of {against}: "
        f"{names}{more}; most of all {shown(first['column'], 40)} (stability index {first['psi']:.2f})"
    )


def _target(profile: Mapping[str, Any], view: View) -> dict[str, Any]:
    """The prior's shift: the target as a column, and the share of each class then and now."""
    cells, names = view.target.cells[view.train], view.labels or None
    now = counted(profile, cells, names)
    found = compared(profile, now)
    if profile["kind"] == "levels":
        before, after = max(profile["rows"], 1), max(now["rows"], 1)
        pairs = zip(profile["levels"], now["counts"], strict=True)
        found["shares"] = [[name, n / before, m / after] for (name, n), m in pairs]
    return found


def _since(
    spec: Spec, home: Home, made: Mapping[str, Path], view: View, version: Any, place: Path
) -> tuple[np.ndarray, np.ndarray]:
    """Places of rows that the champion knew and of those that came since, and which are the latter.

    Empty where a row is not known by the same marks as then.
    """
    (folder := place / "book").mkdir()
    book = book_of(home, version, {}, name=f"version {version.version}", into=folder)
    ours = read_json(made["split"] / "split.json")["scheme"]
    if identity_digest(book.scheme) != identity_digest(ours) or spec.split.by == "time":
        return np.zeros(0, np.int64), np.zeros(0, bool)
    new = ~np.isin(view.book.identity, book.rows["identity"].to_numpy(object).astype(str))
    random, parts = np.random.default_rng(0), []
    for side in (np.flatnonzero(~new), np.flatnonzero(new)):
        few = random.choice(side, ROWS, replace=False) if len(side) > ROWS else side
        parts.append(np.sort(few))
    rows = np.concatenate(parts)
    return rows, new[rows]
