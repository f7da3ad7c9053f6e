"""Which columns a fold reads: chosen by its train rows alone, and recorded with the reason.

- A dropped column stays an input of the graph and says nothing there: its factor is 0, its levels
  are unknown.
- A column goes that is one value nearly everywhere; of two numbers that move together the later one
  goes; of many columns those stay that say most of the target.
- What says most is asked of many halves of the train rows: a column stays that is chosen in most of
  them (stability selection, Meinshausen and Buehlmann, 2010), so that no chance choice is kept.
- A table is read by blocks of rows or by samples, never copied.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from models.telling import MEASURES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from models.table import TrainingTable
ASKED = ("drop_constant", "drop_correlated", "keep")
"""Settings that choose among columns."""
SAMPLE = 100_000  # train rows that tell whether a column varies, at most
ROWS = 10_000  # looked at for what columns say of the target
PAIRS = 5  # complementary halves of them: twice as many looks
MOST_LOOKS = 0.5  # share of the looks in which a column that stays is chosen, above
BLOCK, CELLS = 65_536, 1 << 23  # rows looked at at a time, and cells of theirs, at most
GLANCE = 2_000  # rows that name a column's commonest cell


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What was chosen: columns that go, each with its reason, and how often each was chosen.

    Columns are numbers first, then categories. `shares` (n + c,) are shares of the looks, empty where
    there was no choice; 0 for columns that had gone before.
    """

    gone: dict[int, str] = field(default_factory=dict)
    shares: list[float] = field(default_factory=list)


def choose(
    table: TrainingTable,
    codes: np.ndarray,
    train: np.ndarray,
    rows: np.ndarray,
    *,
    names: Sequence[str],
    drop_constant: float | None,
    drop_correlated: float | None,
    keep: int | None,
    by: str,
    seed: int,
) -> tuple[dict[int, str], list[float]]:
    """Return columns that a fold drops, each with its reason, and the shares of looks of `Kept`.

    Args:
        table: of all rows.
        codes: the fold's own of `rows` (M, c).
        train: bool (N,), the fold's train rows.
        rows: positions (M,) of at most SAMPLE of them, in an order of chance.
        names: of numbers, then of categories.
        drop_constant, drop_correlated, keep: as settings have them, None: not asked for.
        by: a key of `models.telling.MEASURES`.
        seed: of whatever is random.
    """
    gone: dict[int, str] = {}
    if drop_constant is not None:
        gone |= constant(table.numbers, codes, rows, most=drop_constant)
    if drop_correlated is not None:
        gone |= correlated(
            table.numbers, most=drop_correlated, without=tuple(gone), rows=train, names=names
        )
    if keep is None:
        return gone, []
    few = rows[:ROWS]
    found = kept(
        table.numbers[few], codes[:ROWS], table.target[few],
        classes=table.classes, most=keep, by=by, seed=seed, without=tuple(gone),
    )  # fmt: skip
    return gone | found.gone, found.shares


def constant(
    numbers: np.ndarray, codes: np.ndarray, rows: np.ndarray, *, most: float
) -> dict[int, str]:
    """Return columns of which one value, or the missing one, fills at least that share of the rows.

    Args:
        numbers: (N, n), NaN where missing.
        codes: a fold's own of `rows` (M, c): levels that are rare there are one value.
        rows: positions (M,) of train rows, in an order of chance.
        most: a share, more than a half.
    """
    found, n = {}, numbers.shape[1]
    for j in range(n + codes.shape[1]):
        cells = numbers[rows, j] if j < n else codes[:, j - n]
        values, counts = np.unique(cells[:GLANCE], return_counts=True)
        usual = values[counts.argmax()]
        share = float((np.isnan(cells) if usual != usual else cells == usual).mean())  # noqa: PLR0124
        if share >= most:
            found[j] = f"one value in {share:.2%} of the rows"
    return found


