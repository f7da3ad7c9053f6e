"""Text in chunks is text as a whole: the same cells, the same refusals, whatever the block."""

import gzip

import pyarrow as pa
import pytest

from flows.data_spec import DataSpec
from flows.delimited import read_text
from flows.errors import DataRefused
from flows.parts import Part
from flows.text_chunks import Text

GOOD = {
    "plain": ("a,b\n1,x\n2,y\n", {}),
    "CRLF": ("a,b\r\n1,x\r\n2,y\r\n", {}),
    "empty lines": ("\n\na,b\n\n1,x\n\n2,y", {}),
    "mark": ("\ufeffa,b\n1,x\n2,y\n", {}),
    "quotes": ('"a","b"\n" 1 ",x\n2, "" y""\n', {}),
    "line break in a cell": ('a,b\n1,"x\ny"\n2,"say ""hi"""\n', {}),
    "stray quote": ('a,b\n1,5" pipe\n2,y\n', {}),
    "semicolon": ("a;b\n1;x\n2;y\n", {"separator": ";"}),
    "runs of blanks": ("  a   b\n  1  x \n 2\t y\n", {"separator": " "}),
    "no header": ("1,x\n2,y\n", {"header": False, "names": ["a", "b"]}),
    "UTF-16": ("a,b\n1,x\n2,나이\n".encode("utf-16"), {"encoding": "utf-16"}),
    "CP949": ("이름,b\n가나,x\n".encode("cp949"), {"encoding": "cp949"}),
    "nothing inferred": ('a,b\n007,NA\n1e5,""\n,null\n', {}),
}
BAD = {
    "no bytes": b"",
    "blank": b"\n \n\r\n",
    "header only": "a,b\n",
    "cut off": "a,b\n1,x\n2",
    "long and short": "a,b\n1,x\n2,y,z\n3,q\n4,r,s\n",
    "first record long": "a,b\n1,x,y\n2,x,y\n",
    "open quote": 'a,b\n1,x\n2,"y\n3,z\n',
    "open quote in the last cell": 'a,b\n1,x\n2,y\n3,"z\n',
    "separator": "a;b\n1;2\n3;4\n",
    "NUL": b"a,b\n1,x\x00y\n",
    "UTF-16 unsaid": "a,b\n1,x\n".encode("utf-16"),
    "CP949 unsaid": "a,b\n1,x\n2,가나다\n".encode("cp949"),
    "twice": "a,a,b\n1,2,3\n",
    "a cell beyond reason": "a,b\n1,x\n2," + "z" * 1_000_001 + "\n",
}


def as_bytes(content):
    return content.encode() if isinstance(content, str) else content


def text(folder, content, block=1 << 22, name="t.csv", **options):
    (folder / name).write_bytes(as_bytes(content))
    part = Part(kind="text", name="t.csv", path=folder / name)
    return Text(part, DataSpec(source="-", target="b", **options), block=block)


def chunks(*given, **options):
    found = text(*given, **options)
    tables = list(found.tables())
    assert found.bytes_read == found.size
    return tables


@pytest.mark.parametrize("block", [64, 1 << 22])
@pytest.mark.parametrize(("content", "options"), GOOD.values(), ids=GOOD.keys())
def test_a_good_file_gives_the_cells_that_it_gives_as_a_whole(tmp_path, content, options, block):
    whole = read_text(as_bytes(content), DataSpec(source="-", target="b", **options), "t.csv").table
    found = pa.concat_tables(chunks(tmp_path, content, block, **options))
    assert found.to_pydict() == whole.to_pydict()


@pytest.mark.parametrize("content", BAD.values(), ids=BAD.keys())
def test_a_bad_file_is_refused_in_the_same_words(tmp_path, content):
    with pytest.raises(DataRefused) as whole:
        read_text(as_bytes(content), DataSpec(source="-", target="b"), "t.csv")
    with pytest.raises(DataRefused) as found:
        chunks(tmp_path, content)
    assert str(found.value) == str(whole.value)


def test_many_rows_come_in_many_tables_and_all_of_them_in_order(tmp_path):
    cells = ["x", '"a,\nb"', "나이", ""]
    rows = [(str(i), cells[i * i % 7 % 4]) for i in range(5_000)]
    content = "a,b\n" + "".join(f"{a},{b}\n" for a, b in rows)
    tables = chunks(tmp_path, content, 4_096)
    assert len(tables) > 10
    found = pa.concat_tables(tables).to_pydict()
    assert found["a"] == [a for a, _ in rows]
    assert found["b"] == [b.strip('"') for _, b in rows]


def test_a_record_larger_than_a_block_comes_once_with_those_before_it(tmp_path):
    content = "a,b\n" + "".join(f"{i},x\n" for i in range(100)) + f"100,{'z' * 5_000}\n101,y\n"
    found = pa.concat_tables(chunks(tmp_path, content, 256)).to_pydict()
    assert found["a"] == [str(i) for i in range(102)]
    assert len(found["b"][100]) == 5_000


@pytest.mark.parametrize("block", [16, 1 << 22])
def test_packed_text_of_several_members_is_unpacked(tmp_path, block):
    packed = gzip.compress(b"a,b\n1,x\n") + gzip.compress(b"2,y\n")
    found = pa.concat_tables(chunks(tmp_path, packed, block, name="t.csv.gz"))
    assert found.to_pydict() == {"a": ["1", "2"], "b": ["x", "y"]}


def test_packed_text_that_ends_early_is_refused(tmp_path):
    packed = gzip.compress(b"a,b\n" + b"".join(b"%d,x\n" % i for i in range(9_999)))
    with pytest.raises(DataRefused, match="ends early"):
        chunks(tmp_path, packed[:-20], 1 << 12, name="t.csv.gz")


def test_a_file_too_large_to_be_read_again_is_judged_line_by_line(tmp_path, monkeypatch):
    monkeypatch.setattr("flows.text_chunks.WHOLE", 5)
    for name in ("cut off", "long and short", "open quote", "open quote in the last cell"):
        with pytest.raises(DataRefused) as whole:
            read_text(as_bytes(BAD[name]), DataSpec(source="-", target="b"), "t.csv")
        with pytest.raises(DataRefused) as found:
            chunks(tmp_path, BAD[name])
        assert str(found.value) == str(whole.value)
    assert pa.concat_tables(chunks(tmp_path, 'a,b\n1,5" pipe\n2,y\n')).num_rows == 2
    with pytest.raises(DataRefused, match="odd after"):
        chunks(tmp_path, b"a,b\n1,x\x00y\n")


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path):
    found = text(tmp_path, "a,b\n" + "1,x\n" * 1_000, 64)
    tables = found.tables()
    next(tables)
    with (tmp_path / "t.csv").open("a") as more:
        more.write("2,y\n")
    with pytest.raises(DataRefused, match="changed while it was read"):
        list(tables)


def test_a_file_without_a_header_may_lack_the_target(tmp_path):
    options = {"header": False, "names": ["a", "b", "c"]}
    assert text(tmp_path, "1,2,3\n", **options).names == ["a", "b", "c"]
    assert text(tmp_path, "1,3\n", **options).names == ["a", "c"]
