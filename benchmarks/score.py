"""Figures of batch scoring: a million rows of twenty columns through the default ensemble.

- `python -m benchmarks.score` prints a table; `--json` one object: `rows_per_second` (after the
  start: from the first row read to the output in its place), `peak_memory_gb` of the scoring
  process, `cpu_seconds`, and the seconds of the whole command; for CSV and for Parquet.
- The model is trained on 20,000 rows with the settings left out. `--larger` scores four times as
  many rows too: the memory must not grow.
- On a machine that is busy with other things, judge by the CPU seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.commands import PENSTOCK, timed

SETTINGS = 'name = "score"\n[data]\nsource = "train.csv"\ntarget = "grade"\n'
LEVELS = (2, 3, 6, 12, 30, 80)
PIECE = 250_000

CHILD = """
import json, sys, time
from pathlib import Path
import mlflow.pyfunc, pyarrow.csv, pyarrow.parquet, flows.answers, flows.chunks
from flows.score import score
begun = time.process_time()
done = score("score", sys.argv[1], Path(sys.argv[2]))
status = Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]
print(json.dumps({"rows_per_second": done["rows_per_second"], "seconds": done["seconds"],
                  "cpu_seconds": time.process_time() - begun, "peak_memory_gb": int(status) * 1024 / 1e9}))
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows to score")
    parser.add_argument("--larger", action="store_true", help="four times as many rows too")
    wish = parser.parse_args()
    figures: dict[str, Any] = {"machine": f"{os.cpu_count()} cores, {platform.machine()}"}
    with tempfile.TemporaryDirectory(prefix="penstock-score-") as folder:
        figures |= measured(Path(folder), wish.rows, larger=wish.larger)
    figures["load_average"] = os.getloadavg()[0]
    if wish.json:
        print(json.dumps(figures, indent=1))
    else:
        for name, value in figures.items():
            print(f"{name:<28} {value:.4g}" if isinstance(value, float) else f"{name:<28} {value}")


def measured(folder: Path, rows: int, *, larger: bool) -> dict[str, Any]:
    """Train once, score CSV and Parquet; return the figures."""
    write(folder / "train.csv", 20_000, seed=0, target=True)
    (folder / "score.toml").write_text(SETTINGS, encoding="utf-8")
    timed([PENSTOCK, "run", "score.toml"], folder)
    write(folder / "in.csv", rows, seed=1)
    write(folder / "in.parquet", rows, seed=1)
    found: dict[str, Any] = {"rows": rows}
    found |= scored(folder, "in.csv")
    found |= {f"parquet_{name}": value for name, value in scored(folder, "in.parquet").items()}
    if larger:
        write(folder / "in.csv", 4 * rows, seed=1)
        found |= {f"larger_{name}": value for name, value in scored(folder, "in.csv").items()}
    seconds, _ = timed([PENSTOCK, "score", "score", "in.parquet", "out.parquet"], folder)
    return {**found, "command_seconds": seconds}


def scored(folder: Path, name: str) -> dict[str, float]:
    """Score a file in a process of its own; return what it cost."""
    _, out = timed([sys.executable, "-c", CHILD, name, "out.parquet"], folder)
    return json.loads(out.splitlines()[-1])


def write(path: Path, rows: int, *, seed: int, target: bool = False) -> None:
    """Write a table of 14 numbers and 6 categories, piece by piece; Parquet by its ending."""
    if path.suffix == ".parquet":
        pieces = [table(PIECE, seed + k) for k in range(-(-rows // PIECE))]
        whole = pd.concat(pieces).head(rows)
        whole.drop(columns="grade").to_parquet(path, index=False)
        return
    with path.open("w", encoding="utf-8") as file:
        for start in range(0, rows, PIECE):
            piece = table(PIECE, seed + start // PIECE).head(rows - start)
            piece = piece if target else piece.drop(columns="grade")
            piece.to_csv(file, index=False, header=start == 0)


def table(rows: int, seed: int) -> pd.DataFrame:
    """Return rows of a table that a model can learn from; some cells are missing."""
    draw = np.random.default_rng(seed)
    columns: dict[str, Any] = {}
    for i in range(14):
        values = draw.normal(i * 10, 5 + i, rows)
        columns[f"number{i}"] = values.round(3) if i < 9 else values.round().astype(int)
    for i, count in enumerate(LEVELS):
        names = np.array([f"v{j:02d}" for j in range(count)], dtype=object)
        columns[f"level{i}"] = names[draw.integers(0, count, rows)]
    score = columns["number0"] / 5 + np.sin(columns["number1"] / 8)
    score = score + 2 * (columns["level2"] == "v01")
    good = draw.random(rows) < 1 / (1 + np.exp(0.5 - score))
    frame = pd.DataFrame({**columns, "grade": np.where(good, "good", "bad")})
    for name in ("number2", "number7", "level3"):
        frame.loc[draw.random(rows) < 0.03, name] = None
    return frame


if __name__ == "__main__":
    main()
