"""Sources that grow: dates in names, spans, what was read before, old names, damaged caches."""

from __future__ import annotations

import json
import os

import pytest

from flows.chunks import open_source
from flows.errors import DataRefused, SettingsError
from flows.growth import state_path
from flows.load import load
from flows.parts import find_parts
from flows.spec import Spec


def spec_of(folder, **data):
    values = {"source": "day-{date}.csv", "target": "y", **data}
    return Spec.model_validate({"name": "grow", "data": values, "path": folder / "x.toml"})


def day(folder, date, *, rows=3, head="x,y", name="day-{}.csv"):
    text = head + "\n" + "".join(f"{i},{i % 2}\n" for i in range(rows))
    (folder / name.format(date)).write_text(text)


def loaded(folder, **data):
    spec = spec_of(folder, **data)
    out = folder / "out"
    out.mkdir(exist_ok=True)
    return load(spec, out)


def test_dated_parts_come_in_the_order_of_their_dates(tmp_path):
    for date in ("12-31-2023", "01-02-2024", "01-01-2024"):
        day(tmp_path, date)
    (tmp_path / "day-notes.csv").write_text("no part\n")
    parts = find_parts("day-{date:%m-%d-%Y}.csv", folder=tmp_path)
    assert [part.name[4:9] for part in parts] == ["12-31", "01-01", "01-02"]
    assert parts[-1].date.isoformat() == "2024-01-02T00:00:00"


def test_a_date_may_stand_in_a_folder_s_name_beside_a_glob(tmp_path):
    for date in ("20240101", "20240102"):
        (tmp_path / date).mkdir()
        (tmp_path / date / f"part-{date[-1]}.csv").write_text("x,y\n1,2\n")
    parts = find_parts("{date:%Y%m%d}/part-*.csv", folder=tmp_path)
    assert [part.name for part in parts] == ["part-1.csv", "part-2.csv"]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("day-{date:%Q}.csv", "a date in a name is written with %Y"),
        ("{date}/{date}.csv", "must name one {date}"),
        ("day-{date:%Y-%d-%m}.csv", "must hold a date as %Y-%d-%m"),
        ("week-{date}.csv", "nothing matches"),
    ],
)
def test_a_pattern_that_gives_no_date_is_refused(tmp_path, source, said):
    day(tmp_path, "2024-01-31")
    with pytest.raises(DataRefused, match=said):
        find_parts(source, folder=tmp_path)


def test_a_span_is_counted_back_from_the_newest_part(tmp_path):
    for number in range(1, 10):
        day(tmp_path, f"2024-01-0{number}")
    assert len(loaded(tmp_path, last="3d")["parts"]) == 3
    assert len(loaded(tmp_path)["parts"]) == 9
    with pytest.raises(ValueError, match="last needs a date"):
        spec_of(tmp_path, source="day-*.csv", last="3d")


def test_only_new_parts_are_parsed_again(tmp_path):
    for number in (1, 2, 3):
        day(tmp_path, f"2024-01-0{number}")
    assert loaded(tmp_path)["say"] == "3 parts"
    day(tmp_path, "2024-01-04")
    facts = loaded(tmp_path)
    assert facts["say"] == "4 parts, 1 new, 1 parsed"
    assert facts["rows"] == 12
    state = json.loads(state_path(spec_of(tmp_path)).read_text("utf-8"))
    part = state["parts"]["day-2024-01-04.csv"]
    assert (part["rows"], part["date"]) == (3, "2024-01-04T00:00:00")
    assert set(part) == {"path", "sha256", "bytes", "rows", "date", "mtime_ns", "first_read"}


def test_a_kept_part_reads_back_as_it_was_parsed(tmp_path):
    text = 'x,y\n" ä,""b",1\n,0\n'
    for number in (1, 2):
        (tmp_path / f"day-2024-01-0{number}.csv").write_text(text, encoding="utf-8")
    first, again = loaded(tmp_path), loaded(tmp_path)
    assert first["table_digest"] == again["table_digest"]
    assert again["say"].endswith("0 parsed")


def test_changed_late_and_gone_parts_and_gaps_are_said(tmp_path):
    for number in (1, 2, 4, 5, 6):
        day(tmp_path, f"2024-01-0{number}")
    assert any("1 day has no part: 2024-01-03" in note for note in loaded(tmp_path)["notes"])
    day(tmp_path, "2024-01-02", rows=5)
    (tmp_path / "day-2024-01-06.csv").unlink()
    day(tmp_path, "2024-01-03")
    notes = " | ".join(loaded(tmp_path)["notes"])
    assert "1 part changed since the last reading: day-2024-01-02.csv" in notes
    assert (
        "1 part came late, as parts up to 2024-01-06 were read before: day-2024-01-03.csv" in notes
    )
    assert "1 part gone since the last reading: day-2024-01-06.csv" in notes
    assert not loaded(tmp_path)["notes"]


