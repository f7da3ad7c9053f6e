"""The benchmark of imputers: masks are what they are called, and a run that was cut short goes on."""

import argparse
import json
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest

from benchmarks import impute_cases, impute_served
from benchmarks.impute import Piece, figures, measure, pieces
from benchmarks.impute_cases import SHARE, mask
from models.impute import SERVED

ASKED = {"parts": ["mcar", "mar", "mnar", "downstream", "seeds"], "tables": ["spam"],
         "imputers": ["median", "mice", "gain"], "masks": 3, "few": 1, "first": 0, "seeds": 4,
         "seed_steps": None}  # fmt: skip


@pytest.fixture
def spam(tmp_path, monkeypatch):
    """A small table in the place of the real one."""
    rng = np.random.default_rng(0)
    noise = 2 * rng.normal(size=(120, 6))
    frame = pd.DataFrame(rng.normal(size=(120, 2)) @ rng.normal(size=(2, 6)) + noise)
    frame["type"] = np.where(frame[0] > 0, "spam", "nonspam")
    place = tmp_path / impute_cases.TABLES["spam"][0]
    place.parent.mkdir()
    frame.to_csv(place, index=False)
    monkeypatch.setenv("PENSTOCK_DATA", str(tmp_path))
    impute_cases.table.cache_clear()
    yield
    impute_cases.table.cache_clear()


@pytest.mark.parametrize("kind", ["mcar", "mar", "mnar"])
def test_masks_hide_the_share_that_they_say(kind):
    numbers = np.random.default_rng(0).normal(size=(4_000, 10))
    hidden = mask(kind, numbers, 1)
    assert hidden.mean() == pytest.approx(SHARE, abs=0.01)
    larger = numbers[hidden].mean() - numbers[~hidden].mean()
    assert (larger > 0.5) == (kind == "mnar")
    assert (hidden.sum(axis=0) == 0).sum() == (2 if kind == "mar" else 0)


def test_slow_imputers_get_few_masks_where_no_bar_is_asked():
    counts = {}
    for piece in pieces(argparse.Namespace(**ASKED)):
        counts[piece.part, piece.imputer] = counts.get((piece.part, piece.imputer), 0) + 1
    assert counts["mcar", "gain"] == counts["mnar", "mice"] == 3
    assert counts["mar", "gain"] == counts["downstream", "gain"] == 1
    assert counts["seeds", "gain"] == 4
    assert ("seeds", "mice") not in counts


def test_a_run_that_was_cut_short_goes_on(spam, tmp_path):
    out = tmp_path / "measured.jsonl"
    wanted = [
        Piece(part=part, table="spam", imputer=imputer, seed=seed)
        for part in ("mcar", "downstream")
        for imputer in ("median", "mice")
        for seed in (0, 1)
    ]
    first = measure(wanted[:3], out)
    lines = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert [line["piece"] for line in lines] == [asdict(piece) for piece in wanted[:3]]
    lines[0]["rmse"] = 9.0
    out.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    found = measure(wanted, out)
    assert found[wanted[0]]["rmse"] == 9.0
    assert found[wanted[2]] == first[wanted[2]]
    assert len(out.read_text("utf-8").splitlines()) == len(wanted)
    named = figures(found)
    assert named["spam/mcar/mice"]["masks"] == 2
    assert named["spam/mcar/mice"]["held"] is False  # this table is not the one of the bar
    assert 0.5 < named["spam/downstream/mice"]["boosting"] <= 1.0


def test_further_seeds_are_further_masks(spam, tmp_path):
    pair = [Piece(part=part, table="spam", imputer="mice", seed=0) for part in ("mcar", "seeds")]
    out = tmp_path / "measured.jsonl"
    found = measure(pair, out)
    assert found[pair[0]] == found[pair[1]]
    assert len(out.read_text("utf-8").splitlines()) == 1


def test_networks_that_take_fewer_steps_are_held_to_no_bar(spam):
    piece = Piece(part="seeds", table="spam", imputer="gain", seed=0, steps=5)
    found = measure([piece], None)
    assert found[piece]["finite"]
    assert "held" not in figures(found)["spam/seeds/gain"]


@pytest.mark.parametrize("imputer", SERVED)
def test_the_graph_whose_time_is_taken_fills_and_answers(imputer, monkeypatch):
    monkeypatch.setattr(impute_served, "ROWS", 200)
    table = impute_served.made(4, folds=2)
    session = impute_served.session_of(table, imputer, folds=2)
    (shares,) = session.run(["probabilities"], {"numbers": table.numbers[:20]})
    assert np.isfinite(shares).all()
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, atol=1e-5)
    assert impute_served.milliseconds(session, table) > 0
