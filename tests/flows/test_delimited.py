from __future__ import annotations

import gzip
import unicodedata

import pytest

from flows.data_spec import DataSpec
from flows.delimited import read_text, unpacked
from flows.errors import DataRefused


def read(content, **options):
    content = content.encode() if isinstance(content, str) else content
    return read_text(content, DataSpec(source="-", target="b", **options), "t.csv")


def cells(content, **options):
    return read(content, **options).table.to_pydict()


def refusal(content, **options):
    with pytest.raises(DataRefused) as caught:
        read(content, **options)
    assert caught.value.failures
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "options"),
    [
        ("a,b\n1,x\n2,y\n", {}),
        ("a,b\r\n1,x\r\n2,y\r\n", {}),
        ("a,b\r1,x\r2,y\r", {}),
        ("\n\na,b\n\n1,x\n\n2,y", {}),
        ("\ufeffa,b\n1,x\n2,y\n", {}),
        ('"a","b"\n" 1 ",x\n2, y\n', {}),
        ("a;b\n1;x\n2;y\n", {"separator": ";"}),
        ("a\tb\n1\tx\n2\ty\n", {"separator": "\t"}),
        ("  a   b\n  1  x \n 2\t y\n", {"separator": " "}),
        ("1,x\n2,y\n", {"header": False, "names": ["a", "b"]}),
        ("a,b\n1,x\n2,y\n".encode("utf-16"), {"encoding": "utf-16"}),
    ],
)
def test_a_good_file_gives_its_cells_as_stripped_text(content, options):
    assert cells(content, **options) == {"a": ["1", "2"], "b": ["x", "y"]}


def test_nothing_is_inferred():
    found = cells('a,b\n007,NA\n1e5,""\n,null\n')
    assert found == {"a": ["007", "1e5", ""], "b": ["NA", "", "null"]}


def test_a_line_break_inside_quotes_is_part_of_the_cell():
    assert cells('a,b\n1,"x\ny"\n2,"say ""hi"""\n')["b"] == ["x\ny", 'say "hi"']


def test_quotes_are_ordinary_where_the_settings_say_so():
    found = cells('a\tb\n1\t"x\n2\ty"\n', separator="\t", quote="")
    assert found["b"] == ['"x', 'y"']


def test_a_stray_quote_within_a_cell_is_kept():
    assert cells('a,b\n1,5" pipe\n2,y\n')["b"] == ['5" pipe', "y"]


def test_korean_text_in_the_declared_encoding_is_read():
    found = cells("이름,b\n가나,x\n".encode("cp949"), encoding="cp949")
    assert found == {"이름": ["가나"], "b": ["x"]}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", ["empty (0 bytes)"]),
        (b"\n \n\r\n", ["blank lines only"]),
        ("a,b\n", ["0 below the header"]),
        ("a,b\n1,x\n2", ["record 2", "1 of 2 fields and no line end", "cut off"]),
        ("a,b\n1,x\n2,y,z\n3,q\n4,r,s\n", ["record 2: 3 fields: 2,y,z", "record 4", "2 of 4"]),
        ("a,b\n1,x,y\n2,x,y\n", ["record 1", "first data record already", "lack a name"]),
        ("a,b\n1\n2,y\n", ["record 1: 1 fields", "have fewer"]),
        ("a,b,c\n1\n2,y,z\n3,y,z,q\n", ["record.short", "record.long"]),
        ('a,b\n1,x\n2,"y\n3,z\n', ["record 2 (line 3)", "never closed", 'quote = ""']),
        ('a,b\n1,x\n"2,y\n3,z\n', ["record 2 (line 3)", "never closed"]),
        ("a;b\n1;2\n3;4\n", ["looks like ';'", 'separator = ";"']),
        ("a\tb\n1\t2\n", ["separator = "]),
        (b"a,b\n1,x\x00y\n", ["NUL", "byte offset 7", "line 2"]),
        ("a,b\n1,x\n".encode("utf-16"), ["UTF-16", 'encoding = "utf-16"']),
        ("a,b\n1,x\n".encode("utf-16-le"), ["NUL", "utf-16-le"]),
        (
            "a,b\n1,x\n2,가나다\n".encode("cp949"),
            ["line 3", "utf-8", 'encoding = "cp949"', "가나다"],
        ),
        ("a,b\n1,café au lait\n".encode("latin-1"), ["line 2", "0xe9", "cp1252"]),
        ("a,a,b\n1,2,3\n", ["must differ", "columns 1 and 2"]),
        ("a,,b\n1,2,3\n", ["column 2 of the header has none"]),
        ("a, a,b\n1,2,3\n", ["visually identical"]),
        ("__row__,b\n1,2\n", ["__row__", "Penstock uses itself"]),
        (f"{'x' * 300},b\n1,2\n", ["at most 200 characters"]),
        ('"a\nz",b\n1,2\n', ["one line", r"a\nz"]),
    ],
)
def test_a_bad_file_is_refused_with_place_and_advice(content, said):
    message = refusal(content)
    assert "t.csv" in message
    for text in said:
        assert text in message


