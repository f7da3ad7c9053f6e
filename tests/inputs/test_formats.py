"""Inputs 21-30: compressed files, Parquet, paths, files that change. Every message names the file."""

import gzip
import os
import re

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from inputs_page import numbered, table_of
from small_tables import as_csv, good

from flows.errors import DataRefused, PenstockError
from flows.load import load, source_digest
from flows.scored import harmless

HEADER, RECORDS = good()
SIZES = [float(record[0]) for record in RECORDS]
TEXT = as_csv(HEADER, RECORDS)


@numbered("21 a gzip that ends early")
def test_21_a_gzip_that_ends_early_is_refused(case):
    case.source = "table.csv.gz"
    packed = gzip.compress(TEXT.encode())
    (case.folder / "table.csv.gz").write_bytes(packed[: len(packed) // 2])
    message = case.refusal(DataRefused)
    assert "table.csv.gz" in message
    assert "ends early: 329 bytes read, 970 unpacked" in message


@numbered("22 a gzip bomb")
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


@numbered("23 a truncated Parquet file")
def test_23_a_truncated_parquet_file_is_refused(case):
    path = parquet(case)
    path.write_bytes(path.read_bytes()[:-20])
    message = case.refusal(DataRefused)
    assert "table.parquet" in message
    assert "cut off" in message
    assert "make it again where it was written" in message


@numbered("24 a flipped bit in a Parquet file with page checksums")
def test_24_a_flipped_bit_in_a_parquet_file_with_checksums_is_refused(case):
    path = parquet(case, write_page_checksum=True, compression="none", use_dictionary=False)
    data = bytearray(path.read_bytes())
    data[200] ^= 0x10
    path.write_bytes(bytes(data))
    message = case.refusal(DataRefused)
    assert "table.parquet" in message
    assert "differs from its checksum" in message


@numbered("25 a Parquet column that became another type")
def test_25_a_parquet_file_whose_column_became_another_type_is_refused(case):
    parquet(case)
    case.check()
    parquet(case, pd.DataFrame(RECORDS, columns=HEADER).assign(size=[f"s{i}" for i in range(80)]))
    message = case.refusal(DataRefused)
    assert "size" in message
    assert "s0" in message


@numbered("24 a flipped bit in what a run keeps")
def test_a_flipped_bit_in_a_stage_is_noticed_and_the_stage_made_again(case):
    case.write_good().check()
    (stored,) = case.folder.glob(".penstock/cache/load/*/table.parquet")
    data = bytearray(stored.read_bytes())
    data[len(data) // 2] ^= 0x10
    stored.chmod(0o644)
    stored.write_bytes(bytes(data))
    facts = case.check()
    assert facts["rows"] == 80
    (warning,) = [w for w in facts["warnings"] if "table.parquet" in w]
    case.handled(warning)


@numbered("25 a Parquet file in another unit of time")
def test_times_in_any_unit_are_the_same_times(case):
    days = pd.date_range("2024-01-01", periods=80, freq="D")
    frame = pd.DataFrame(RECORDS, columns=HEADER).assign(size=SIZES)
    digests = []
    for unit in ("s", "ms", "us", "ns"):
        parquet(case, frame.assign(day=days.astype(f"datetime64[{unit}]")))
        case.check()
        newest = max(
            case.folder.glob(".penstock/cache/validate/*/clean.parquet"), key=os.path.getmtime
        )
        digests.append(pd.read_parquet(newest)["day"].tolist())
    assert all(digest == digests[0] for digest in digests)
    case.handled(
        "times in seconds, milliseconds, microseconds or nanoseconds are read as the same times"
    )


PATHS = {
    "27 a path that leads out of the settings' folder": (
        "../outside.csv",
        ["must stay within", "data.outside"],
    ),
    "27 a symbolic link that leads out": ("link.csv", ["must stay within", "data.outside"]),
}


@table_of(PATHS, "source", "said")
def test_a_source_outside_the_folder_is_refused(case, source, said, tmp_path_factory):
    outside = tmp_path_factory.mktemp("elsewhere") / "outside.csv"
    outside.write_text(TEXT)
    (case.folder / "link.csv").symlink_to(outside)
    (case.folder.parent / "outside.csv").write_text(TEXT)
    case.source = source
    message = case.refusal(DataRefused)
    for word in said:
        assert word in message
    case.tells(
        "refused",
        message.replace(str(outside.parent), "/elsewhere").replace(
            str(case.folder.parent), ".../.."
        ),
    )
    case.data = "outside = true"
    assert case.check()["rows"] == 80


@numbered("27 an address with a password")
def test_a_password_in_an_address_is_refused_and_never_printed(case):
    case.source = "https://someone:s3cret-word@127.0.0.1:9/table.csv?token=t0ken-word"
    message = case.refusal(PenstockError)
    assert "127.0.0.1" in message
    for secret in ("s3cret-word", "t0ken-word"):
        assert secret not in message
    for path in case.folder.rglob("*"):
        assert (
            path.name == "case.toml"
            or not path.is_file()
            or b"s3cret-word" not in path.read_bytes()
        )


@numbered("28 a file that changes while a run reads it")
def test_a_file_that_changes_meanwhile_is_refused(case):
    spec = case.write_good().spec()
    expected = source_digest(spec)
    case.write(TEXT.replace("red", "crimson"))
    message = case.refusal(DataRefused, lambda: load(spec, case.folder, expected=expected))
    assert "the source changed since this run began: table.csv" in message
    assert "run again when the writer is done" in message


@numbered("29 a table larger than memory")
def test_29_a_table_that_will_not_fit_is_refused_before_it_is_read(case):
    with case.table.open("wb") as stream:
        stream.write((",".join(HEADER) + "\n").encode())
        row = (",".join(RECORDS[0]) + "\n").encode()
        stream.write(row * (5_000_000 // len(row)))
        stream.truncate(2 << 40)  # a hole: it takes no room on the disk
    spec = case.spec()
    message = case.refusal(DataRefused, lambda: load(spec, case.folder))
    assert "data.source must fit in memory: about " in message
    assert " rows x 5 columns" in message
    assert re.search(r"use a sample of the rows: data\.sample = \d+", message)
    case.tells("refused", re.sub(r"(?<== )\d+|\d[\d,.]*(?= GB| times|\))", "N", message))


FORMULA = "=cmd|' /C calc'!A0"


@numbered("30 cells that a spreadsheet would run as formulas")
def test_a_formula_is_a_text_like_any_other_and_escaped_where_it_is_shown(case):
    def change(_, records):
        for record in records:
            record[1] = FORMULA if record[1] == "red" else f"<i>{record[1]}</i>"

    case.write_good(change).check()
    contract = (case.folder / "case.contract.toml").read_text("utf-8")
    assert FORMULA in contract
    rows = pa.table(
        {"colour": [FORMULA, "red", "-5", "+1e3", "@SUM(A1)", None], "size": [1, 2, 3, 4, 5, 6]}
    )
    written, escaped = harmless(rows)
    assert written["colour"].to_pylist() == [f"'{FORMULA}", "red", "-5", "+1e3", "'@SUM(A1)", None]
    assert escaped == 2
    case.handled(
        "a level like any other; HTML in reports is escaped, and in the CSV that `penstock score` writes such "
        f"a cell becomes '{FORMULA} (counted as escaped_cells)"
    )
