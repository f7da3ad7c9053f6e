"""Test rows that are nearly a train row: most cells equal, or all of them close.

- Equal but for a few cells: columns are dealt into blocks, each block hashed; two rows are twins
  when all blocks but one or two agree and these could not agree by chance.
- Close in every number (rounded, jittered): the nearest train row is far nearer than the tenth.
  How often that happens by chance follows from the dimension that the rows themselves show
  (Levina and Bickel 2004); only the excess counts.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from expectations.leaks import Leak

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCKS = 8
LEAST_COLUMNS = 4
CONTINUOUS = 3
COARSE = 0.5
TELLING = 0.05  # a column whose cells agree more often by chance tells nothing
HALF = 0.5  # columns go together: a column is worth half of what it would be alone
SAFETY = 100.0  # fewer than one twin by chance in so many test rows
ASKED = 1_000  # test rows whose neighbours are looked for
PAIRED = 50_000_000  # distances that are worth their time; a fifth of ASKED is always asked
NEAR, TENTH, TWENTIETH = 0.15, 9, 19
DIMENSIONS = 24
LEAST_DIMENSION = 2.5
CELLS_AT_ONCE = 1 << 24
PLACED_AT_ONCE = 1 << 16  # rows
WARNED = 0.02
FEWEST = 10
PAIRS = 3
QUANTILES = 100_000  # values that say where the middle of a column is


@dataclass(kw_only=True)
class Twins:
    """Gathers columns of N rows one by one; `found` says which test rows are twins."""

    train: np.ndarray
    """Which rows are fitted on, bool (N,)."""
    test: np.ndarray
    seed: int = 0
    columns: int = 0
    blocks: list[np.ndarray] = field(default_factory=list)
    worth: list[float] = field(default_factory=list)
    """Per block, how improbable it is that two rows agree: -log, halved."""
    places: np.ndarray | None = None
    """Rows in space: float32 (N, d), at most DIMENSIONS of them."""
    placed: int = 0
    continuous: int = 0
    """Columns placed, and those of them whose cells hardly ever agree."""

    def add(self, cells: np.ndarray) -> None:
        """Take in a column: float64 with NaN, or level codes."""
        hashed, agree = _hashed(cells)
        block = self.columns % BLOCKS
        if block == len(self.blocks):
            self.blocks.append(np.zeros(len(cells), np.uint64))
            self.worth.append(0.0)
        with np.errstate(over="ignore"):
            mixed = self.blocks[block] ^ (self.blocks[block] >> np.uint64(29))
            self.blocks[block] = mixed * np.uint64(0xBF58476D1CE4E5B9) + hashed
        self.columns += 1
        if agree <= TELLING:
            self.worth[block] += -HALF * float(np.log(max(agree, 1e-300)))
        if cells.dtype.kind == "f" and agree <= COARSE:
            self.continuous += agree <= TELLING
            self._place(cells)

    def _place(self, cells: np.ndarray) -> None:
        """Put a continuous column into the space, by a random direction where there are many."""
        known = cells[np.isfinite(cells)]
        some = known[:: max(1, len(known) // QUANTILES)]
        low, middle, high = np.quantile(some, [0.25, 0.5, 0.75])
        width = (high - low) or float(known.std()) or 1.0
        scaled = np.clip(np.nan_to_num((cells - middle) / width), -10, 10).astype(np.float32)
        if self.places is None:
            self.places = np.zeros((len(cells), DIMENSIONS), np.float32)
        if self.placed < DIMENSIONS:
            self.places[:, self.placed] += scaled
        else:
            random = np.random.default_rng((self.seed, self.placed))
            signs = random.choice(np.array([-1, 1], np.float32), DIMENSIONS)
            signs /= np.float32(np.sqrt(DIMENSIONS))
            for start in range(0, len(scaled), PLACED_AT_ONCE):
                rows = slice(start, start + PLACED_AT_ONCE)
                self.places[rows] += scaled[rows, None] * signs
        self.placed += 1

    # ------------------------------------------------------------- what was found

    def equal(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the test rows that nearly equal a train row, and a train row for each."""
        train, test = np.flatnonzero(self.train), np.flatnonzero(self.test)
        partner = np.full(len(test), -1, np.int64)
        for chosen in self._choices(len(train)):
            key = np.zeros(len(self.train), np.uint64)
            for block in chosen:
                with np.errstate(over="ignore"):
                    key = (key ^ (key >> np.uint64(31))) * np.uint64(0x94D049BB133111EB)
                    key += self.blocks[block]
            known, first = np.unique(key[train], return_index=True)
            at = np.minimum(np.searchsorted(known, key[test]), len(known) - 1)
            same = (known[at] == key[test]) & (partner < 0)
            partner[same] = train[first[at[same]]]
        found = partner >= 0
        return test[found], partner[found]

    def _choices(self, rows: int) -> Iterator[tuple[int, ...]]:
        """Yield the sets of blocks that say enough when they agree."""
        count = len(self.blocks)
        if self.columns < LEAST_COLUMNS or not rows:
            return
        enough = np.log(rows) + np.log(SAFETY)
        for left_out in range(1, 3 if count >= BLOCKS else 2):
            for chosen in itertools.combinations(range(count), count - left_out):
                if sum(self.worth[block] for block in chosen) > enough:
                    yield chosen

    def close(self) -> float | None:
        """Return the share of test rows with a train row far nearer than chance has it."""
        if self.places is None or self.continuous < CONTINUOUS:
            return None
        space = self.places[:, : min(self.placed, DIMENSIONS)]
        train, test = np.flatnonzero(self.train), np.flatnonzero(self.test)
        if len(train) < 10 * TWENTIETH or len(test) < FEWEST:
            return None
        most = int(np.clip(PAIRED // len(train), ASKED // 5, ASKED))
        if len(test) > most:
            test = np.sort(np.random.default_rng(self.seed).choice(test, most, replace=False))
        nearest = _nearest(space[test], space[train])
        first, tenth, twentieth = nearest[:, 0], nearest[:, TENTH], nearest[:, TWENTIETH]
        usable = tenth > 0
        if usable.sum() < FEWEST:
            return None
        middle = float(np.median(tenth[usable] / twentieth[usable]))
        dimension = np.log(0.5) / np.log(middle) if 0 < middle < 1 else 0.0
        if dimension < LEAST_DIMENSION:
            return None
        chance = 1 - (1 - NEAR**dimension) ** TENTH
        found = float((first[usable] < NEAR * tenth[usable]).mean())
        return max(0.0, (found - chance) / (1 - chance))


def _hashed(cells: np.ndarray) -> tuple[np.ndarray, float]:
    """Return a hash per cell, and how often two cells agree by chance."""
    values = cells + 0.0 if cells.dtype.kind == "f" else cells.astype(np.int64)  # one zero
    values = np.where(np.isnan(values), np.nan, values) if values.dtype.kind == "f" else values
    bits = np.ascontiguousarray(values).view(np.uint64)
    _, counts = np.unique(bits[:: max(1, len(bits) // 50_000)], return_counts=True)
    shares = counts / counts.sum()
    with np.errstate(over="ignore"):
        z = bits + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        return z ^ (z >> np.uint64(27)), float(np.sum(shares**2))


def _nearest(asked: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return the distances (n, 20) to the nearest rows of `known`, in order."""
    best = np.full((len(asked), 0), np.inf, np.float32)
    own = np.sum(asked**2, axis=1)[:, None]
    step = max(64, CELLS_AT_ONCE // len(asked))
    for start in range(0, len(known), step):
        part = known[start : start + step]
        squares = own + np.sum(part**2, axis=1)[None] - 2 * asked @ part.T
        best = np.concatenate([best, squares], axis=1)
        best = np.partition(best, TWENTIETH, axis=1)[:, : TWENTIETH + 1]
    return np.sqrt(np.maximum(np.sort(best, axis=1), 0.0))


def twins(gathered: Twins, rows: np.ndarray, *, most: float) -> list[Leak]:
    """Return at most one finding; `rows` are the rows' numbers, `most` the share that refuses."""
    test = int(gathered.test.sum())
    if not test:
        return []
    ours, theirs = gathered.equal()
    close = gathered.close()
    equal = len(ours) / test
    share = max(equal, close or 0.0)
    count = max(len(ours), round((close or 0.0) * test))
    if count < FEWEST or share < WARNED:
        return []
    pairs = [
        [int(rows[a]), int(rows[b])] for a, b in zip(ours[:PAIRS], theirs[:PAIRS], strict=True)
    ]
    how = "in all columns but one or two" if equal >= (close or 0.0) else "in every number"
    said = f"about {count:,} of {test:,} test rows ({share:.1%}) are nearly a train row, {how}"
    if pairs:
        said += f"; such as rows {pairs[0][0]:,} and {pairs[0][1]:,}"
    return [
        Leak(
            type="duplicates",
            kind="near",
            sure=share >= most,
            sentence=said,
            numbers={"rows": count, "share": round(share, 6), "pairs": pairs},
            advice="remove copies before the table is made, or declare data.group for what they share",
        )
    ]
