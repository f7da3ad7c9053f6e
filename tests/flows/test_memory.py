"""What a table will take is told before it is read; one that would not fit is refused with advice."""

import gzip
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.data_spec import DataSpec
from flows.errors import DataRefused
from flows.memory import PER_CELL, allowed, free, needed_for, refuse_too_large
from flows.part_size import size_of
from flows.parts import find_parts
from flows.union import read_source

ROOT = Path(__file__).resolve().parents[2]
DATA = DataSpec(source="-", target="y")
UNDER_A_LIMIT = """
import resource, psutil
from flows.memory import allowed, free
limit = getattr(psutil.Process().memory_info(), "{used}") + 500_000_000
resource.setrlimit(resource.{name}, (limit, limit))
print(free(), limit - allowed())
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
    elif name.endswith("jsonl"):
        table.to_json(path, orient="records", lines=True, force_ascii=False)
    elif name.endswith("gz"):
        path.write_bytes(gzip.compress(table.to_csv(index=False).encode()))
    else:
        table.to_csv(path, index=False)
    return str(path)


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.parquet", "t.jsonl"])
def test_the_estimate_is_near_what_the_table_takes(table, tmp_path, name):
    path = written(table, tmp_path, name)
    (part,) = find_parts(path, folder=tmp_path)
    size = size_of(part, DATA)
    assert size.columns == 8
    assert size.rows == pytest.approx(len(table), rel=0.05)
    taken = read_source(path, DATA, tmp_path).frame.drop(columns=["__source__", "__record__"])
    assert size.bytes == pytest.approx(taken.memory_usage(index=False, deep=True).sum(), rel=0.35)


@pytest.mark.parametrize("name", ["t.csv", "t.parquet", "t.jsonl"])
def test_a_table_that_does_not_fit_is_refused_with_what_would(table, tmp_path, name):
    parts = find_parts(written(table, tmp_path, name), folder=tmp_path)
    needed = needed_for(size_of(parts[0], DATA), DATA)
    refuse_too_large(parts, DATA, there=needed)
    with pytest.raises(DataRefused) as caught:
        refuse_too_large(parts, DATA, there=needed - 3_000_000)
    said = str(caught.value)
    assert re.search(r"data\.source must fit in memory: about (29|30),\d{3} rows x 8 columns", said)
    for word in (" GB are free", "data.sample = ", "times the memory"):
        assert word in said


def test_fewer_columns_are_advised_where_they_would_do(tmp_path):
    wide = pd.DataFrame(np.zeros((2_000, 5_000), np.float32)).add_prefix("c").assign(y=0)
    parts = find_parts(written(wide, tmp_path, "t.parquet"), folder=tmp_path)
    size = size_of(parts[0], DATA)
    most = needed_for(size, DATA) - int(2_000 * PER_CELL * 1_000)  # of 1,000 columns
    with pytest.raises(DataRefused, match=r"data\.only, at most about 4,0\d\d"):
        refuse_too_large(parts, DATA, there=most)


def test_a_table_that_is_short_of_a_byte_is_told_as_short(table, tmp_path):
    parts = find_parts(written(table, tmp_path, "t.parquet"), folder=tmp_path)
    needed = needed_for(size_of(parts[0], DATA), DATA)
    with pytest.raises(DataRefused) as caught:
        refuse_too_large(parts, DATA, there=needed - 1)
    said = re.search(r"about ([\d.]+) GB; ([\d.]+) GB are free", str(caught.value))
    assert said
    assert float(said[1]) - float(said[2]) == pytest.approx(0.01)
    assert "1.1 times the memory" in str(caught.value)
    assert "data.only" not in str(caught.value), "no number of columns below what it has"


def test_the_sample_that_is_advised_fits(table, tmp_path):
    parts = find_parts(written(table, tmp_path, "t.parquet"), folder=tmp_path)
    there = needed_for(size_of(parts[0], DATA), DATA) - 5_000_000
    with pytest.raises(DataRefused) as caught:
        refuse_too_large(parts, DATA, there=there)
    rows = re.search(r"data\.sample = (\d+)", str(caught.value))
    assert rows
    data = DATA.model_copy(update={"sample": int(rows[1])})
    refuse_too_large(parts, data, there=there)


def test_columns_that_are_not_read_count_for_nothing(table, tmp_path):
    (part,) = find_parts(written(table, tmp_path, "t.parquet"), folder=tmp_path)
    narrow = DATA.model_copy(update={"only": ("number 0",)})
    assert size_of(part, narrow).columns == 2
    assert size_of(part, narrow).bytes < size_of(part, DATA).bytes / 3


def test_a_workbook_is_whole_in_memory_and_counts_as_that(table, tmp_path):
    table.head(500).to_excel(tmp_path / "t.xlsx", index=False)
    (part,) = find_parts(str(tmp_path / "t.xlsx"), folder=tmp_path)
    size = size_of(part, DATA)
    assert (size.rows, size.columns) == (501, 8)
    assert size.whole > 100_000


@pytest.mark.parametrize(("name", "used"), [("RLIMIT_AS", "vms"), ("RLIMIT_DATA", "data")])
def test_a_limit_of_the_process_counts(name, used):
    code = UNDER_A_LIMIT.format(name=name, used=used)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    there, above = map(int, done.stdout.split())
    assert 100_000_000 < there <= 500_000_000
    assert above >= 0


def test_no_more_is_free_than_allowed():
    assert free() <= allowed()


def test_a_part_of_which_nobody_can_know_counts_for_nothing(tmp_path):
    (part,) = find_parts("sklearn:iris", folder=tmp_path)
    assert size_of(part, DATA).bytes == 0
    assert free() > 1 << 20


def test_a_file_that_is_damaged_or_names_a_column_twice_is_left_to_its_reader(tmp_path):
    twice = pa.table([[1, 2], [3, 4]], names=["a", "a"])
    pq.write_table(twice, tmp_path / "t.parquet")
    packed = bytearray(gzip.compress(b'{"a": 1, "b": "some text"}\n' * 5_000, mtime=0))
    packed[20:60] = bytes(40)
    (tmp_path / "t.jsonl.gz").write_bytes(packed)
    for name in ("t.parquet", "t.jsonl.gz"):
        refuse_too_large(find_parts(name, folder=tmp_path), DATA)
        with pytest.raises(DataRefused):
            read_source(name, DATA, tmp_path)
