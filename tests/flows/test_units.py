"""Signs beside numbers, as `init` proposes to take them off, and as a run then reads the cells."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from flows.analyze import analyze
from flows.load import load
from flows.propose import propose
from flows.settings import load_spec

N = 200
RNG = np.random.default_rng(0)
AMOUNTS = RNG.normal(2_000, 900, N).round(2)
ENGLISH = [f"{value:,.2f}" for value in AMOUNTS]
GERMAN = [text.translate(str.maketrans(",.", ".,")) for text in ENGLISH]


@pytest.fixture
def proposed(tmp_path):
    def make(cells, **more):
        frame = pd.DataFrame({"pay": cells, **more, "left": RNG.choice(["no", "yes"], N)})
        frame.to_csv(tmp_path / "staff.csv", index=False)
        proposal = propose("staff.csv", "left", folder=tmp_path)
        file = tmp_path / "staff.toml"
        file.write_text(proposal.settings_text, encoding="utf-8")
        return proposal, load_spec(file)

    return make


def column_as_a_run_sees_it(spec, folder):
    load(spec, folder)
    analyze(spec, folder / "table.parquet", folder)
    return json.loads((folder / "profile.json").read_text(encoding="utf-8"))["columns"][0]


@pytest.mark.parametrize(
    ("written", "numbers", "unit"),
    [("${}", ENGLISH, "$"), ("{} €", GERMAN, "€"), ("{}%", AMOUNTS, "%"), ("CHF {}", AMOUNTS, "CHF"),
     ("{} km/h", AMOUNTS, "km/h"), ("₩{}", AMOUNTS, "₩"), ("US$ {}", ENGLISH, "US$")],
)  # fmt: skip
def test_a_sign_that_all_numbers_share_is_taken_off(proposed, tmp_path, written, numbers, unit):
    proposal, spec = proposed([written.format(value) for value in numbers])
    assert spec.data.columns["pay"].unit == unit
    assert "all 200 cells that are there have it, such as " in proposal.settings_text
    assert not any("sign beside them" in line for line in proposal.warnings)
    column = column_as_a_run_sees_it(spec, tmp_path)
    assert (column["kind"], column["untypable"]) == ("number", 0)
    assert column["mean"] == pytest.approx(AMOUNTS.mean(), rel=1e-5)


@pytest.mark.parametrize(
    "cells",
    [[f"{value:.0f}k" if value > 2_000 else f"{value:.0f}" for value in AMOUNTS],
     [f"{value} {RNG.choice(['kg', 'g'])}" for value in AMOUNTS],
     [f"C{value:.0f}" for value in AMOUNTS]],
    ids=["thousands in some cells", "two units", "codes"],
)  # fmt: skip
def test_a_sign_is_not_taken_off_where_numbers_would_not_be_comparable(proposed, cells):
    assert "pay" not in proposed(cells)[1].data.columns


def test_a_mark_in_doubt_stays_in_doubt_under_a_sign(proposed):
    proposal, spec = proposed([f"{k:,} €" for k in RNG.integers(1_000, 900_000, N)])
    assert spec.data.columns["pay"].unit == "€"
    assert any("could be for decimals or thousands" in line for line in proposal.warnings)


def test_another_column_settles_the_mark_under_a_sign(proposed, tmp_path):
    whole = RNG.integers(1_000, 900_000, N)
    _, spec = proposed([f"{k:,} €" for k in whole], rate=RNG.normal(0, 1, N).round(3))
    assert (spec.data.columns["pay"].unit, spec.data.columns["pay"].thousands) == ("€", ",")
    assert column_as_a_run_sees_it(spec, tmp_path)["mean"] == pytest.approx(whole.mean(), rel=1e-5)
