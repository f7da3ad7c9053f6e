"""How often planted leaks are found and named, and how often honest tables are accused.

- Every figure goes through the stage itself (`flows.leaks`, `flows.canary`) on rows that the real
  split divided.
- `found`: share of seeds in which a finding of the planted type names the planted columns; beside
  it the share that refuses the data. `canary`: the same for leaks planted inside the fit.
- `clean`: findings and refusals on twenty honest tables; with `--only real` on the tables of
  PENSTOCK_DATA, as `penstock init` and `penstock check` have them.
- `python -m benchmarks.leaks [--seeds N] [--fits N] [--only PART] [--json]`; `--smoke`: whether all
  works. Figures go to standard error as soon as they are there.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from benchmarks.leaks_fits import PLANTED, flown
from benchmarks.leaks_worlds import PLANTS, SHAPES, World, honest
from flows.errors import DataRefused
from flows.leaks import leaks
from flows.spec import Spec
from flows.split import split
from flows.tables import write_parquet

if TYPE_CHECKING:
    from collections.abc import Callable

FOUND, FALSE = 0.95, 1


def looked(world: World, folder: Path) -> tuple[list[dict[str, Any]], bool]:
    """Return the findings of the real stage on a table, and whether it refuses the data."""
    made = {name: folder / name for name in ("load", "engineer", "validate", "split", "leaks")}
    for place in made.values():
        place.mkdir()
    frame: Any = world.frame.copy()
    frame.insert(0, "__row__", np.arange(len(frame)))
    spec = Spec.model_validate(
        {
            "name": "w",
            "data": {"source": "t.csv", "target": world.target, **world.data},
            "split": world.split,
            "path": folder / "w.toml",
        }
    )
    schema = _schema(world, frame)
    write_parquet(frame.drop(columns="__row__"), made["load"] / "table.parquet")
    write_parquet(frame, made["engineer"] / "typed.parquet")
    clean = frame[frame[world.target].notna()].reset_index(drop=True)
    write_parquet(clean, made["validate"] / "clean.parquet")
    split(spec, made["validate"] / "clean.parquet", made["split"], schema=schema)
    if world.sides is not None:
        _by_hand(world, made["split"])
    refused = False
    try:
        leaks(spec, schema, made, made["leaks"], lambda _: None)
    except DataRefused:
        refused = True
    return json.loads((made["leaks"] / "leaks.json").read_text("utf-8"))["findings"], refused


def _schema(world: World, frame: Any) -> dict[str, Any]:
    """Return the reading schema of a typed table."""
    roles = {"__row__", "__given__", world.target, *world.data.values()}
    columns = []
    for name in frame:
        if name in roles:
            continue
        kind = "category"
        if pd.api.types.is_datetime64_any_dtype(frame[name].dtype):
            kind = "date"
        elif frame[name].dtype.kind in "iuf":
            kind = "integer" if frame[name].dtype.kind in "iu" else "number"
        columns.append({"name": name, "kind": world.kinds.get(str(name), kind)})
    number = frame[world.target].dtype.kind == "f"
    labels = frame[world.target].dropna().nunique()
    task = "regression" if number else "binary" if labels == 2 else "multiclass"
    kind = {"name": world.target, "kind": "number" if number else "category"}
    return {"target": world.target, "task": task, "columns": columns, "target_column": kind}


def _by_hand(world: World, place: Path) -> None:
    """Put rows on the sides that the world says: the fault is in the split itself."""
    lines = pd.read_parquet(place / "ledger.parquet")
    write_parquet(lines.assign(side=world.sides), place / "ledger.parquet")


def planted(seeds: int) -> dict[str, dict[str, float]]:
    """Share of seeds in which each planted leak is named, and in which it refuses."""
    rates = {}
    for name, (kind, make, columns) in PLANTS.items():
        named, refused = [], []
        for seed in range(seeds):
            with tempfile.TemporaryDirectory() as place:
                findings, stopped = looked(make(seed), Path(place))
            of_type = [f for f in findings if f["type"] == kind]
            said = {column for f in of_type for column in f["columns"]}
            named.append(bool(of_type) and set(columns) <= said)
            refused.append(stopped)
        rates[name] = {"found": float(np.mean(named)), "refused": float(np.mean(refused))}
        _said({name: rates[name]})
    return rates


def clean(tables: int) -> dict[str, Any]:
    """Count what is said of honest tables."""
    errors, warned, kinds = 0, 0, Counter[str]()
    for seed in range(tables):
        with tempfile.TemporaryDirectory() as place:
            findings, stopped = looked(honest(1_000 + seed), Path(place))
        errors += stopped
        warned += bool(findings)
        kinds.update(f"{f['type']}.{f['kind']}" for f in findings)
    return {"tables": tables, "refused": errors, "warned": warned, "kinds": dict(kinds)}


def fits(seeds: int) -> dict[str, float]:
    """Share of seeds in which a leak planted inside the fit is caught; honest: is accused."""
    rates = {}
    for name, plant in PLANTED.items():
        rates[name] = float(np.mean([flown(honest(seed), *plant) for seed in range(seeds)]))
        _said({name: rates[name]})
    return rates


def _said(figures: dict[str, Any]) -> None:
    """Say what is there already: all of it takes half an hour."""
    print(json.dumps(figures), file=sys.stderr, flush=True)


def real() -> dict[str, Any]:
    """Return what `init` leaves out and what `check` then finds in the real tables."""
    from benchmarks.leaks_real import every

    return every()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    names = ("planted", "clean", "canary", "real")
    parser.add_argument("--only", choices=names, action="append", help="this part; may be repeated")
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--fits", type=int, default=40, help="seeds of leaks inside the fit")
    parser.add_argument("--smoke", action="store_true", help="whether everything works")
    parser.add_argument("--json", action="store_true", help="one JSON object of named figures")
    wish = parser.parse_args()
    seeds = 2 if wish.smoke else wish.seeds
    parts: dict[str, Callable[[], Any]] = {
        "planted": lambda: planted(seeds),
        "clean": lambda: clean(3 if wish.smoke else SHAPES),
        "canary": lambda: fits(1 if wish.smoke else wish.fits),
        "real": real,
    }
    figures: dict[str, Any] = {"seeds": seeds}
    for name in wish.only or names[:-1]:
        started = time.perf_counter()
        figures[name] = parts[name]()
        figures[f"{name}_s"] = round(time.perf_counter() - started, 1)
    print(json.dumps(figures, indent=1) if wish.json else text(figures))


def text(figures: dict[str, Any]) -> str:
    """Word the figures for people, with what must hold."""
    lines = [f"{figures['seeds']} seeds"]
    for name, rate in figures.get("planted", {}).items():
        bar = f"(at least {FOUND:g})"
        lines.append(f"{name:<24} found {rate['found']:.2f} {bar}, refused {rate['refused']:.2f}")
    for name, rate in figures.get("canary", {}).items():
        lines.append(f"canary: {name:<24} caught {rate:.2f}")
    if found := figures.get("clean"):
        lines.append(
            f"{found['tables']} honest tables: {found['refused']} refused (at most {FALSE}), "
            f"{found['warned']} warned {found['kinds']}"
        )
    for name, found in figures.get("real", {}).items():
        lines.append(f"{name}: {found}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
