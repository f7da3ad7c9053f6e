"""Lines above a header that the settings name: passed over by every reader, counted in every line number."""

from __future__ import annotations

import gzip
from pathlib import Path

import openpyxl
import pandas as pd
import pyarrow as pa
import pytest

from flows import offering, part_cache, part_size, stages
from flows.chunks import open_source
from flows.data_spec import DataSpec
from flows.delimited import read_text
from flows.errors import DataRefused
from flows.load import load
from flows.part_size import size_of
from flows.parts import Part
from flows.skipped import Skip, TooFewLines
from flows.spec import Spec
from flows.tables import read_parquet
from flows.text_chunks import Text
from flows.union import read_source

CELLS = {"a": ["1", "2"], "b": ["x", "y"]}
TITLE = "Sales of March\nmade on 1 April\n\n"
GOOD = {
    "title": (TITLE, "a,b\n1,x\n2,y\n", 3, {}),
    "CRLF": ("Sales\r\n\r\n", "a,b\r\n1,x\r\n2,y\r\n", 2, {}),
    "lone CR": ("Sales\r\r", "a,b\r1,x\r2,y\r", 2, {}),
    "the separator in it": ("Sales, 2024, all regions\n,,\n", "a,b\n1,x\n2,y\n", 2, {}),
    "as wide as the table": ("Sales,2024\n", "a,b\n1,x\n2,y\n", 1, {}),
    "a quote in it": ('Sales "of\nMarch\n', "a,b\n1,x\n2,y\n", 2, {}),
    "comments": ("# made by x\n#\n", "a,b\n1,x\n2,y", 2, {}),
    "blank lines below it": ("Sales\n", "\n\na,b\n\n1,x\n2,y\n", 1, {}),
    "mark": ("\ufeffSales\n", "a,b\n1,x\n2,y\n", 1, {}),
    "longer than a block": ("Sales " * 50 + "\n", "a,b\n1,x\n2,y\n", 1, {}),
    "runs of blanks": ("Sales of March\n", "  a   b\n  1  x \n 2\t y\n", 1, {"separator": " "}),
    "no header": ("Sales\n", "1,x\n2,y\n", 1, {"header": False, "names": ["a", "b"]}),
    "UTF-16": ("매출\n", "a,b\n1,x\n2,y\n", 1, {"encoding": "utf-16"}),
    "the table has a mark of its own": ("Sales\r\n", "\ufeffa,b\r\n1,x\r\n2,y\r\n", 1, {}),
    "columns that are counted": ("1,2\n", "1,x\n2,y\n", 1, {"header": False, "names": ["a", "b"]}),
    "CP949": ("매출\n", "a;b\n1;x\n2;y\n", 1, {"encoding": "cp949", "separator": ";"}),
    "bytes of another encoding": ("café\n".encode("latin-1"), "a,b\n1,x\n2,y\n", 1, {}),
}
BAD = {
    "fewer lines": ("a,b\n1,x\n", 5, "below the first 5 lines (data.skip_lines), but nothing"),
    "as many lines": ("a,b\n1,x", 2, "below the first 2 lines (data.skip_lines), but nothing"),
    "blank below": ("Sales\n\n \n", 1, "below the first 1 line (data.skip_lines), but nothing"),
    "no title": ("a,b\n1,x\n2,y\n3,z\n", 2, "must be line 3 (data.skip_lines = 2), but it is line 1 (a, b)"),
    "a line more": (TITLE + "a,b\n1,x\n2,y\n3,z\n4,z\n", 1, "set skip_lines = 3 in [data]"),
    "open quote": (TITLE + 'a,b\n1,x\n2,"y\n3,z\n', 3, "opened in record 2 (line 6)"),
    "NUL": (b"Sales\na,b\n1,x\x00y\n", 1, "(line 3)"),
    "CP949 unsaid": ("Sales\na,b\n1,x\n2,가\n".encode("cp949"), 1, "line 4 is not utf-8 text: byte 0xb0 at offset 16"),
    "twice": ("Sales\na,a,b\n1,x,y\n", 1, "stands twice in the header"),
    "long and short": (TITLE + "a,b\n1,x\n2,y,z\n3,q\n4,r,s\n", 3, "t.csv record 2: 3 fields"),
}  # fmt: skip


def as_bytes(content, encoding="utf-8"):
    return content.encode(encoding) if isinstance(content, str) else content


def data_of(skip, **options):
    return DataSpec(source="-", target="b", skip_lines=skip, **options)


