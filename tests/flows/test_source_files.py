"""JSON lines, workbooks and feeds: what a cell becomes, and what is refused with its place."""

from __future__ import annotations

import gzip
import io
import json

import openpyxl
import pandas as pd
import pytest

from flows.chunks import open_source
from flows.data_spec import DataSpec
from flows.errors import DataRefused
from flows.union import read_source


def data_of(source, **options):
    return DataSpec(source=source, target="risk", **options)


def read(folder, source, **options):
    return read_source(source, data_of(source, **options), folder)


def refused(folder, source, **options):
    with pytest.raises(DataRefused) as caught:
        read(folder, source, **options)
    assert caught.value.failures
    return str(caught.value)


LINES = """{"age": 3, "risk": "good", "note": "1,5", "at": {"city": "서울"}}

{"risk": "bad", "age": 1.10, "ok": true}
{"age": null, "risk": "bad", "big": 12345678901234567890}
"""


def test_json_lines_keep_the_text_of_every_value(tmp_path):
    (tmp_path / "t.jsonl").write_text(LINES, encoding="utf-8")
    found = read(tmp_path, "t.jsonl")
    frame = found.frame.drop(columns=["__source__", "__record__"])
    assert list(frame) == ["age", "risk", "note", "at.city", "ok", "big"]
    assert frame["age"].tolist()[:2] == ["3", "1.10"]
    assert frame["age"].isna().tolist() == [False, False, True]
    assert frame["at.city"].iloc[0] == "서울"
    assert (frame["ok"].iloc[1], frame["big"].iloc[2]) == ("true", "12345678901234567890")
    assert found.text
    assert found.frame["__record__"].tolist() == [1, 2, 3]


def test_gzipped_json_lines_are_the_same_rows_and_are_scored_chunk_by_chunk(tmp_path):
    (tmp_path / "t.jsonl").write_text(LINES, encoding="utf-8")
    (tmp_path / "z.ndjson.gz").write_bytes(gzip.compress(LINES.encode()))
    plain, packed = read(tmp_path, "t.jsonl").frame, read(tmp_path, "z.ndjson.gz").frame
    pd.testing.assert_frame_equal(
        plain.drop(columns="__source__"), packed.drop(columns="__source__")
    )
    source = open_source("z.ndjson.gz", data_of("-"), tmp_path)
    rows = [row for table in source.tables() for row in table.to_pylist()]
    assert [row["age"] for row in rows] == ["3", "1.10", None]
    assert source.share == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"a": 1}\n{"a": 2\n', "line 2: Expecting ',' delimiter"),
        (b'{"a": 1}\n[1, 2]\n', "line 2: it is a list"),
        (b'{"a": [1]}\n', "line 1: 'a' holds a list"),
        (b'{"a": 1, "a": 2}\n', "line 1: it names 'a' twice"),
        (b'{"a": "\xff"}\n', "is not UTF-8"),
        (b"age,risk\n1,2\n", "line 1: "),
        (b"\n\n", "found 0"),
        (gzip.compress(b'{"a": 1}\n' * 1000, mtime=0)[:-12], "gzip data is damaged or cut off"),
    ],
)
def test_json_lines_that_are_wrong_are_refused_with_their_number(tmp_path, content, said):
    (tmp_path / "t.jsonl").write_bytes(content)
    assert said in refused(tmp_path, "t.jsonl")


def workbook(path, **sheets):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    book.save(path)


DAY = pd.Timestamp("2024-01-02").to_pydatetime()
HEAD = ["age", "risk", "day", "ok", "mixed", "code"]
BODY = [
    [3, "good", DAY, True, 1, "007"],
    [None, "bad", pd.Timestamp("2024-01-03").to_pydatetime(), False, "n/a", "012"],
    [4.5, " ", None, None, 2.0, "3"],
]


def test_a_workbook_s_cells_keep_their_types_and_a_mixed_column_is_text(tmp_path):
    workbook(tmp_path / "t.xlsx", one=[HEAD, *BODY, [None] * 6, []], empty=[])
    frame = read(tmp_path, "t.xlsx").frame
    assert frame["age"].tolist()[::2] == [3, 4.5]
    assert frame["age"].isna().tolist() == [False, True, False]
    assert frame["risk"].isna().tolist() == [False, False, True]
    assert str(frame["day"].dtype).startswith("datetime64")
    assert frame["ok"].dtype == "boolean"
    assert frame["mixed"].tolist() == ["1", "n/a", "2"]
    assert frame["code"].tolist() == ["007", "012", "3"]


