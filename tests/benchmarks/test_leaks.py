"""The rates of the leak detectors can be measured: every planted leak comes out, on few seeds."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.leaks_fits import PLANTED, flown
from benchmarks.leaks_worlds import PLANTS, honest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.long
@pytest.mark.slow
def test_every_figure_comes_out():
    command = [sys.executable, "-m", "benchmarks.leaks", "--smoke", "--json"]
    command += ["--only", "planted", "--only", "clean"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert set(figures["planted"]) == set(PLANTS)
    assert min(rate["found"] for rate in figures["planted"].values()) > 0
    assert figures["clean"]["refused"] == 0


@pytest.mark.parametrize("plant", sorted(name for name in PLANTED if not name.startswith("honest")))
def test_a_planted_fit_is_caught_and_an_honest_one_is_not(plant):
    assert flown(honest(4, rows=200), *PLANTED[plant])
    assert not flown(honest(4, rows=200), None, {})


def test_a_choice_that_units_decide_is_caught():
    world = honest(10)  # one column is counted in thousands, so a covariance follows its unit
    assert flown(world, *PLANTED["selection"])
    assert not flown(world, None, {})
