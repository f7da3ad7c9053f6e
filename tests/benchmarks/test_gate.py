"""The gate's statistics can be measured: every promised figure comes out, on few seeds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROMISED = {
    "equal_promoted_30_nights",
    "equal_promoted_30_nights_point_rule",
    "worse_by_margin_promoted",
    "year_of_creep_lost_margins",
    "two_points_better_promoted_n5000",
    "slice_drop_caught",
    "slice_false_alarm",
}


def test_every_figure_comes_out() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "gate.py"), "--smoke", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert set(figures) >= PROMISED
    assert all(0 <= figures[name] <= 1 for name in PROMISED - {"year_of_creep_lost_margins"})
    assert figures["two_points_better_promoted_n5000"] == 1
