"""What filling costs on a large table: seconds and memory of an imputer's fit, and of filling all rows.

- Columns follow a few hidden ones and noise; 5 % of the cells are missing. Beside the error on these
  cells stands the median's, so that what is quick is seen to be worth something.
- `python -m benchmarks.impute_size --rows 1000000 --columns 300 --json`; the bar is 8 minutes on two
  cores for "mice".
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.commands import machine, tell
from benchmarks.epoch import peak
from models.impute import IMPUTERS

HIDDEN, NOISE, MISSING = 12, 1.5, 0.05
ROWS = 65_536  # filled at a time, and looked at


def made(rows: int, columns: int) -> np.ndarray:
    """Return numbers (N, n), column by column, with cells missing."""
    draw = np.random.default_rng(0)
    causes = draw.normal(size=(rows, HIDDEN)).astype(np.float32)
    numbers = np.empty((columns, rows))
    for column in numbers:
        column[:] = causes @ draw.normal(size=HIDDEN).astype(np.float32)
        np.add(column, NOISE * draw.standard_normal(rows, dtype=np.float32), out=column)
    return numbers.T


def measured(imputer: str, rows: int, columns: int) -> dict[str, Any]:
    """Hide cells, learn, fill; return seconds, error and peak memory."""
    numbers = made(rows, columns)
    drawn = np.random.default_rng(1)
    truth = numbers[:ROWS].copy()
    for start in range(0, rows, ROWS):
        part = numbers[start : start + ROWS]
        part[drawn.random(part.shape) < MISSING] = np.nan
    hidden = np.isnan(numbers[:ROWS])
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak starts again
    clock, cpu = time.perf_counter(), time.process_time()
    learned: Any = IMPUTERS[imputer](seed=0).fit(numbers)
    fit_clock, fit_cpu = time.perf_counter() - clock, time.process_time() - cpu
    guess = learned.transform(numbers[:ROWS])
    for start in range(ROWS, rows, ROWS):
        learned.transform(numbers[start : start + ROWS])
    medians = np.nanmedian(numbers[:ROWS], axis=0)
    return {
        "imputer": imputer,
        "rows": rows,
        "columns": columns,
        "fit_seconds": fit_clock,
        "seconds": time.perf_counter() - clock,
        "fit_cpu_seconds": fit_cpu,
        "cpu_seconds": time.process_time() - cpu,
        "table_gb": numbers.nbytes / 1e9,
        "peak_gb": peak(),
        "error": _error(guess, truth, hidden),
        "error_of_medians": _error(np.where(hidden, medians, truth), truth, hidden),
        "facts": learned.facts,
    }


def _error(guess: np.ndarray, truth: np.ndarray, hidden: np.ndarray) -> float:
    return float(np.sqrt(np.mean(((guess - truth) / truth.std(axis=0))[hidden] ** 2)))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--imputer", default="mice", choices=list(IMPUTERS))
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--columns", type=int, default=300)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    given = parser.parse_args()
    figures = measured(given.imputer, given.rows, given.columns)
    tell(figures | machine(), as_json=given.json)


if __name__ == "__main__":
    main()
