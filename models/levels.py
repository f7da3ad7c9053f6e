"""Codes of categories: one vocabulary shared by all folds, and what each fold knows of it.

- Code 0 is unknown, 1 missing, then the levels that some fold keeps, then buckets. A fold keeps a
  level that its train rows hold often enough, the commonest first.
- Levels beyond the most that are kept share buckets by a hash of their text, so that ten thousand
  levels cost no more than the kept ones and the buckets. A rare level is unknown.
"""

from __future__ import annotations

import zlib
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

UNKNOWN, MISSING, FIRST_LEVEL = 0, 1, 2
HASHED = 100_000  # levels of one category that are hashed; further ones are unknown


@dataclass(frozen=True, kw_only=True)
class Column:
    """One category: its words, its hashed words, and how many buckets these share."""

    words: tuple[str, ...]
    hashed: tuple[str, ...] = ()
    buckets: int = 0

    @property
    def size(self) -> int:
        """How many codes it has."""
        return FIRST_LEVEL + len(self.words) + self.buckets

    def codes(self) -> dict[str, int]:
        """Return the code of every level and of the missing one; all else is unknown."""
        first = FIRST_LEVEL + len(self.words)
        table = {word: first + bucket(word, self.buckets) for word in self.hashed}
        table |= {word: FIRST_LEVEL + i for i, word in enumerate(self.words)}
        return table | {"": MISSING}


@dataclass(frozen=True, kw_only=True)
class Learned:
    """What the train rows of all folds hold of one category.

    `known` (F, size): shared code -> the fold's. `rare`, `shared`: train rows of each fold whose
    level is unknown there, or only a bucket.
    """

    column: Column
    known: np.ndarray
    rare: list[int]
    shared: list[int]


def learn(
    cells: np.ndarray, trains: Sequence[np.ndarray], *, levels: int, rare: int, buckets: int
) -> Learned:
    """Learn one category's codes from texts (N,), "" where missing."""
    counts = [Counter(cells[train].tolist()) for train in trains]
    often = [_often(each, rare) for each in counts]
    kept = [set(each[:levels]) for each in often]
    words = sorted(set().union(*kept))
    beyond: list[str] = []
    if buckets:
        beyond = sorted(set().union(*(each[levels:] for each in often)) - set(words))[:HASHED]
    column = Column(words=tuple(words), hashed=tuple(beyond), buckets=buckets if beyond else 0)
    code, hashed = column.codes(), set(beyond)
    known = np.zeros((len(trains), column.size), dtype=np.int64)
    rares, shared = [], []
    for fold, each in enumerate(counts):
        own = [code[word] for word in kept[fold]]
        grouped = [word for word in often[fold] if word in hashed]
        own += [code[word] for word in grouped]
        own += [MISSING] if each.get("", 0) else []
        known[fold, own] = own
        inside = kept[fold] | set(grouped)
        rares.append(sum(n for word, n in each.items() if word and word not in inside))
        shared.append(sum(each[word] for word in grouped))
    return Learned(column=column, known=known, rare=rares, shared=shared)


def _often(counts: Counter[str], rare: int) -> list[str]:
    """Return the levels that are frequent enough, the commonest first."""
    ranked = [(-n, level) for level, n in counts.items() if level and n >= rare]
    return [level for _, level in sorted(ranked)]


def codes_of(columns: Sequence[Column], categories: np.ndarray) -> np.ndarray:
    """Map texts (N, c) to codes int64 (N, c)."""
    out = np.zeros(categories.shape, dtype=np.int64)
    for j, column in enumerate(columns):
        table, cells = column.codes(), categories[:, j].tolist()
        out[:, j] = np.fromiter((table.get(v, UNKNOWN) for v in cells), np.int64, len(cells))
    return out


def bucket(word: str, buckets: int) -> int:
    """Return a word's bucket: the same on every machine."""
    return zlib.crc32(word.encode("utf-8", "surrogatepass")) % buckets
