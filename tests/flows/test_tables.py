"""Tables on disk by blocks: the same cells, types and digests, however they were cut."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows import tables
from flows.table_digest import TableDigest, table_digest
from flows.tables import (
    Writer,
    batches,
    blocks,
    columns_of,
    frame_of,
    group_rows,
    read_parquet,
    read_rows,
    write_parquet,
)


@pytest.fixture
def table():
    draw = np.random.default_rng(0)
    rows = 10_000
    absent = draw.random(rows) < 0.2
    return pa.table(
        {
            "number": pa.array(draw.normal(size=rows), mask=absent),
            "whole": pa.array(draw.integers(0, 9, rows), mask=absent),
            "late gap": pa.array(np.arange(rows), mask=np.arange(rows) == rows - 1),
            "flag": pa.array(draw.random(rows) < 0.5, mask=absent),
            "text": pa.array([f"t{i % 77}é" for i in range(rows)], mask=absent),
            "a": pa.array(np.arange(rows)),
            "a.b": pa.array(np.arange(rows) * 2),
            "when": pa.array(np.arange(rows), pa.timestamp("us", "Asia/Seoul"), mask=absent),
        }
    )


def written(path, table, *cuts):
    with Writer(path, table.schema) as writer:
        for start, end in zip([0, *cuts], [*cuts, table.num_rows], strict=True):
            writer.write(table.slice(start, end - start))
    return path


def test_blocks_make_the_table_that_one_piece_makes(table, tmp_path):
    found = read_parquet(written(tmp_path / "t.parquet", table, 1, 777, 778, 9_000))
    pd.testing.assert_frame_equal(found, frame_of(table))
    kinds = {name: str(kind) for name, kind in found.dtypes.items()}
    assert kinds["whole"] == kinds["late gap"] == "Int64"
    assert (kinds["a"], kinds["flag"], kinds["number"]) == ("int64", "boolean", "float64")


def test_a_block_has_the_types_of_the_whole(table, tmp_path):
    path = written(tmp_path / "t.parquet", table, 5_000)
    first = next(blocks(path, ["late gap", "flag"], rows=100))
    assert [str(kind) for kind in first.dtypes] == ["Int64", "boolean"]
    assert len(first) == 100


def test_a_dot_in_a_name_brings_no_other_column_along(table, tmp_path):
    path = written(tmp_path / "t.parquet", table)
    assert list(read_parquet(path, ["a"])) == ["a"]
    assert [batch.column_names for batch in batches(path, ["a"])] == [["a"]]
    assert [column.name for column in columns_of(path, ["a", "a.b"])] == ["a", "a.b"]


def test_columns_come_one_by_one_as_they_are_in_the_whole(table, tmp_path, monkeypatch):
    path, whole = written(tmp_path / "t.parquet", table), frame_of(table)
    names = list(reversed(table.column_names))
    for cells in (tables.CELLS, table.num_rows):  # sixteen at once, one at once
        monkeypatch.setattr(tables, "CELLS", cells)
        for name, column in zip(names, columns_of(path, names), strict=True):
            pd.testing.assert_series_equal(column, whole[name])


def test_rows_are_found_in_any_order_and_more_than_once(table, tmp_path):
    path = written(tmp_path / "t.parquet", table, 4_000)
    at = np.array([9_999, 3, 3, 5_000])
    expected = frame_of(table).iloc[at].reset_index(drop=True)
    pd.testing.assert_frame_equal(read_rows(path, at), expected)
    assert list(read_rows(path, [], ["a", "flag"])) == ["a", "flag"]
    with pytest.raises(IndexError, match="10,000 rows"):
        read_rows(path, [10_000])


def test_row_groups_have_one_size_whatever_was_written(tmp_path):
    rows, columns = 20_000, 2_000
    block = pa.table({f"c{i}": np.zeros(700, np.int8) for i in range(columns)})
    with Writer(tmp_path / "t.parquet", block.schema) as writer:
        for _ in range(rows // 700):
            writer.write(block)
    footer = pq.ParquetFile(tmp_path / "t.parquet").metadata
    sizes = [footer.row_group(i).num_rows for i in range(footer.num_row_groups)]
    assert set(sizes[:-1]) == {group_rows(columns)}
    assert sum(sizes) == rows // 700 * 700


def test_a_damaged_page_is_noticed_by_every_reader(tmp_path):
    path = tmp_path / "t.parquet"
    write_parquet(pd.DataFrame({"a": np.random.default_rng(0).normal(size=4_000)}), path)
    content = bytearray(path.read_bytes())
    content[9_000] ^= 1
    path.write_bytes(content)
    for read in (read_parquet, lambda p: list(blocks(p)), lambda p: read_rows(p, [0])):
        with pytest.raises(OSError, match=r"CRC|checksum"):
            read(path)


@pytest.mark.parametrize("size", [1, 64, 3_333])
def test_the_digest_does_not_know_where_blocks_end(table, size):
    found = TableDigest(table.schema)
    for start in range(0, min(table.num_rows, 50 * size), size):
        found.add(table.slice(start, size))
    part = table.slice(0, min(table.num_rows, 50 * size))
    whole = TableDigest(part.schema)
    whole.add(part.combine_chunks())
    assert found.hexdigest() == whole.hexdigest()
    assert whole.hexdigest() == table_digest(frame_of(part))


def test_what_lies_under_a_missing_cell_does_not_count(table):
    there = pa.array([True, False, True])
    one = pa.Array.from_buffers(pa.int64(), 3, [pack(there), pa.py_buffer(np.array([1, 2, 3]))])
    two = pa.Array.from_buffers(pa.int64(), 3, [pack(there), pa.py_buffer(np.array([1, 9, 3]))])
    digests = set()
    for cells in (one, two):
        found = TableDigest(pa.schema([("a", pa.int64())]))
        found.add(pa.table({"a": cells}))
        digests.add(found.hexdigest())
    assert len(digests) == 1


def pack(there):
    return pa.array(there, pa.bool_()).buffers()[1]


@pytest.mark.parametrize("name", ["number", "whole", "flag", "text", "when"])
def test_the_digest_sees_every_cell(table, name):
    place = table.column_names.index(name)
    cells = table[name].to_pylist()
    at = next(i for i, cell in enumerate(cells) if cell is not None)
    other = [*cells[:at], None, *cells[at + 1 :]]
    changed = table.set_column(place, name, pa.array(other, table.schema.field(name).type))
    assert table_digest(frame_of(changed)) != table_digest(frame_of(table))
    assert table_digest(frame_of(table.select([name]))) != table_digest(
        frame_of(table.select([name]).rename_columns(["other"]))
    )


def test_texts_that_are_cut_elsewhere_are_other_texts():
    one, two = pd.DataFrame({"t": ["ab", "c"]}), pd.DataFrame({"t": ["a", "bc"]})
    assert table_digest(one) != table_digest(two)
