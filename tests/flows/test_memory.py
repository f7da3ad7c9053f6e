"""What a table will take is told before it is read; one that would not fit is refused with advice."""

import gzip
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flows.data_spec import DataSpec
from flows.errors import DataRefused
from flows.memory import free, refuse_too_large, size_of
from flows.parts import find_parts
from flows.union import read_source

ROOT = Path(__file__).resolve().parents[2]
DATA = DataSpec(source="-", target="y")
UNDER_A_LIMIT = """
import resource, psutil
from flows.memory import free
limit = psutil.Process().memory_info().vms + 500_000_000
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
print(free())
"""


@pytest.fixture
def table():
    draw = np.random.default_rng(0)
    names = np.array(["red", "서울", "a rather long level of a column"])
    rows = 30_000
    return pd.DataFrame(
        {
            **{f"number {i}": draw.normal(size=rows) for i in range(6)},
            "level": names[draw.integers(0, 3, rows)],
            "y": draw.integers(0, 2, rows),
        }
    )


def written(table, folder, name):
    path = folder / name
    if name.endswith("parquet"):
        table.to_parquet(path)
    elif name.endswith("gz"):
        path.write_bytes(gzip.compress(table.to_csv(index=False).encode()))
    else:
        table.to_csv(path, index=False)
    return str(path)


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.parquet"])
def test_the_estimate_is_near_what_the_table_takes(table, tmp_path, name):
    path = written(table, tmp_path, name)
    (part,) = find_parts(path, folder=tmp_path)
    size = size_of(part, DATA)
    assert size.columns == 8
    assert size.rows == pytest.approx(len(table), rel=0.05)
    taken = read_source(path, DATA, tmp_path).frame.drop(columns=["__source__", "__record__"])
    assert size.bytes == pytest.approx(taken.memory_usage(index=False, deep=True).sum(), rel=0.35)


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_a_table_that_does_not_fit_is_refused_with_what_would(table, tmp_path, name):
    parts = find_parts(written(table, tmp_path, name), folder=tmp_path)
    refuse_too_large(parts, DATA, there=100_000_000)
    with pytest.raises(DataRefused) as caught:
        refuse_too_large(parts, DATA, there=2_000_000)
    said = str(caught.value)
    assert re.search(r"data\.source must fit in memory: about (29|30),\d{3} rows x 8 columns", said)
    for word in ("0.0 GB are free", "fewer columns", "sample of the rows", "times the memory"):
        assert word in said


def test_a_limit_of_the_process_counts():
    done = subprocess.run(
        [sys.executable, "-c", UNDER_A_LIMIT], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert 100_000_000 < int(done.stdout) <= 500_000_000


def test_a_part_of_which_nobody_can_know_counts_for_nothing(tmp_path):
    (part,) = find_parts("sklearn:iris", folder=tmp_path)
    assert size_of(part, DATA).bytes == 0
    assert free() > 1 << 20
