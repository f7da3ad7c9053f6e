"""Table -> tensors, learned on train rows only and made of buffers so that it travels in the graph.

- Every buffer has a leading fold axis F: fold f is learned on the rows that fold f does not judge.
- Numbers are centred and scaled in float64 before any cast, then smoothly clipped (RealMLP).
- A missing number becomes the fold's median; an indicator column says so where train rows lack it.
- Category codes come from one vocabulary shared by all folds: 0 unknown, 1 missing, 2.. levels. A
  level that a fold's train rows do not hold (or hold too rarely) is unknown in that fold.
- Bin edges for piecewise-linear embeddings cope with spikes (`models/bins.py`).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from models.bins import edges_of
from models.table import Columns, TrainingTable, folds

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Columns", "Encoder", "TrainingTable", "folds"]

UNKNOWN, MISSING, FIRST_LEVEL = 0, 1, 2
CLIP = 3.0
FAR = 1e6  # scaled values beyond this are held here, so that squares stay finite


class Encoder(nn.Module):
    """Numbers and codes -> the float32 values and fold-wise codes that networks take.

    Learned state: `median`, `center`, `factor`, `lacking` (F, n); `low` and `gain` (F, n, B), each
    bin's lower edge and one over its width in scaled units (0 = padding); `indicator` (m,) the
    number columns with an indicator; `known` (F, T) shared code -> the fold's code;
    `vocabulary_`, `rare_` (JSON).
    """

    median: Tensor
    center: Tensor
    factor: Tensor
    lacking: Tensor
    low: Tensor
    gain: Tensor
    indicator: Tensor
    known: Tensor
    offset: Tensor

    def __init__(self, *, bins: int = 48, levels: int = 1024, rare: int = 2) -> None:
        """Store the limits: bins per number, levels per category, rows below which one is rare."""
        super().__init__()
        self.bins, self.levels, self.rare = bins, levels, rare
        self.columns = Columns(numbers=(), categories=())
        self.vocabulary_: list[list[str]] = []
        self.rare_: list[list[int]] = []  # per fold and category: train rows sent to unknown

    def fit(self, table: TrainingTable) -> Encoder:
        """Learn every fold's buffers from the rows that the fold does not judge."""
        self.columns = table.columns
        trains = [table.fold != fold for fold in range(folds(table))]
        self._fit_numbers(table.numbers, trains)
        self._fit_categories(table.categories, trains)
        return self

    def _fit_numbers(self, numbers: np.ndarray, trains: Sequence[np.ndarray]) -> None:
        learned = [_robust(numbers[train]) for train in trains]
        for name in ("median", "center", "factor", "lacking"):
            stacked = np.stack([fold[name] for fold in learned])
            self.register_buffer(name, torch.from_numpy(stacked))
        indicator = np.flatnonzero(np.stack([fold["lacking"] for fold in learned]).any(axis=0))
        self.register_buffer("indicator", torch.from_numpy(indicator.astype(np.int64)))
        scaled = self.scale(torch.from_numpy(numbers)).float().numpy()
        edges = [
            [edges_of(scaled[f, train, j], self.bins) for j in range(numbers.shape[1])]
            for f, train in enumerate(trains)
        ]
        longest = max((len(e) for fold in edges for e in fold), default=2)
        padded = [[np.pad(e, (0, longest - len(e)), mode="edge") for e in fold] for fold in edges]
        shape = (len(trains), numbers.shape[1], longest)
        array = np.asarray(padded, dtype=np.float32).reshape(shape)
        width = np.diff(array, axis=2)
        gain = np.divide(1.0, width, out=np.zeros_like(width), where=width > 0)
        self.register_buffer("low", torch.from_numpy(array[..., :-1].copy()))
        self.register_buffer("gain", torch.from_numpy(gain))

    def _fit_categories(self, categories: np.ndarray, trains: Sequence[np.ndarray]) -> None:
        self.vocabulary_, self.rare_ = [], [[] for _ in trains]
        maps: list[list[np.ndarray]] = [[] for _ in trains]
        for j in range(categories.shape[1]):
            kept = []
            for f, train in enumerate(trains):
                counts = Counter(categories[train, j].tolist())
                keep = self._keep(counts)
                kept.append((keep, counts.get("", 0) > 0))
                self.rare_[f].append(
                    sum(n for level, n in counts.items() if level and level not in keep)
                )
            words = sorted(set().union(*(keep for keep, _ in kept)))
            self.vocabulary_.append(words)
            for f, (keep, missing) in enumerate(kept):
                codes = [UNKNOWN, MISSING if missing else UNKNOWN]
                codes += [FIRST_LEVEL + i if w in keep else UNKNOWN for i, w in enumerate(words)]
                maps[f].append(np.asarray(codes, dtype=np.int64))
        sizes = [FIRST_LEVEL + len(words) for words in self.vocabulary_]
        offset = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)[: len(sizes)]
        known = [np.concatenate(fold) if fold else np.zeros(0, np.int64) for fold in maps]
        self.register_buffer("known", torch.from_numpy(np.stack(known)))
        self.register_buffer("offset", torch.from_numpy(offset))

    def _keep(self, counts: Counter[str]) -> set[str]:
        """Return the levels of one fold worth a code: frequent enough, the commonest first."""
        ranked = sorted(
            ((level, n) for level, n in counts.items() if level and n >= self.rare),
            key=lambda pair: (-pair[1], pair[0]),
        )
        return {level for level, _ in ranked[: self.levels]}

    @property
    def sizes(self) -> list[int]:
        """Codes per category column, unknown and missing included."""
        return [FIRST_LEVEL + len(words) for words in self.vocabulary_]

    def codes(self, categories: np.ndarray) -> Tensor:
        """Map strings (N, c) to shared codes int64 (N, c); the graph does it by LabelEncoder."""
        out = np.zeros(categories.shape, dtype=np.int64)
        for j, words in enumerate(self.vocabulary_):
            table = {word: FIRST_LEVEL + i for i, word in enumerate(words)} | {"": MISSING}
            column = categories[:, j].tolist()
            out[:, j] = np.fromiter((table.get(v, UNKNOWN) for v in column), np.int64, len(column))
        return torch.from_numpy(out)

    def scale(self, numbers: Tensor) -> Tensor:
        """Fill, centre, scale and clip float64 (N, n) -> float64 (F, N, n) within (-3, 3)."""
        filled = torch.where(torch.isnan(numbers), self.median[:, None, :], numbers[None])
        scaled = (filled - self.center[:, None, :]) * self.factor[:, None, :]
        scaled = torch.where(self.factor[:, None, :] > 0, scaled, torch.zeros_like(scaled))
        scaled = scaled.clamp(-FAR, FAR)
        return scaled / torch.sqrt(1.0 + (scaled / CLIP) ** 2)

    def position(self, scaled: Tensor) -> Tensor:
        """Scaled float32 (F, N, n) -> where it lies among its column's bins, 0..B (F, N, n)."""
        inside = (scaled.unsqueeze(3) - self.low.unsqueeze(1)) * self.gain.unsqueeze(1)
        return inside.clamp(0.0, 1.0).sum(dim=3)

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
        scaled = self.scale(numbers).float()
        parts = [scaled, flags.float()]
        if self.bins:
            parts.append(self.position(scaled))
        values = torch.cat(parts, dim=2)
        flat = (codes + self.offset).reshape(-1)
        known = self.known.index_select(1, flat)
        return values, known.reshape(self.known.shape[0], codes.shape[0], codes.shape[1])

    def describe(self) -> dict[str, object]:
        """Return the part of the state that is no tensor, as JSON."""
        return {
            "columns": {
                "numbers": list(self.columns.numbers),
                "categories": list(self.columns.categories),
            },
            "vocabulary": self.vocabulary_,
            "rare": self.rare_,
            "limits": {"bins": self.bins, "levels": self.levels, "rare": self.rare},
        }

    @classmethod
    def restore(cls, described: dict[str, Any], tensors: dict[str, Tensor]) -> Encoder:
        """Rebuild an encoder from `describe()` and its `state_dict()`."""
        encoder = cls(**described["limits"])
        names = described["columns"]
        encoder.columns = Columns(
            numbers=tuple(names["numbers"]), categories=tuple(names["categories"])
        )
        encoder.vocabulary_ = described["vocabulary"]
        encoder.rare_ = described["rare"]
        for name, tensor in tensors.items():
            encoder.register_buffer(name, tensor)
        return encoder


def _robust(numbers: np.ndarray) -> dict[str, np.ndarray]:
    """Return median, centre and factor (1/IQR, else 2/range, else 0) of train rows (N, n)."""
    n = numbers.shape[1]
    median, factor = np.zeros(n), np.zeros(n)
    for j in range(n):
        column = numbers[:, j]
        column = column[np.isfinite(column)]
        if len(column) == 0:
            continue
        low, q1, median[j], q3, high = np.quantile(column, [0, 0.25, 0.5, 0.75, 1])
        width = q3 - q1 if q3 > q1 else (high - low) / 2
        factor[j] = 1 / width if width > 0 and np.isfinite(1 / width) else 0.0
    lacking = np.asarray(np.isnan(numbers).any(axis=0))
    return {"median": median, "center": median.copy(), "factor": factor, "lacking": lacking}
