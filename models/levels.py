"""Codes of categories: one vocabulary shared by all folds, and what each fold knows of it.

- Code 0 is unknown, 1 missing, then the levels that some fold keeps, then buckets. A fold keeps a
  level that its train rows hold often enough, the commonest first.
- Levels beyond the most that are kept share buckets by a hash of their text, so that ten thousand
  levels cost no more than the kept ones and the buckets. A rare level is unknown.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from models.texts import Texts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

UNKNOWN, MISSING, FIRST_LEVEL = 0, 1, 2
HASHED = 100_000  # levels of one category that are hashed, the commonest; further ones are unknown


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
    cells: np.ndarray | Texts,
    trains: Sequence[np.ndarray],
    *,
    levels: int,
    rare: int,
    buckets: int,
) -> Learned:
    """Learn one category's codes from texts, objects (N,) or as codes (N, 1); "" where missing."""
    texts = cells if isinstance(cells, Texts) else Texts.of(cells[:, None])
    counts = [_counts(texts, train) for train in trains]
    often = [_often(each, rare) for each in counts]
    kept = [set(each[:levels]) for each in often]
    words = sorted(set().union(*kept))
    beyond: list[str] = []
    if buckets:
        beyond = _beyond(counts, [each[levels:] for each in often], set(words))
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


def _beyond(
    counts: Sequence[Mapping[str, int]], rest: Sequence[Sequence[str]], words: set[str]
) -> list[str]:
    """Return the levels that share buckets, sorted: the commonest HASHED of those that are no words."""
    often: dict[str, int] = {}
    for fold, own in zip(counts, rest, strict=True):
        for word in own:
            if word not in words:
                often[word] = max(often.get(word, 0), fold[word])
    if len(often) <= HASHED:
        return sorted(often)
    return sorted(sorted(often, key=lambda word: (-often[word], word))[:HASHED])


def _counts(texts: Texts, rows: np.ndarray) -> dict[str, int]:
    counts = texts.counts(0, rows)
    there = np.flatnonzero(counts)
    return dict(zip(texts.words[0][there].tolist(), counts[there].tolist(), strict=True))


def _often(counts: Mapping[str, int], rare: int) -> list[str]:
    """Return the levels that are frequent enough, the commonest first."""
    ranked = [(-n, level) for level, n in counts.items() if level and n >= rare]
    return [level for _, level in sorted(ranked)]


def codes_of(columns: Sequence[Column], categories: np.ndarray | Texts) -> np.ndarray:
    """Map texts (N, c) to codes int64 (N, c)."""
    texts = Texts.of(categories)
    out = np.zeros(texts.shape, dtype=np.int64)
    for j, column in enumerate(columns):
        table, words = column.codes(), texts.words[j].tolist()
        known = np.fromiter((table.get(word, UNKNOWN) for word in words), np.int64, len(words))
        out[:, j] = texts.told(j, known)
    return out


def bucket(word: str, buckets: int) -> int:
    """Return a word's bucket: the same on every machine."""
    return zlib.crc32(word.encode("utf-8", "surrogatepass")) % buckets
