"""Table -> tensors, learned on train rows only and made of buffers so that it travels in the graph.

- Every buffer has a leading fold axis F: fold f is learned on the rows that fold f does not judge.
- Numbers are centred and scaled in float64 before any cast (`models/scaling.py`), then smoothly
  clipped (RealMLP).
- A missing number becomes the fold's median, or what a learned imputer makes of the row
  (`models/filling.py`); an indicator column says so where train rows lack it.
- Category codes come from one vocabulary shared by all folds (`models/levels.py`). A level that a
  fold's train rows do not hold (or hold too rarely) is unknown in that fold.
- Bin edges for piecewise-linear embeddings cope with spikes (`models/bins.py`).
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from models import levels, scaling, selecting
from models.bins import edges_of, laid_out, position
from models.filling import Filling
from models.levels import FIRST_LEVEL, MISSING, UNKNOWN
from models.table import Columns, TrainingTable, folds

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["FIRST_LEVEL", "MISSING", "UNKNOWN", "Columns", "Encoder", "TrainingTable", "folds"]

CLIP = 3.0
FAR = 1e6  # scaled values beyond this are held here, so that squares stay finite
CHUNK = 8192  # rows filled or scaled at a time while it learns
LEARNED = ("median", "center", "factor", "lacking", "least", "most")


class Encoder(nn.Module):
    """Numbers and codes -> the float32 values and fold-wise codes that networks take.

    Learned state: `median`, `center`, `factor`, `lacking`, `least`, `most` (F, n); `low` and `gain`
    (F, n, B), each bin's lower edge and one over its width in scaled units (0 = padding);
    `indicator` (m,) the number columns with an indicator; `known` (F, T) shared code -> the fold's;
    `categories_`, `rare_`, `dropped_`, `filling_` (JSON); `filling`, the learned imputer, None for
    medians.
    """

    median: Tensor
    center: Tensor
    factor: Tensor
    lacking: Tensor
    least: Tensor
    most: Tensor
    low: Tensor
    gain: Tensor
    indicator: Tensor
    known: Tensor
    offset: Tensor

    def __init__(
        self,
        *,
        bins: int = 48,
        levels: int = 1024,
        rare: int = 2,
        buckets: int = 0,
        scale: str = "robust",
        clip: float = 0.0,
        impute: str = "median",
        drop_correlated: float | None = None,
        keep: int | None = None,
        seed: int = 0,
    ) -> None:
        """Store what is asked for.

        Args:
            bins: per number.
            levels: of a category that have a code of their own, at most.
            rare: train rows below which a level is unknown.
            buckets: codes that levels beyond share.
            scale: a key of `models.scaling.SCALES`.
            clip: share of train cells at either end beyond which numbers are held.
            impute: a name of `models.impute.SERVED`, or "auto".
            drop_correlated: correlation from which one of two numbers is dropped.
            keep: columns that stay, at most, by what they share with the target.
            seed: of whatever is random.
        """
        super().__init__()
        self.limits: dict[str, Any] = {
            "bins": bins, "levels": levels, "rare": rare, "buckets": buckets, "scale": scale,
            "clip": clip, "impute": impute, "drop_correlated": drop_correlated, "keep": keep,
            "seed": seed,
        }  # fmt: skip
        self.bins = bins
        self.columns = Columns(numbers=(), categories=())
        self.categories_: list[levels.Column] = []
        self.rare_: list[list[int]] = []  # per fold and category: train rows sent to unknown
        self.shared_: list[list[int]] = []  # and those sent to a bucket
        self.dropped_: list[dict[str, str]] = []  # per fold: column -> why it says nothing
        self.filling: Filling | None = None
        self.filling_: dict[str, Any] = {}

    def fit(self, table: TrainingTable) -> Encoder:
        """Learn every fold's buffers from the rows that the fold does not judge."""
        self.columns = table.columns
        trains = [table.fold != fold for fold in range(folds(table))]
        self._fit_categories(table.categories, trains)
        self._fit_numbers(table.numbers, trains)
        codes = self.codes(table.categories)
        self._drop(table, codes, trains)
        self._fit_filling(table, codes, trains)
        self._fit_bins(torch.from_numpy(table.numbers), codes, trains)
        return self

    def _fit_numbers(self, numbers: np.ndarray, trains: Sequence[np.ndarray]) -> None:
        how = {name: self.limits[name] for name in ("scale", "clip")}
        learned = [scaling.learn(numbers[train], **how) for train in trains]
        for name in LEARNED:
            stacked = np.stack([fold[name] for fold in learned])
            self.register_buffer(name, torch.from_numpy(stacked))

    def _drop(self, table: TrainingTable, codes: Tensor, trains: Sequence[np.ndarray]) -> None:
        """Silence columns that a fold's train rows do not need; then see who needs an indicator."""
        names = [*table.columns.numbers, *table.columns.categories]
        most, keep, n = self.limits["drop_correlated"], self.limits["keep"], len(self.median[0])
        own = self.own(codes).numpy() if keep is not None else None
        self.dropped_ = []
        for fold, train in enumerate(trains):
            gone: dict[int, str] = {}
            if most is not None:
                gone |= selecting.correlated(table.numbers[train], most=most)
            if keep is not None and own is not None:
                gone |= selecting.informed(
                    table.numbers[train], own[fold][train], table.target[train],
                    classes=table.classes, kept=keep, seed=self.limits["seed"], without=tuple(gone),
                )  # fmt: skip
            for j in gone:
                if j < n:
                    self.factor[fold, j], self.lacking[fold, j] = 0.0, False
                else:
                    start, size = int(self.offset[j - n]), self.categories_[j - n].size
                    self.known[fold, start : start + size] = UNKNOWN
            self.dropped_.append({names[j]: why for j, why in sorted(gone.items())})
        indicator = self.lacking.any(dim=0).nonzero()[:, 0]
        self.register_buffer("indicator", indicator)

    def _fit_bins(self, numbers: Tensor, codes: Tensor, trains: Sequence[np.ndarray]) -> None:
        """Learn ranks where these are asked for, then the bins of what comes out."""
        if self.limits["scale"] == "quantile":
            self._fit_edges("rank_", scaling.RANKS, numbers, codes, trains)
        self._fit_edges("", self.bins, numbers, codes, trains)

    def _fit_edges(
        self, name: str, bins: int, numbers: Tensor, codes: Tensor, trains: Sequence[np.ndarray]
    ) -> None:
        places = range(0, len(numbers), CHUNK)
        parts = [
            self.scale(numbers[at : at + CHUNK], codes[at : at + CHUNK]).float() for at in places
        ]
        scaled = torch.cat(parts, dim=1).numpy()
        edges = [
            [edges_of(scaled[f, train, j], bins) for j in range(numbers.shape[1])]
            for f, train in enumerate(trains)
        ]
        for part, array in zip(("low", "gain"), laid_out(edges), strict=True):
            self.register_buffer(name + part, torch.from_numpy(array))

    def _fit_filling(
        self, table: TrainingTable, codes: Tensor, trains: Sequence[np.ndarray]
    ) -> None:
        """Learn the imputer, unless medians are asked for or no train row lacks a number."""
        absent, kind, seed = np.isnan(table.numbers), self.limits["impute"], self.limits["seed"]
        cells = [int(absent[train].sum()) for train in trains]
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

    def _fit_categories(self, categories: np.ndarray, trains: Sequence[np.ndarray]) -> None:
        how = {name: self.limits[name] for name in ("levels", "rare", "buckets")}
        learned = [levels.learn(cells, trains, **how) for cells in categories.T]
        self.categories_ = [each.column for each in learned]
        counted = range(len(trains))
        self.rare_ = [[each.rare[fold] for each in learned] for fold in counted]
        self.shared_ = [[each.shared[fold] for each in learned] for fold in counted]
        known = [each.known for each in learned] or [np.zeros((len(trains), 0), np.int64)]
        offset = np.cumsum([0, *self.sizes])[:-1].astype(np.int64)
        self.register_buffer("known", torch.from_numpy(np.concatenate(known, axis=1)))
        self.register_buffer("offset", torch.from_numpy(offset))

    @property
    def sizes(self) -> list[int]:
        """Codes per category column, unknown, missing and buckets included."""
        return [column.size for column in self.categories_]

    @property
    def vocabulary_(self) -> list[list[str]]:
        """Per category, the levels that have a code of their own in some fold."""
        return [list(column.words) for column in self.categories_]

    def codes(self, categories: np.ndarray) -> Tensor:
        """Map strings (N, c) to shared codes int64 (N, c); the graph does it by LabelEncoder."""
        return torch.from_numpy(levels.codes_of(self.categories_, categories))

    def own(self, codes: Tensor) -> Tensor:
        """Return shared codes (N, c) as each fold's own, every column's in a range of its own."""
        places = codes + self.offset
        known = self.known.index_select(1, places.reshape(-1))
        return known.reshape(len(known), *codes.shape) + self.offset

    def scale(self, numbers: Tensor, codes: Tensor) -> Tensor:
        """Fill, hold, centre, scale and clip float64 (N, n) -> float64 (F, N, n) within (-3, 3)."""
        if self.filling is None:
            filled = torch.where(torch.isnan(numbers), self.median[:, None, :], numbers[None])
        else:
            filled = self.filling(numbers, self.own(codes))
        if self.limits["clip"]:
            filled = torch.minimum(filled, self.most[:, None, :])
            filled = torch.maximum(filled, self.least[:, None, :])
        scaled = (filled - self.center[:, None, :]) * self.factor[:, None, :]
        scaled = torch.where(self.factor[:, None, :] > 0, scaled, torch.zeros_like(scaled))
        scaled = scaled.clamp(-FAR, FAR)
        scaled = scaled / torch.sqrt(1.0 + (scaled / CLIP) ** 2)
        if (gain := self._buffers.get("rank_gain")) is not None:
            scaled = scaling.ranks(scaled.float(), self.get_buffer("rank_low"), gain).double()
        return scaled

    def forward(self, numbers: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Return values float32 (F, N, v) and codes int64 (F, N, c) of every fold.

        The v values are scaled numbers n, indicators m, and the numbers' positions among the bins
        n (none with `bins=0`): j + t is the share t of the way through bin j.

        Args:
            numbers: float64 (N, n), NaN where missing; any column may lack cells at serving.
            codes: int64 (N, c) shared codes.
        """
        absent = torch.isnan(numbers).index_select(1, self.indicator)
        flags = absent[None] & self.lacking.index_select(1, self.indicator)[:, None, :]
        scaled = self.scale(numbers, codes).float()
        parts = [scaled, flags.float()]
        if self.bins:
            parts.append(position(scaled, self.low, self.gain))
        values = torch.cat(parts, dim=2)
        return values, self.own(codes) - self.offset

    def describe(self) -> dict[str, object]:
        """Return the part of the state that is no tensor, as JSON."""
        return {
            "columns": {
                "numbers": list(self.columns.numbers),
                "categories": list(self.columns.categories),
            },
            "categories": [asdict(column) for column in self.categories_],
            "rare": self.rare_,
            "shared": self.shared_,
            "dropped": self.dropped_,
            "filling": self.filling_,
            "limits": self.limits,
        }

    @classmethod
    def restore(cls, described: dict[str, Any], tensors: dict[str, Tensor]) -> Encoder:
        """Rebuild an encoder from `describe()` and its `state_dict()`."""
        encoder = cls(**described["limits"])
        names = described["columns"]
        encoder.columns = Columns(
            numbers=tuple(names["numbers"]), categories=tuple(names["categories"])
        )
        encoder.categories_ = [
            levels.Column(
                words=tuple(each["words"]), hashed=tuple(each["hashed"]), buckets=each["buckets"]
            )
            for each in described["categories"]
        ]
        for name in ("rare", "shared", "dropped", "filling"):
            setattr(encoder, f"{name}_", described[name])
        if (kind := encoder.filling_["kind"]) != "median":
            encoder.filling = Filling(kind, encoder.filling_)
        for name, tensor in tensors.items():
            part, _, inner = name.rpartition(".")
            encoder.get_submodule(part).register_buffer(inner, tensor)
        return encoder
