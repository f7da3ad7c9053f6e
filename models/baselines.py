"""The ladder that a network must climb: a dummy, a linear model, gradient boosting.

- Every rung is fitted on the very rows of the network's folds, without outliers where these are
  left out, and predicts the very rows; its test predictions are the mean over its folds, as the network's are.
- Nothing is tuned: a rung says what one gets without trying.
- A class that a fold's train rows lack gets probability 0 there, and crashes nothing.
- What was fitted comes back as plain arrays too (`fit_rungs`), where they predict the same.
"""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from models.boosting import boosted
from models.linear import linear_of, lined
from models.read_trees import trees_of
from models.rows import Rows, numbers_at
from models.rungs import FittedRung, answers
from models.texts import Texts
from models.trees import Trees

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from models.rungs import Form
    from models.table import TrainingTable

PROBED = 500  # rows on which plain arrays must predict what the library does
EXACT = 1e-6  # most that they may differ: in probability, or in deviations of the target
MANY_CELLS = 500_000  # cells below which a rung is fitted by one thread
ASKED, CELLS = 65_536, 1 << 22  # rows that a fit predicts at a time, and cells of theirs, at most
COPIES = 6  # of its rows' cells, in float64, that boosting makes while it is fitted
FAILURES = (ValueError, ArithmeticError, MemoryError, np.linalg.LinAlgError)


@dataclass(frozen=True, kw_only=True)
class Rung:
    """One fitted baseline: probabilities (n, K), or values (n,) for regression.

    `validation` (N, ...) covers the rows of the training table, NaN where a row is train-only;
    `test` (M, ...) the rows that were given as test, None without them. `failed` says why a rung
    has no predictions, else None.
    """

    name: str
    validation: np.ndarray
    test: np.ndarray | None
    seconds: float
    failed: str | None = None


class Fit(Protocol):
    """One fold's fit."""

    def predict(self, numbers: np.ndarray, categories: np.ndarray | Texts) -> np.ndarray:
        """Return (n, K) probabilities or (n,) values."""
        ...


class Baseline(Protocol):
    """A rung: how one fold is fitted."""

    def __call__(self, rows: Rows, classes: int, seed: int) -> Fit:
        """Fit on the given rows."""
        ...


@dataclass(frozen=True)
class Dummy:
    """The train rows' class shares, or their mean."""

    answer: np.ndarray

    def predict(
        self,
        numbers: np.ndarray,
        categories: np.ndarray | Texts,  # noqa: ARG002
    ) -> np.ndarray:
        """Return the same for every row."""
        return np.tile(self.answer, (len(numbers),) + (1,) * self.answer.ndim)


def dummy(rows: Rows, classes: int, seed: int) -> Dummy:  # noqa: ARG001
    """Fit one fold."""
    if classes:
        return Dummy(rows.shares(classes))
    return Dummy(np.asarray(np.average(rows.target, weights=rows.weight)))


BASELINES: dict[str, Baseline] = {
    "dummy": dummy,
    "linear": lined,
    "hist_gradient_boosting": boosted,
}
FORMS: dict[str, Callable[[Sequence[Any], int], Form]] = {
    "linear": linear_of,
    "hist_gradient_boosting": trees_of,
}
"""Rungs that can be served: all folds' fits -> plain arrays."""


def ladder(
    table: TrainingTable,
    numbers: np.ndarray | None = None,
    categories: np.ndarray | None = None,
    *,
    seed: int = 0,
    names: tuple[str, ...] | None = None,
) -> list[Rung]:
    """Fit every baseline of BASELINES (or `names`) on each fold of `table`.

    `numbers` (M, a) and `categories` (M, b) are the test rows' inputs, None without test rows.
    A rung that fails is returned with its reason instead of ending the run.
    """
    rungs = []
    for name in names or tuple(BASELINES):
        climbed = _climb(name, table, seed)
        tests, failed = [], climbed.failed
        if failed is None and numbers is not None and categories is not None:
            tests = [fit.predict(numbers, categories) for fit in climbed.fits]
        rungs.append(
            Rung(
                name=name,
                validation=climbed.validation,
                test=np.mean(tests, axis=0) if tests else None,
                seconds=time.perf_counter() - climbed.started,
                failed=failed,
            )
        )
    return rungs


