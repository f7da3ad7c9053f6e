"""Table -> tensors, learned on train rows only and made of buffers so that it travels in the graph.

- Fold f is learned on the rows that fold f does not judge, without its outliers.
- Numbers are scaled by `models/scaling.py`; a missing number becomes the fold's median, or what a
  learned imputer makes of the row (`models/filling.py`).
- Category codes come from one vocabulary shared by all folds (`models/levels.py`). A level that a
  fold's train rows do not hold (or hold too rarely) is unknown in that fold.
- Columns may be dropped (`models/selecting.py`), crossed (`models/crossing.py`) and reduced to
  components (`models/reducing.py`).
- Bin edges for piecewise-linear embeddings cope with spikes (`models/bins.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from models import crossing, levels, scaling, selecting
from models.bins import edges_of, laid_out
from models.crossing import Crossing
from models.encoding import Encoding
from models.filling import Filling
from models.levels import FIRST_LEVEL, MISSING, UNKNOWN
from models.reducing import Reducing
from models.room import Room
from models.table import Columns, TrainingTable, folds
from models.texts import Texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

__all__ = ["FIRST_LEVEL", "MISSING", "UNKNOWN", "Columns", "Encoder", "TrainingTable", "folds"]

CHUNK, CELLS = 8192, 1 << 19  # rows filled or scaled at a time, and numbers of theirs, at most
CROSSED = 1 << 25  # numbers of a fold that ranges of crosses are learned from, where rows suffice
LEARNED = ("median", "center", "factor", "lacking", "least", "most")


class Encoder(Encoding):
    """An encoding that learns from a table."""

    def fit(self, table: TrainingTable, room: Room | None = None) -> Encoder:
        """Learn every fold's buffers from the rows that the fold does not judge.

        What it takes for a while is as large as the table, and lives in the `room`.
        """
        self.columns = table.columns
        trains = [table.train(fold) for fold in range(folds(table))]
        self._fit_categories(table.categories, trains)
        self._fit_numbers(table.numbers, trains)
        codes = self.codes(table.categories)
        self._drop(table, codes, trains)
        self._fit_filling(table, codes, trains)
        self._fit_crossing(table, codes, trains)
        self._fit_bins(torch.from_numpy(table.numbers), codes, trains, room or Room())
        return self

    def _fit_numbers(self, numbers: np.ndarray, trains: Sequence[np.ndarray]) -> None:
        how = {name: self.limits[name] for name in ("scale", "clip")}
        learned = [scaling.learn(numbers, train, **how) for train in trains]
        for name in LEARNED:
            stacked = np.stack([fold[name] for fold in learned])
            self.register_buffer(name, torch.from_numpy(stacked))

    def _drop(self, table: TrainingTable, codes: Tensor, trains: Sequence[np.ndarray]) -> None:
        """Silence columns that a fold's train rows do not need; then see who needs an indicator."""
        names, n = [*table.columns.numbers, *table.columns.categories], len(self.median[0])
        asked = {name: self.limits[name] for name in selecting.ASKED}
        self.dropped_, self.chosen_ = [], []
        for fold, train in enumerate(trains):
            gone, shares = {}, []
            if any(value is not None for value in asked.values()):
                rows = self._some(train, fold, selecting.SAMPLE)
                own = self.own(codes[rows])[fold].numpy()
                how = {"by": self.limits["keep_by"], "seed": self.limits["seed"], **asked}
                gone, shares = selecting.choose(table, own, train, rows, names=names, **how)
            for j in gone:
                if j < n:
                    self.factor[fold, j], self.lacking[fold, j] = 0.0, False
                else:
                    start, size = int(self.offset[j - n]), self.categories_[j - n].size
                    self.known[fold, start : start + size] = UNKNOWN
            self.dropped_.append({names[j]: why for j, why in sorted(gone.items())})
            self.chosen_.append(dict(zip(names, shares, strict=False)))
        indicator = self.lacking.any(dim=0).nonzero()[:, 0]
        self.register_buffer("indicator", indicator)

    def _some(self, train: np.ndarray, fold: int, most: int) -> np.ndarray:
        """Return positions of at most so many of a fold's train rows, in an order of chance."""
        random = np.random.default_rng([self.limits["seed"], fold])
        return random.permutation(np.flatnonzero(train))[:most]

    def _fit_crossing(
        self, table: TrainingTable, codes: Tensor, trains: Sequence[np.ndarray]
    ) -> None:
        """Choose what is crossed, fold by fold, and learn its ranges and units."""
        samples, pairs, self.crossing_ = [], [], []
        wide = CROSSED // max(table.numbers.shape[1], 1)
        most = min(max(wide, crossing.ROWS), crossing.MEASURED)
        for fold, train in enumerate(trains if self.limits["interactions"] else ()):
            rows = self._some(train, fold, most)
            filled = self.filled(torch.from_numpy(table.numbers[rows]), codes[rows])[fold].numpy()
            found = crossing.found(
                filled, self.own(codes[rows])[fold].numpy(), table.target[rows],
                classes=table.classes, most=self.limits["interactions"], seed=self.limits["seed"],
                without=(self.factor[fold] == 0).nonzero()[:, 0].tolist(),
            )  # fmt: skip
            samples.append(filled)
            pairs.append([pair for pair, _, _ in found])
            self.crossing_.append(crossing.named(found, table.columns.numbers))
        if any(pairs):
            self.crossing = Crossing().fit(samples, pairs)

    def _fit_bins(
        self, numbers: Tensor, codes: Tensor, trains: Sequence[np.ndarray], room: Room
    ) -> None:
        """Learn ranks and components where these are asked for, then the bins of what comes out."""
        if self.limits["scale"] == "quantile":
            self._fit_edges("rank_", scaling.RANKS, numbers, codes, trains, room)
        if self.limits["reduce"] and self.entering:
            blocks = self._blocks(numbers, codes)
            made = Reducing(**self.limits["reduce"])
            self.reducing = made.fit(blocks, trains, seed=self.limits["seed"])
        self._fit_edges("", self.bins, numbers, codes, trains, room)

    def _blocks(self, numbers: Tensor, codes: Tensor) -> Iterator[tuple[int, Tensor]]:
        """Yield all rows some at a time, with their first row: scaled float64 (F, n, v)."""
        size = max(1, min(CHUNK, CELLS // max(numbers.shape[1], 1)))
        for at in range(0, len(numbers), size):
            yield at, self.scale(numbers[at : at + size], codes[at : at + size])

    def _fit_edges(
        self,
        name: str,
        bins: int,
        numbers: Tensor,
        codes: Tensor,
        trains: Sequence[np.ndarray],
        room: Room,
    ) -> None:
        # Column by column: edges are those of columns.
        scaled = room.array((len(trains), self.entering, len(numbers)), np.float32)
        for at, part in self._blocks(numbers, codes):
            scaled[:, :, at : at + part.shape[1]] = part.float().transpose(1, 2).numpy()
        edges = [
            [edges_of(scaled[f, j][train], bins) for j in range(self.entering)]
            for f, train in enumerate(trains)
        ]
        for part, array in zip(("low", "gain"), laid_out(edges), strict=True):
            self.register_buffer(name + part, torch.from_numpy(array))

    def _fit_filling(
        self, table: TrainingTable, codes: Tensor, trains: Sequence[np.ndarray]
    ) -> None:
        """Learn the imputer, unless medians are asked for or no train row lacks a number."""
        kind, seed = self.limits["impute"], self.limits["seed"]
        columns = table.numbers.T  # one at a time: they may be too many for memory
        cells = [sum(int(np.isnan(each[train]).sum()) for each in columns) for train in trains]
        self.filling_ = {"asked": kind, "kind": "median", "cells": cells}
        if kind == "median":
            return
        if not any(cells):
            self.filling_["why"] = "no train row lacks a number"
            return
        own = self.own(codes).numpy()
        if kind == "auto":
            from models.impute_auto import choose

            kind, self.filling_["auto"] = choose(table, own, trains, seed=seed)
        self.filling_["kind"] = kind
        if kind != "median":
            self.filling = Filling(kind).fit(
                table.numbers, own, trains, size=sum(self.sizes), seed=seed
            )
            self.filling_ |= self.filling.facts

    def _fit_categories(self, categories: np.ndarray | Texts, trains: Sequence[np.ndarray]) -> None:
        how = {name: self.limits[name] for name in ("levels", "rare", "buckets")}
        learned = [levels.learn(each, trains, **how) for each in Texts.of(categories).columns()]
        self.categories_ = [each.column for each in learned]
        counted = range(len(trains))
        self.rare_ = [[each.rare[fold] for each in learned] for fold in counted]
        self.shared_ = [[each.shared[fold] for each in learned] for fold in counted]
        known = [each.known for each in learned] or [np.zeros((len(trains), 0), np.int64)]
        offset = np.cumsum([0, *self.sizes])[:-1].astype(np.int64)
        self.register_buffer("known", torch.from_numpy(np.concatenate(known, axis=1)))
        self.register_buffer("offset", torch.from_numpy(offset))
