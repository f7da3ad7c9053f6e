"""Honest tables of many shapes, and one leak of each kind planted into them.

- `honest(seed)` is a table that nobody could object to: measurements, levels, gaps, a target with
  noise that nothing predicts perfectly; every third has one strong column.
- A plant returns the table with the leak, the settings that go with it, and what must be named.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Callable

SHAPES = 20
PEOPLE = 60


@dataclass(kw_only=True)
class World:
    """A table, its target, and the settings beside the defaults."""

    frame: pd.DataFrame
    target: str = "outcome"
    data: dict[str, Any] = field(default_factory=dict)
    split: dict[str, Any] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    """Kinds of columns that the type does not tell, such as text."""
    sides: np.ndarray | None = None
    """A side per row where the split itself is the fault."""


def honest(seed: int, rows: int = 0, task: str = "") -> World:
    """Return an honest table."""
    random = np.random.default_rng((7, seed))
    rows = rows or int(random.choice([200, 400, 1_000, 3_000]))
    task = task or ("binary", "multiclass", "regression")[seed % 3]
    hidden = random.normal(size=(rows, 3))
    frame = pd.DataFrame()
    for k in range(int(random.integers(4, 12))):
        mixed = hidden @ random.normal(size=3) + random.normal(size=rows)
        frame[f"m{k}"] = _measured(mixed, random)
    for k in range(int(random.integers(1, 5))):
        levels = int(random.integers(2, 9))
        scores = hidden[:, k % 3][:, None] * random.normal(size=levels) + random.gumbel(
            size=(rows, levels)
        )
        frame[f"c{k}"] = np.array([f"level {n}" for n in range(levels)])[scores.argmax(axis=1)]
    score = hidden @ np.array([1.0, -0.7, 0.4])
    if seed % 3 == 0:  # a strong honest marker: an area of about .98
        frame["marker"] = (score + random.normal(scale=0.3, size=rows)).round(3)
    for name in frame.columns[::3]:
        frame.loc[random.random(rows) < 0.05, name] = None
    frame["outcome"] = _outcome(score, task, random)
    return World(frame=frame)


def _measured(values: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Write a measurement as tables do: rounded, counted, skewed or in thousands."""
    form = int(random.integers(0, 5))
    if form == 0:
        return values.round(2)
    if form == 1:
        return np.round(np.exp(values) * 1_000, 0)
    if form == 2:
        return np.round(30 + 12 * values)
    if form == 3:
        return random.poisson(np.exp(np.clip(values / 2, -3, 3))).astype(float)
    return values * float(random.uniform(0.1, 500))


def _outcome(score: np.ndarray, task: str, random: np.random.Generator) -> Any:
    if task == "regression":
        return np.round(100 + 15 * score + 10 * random.normal(size=len(score)), 2)
    noisy = score + 0.6 * random.logistic(size=len(score))
    if task == "binary":
        return np.where(noisy > np.quantile(noisy, 0.6), "yes", "no")
    return np.array(["low", "middle", "high"])[np.digitize(noisy, np.quantile(noisy, [0.3, 0.7]))]


# --------------------------------------------------------------------- plants


def copy(seed: int) -> World:
    """The target under another name: other labels, or rescaled."""
    world = honest(seed)
    y = world.frame["outcome"]
    if y.dtype.kind == "f":
        world.frame["settled"] = 3.7 * y - 12
    else:
        codes = {name: f"code {k}" for k, name in enumerate(y.unique())}
        world.frame["settled"] = [codes[name] for name in y]
    return world


def noisy_copy(seed: int) -> World:
    """The target with one part in a hundred of noise, or two labels in a thousand wrong."""
    world, random = honest(seed), np.random.default_rng((8, seed))
    y = world.frame["outcome"]
    if y.dtype.kind == "f":
        world.frame["settled"] = 0.4 * y + random.normal(scale=0.004 * y.std(), size=len(y))
    else:
        wrong = random.random(len(y)) < 0.002
        world.frame["settled"] = y.where(~wrong, random.permutation(y))
    return world


def parts(seed: int) -> World:
    """A total beside its parts."""
    world, random = honest(seed, task="regression"), np.random.default_rng((9, seed))
    rows = len(world.frame)
    a, b = random.poisson(40, rows) * 1.0, np.round(random.gamma(3, 20, rows), 1)
    world.frame["first"], world.frame["second"] = a, b
    world.frame["outcome"] = a - b if seed % 2 else a + b
    return world


def product(seed: int) -> World:
    """An amount beside price and number, rounded to cents."""
    world, random = honest(seed, task="regression"), np.random.default_rng((10, seed))
    rows = len(world.frame)
    world.frame["price"] = np.round(random.gamma(3, 20, rows) + 1, 2)
    world.frame["number"] = random.integers(1, 30, rows)
    world.frame["outcome"] = (world.frame["price"] * world.frame["number"]).round(2)
    return world


def gaps(seed: int) -> World:
    """A column that is filled in where the outcome came about, and there alone."""
    world, random = honest(seed, task="binary"), np.random.default_rng((11, seed))
    reason = pd.Series(random.choice(["a", "b", "c"], len(world.frame)))
    world.frame["reason"] = reason.where(world.frame["outcome"] == "yes")
    return world


def row_numbers(seed: int) -> World:
    """A file that is sorted by its target, and numbers its rows."""
    world = honest(seed)
    world.frame = world.frame.sort_values("outcome", ignore_index=True)
    world.frame["line"] = np.arange(1, len(world.frame) + 1)
    return world