def correlated(
    numbers: np.ndarray,
    *,
    most: float,
    without: Sequence[int] = (),
    rows: np.ndarray | None = None,
    names: Sequence[str] = (),
) -> dict[int, str]:
    """Return number columns of (N, n) to drop, each with its reason.

    Missing cells count as the column's mean, which only lowers a correlation. `rows` bool (N,) are
    the train rows, None: all; columns in `without` have gone already.
    """
    alike = np.abs(_correlations(numbers, rows))
    dropped: dict[int, str] = {}
    for j in range(1, len(alike)):
        others = [i for i in range(j) if i not in dropped and i not in without]
        if others and j not in without:
            nearest = others[int(np.argmax(alike[j, others]))]
            if alike[j, nearest] >= most:
                name = names[nearest] if names else f"column {nearest}"
                dropped[j] = f"moves with {name}, correlation {alike[j, nearest]:.4f}"
    return dropped


def _correlations(numbers: np.ndarray, rows: np.ndarray | None) -> np.ndarray:
    """Return correlations (n, n) of train rows, 0 where a column has no width."""
    n = numbers.shape[1]
    low, count, total = np.full(n, np.inf), np.zeros(n), np.zeros(n)
    for block in _blocks(numbers, rows):
        low = np.minimum(
            low, np.where(np.isfinite(block), block, np.inf).min(axis=0, initial=np.inf)
        )
    low = np.where(np.isfinite(low), low, 0.0)
    for block in _blocks(numbers, rows):
        there = np.isfinite(block)
        count += there.sum(axis=0)
        total += np.where(there, block - low, 0.0).sum(axis=0)
    mean = total / np.maximum(count, 1)
    gram = np.zeros((n, n))
    for block in _blocks(numbers, rows):
        z = np.where(np.isfinite(block), block - low - mean, 0.0)
        gram += z.T @ z
    width = np.sqrt(np.diag(gram))
    usable = (width > 0) & np.isfinite(width)
    per = np.divide(1.0, width, out=np.zeros(n), where=usable)
    return np.where(usable & usable[:, None], gram, 0.0) * per * per[:, None]


def _blocks(numbers: np.ndarray, rows: np.ndarray | None) -> Iterator[np.ndarray]:
    size = max(1, min(BLOCK, CELLS // max(numbers.shape[1], 1)))
    for start in range(0, len(numbers), size):
        block = numbers[start : start + size]
        yield block if rows is None else block[rows[start : start + size]]


def kept(
    numbers: np.ndarray,
    codes: np.ndarray,
    target: np.ndarray,
    *,
    classes: int,
    most: int,
    by: str = "information",
    seed: int,
    without: Sequence[int] = (),
) -> Kept:
    """Choose at most so many columns of some train rows by what they say of the target.

    Args:
        numbers: (M, n), NaN where missing.
        codes: (M, c).
        target: class codes or values (M,).
        classes: 0 for a regression.
        most: columns that stay, at most.
        by: a key of `models.telling.MEASURES`.
        seed: of the halves.
        without: columns that have gone already.
    """
    columns = numbers.shape[1] + codes.shape[1]
    there = np.array([j for j in range(columns) if j not in without], dtype=np.int64)
    if len(there) <= most:
        return Kept()
    measure, random = MEASURES[by], np.random.default_rng(seed)
    halves = [
        own for _ in range(PAIRS) for own in np.array_split(random.permutation(len(target)), 2)
    ]
    told = np.stack(
        [measure(numbers[own], codes[own], target[own], classes, seed) for own in halves]
    )
    own = told[:, there]  # (looks, columns)
    if not (own > 0).any():  # too few rows to tell anything: nothing is chosen
        return Kept()
    place = np.argsort(np.argsort(-own, axis=1, kind="stable"), axis=1, kind="stable")
    chosen = ((place < most) & (own > 0)).mean(axis=0)
    mean = own.mean(axis=0)
    order = np.lexsort((-mean, -chosen))
    stays = [int(k) for k in order[:most] if chosen[k] > MOST_LOOKS] or [int(order[0])]
    shares = np.zeros(columns)
    shares[there] = chosen
    gone = {
        int(
            there[k]
        ): f"chosen in {chosen[k]:.0%} of {len(told)} looks by {by}, {mean[k]:.4g} on average"
        for k in order
        if int(k) not in stays
    }
    return Kept(gone=gone, shares=[float(share) for share in shares])
