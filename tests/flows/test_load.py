from __future__ import annotations

import gzip
import json
import os
import pickle
import zipfile
from typing import get_args

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.errors import DataRefused
from flows.file_kind import Kind
from flows.load import load, source_digest, table_digest
from flows.sources import SOURCES
from flows.spec import Spec
from flows.tables import read_parquet

ROWS = "age,risk\n" + "".join(f"{i},{'good' if i % 3 else 'bad'}\n" for i in range(12))


def spec_of(folder, *, split=None, **data):
    values = {"source": "t.csv", "target": "risk", **data}
    return Spec.model_validate(
        {"name": "x", "data": values, "split": split or {}, "path": folder / "x.toml"}
    )


def loaded(spec, **options):
    out = spec.folder / "out"
    out.mkdir(exist_ok=True)
    facts = load(spec, out, **options)
    return facts, read_parquet(out / "table.parquet")


def refused(spec):
    with pytest.raises(DataRefused) as caught:
        loaded(spec)
    assert caught.value.failures
    return str(caught.value)


def test_a_table_carries_where_its_rows_came_from(tmp_path):
    (tmp_path / "t.csv").write_text(ROWS)
    facts, table = loaded(spec_of(tmp_path))
    assert list(table.columns) == ["age", "risk", "__source__", "__record__", "__given__"]
    assert table["__record__"].tolist() == list(range(1, 13))
    assert set(table["__source__"]) == {"t.csv"}
    assert not table["__given__"].any()
    assert facts["text"] is True
    assert facts == json.loads((tmp_path / "out" / "load.json").read_text("utf-8"))


def test_the_digest_is_known_before_loading_and_covers_every_byte(tmp_path):
    file = tmp_path / "t.csv"
    file.write_text(ROWS)
    spec = spec_of(tmp_path)
    before = source_digest(spec)
    facts, _ = loaded(spec, expected=before)
    assert facts["digest"] == before["digest"]
    file.write_text(ROWS.replace("11,", "99,"))
    assert source_digest(spec)["digest"] != before["digest"]
    with pytest.raises(DataRefused, match=r"changed since this run began: t\.csv"):
        loaded(spec, expected=before)


def test_parts_are_read_in_order_and_named(tmp_path):
    (tmp_path / "p-2.csv").write_text("risk,age\nbad,3\n")
    (tmp_path / "p-1.csv.gz").write_bytes(gzip.compress(b"age,risk\n1,good\n2,bad\n"))
    for source in ("p-*", ["p-1.csv.gz", "p-2.csv"]):
        facts, table = loaded(spec_of(tmp_path, source=source))
        assert table["age"].tolist() == ["1", "2", "3"]
        assert table["__source__"].tolist() == ["p-1.csv.gz", "p-1.csv.gz", "p-2.csv"]
        assert table["__record__"].tolist() == [1, 2, 1]
        assert [part["rows"] for part in facts["parts"]] == [2, 1]


