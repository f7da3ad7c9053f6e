"""The leak canary: rows that judge are replaced by garbage, and nothing that is learned may move.

- What is fitted here is what a training fits: encoder, imputer, target scale, the encoded train rows
  and the linear rung's own scaling; each fold by itself, so that a fold's state is all there is.
- States are compared bit by bit, by digest and name; a name that moved is a leak, and says where.
- Garbage: numbers times a thousand, shuffled and missing, or the target itself a thousandfold, so
  that a choice by the target moves too; levels shuffled, missing and never seen; other weights.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from models.fit import encode
from models.outliers import without_outliers
from models.texts import Texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from models.settings import TrainSettings
    from models.table import TrainingTable

CHOSEN = (
    "vocabulary", "known", "rare", "columns", "indicator", "shape", "words", "levels", "dropped",
    "chosen", "crossing", "outliers",
)  # fmt: skip
"""What a name holds that is a choice (of columns, levels, bins, rows) and no measurement."""
LARGE = 1000.0
LARGEST = 1e15  # beyond which units are not followed
RUNG, RUNG_ROWS = "linear.", 600  # train rows of the linear rung


@dataclass(frozen=True, kw_only=True)
class Moved:
    """Something learned that moved when rows were replaced that it must not see."""

    fold: int
    name: str

    @property
    def selected(self) -> bool:
        """Whether it is a choice, not a measurement."""
        return any(word in self.name for word in CHOSEN)


def learned(table: TrainingTable, settings: TrainSettings, *, rung: bool = True) -> dict[str, str]:
    """Return the digest of everything that a table of one fold teaches, by name.

    `rung` says whether the linear rung is fitted too.
    """
    table = _marked(table, settings)
    encoded = encode(table, settings)
    train = np.flatnonzero(table.fold != 0)
    found: dict[str, str] = {}
    for field in fields(encoded):
        value = getattr(encoded, field.name)
        if isinstance(value, nn.Module):
            for name, array in value.state_dict().items():
                found[f"{field.name}.{name}"] = _digest(array.cpu().numpy())
            for name, said in _described(value).items():
                found[f"{field.name}.{name}"] = _said(said)
    rows = encoded.rows
    for name in ("values", "codes", "target", "loss_weight"):
        array = np.asarray(getattr(rows, name).cpu().numpy())
        found[f"train rows.{name}"] = _digest(
            array.take(train, axis=2 if name == "loss_weight" else 1)
        )
    if rows.offset is not None:
        found["train rows.offset"] = _digest(rows.offset.cpu().numpy())
    if table.outliers is not None:
        found["train rows.outliers"] = _digest(table.outliers.rows[:, train])
    return found | (_rung(table, settings.seed) if rung else {})


def _marked(table: TrainingTable, settings: TrainSettings) -> TrainingTable:
    """Return the table with its outliers marked; a sample that has too many of them keeps them."""
    return without_outliers(table, settings.drop_outliers, strict=False)


def _described(module: nn.Module) -> dict[str, Any]:
    """Return what a module says of itself beside its tensors; counts of cells are no state."""
    describe = getattr(module, "describe", None)
    said = dict(describe()) if describe is not None else {}
    said.pop("filling", None)  # how much was filled, and how well: facts for the report
    if hasattr(module, "log"):
        said["log"] = bool(module.log)
    return said


def _rung(table: TrainingTable, seed: int) -> dict[str, str]:
    """Fit the linear rung on a few rows: it has its own scaling, filling and levels."""
    from models.baselines import fit_rungs

    few = np.concatenate(
        [np.flatnonzero(table.fold != 0)[:RUNG_ROWS], np.flatnonzero(table.fold == 0)]
    )
    small = _taken(table, few)
    form = fit_rungs(small, seed=seed, names=("linear",))[0].form
    if form is None:  # it cannot be served, and is not
        return {}
    names = ("median", "center", "factor")
    found = {f"{RUNG}{n}": _digest(a) for n, a in form.tensors().items() if n in names}
    return found | {f"{RUNG}words": _said(form.describe())}


def moved(table: TrainingTable, settings: TrainSettings, *, most: int = 2) -> list[Moved]:
    """Return what moves when the rows that a fold judges are replaced; at most `most` folds.

    An imputer that is chosen on validation rows is judged by what was chosen.
    """
    found: list[Moved] = []
    for fold in range(min(int(table.fold.max()) + 1, most)):
        own = replace(table, fold=np.where(table.fold == fold, 0, -1))
        fixed = _fixed(own, settings)
        before = learned(own, fixed, rung=not fold)
        after = learned(spoilt(own, own.fold == 0, seed=fold), fixed, rung=not fold)
        names = sorted(before.keys() | after.keys())
        if not (_has_rung(before) and _has_rung(after)):  # what cannot be served is not compared
            names = [name for name in names if not name.startswith(RUNG)]
        found += [Moved(fold=fold, name=n) for n in names if before.get(n) != after.get(n)]
    return found


def _has_rung(found: Mapping[str, str]) -> bool:
    return any(name.startswith(RUNG) for name in found)


def _fixed(table: TrainingTable, settings: TrainSettings) -> TrainSettings:
    if settings.impute != "auto":
        return settings
    encoder: Any = encode(_marked(table, settings), settings).encoder
    return replace(settings, impute=encoder.filling_.get("kind", "median"))


def compared(one: TrainingTable, other: TrainingTable) -> list[str]:
    """Return what differs between two tables that must be the same."""
    pairs = ((f.name, getattr(one, f.name), getattr(other, f.name)) for f in fields(one))
    return [name for name, a, b in pairs if _state(a) != _state(b)]


def _state(value: Any) -> str:
    if isinstance(value, Texts):
        value = np.asarray(value)
    return _digest(value) if isinstance(value, np.ndarray) else repr(value)


# ------------------------------------------------------------------- garbage


def spoilt(table: TrainingTable, rows: np.ndarray, *, seed: int) -> TrainingTable:
    """Return the table with garbage in the given rows (bool, N)."""
    random, places = np.random.default_rng(seed), np.flatnonzero(rows)
    numbers, categories = table.numbers.copy(), np.array(table.categories, dtype=object)
    numbers[places] = garbage(numbers[places], random)
    truth = table.target[places]
    # What chooses by the target must notice: half of the columns become it, the next fold's garbage
    # has the other half, and no unit of another column is larger.
    telling = np.arange(seed % 2, numbers.shape[1], 2)
    largest = float(
        np.abs(numbers, where=np.isfinite(numbers), out=np.zeros_like(numbers)).max(initial=1.0)
    )
    numbers[np.ix_(places, telling)] = truth[:, None] * LARGE * min(largest, LARGEST)
    for j in range(categories.shape[1]):
        categories[places, j] = levels(categories[places, j], random)
    target, weight = table.target.copy(), table.weight.copy()
    if not table.classes:
        target[places] = np.abs(truth) * LARGE  # a log must stay possible
    weight[places] *= random.uniform(0.5, 2.0, len(places))
    return replace(table, numbers=numbers, categories=categories, target=target, weight=weight)


def garbage(numbers: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return (n, p) numbers shuffled, times a thousand, and in part missing."""
    found = random.permuted(numbers, axis=0) * LARGE + LARGE
    found[random.random(found.shape) < 0.3] = np.nan
    return found


