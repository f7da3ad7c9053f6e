"""The sweep's benchmark: both sides are told the same, and it runs from end to end."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.sweep_cases import DIABETES
from flows.settings import load_spec

ROOT = Path(__file__).resolve().parents[2]
FIGURES = (
    "ratio",
    "ratio_pruned",
    "ratio_small",
    "ratio_small_untracked",
    "bound_fraction",
    "tracking_share",
    "rmse_over",
    "pruned_rmse_over",
)


def test_both_sides_are_told_the_same(tmp_path):
    case = replace(DIABETES, pruned=True)
    spec = load_spec(case.settings(tmp_path))
    wish = json.loads(case.wish(processes=2, pruner="halving"))
    space = spec.search.space.axes
    for name in ("lr", "weight_decay", "dropout"):
        assert [space[name].low, space[name].high] == wish[name]
        assert space[name].log == (wish[name][0] > 0)
    assert [list(space[name].choices) for name in ("width", "depth")] == [
        wish["width"],
        wish["depth"],
    ]
    assert (spec.train.epochs, spec.train.batch) == (wish["epochs"], wish["batch"])
    assert (spec.search.trials, spec.search.halving) == (wish["trials"], True)
    assert (spec.search.min_epochs, spec.search.factor) == (wish["least"], wish["factor"])


@pytest.mark.long
def test_every_figure_is_measured_from_end_to_end():
    command = [sys.executable, str(ROOT / "benchmarks" / "sweep.py"), "--smoke", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    figures = json.loads(done.stdout)
    assert {name for name in FIGURES if not isinstance(figures.get(name), float)} == set()
    trials = [figures[name] for name in figures if name.endswith("_trials")]
    assert set(trials) == {6}
    assert figures["growth"]
