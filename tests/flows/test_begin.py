from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from flows.begin import begin
from flows.errors import DataRefused
from flows.home import open_home
from flows.plan import planned
from flows.settings import load_spec

RNG = np.random.default_rng(0)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.delenv("PENSTOCK_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_table_without_features_is_refused_by_init_and_not_by_the_run(folder):
    words = [f"message {k} of many" for k in range(100)]
    frame = pd.DataFrame({"words": words, "same": 1, "label": ["a", "b"] * 50})
    frame.to_csv(folder / "mail.csv", index=False)
    with pytest.raises(DataRefused) as refused:
        begin("mail.csv", target="label")
    said = str(refused.value)
    assert said.startswith("wrote mail.toml and mail.contract.toml, but a run would end here: ")
    assert "words (" in said
    assert "same (" in said
    assert "free text is not learned from" in said
    assert [failure.rule for failure in refused.value.failures] == ["table.features"]


def test_what_init_made_is_reused_by_the_run(folder):
    frame = pd.DataFrame({"x": RNG.normal(size=100), "y": ["a", "b"] * 50})
    frame.to_csv(folder / "shop.csv", index=False)
    done = begin("shop.csv", target="y")
    assert done["settings"] == "shop.toml"
    spec = load_spec(folder / "shop.toml")
    steps = {step.name: step.reused for step in planned(spec, open_home(folder))}
    ahead = ("load", "analyze", "contract", "engineer", "validate")
    assert all(steps[name] for name in ahead)
    assert not steps["train"]