def levels(cells: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return (n,) texts shuffled, in part missing and in part never seen."""
    found = random.permutation(cells).astype(object)
    found[random.random(len(found)) < 0.3] = ""
    new = random.random(len(found)) < 0.3
    found[new] = [f"canary {k % 7}" for k in range(int(new.sum()))]  # common enough to be kept
    return found


def _taken(table: TrainingTable, rows: np.ndarray) -> TrainingTable:
    names = ("numbers", "categories", "target", "weight", "fold")
    outliers = None if table.outliers is None else table.outliers.at(rows)
    return replace(table, **{n: getattr(table, n)[rows] for n in names}, outliers=outliers)


def taken(table: TrainingTable, most: int, *, seed: int = 0) -> TrainingTable:
    """Return at most so many rows, each fold keeping its share and each class a few."""
    if len(table.target) <= most:
        return table
    random = np.random.default_rng(seed)
    kept = random.permutation(len(table.target))[:most]
    if table.classes:
        kept = np.union1d(kept, np.concatenate(list(_few(table))))
    return _taken(table, np.sort(kept))


def _few(table: TrainingTable) -> Iterator[np.ndarray]:
    for k in range(table.classes):
        yield np.flatnonzero(table.target == k)[:4]


def _digest(array: np.ndarray) -> str:
    head = f"{array.dtype.str} {array.shape} "
    if array.dtype.kind == "O":
        body = "\0".join(map(str, array.ravel().tolist())).encode("utf-8", "surrogatepass")
    else:
        body = np.ascontiguousarray(array).tobytes()
    return hashlib.sha256(head.encode() + body).hexdigest()


def _said(value: Mapping[str, Any] | Any) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