def test_the_sheet_is_chosen_by_name_or_place_and_never_guessed(tmp_path):
    workbook(tmp_path / "t.xlsx", first=[["a"], [1]], 둘째=[["b"], [2]])
    assert next(iter(read(tmp_path, "t.xlsx", sheet="둘째").frame)) == "b"
    assert next(iter(read(tmp_path, "t.xlsx", sheet=1).frame)) == "a"
    assert "several sheets with cells (1 first, 2 둘째); say which" in refused(tmp_path, "t.xlsx")
    assert "has the sheets 1 first, 2 둘째" in refused(tmp_path, "t.xlsx", sheet="third")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([["a", None, "c"], [1, 2, 3]], "column 2 has none in row 1"),
        ([["a", "a"], [1, 2]], "a stand twice"),
        ([["a", "b"]], "found 0"),
    ],
)
def test_a_sheet_that_is_no_table_is_refused(tmp_path, rows, said):
    workbook(tmp_path / "t.xlsx", one=rows)
    assert said in refused(tmp_path, "t.xlsx")


def test_a_damaged_workbook_is_refused(tmp_path):
    stream = io.BytesIO()
    openpyxl.Workbook().save(stream)
    (tmp_path / "t.xlsx").write_bytes(stream.getvalue()[:700])
    assert "workbook cannot be read" in refused(tmp_path, "t.xlsx")
    (tmp_path / "u.xlsx").write_text("age,risk\n1,2\n")
    assert "must start as a workbook does" in refused(tmp_path, "u.xlsx")


RSS = """<?xml version="1.0"?><rss version="2.0"><channel><title>t</title>
<item><guid>1</guid><title>One &amp; two</title><link>https://example.org/1</link>
<pubDate>Tue, 02 Jan 2024 03:04:05 GMT</pubDate><category>x</category><category>y</category>
<description>&lt;p&gt;Text&lt;/p&gt;</description></item>
<item><guid>2</guid><title>둘</title></item></channel></rss>"""
ATOM = """<feed xmlns="http://www.w3.org/2005/Atom"><title>t</title>
<entry><id>a</id><title>A</title><updated>2024-01-02T03:04:05+09:00</updated>
<author><name>Kim</name></author></entry></feed>"""


def test_entries_of_a_feed_are_rows(tmp_path):
    (tmp_path / "news.rss").write_text(RSS, encoding="utf-8")
    (tmp_path / "news.xml").write_text(ATOM, encoding="utf-8")
    frame = read(tmp_path, "news.rss").frame
    assert frame["title"].tolist() == ["One & two", "둘"]
    assert (frame["tags"].iloc[0], frame["summary"].iloc[0]) == ("x; y", "Text")
    assert frame["published"].iloc[0] == pd.Timestamp("2024-01-02 03:04:05", tz="UTC")
    atom = read(tmp_path, "feed:news.xml").frame
    assert (atom["id"].iloc[0], atom["author"].iloc[0]) == ("a", "Kim")
    assert atom["updated"].iloc[0] == pd.Timestamp("2024-01-01 18:04:05", tz="UTC")


@pytest.mark.parametrize(
    "content", ["<html><body>no feed</body></html>", RSS[:200], RSS.replace("item", "none")]
)
def test_what_is_no_feed_is_refused(tmp_path, content):
    (tmp_path / "news.rss").write_text(content, encoding="utf-8")
    assert "news.rss cannot be read" in refused(tmp_path, "news.rss")


def test_a_folder_may_mix_kinds_of_files_of_one_schema(tmp_path):
    folder = tmp_path / "parts"
    folder.mkdir()
    (folder / "a.csv").write_text("age,risk\n1,good\n")
    (folder / "b.jsonl").write_text(json.dumps({"age": "2", "risk": "bad"}) + "\n")
    frame = read(tmp_path, "parts").frame
    assert frame["age"].tolist() == ["1", "2"]
    assert frame["__source__"].tolist() == ["a.csv", "b.jsonl"]
