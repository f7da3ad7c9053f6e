"""What `init` proposes of a large source is what it would propose of all its rows, late odd ones too."""

from __future__ import annotations

import tomllib

import numpy as np
import pandas as pd
import pytest

from flows import glance, part_size, propose_rows, text_glance
from flows.begin import begin
from flows.check import check
from flows.errors import DataRefused
from flows.progress import Progress
from flows.propose import propose
from flows.propose_rows import too_large
from flows.settings import load_spec
from flows.settings_text import Draft

ROWS = 10_000
DRAWN = 1_500


def table(rows=ROWS, seed=0):
    draw = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "age": draw.integers(18, 90, rows),
            "pay": draw.normal(100, 20, rows).round(2),
            "city": np.array(["Seoul", "Busan", "Jeju"])[draw.integers(0, 3, rows)],
            "bought": np.array(["no", "yes"])[draw.integers(0, 2, rows)],
        }
    )


@pytest.fixture
def large(monkeypatch):
    """Return a function that makes every table of some rows a large one."""

    def lower(drawn=DRAWN):
        monkeypatch.setattr(glance, "WHOLE", 1_000)
        monkeypatch.setattr(glance, "LEAST", drawn)
        monkeypatch.setattr(glance, "MOST", drawn)
        monkeypatch.setattr(text_glance, "LARGE", 1_000)
        monkeypatch.setattr(text_glance, "HEAD", 20_000)
        monkeypatch.setattr(text_glance, "PIECE", 20_000)
        monkeypatch.setitem(part_size.LARGE, "text", 1_000)

    return lower


def both(folder, large, source, **options):
    """Propose from all rows, then from some of them."""
    whole = propose(source, "bought", folder=folder, **options)
    large()
    some = propose(source, "bought", folder=folder, **options)
    assert whole.glance is None
    assert some.glance is not None
    return whole, some


def kinds(proposal):
    return [said for said in proposal.decisions if said.startswith("kinds")]


def late(cells, *odd):
    """Return cells as texts, with others in some rows near the end."""
    texts = [str(cell) for cell in cells]
    texts[-50 : -50 + len(odd)] = odd
    return texts


DRAW = np.random.default_rng(7)
WHOLE = DRAW.integers(100, 900, ROWS)
DECIMAL = DRAW.normal(50, 9, ROWS).round(1)
DAYS = (pd.Timestamp("2020-01-01") + pd.to_timedelta(DRAW.permutation(ROWS) % 900, "D")).to_series()
EURO = [f"{cell:.1f}".replace(".", ",") for cell in DECIMAL]
ODD = {
    "a decimal among whole numbers": late(WHOLE, "3.5"),
    "codes with a zero in front": late(WHOLE, "007"),
    "a token among whole numbers": late(WHOLE, "NA", "NA", "n.d."),
    "words among decimals": late(DECIMAL, "n.d.", "n.d.", "n.d."),
    "a stand-in for missing": late(DECIMAL, "-999", "-999", "-999", "-999"),
    "a gap": late(WHOLE, "", ""),
    "decimal commas": late(EURO, "1.234,5"),
    "a unit in all cells": [f"{cell} kg" for cell in WHOLE],
    "a unit that one cell lacks": late([f"{cell} kg" for cell in WHOLE], "17"),
    "a unit that one cell has otherwise": late([f"{cell} kg" for cell in WHOLE], "17 lb"),
    "dates": list(DAYS.dt.strftime("%d.%m.%Y")),
    "dates, some of which are words": late(DAYS.dt.strftime("%d.%m.%Y"), *["soon"] * 12),
    "a flag": list(np.array(["y", "n"])[WHOLE % 2]),
    "a flag with a third word": late(np.array(["y", "n"])[WHOLE % 2], *["maybe"] * 12),
    "a word for missing": late(np.array(["red", "blue", "green"])[WHOLE % 3], *["unknown"] * 3),
    "a constant": ["x"] * ROWS,
    "a constant with one exception": late(["x"] * ROWS, "y"),
    "an empty column with one cell": late([""] * ROWS, "8"),
    "free text": [f"{'abcdefgh'[k % 8]} no {k} of {k % 77}" for k in range(ROWS)],
    "many levels": [f"street {k % 4_000}" for k in DRAW.permutation(ROWS)],
}


