"""Penstock's side of the sweep's benchmark: the stages that `penstock run` makes, up to the sweep.

- Makes all stages before the sweep, leaves the very rows and values that the sweep will train on
  for the peer (`rows.npz`), says "ready", waits for a line, makes the sweep, prints one JSON object.
- The sweep is whole: the study is asked and told, worker processes start and end, trials are
  tracked in MLflow until the last is written, the artifact is flushed to disk.
- `python benchmarks/sweep_ours.py FOLDER` is started by `benchmarks/sweep.py`.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import flows.sweep  # noqa: F401 - both sides have imported what they need before the clock runs
import models.batch
import models.crew  # noqa: F401
from flows.json_files import read_json
from flows.progress import Progress
from flows.run import Run
from flows.settings import load_spec
from flows.stages import BEFORE_TRAINING
from flows.training import settings_of, training_table
from models.fit import encode

if TYPE_CHECKING:
    from flows.stage import Artifact


def main() -> None:
    """Sweep once told to."""
    folder = Path(sys.argv[1])
    wish = json.loads((folder / "wish.json").read_text(encoding="utf-8"))
    with Progress(quiet=True) as progress, Run(load_spec(folder / "table.toml"), progress) as run:
        for stage in BEFORE_TRAINING:
            if stage.name != "sweep":
                run.make(stage.name)
        leave_rows(run, folder / "rows.npz")
        run.tracker.settle()
        print("ready", flush=True)
        sys.stdin.readline()
        wall, cpu = time.perf_counter(), spent()
        made = sweep(run, tracking=wish["tracking"])
        found = read_json(made.path / "sweep.json")
        told: dict[str, Any] = {
            "wall_s": time.perf_counter() - wall,
            "cpu_s": spent() - cpu,
            "trials": len(found["trials"]),
            "pruned": found["pruned"],
            "best": found["best"]["score"],
        }
        print(json.dumps(told), flush=True)


def sweep(run: Run, *, tracking: bool) -> Artifact:
    """Make the sweep; with MLflow until the last write is done, or without a word to it."""
    if tracking:
        made = run.make("sweep")
        run.tracker.settle()
        return made
    run.maker.on_trials = lambda _: None
    return run.maker.make("sweep")


def leave_rows(run: Run, path: Path) -> None:
    """Write inputs and targets of train and validation rows, as the networks read them."""
    schema = read_json(run.made["validate"].path / "schema.json")
    clean = run.made["validate"].path / "clean.parquet"
    ledger = run.made["split"].path / "ledger.parquet"
    table, _, labels = training_table(run.spec, schema, clean, ledger)
    rows = encode(table, replace(settings_of(run.spec, len(labels)), members=1)).rows
    sides = {"train": rows.train[0], "valid": rows.judged[0]}
    arrays = {f"x_{name}": rows.values[0, side].numpy() for name, side in sides.items()}
    arrays |= {f"y_{name}": rows.target[0, side].numpy() for name, side in sides.items()}
    np.savez(path, **arrays)  # type: ignore[arg-type]


def spent() -> float:
    """CPU seconds of this process and of the workers that have ended."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


if __name__ == "__main__":
    main()