def as_text(folder, content, data, block=1 << 20):
    name = "t.csv.gz" if content.startswith(b"\x1f\x8b") else "t.csv"
    (folder / name).write_bytes(content)
    return Text(Part(kind="text", name="t.csv", path=folder / name), data, block=block)


@pytest.mark.parametrize(("title", "table", "skip", "options"), GOOD.values(), ids=GOOD.keys())
def test_every_reader_gives_the_table_below_the_lines(tmp_path, title, table, skip, options):
    encoding = options.get("encoding", "utf-8")
    content = as_bytes(title, encoding) + as_bytes(table, encoding).removeprefix(b"\xff\xfe")
    data = data_of(skip, **options)
    assert read_text(content, data, "t.csv").table.to_pydict() == CELLS
    assert read_text(content, data, "t.csv", lenient=True).table.to_pydict() == CELLS
    for block in (16, 1 << 20):
        for packed in (content, gzip.compress(content)):
            tables = list(as_text(tmp_path, packed, data, block).tables())
            assert pa.concat_tables(tables).to_pydict() == CELLS


@pytest.mark.parametrize(("content", "skip", "said"), BAD.values(), ids=BAD.keys())
def test_a_bad_file_is_refused_by_every_reader_with_the_line_that_a_person_sees(
    tmp_path, content, skip, said
):
    with pytest.raises(DataRefused) as whole:
        read_text(as_bytes(content), data_of(skip), "t.csv")
    assert said in str(whole.value)
    with pytest.raises(DataRefused) as chunks:
        list(as_text(tmp_path, as_bytes(content), data_of(skip)).tables())
    assert str(chunks.value) == str(whole.value)


def test_rows_of_a_table_without_header_are_not_passed_over(tmp_path):
    data = data_of(1, header=False, names=["a", "b"])
    said = r"but line 1 is as wide as it and holds numbers \(1, x\)"
    with pytest.raises(DataRefused, match=said):
        read_text(b"1,x\n2,y\n3,z\n", data, "t.csv")
    with pytest.raises(DataRefused, match=said):
        list(as_text(tmp_path, b"1,x\n2,y\n3,z\n", data).tables())
    old_header = read_text(b"c,d\n1,x\n2,y\n", data, "t.csv")
    assert old_header.table.to_pydict() == CELLS


def test_gzip_members_that_are_empty_end_nothing(tmp_path):
    content = b"".join(map(gzip.compress, (b"", b"Sales\n\n", b"", b"a,b\n1,x\n2,y\n")))
    tables = list(as_text(tmp_path, content, data_of(2)).tables())
    assert pa.concat_tables(tables).to_pydict() == CELLS


@pytest.mark.parametrize("name", ["open quote", "long and short", "a line more"])
def test_a_file_too_large_to_be_read_again_is_refused_in_the_same_words(
    tmp_path, monkeypatch, name
):
    content, skip, _ = BAD[name]
    with pytest.raises(DataRefused) as whole:
        read_text(content.encode(), data_of(skip), "t.csv")
    monkeypatch.setattr("flows.text_chunks.WHOLE", 5)
    with pytest.raises(DataRefused) as found:
        list(as_text(tmp_path, content.encode(), data_of(skip)).tables())
    assert str(found.value) == str(whole.value)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_a_line_end_cut_in_two_ends_one_line(size):
    text = b"one\r\n\r\ntwo\rthree\n\rfour\r\nrest\r\n"
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    for lines in range(8):
        below = b"".join(text.splitlines(keepends=True)[lines:])
        assert b"".join(Skip(lines).below(pieces)) == below
    with pytest.raises(TooFewLines):
        list(Skip(9).below(pieces))


def test_records_of_another_width_keep_their_numbers(tmp_path):
    rows = "".join(f"{i},x\n" for i in range(200))
    table = f"a,b\n{rows[:8]}7,x,more\n{rows[8:]}"
    plain = read_text(table.encode(), data_of(0), "t.csv", lenient=True)
    titled = read_text((TITLE + table).encode(), data_of(3), "t.csv", lenient=True)
    assert titled.aside == plain.aside
    assert titled.aside is not None
    assert titled.aside.numbers == (3,)
    assert titled.table.equals(plain.table)


def loaded(folder, source, **data):
    values = {"source": source, "target": "b", **data}
    spec = {"name": "x", "data": values, "path": folder / "x.toml"}
    out = folder / "out"
    out.mkdir(exist_ok=True)
    load(Spec.model_validate(spec), out)
    return read_parquet(out / "table.parquet")


