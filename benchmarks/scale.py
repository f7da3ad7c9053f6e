"""How long the data stages take on large tables, how much memory, and how both grow.

- `python -m benchmarks.scale --json` makes a table of numbers, whole numbers, categories and dates
  with 5 % missing cells as Parquet, and makes every stage before training, in one process of its
  own: seconds, CPU seconds and peak memory of each stage.
- `--rows 1000000 --columns 300` is the size of the bars: load + analyze + contract + engineer +
  validate + split within 6 minutes and 8 GB on two cores. Left out: the growth table, from which
  the exponents in rows and in columns come (1 is linear).
- `--init --rows 1000000` is a stranger's first command on such a table: `penstock init` alone, of the
  Parquet file or with `--text` of a CSV file of the same cells; asked: a minute of CPU, 2 GB.
- Beside it one plain Great Expectations batch over the same checks, at a size where it finishes
  (`--plain`): what a competent user would write.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.commands import timed

GROUP = 65_536  # rows generated and written at once
LEVELS = (2, 3, 7, 12, 30, 100, 400, 1_000)
MISSING = 0.05
GROWTH = ((50_000, 60), (100_000, 60), (200_000, 60), (100_000, 120), (100_000, 240))
SETTINGS = 'name = "scale"\n[data]\nsource = "table.parquet"\ntarget = "target"\n'

STAGES = """
import json, sys, time
from pathlib import Path
from flows.home import open_home
from flows.maker import Maker
from flows.progress import Progress
from flows.settings import load_spec
from flows.stages import BEFORE_TRAINING
import expectations.check, pyarrow.parquet, scipy.stats

def peak():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024 / 1e9

spec = load_spec(Path("scale.toml"), [])
maker, found = Maker(spec, open_home(spec.folder), Progress(quiet=True)), {}
for stage in BEFORE_TRAINING:
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again
    clock, cpu = time.perf_counter(), time.process_time()
    maker.make(stage.name)
    found[stage.name] = {"seconds": time.perf_counter() - clock, "peak_gb": peak(),
                         "cpu_seconds": time.process_time() - cpu}
print(json.dumps(found))
"""

INIT = """
import json, sys, time
from pathlib import Path
from flows.begin import begin

clock = time.perf_counter()
done = begin(sys.argv[1], target="target")
peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024 / 1e9
print(json.dumps({"seconds": time.perf_counter() - clock, "cpu_seconds": time.process_time(),
                  "peak_gb": peak, "said": done["decisions"]}))
"""

PLAIN = """
import json, sys, time, tomllib
from pathlib import Path
import great_expectations as gx, pandas as pd
from great_expectations import expectations as gxe

def peak():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024 / 1e9

clock = time.perf_counter()
frame = pd.read_parquet("table.parquet")
context = gx.get_context(mode="ephemeral")
suite = gx.ExpectationSuite(name="plain")
for name in frame:
    column = frame[name]
    suite.add_expectation(gxe.ExpectColumnToExist(column=name))
    suite.add_expectation(gxe.ExpectColumnValuesToNotBeNull(column=name, mostly=0.9))
    if column.dtype.kind in "iufM":
        low, high = column.min(), column.max()
        suite.add_expectation(gxe.ExpectColumnValuesToBeBetween(column=name, min_value=low, max_value=high))
    else:
        levels = column.dropna().unique().tolist()
        suite.add_expectation(gxe.ExpectColumnValuesToBeInSet(column=name, value_set=levels))
asset = context.data_sources.add_pandas("p").add_dataframe_asset("f")
batch = asset.add_batch_definition_whole_dataframe("w").get_batch(batch_parameters={"dataframe": frame})
done = batch.validate(suite, result_format="SUMMARY")
print(json.dumps({"seconds": time.perf_counter() - clock, "peak_gb": peak(), "checks": len(done.results)}))
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--rows", type=int, help="rows of one table; left out: the growth table")
    parser.add_argument("--columns", type=int, default=300, help="feature columns of it")
    parser.add_argument("--plain", action="store_true", help="a plain Great Expectations batch too")
    parser.add_argument(
        "--init", action="store_true", help="`penstock init` in place of the stages"
    )
    parser.add_argument("--text", action="store_true", help="with --init: of a CSV file")
    wish = parser.parse_args()
    figures: dict[str, Any] = {"machine": f"{os.cpu_count()} cores, {platform.machine()}"}
    if wish.init:
        figures |= begun(wish.rows or GROWTH[-1][0], wish.columns, text=wish.text)
    elif wish.rows:
        figures |= measured(wish.rows, wish.columns, plain=wish.plain)
    else:
        sizes = [measured(*size, plain=wish.plain) for size in GROWTH]
        figures |= {"sizes": sizes, "exponents": exponents(sizes)}
    figures["load_average"] = os.getloadavg()[0]
    print(json.dumps(figures, indent=1 if wish.json else None))


