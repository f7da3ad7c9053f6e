"""Leaks planted inside the real fit: an encoder that learns from rows that judge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np

from models import fit
from models.canary import moved
from models.encode import Encoder
from models.settings import TrainSettings
from models.table import Columns, TrainingTable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.leaks_worlds import World
    from models.room import Room

ROWS = 300


class Scaling(Encoder):
    """Scales by all rows."""

    def fit(self, table: TrainingTable, room: Room | None = None) -> Encoder:
        """Learn as it must, then move the centre to that of all rows."""
        super().fit(table, room)
        self.center[:] = self.center.new_tensor(np.nanmean(table.numbers, axis=0))
        return self


class Filling(Encoder):
    """Fills with the median of all rows."""

    def fit(self, table: TrainingTable, room: Room | None = None) -> Encoder:
        """Learn as it must, then take the median of all rows."""
        super().fit(table, room)
        self.median[:] = self.median.new_tensor(np.nanmedian(table.numbers, axis=0))
        return self


class Vocabulary(Encoder):
    """Knows the levels of all rows."""

    def _fit_categories(self, categories: Any, trains: Any) -> None:
        super()._fit_categories(categories, [np.ones(len(categories), bool) for _ in trains])


class Binning(Encoder):
    """Puts the edges of bins where all rows have them."""

    def fit(self, table: TrainingTable, room: Room | None = None) -> Encoder:
        """Learn as it must, then move the lowest edge to that of all rows."""
        super().fit(table, room)
        self.low[..., 0] = self.low.new_tensor(np.nanmin(table.numbers, axis=0))
        return self


class Selecting(Encoder):
    """Keeps the columns that go with the target in all rows; the others it scales to nothing."""

    def fit(self, table: TrainingTable, room: Room | None = None) -> Encoder:
        """Learn as it must, then choose."""
        super().fit(table, room)
        y = table.target.astype(float)
        filled = np.nan_to_num(table.numbers)
        strength = np.abs(((filled - filled.mean(0)) * (y - y.mean())[:, None]).mean(0))
        weak = np.argsort(strength)[: max(1, len(strength) // 2)]
        self.factor[:, weak] = 0.0
        return self


class Keeping(Encoder):
    """Drops columns by what they say of the target in all rows."""

    def _drop(self, table: TrainingTable, codes: Any, trains: Any) -> None:
        super()._drop(table, codes, [np.ones(len(table.target), bool) for _ in trains])


class Reducing(Encoder):
    """Learns components and bins from all rows."""

    def _fit_bins(self, numbers: Any, codes: Any, trains: Any, room: Room) -> None:
        super()._fit_bins(numbers, codes, [np.ones(len(numbers), bool) for _ in trains], room)


MADE: dict[str, Any] = {"keep": 3, "reduce": {"kind": "pca", "size": 2, "join": True}}
PLANTED: dict[str, tuple[type[Encoder] | None, dict[str, Any]]] = {
    "scaling": (Scaling, {}),
    "imputation": (Filling, {}),
    "vocabulary": (Vocabulary, {}),
    "bins": (Binning, {}),
    "selection": (Selecting, {}),
    "stability selection": (Keeping, {"keep": 3}),
    "components": (Reducing, {"reduce": MADE["reduce"]}),
    "honest": (None, {}),
    "honest features": (None, {**MADE, "interactions": 2}),
}


def flown(world: World, plant: type[Encoder] | None, more: Mapping[str, Any]) -> bool:
    """Return whether the canary moves for a table, with a leak inside the fit or none.

    `more` are settings that the plant needs.
    """
    table, task = table_of(world)
    settings = TrainSettings(task=task, **more)
    if plant is None:
        return bool(moved(table, settings))
    with patch.object(fit, "Encoder", plant):
        return bool(moved(table, settings))


def table_of(world: World) -> tuple[TrainingTable, Any]:
    """Return the training table of a world, in five folds, and its task."""
    frame = world.frame.iloc[:ROWS]
    features = frame.drop(columns=world.target)
    numbers = features.select_dtypes("number")
    levels = features.drop(columns=numbers.columns)
    y = frame[world.target]
    number = y.dtype.kind == "f"
    codes = y.to_numpy(float) if number else y.astype("category").cat.codes.to_numpy(np.int64)
    classes = 0 if number else int(codes.max()) + 1
    table = TrainingTable(
        numbers=numbers.to_numpy(float),
        categories=levels.astype(object).where(levels.notna(), "").to_numpy(object),
        target=codes,
        weight=np.ones(len(frame)),
        fold=np.arange(len(frame)) % 5,
        columns=Columns(numbers=tuple(numbers), categories=tuple(levels)),
        classes=classes,
    )
    return table, "regression" if number else "binary" if classes == 2 else "multiclass"
