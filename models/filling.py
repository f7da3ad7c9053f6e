"""The encoder's imputer: one per fold, learned on the rows that the fold does not judge.

- Categories help: their frequent levels are known columns beside the numbers. What a level adds is
  a row of `levels` that serving looks up, so that levels are never spread out.
- Where no train row lacks a number there is nothing to learn, and the median serves.
- One thread: the same table gives the same bits in whatever process learns or fills.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from models.fill import fill, layers
from models.threads import one_thread

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from models.impute_space import Arrays

HINTS = 16  # levels of one category that imputers are told, at most
ALL_HINTS = 128  # of all categories
SUPPORT = 20  # rows that such a level needs


class Filling(nn.Module):
    """Fills missing numbers fold by fold; `kind` is a key of `models.fill.KINDS`.

    Buffers are the imputer's arrays, stacked over folds, and where there are categories `hint`
    (F, T), every code's row in `levels` (F, k + 1, h); the first row is zeros, for all other codes.
    """

    def __init__(self, kind: str, facts: dict[str, Any] | None = None) -> None:
        """Start with nothing learned."""
        super().__init__()
        self.kind, self.facts = kind, facts or {}

    def fit(
        self,
        numbers: np.ndarray,
        codes: np.ndarray,
        trains: Sequence[np.ndarray],
        *,
        size: int,
        seed: int,
        **options: Any,
    ) -> Filling:
        """Learn every fold's imputer.

        Args:
            numbers: float64 (N, n).
            codes: int64 (F, N, c): each fold's codes, every column's in a range of its own.
            trains: per fold, which rows (N,) it may learn from.
            size: how many codes there are, those of all columns.
            seed: of whatever is random in an imputer.
            options: of the imputer, other than its defaults.
        """
        from models.impute import IMPUTERS  # with Lightning, which takes seconds to import

        learned = []
        for fold, train in enumerate(trains):
            hints = hints_of(codes[fold][train])
            known = known_of(codes[fold][train], hints)
            imputer: Any = IMPUTERS[self.kind](seed=seed, **options).fit(numbers[train], known)
            learned.append((imputer, hints))
        self.facts |= {"folds": [imputer.facts for imputer, _ in learned]}
        self.facts["lacking"] = [float(np.isnan(numbers[t]).any(axis=1).mean()) for t in trains]
        for name in learned[0][0].arrays:
            if name != "hints":
                stacked = np.stack([imputer.arrays[name] for imputer, _ in learned])
                self.register_buffer(name, torch.from_numpy(stacked))
        if size:
            for name, array in _levels(learned, size).items():
                self.register_buffer(name, torch.from_numpy(array))
        return self

    def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
        """Fill float64 (N, n) -> (F, N, n); `codes` int64 (F, N, c) as `fit` took them."""
        arrays = dict(self.named_buffers())
        offset = partial(_offset, arrays, codes) if "levels" in arrays else None
        with one_thread():
            return fill(self.kind, arrays, numbers, offset)

    @property
    def products(self) -> float:
        """Products of all folds for an average row, by the share of train rows that lack a cell."""
        arrays = dict(self.named_buffers())
        folds, columns = arrays["center"].shape
        if "precision" in arrays:
            each = columns * columns * (1 + int(arrays["passes"].max()))
        else:
            each = sum(arrays[f"w{place}"][0].numel() for place in range(layers(arrays)))
        return folds * each * max(self.facts["lacking"])

    @property
    def widest(self) -> int:
        """The most activations of one row at a time."""
        arrays = dict(self.named_buffers())
        folds, columns = arrays["center"].shape
        inner = arrays["w0"].shape[2] if "w0" in arrays else 0
        return 3 * folds * max(columns, inner)


def hints_of(codes: np.ndarray) -> np.ndarray:
    """Return the codes of train rows (N, c) that are worth a known column: the frequent ones."""
    found: list[tuple[int, int]] = []
    for column in codes.T:
        values, counts = np.unique(column, return_counts=True)
        frequent = [
            (int(count), int(value))
            for value, count in zip(values, counts, strict=True)
            if SUPPORT <= count < len(column)
        ]
        found += sorted(frequent, key=lambda pair: (-pair[0], pair[1]))[:HINTS]
    best = sorted(found, key=lambda pair: (-pair[0], pair[1]))[:ALL_HINTS]
    return np.array(sorted(code for _, code in best), dtype=np.int64)


def known_of(codes: np.ndarray, hints: np.ndarray) -> np.ndarray:
    """Return which rows have which hint, float32 (N, k)."""
    out = np.zeros((len(codes), len(hints)), dtype=np.float32)
    for column in codes.T if len(hints) else ():
        place = np.minimum(np.searchsorted(hints, column), len(hints) - 1)
        hit = np.flatnonzero(hints[place] == column)
        out[hit, place[hit]] = 1.0
    return out


def _levels(learned: Sequence[tuple[Arrays, np.ndarray]], size: int) -> dict[str, np.ndarray]:
    """Return `hint` (F, T) and `levels` (F, k + 1, h): what every code adds, fold by fold."""
    most = max(len(hints) for _, hints in learned)
    weights = learned[0][0].arrays["hints"]
    hint = np.zeros((len(learned), size), dtype=np.int64)
    levels = np.zeros((len(learned), most + 1, weights.shape[1]), dtype=weights.dtype)
    for fold, (imputer, hints) in enumerate(learned):
        hint[fold, hints] = 1 + np.arange(len(hints))
        levels[fold, 1 : 1 + len(hints)] = imputer.arrays["hints"]
    return {"hint": hint, "levels": levels}


def _offset(arrays: Mapping[str, Tensor], codes: Tensor, rows: Tensor) -> Tensor:
    """Sum what rows' codes add, (F, R, h)."""
    own, folds = codes[:, rows], torch.arange(len(codes))[:, None, None]
    return arrays["levels"][folds, arrays["hint"][folds, own]].sum(dim=2)
