"""What `init` proposes of derived targets, and of parts whose columns differ."""

from __future__ import annotations

import json
import tomllib

import numpy as np
import pandas as pd
import pytest

from flows.errors import SettingsError
from flows.propose import propose, stem_of
from flows.propose_source import Asked
from flows.settings import load_spec

ROWS = 90


def trips():
    draw = np.random.default_rng(5)
    fare = np.round(draw.uniform(3, 40, ROWS), 2)
    frame = {
        "fare": fare,
        "tips": np.round(draw.uniform(0, 10, ROWS), 2),
        "miles": np.round(fare / 3 + draw.normal(0, 4, ROWS), 1),
    }
    return pd.DataFrame(frame)


def test_a_derived_target_is_proposed_without_the_columns_that_make_it(tmp_path):
    trips().to_csv(tmp_path / "trips.csv", index=False)
    asked = Asked(derive=["tipped = tips > 0.2 * fare"])
    found = propose("trips.csv", "tipped", folder=tmp_path, asked=asked)
    settings = tomllib.loads(found.settings_text)
    assert settings["task"] == "binary"
    assert settings["data"]["derive"] == {"tipped": "tips > 0.2 * fare"}
    assert settings["data"]["drop"] == ["fare", "tips"]
    assert any(
        "dropped fare, tips: the target is made from them" in line for line in found.decisions
    )
    (tmp_path / "s.toml").write_text(found.settings_text, encoding="utf-8")
    assert load_spec(tmp_path / "s.toml").data.formulas[0].result == "boolean"


@pytest.mark.parametrize(
    ("derive", "said"),
    [
        ("tips > 1", "'name = formula'"),
        ("a == b", "'name = formula'"),
        ("a = lgo(b)", "did you mean log"),
    ],
)
def test_a_formula_of_the_command_line_is_refused_before_anything_is_read(derive, said, tmp_path):
    with pytest.raises(SettingsError, match=said):
        propose("none.csv", "a", folder=tmp_path, asked=Asked(derive=[derive]))


def test_parts_whose_columns_differ_are_mapped_by_spelling_and_filled(tmp_path):
    frame = trips().assign(**{"Pick Up": "x", "y": np.arange(ROWS) % 7})
    for number in range(3):
        part = frame.iloc[number * 30 : number * 30 + 30]
        part = part.rename(columns={"Pick Up": "pick_up"}) if number else part.drop(columns="miles")
        part.to_csv(tmp_path / f"t-2024-01-0{number + 1}.csv", index=False)
    found = propose("t-{date}.csv", "fare", folder=tmp_path)
    settings = tomllib.loads(found.settings_text)
    assert settings["data"]["columns"]["pick_up"]["aliases"] == ["Pick Up"]
    assert settings["data"]["columns_differ"] == "fill"
    assert "Pick Up is read as pick_up: spelled alike" in found.decisions


def test_rows_of_a_database_and_a_sheet_are_proposed_with_what_was_asked(tmp_path):
    with pd.ExcelWriter(tmp_path / "t.xlsx") as book:
        trips().to_excel(book, sheet_name="a", index=False)
        trips().to_excel(book, sheet_name="b", index=False)
    found = propose("t.xlsx", "fare", folder=tmp_path, asked=Asked(sheet="b"))
    assert tomllib.loads(found.settings_text)["data"]["sheet"] == "b"
    lines = [json.dumps(row) for row in trips().to_dict("records")]
    (tmp_path / "t.jsonl").write_text("\n".join(lines))
    assert (
        tomllib.loads(propose("t.jsonl", "fare", folder=tmp_path).settings_text)["task"]
        == "regression"
    )


@pytest.mark.parametrize(
    ("source", "stem"),
    [
        ("data/day-{date:%Y%m%d}.csv.gz", "day"),
        ("jhu/{date}.csv", "jhu"),
        ("https://example.org/out/orders.jsonl?token=abc", "orders"),
        ("sql:${SHOP}", "SHOP"),
        ("book.xlsx", "book"),
    ],
)
def test_settings_are_named_after_the_source_and_never_after_a_secret(source, stem):
    assert stem_of(source) == stem
