"""Inputs 1-26: files and encodings. Every message names the file and what to do."""

import gzip
import io
import os
import tempfile
import zipfile
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_tables import as_csv, good

from flows.errors import DataRefused

HEADER, RECORDS = good()
SIZES = [float(record[0]) for record in RECORDS]
TEXT = as_csv(HEADER, RECORDS)


def longer(position):
    lines = TEXT.splitlines()
    lines[position] += ",surplus"
    return "\n".join(lines) + "\n"


def shorter(position):
    lines = TEXT.splitlines()
    lines[position] = lines[position].rpartition(",")[0]
    return "\n".join(lines) + "\n"


def edited(line, old, new):
    lines = TEXT.splitlines()
    lines[line] = lines[line].replace(old, new)
    return "\n".join(lines) + "\n"


def zipped():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a.csv", TEXT)
        archive.writestr("b.csv", TEXT)
    return stream.getvalue()


REFUSED = {
    "4 no bytes": (b"", ["table.csv", "the file is empty (0 bytes)", "make it again"]),
    "5 header only": (
        ",".join(HEADER) + "\n",
        ["table.csv", "must have rows, found 0 below the header"],
    ),
    "6 blank lines only": ("\n\n\n", ["table.csv", "blank lines only (3 bytes)"]),
    "8 UTF-16": (
        TEXT.encode("utf-16"),
        ["table.csv", "UTF-16", "utf-8", 'encoding = "utf-16" in [data]'],
    ),
    "9 CP949 bytes": (
        TEXT.replace("red", "빨강").encode("cp949"),
        ["table.csv", "line 2", "offset 33", 'encoding = "cp949" in [data]'],
    ),
    "12 truncated last line": (
        TEXT.rstrip("\n").rpartition(",")[0],
        ["table.csv record 80: 4 fields", "4 of 5 fields and no line end", "copy the file again"],
    ),
    "13 record too long": (
        longer(30),
        ["table.csv record 30: 6 fields: ", "must have 5 fields", "correct the records"],
    ),
    "14 first record longer than the header": (
        longer(1),
        ["table.csv record 1: 6 fields: ", "does the header lack a name?"],
    ),
    "15 record too short": (
        shorter(30),
        ["table.csv record 30: 4 fields: ", "must have 5 fields", "correct the records"],
    ),
    "16 another delimiter": (
        TEXT.replace(",", ";"),
        ["table.csv: size;colour", """it looks like ';': set separator = ";" in [data]"""],
    ),
    "19 unclosed quote": (
        edited(40, "20", '"20'),
        ["opened in record 40 (line 41)", "table.csv record 40: ", "close the quote"],
    ),
    "20 NUL byte": (
        edited(40, "20", "2\x000"),
        ["table.csv", "NUL", "byte offset 1,218 (line 41)"],
    ),
    "22 zip with two members": (zipped(), ["table.csv", "zip archive", "convert it first"]),
    "26 a workbook renamed": (
        b"PK\x03\x04[Content_Types].xml xl/workbook.xml" + b"\0" * 64,
        ["table.csv", "Excel workbook (xlsx)", "convert it first"],
    ),
    "26 a page renamed": (
        b"<!DOCTYPE html><html><table></table></html>",
        ["table.csv", "web page (HTML", "what can be read: CSV"],
    ),
}