@pytest.mark.parametrize("case", ODD)
def test_late_odd_cells_are_seen(tmp_path, large, case):
    table().assign(odd=ODD[case]).to_csv(tmp_path / "shop.csv", index=False)
    whole, some = both(tmp_path, large, "shop.csv")
    assert tomllib.loads(some.settings_text) == tomllib.loads(whole.settings_text)
    assert kinds(some) == kinds(whole)


SHUFFLED = DRAW.permutation(ROWS) + 500_000
IDS = {
    "a key": [f"c{k}" for k in SHUFFLED],
    "a key that repeats once, late": late([f"c{k}" for k in SHUFFLED], f"c{SHUFFLED[0]}"),
    "a number": SHUFFLED,
    "a number that repeats once, late": late(SHUFFLED, SHUFFLED[0]),
    "a key with a gap, late": late(SHUFFLED, ""),
    "a row number": np.arange(ROWS) + 1,
    "nearly a row number": late(np.arange(ROWS) + 1, ROWS + 7),
}


@pytest.mark.parametrize("case", IDS)
@pytest.mark.parametrize("followed", [1 << 16, 64])
def test_only_what_differs_in_all_rows_is_an_id(tmp_path, large, monkeypatch, case, followed):
    monkeypatch.setattr(glance, "VALUES", followed)
    monkeypatch.setattr(glance, "LEAST_FOLLOWED", followed)
    table().assign(customer_id=IDS[case]).to_csv(tmp_path / "shop.csv", index=False)
    whole, some = both(tmp_path, large, "shop.csv")
    values = tomllib.loads(some.settings_text)
    assert values == tomllib.loads(whole.settings_text)
    assert any("no two rows share it" in said for said in some.decisions) == (
        "id" in values["data"]
    )
    assert ("id" in values["data"]) == ("late" not in case)


def test_a_row_number_of_another_name_is_dropped(tmp_path, large):
    table().assign(counter=IDS["a row number"]).to_csv(tmp_path / "shop.csv", index=False)
    _, some = both(tmp_path, large, "shop.csv")
    assert tomllib.loads(some.settings_text)["data"]["drop"] == ["counter"]


LABELS = {
    "a class of four rows": ["never"] * 4,
    "one label in two spellings": ["YES"] * 5,
    "a rare class that is large enough": ["never"] * 45,
}


@pytest.mark.parametrize("case", LABELS)
def test_every_label_is_seen(tmp_path, large, case):
    frame = table()
    frame.assign(bought=late(frame["bought"], *LABELS[case])).to_csv(
        tmp_path / "s.csv", index=False
    )
    whole, some = both(tmp_path, large, "s.csv")
    assert tomllib.loads(some.settings_text) == tomllib.loads(whole.settings_text)


def test_a_target_that_is_no_whole_number_in_one_late_row_is_a_regression(tmp_path, large):
    frame = table()
    codes = late((frame["bought"] == "yes").astype(int), "0.5")
    frame.assign(bought=codes).to_csv(tmp_path / "shop.csv", index=False)
    _, some = both(tmp_path, large, "shop.csv")
    assert tomllib.loads(some.settings_text)["task"] == "regression"


def test_typed_columns_are_proposed_alike(tmp_path, large):
    draw = np.random.default_rng(3)
    frame = table().assign(
        stand_in=draw.normal(20, 3, ROWS), seen=DAYS.to_numpy(), truth=WHOLE % 2 == 0,
        gap=pd.array(WHOLE, "Int64"), order_id=SHUFFLED,
    )  # fmt: skip
    frame.loc[ROWS - 9 : ROWS - 5, "stand_in"] = -9999.0
    frame.loc[ROWS - 3, "gap"] = pd.NA
    frame.to_parquet(tmp_path / "shop.parquet", row_group_size=2_000)
    whole, some = both(tmp_path, large, "shop.parquet")
    values = tomllib.loads(some.settings_text)
    assert values == tomllib.loads(whole.settings_text)
    assert values["data"]["id"] == ["order_id"]
    assert values["data"]["columns"]["stand_in"] == {"missing": ["-9999"]}


