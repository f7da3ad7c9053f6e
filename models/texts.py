"""Categories of many rows as codes: every text is there once, and a cell is a number.

- `Texts` stands where an array of objects (N, c) may stand; `Texts.of` makes one of such an array.
- Indexed by rows it is cut to these rows, and its words stay; as an array it is the texts again.
- `Gathering` takes in blocks of rows, so that the texts of a large table are never all there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, eq=False)
class Texts:
    """Texts (N, c): `codes` int32 (N, c) say where among its column's `words` a cell's text is."""

    codes: np.ndarray
    words: tuple[np.ndarray, ...]
    """Per column, different texts; some may be in no row."""

    @classmethod
    def of(cls, cells: np.ndarray | Texts) -> Texts:
        """Return texts (N, c) of an array of objects; what is one already is returned as it is."""
        if isinstance(cells, Texts):
            return cells
        gathering = Gathering(*cells.shape)
        gathering.put(np.arange(len(cells)), cells)
        return gathering.texts()

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return len(self.codes), len(self.words)

    @property
    def size(self) -> int:
        """The number of cells."""
        return self.codes.size

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, rows: Any) -> Texts:
        """Return some of the rows: by a slice, a mask, or positions."""
        return Texts(self.codes[rows], self.words)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Return the texts as an array of objects (N, c)."""
        del copy  # it always is one
        out = np.empty(self.codes.shape, dtype=object)
        for j in range(len(self.words)):
            out[:, j] = self.column(j)
        return out if dtype is None else out.astype(dtype)

    def columns(self) -> list[Texts]:
        """Return every column as texts of its own, (N, 1)."""
        return [Texts(self.codes[:, j : j + 1], (words,)) for j, words in enumerate(self.words)]

    def column(self, j: int) -> np.ndarray:
        """Return the texts of a column, objects (N,)."""
        return self.words[j][self.codes[:, j]]

    def counts(self, j: int, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Return how many of the rows hold each word of a column."""
        return np.bincount(self.codes[rows, j], minlength=len(self.words[j]))

    def told(self, j: int, meaning: Sequence[float] | np.ndarray) -> np.ndarray:
        """Return for each row (N,) what its word means: `meaning` is by word."""
        return np.asarray(meaning)[self.codes[:, j]]


class Gathering:
    """Texts (N, c) of which blocks of rows become known one after the other."""

    def __init__(self, rows: int, columns: int) -> None:
        """Make room for them, column by column: a column is read more often than a row."""
        self.codes = np.zeros((columns, rows), dtype=np.int32).T
        self.places: list[dict[str, int]] = [{} for _ in range(columns)]

    def put(self, at: np.ndarray, cells: np.ndarray) -> None:
        """Take in the texts (n, c) of the rows at the positions `at` (n,)."""
        import pandas as pd

        for j, places in enumerate(self.places):
            codes, words = pd.factorize(cells[:, j], use_na_sentinel=False)
            texts = ["" if pd.isna(word) else word for word in words]
            own = [places.setdefault(text, len(places)) for text in texts]
            self.codes[at, j] = np.array(own, dtype=np.int32)[codes]

    def texts(self) -> Texts:
        """Return what was taken in; rows that never came hold a column's first word."""
        return Texts(self.codes, tuple(_objects(list(places)) for places in self.places))


def _objects(words: list[str]) -> np.ndarray:
    out = np.empty(len(words), dtype=object)
    out[:] = words
    return out
