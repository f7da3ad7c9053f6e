"""What training sees: clean rows and a ledger as one table, and the settings of the networks.

- What training sees goes through the served reader's own `inputs`: one path for both.
- Rows of the test side are in no table. Clean rows come in blocks, and categories are codes at
  once: of a large table nothing but what training reads is ever in memory.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from flows.derive import feature_kinds
from flows.errors import SettingsError
from flows.labels import WHOLE
from flows.tables import blocks, read_parquet
from models.room import Room

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from flows.spec import Spec
    from models.encode import TrainingTable
    from models.fit import TrainSettings
    from models.texts import Texts

PARTS = 5  # of identities, for cross-fitting
NUMERIC = ("number", "integer", "boolean")
TAKEN = 900_000_000  # bytes that libraries take, and some 100,000 rows beside their cells
MAPPED = 4  # part of the rest from which on what is as large as a table is mapped from files
CELLS = 2_000_000  # read at a time


def training_table(
    spec: Spec, schema: Mapping[str, Any], clean: Path, ledger: Path, room: Room | None = None
) -> tuple[TrainingTable, pd.DataFrame, list[str]]:
    """Join clean rows and ledger; return the table, its ledger rows, and the K class labels.

    Rows of the sides "train" and "validation" are in it, in the order of the ledger. Its numbers
    live in the `room`; left out, in memory.
    """
    from models.encode import Columns, TrainingTable

    book: Any = read_parquet(ledger)
    book = book[book["side"].isin(["train", "validation"])].reset_index(drop=True)
    roles = [schema["target"], *filter(None, [spec.data.weight])]
    frame: Any = read_parquet(clean, ["__row__", *dict.fromkeys(roles)])
    frame = frame.set_index("__row__").loc[book["row"]].reset_index(drop=True)
    fold = book["fold"].to_numpy(np.int64)
    if (fold < 0).all():  # one validation side instead of folds
        fold = np.where(book["side"] == "validation", 0, -1)
    columns = graph_columns(schema)
    read = read_inputs(clean, book["row"].to_numpy(np.int64), columns, room)
    target, labels = _target(frame[schema["target"]], schema, ledger)
    weight = np.ones(len(frame))
    if spec.data.weight:
        weight = frame[spec.data.weight].to_numpy(np.float64)
    table = TrainingTable(
        numbers=read.numbers,
        categories=read.categories,
        target=target,
        weight=weight,
        fold=fold.astype(np.int64),
        columns=Columns(numbers=tuple(columns["numbers"]), categories=tuple(columns["categories"])),
        classes=len(labels),
    )
    return table, book, labels


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What the graph takes of rows: numbers float64 (N, n), column by column, and texts (N, c)."""

    numbers: np.ndarray
    categories: Texts


def read_inputs(
    clean: Path, rows: np.ndarray, columns: Mapping[str, list[str]], room: Room | None = None
) -> Inputs:
    """Read what the graph takes of the clean rows with the numbers `rows` (N,), in their order.

    `columns` are the names of "numbers" and "categories". Raises KeyError where a row is not there.
    """
    from models.served import inputs
    from models.texts import Gathering

    names, kinds = columns["numbers"], columns["categories"]
    # Each column lies in one piece: what is learned is learned column by column.
    numbers = (room or Room()).array((len(names), len(rows)), np.float64)
    texts = Gathering(len(rows), len(kinds))
    place = np.full(int(rows.max(initial=-1)) + 1, -1)
    place[rows] = np.arange(len(rows))
    found = 0
    read = ["__row__", *dict.fromkeys([*names, *kinds])]
    for block in blocks(clean, read, rows=max(CELLS // len(read), 1)):
        row = block["__row__"].to_numpy(np.int64)
        known = np.flatnonzero(row < len(place))
        known = known[place[row[known]] >= 0]
        at = place[row[known]]
        found += len(at)
        feeds = inputs(block.iloc[known], columns)
        if names:
            numbers[:, at] = feeds["numbers"].T
        if kinds:
            texts.put(at, feeds["categories"])
    if found != len(rows):
        raise KeyError(f"{len(rows):,} rows must be among the clean ones, found {found:,} of them")
    return Inputs(numbers=numbers.T, categories=texts.texts())


def room_in(folder: Path | None) -> Room:
    """Return the room of a training: past a part of what memory allows, in files under `folder`."""
    return Room(folder, limit=memory() // MAPPED)


def memory() -> int:
    """Return the bytes that a training may have, whatever is free at the moment: it decides how
    many rows a rung sees, and the same table must come to the same model.
    """
    from flows.memory import allowed

    return max(allowed() - TAKEN, TAKEN // 10)


def graph_columns(schema: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the graph's columns: numbers (derived ones last) and categories."""
    kinds = list(feature_kinds(schema).items())
    numbers = [name for name, kind in kinds if kind in NUMERIC]
    numbers += [derived["name"] for derived in schema.get("derived", ())]
    return {"numbers": numbers, "categories": [n for n, kind in kinds if kind == "category"]}


def _target(
    cells: pd.Series, schema: Mapping[str, Any], ledger: Path
) -> tuple[np.ndarray, list[str]]:
    """Return class codes with their labels, or float64 values with none."""
    from flows.split import merged_labels

    if schema.get("task") == "regression" or schema["target_column"]["kind"] == "number":
        return cells.to_numpy(np.float64, copy=True), []
    record = ledger.with_name("split.json")
    facts = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else {}
    texts = merged_labels(cells, facts).astype(str)
    labels = ordered(texts.unique())
    code = {label: place for place, label in enumerate(labels)}
    return texts.map(code).to_numpy(np.int64, copy=True), labels


def ordered(labels: Any) -> list[str]:
    """Return labels in the order of their codes: whole numbers by value, others as text."""
    names = [str(label) for label in labels]
    whole = all(WHOLE.fullmatch(name) for name in names)
    return sorted(names, key=int if whole else None)


def parts_of(book: pd.DataFrame) -> np.ndarray:
    """Return cross-fitting parts (N,): rows of one identity, or group, share theirs."""
    unit = book["group"] if "group" in book else book["identity"]
    return np.fromiter((int(name[-8:], 16) % PARTS for name in unit), np.int64, len(unit))


def learned_from(
    spec: Spec, table: TrainingTable, settings: TrainSettings, labels: Sequence[str]
) -> TrainingTable:
    """Return the table with the rows marked that `features.drop_outliers` leaves out.

    Raises:
        SettingsError: a fold cannot do without them.

    """
    from models.outliers import without_outliers

    try:
        return without_outliers(table, settings.drop_outliers, labels=labels)
    except ValueError as error:
        raise SettingsError(f"{spec.path}: features.{error}") from error


def settings_of(spec: Spec, classes: int) -> TrainSettings:
    """Return the models' settings; what the file leaves out takes the network's default."""
    from models.fit import TrainSettings

    task = "regression" if not classes else "binary" if classes == 2 else "multiclass"
    known = {field.name for field in fields(TrainSettings)}
    given = {
        name: value
        for name, value in (spec.train.model_dump() | spec.features.model_dump()).items()
        if name in known and value is not None
    }
    return TrainSettings(task=task, **given)
