"""The fit: clean rows and a ledger in, a population with its ensemble and calibration out.

- `train` writes `members.safetensors` and `fitted.json` (`models/saved.py`), the ladder's rungs
  (`models/saved_rungs.py`), `validation.parquet` and `curves.json` (`flows/trained.py`).
- Rungs of the ladder are fitted on the networks' own folds and may answer with them, or alone.
- `export` is in `flows/export.py`.
- Nothing about torch here: `models` fits, this file fetches and carries.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from flows import trained
from flows.errors import SettingsError, TrainingFailed
from flows.export import export
from flows.training import (
    learned_from,
    memory,
    parts_of,
    room_in,
    settings_of,
    training_table,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from flows.spec import Spec
    from models.baselines import FittedRung
    from models.encode import TrainingTable
    from models.finish import Finished
    from models.fit import Fitted

__all__ = ["export", "train"]

RUNGS = 2  # part of the memory of a training that fitting a rung may take


def train(
    spec: Spec,
    schema: Mapping[str, Any],
    clean: Path,
    ledger: Path,
    out: Path,
    progress: Callable[[str], None] | None = None,
    *,
    checkpoints: Path | None = None,
    sweeps: Sequence[Fitted] = (),
) -> dict[str, Any]:
    """Fit the population, choose the ensemble, calibrate and decide; write what came of it.

    Args:
        spec: the settings.
        schema: the reading schema.
        clean: rows that passed validation.
        ledger: side, fold and identity per row, with `split.json` beside it.
        out: an existing folder.
        progress: hears how far the fit is.
        checkpoints: a folder that outlives a killed run; None: a killed fit starts anew.
        sweeps: finished trials of a sweep on the same table, which may answer too.

    Raises:
        TrainingFailed: no member reached a finite loss.
        SettingsError: the costs do not fit the labels, or a fold cannot do without its outliers.

    """
    from models.baselines import fit_rungs
    from models.finish import save
    from models.fit import TrainingFailed as Failed
    from models.fit import train_population
    from models.saved_rungs import Rungs, save_rungs

    room = room_in(checkpoints)
    table, book, labels = training_table(spec, schema, clean, ledger, room)
    settings = settings_of(spec, len(labels))
    table = learned_from(spec, table, settings, labels)
    say = progress or (lambda _: None)
    if table.outliers is not None:
        say(f"leaving out at most {max(table.outliers.counts):,} outlier rows of a fold")
    try:
        fitted = train_population(
            table,
            settings,
            directory=checkpoints,
            progress=_reporter(say, len(labels)),
            bins=sweeps[0].encoder.bins if sweeps else None,  # they answer from one encoding
            room=room,
        )
    except Failed as error:
        raise TrainingFailed(str(error)) from error
    say("fitting the ladder's rungs")
    rungs = fit_rungs(_learned(table, fitted), seed=settings.seed, memory=memory() // RUNGS)
    say("choosing the ensemble")
    found = _finished(spec, [fitted, *sweeps], table, rungs, parts_of(book), labels)
    _tell(found, say)
    seconds = fitted.facts.pop("seconds", None)
    save(found, out, trained.described(fitted, table, settings, labels))
    save_rungs(Rungs(fitted=rungs, rows=_rows(book), log=fitted.target.log), out)
    trained.write_validation(found, book, labels, out)
    trained.write_curves([fitted, *sweeps], found, out)
    return trained.facts(found, fitted, seconds)


def _finished(
    spec: Spec,
    fits: Sequence[Fitted],
    table: TrainingTable,
    rungs: Sequence[FittedRung],
    part: np.ndarray,
    labels: list[str],
) -> Finished:
    """Choose who answers, calibrate and decide by the settings' costs.

    Raises:
        SettingsError: the costs do not fit the labels.

    """
    from models.finish import finish

    try:
        return finish(
            fits,
            table,
            rungs=rungs,
            part=part,
            costs=spec.decision.costs if spec.decision else None,
            labels=labels,
            ensemble=spec.train.ensemble,
            budget=spec.train.inference_seconds,
        )
    except ValueError as error:
        raise SettingsError(str(error)) from error


def _rows(book: pd.DataFrame) -> np.ndarray:
    """Return the positions in table.parquet of the rows that were trained and judged on."""
    return book["row"].to_numpy(np.int64)


def _learned(table: TrainingTable, fitted: Fitted) -> TrainingTable:
    """Return the table with the target that networks learn, so that rungs average with them."""
    return replace(table, target=np.log1p(table.target)) if fitted.target.log else table


def _tell(found: Finished, say: Callable[[str], None]) -> None:
    """Say which rungs answer, which cannot, which saw a sample, and which would be better."""
    for rung in found.candidates.rungs:
        if rung.sampled:
            say(f"{rung.name} is fitted on {rung.sampled:,} rows: more do not fit in memory")
    for name, reason in found.left_out.items():
        say(f"{name} is no candidate: {reason}")
    if found.model.rungs:
        named = ", ".join(f"{part.name} {part.share:.0%}" for part in found.model.rungs)
        say(f"rungs of the ladder answer too: {named}")
    if better := found.choice.rung:
        gain, error = better["gain"], better["standard_error"]
        say(
            f"{better['name']} is better than the best network by {gain:.2g} (standard error "
            f'{error:.2g}); train.ensemble = "greedy" would let it answer'
        )


def _reporter(say: Callable[[str], None], classes: int) -> Callable[[int, int, float], None]:
    """Word the fit's progress: epochs, and the best validation loss so far."""
    unit = "log loss" if classes else "squared error"

    def report(done: int, most: int, best: float) -> None:
        say(f"epoch {done} of at most {most}, best {unit} {best:.4g}")

    return report