def test_a_damaged_kept_part_is_parsed_again(tmp_path):
    for number in (1, 2):
        day(tmp_path, f"2024-01-0{number}", rows=400)
    first = loaded(tmp_path)
    kept = sorted((tmp_path / ".penstock" / "cache" / "parts").glob("*.parquet"))
    assert len(kept) == 2
    content = bytearray(kept[0].read_bytes())
    content[60] ^= 0xFF
    kept[0].write_bytes(content)
    kept[1].write_bytes(b"PAR1")
    again = loaded(tmp_path)
    assert again["table_digest"] == first["table_digest"]
    assert again["say"] == "2 parts, 0 new"


def test_another_read_option_is_another_part(tmp_path):
    for number in (1, 2):
        (tmp_path / f"day-2024-01-0{number}.csv").write_text("x;y,z\n1;2,3\n")
    wide = loaded(tmp_path, separator=";", target="x")
    assert wide["columns"] == ["x", "y,z"]
    assert loaded(tmp_path, target="x;y")["columns"] == ["x;y", "z"]


OLD, NEW = "Province/State,y", "Province_State,y"
ALIAS = {"columns": {"Province_State": {"aliases": ["Province/State"]}}}


def two(folder, old=OLD, new=NEW):
    day(folder, "2024-01-01", head=old)
    day(folder, "2024-01-02", head=new)


def test_parts_that_differ_are_refused_with_the_lines_that_would_map_them(tmp_path):
    two(tmp_path)
    with pytest.raises(DataRefused) as caught:
        loaded(tmp_path)
    said = str(caught.value)
    assert "day-2024-01-01.csv lacks Province_State and adds Province/State" in said
    assert '[data.columns.Province_State] aliases = ["Province/State"]' in said
    assert 'data.columns_differ = "fill"' in said


def test_an_alias_maps_old_names_to_the_new_one_and_is_said(tmp_path):
    two(tmp_path)
    facts = loaded(tmp_path, **ALIAS)
    assert facts["columns"] == ["Province_State", "y"]
    assert facts["rows"] == 6
    assert facts["notes"] == ["1 of 2 parts have Province/State, read as Province_State"]


def test_filled_columns_are_missing_cells_and_counted(tmp_path):
    day(tmp_path, "2024-01-01", head="x,y")
    (tmp_path / "day-2024-01-02.csv").write_text("y,x,extra\n1,2,3\n")
    facts = loaded(tmp_path, columns_differ="fill")
    assert facts["columns"] == ["y", "x", "extra"]
    assert facts["notes"] == [
        "extra is missing in 1 of 2 parts, 3 rows, first in day-2024-01-01.csv"
    ]


def test_a_dropped_column_need_not_be_in_every_part(tmp_path):
    day(tmp_path, "2024-01-01", head="x,y")
    (tmp_path / "day-2024-01-02.csv").write_text("x,y,junk\n1,2,3\n")
    assert loaded(tmp_path, drop=["junk"])["rows"] == 4


def test_a_part_with_the_old_and_the_new_name_is_refused(tmp_path):
    two(tmp_path, old="Province/State,Province_State,y")
    (tmp_path / "day-2024-01-01.csv").write_text("Province/State,Province_State,y\n1,2,3\n")
    with pytest.raises(DataRefused, match="has Province_State and Province/State"):
        loaded(tmp_path, **ALIAS)


def test_one_name_is_the_alias_of_one_column():
    for aliases in (["b"], ["c"]):
        columns = {"a": {"aliases": aliases}, "b": {"aliases": ["c"]}}
        with pytest.raises((SettingsError, ValueError), match="is another column's name or alias"):
            Spec.model_validate(
                {"name": "x", "data": {"source": "s", "target": "y", "columns": columns}}
            )


def test_scoring_reads_old_names_as_training_did(tmp_path):
    two(tmp_path)
    data = spec_of(tmp_path, **ALIAS).data
    source = open_source("day-*.csv", data, tmp_path)
    assert source.schema.names == ["Province_State", "y"]
    assert sum(table.num_rows for table in source.tables()) == 6


def test_a_home_that_cannot_be_written_keeps_nothing_and_loads_all_the_same(tmp_path):
    if os.geteuid() == 0:
        (tmp_path / ".penstock").write_text("a file where the home should be")
    else:
        (tmp_path / ".penstock").mkdir(mode=0o500)
    for number in (1, 2):
        day(tmp_path, f"2024-01-0{number}")
    assert loaded(tmp_path)["rows"] == 6
