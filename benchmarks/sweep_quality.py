"""Quality at default settings: what `penstock init` and `penstock run` come to, against boosting.

- Real tables of PENSTOCK_DATA, five split seeds, a budget for the sweep; the test rows decide.
- Others get the very rows and columns that Penstock's networks read: `boosting` is scikit-learn's
  HistGradientBoosting at its defaults on the train rows, `boosting_all` on those for validation too.
- `alone`: the published ensemble without its rungs of the ladder, networks only.
- Bars are about `boosting`: a ratio of RMSEs, or how far an area or an accuracy may lie below.
- CatBoost, pytabkit and AutoGluon are measured beside it where they can be imported.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import statistics
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score, roc_auc_score

from benchmarks.commands import PENSTOCK, timed
from benchmarks.sweep_rivals import RIVALS, Sides
from flows.home import open_home
from flows.json_files import read_json
from flows.maker import Maker
from flows.progress import Progress
from flows.settings import load_spec
from flows.sides import judged
from flows.stages import stages_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flows.sides import Judged

ADULT = (
    "age,workclass,fnlwgt,education,education_num,marital_status,occupation,relationship,"
    "race,sex,capital_gain,capital_loss,hours_per_week,native_country,income"
)


@dataclass(frozen=True, kw_only=True)
class Table:
    """One table: its files, what `init` is told, and what must be reached."""

    files: tuple[str, ...]
    target: str
    metric: str
    bars: dict[str, float]
    """By who answers: the largest ratio of errors, or the largest lag of a score."""
    options: tuple[str, ...] = ()


TABLES = {
    "california": Table(
        files=("california_housing/housing.csv",),
        target="median_house_value",
        metric="rmse",
        bars={"penstock": 0.94},
    ),
    "diamonds": Table(
        files=("diamonds/diamonds.csv",),
        target="log_price",
        metric="rmse",
        bars={"penstock": 1.0},
    ),
    "adult": Table(
        files=("adult/adult-train.csv", "adult/adult-test.csv"),
        target="income",
        metric="roc_auc",
        bars={"alone": 0.006, "penstock": 0.001},
        options=("--test", "adult-test.csv", "--names", ADULT),
    ),
    "letter": Table(
        files=("letter_recognition/letter.csv",),
        target="lettr",
        metric="accuracy",
        bars={"penstock": 0.0},
    ),
}


def quality(folder: Path, seeds: Iterable[int], *, names: list[str], budget: str) -> dict[str, Any]:
    """Return each table's figures by name; says on standard error how far it is."""
    found: dict[str, Any] = {}
    for name in names:
        runs = []
        for seed in seeds:
            runs.append(_once(name, folder / f"{name}-{seed}", seed, budget))
            print(f"{name}, seed {seed}: {json.dumps(runs[-1])}", file=sys.stderr, flush=True)
        found |= _means(name, runs)
    return found


def _once(name: str, place: Path, seed: int, budget: str) -> dict[str, Any]:
    """One table and split: every side's metric, wall and CPU seconds, by `<side>_<figure>`."""
    table = TABLES[name]
    place.mkdir()
    settings = _settings(table, place)
    overrides = [f"split.seed={seed}", "gate.mode='dry_run'", f"sweep.budget='{budget}'"]
    options = [word for override in overrides for word in ("--set", override)]
    told, spent = _penstock(["run", settings.name, *options, "--json"], place)
    figures = {"penstock": json.loads(told)["metrics"]["test"][table.metric]["value"], **spent}
    known, trained = _made(settings, overrides)
    figures["alone"] = _alone(known, trained, table.metric)
    sides = Sides.of(known)
    for rival, fit in RIVALS.items():
        started, cpu = time.perf_counter(), _cpu()
        try:
            said = fit(sides, seed)
        except ImportError:
            continue
        figures[rival] = measured(sides, said, table.metric)
        figures[f"{rival}_wall_s"] = time.perf_counter() - started
        figures[f"{rival}_cpu_s"] = _cpu() - cpu
    return {key: value if value is None else round(value, 5) for key, value in figures.items()}


def _settings(table: Table, place: Path) -> Path:
    """Copy the files and let `init` propose the settings."""
    folder = os.environ.get("PENSTOCK_DATA")
    if not folder:
        raise FileNotFoundError("PENSTOCK_DATA names no folder of real tables")
    for file in table.files:
        shutil.copy(Path(folder) / file, place)
    source = place / Path(table.files[0]).name
    if table.target == "log_price":
        frame = pd.read_csv(source)
        frame["log_price"] = np.log1p(frame.pop("price"))
        frame.to_csv(source, index=False)
    _penstock(["init", source.name, "--target", table.target, *table.options], place)
    return next(path for path in place.glob("*.toml") if "contract" not in path.name)


def _penstock(words: list[str], place: Path) -> tuple[str, dict[str, float]]:
    """Run a command in `place`; return its output, wall and CPU seconds."""
    cpu = _cpu()
    seconds, out = timed([PENSTOCK, *words], place)
    spent = {"wall_s": seconds, "cpu_s": _cpu() - cpu}
    return out, {f"penstock_{name}": value for name, value in spent.items()}


def _made(settings: Path, overrides: list[str]) -> tuple[Judged, Path]:
    """Return the rows as the run saw them and its training's folder; all stages are reused."""
    spec = load_spec(settings, overrides)
    with Progress(quiet=True) as progress:
        maker = Maker(spec, open_home(settings.parent), progress)
        for stage in stages_of(spec):
            maker.make(stage.name)
    made = {name: artifact.path for name, artifact in maker.made.items()}
    serving = read_json(made["export"] / "model" / "schema.json")
    schema = read_json(made["validate"] / "schema.json")
    ledger, clean = made["split"] / "ledger.parquet", made["validate"] / "clean.parquet"
    return judged(spec, schema, serving, ledger, clean), made["train"]


def _alone(known: Judged, trained: Path, metric: str) -> float | None:
    """Return what the networks of the published ensemble reach without its rungs, if it has any."""
    from models.model import answers
    from models.saved import load

    model = replace(load(trained)[0], rungs=())
    if not model.networks:
        return None
    sides = Sides.of(known)
    feeds = {name: block[known.side == "test"] for name, block in known.feeds.items()}
    said = answers(model, feeds)
    return measured(sides, said["value"] if "value" in said else said["probabilities"], metric)


def measured(sides: Sides, said: np.ndarray, metric: str) -> float:
    """Return the metric of values (n,) or probabilities (n, K) of the test rows."""
    truth = sides.y["test"]
    if metric == "rmse":
        return float(np.sqrt(np.mean((truth - said) ** 2)))
    if metric == "accuracy":
        return float(accuracy_score(truth, said.argmax(axis=1)))
    return float(roc_auc_score(truth, said[:, 1]))


def _means(name: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return means over the splits, each split's values, and whether the bars are reached."""
    found: dict[str, Any] = {}
    for key in runs[0]:
        values = [run[key] for run in runs if run.get(key) is not None]
        if values:
            found[f"{name}_{key}"] = round(statistics.mean(values), 5)
            found[f"{name}_{key}_splits"] = values
    for side, bar in TABLES[name].bars.items():
        mine, other = found.get(f"{name}_{side}"), found[f"{name}_boosting"]
        if mine is not None:
            far = mine / other if TABLES[name].metric == "rmse" else other - mine
            found[f"{name}_{side}_to_boosting"] = round(far, 5)
            found[f"{name}_{side}_bar"] = bar
            found[f"{name}_{side}_reached"] = far <= bar
    return found


def _cpu() -> float:
    """CPU seconds of this process and of those it has waited for."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in both)