@pytest.mark.parametrize("large", [False, True])
def test_a_source_is_loaded_and_scored_as_it_is_without_its_title(tmp_path, monkeypatch, large):
    if large:
        for kind in part_size.LARGE:
            monkeypatch.setitem(part_size.LARGE, kind, 10)
    rows = "a,b\n" + "".join(f"{i},{'xyz'[i % 3]}\n" for i in range(900))
    (tmp_path / "t.csv").write_text(rows)
    plain = loaded(tmp_path, "t.csv")
    (tmp_path / "t.csv").write_text(TITLE + rows)
    pd.testing.assert_frame_equal(loaded(tmp_path, "t.csv", skip_lines=3), plain)
    source = open_source("t.csv", data_of(3), tmp_path)
    scored = pa.concat_tables(source.tables()).to_pandas()
    assert scored["a"].tolist() == plain["a"].tolist()
    part = Part(kind="text", name="t.csv", path=tmp_path / "t.csv")
    size = size_of(part, data_of(3))
    assert size.columns == 2
    assert abs(size.rows - 900) < 10


def test_a_part_without_the_lines_is_named_with_the_line_of_its_header(tmp_path):
    (tmp_path / "p1.csv").write_text(TITLE + "a,b\n1,x\n2,y\n")
    (tmp_path / "p2.csv").write_text("a,b\n3,x\n4,y\n5,x\n6,y\n")
    with pytest.raises(DataRefused) as refused:
        loaded(tmp_path, "p*.csv", skip_lines=3)
    assert "p1.csv" not in str(refused.value)
    assert "it is line 1 (a, b)" in str(refused.value)
    with pytest.raises(DataRefused, match=r"data\.skip_lines = 3 passes over what stands above"):
        read_source("p*.csv", DataSpec(source="-", target="-", skip_lines=3), tmp_path)


def test_another_number_of_lines_reads_kept_parts_again(tmp_path):
    for name in ("p1.csv", "p2.csv"):
        (tmp_path / name).write_text("a,b\nc,d\n1,x\n")
    names = [
        list(read_source("p*.csv", DataSpec(source="-", target="d", skip_lines=skip), tmp_path).frame)
        for skip in (0, 1, 0)
    ]  # fmt: skip
    assert [columns[:2] for columns in names] == [["a", "b"], ["c", "d"], ["a", "b"]]
    assert len(list((tmp_path / ".penstock/cache/parts").glob("*.parquet"))) == 4


def test_what_says_how_text_is_read_is_in_every_key_and_goes_along_with_a_model():
    assert set(offering.READING) == set(part_cache.OPTIONS)
    assert {f"data.{name}" for name in part_cache.OPTIONS} <= set(stages.READING)


def workbook(path, rows):
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(path)


TOP = [["Sales of March"], [], ["made on 1 April"]]
SHEET = [["a", "b"], [1, "x"], [2, "y"]]


def test_rows_above_the_names_of_a_sheet_are_passed_over(tmp_path):
    workbook(tmp_path / "t.xlsx", [*TOP, *SHEET])
    found = read_source("t.xlsx", data_of(3), tmp_path).frame
    assert found[["a", "b"]].to_dict("list") == {"a": [1, 2], "b": ["x", "y"]}
    assert found["__record__"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("rows", "skip", "said"),
    [
        ([*TOP, *SHEET], 6, "below the first 6 rows (data.skip_lines), but nothing"),
        ([*TOP, ["a", None, "b"], [1, 2, "x"]], 3, "column 2 has none in row 4"),
        (SHEET, 1, "must be row 2 (data.skip_lines = 1), but it is row 1 (a, b)"),
        ([*TOP, *SHEET, *SHEET[1:] * 3], 0, "row 4 like the header"),
    ],
)
def test_a_sheet_whose_names_are_elsewhere_is_refused_by_row(tmp_path, rows, skip, said):
    workbook(tmp_path / "t.xlsx", rows)
    with pytest.raises(DataRefused) as refused:
        read_source("t.xlsx", data_of(skip), tmp_path)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("source", "fits"),
    [
        ("t.csv.gz", True), ("t", True), ("t.xlsx", True), ("https://x.example/t", True),
        (["t.parquet", "t.csv"], True), ("t.parquet", False), ("t.jsonl.gz", False),
        ("sklearn:iris", False), ("sql:${SHOP}", False), ("make.py:table", False),
    ],
)  # fmt: skip
def test_the_setting_is_refused_where_no_part_can_have_lines(source, fits):
    values = {"name": "x", "data": {"source": source, "target": "y", "skip_lines": 2}}
    if fits:
        assert Spec.model_validate(values | {"path": Path("x.toml")}).data.skip_lines == 2
        return
    with pytest.raises(ValueError, match="needs a text file or a workbook"):
        Spec.model_validate(values)
