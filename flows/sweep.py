"""The sweep: from clean rows and a ledger to the best setting and the populations of its trials.

- It is handed rows of the sides "train" and "validation" alone: the training table holds no others,
  so a sweep cannot look at a test row.
- It leaves `sweep.json` (trials with their curves, the best, importance, rungs) and `groups/`, the
  fitted populations of finished trials, which are candidates for the ensemble.
- Killed, it goes on from the last rung of the batch it was in.
"""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from flows.errors import SettingsError, TrainingFailed
from flows.json_files import write_json
from flows.progress import Voice
from flows.search import Found, Search, identity
from flows.space import Space, resolved, space_of
from flows.study import Asked, Study
from flows.sweep_record import record
from flows.sweep_result import RECORD
from flows.sweep_words import sentence
from flows.training import learned_from, room_in, settings_of, training_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from flows.dask_crew import DaskCrew
    from flows.spec import Spec
    from flows.sweep_spec import ExecutionSpec, SweepSpec
    from models.batch import BatchResult
    from models.crew import Crew
    from models.encode import TrainingTable
    from models.fit import Encoded
    from models.halving import Halving
    from models.remote import Trains
    from models.room import Room
    from models.settings import TrainSettings

REASONS = 5  # why trials failed, listed at most
HASTE = 4.0
"""A rung may take this much less than estimated before a budget is called too short for it."""


def sweep(
    spec: Spec,
    schema: Mapping[str, Any],
    clean: Path,
    ledger: Path,
    out: Path,
    voice: Voice | None = None,
    *,
    checkpoints: Path,
) -> dict[str, Any]:
    """Search for good settings; write what came of it and return the stage's facts.

    Args:
        spec: settings with a sweep.
        schema: the reading schema.
        clean: rows that passed validation.
        ledger: side, fold and identity per row, with `split.json` beside it.
        out: an existing folder.
        voice: hears how far the search is, and each batch's trials.
        checkpoints: a folder that outlives a killed run; its name is the stage's key.

    Raises:
        TrainingFailed: fewer trials than `sweep.min_finished` came to a finite loss.
        SettingsError: the budget is shorter than one rung, the study is another's, or a fold cannot
            do without its outliers.

    """
    wanted = spec.search
    if wanted is None:
        raise SettingsError("a sweep needs the section [sweep]")
    room = room_in(checkpoints)
    table, _, labels = training_table(spec, schema, clean, ledger, room)
    table = learned_from(spec, table, settings_of(spec, len(labels)), labels)
    checkpoints.parent.mkdir(parents=True, exist_ok=True)
    # Runs of two names may come to the same sweep: the second waits, and finds it done.
    with FileLock(checkpoints.with_suffix(".lock")):
        bench = _bench(spec, wanted, table, len(labels), room)
        bench.check_budget(spec)
        study = _study(spec, wanted, bench, checkpoints)
        with bench.crew(checkpoints, spec.execution) as crew:
            search = Search(
                wanted, study, bench.trainer(crew), checkpoints, voice or Voice(), bench.resolved
            )
            found = search.run()
        _enough(found, wanted)
        told = record(found, wanted, bench.space, classes=len(labels), seed=spec.train.seed)
        told["groups"] = _keep(found.fitted, out)
        told["learning_curve"] = None
        if wanted.learning_curve:
            (voice or Voice())("would more rows help?")
            told["learning_curve"] = bench.learning_curve(told["best"]["parameters"])
        write_json(out / RECORD, told)
    return _facts(told)