@pytest.mark.parametrize(("content", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_a_bad_file_is_refused_by_name_with_what_to_do(case, content, said):
    message = case.write(content).refusal(DataRefused)
    for word in said:
        assert word in message


def test_1_a_missing_file_is_refused_with_its_absolute_path_and_key(case):
    message = case.refusal(DataRefused)
    assert str(case.table) in message
    assert "data.source" in message


def test_2_a_folder_is_a_folder_of_parts(case):
    parts = case.folder / "parts"
    parts.mkdir()
    for i in range(2):
        (parts / f"part{i}.csv").write_text(as_csv(HEADER, RECORDS[i * 40 : (i + 1) * 40]))
    case.source = "parts"
    assert case.check()["rows"] == 80


def test_2_an_empty_folder_is_refused(case):
    (case.folder / "parts").mkdir()
    case.source = "parts"
    assert "parts" in case.refusal(DataRefused)


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_3_a_file_without_permission_is_refused_with_owner_and_mode(case):
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        table = Path(folder, "table.csv")
        table.write_text(TEXT)
        table.chmod(0o000)
        case.source = str(table)
        before = os.geteuid()
        case.folder.chmod(0o777)
        if before == 0:
            os.seteuid(65534)
        try:
            from flows.load import source_digest
            from flows.settings import load_spec

            os.seteuid(before)
            spec = case.folder / "case.toml"
            spec.write_text(f"name = 'case'\n[data]\nsource = {case.source!r}\ntarget = 'grade'\n")
            loaded = load_spec(spec)
            if before == 0:
                os.seteuid(65534)
            with pytest.raises(DataRefused) as caught:
                source_digest(loaded)
        finally:
            os.seteuid(before)
    assert "table.csv" in str(caught.value)
    assert "owner 0, mode 0" in str(caught.value)


def test_7_a_byte_order_mark_is_not_part_of_the_first_name(case):
    facts = case.write(b"\xef\xbb\xbf" + TEXT.encode()).check()
    assert facts["rows"] == 80
    assert '[columns."size"]' in (case.folder / "case.contract.toml").read_text()


@pytest.mark.parametrize("end", ["\r\n", "\r", "\n"], ids=["CRLF", "CR", "LF"])
def test_10_every_line_end_is_read(case, end):
    assert case.write(TEXT.replace("\n", end).encode()).check()["rows"] == 80


def test_11_mixed_line_ends_and_quoted_newlines_are_read(case):
    lines = TEXT.splitlines(keepends=True)
    lines[5] = lines[5].replace("\n", "\r\n")
    lines[6] = (
        lines[6].replace("red", '"re\nd"').replace("green", '"gr\neen"').replace("blue", '"bl\nue"')
    )
    assert case.write("".join(lines).encode()).check()["rows"] == 80


@pytest.mark.parametrize(
    ("number", "mark", "hint"),
    [(17, ("1,5", "2,5"), "decimal"), (18, ("1,000.5", "2,000"), "thousands")],
)
def test_17_18_marks_of_another_country_are_refused_with_a_hint(case, number, mark, hint):
    case.agreed()

    def change(_, records):
        for i, record in enumerate(records):
            record[0] = f'"{mark[i % 2]}"'

    case.write_good(change)
    message = case.refusal(DataRefused)
    assert "size" in message
    assert hint in message
    assert mark[0] in message


def test_21_a_gzip_that_ends_early_is_refused(case):
    case.source = "table.csv.gz"
    packed = gzip.compress(TEXT.encode())
    (case.folder / "table.csv.gz").write_bytes(packed[: len(packed) // 2])
    message = case.refusal(DataRefused)
    assert "table.csv.gz" in message
    assert "ends early: 329 bytes read, 970 unpacked" in message


def test_22_a_gzip_that_unpacks_to_an_absurd_size_is_refused_before_it_fills_memory(
    case, monkeypatch
):
    monkeypatch.setattr("flows.delimited.BOMB_BYTES", 1 << 20)
    case.source = "table.csv.gz"
    (case.folder / "table.csv.gz").write_bytes(gzip.compress(b"0" * (64 << 20), 9))
    message = case.refusal(DataRefused)
    assert "table.csv.gz" in message
    assert "unpack" in message


def parquet(case, frame=None, **options):
    case.source = "table.parquet"
    path = case.folder / "table.parquet"
    frame = pd.DataFrame(RECORDS, columns=HEADER).assign(size=SIZES) if frame is None else frame
    pq.write_table(pa.Table.from_pandas(frame), path, **options)
    return path


def test_23_a_truncated_parquet_file_is_refused(case):
    path = parquet(case)
    path.write_bytes(path.read_bytes()[:-20])
    message = case.refusal(DataRefused)
    assert "table.parquet" in message
    assert "cut off" in message
    assert "make it again where it was written" in message


def test_24_a_flipped_bit_in_a_parquet_file_with_checksums_is_refused(case):
    path = parquet(case, write_page_checksum=True, compression="none", use_dictionary=False)
    data = bytearray(path.read_bytes())
    data[200] ^= 0x10
    path.write_bytes(bytes(data))
    message = case.refusal(DataRefused)
    assert "table.parquet" in message
    assert "differs from its checksum" in message


def test_25_a_parquet_file_whose_column_became_another_type_is_refused(case):
    parquet(case)
    case.check()
    parquet(case, pd.DataFrame(RECORDS, columns=HEADER).assign(size=[f"s{i}" for i in range(80)]))
    message = case.refusal(DataRefused)
    assert "size" in message
    assert "s0" in message