def late(seed: int) -> World:
    """Columns that come to be with the target: both lack in rows that were called off."""
    world, random = honest(seed), np.random.default_rng((12, seed))
    off = random.random(len(world.frame)) < 0.1
    frame = world.frame
    frame["arrived"] = np.where(off, np.nan, random.normal(size=len(frame)))
    frame["called_off"] = off.astype(float)
    frame["outcome"] = frame["outcome"].astype(object).where(~off, None)
    if honest(seed).frame["outcome"].dtype.kind == "f":
        frame["outcome"] = frame["outcome"].astype(float)
    return world


def near_twins(seed: int) -> World:
    """Every row twice, all numbers of one of the two a little off, or one cell changed."""
    world, random = honest(seed), np.random.default_rng((13, seed))
    for k in range(4):  # copies can be told from chance where something was measured
        world.frame.insert(0, f"x{k}", random.normal(50, 10, len(world.frame)).round(3))
    twin = world.frame.copy()
    numbers = [n for n in twin if twin[n].dtype.kind == "f" and n != "outcome"]
    if seed % 2:
        for name in numbers:
            twin[name] += random.normal(scale=0.005 * twin[name].std(), size=len(twin))
    else:
        name = numbers[seed % len(numbers)]
        twin[name] = twin[name] + random.normal(scale=twin[name].std(), size=len(twin))
    world.frame = pd.concat([world.frame, twin], ignore_index=True)
    return world


def future(seed: int) -> World:
    """A declared time, and rows that are split at random without a word."""
    world = honest(seed)
    world.frame["at"] = pd.date_range("2024-01-01", periods=len(world.frame), freq="h")
    world.data["time"] = "at"
    return world


def series(seed: int) -> World:
    """A series with a date that nobody declared."""
    world, random = honest(seed, rows=1_000, task="regression"), np.random.default_rng((14, seed))
    rows = len(world.frame)
    walk = np.zeros(rows)
    for k in range(1, rows):
        walk[k] = 0.9 * walk[k - 1] + random.normal()
    world.frame["at"] = pd.date_range("2024-01-01", periods=rows, freq="h")
    world.frame["outcome"] = (walk * 10 + random.normal(size=rows)).round(2)
    return world


def people(seed: int) -> World:
    """Several rows of each patient, and no group declared."""
    world, random = honest(seed, rows=1_000), np.random.default_rng((15, seed))
    rows = len(world.frame)
    who = random.integers(0, PEOPLE, rows)
    world.frame["patient_id"] = [f"P{k:03d}" for k in who]
    offset = random.normal(size=PEOPLE)[who]
    score = offset * 2 + random.normal(size=rows)
    task = ("binary", "multiclass", "regression")[seed % 3]
    world.frame["outcome"] = _outcome(score, task, random)
    return world


def population(seed: int) -> World:
    """A given test file from somewhere else."""
    world, random = honest(seed), np.random.default_rng((16, seed))
    frame = world.frame
    given = np.arange(len(frame)) >= int(0.7 * len(frame))
    numbers = [n for n in frame if frame[n].dtype.kind == "f" and n != "outcome"][:3]
    for name in numbers:
        frame.loc[given, name] += 1.5 * frame[name].std()
    del random
    frame["__given__"] = given
    world.split = {"by": "given", "test_source": "other.csv"}
    return world


def scaled(seed: int) -> World:
    """Columns that were standardised before the table was handed over."""
    world = honest(seed)
    for name in [n for n in world.frame if world.frame[n].dtype.kind == "f" and n != "outcome"][:4]:
        values = world.frame[name]
        world.frame[name] = (values - values.mean()) / values.std(ddof=seed % 2)
    return world


def encoded(seed: int) -> World:
    """A level replaced by the mean target of its rows, test rows among them."""
    world, random = honest(seed, rows=1_000), np.random.default_rng((17, seed))
    y = world.frame["outcome"]
    truth = y if y.dtype.kind == "f" else (y == y.iloc[0]).astype(float)
    town = pd.Series(random.integers(0, 40, len(y)))
    world.frame["town"] = truth.groupby(town).transform("mean")
    return world


def same_rows(seed: int) -> World:
    """A test side that holds rows of the train side again."""
    world = honest(seed)
    random = np.random.default_rng((18, seed))
    frame = world.frame.reset_index(drop=True)
    again = frame.sample(frac=0.1, random_state=seed)
    world.frame = pd.concat([frame, again], ignore_index=True)
    sides = np.where(random.random(len(frame)) < 0.2, "test", "train")
    world.sides = np.concatenate([sides, np.full(len(again), "test")])
    return world


PLANTS: dict[str, tuple[str, Callable[[int], World], tuple[str, ...]]] = {
    "copy": ("illegitimate", copy, ("settled",)),
    "noisy copy": ("illegitimate", noisy_copy, ("settled",)),
    "parts of a total": ("illegitimate", parts, ("first", "second")),
    "product": ("illegitimate", product, ("price", "number")),
    "gaps": ("illegitimate", gaps, ("reason",)),
    "row numbers": ("illegitimate", row_numbers, ("line",)),
    "late columns": ("illegitimate", late, ("arrived", "called_off")),
    "near twins": ("duplicates", near_twins, ()),
    "future": ("temporal", future, ()),
    "series": ("temporal", series, ("at",)),
    "patients": ("dependent", people, ("patient_id",)),
    "other population": ("population", population, ()),
    "scaled before": ("preprocessing", scaled, ()),
    "encoded before": ("preprocessing", encoded, ("town",)),
    "test rows twice": ("test_set", same_rows, ()),
}
"""Type, maker, and the columns that must be named."""