def measured(rows: int, columns: int, *, plain: bool) -> dict[str, Any]:
    """Make a table, then every stage before training; return what each of them cost."""
    with tempfile.TemporaryDirectory(prefix="penstock-scale-") as place:
        folder = Path(place)
        write(folder / "table.parquet", rows, columns)
        (folder / "scale.toml").write_text(SETTINGS, encoding="utf-8")
        _, out = timed([sys.executable, "-c", STAGES], folder)
        stages = json.loads(out.splitlines()[-1])
        found: dict[str, Any] = {"rows": rows, "columns": columns, "stages": stages}
        for key in ("seconds", "cpu_seconds"):
            found[key] = sum(stage[key] for stage in stages.values())
        found["peak_gb"] = max(stage["peak_gb"] for stage in stages.values())
        if plain:
            _, out = timed([sys.executable, "-c", PLAIN], folder)
            found["plain"] = json.loads(out.splitlines()[-1])
            ours = stages["validate"]["seconds"]
            found["validate_ratio"] = found["plain"]["seconds"] / ours
        return found


def begun(rows: int, columns: int, *, text: bool) -> dict[str, Any]:
    """Make a table; return what `penstock init` of it cost, and what it said."""
    with tempfile.TemporaryDirectory(prefix="penstock-scale-") as place:
        path = Path(place) / "table.parquet"
        write(path, rows, columns)
        if text:
            path = _as_text(path)
        found = {
            "rows": rows,
            "columns": columns,
            "file": path.suffix,
            "bytes": path.stat().st_size,
        }
        _, out = timed([sys.executable, "-c", INIT, path.name], path.parent)
        return found | json.loads(out.splitlines()[-1])


def _as_text(path: Path) -> Path:
    """Write a table as CSV in place of Parquet."""
    import pyarrow.csv as arrow_csv
    import pyarrow.parquet as pq

    written = path.with_suffix(".csv")
    with pq.ParquetFile(path) as file, arrow_csv.CSVWriter(written, file.schema_arrow) as writer:
        for batch in file.iter_batches():
            writer.write_batch(batch)
    path.unlink()
    return written


def exponents(sizes: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Return, for rows and for columns, by which power of it each stage's CPU seconds grow."""
    found: dict[str, dict[str, float]] = {}
    for axis, other in (("rows", "columns"), ("columns", "rows")):
        fixed = max({s[other] for s in sizes}, key=lambda v: sum(s[other] == v for s in sizes))
        line = sorted((s for s in sizes if s[other] == fixed), key=lambda s: s[axis])
        found[axis] = {
            name: round(
                math.log(
                    line[-1]["stages"][name]["cpu_seconds"] / line[0]["stages"][name]["cpu_seconds"]
                )
                / math.log(line[-1][axis] / line[0][axis]),
                2,
            )
            for name in line[0]["stages"]
        }
    return found


def write(path: Path, rows: int, columns: int) -> None:
    """Write a table of which the target depends on some columns, a row group at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer: Any = None
    for start in range(0, rows, GROUP):
        table = pa.table(_piece(min(GROUP, rows - start), columns, seed=start // GROUP))
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    writer.close()


def _piece(rows: int, columns: int, *, seed: int) -> dict[str, Any]:
    """Return 60 % numbers, 15 % whole numbers, 20 % categories and 5 % dates, and the target."""
    import pyarrow as pa

    draw = np.random.default_rng(seed)
    made: dict[str, Any] = {}
    score = np.zeros(rows)
    for place in range(columns):
        absent = draw.random(rows) < MISSING
        turn = place % 20
        if turn < 12:
            values = draw.normal(place, 1 + turn, rows)
            if place < 12:
                score += (values - place) / (1 + turn)
            made[f"number_{place}"] = pa.array(values, mask=absent)
        elif turn < 15:
            made[f"count_{place}"] = pa.array(draw.poisson(3 + 40 * turn, rows), mask=absent)
        elif turn < 19:
            names = np.array([f"level {i}" for i in range(LEVELS[place % len(LEVELS)])], object)
            made[f"level_{place}"] = pa.array(
                names[draw.integers(0, len(names), rows)], mask=absent
            )
        else:
            seconds = draw.integers(1_500_000_000, 1_700_000_000, rows)
            moments = seconds.astype("datetime64[s]").astype("datetime64[us]")
            made[f"moment_{place}"] = pa.array(moments, mask=absent)
    made["target"] = np.where(score + draw.normal(0, 1, rows) > 0, "yes", "no")
    return made


if __name__ == "__main__":
    main()