def fit_rungs(
    table: TrainingTable,
    *,
    seed: int = 0,
    names: tuple[str, ...] = tuple(FORMS),
    memory: int | None = None,
) -> list[FittedRung]:
    """Fit the rungs that can be served; one that fails, or is not the same as arrays, says why.

    A regression's target is what networks learn: its logarithm where theirs is. Of more rows than
    `memory` bytes allow, each is fitted on an even sample.
    """
    rungs = []
    for name in names:
        climbed = _climb(name, table, seed, memory)
        form, reason = None, climbed.failed
        if reason is None:
            form, reason = _form(name, climbed.fits, table)
        rungs.append(
            FittedRung(
                name=name,
                form=form,
                validation=climbed.validation,
                seconds=time.perf_counter() - climbed.started,
                reason=reason,
                sampled=climbed.sampled,
            )
        )
    return rungs


@dataclass(frozen=True, kw_only=True)
class _Climbed:
    """A baseline's fits, fold by fold, with what they say of the rows they have not seen."""

    fits: list[Any]
    validation: np.ndarray
    started: float
    failed: str | None
    sampled: int | None = None
    """Rows that a fit saw, where memory did not allow all."""


def _climb(name: str, table: TrainingTable, seed: int, memory: int | None = None) -> _Climbed:
    """Fit one baseline on every fold and predict the fold's rows.

    On one thread where the table is small: there boosting's threads only wait for one another; 30 s
    instead of 0.6 s were seen on a busy machine.
    """
    # A limit holds for libraries that are loaded already.
    import sklearn.ensemble  # noqa: F401
    from threadpoolctl import threadpool_limits

    started = time.perf_counter()
    table = replace(table, categories=Texts.of(table.categories))
    shape = (table.classes,) if table.classes else ()
    validation = np.full((len(table.target), *shape), np.nan)
    cells = table.numbers.size + table.categories.size
    threads = 1 if cells < MANY_CELLS else None
    row = COPIES * 8 * cells // max(len(table.target), 1)
    fits: list[Any] = []
    failed = sampled = None
    try:
        for fold in range(int(table.fold.max()) + 1):
            inside = table.fold == fold
            rows = Rows.of(table, table.train(fold))
            if memory is not None and len(rows.at) * row > memory:
                rows = rows.sample(max(memory // row, 1), seed)
                sampled = len(rows.at)
            # Unconverged fits and levels seen only later are what a baseline is allowed.
            with warnings.catch_warnings(), threadpool_limits(limits=threads):
                warnings.simplefilter("ignore")
                fit = BASELINES[name](rows, table.classes, seed)
                _predict(fit, table, np.flatnonzero(inside), validation)
            fits.append(fit)
    except FAILURES as error:
        failed = f"{type(error).__name__}: {error}"[:300]
    return _Climbed(
        fits=fits, validation=validation, started=started, failed=failed, sampled=sampled
    )


def _predict(fit: Fit, table: TrainingTable, at: np.ndarray, into: np.ndarray) -> None:
    """Predict the rows at the positions `at`, some at a time."""
    columns = table.numbers.shape[1] + table.categories.shape[1]
    size = max(1, min(ASKED, CELLS // max(columns, 1)))
    for start in range(0, len(at), size):
        some = at[start : start + size]
        into[some] = fit.predict(numbers_at(table.numbers, some), table.categories[some])


def _form(name: str, fits: list[Any], table: TrainingTable) -> tuple[Form | None, str | None]:
    """Return the fits as plain arrays, or why they are not the same."""
    numbers, categories = _probe(table)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            wanted = np.mean([fit.predict(numbers, categories) for fit in fits], axis=0)
        form = FORMS[name](fits, table.classes or 1)
        found = answers(form, numbers, categories)
    except (*FAILURES, AttributeError, IndexError, KeyError, TypeError) as error:
        # What is read there is not public and may change with the library.
        return None, f"its fit cannot be read: {type(error).__name__}: {error}"[:300]
    scale = 1.0 if table.classes else float(np.std(table.target)) or 1.0
    if isinstance(form, Trees) and not len(form.root):
        return None, "it has learned nothing: every tree is one leaf"
    off = float(np.abs(found - wanted).max(initial=0.0)) / scale
    if not off <= EXACT:
        return None, f"as plain arrays it must predict the same within {EXACT}, found {off:.2g}"
    return form, None


def _probe(table: TrainingTable) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of the table, and spoilt ones."""
    from models.export import spoilt

    places = np.unique(np.linspace(0, len(table.target) - 1, PROBED).astype(int))
    block = {
        "numbers": table.numbers[places],
        "categories": np.asarray(table.categories[places], dtype=object),
    }
    bad = spoilt(block)
    joined = {name: np.concatenate([values, bad[name]]) for name, values in block.items()}
    return joined["numbers"], joined["categories"]