def test_a_folder_of_parts_leaves_other_files_alone(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text(ROWS)
    (tmp_path / "data" / "README.md").write_text("words")
    (tmp_path / "data" / "_SUCCESS").write_text("")
    facts, _ = loaded(spec_of(tmp_path, source="data"))
    assert [part["name"] for part in facts["parts"]] == ["a.csv"]


def test_parts_of_one_name_in_two_folders_stay_apart(tmp_path):
    for day in ("mon", "tue"):
        (tmp_path / day).mkdir()
        (tmp_path / day / "a.csv").write_text(ROWS)
    facts, _ = loaded(spec_of(tmp_path, source="*/a.csv"))
    assert [part["name"] for part in facts["parts"]] == ["mon/a.csv", "tue/a.csv"]


def test_every_bad_part_is_named_at_once(tmp_path):
    (tmp_path / "a.csv").write_text("age,risk\n1\n")
    (tmp_path / "b.csv").write_text("")
    message = refused(spec_of(tmp_path, source="*.csv"))
    assert "a.csv record 1" in message
    assert "b.csv" in message


def test_parts_with_other_columns_are_refused(tmp_path):
    (tmp_path / "a.csv").write_text(ROWS)
    (tmp_path / "b.csv").write_text("age,risk,city\n1,good,x\n")
    message = refused(spec_of(tmp_path, source="*.csv"))
    assert "b.csv adds city, compared with a.csv" in message


def test_a_given_test_file_is_flagged(tmp_path):
    (tmp_path / "t.csv").write_text(ROWS)
    (tmp_path / "test.csv").write_text("risk,age\ngood,50\n")
    split = {"by": "given", "test_source": "test.csv"}
    facts, table = loaded(spec_of(tmp_path, split=split))
    assert facts["given_rows"] == 1
    assert table[table["__given__"]]["age"].tolist() == ["50"]
    (tmp_path / "test.csv").write_text("age\n50\n")
    assert "penstock score" in refused(spec_of(tmp_path, split=split))


def test_columns_named_in_the_settings_must_exist(tmp_path):
    (tmp_path / "t.csv").write_text(ROWS)
    message = refused(spec_of(tmp_path, target="rsik", id=["Age"], drop=["nothing"]))
    assert "data.target names rsik" in message
    assert "did you mean risk?" in message
    assert "did you mean age?" in message
    assert "data.drop names nothing" in message


def test_names_that_differ_in_case_only_are_noted(tmp_path):
    (tmp_path / "t.csv").write_text("Age,age,risk\n1,2,x\n")
    facts, _ = loaded(spec_of(tmp_path))
    assert facts["notes"] == ["column names differ in case only: Age, age"]


# Parquet


def test_parquet_keeps_its_types(tmp_path):
    frame = pd.DataFrame(
        {
            "whole": pd.array([2**53 + 1, None], dtype="Int64"),
            "flag": pd.array([True, None], dtype="boolean"),
            "when": pd.to_datetime(["2024-01-01", None]).tz_localize("Asia/Seoul"),
            "kind": pd.Categorical(["a", "b"]),
            "risk": ["x", "y"],
        }
    )
    frame.to_parquet(tmp_path / "t.parquet")
    facts, table = loaded(spec_of(tmp_path, source="t.parquet"))
    assert facts["text"] is False
    assert table["whole"].tolist()[0] == 2**53 + 1
    assert str(table["flag"].dtype) == "boolean"
    assert str(table["when"].dt.tz) == "Asia/Seoul"
    assert table["kind"].tolist() == ["a", "b"]


def test_pandas_row_index_is_no_column(tmp_path):
    frame = pd.DataFrame({"a": [1, 2, 3], "risk": ["x", "y", "x"]})
    frame.set_axis([7, 3, 9]).to_parquet(tmp_path / "t.parquet")
    facts, _ = loaded(spec_of(tmp_path, source="t.parquet"))
    assert facts["columns"] == ["a", "risk"]
    assert "row index" in facts["notes"][0]


def test_a_truncated_parquet_file_is_refused(tmp_path):
    pd.DataFrame({"a": range(1000), "risk": "x"}).to_parquet(tmp_path / "t.parquet")
    file = tmp_path / "t.parquet"
    file.write_bytes(file.read_bytes()[:-100])
    assert "cut off" in refused(spec_of(tmp_path, source="t.parquet"))


def test_a_flipped_bit_in_a_checksummed_page_is_refused(tmp_path):
    file = tmp_path / "t.parquet"
    table = pa.table({"a": np.random.default_rng(0).normal(size=4000), "risk": ["x"] * 4000})
    pq.write_table(table, file, compression="none", use_dictionary=False, write_page_checksum=True)
    content = bytearray(file.read_bytes())
    content[5000] ^= 1
    file.write_bytes(content)
    message = refused(spec_of(tmp_path, source="t.parquet"))
    assert "t.parquet" in message
    assert "checksum" in message


def test_nested_columns_are_refused_by_name(tmp_path):
    pq.write_table(pa.table({"tags": [["a"], []], "risk": ["x", "y"]}), tmp_path / "t.parquet")
    assert "tags holds list" in refused(spec_of(tmp_path, source="t.parquet"))


# what comes with scikit-learn, and a user's function


@pytest.mark.parametrize(
    ("name", "rows", "labels"),
    [
        ("breast_cancer", 569, {"malignant", "benign"}),
        ("wine", 178, {"class_0", "class_1", "class_2"}),
        ("iris", 150, {"setosa", "versicolor", "virginica"}),
        ("digits", 1797, set(range(10))),
        ("diabetes", 442, None),
    ],
)
def test_tables_of_scikit_learn_have_labels_by_name(tmp_path, name, rows, labels):
    facts, table = loaded(spec_of(tmp_path, source=f"sklearn:{name}", target="target"))
    assert facts["rows"] == rows
    assert labels is None or set(table["target"]) == labels


def test_an_unknown_table_of_scikit_learn_is_refused_with_the_choices(tmp_path):
    assert "breast_cancer, diabetes" in refused(spec_of(tmp_path, source="sklearn:boston"))


def test_a_function_is_loaded_by_path_and_is_volatile(tmp_path):
    code = "import pandas as pd\ndef table():\n    return pd.DataFrame({'a': [1], 'risk': ['x']})\n"
    (tmp_path / "mine.py").write_text(code)
    spec = spec_of(tmp_path, source="mine.py:table")
    facts, table = loaded(spec)
    assert table["a"].tolist() == [1]
    assert source_digest(spec)["volatile"]
    assert facts["volatile"]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def table():\n    return 1 / 0\n", "mine.py:2: ZeroDivisionError"),
        ("def table(:\n", "mine.py:1: SyntaxError"),
        ("def tables():\n    pass\n", "must define table(), it has tables"),
        ("def table():\n    return [1]\n", "must return a pandas DataFrame, found list"),
        (
            "import pandas as pd\ndef table():\n    return pd.DataFrame({'a': [1, 'x']})\n",
            "mine.py",
        ),
    ],
)
def test_an_error_in_a_function_names_its_file_and_line(tmp_path, code, said):
    (tmp_path / "mine.py").write_text(code)
    assert said in refused(spec_of(tmp_path, source="mine.py:table"))


