"""Records of another width than the header: set aside where they are few, and judged again."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from expectations.column import Column
from expectations.contract import Contract
from flows.data_spec import DataSpec
from flows.delimited import read_text
from flows.engineer import engineer, reading_schema
from flows.errors import DataRefused
from flows.home import open_home
from flows.load import load
from flows.quarantine_records import fitting
from flows.quarantine_replay import replay
from flows.quarantine_shown import write as write_table
from flows.quarantine_store import find
from flows.quarantine_store import write as keep
from flows.settings import load_spec
from flows.tables import read_parquet
from flows.validate import validate

SPEC = 'name = "t"\n[data]\nsource = "{source}"\ntarget = "y"\nmax_fraction = {limit}\n'
CONTRACT = Contract(
    columns={
        "n": Column(kind="number"),
        "c": Column(kind="category"),
        "y": Column(role="target", kind="category"),
    }
)
LONG, SHORT = '7,"a\nb",no,more', "8,c"


def text(rows=200, bad=(), start=0):
    """Lines of a good table with `bad` records after the first ten."""
    good = [
        f"{start + place},{'cd'[place % 2]},{('no', 'yes')[place % 3 == 0]}"
        for place in range(rows)
    ]
    return "\n".join(["n,c,y", *good[:10], *bad, *good[10:]]) + "\n"


def read(content, **options):
    return read_text(
        content.encode(), DataSpec(source="-", target="y", **options), "t.csv", lenient=True
    )


def made(folder, limit="0.02", source="data.csv"):
    (folder / "t.toml").write_text(SPEC.format(limit=limit, source=source), encoding="utf-8")
    spec = load_spec(folder / "t.toml", [])
    facts = load(spec, folder)
    schema = reading_schema(spec, CONTRACT)
    engineer(spec, schema, folder / "table.parquet", folder)
    paths = [folder / part for part in ("typed.parquet", "untypable.parquet", "table.parquet")]
    return facts, validate(spec, CONTRACT, schema, paths[0], paths[1], paths[2], folder)


def test_they_are_left_out_with_their_numbers_and_their_text():
    piece = read(text(bad=[LONG, SHORT]))
    numbers = piece.numbers()
    assert piece.aside is not None
    assert numbers is not None
    assert piece.aside.numbers == (11, 12)
    assert piece.aside.rules == ("record.long", "record.short")
    assert piece.aside.texts == (LONG, SHORT)
    assert piece.table["n"].to_pylist() == [str(place) for place in range(200)]
    assert numbers.tolist() == [*range(1, 11), *range(13, 203)]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (text() + "9,c", "cut off"),
        ("n,c,y\n1,c,no,more\n" + text().partition("\n")[2], "lack a name"),
        ("n,c,y\n1,c,no\n2,c\n3,c\n", "have fewer"),
        (text(bad=[SHORT]) + '9,"c,no\n', "never closed"),
    ],
)
def test_what_is_a_matter_of_the_whole_file_is_refused(content, said):
    with pytest.raises(DataRefused, match=said):
        read(content)


def test_they_count_as_rows_set_aside_and_are_listed_as_they_stand(tmp_path):
    (tmp_path / "data.csv").write_text(text(bad=[LONG, SHORT]), encoding="utf-8")
    facts, found = made(tmp_path)
    assert (facts["rows"], facts["aside"]["records"]) == (200, 2)
    assert (found["rows"], found["passed"], found["quarantined"]) == (202, 200, 2)
    assert found["rules"] == {"record.long": 1, "record.short": 1}
    assert {f["rule"] for f in found["failures"]} == {"record.long", "record.short"}
    lines = pq.read_table(tmp_path / "quarantined.parquet").to_pylist()
    told = {"row": None, "source": "data.csv", "column": None}
    assert lines == [
        {**told, "record": 11, "rule": "record.long", "value": LONG},
        {**told, "record": 12, "rule": "record.short", "value": SHORT},
    ]
    records = read_parquet(tmp_path / "clean.parquet")["__record__"].tolist()
    assert records == [*range(1, 11), *range(13, 203)]


def test_more_than_may_be_set_aside_are_refused_as_ever(tmp_path):
    (tmp_path / "data.csv").write_text(text(bad=[LONG, SHORT]), encoding="utf-8")
    with pytest.raises(DataRefused, match=r"data\.csv cannot be read:") as caught:
        made(tmp_path, limit="0.005")
    assert {f.rule for f in caught.value.failures} == {"record.long", "record.short"}
    with pytest.raises(DataRefused, match=r"2 of 202 rows .* break record\.long, record\.short"):
        made(tmp_path, limit='{ "record.*" = 0, total = 0.02 }')


def test_parts_that_were_parsed_before_give_them_again(tmp_path, monkeypatch):
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "home"))
    (tmp_path / "a.csv").write_text(text(bad=[SHORT]), encoding="utf-8")
    (tmp_path / "b.csv").write_text(text(start=200), encoding="utf-8")
    first, second = (made(tmp_path, source="*.csv")[0] for _ in range(2))
    assert first["aside"] == second["aside"]
    assert first["aside"]["widths"] == {"a.csv": 3}
    assert json.loads((tmp_path / "load.json").read_text("utf-8"))["aside"]["records"] == 1


def test_they_fit_once_the_settings_cut_them_otherwise():
    data = DataSpec(source="-", target="y")
    bare = data.model_copy(update={"quote": "'"})
    texts = ["7,'a,b',no", "8,c"]
    assert fitting(["p", "p"], texts, {"p": 3}, data).tolist() == [False, False]
    assert fitting(["p", "p"], texts, {"p": 3}, bare).tolist() == [True, False]


def test_replay_says_which_of_them_would_fit_now(tmp_path):
    odd = "7,'a,b',no"
    (tmp_path / "data.csv").write_text(text(bad=[odd, SHORT]), encoding="utf-8")
    facts, found = made(tmp_path)
    CONTRACT.dump(tmp_path / "t.contract.toml")
    home = open_home(tmp_path / "home")
    index = {
        "run": "r1", "name": "t", "settings": None, "written": "2026-01-01T00:00:00Z",
        "refused": False, "rows": found["rows"], "quarantined": 2, "rules": found["rules"],
        "files": [], "parts": {"data.csv": facts["parts"][0]}, "contract": "x", "reading": {},
        "widths": facts["aside"]["widths"],
    }  # fmt: skip
    keep(home, index, tmp_path)
    assert find(home, "r1")["sources"] == {"data.csv": 2}
    again = replay(home, index, load_spec(tmp_path / "t.toml", ["data.quote='"]))
    assert (again["rows"], again["back"], again["still"]) == (2, 1, 1)
    assert again["rules"]["record.long"] == {"then": 1, "now": 0}
    assert again["rules"]["record.short"] == {"then": 1, "now": 1}
    assert again["limits"][0]["rows"] == 1


def test_a_cell_that_a_spreadsheet_would_run_is_escaped_in_csv_alone(tmp_path):
    found = pa.table({"row": [1, 2], "value": ["=1+cmd|' /C calc'!A0", "-5"]})
    write_table(found, tmp_path / "x.csv")
    write_table(found, tmp_path / "x.parquet")
    assert "'=1+cmd" in (tmp_path / "x.csv").read_text("utf-8")
    assert '"-5"' in (tmp_path / "x.csv").read_text("utf-8")
    assert pq.read_table(tmp_path / "x.parquet")["value"][0].as_py().startswith("=1+")


def test_of_a_sample_only_its_share_of_them_counts(tmp_path):
    bad = [f"{place},c" for place in range(10)]
    (tmp_path / "data.csv").write_text(text(1000, bad), encoding="utf-8")
    facts, found = made(tmp_path, limit="0.02\nsample = 100")
    assert facts["aside"]["records"] == 1
    assert any("10 records have another number of fields" in note for note in facts["notes"])
    assert (found["rows"], found["quarantined"]) == (101, 1)
