"""`penstock check`: what it warns of, and what it leaves alone."""

import re

import numpy as np
import pandas as pd
import pytest

from flows.check import check
from flows.progress import Progress
from flows.settings import load_spec

SPEC = 'name = "d"\n[data]\nsource = "table.csv"\ntarget = "y"\n'


@pytest.fixture
def checked(tmp_path):
    """Check a table; return the alarms by column, all that was found, and the contract's place."""
    (tmp_path / "spec.toml").write_text(SPEC, encoding="utf-8")

    def work(frame=None):
        if frame is not None:
            frame.to_csv(tmp_path / "table.csv", index=False)
        found = check(load_spec(tmp_path / "spec.toml"), Progress(quiet=True))
        alarms = {alarm["column"]: alarm["message"] for alarm in found["alarms"]}
        return alarms, found, tmp_path / "spec.contract.toml"

    return work


def frame(rows=120):
    random = np.random.default_rng(0)
    size = random.normal(size=rows).round(3)
    columns = {"size": size, "twin": size, "one": 1, "also": 1, "blank": None}
    columns |= {"code": [f"C{k:05d}" for k in range(rows)]}
    return pd.DataFrame({**columns, "y": np.where(size > 0.1, "yes", "no")})


def test_columns_that_are_ignored_raise_no_alarm_and_those_in_use_do(checked):
    alarms, found, contract = checked(frame())
    assert found["left_out"]["one"] == "every value is 1"
    assert set(found["left_out"]) == {"one", "also", "blank", "code"}
    assert set(alarms) >= {"size", "twin"}
    assert not {"one", "also", "blank", "code"} & set(alarms)
    assert "equals" in alarms["twin"]
    text = contract.read_text("utf-8")
    contract.write_text(
        re.sub(r'(columns."size"\]\nrole = )"feature"', r'\1"ignored"', text), "utf-8"
    )
    alarms, found, _ = checked()
    assert "size" in found["left_out"]
    assert "size" not in alarms
    assert "equals" not in alarms.get("twin", "")  # what it copies is not used


def test_a_feature_that_never_varies_is_said_as_it_is_written(checked):
    _, _, contract = checked(frame())
    text = contract.read_text("utf-8")
    feature = 'columns."one"]\nrole = "feature"\nkind = "integer"\n'
    contract.write_text(re.sub(r'columns."one"\](\n[^\[\n]+)+\n', feature, text), "utf-8")
    _, found, _ = checked()
    warnings = found["warnings"]
    assert any("all 120 cells hold 1" in line for line in warnings), warnings
    assert not any("1.0" in line for line in warnings)
