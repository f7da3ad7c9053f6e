"""Decimal and thousands marks and the order of dates, as `init` proposes them, with the evidence."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from flows.propose import propose
from flows.settings import load_spec

N = 200
RNG = np.random.default_rng(0)


@pytest.fixture
def frame():
    return pd.DataFrame(
        {"pay": RNG.normal(100, 20, N).round(2), "left": RNG.choice(["no", "yes"], N)}
    )


@pytest.fixture
def proposed(tmp_path):
    def make(frame, **options):
        frame.to_csv(tmp_path / "staff.csv", index=False, **options)
        proposal = propose("staff.csv", "left", folder=tmp_path)
        file = tmp_path / "staff.toml"
        file.write_text(proposal.settings_text, encoding="utf-8")
        return proposal, load_spec(file)

    return make


def test_a_decimal_comma_comes_with_its_count(proposed, frame):
    proposal, spec = proposed(frame, sep=";", decimal=",")
    assert spec.data.decimal == ","
    assert any(
        "decimal: ',': " in line and "of 200 cells of pay have it, such as " in line
        for line in proposal.decisions
    )
    assert "# 2" in proposal.settings_text or "of 200 cells of pay" in proposal.settings_text


def test_thousands_are_declared_where_the_cells_leave_no_doubt(proposed, frame):
    frame["sum"] = [f"{k:,}" for k in RNG.integers(100, 3_000, N)]
    _, spec = proposed(frame)
    assert spec.data.thousands == ","


def test_thousands_are_declared_where_another_column_shows_the_decimal_point(proposed, frame):
    frame["sum"] = [f"{k:,}" for k in RNG.integers(1_000, 900_000, N)]
    proposal, spec = proposed(frame)
    assert spec.data.columns["sum"].thousands == ","
    assert any("and pay writes decimals with '.'" in line for line in proposal.decisions)
    assert not any("could be for decimals" in line for line in proposal.warnings)


def test_thousands_are_left_open_where_nothing_tells(proposed, frame):
    frame["sum"] = [f"{k:,}" for k in RNG.integers(1_000, 900_000, N)]
    proposal, spec = proposed(frame.assign(pay=RNG.integers(0, 9, N)))
    assert spec.data.columns == {}
    assert any("could be for decimals" in line for line in proposal.warnings)


def days(count=N, first="2024-01-01", step=1):
    return pd.Timestamp(first) + pd.to_timedelta(np.arange(count) * step, "D")


@pytest.mark.parametrize("written", ["%d/%m/%Y", "%m/%d/%Y", "%d.%m.%y"])
def test_a_date_is_fixed_in_the_settings_with_the_cells_that_prove_its_order(
    proposed, frame, written
):
    proposal, spec = proposed(frame.assign(seen=days().strftime(written)))
    assert spec.data.columns["seen"].format == written
    assert "cells have a day above 12, such as " in proposal.settings_text


def test_an_iso_date_needs_no_format(proposed, frame):
    _, spec = proposed(frame.assign(seen=days().strftime("%Y-%m-%d")))
    assert spec.data.columns == {}


FEW = [pd.Timestamp(2024, month, day) for month in range(1, 13) for day in (1, 5, 9, 12)]


def test_an_ambiguous_date_is_read_as_it_puts_the_rows_in_order(proposed, frame):
    seen = sorted(FEW * 5)[:N]
    proposal, spec = proposed(frame.assign(seen=[d.strftime("%d/%m/%Y") for d in seen]))
    assert spec.data.columns["seen"].format == "%d/%m/%Y"
    assert any("read so, all 200 rows are in order of time" in line for line in proposal.decisions)


def test_an_ambiguous_date_is_read_as_its_neighbour_surely_is(proposed, frame):
    seen = [FEW[k].strftime("%d/%m/%Y") for k in RNG.integers(0, len(FEW), N)]
    born = days(step=37, first="1990-01-01").strftime("%d/%m/%Y")
    proposal, spec = proposed(frame.assign(seen=seen, born=born))
    assert spec.data.columns["seen"].format == "%d/%m/%Y"
    assert any("born has its days in that place" in line for line in proposal.decisions)


def test_an_ambiguous_date_that_nothing_settles_is_left_out(proposed, frame):
    seen = [FEW[k].strftime("%d/%m/%Y") for k in RNG.integers(0, len(FEW), N)]
    proposal, spec = proposed(frame.assign(seen=seen))
    assert spec.data.columns["seen"].kind == "ignored"
    assert "its dates can be read in several ways" in proposal.settings_text
