"""Lines above a header: proposed by `init` where they surely are, and never on a table without."""

from __future__ import annotations

import gzip
import io

import numpy as np
import openpyxl
import pandas as pd
import pytest

from flows.data_spec import DataSpec
from flows.delimited import read_text
from flows.errors import DataRefused, SettingsError
from flows.heads import header_of
from flows.load import load
from flows.parts import find_parts
from flows.propose import propose
from flows.propose_source import Asked
from flows.settings import load_spec
from flows.sniff import sniff
from flows.spec import Spec
from flows.titles import found, numbered

RNG = np.random.default_rng(0)
CITIES = np.array(["Seoul", "Busan", "Jeju"])
ROWS = "1,x,2.5\n2,y,3.5\n3,x,1.5\n4,y,0.5\n"


def table(n=120):
    return pd.DataFrame(
        {
            "age": RNG.integers(18, 90, n),
            "pay": RNG.normal(100, 20, n).round(2),
            "city": CITIES[RNG.integers(0, 3, n)],
            "bought": np.array(["no", "yes"])[RNG.integers(0, 2, n)],
        }
    )


WORDS = "\n".join(f"{'ab'[i % 2]},word {i},other {i * 7}" for i in range(40)) + "\n"
TITLED = {
    "one field each": ("Sales\nmade on 1 April\n\nid,kind,size\n" + ROWS, 3),
    "fewer fields": ("Sales, 2024\nid,kind,size\n" + ROWS, 1),
    "more fields": ("Sales, 2024, all, regions\nid,kind,size\n" + ROWS, 1),
    "filled up to the width": ("Sales,,\n,,\nid,kind,size\n" + ROWS, 2),
    "comments": ("# Sales, 2024, kg\n# a\nid,kind,size\n" + ROWS, 2),
    "a comment that could lack a name": ("# by us, for you\nid,kind,size\n" + ROWS, 1),
    "a line break in quotes": ('"Sales\nof March"\nid,kind,size\n' + ROWS, 2),
    "words below": ("Sales\nlabel,text,note\n" + WORDS, 1),
    "a commented header": ("##made by x\n#id,kind,size\n" + ROWS, 1),
}
PLAIN = {
    "a table": "id,kind,size\n" + ROWS,
    "a short header": "id,kind\n" + ROWS,
    "a header with a separator at its end": "name,city,v,\nann,Root,NA\n"
    + "p0,rome,0\np1,rome,1\n" * 9,
    "a header that lacks two names": "a,b\nx1,n.d.,<5,q\n" + "x2,1,2,q\nx3,3,4,q\n" * 9,
    "a header that lacks a date": "id,when\nA-1,2020-01-01,n.b.,<LOD\n"
    + "A-2,2020-01-02,1,2\n" * 9,
    "a short header of words": "label,text\n" + WORDS,
    "a short header over units": "id,kind\nno,name,kg\n" + ROWS,
    "names and units": "Sales\nid,kind,size\nno,name,kg\n" + ROWS,
    "two columns, the title too": "Sales\nmade on,April\nid,kind\n" + "1,x\n2,y\n" * 9,
    "no header": ROWS,
    "no header below a title": "Sales\n" + ROWS,
    "a header as wide as the rows": "Sales,March,2024 total\nid,kind,size\n" + ROWS,
    "one column": "Sales\nid\n" + "\n".join("abcdefgh") + "\n",
    "rows of many widths": "Sales\nid,kind,size\n1,x,2\n2,y\n3,x,1,1\n4,y,5\n5,x\n",
    "a commented header alone": "#id,kind,size\n" + ROWS,
    "prose": "Dear all,\nyes, we do, and\nso, as said, it, is\nbest\n",
    "an unnamed first column": ",kind,size\n" + ROWS,
    "too few rows": "Sales\nid,kind,size\n1,x,2.5\n",
    "empty": "",
}


@pytest.mark.parametrize(("text", "lines"), TITLED.values(), ids=TITLED.keys())
def test_lines_above_a_header_are_recognised_and_a_run_says_what_to_set(tmp_path, text, lines):
    title = found(numbered(text, ",", '"'))
    assert title is not None
    assert title.lines == lines
    (tmp_path / "t.csv").write_text(text)
    values = {"name": "x", "data": {"source": "t.csv", "target": text.splitlines()[lines][-4:]}}
    spec = Spec.model_validate({**values, "path": tmp_path / "x.toml"})
    with pytest.raises(DataRefused, match=rf"set skip_lines = {lines} in \[data\]"):
        load(spec, tmp_path)
    data = spec.data.model_copy(update={"skip_lines": lines})
    assert load(spec.model_copy(update={"data": data}), tmp_path)["columns"][-1] == data.target


@pytest.mark.parametrize("text", PLAIN.values(), ids=PLAIN.keys())
def test_what_may_begin_at_its_first_line_is_left_alone(text):
    assert found(numbered(text, ",", '"')) is None


def proposed(folder, source, target="bought", **options):
    proposal = propose(source, target, folder=folder, **options)
    (folder / "x.toml").write_text(proposal.settings_text, encoding="utf-8")
    return proposal, load_spec(folder / "x.toml")


def sheet(frame, above):
    book = openpyxl.Workbook()
    for row in [*above, list(frame), *frame.to_numpy().tolist()]:
        book.active.append(row)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def as_text(above, **options):
    return lambda frame: above + frame.to_csv(index=False, **options)