def test_rows_come_from_all_parts_and_the_first_are_among_them(tmp_path, large):
    for part in range(5):
        table(ROWS // 5, seed=part).to_csv(tmp_path / f"shop-{part}.csv", index=False)
    large(600)
    place = tmp_path / "seen"
    place.mkdir()
    some = propose("shop-*.csv", "bought", folder=tmp_path, place=place)
    found = pd.read_parquet(place / "table.parquet")
    assert some.glance is not None
    drawn = found[some.glance.drawn]
    assert some.glance.rows == ROWS
    assert len(drawn) == 600
    assert drawn["__source__"].value_counts().between(80, 160).all()
    head = found[(found["__source__"] == "shop-0.csv") & (found["__record__"] <= 100)]
    assert len(head) == 100
    assert f"{len(found):,} of {ROWS:,} rows were looked at: 600 drawn" in some.settings_text
    assert some.decisions[0].startswith(f"rows: {len(found):,} of {ROWS:,} rows were looked at")


@pytest.mark.parametrize("name", ["shop.tsv.gz", "shop.jsonl"])
def test_every_kind_of_text_is_looked_at_so(tmp_path, large, name):
    frame = table().assign(odd=ODD["a decimal among whole numbers"], order_id=IDS["a key"])
    if name == "shop.jsonl":
        frame.to_json(tmp_path / name, orient="records", lines=True)
    else:
        frame.to_csv(tmp_path / name, index=False, sep="\t" if "tsv" in name else ",")
    whole, some = both(tmp_path, large, name)
    assert tomllib.loads(some.settings_text) == tomllib.loads(whole.settings_text)
    assert kinds(some) == kinds(whole)


def test_a_quote_in_a_late_line_that_is_never_closed_is_a_character(tmp_path, large):
    lines = [f"{k},pipe {k % 7},{'yes' if k % 2 else 'no'}" for k in range(ROWS)]
    lines[-20] = '7,"pipe,yes'
    text = "\n".join(["n,what,bought", *lines]) + "\n"
    (tmp_path / "shop.csv").write_text(text, encoding="utf-8")
    whole, some = both(tmp_path, large, "shop.csv")
    assert tomllib.loads(whole.settings_text)["data"]["quote"] == ""
    assert tomllib.loads(some.settings_text)["data"]["quote"] == ""
    assert any(said.startswith("quote: quotes are ordinary") for said in some.decisions)


def test_one_late_line_tells_the_encoding_and_where_it_stands(tmp_path, large):
    lines = [f"{k},Seoul,{'yes' if k % 2 else 'no'}" for k in range(ROWS)]
    lines[-20] = "7,강남구 서울,yes"
    text = "\n".join(["n,city,bought", *lines]) + "\n"
    (tmp_path / "shop.csv").write_bytes(text.encode("cp949"))
    whole, some = both(tmp_path, large, "shop.csv")
    assert tomllib.loads(some.settings_text)["data"]["encoding"] == "cp949"
    said = next(line for line in some.decisions if line.startswith("encoding"))
    assert said == next(line for line in whole.decisions if line.startswith("encoding"))
    assert f"line {ROWS - 18:,} " in said


def test_a_quote_that_nobody_closes_hides_nothing_of_the_head(tmp_path, large):
    lines = [f"{k};Seoul;{'yes' if k % 2 else 'no'}" for k in range(ROWS)]
    lines[0], lines[100] = '0;5" pipe;yes', "100;café;yes"
    text = "\n".join(["Sales", "made on 1 April", "n;city;bought", *lines]) + "\n"
    (tmp_path / "shop.csv").write_bytes(text.encode("cp1252"))
    _, some = both(tmp_path, large, "shop.csv")
    data = tomllib.loads(some.settings_text)["data"]
    assert (data["encoding"], data["separator"], data["skip_lines"]) == ("cp1252", ";", 2)


def test_more_records_of_another_width_than_a_run_sets_aside_are_refused(tmp_path, large):
    lines = table().to_csv(index=False).splitlines()
    for k in range(1, 40):
        lines[-k] = "1,2"
    (tmp_path / "shop.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    large()
    some = propose("shop.csv", "bought", folder=tmp_path)
    assert any("39 records of another width are set aside" in said for said in some.decisions)
    for k in range(1, 400):
        lines[-k] = "1,2"
    (tmp_path / "shop.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(DataRefused, match="of 10,000"):
        propose("shop.csv", "bought", folder=tmp_path)


def test_a_source_that_seemed_large_is_looked_at_as_a_whole(tmp_path, monkeypatch):
    table(300).to_csv(tmp_path / "shop.csv", index=False)
    whole = propose("shop.csv", "bought", folder=tmp_path)
    monkeypatch.setattr(propose_rows, "rows_to_look_at", lambda _: 20_000)
    some = propose("shop.csv", "bought", folder=tmp_path)
    assert some.glance is None
    assert some.settings_text == whole.settings_text


def test_fewer_rows_of_long_texts_are_drawn(tmp_path, large, monkeypatch):
    frame = table(3_000).assign(note="so many words " * 40)
    frame.to_csv(tmp_path / "shop.csv", index=False)
    large()
    monkeypatch.setattr(glance, "BYTES", 300_000)
    monkeypatch.setattr(glance, "FEWEST", 100)
    some = propose("shop.csv", "bought", folder=tmp_path)
    assert some.glance is not None
    assert 300 < some.glance.drawn.sum() < 900


def test_a_damaged_line_is_refused_as_it_is_in_a_small_file(tmp_path, large):
    frame = table()
    text = frame.to_csv(index=False).splitlines()
    text[-3] += ",surplus"
    (tmp_path / "shop.csv").write_text("\n".join(text[:60]) + "\n", encoding="utf-8")
    large()
    (tmp_path / "shop.csv").write_text("\n".join(text) + "\n", encoding="utf-8")
    some = propose("shop.csv", "bought", folder=tmp_path)  # one record can be set aside
    assert some.glance is not None
    (tmp_path / "shop.csv").write_bytes(b"\n".join(line.encode() for line in text[:-2]) + b"\n\0\n")
    with pytest.raises(DataRefused, match="NUL"):
        propose("shop.csv", "bought", folder=tmp_path)


def test_the_contract_is_left_to_whoever_reads_all_rows(tmp_path, large, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frame = table().assign(level=late(np.array(["a", "b", "c"])[WHOLE % 3], "late"))
    frame.loc[ROWS - 5, "pay"] = 77_777.0
    frame.to_csv(tmp_path / "shop.csv", index=False)
    large()
    done = begin("shop.csv", target="bought")
    assert done["contract"] is None
    assert any("will be proposed from all rows" in line for line in done["decisions"])
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".toml"] == ["shop.toml"]
    found = check(load_spec(tmp_path / "shop.toml"), Progress(quiet=True))
    assert (found["rows"], found["quarantined"]) == (ROWS, 0)
    columns = tomllib.loads((tmp_path / "shop.contract.toml").read_text("utf-8"))["columns"]
    assert "late" in columns["level"]["levels"]
    assert columns["pay"]["max"] > 77_777


def test_a_large_table_without_features_is_refused_by_init(tmp_path, large, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = [f"message {k} of many" for k in range(ROWS)]
    pd.DataFrame({"words": words, "bought": ["a", "b"] * (ROWS // 2)}).to_csv(
        "mail.csv", index=False
    )
    large()
    with pytest.raises(
        DataRefused, match=r"wrote mail\.toml, but a run would end here: "
    ) as refused:
        begin("mail.csv", target="bought")
    assert [failure.rule for failure in refused.value.failures] == ["table.features"]


def test_many_rows_that_a_run_would_set_aside_are_allowed_for_with_a_margin(tmp_path, large):
    frame = table()
    frame["pay"] = frame["pay"].astype(str).where(np.arange(ROWS) % 40 > 0, "x" + frame["city"])
    frame.to_csv(tmp_path / "shop.csv", index=False)
    whole, some = both(tmp_path, large, "shop.csv")
    exact = tomllib.loads(whole.settings_text)["data"]["max_fraction"]
    assert exact <= tomllib.loads(some.settings_text)["data"]["max_fraction"] <= exact + 0.02


def test_a_table_that_no_run_has_memory_for_is_said(tmp_path):
    table().to_csv(tmp_path / "shop.csv", index=False)
    draft = Draft(head={"name": "x"}, data={"source": "shop.csv", "target": "bought"})
    assert too_large(draft, tmp_path, there=10**12) == []
    (said,) = too_large(draft, tmp_path, there=1_000_000)
    assert said.startswith("a run would be refused here: data.source must fit in memory")