@dataclass(frozen=True, kw_only=True)
class Bench:
    """The table made ready, the settings that every trial shares, and the space."""

    encoded: Encoded
    base: TrainSettings
    space: Space
    halving: Halving | None

    def settings(self, parameters: Mapping[str, Any]) -> TrainSettings:
        """Return a trial's settings."""
        return replace(self.base, **parameters)

    def resolved(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return a trial's settings by comparable names, without "auto"."""
        return resolved(self.settings(parameters), self.encoded.size)

    def crew(self, folder: Path, execution: ExecutionSpec) -> Crew | DaskCrew:
        """Return who trains; `workers` left out: a process per core, or a cluster's own."""
        from flows.dask_crew import DaskCrew
        from models.crew import Crew

        groups, address = folder / "groups", execution.address
        if execution.runner == "dask":
            workers = execution.workers if address else execution.processes
            return DaskCrew(self.encoded, self.base, groups, workers=workers, address=address)
        return Crew(self.encoded, self.base, groups, workers=execution.processes)

    def trainer(self, crew: Trains) -> Any:
        """Return what trains a batch."""
        from models.batch import train_batch
        from models.trials import Trial

        def train(asked: Sequence[Asked], *, progress: Any, **how: Any) -> BatchResult:
            trials = [Trial(number=a.number, settings=self.settings(a.parameters)) for a in asked]
            done = train_batch(
                self.encoded, trials, crew=crew, halving=self.halving, progress=progress, **how
            )
            return replace(done, notes=[note for note in done.notes if note])

        return train

    def learning_curve(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a setting comes to on parts of the rows, and what that says."""
        from models.learning_curve import diagnosis, learning_curve

        points = learning_curve(self.encoded, self.settings(parameters))
        return {"points": [asdict(point) for point in points], **diagnosis(points)}

    def check_budget(self, spec: Spec) -> None:
        """Refuse a budget in which the fastest of all trials could not reach its first rung.

        Raises:
            SettingsError: it is too short, by an estimate of what the machine can do at best.

        """
        from models.shapes import group
        from models.trials import Trial

        budget = spec.sweep.seconds if spec.sweep else None
        if budget is None:
            return
        small = {
            name: axis.least
            for name, axis in self.space.axes.items()
            if name in ("width", "depth", "heads", "number_size")
        }
        trial = Trial(number=0, settings=self.settings(small))
        size, outputs = self.encoded.size, self.encoded.table.classes or 1
        (one,) = group([trial], self.encoded.encoder, size=size, outputs=outputs)
        rungs = self.halving.rungs if self.halving else ()
        epochs, what = (rungs[0], "rung") if rungs else (1, "epoch")
        least = one.seconds_per_epoch * epochs
        if budget * HASTE < least:
            msg = (
                f"{spec.path}: sweep.budget: must be longer than one {what}, found {budget:g} s; "
                f"epochs of {size:,} rows, {epochs} to its end, take about {least:.0f} s"
            )
            raise SettingsError(msg)


def _bench(spec: Spec, wanted: SweepSpec, table: TrainingTable, classes: int, room: Room) -> Bench:
    from models.fit import encode, train_rows
    from models.halving import Halving

    base = replace(settings_of(spec, classes), members=1)
    rows = train_rows(table, base.balance)
    space = space_of(spec, base, rows)
    embedding = space.axes.get("embedding")
    piecewise = "piecewise" in (embedding.choices if embedding else (base.embedding,))
    # Bins are learned once for all trials, whichever of them will use them.
    made_by = replace(base, embedding="piecewise") if piecewise else base
    epochs = base.plan(rows).epochs
    least = None if wanted.min_epochs == "auto" else wanted.min_epochs
    halving = Halving.of(epochs, factor=wanted.factor, least=least) if wanted.halving else None
    encoded = encode(table, base, bins=made_by.plan(rows).bins, room=room)
    return Bench(encoded=encoded, base=base, space=space, halving=halving)


def _study(spec: Spec, wanted: SweepSpec, bench: Bench, checkpoints: Path) -> Study:
    """Open the study: in the journal beside the checkpoints, or in the database of the settings."""
    digest = identity(
        {
            "key": checkpoints.name,
            "space": bench.space.described(),
            "sampler": wanted.sampler,
            "seed": spec.train.seed,
        }
    )
    checkpoints.mkdir(parents=True, exist_ok=True)
    place = wanted.storage or checkpoints / "study.journal"
    return Study(
        place,
        name=wanted.study or f"{spec.name} {digest[:12]}",
        digest=digest,
        space=bench.space,
        sampler=wanted.sampler,
        seed=spec.train.seed,
    )


def _enough(found: Found, wanted: SweepSpec) -> None:
    """Refuse a sweep of which too few trials are of use.

    Raises:
        TrainingFailed: fewer than `min_finished`.

    """
    if len(found.scores) >= wanted.min_finished:
        return
    reasons = dict.fromkeys(t["reason"] for t in found.trials if t["reason"])
    listed = "; ".join(list(reasons)[:REASONS]) or "none was trained"
    ended = f" when the sweep ended by its {found.stopped}" if found.stopped != "trials" else ""
    msg = (
        f"at least {wanted.min_finished} of the sweep's trials must end with a finite loss "
        f"(sweep.min_finished), found {len(found.scores)} of {len(found.trials)}{ended}: {listed}"
    )
    raise TrainingFailed(msg)


def _keep(fitted: Sequence[Path], out: Path) -> list[str]:
    """Copy the fitted populations; return their folders' names within `out`."""
    names = [f"groups/{place}" for place in range(len(fitted))]
    for name, path in zip(names, fitted, strict=True):
        shutil.copytree(path, out / name)
    return names


def _facts(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return the stage's small facts."""
    kept = ("finished", "pruned", "failed", "stopped", "seconds", "notes")
    best = {name: told["best"][name] for name in ("number", "score", "error", "parameters")}
    return {**{name: told[name] for name in kept}, "best": best, "say": sentence(told)}
