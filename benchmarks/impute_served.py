"""What filling costs one served row: milliseconds of the exported graph, by imputer and columns.

- A made table of numbers about a few directions, a fifth of all cells missing; the default network
  with untrained weights (what it answers costs the same), its encoder, and an imputer per fold.
  Networks that fill are trained for a few steps only: their products are those of a trained one.
- `ms` is the graph's own CPU time for one row, on one thread, the median over rows that lack cells;
  `filling_ms` is what is over that of medians. What a served model does around its graph (reading,
  checking) is in `benchmarks/spine.py`'s figure and is the same for all.
- Run: `python -m benchmarks.impute_served [--columns 30 300] [--folds 1 5] [--json]`.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np

from models.encode import Columns, Encoder, TrainingTable
from models.export import Model, Networks, graph_of, open_session
from models.filling import Filling
from models.impute import SERVED
from models.networks import CONFIGS
from models.objective import Target
from models.population import Member, Population

ROWS, SHARE, DIRECTIONS = 1_500, 0.2, 5
OPTIONS: dict[str, dict[str, Any]] = {"masked": {"steps": 10}, "gain": {"steps": 10}}
ANSWERED, AGAIN = 100, 5  # rows asked one by one, each the best of a few


def made(columns: int, folds: int) -> TrainingTable:
    """Return a table of numbers that follow from one another, with gaps."""
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(ROWS, DIRECTIONS)) @ rng.normal(size=(DIRECTIONS, columns))
    numbers += 0.5 * rng.normal(size=numbers.shape)
    numbers[rng.random(numbers.shape) < SHARE] = np.nan
    place = np.arange(ROWS)
    return TrainingTable(
        numbers=numbers,
        categories=np.empty((ROWS, 0), dtype=object),
        target=rng.integers(0, 2, ROWS),
        weight=np.ones(ROWS),
        fold=place % folds if folds > 1 else np.where(place % 5 == 0, 0, -1),
        classes=2,
        columns=Columns(numbers=tuple(f"n{j}" for j in range(columns)), categories=()),
    )


def session_of(table: TrainingTable, imputer: str, folds: int) -> Any:
    """Return an open graph of an untrained default network whose encoder fills by `imputer`."""
    encoder = Encoder().fit(table)
    if imputer != "median":
        trains = [table.fold != fold for fold in range(folds)]
        own = encoder.own(encoder.codes(table.categories)).numpy()
        encoder.filling = Filling(imputer).fit(
            table.numbers, own, trains, size=0, seed=0, **OPTIONS.get(imputer, {})
        )
        encoder.filling_ = {"kind": imputer, **encoder.filling.facts}
    members = [Member(fold=fold, seed=0) for fold in range(folds)]
    population = Population.build(
        encoder, network="mlp", config=CONFIGS["mlp"](), outputs=2, members=members
    ).eval()
    part = Networks(population=population, shares=np.full(folds, 1 / folds))
    target = Target.fit(table, folds=folds, log_target=False)
    model = Model(encoder=encoder, networks=(part,), target=target, classes=2)
    return open_session(graph_of(model).SerializeToString(), threads=1)


def milliseconds(session: Any, table: TrainingTable) -> float:
    """Return the median time of one row that lacks cells."""
    names = [output.name for output in session.get_outputs()]
    lacking = np.flatnonzero(np.isnan(table.numbers).any(axis=1))[:ANSWERED]
    taken = []
    for row in lacking:
        feeds = {"numbers": table.numbers[row : row + 1]}
        best = np.inf
        for _ in range(AGAIN):
            started = time.thread_time()
            session.run(names, feeds)
            best = min(best, time.thread_time() - started)
        taken.append(best)
    return float(np.median(taken)) * 1000


def main() -> None:
    """Print a table for people, or one JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--columns", nargs="+", type=int, default=[30, 300])
    parser.add_argument("--folds", nargs="+", type=int, default=[1, 5])
    parser.add_argument("--imputers", nargs="+", default=list(SERVED), choices=list(SERVED))
    parser.add_argument("--json", action="store_true", help="one JSON object of named figures")
    given = parser.parse_args()
    figures: dict[str, dict[str, float]] = {}
    for columns in given.columns:
        for folds in given.folds:
            table = made(columns, folds)
            plain = milliseconds(session_of(table, "median", folds), table)
            for imputer in given.imputers:
                took = plain
                if imputer != "median":
                    took = milliseconds(session_of(table, imputer, folds), table)
                name = f"{columns} columns, {folds} folds, {imputer}"
                figures[name] = {"ms": round(took, 3), "filling_ms": round(took - plain, 3)}
                if not given.json:
                    print(f"{name:36}{figures[name]}", flush=True)
    if given.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
