"""Figures of the spine: whole runs, the loop, quality on real tables, the served model.

- `python -m benchmarks.spine` prints a table; `--json` one object of named figures; `--quick` takes
  about a minute: one cold run and one in which nothing changed.
- The bare script beside it is what a competent user would write by hand on the same stack, in the
  same session; ratios are ours over theirs.
- Quality needs the real tables of PENSTOCK_DATA: one fixed setting, no sweep, three split seeds.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.commands import PENSTOCK, ROOT, timed

TABLES = {
    "breast_cancer": ("examples/breast_cancer.toml", "roc_auc", 0.985),
    "letter": ("tests/data/letter_recognition.toml", "accuracy", 0.95),
    "adult": ("tests/data/adult.toml", "roc_auc", 0.912),
    "california": ("tests/data/california_housing.toml", "rmse", 1.06),
}
"""Settings, metric and what the mean of three splits must reach; california: of boosting's."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a cold and an unchanged run only")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--only", choices=("runs", "loop", "quality", "served"), default=None)
    wish = parser.parse_args()
    figures: dict[str, Any] = {"machine": f"{os.cpu_count()} cores, {platform.machine()}"}
    with tempfile.TemporaryDirectory(prefix="penstock-spine-") as folder:
        parts = {"runs": runs, "served": served, "loop": loop, "quality": quality}
        for name, part in parts.items():
            if wish.only in (None, name) and not (wish.quick and name != "runs"):
                figures |= part(Path(folder), quick=wish.quick)
    if wish.json:
        print(json.dumps(figures, indent=1))
    else:
        for name, value in figures.items():
            shown = f"{value:.4g}" if isinstance(value, float) else value
            print(f"{name:<36} {shown}")


def runs(folder: Path, *, quick: bool) -> dict[str, float]:
    """The default example: with a fresh home, with another seed, with nothing changed."""
    timed([sys.executable, "-c", "import flows.pipeline, models.fit, mlflow.pyfunc"], folder)
    shutil.copy(ROOT / "examples" / "breast_cancer.toml", folder)
    run = [PENSTOCK, "run", "breast_cancer.toml"]
    found = {"cold_s": timed(run, folder)[0]}
    seed = [] if quick else ["--set", "train.seed=1"]
    if not quick:
        found["warm_s"] = timed([*run, *seed], folder)[0]
    found["unchanged_s"] = timed([*run, *seed], folder)[0]
    if not quick:
        bare = [sys.executable, ROOT / "benchmarks" / "bare.py", folder / "bare"]
        found["bare_cold_s"] = timed(bare, folder)[0]
        found["bare_warm_s"] = timed(bare, folder)[0]
        found["cold_ratio"] = found["cold_s"] / found["bare_cold_s"]
        found["warm_ratio"] = found["warm_s"] / found["bare_warm_s"]
    return found


def served(folder: Path, *, quick: bool) -> dict[str, float]:
    """The champion of the default example through pyfunc, in a process without torch."""
    if not (folder / ".penstock").exists():
        runs(folder, quick=True)
    code = f"""
import json, statistics, sys, time
class Refuse:
    def find_spec(self, name, *_):
        if name.partition(".")[0] in ("torch", "sklearn", "flows", "models", "expectations"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Refuse())
import mlflow, pandas as pd
mlflow.set_tracking_uri("sqlite:///{folder}/.penstock/mlflow.db")
model = mlflow.pyfunc.load_model("models:/breast-cancer@champion")
rows = pd.DataFrame(model.input_example)
many = pd.concat([rows] * (100_000 // len(rows) + 1), ignore_index=True).head(100_000)
one, ms = rows.head(1), []
for _ in range(300):
    started = time.perf_counter(); model.predict(one); ms.append((time.perf_counter() - started) * 1e3)
spent = []
for _ in range(3):
    started = time.perf_counter(); model.predict(many); spent.append(time.perf_counter() - started)
text = many.astype(str)
started = time.perf_counter(); model.predict(text); as_text = time.perf_counter() - started
print(json.dumps({{"one_row_ms": statistics.median(ms), "hundred_thousand_rows_s": statistics.median(spent),
                   "hundred_thousand_text_rows_s": as_text}}))
"""
    del quick
    _, out = timed([sys.executable, "-c", code], folder)
    return json.loads(out.splitlines()[-1])


def loop(folder: Path, *, quick: bool) -> dict[str, float]:
    """The population's loop against a bare PyTorch loop over the same batched network."""
    del quick
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.loop", "--json"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    del folder
    return json.loads(done.stdout)


def quality(folder: Path, *, quick: bool) -> dict[str, Any]:
    """Mean test metric over three split seeds, with gradient boosting's on the same rows."""
    del quick
    if not os.environ.get("PENSTOCK_DATA"):
        return {"quality": "skipped: PENSTOCK_DATA names no folder of real tables"}
    found: dict[str, Any] = {}
    for name, (settings, metric, bar) in TABLES.items():
        ours, boosting, seconds = [], [], []
        for seed in range(3):
            place = folder / f"{name}-{seed}"
            place.mkdir()
            shutil.copy(ROOT / settings, place / "table.toml")
            options = ["--set", f"split.seed={seed}", "--set", "gate.mode='dry_run'", "--json"]
            spent, out = timed([PENSTOCK, "run", "table.toml", *options], place)
            summary = json.loads(out)
            ours.append(summary["metrics"]["test"][metric]["value"])
            rung = next(r for r in summary["ladder"] if r["name"] == "hist_gradient_boosting")
            boosting.append(rung["metrics"]["test"][metric]["value"])
            seconds.append(spent)
        mean, other = statistics.mean(ours), statistics.mean(boosting)
        value, text = (mean / other, "ratio") if metric == "rmse" else (mean, metric)
        found |= {
            f"{name}_{text}": value,
            f"{name}_bar": bar,
            f"{name}_boosting_{metric}": other,
            f"{name}_splits": [round(v, 4) for v in ours],
            f"{name}_longest_s": max(seconds),
        }
    return found


if __name__ == "__main__":
    main()
