"""Whole files that cannot be read: refused all together, or set aside as far as the settings allow."""

import hashlib
import json

import pandas as pd
import pytest

from flows.errors import DataRefused
from flows.load import load, source_digest
from flows.settings import load_spec
from flows.tables import read_parquet

SPEC = """
name = "t"
[data]
source = "parts"
target = "y"
"""
BAD = {
    "cut.csv": b"x,y\n1,a\n2",
    "page.csv": b"<!DOCTYPE html><html><body>503</body></html>",
    "empty.csv": b"",
    "other.csv": b"x,y\n1,caf\xe9\n",
    "not.parquet": b"x,y\n1,a\n",
}


@pytest.fixture
def parts(tmp_path):
    """Twelve good parts, and bad ones by name: `parts("cut.csv")` gives the settings' path."""
    folder = tmp_path / "parts"
    folder.mkdir()
    for number in range(12):
        text = "x,y\n" + "".join(f"{number}.{row},{'ab'[row % 2]}\n" for row in range(20))
        (folder / f"p{number:02d}.csv").write_text(text, "utf-8")
    spec = tmp_path / "spec.toml"
    spec.write_text(SPEC, "utf-8")

    def add(*bad):
        for name in bad:
            (folder / name).write_bytes(BAD[name])
        return spec

    return add


def read(path, tmp_path, *overrides):
    spec = load_spec(path, overrides)
    (out := tmp_path / "out").mkdir(exist_ok=True)
    return load(spec, out, expected=source_digest(spec)), read_parquet(out / "table.parquet")


QUARANTINE = ("data.bad_files=quarantine", "data.max_bad_files=0.5")


def test_by_default_every_bad_file_refuses_the_source_and_is_named(parts, tmp_path):
    with pytest.raises(DataRefused) as caught:
        read(parts("cut.csv", "other.csv"), tmp_path)
    assert "cut.csv cannot be read" in str(caught.value)
    assert "other.csv cannot be read" in str(caught.value)


@pytest.mark.parametrize("name", sorted(BAD))
def test_a_bad_file_is_set_aside_whole_with_its_reason_and_the_others_are_read(
    parts, tmp_path, name
):
    facts, table = read(parts(name), tmp_path, *QUARANTINE)
    assert (facts["rows"], len(table), len(facts["parts"])) == (240, 240, 12)
    (bad,) = facts["bad_parts"]
    assert bad["name"] == name
    assert bad["bytes"] == len(BAD[name])
    assert bad["sha256"] == hashlib.sha256(BAD[name]).hexdigest()
    assert bad["reason"]
    assert any(note.startswith(f"{name} is set aside") for note in facts["notes"])
    assert json.loads((tmp_path / "out" / "load.json").read_text("utf-8"))["bad_parts"] == [bad]
    clean = read(parts(), tmp_path, "data.source=parts/p[0-9]*.csv")[1]
    pd.testing.assert_frame_equal(table, clean)


def test_a_bad_file_that_is_put_right_makes_another_source(parts, tmp_path):
    path = parts("cut.csv")
    before, _ = read(path, tmp_path, *QUARANTINE)
    (tmp_path / "parts" / "cut.csv").write_text("x,y\n1,a\n2,b\n", "utf-8")
    after, table = read(path, tmp_path, *QUARANTINE)
    assert before["digest"] != after["digest"]
    assert (after["bad_parts"], len(table)) == ([], 242)


def test_more_bad_files_than_allowed_refuse_the_source(parts, tmp_path):
    path = parts("cut.csv", "empty.csv")
    with pytest.raises(DataRefused) as caught:
        read(path, tmp_path, "data.bad_files=quarantine")
    assert str(caught.value).startswith(
        "2 of 14 parts (14.29%, and 0.54% of their bytes) cannot be read, at most 10% of parts and "
        "bytes may be set aside (data.max_bad_files)\n"
    )


def test_a_bad_file_that_is_most_of_the_bytes_refuses_the_source(parts, tmp_path):
    path = parts("cut.csv")
    (tmp_path / "parts" / "cut.csv").write_bytes(b"x,y\n" + b"2,b\n" * 5000 + b'3,"c\n')
    with pytest.raises(
        DataRefused, match=r"1 of 13 parts \(7\.69%, and 9\d\.\d+% of their bytes\)"
    ):
        read(path, tmp_path, "data.bad_files=quarantine")


def test_a_source_of_one_file_is_refused_whatever_the_setting(parts, tmp_path):
    path = parts("cut.csv")
    with pytest.raises(DataRefused, match=r"cut\.csv cannot be read"):
        read(path, tmp_path, "data.source=parts/cut.csv", *QUARANTINE)


def test_parts_with_other_columns_are_no_bad_files(parts, tmp_path):
    path = parts()
    (tmp_path / "parts" / "z.csv").write_text("x,z\n1,a\n", "utf-8")
    with pytest.raises(DataRefused, match="one set of columns"):
        read(path, tmp_path, *QUARANTINE)


def test_bad_test_parts_are_counted_by_themselves(parts, tmp_path):
    path = parts("cut.csv")
    (tmp_path / "tests").mkdir()
    for number in range(3):
        (tmp_path / "tests" / f"t{number}.csv").write_text("x,y\n" + "1,a\n" * 30, "utf-8")
    (tmp_path / "tests" / "t9.csv").write_bytes(BAD["page.csv"])
    facts, table = read(path, tmp_path, "split.by=given", "split.test_source=tests", *QUARANTINE)
    assert [(b["name"], b["given"]) for b in facts["bad_parts"]] == [
        ("cut.csv", False),
        ("t9.csv", True),
    ]
    assert (len(table), facts["given_rows"]) == (330, 90)
