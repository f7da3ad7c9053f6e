"""What a home forgets, and what it never does."""

import os
import time

import pytest

from flows.home import open_home
from flows.retention import retire
from flows.turns import one_run_at_a_time

pytestmark = pytest.mark.usefixtures("own_environment")


def filled(tmp_path):
    home = open_home(tmp_path)
    kept = [home.root / "mlflow.db", home.artifacts / "1" / "model" / "graph.onnx"]
    made = [
        home.cache / "load" / "old" / "table.parquet",
        home.cache / "train" / "new" / "table.parquet",
        home.runs / "run1" / "report.html",
        home.quarantine / "a" / "run1.parquet",
    ]
    for path in [*kept, *made]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"0" * 1000)
    return home, kept, made


def age(path, days):
    then = time.time() - days * 86_400
    os.utime(path, (then, then))


def test_what_is_older_than_asked_goes_and_models_stay(tmp_path):
    home, kept, (old, new, report, rows) = filled(tmp_path)
    for path in (old.parent, report.parent, rows, *kept):
        age(path, 100)
    removed = retire(home, days=90, gigabytes=1)
    assert sorted(removed) == ["cache/load/old", "quarantine/a/run1.parquet", "runs/run1"]
    assert all(path.exists() for path in [*kept, new])


def test_a_cache_that_is_too_large_loses_what_was_used_longest_ago(tmp_path):
    home, kept, (old, _new, report, rows) = filled(tmp_path)
    age(old.parent, 2)
    assert retire(home, days=90, gigabytes=1.5e-6) == ["cache/load/old"]
    assert retire(home, days=90, gigabytes=0) == ["cache/train/new"]
    assert all(path.exists() for path in [*kept, report, rows])


def test_what_a_run_under_way_has_used_stays(tmp_path):
    home, _, (old, new, *_) = filled(tmp_path)
    age(old.parent, 1)
    age(new.parent, -1 / 86_400)
    with one_run_at_a_time(home, "a"):
        assert retire(home, days=90, gigabytes=0) == ["cache/load/old"]
    assert new.exists()
