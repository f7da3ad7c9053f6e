"""A table of twice the memory that is allowed goes through every stage before training.

- The limit is the kernel's (RLIMIT_DATA), set when all libraries are loaded: what is allowed is for
  the stages alone. The control: reading the same table as a whole under the same limit fails.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.scale import SETTINGS, write
from flows.data_spec import DataSpec
from flows.part_size import size_of
from flows.parts import find_parts

pytestmark = pytest.mark.long
ROOT = Path(__file__).resolve().parents[2]
ROWS, COLUMNS = 1_400_000, 300
ALLOWED = 1_850_000_000

LIMITED = """
import json, resource, sys
from pathlib import Path
import psutil
import expectations.check, pyarrow.parquet, scipy.stats, sklearn.ensemble
from flows.home import open_home
from flows.maker import Maker
from flows.progress import Progress
from flows.settings import load_spec
from flows.stages import BEFORE_TRAINING
from flows import engineer, leaks, split, validate
from flows.memory import free
from flows.tables import read_parquet

limit = psutil.Process().memory_info().data + {allowed}
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
{work}
"""
STAGES = """
spec = load_spec(Path("scale.toml"), [])
maker = Maker(spec, open_home(spec.folder), Progress(quiet=True))
for stage in BEFORE_TRAINING:
    maker.make(stage.name)
made = {name: each.facts for name, each in maker.made.items()}
print(json.dumps({"rows": made["load"]["rows"], "made": list(made)}))
"""
WHOLE = """
read_parquet(Path("table.parquet"))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("large")
    write(place / "table.parquet", ROWS, COLUMNS)
    (place / "scale.toml").write_text(SETTINGS, encoding="utf-8")
    return place


def limited(folder, work):
    code = LIMITED.replace("{allowed}", str(ALLOWED)).replace("{work}", work)
    # Arrow's own allocator reserves a gigabyte at once, which the kernel counts.
    more = {"ARROW_DEFAULT_MEMORY_POOL": "system", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env={**os.environ, **more},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_table_is_twice_what_is_allowed_and_cannot_be_read_as_a_whole(folder):
    (part,) = find_parts("table.parquet", folder=folder)
    assert size_of(part, DataSpec(source="-", target="target")).bytes > 2 * ALLOWED
    done = limited(folder, WHOLE)
    assert done.returncode != 0
    assert "MemoryError" in done.stderr or "malloc" in done.stderr


def test_every_stage_before_training_makes_do_with_it(folder):
    done = limited(folder, STAGES)
    assert done.returncode == 0, done.stderr[-2_000:]
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["rows"] == ROWS
    assert said["made"][-1] == "leaks"