FILES = {
    "title and date": ("t.csv", as_text("Sales of March\nmade on 1 April\n\n"), 3, {}),
    "its separator": ("t.csv", as_text("Sales, 2024, all regions\n\n"), 2, {}),
    "semicolons and CP949": (
        "t.csv",
        lambda frame: as_text("매출 보고서, 2024, 서울\n작성: 홍길동\n", sep=";", decimal=",")(
            frame.replace({"Seoul": "서울"})
        ).encode("cp949"),
        2,
        {"separator": ";", "encoding": "cp949", "decimal": ","},
    ),
    "filled up": ("t.csv", as_text("Sales;;;\n;;;\n", sep=";"), 2, {"separator": ";"}),
    "tabs, packed": (
        "t.tsv.gz",
        lambda frame: gzip.compress(as_text("# Sales\n# kg\n", sep="\t")(frame).encode()),
        2,
        {"separator": "\t"},
    ),
    "blanks in it": ("t.csv", as_text('The 5" report\nby us\n', sep=";"), 2, {"separator": ";"}),
    "a workbook": (
        "t.xlsx",
        lambda frame: sheet(frame, [["Sales"], [], ["made on", "1 April"]]),
        3,
        {},
    ),
}


@pytest.mark.parametrize(("name", "write", "lines", "options"), FILES.values(), ids=FILES.keys())
def test_init_proposes_the_lines_and_its_settings_read_the_table(
    tmp_path, name, write, lines, options
):
    content = write(table())
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    proposal, spec = proposed(tmp_path, name)
    assert spec.data.skip_lines == lines
    assert {key: getattr(spec.data, key) for key in options} == options
    (said,) = [line for line in proposal.decisions if line.startswith("skip_lines: the first ")]
    assert "all 120 records looked at below it have 4" in said
    assert any(line.startswith("task: binary") for line in proposal.decisions)


def test_the_evidence_is_what_a_person_sees(tmp_path):
    (tmp_path / "t.csv").write_text(as_text("Sales of March\nmade on 1 April\n\n")(table()))
    proposal, _ = proposed(tmp_path, "t.csv")
    assert (
        "skip_lines: the first 3 lines (Sales of March; made on 1 April) have at most 1 field, "
        "line 4 and all 120 records looked at below it have 4"
    ) in proposal.decisions
    assert "skip_lines = 3" in proposal.settings_text


def test_a_run_names_the_separator_below_a_title_too():
    content = ("Sales\nof March\n" + table().to_csv(index=False, sep=";")).encode()
    with pytest.raises(DataRefused, match='separator = ";" and skip_lines = 2 in') as refused:
        read_text(content, DataSpec(source="-", target="bought"), "t.csv")
    assert "looks like ';' below a title" in str(refused.value)


def test_who_knows_better_says_how_many_lines(tmp_path):
    (tmp_path / "t.csv").write_text("sold,2019,2020\nbought,no,yes\n" + "no,1,2\nyes,3,4\n" * 60)
    with pytest.raises(SettingsError, match="must name a column"):
        proposed(tmp_path, "t.csv")
    _, spec = proposed(tmp_path, "t.csv", asked=Asked(skip_lines=1))
    assert spec.data.skip_lines == 1
    (tmp_path / "t.csv").write_text(as_text("Sales\n")(table()))
    with pytest.raises(DataRefused, match="--skip-lines"):
        proposed(tmp_path, "t.csv", asked=Asked(skip_lines=0))


def test_a_test_file_is_read_with_the_lines_that_were_asked_for(tmp_path):
    for name in ("t.csv", "judge.csv"):
        (tmp_path / name).write_text(
            "Report, made by us\nsold,price,bought\n" + "no,1,2\nyes,3,4\n" * 60
        )
    _, spec = proposed(tmp_path, "t.csv", test="judge.csv", asked=Asked(skip_lines=1))
    assert spec.split.test_source == "judge.csv"


def test_a_name_that_is_a_cell_of_some_row_is_no_header(tmp_path):
    rows = "".join(f"{i},kind {i % 7},{i / 2}\n" for i in range(90))
    (tmp_path / "t.csv").write_text("id,kind,size\n" + rows)
    part = find_parts("t.csv", folder=tmp_path)[0]
    data = DataSpec(source="t.csv", target="size")
    assert header_of(part, data, ["kind 3"]) == ""
    (tmp_path / "t.csv").write_text("id,kind 1,size\nno,kind 2,kg\n" + rows)
    assert "set skip_lines = 1" in header_of(part, data, ["kind 2"])


@pytest.mark.parametrize("first", ["Sales\n", ""])
def test_parts_with_other_lines_above_are_refused_by_init(tmp_path, first):
    (tmp_path / "p1.csv").write_text(as_text(first)(table()))
    (tmp_path / "p2.csv").write_text(as_text("Sales\nof\nMarch\n")(table()))
    line = 2 if first else 1
    with pytest.raises(DataRefused, match=f"line {line} of p1.csv and line 4 of p2.csv"):
        proposed(tmp_path, "p*.csv")


REAL = ["**/*.csv", "**/*.data", "**/*.tsv", "**/*.txt"]


@pytest.mark.data
def test_no_real_table_is_taken_for_a_titled_one(real_data):
    looked = 0
    for path in sorted({p for pattern in REAL for p in real_data.glob(pattern)}):
        if not 0 < path.stat().st_size < 1 << 24:
            continue
        (part,) = find_parts(str(path), folder=real_data)
        try:
            writing = sniff(part)
        except DataRefused:
            continue
        looked += 1
        assert "skip_lines" not in writing.options, path
    assert looked > 20