def test_names_that_look_the_same_are_refused():
    nfd = unicodedata.normalize("NFD", "나이")
    assert "visually identical" in refusal(f"나이,{nfd},b\n1,2,3\n")


def test_names_are_put_right_and_the_mapping_is_reported():
    nfd = unicodedata.normalize("NFD", "나이")
    piece = read(f" a ,{nfd},b\n1,2,3\n")
    assert piece.table.column_names == ["a", "나이", "b"]
    assert piece.renamed == {" a ": "a", nfd: "나이"}


def test_every_problem_of_the_header_is_named_at_once():
    message = refusal("a,a,,__row__,b\n1,2,3,4,5\n")
    assert all(rule in message for rule in ("names.duplicate", "names.empty", "names.reserved"))


def test_given_names_must_fit_the_width():
    message = refusal("1,2,3\n", header=False, names=["a", "b"])
    assert "2 names" in message
    assert "3 fields" in message


def test_a_declared_encoding_is_held_to():
    assert "line 2" in refusal("a,b\n1,é\n".encode(), encoding="ascii")
    assert "not cp949" in refusal(b"a,b\n1,\xff\xff\n", encoding="cp949")


def test_a_cell_beyond_all_reason_is_refused():
    message = refusal("a,b\n1,x\n2," + "z" * 1_000_001 + "\n")
    assert "1,000,001" in message
    assert "record 2" in message
    assert len(message) < 2000


def test_a_record_larger_than_a_block_is_read():
    big = "z" * 900_000
    text = "a," + ",".join(f"c{i}" for i in range(25)) + "\n1," + ",".join([big] * 25) + "\n"
    assert read(text).table.num_rows == 1


def test_values_are_shortened_and_escaped_in_messages():
    message = refusal("a,b\n1,\x1b[31m" + "x" * 500 + ",3\n2,y\n")
    assert "\x1b" not in message
    assert len(message) < 1000


def test_gzip_with_several_members_is_unpacked():
    assert unpacked(gzip.compress(b"a,b\n") + gzip.compress(b"1,2\n"), "t") == b"a,b\n1,2\n"


def test_a_gzip_file_that_ends_early_is_refused_with_bytes_read():
    packed = gzip.compress(bytes(range(256)) * 500)
    with pytest.raises(DataRefused, match=r"ends early: [\d,]+ bytes read"):
        unpacked(packed[:-20], "t.csv.gz")


def test_a_damaged_gzip_file_is_refused():
    packed = bytearray(gzip.compress(bytes(range(256)) * 500))
    packed[len(packed) // 2] ^= 0xFF
    with pytest.raises(DataRefused, match="damaged"):
        unpacked(bytes(packed), "t.csv.gz")
