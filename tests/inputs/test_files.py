"""Inputs 1-20, 22 and 26: files and encodings. Every message names the file and what to do."""

import io
import os
import tempfile
import zipfile
from pathlib import Path

import pytest
from inputs_page import numbered, table_of
from small_tables import as_csv, good

from flows.errors import DataRefused
from flows.load import load, source_digest

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
    "8 UTF-16 with a byte-order mark": (
        TEXT.encode("utf-16"),
        ["table.csv", "UTF-16", "utf-8", 'encoding = "utf-16" in [data]'],
    ),
    "8 UTF-16 without a byte-order mark": (
        TEXT.encode("utf-16-be"),
        ["table.csv", "NUL bytes", 'set encoding = "utf-16-be" in [data]'],
    ),
    "9 CP949 (EUC-KR) bytes": (
        TEXT.replace("red", "빨강").encode("cp949"),
        ["table.csv", "line 2", "offset 33", "빨강", 'encoding = "cp949" in [data]'],
    ),
    "9 Latin-1 bytes": (
        TEXT.replace("red", "weiß").replace("blue", "für").encode("latin-1"),
        ["table.csv", "line 2", "weiß", 'encoding = "cp1252" in [data]'],
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
    "14 a title above the header": (
        f"Sizes of March\nmade on 1 April\n\n{TEXT}",
        ["table.csv", "3 lines above the header look like a title", "set skip_lines = 3 in [data]"],
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


@table_of(REFUSED, "content", "said")
def test_a_bad_file_is_refused_by_name_with_what_to_do(case, content, said):
    message = case.write(content).refusal(DataRefused)
    for word in said:
        assert word in message


@numbered("1 a missing file")
def test_1_a_missing_file_is_refused_with_its_absolute_path_and_key(case):
    message = case.refusal(DataRefused)
    assert str(case.table) in message
    assert "data.source" in message


@numbered("2 a folder of parts")
def test_2_a_folder_is_a_folder_of_parts(case):
    parts = case.folder / "parts"
    parts.mkdir()
    for i in range(2):
        (parts / f"part{i}.csv").write_text(as_csv(HEADER, RECORDS[i * 40 : (i + 1) * 40]))
    case.source = "parts"
    facts = case.check()
    assert facts["rows"] == 80
    case.handled(f"a folder is its parts, in the order of their names: {facts['sentence']}")


@numbered("2 an empty folder")
def test_2_an_empty_folder_is_refused(case):
    (case.folder / "parts").mkdir()
    case.source = "parts"
    assert "parts" in case.refusal(DataRefused)


@numbered("3 no permission to read")
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
            os.seteuid(before)
            loaded = case.spec()
            if before == 0:
                os.seteuid(65534)
            message = case.refusal(DataRefused, lambda: source_digest(loaded))
        finally:
            os.seteuid(before)
    assert "table.csv" in message
    assert "owner 0, mode 0" in message
    case.tells("refused", message.replace(folder, "..."))


@numbered("7 a UTF-8 byte-order mark")
def test_7_a_byte_order_mark_is_not_part_of_the_first_name(case):
    facts = case.write(b"\xef\xbb\xbf" + TEXT.encode()).check()
    assert facts["rows"] == 80
    contract = (case.folder / "case.contract.toml").read_text("utf-8")
    assert '[columns."size"]' in contract
    case.handled("the mark is no part of the first name: the column is size")


@numbered("14 a title above the header, and its lines in the settings")
def test_14_the_lines_of_a_title_are_passed_over(case):
    case.data = "skip_lines = 3"
    facts = case.write(f"Sizes of March\nmade on 1 April\n\n{TEXT}").check()
    assert facts["rows"] == 80
    case.handled(f"with skip_lines = 3 it is no part of the table: {facts['sentence']}")


LINE_ENDS = {"10 CRLF line ends": ("\r\n",), "10 lone CR line ends": ("\r",)}


@table_of(LINE_ENDS, "end")
def test_every_line_end_is_read(case, end):
    facts = case.write(TEXT.replace("\n", end).encode()).check()
    assert facts["rows"] == 80
    plain = case.folder / "plain"
    plain.mkdir()
    one = load(case.spec(), plain)
    case.write(TEXT)
    two = load(case.spec(), plain)
    assert one["table_digest"] == two["table_digest"]
    assert one["digest"] != two["digest"]
    case.handled(
        "the rows are those of LF line ends; the digest of the file's bytes is another one"
    )


@numbered("11 mixed line ends, a line break within quotes")
def test_11_mixed_line_ends_and_quoted_newlines_are_read(case):
    lines = TEXT.splitlines(keepends=True)
    lines[5] = lines[5].replace("\n", "\r\n")
    lines[6] = (
        lines[6].replace("red", '"re\nd"').replace("green", '"gr\neen"').replace("blue", '"bl\nue"')
    )
    facts = case.write("".join(lines).encode()).check()
    assert facts["rows"] == 80
    lines[20] = lines[20].replace(",", ",tall,", 1)
    message = case.write("".join(lines).encode()).refusal(DataRefused)
    assert "table.csv record 20: 6 fields" in message  # on line 22 of the file
    case.handled(
        "read; numbers in messages count records, not lines: a line break within quotes starts none"
    )


MARKS = {
    "17 decimal commas": (("1,5", "2,5"), "decimal"),
    "18 thousands commas": (("1,000.5", "2,000"), "thousands"),
}


@table_of(MARKS, "mark", "hint")
def test_marks_of_another_country_are_refused_with_a_hint(case, mark, hint):
    case.agreed()

    def change(_, records):
        for i, record in enumerate(records):
            record[0] = f'"{mark[i % 2]}"'

    case.write_good(change)
    message = case.refusal(DataRefused)
    assert "size" in message
    assert hint in message
    assert mark[0] in message
