"""What `init` declares as missing, and what it leaves alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from flows.propose import propose
from flows.settings import load_spec

N = 400


@pytest.fixture
def frame():
    random = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "age": random.integers(18, 90, N),
            "pay": random.normal(100, 10, N).round(2),
            "job": random.choice(["clerk", "farmer", "smith"], N),
            "left": random.choice(["no", "yes"], N),
        }
    ).astype(object)


@pytest.fixture
def proposed(tmp_path):
    def make(frame, target="left"):
        frame.to_csv(tmp_path / "staff.csv", index=False)
        proposal = propose("staff.csv", target, folder=tmp_path)
        file = tmp_path / "staff.toml"
        file.write_text(proposal.settings_text, encoding="utf-8")
        return proposal, load_spec(file)

    return make


def missing(spec, name):
    return spec.data.columns[name].missing if name in spec.data.columns else ()


@pytest.mark.parametrize(
    ("column", "token"),
    [
        ("age", "999"),
        ("age", "-1"),
        ("pay", "-200"),
        ("pay", "0.0"),
        ("job", "unknown"),
        ("job", "-"),
    ],
)
def test_a_stand_in_is_declared_for_its_column_with_its_count(proposed, frame, column, token):
    frame.loc[::20, column] = token
    proposal, spec = proposed(frame)
    assert missing(spec, column) == (token,)
    assert f"# {token} in 20 of 400 cells: " in proposal.settings_text
    assert any(
        line.startswith(f"missing: {token} in {column} (20 cells): ") for line in proposal.decisions
    )
    assert set(spec.data.columns) == {column}


def test_a_number_is_missing_only_where_it_piles_up(proposed, frame):
    frame["change"] = np.random.default_rng(1).integers(-20, 20, N)
    frame.loc[::20, "age"] = -1
    _, spec = proposed(frame)
    assert missing(spec, "age") == ("-1",)
    assert missing(spec, "change") == ()


def test_na_is_a_level_among_codes_of_its_shape_and_missing_among_words(proposed, frame):
    random = np.random.default_rng(1)
    frame["region"] = random.choice(["AF", "AS", "EU", "NA", "OC", "SA"], N)
    frame.loc[::20, "job"] = "NA"
    proposal, spec = proposed(frame)
    assert missing(spec, "region") == ()
    assert missing(spec, "job") == ("NA",)
    assert any("NA in region" in line and "stays a level" in line for line in proposal.decisions)


def test_none_stays_a_level_and_is_said(proposed, frame):
    frame.loc[::20, "job"] = "None"
    proposal, spec = proposed(frame)
    assert missing(spec, "job") == ()
    assert any("None in job (20 cells) stays a level" in line for line in proposal.decisions)


def test_a_text_that_alone_keeps_a_column_from_being_numbers_is_declared(proposed, frame):
    frame.loc[::3, "pay"] = "not asked yet"
    proposal, spec = proposed(frame)
    assert missing(spec, "pay") == ("not asked yet",)
    assert any("number: pay" in line for line in proposal.decisions)


def test_the_same_text_in_two_columns_is_declared_once(proposed, frame):
    frame.loc[::20, "age"] = "?"
    frame.loc[::10, "job"] = "?"
    proposal, spec = proposed(frame)
    assert spec.data.missing == ("", "?")
    assert "missing: ? in age (20 cells), job (40 cells)" in proposal.decisions


def test_of_the_target_it_is_only_said(proposed, frame):
    frame.loc[::20, "pay"] = -999
    frame.loc[::20, "left"] = "unknown"
    proposal, spec = proposed(frame, "pay")
    assert missing(spec, "pay") == ()
    assert any(
        line.startswith("-999 in pay (20 cells) may stand for missing")
        for line in proposal.warnings
    )
    proposal, spec = proposed(frame)
    assert missing(spec, "left") == ()
    assert any(
        line.startswith("unknown in left (20 cells) may stand for missing")
        for line in proposal.warnings
    )


def test_a_date_of_an_empty_clock_is_declared(proposed, frame):
    days = pd.Timestamp("2015-01-01") + pd.to_timedelta(np.arange(N), "D")
    frame["joined"] = days.strftime("%Y-%m-%d")
    frame.loc[::20, "joined"] = "1900-01-01"
    _, spec = proposed(frame)
    assert missing(spec, "joined") == ("1900-01-01",)


def test_a_clean_table_gets_no_declaration(proposed, frame):
    proposal, spec = proposed(frame)
    assert spec.data.columns == {}
    assert not [line for line in [*proposal.decisions, *proposal.warnings] if "missing" in line]