# what is refused


def test_a_missing_file_is_named_with_its_absolute_path(tmp_path):
    (tmp_path / "table.csv").write_text(ROWS)
    message = refused(spec_of(tmp_path, source="tabel.csv"))
    assert str(tmp_path / "tabel.csv") in message
    assert "data.source" in message
    assert "did you mean table.csv?" in message


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_named_with_owner_and_mode(tmp_path):
    (tmp_path / "t.csv").write_text(ROWS)
    (tmp_path / "t.csv").chmod(0)
    assert "mode 0" in refused(spec_of(tmp_path))


def _zip(file):
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.csv", ROWS)
        archive.writestr("b.csv", ROWS)


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (_zip, "zip archive"),
        (lambda f: f.write_text("<!DOCTYPE html><html></html>"), "web page"),
        (lambda f: f.write_bytes(pickle.dumps({"a": 1})), "pickle"),
        (lambda f: f.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 99), "xls"),
        (lambda f: pd.DataFrame({"a": [1]}).to_parquet(f), "Parquet"),
    ],
)
def test_a_file_that_only_claims_to_be_text_is_refused(tmp_path, write, said):
    write(tmp_path / "t.csv")
    assert said in refused(spec_of(tmp_path))


@pytest.mark.parametrize("name", ["t.pkl", "t.json", "t.xls", "t.sqlite"])
def test_formats_that_are_not_read_are_refused_by_name(tmp_path, name):
    (tmp_path / name).write_text(ROWS)
    assert "what can be read: CSV, TSV, JSON lines" in refused(spec_of(tmp_path, source=name))


def test_an_address_is_refused_without_its_password(tmp_path):
    message = refused(spec_of(tmp_path, source="https://me:hunter2@example.org/a.csv?token=abc"))
    assert "example.org" in message
    assert "hunter2" not in message
    assert "abc" not in message


def test_paths_that_lead_out_of_the_folder_need_the_settings_word(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "t.csv").write_text(ROWS)
    (home / "link.csv").symlink_to(tmp_path / "t.csv")
    for source in ("../t.csv", "link.csv", "l*.csv"):
        assert "outside = true" in refused(spec_of(home, source=source))
        assert loaded(spec_of(home, source=source, outside=True))[0]["rows"] == 12
    assert loaded(spec_of(home, source=str(tmp_path / "t.csv")))[0]["rows"] == 12


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path, monkeypatch):
    file = tmp_path / "t.csv"
    file.write_text(ROWS)
    read_bytes = type(file).read_bytes

    def slow(self):
        content = read_bytes(self)
        with file.open("a") as stream:
            stream.write("99,good\n")
        return content

    monkeypatch.setattr(type(file), "read_bytes", slow)
    assert "changed while it was read" in refused(spec_of(tmp_path))


def test_a_file_named_twice_is_refused(tmp_path):
    (tmp_path / "t.csv").write_text(ROWS)
    assert "once" in refused(spec_of(tmp_path, source=["t.csv", "./t.csv"]))


def test_the_table_digest_follows_cells_and_not_layout():
    frame = pd.DataFrame({"a": ["x", "y"], "b": [1.0, 2.0]})
    again = pd.concat([frame.iloc[:1], frame.iloc[1:]])
    assert table_digest(frame) == table_digest(again.reset_index(drop=True))
    assert table_digest(frame) != table_digest(frame.assign(b=[1.0, 2.5]))


def test_every_kind_of_part_has_a_reader():
    assert set(SOURCES) == set(get_args(Kind))
