"""The output of batch scoring: whole or not at all, plain where it can be, and it says who answered."""

import contextlib
import csv
import json
import resource

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.errors import PenstockError
from flows.scored import Output

FACTS = {"model": "모델", "version": "3"}
ROWS = pa.table(
    {"이름": ["가나", "a,b", 'say "hi"', None, "x\ny"], "p": [0.5, None, 1e-7, 1.0, 0.0]}
)


@pytest.mark.parametrize("name", ["out.csv", "out.parquet"])
def test_nothing_is_there_before_the_end_and_nothing_is_left_of_what_failed(tmp_path, name):
    out = tmp_path / name
    out.write_text("old")
    with contextlib.suppress(KeyError), Output(out, ROWS.schema, FACTS) as output:
        output.write(ROWS)
        raise KeyError
    assert out.read_text() == "old"
    assert list(tmp_path.iterdir()) == [out]
    with Output(out, ROWS.schema, FACTS) as output:
        output.write(ROWS)
        assert out.read_text() == "old"
        output.finish({"rows": 5})
    assert out.read_bytes()[:3] != b"old"
    assert [p for p in tmp_path.iterdir() if p.name.endswith(".part")] == []


def test_csv_cells_with_separators_quotes_and_line_ends_come_back(tmp_path):
    plain = pa.table({"이름": ["x", ""], "p": [0.25, None]}, schema=ROWS.schema)
    with Output(tmp_path / "out.csv", ROWS.schema, FACTS) as output:
        output.write(plain)
        output.write(ROWS)
        output.finish({"rows": 5})
    text = (tmp_path / "out.csv").read_text("utf-8")
    assert text.startswith("이름,p\nx,0.25\n")
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["이름"] for row in rows] == ["x", "", "가나", "a,b", 'say "hi"', "", "x\ny"]
    assert float(rows[4]["p"]) == 1e-7
    assert json.loads((tmp_path / "out.csv.json").read_text("utf-8"))["model"] == "모델"


def test_parquet_holds_its_facts_and_row_groups_of_some_size(tmp_path, monkeypatch):
    monkeypatch.setattr("flows.scored.GROUP_ROWS", 8)
    with Output(tmp_path / "out.parquet", ROWS.schema, FACTS) as output:
        for _ in range(5):
            output.write(ROWS)
        output.finish({"statuses": {"ok": 25}})
    file = pq.ParquetFile(tmp_path / "out.parquet")
    assert file.metadata.num_rows == 25
    assert file.metadata.num_row_groups <= 4
    assert file.schema_arrow.metadata[b"penstock.model"].decode() == "모델"
    assert json.loads(file.metadata.metadata[b"penstock.statuses"]) == {"ok": 25}
    assert list(pd.read_parquet(tmp_path / "out.parquet")["이름"][:2]) == ["가나", "a,b"]


def written(out, table, times):
    with Output(out, table.schema, FACTS) as output:
        for _ in range(times):
            output.write(table)
        output.finish({"rows": 5})


@pytest.mark.parametrize("name", ["out.csv", "out.parquet"])
def test_a_disk_that_is_full_is_an_error_that_names_the_file_and_keeps_the_old_one(tmp_path, name):
    out = tmp_path / name
    out.write_text("old")
    many = pa.table({"a": [str(i) * 9 for i in range(9_000)]})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, before[1]))
    try:
        with pytest.raises(PenstockError, match=rf"{name} must be writable: "):
            written(out, many, 20)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert out.read_text() == "old"
    assert list(tmp_path.iterdir()) == [out]
