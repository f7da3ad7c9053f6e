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
    from benchmarks.leaks_worlds import World

ROWS = 300


class Scaling(Encoder):
    """Scales by all rows."""

    def fit(self, table: TrainingTable) -> Encoder:
        """Learn as it must, then move the centre to that of all rows."""
        super().fit(table)
        self.center[:] = self.center.new_tensor(np.nanmean(table.numbers, axis=0))
        return self


class Filling(Encoder):
    """Fills with the median of all rows."""

    def fit(self, table: TrainingTable) -> Encoder:
        """Learn as it must, then take the median of all rows."""
        super().fit(table)
        self.median[:] = self.median.new_tensor(np.nanmedian(table.numbers, axis=0))
        return self


class Vocabulary(Encoder):
    """Knows the levels of all rows."""

    def _fit_categories(self, categories: np.ndarray, trains: Any) -> None:
        super()._fit_categories(categories, [np.ones(len(categories), bool) for _ in trains])


class Binning(Encoder):
    """Puts the edges of bins where all rows have them."""

    def fit(self, table: TrainingTable) -> Encoder:
        """Learn as it must, then move the lowest edge to that of all rows."""
        super().fit(table)
        self.low[..., 0] = self.low.new_tensor(np.nanmin(table.numbers, axis=0))
        return self


class Selecting(Encoder):
    """Keeps the columns that go with the target in all rows; the others it scales to nothing."""

    def fit(self, table: TrainingTable) -> Encoder:
        """Learn as it must, then choose."""
        super().fit(table)
        y = table.target.astype(float)
        filled = np.nan_to_num(table.numbers)
        strength = np.abs(((filled - filled.mean(0)) * (y - y.mean())[:, None]).mean(0))
        weak = np.argsort(strength)[: max(1, len(strength) // 2)]
        self.factor[:, weak] = 0.0
        return self


PLANTED: dict[str, type[Encoder] | None] = {
    "scaling": Scaling,
    "imputation": Filling,
    "vocabulary": Vocabulary,
    "bins": Binning,
    "selection": Selecting,
    "honest": None,
}


def flown(world: World, plant: type[Encoder] | None) -> bool:
    """Return whether the canary moves for a table, with a leak inside the fit or none."""
    table, task = table_of(world)
    settings = TrainSettings(task=task)
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
