"""Large parts go by block by block, and are the same table, with the same refusals."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows import part_size, streams
from flows.errors import DataRefused
from flows.load import load
from flows.spec import Spec
from flows.tables import read_parquet

ROWS = "".join(f"{i},{'good' if i % 3 else 'bad'}\n" for i in range(900))
OPEN = '7,"good\n'  # a quote that is never closed


@pytest.fixture
def small(monkeypatch):
    """Every text is large."""
    for kind in part_size.LARGE:
        monkeypatch.setitem(part_size.LARGE, kind, 1_000)


def spec_of(folder, source, **data):
    values = {"source": source, "target": "risk", **data}
    return Spec.model_validate({"name": "x", "data": values, "path": folder / "x.toml"})


def loaded(spec):
    out = spec.folder / "out"
    out.mkdir(exist_ok=True)
    facts = load(spec, out)
    return facts, read_parquet(out / "table.parquet")


def written(folder, name, text):
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
def test_text_by_blocks_is_the_table_that_it_is_as_a_whole(tmp_path, monkeypatch, name):
    written(tmp_path, name, "age,risk\n" + ROWS)
    whole, table = loaded(spec_of(tmp_path, name))
    for kind in part_size.LARGE:
        monkeypatch.setitem(part_size.LARGE, kind, 10)
    streamed, again = loaded(spec_of(tmp_path, name))
    assert streamed == whole
    pd.testing.assert_frame_equal(table, again)


def test_json_lines_by_blocks_are_the_same_table(tmp_path, monkeypatch):
    lines = [json.dumps({"age": i, "risk": "good" if i % 3 else "bad"}) for i in range(900)]
    written(tmp_path, "t.jsonl", "\n".join(lines))
    whole, _ = loaded(spec_of(tmp_path, "t.jsonl"))
    monkeypatch.setitem(part_size.LARGE, "jsonl", 10)
    assert loaded(spec_of(tmp_path, "t.jsonl"))[0] == whole


def test_a_record_of_another_width_is_set_aside_from_a_large_part_too(tmp_path, monkeypatch):
    written(tmp_path, "t.csv", "age,risk\n" + ROWS[:400] + "\n7\n" + ROWS[400:])
    whole, table = loaded(spec_of(tmp_path, "t.csv"))
    monkeypatch.setitem(part_size.LARGE, "text", 1_000)
    streamed, again = loaded(spec_of(tmp_path, "t.csv"))
    assert streamed == whole
    assert whole["aside"]
    pd.testing.assert_frame_equal(table, again)


def test_all_large_parts_are_looked_through_before_anything_is_refused(tmp_path, small):
    for name in ("a.csv", "b.csv", "c.csv"):
        written(tmp_path, name, "age,risk\n" + ROWS + (OPEN if name != "b.csv" else ""))
    with pytest.raises(DataRefused) as caught:
        loaded(spec_of(tmp_path, "*.csv"))
    assert "a.csv cannot be read" in str(caught.value)
    assert "c.csv cannot be read" in str(caught.value)
    assert "b.csv" not in str(caught.value)


def test_a_large_part_that_turns_out_bad_is_set_aside_whole(tmp_path, small):
    for name in ("a.csv", "b.csv", "c.csv"):
        written(tmp_path, name, "age,risk\n" + ROWS + (OPEN if name == "b.csv" else ""))
    spec = spec_of(tmp_path, "*.csv", bad_files="quarantine", max_bad_files=0.5)
    facts, table = loaded(spec)
    assert [part["name"] for part in facts["bad_parts"]] == ["b.csv"]
    assert [part["rows"] for part in facts["parts"]] == [900, 900]
    assert table["__source__"].tolist() == ["a.csv"] * 900 + ["c.csv"] * 900
    assert facts["rows"] == len(table) == 1_800
    assert any("b.csv is set aside" in note for note in facts["notes"])


def test_the_digest_of_a_table_does_not_depend_on_row_groups(tmp_path):
    draw = np.random.default_rng(0)
    frame = pd.DataFrame({"x": draw.normal(size=3_000), "risk": draw.integers(0, 2, 3_000)})
    digests = set()
    for size in (100, 999, 3_000):
        frame.to_parquet(tmp_path / "t.parquet", row_group_size=size)
        digests.add(loaded(spec_of(tmp_path, "t.parquet"))[0]["table_digest"])
    assert len(digests) == 1


def test_a_number_that_is_none_is_a_missing_cell(tmp_path):
    cells = pa.array([1.0, np.nan, None, 4.0])
    pq.write_table(pa.table({"x": cells, "risk": list("abab")}), tmp_path / "t.parquet")
    loaded(spec_of(tmp_path, "t.parquet"))
    assert pq.read_table(tmp_path / "out" / "table.parquet")["x"].null_count == 2


def test_a_column_without_cells_in_one_part_takes_the_type_of_the_others(tmp_path):
    pq.write_table(pa.table({"x": pa.nulls(2), "risk": list("ab")}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"x": [1, 2], "risk": list("ab")}), tmp_path / "b.parquet")
    _, table = loaded(spec_of(tmp_path, "*.parquet"))
    assert table["x"].dtype == "Int64"
    assert table["x"].tolist()[2:] == [1, 2]
    pq.write_table(pa.table({"x": ["?", "1"], "risk": list("ab")}), tmp_path / "c.parquet")
    with pytest.raises(DataRefused, match="different types"):
        loaded(spec_of(tmp_path, "*.parquet"))


def test_parts_that_are_let_go_are_read_again(tmp_path, monkeypatch):
    for place in range(4):
        written(tmp_path, f"{place}.csv", "age,risk\n" + ROWS)
    held, table = loaded(spec_of(tmp_path, "*.csv"))
    monkeypatch.setattr("flows.union.HELD", 1)
    again, same = loaded(spec_of(tmp_path, "*.csv"))
    assert again["table_digest"] == held["table_digest"]
    pd.testing.assert_frame_equal(table, same)
    assert streams.HELD > 1


def test_a_file_that_changes_while_it_goes_by_is_refused(tmp_path, small):
    from flows.union import open_source, schema_of

    written(tmp_path, "t.csv", "age,risk\n" + ROWS)
    spec = spec_of(tmp_path, "t.csv")
    source = open_source("t.csv", spec.data, tmp_path)
    written(tmp_path, "t.csv", "age,risk\n" + ROWS + "1,good\n")
    list(source.tables(schema_of([source])))
    ((part, why),) = source.late
    assert part.name == "t.csv"
    assert "changed while it was read" in str(why)
