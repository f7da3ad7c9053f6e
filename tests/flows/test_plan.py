"""What `penstock plan` says before anything is made: which stages run, and which change caused it."""

import shutil

import pandas as pd
import pytest

from flows import stage
from flows.check import check
from flows.home import open_home
from flows.plan import planned
from flows.progress import Progress
from flows.settings import load_spec

SPEC = 'name = "p"\n[data]\nsource = "table.csv"\ntarget = "y"\n'
BEFORE = ("load", "analyze", "contract", "engineer", "validate", "split", "leaks")


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """Everything short of training, made once."""
    folder = tmp_path_factory.mktemp("plan")
    (folder / "spec.toml").write_text(SPEC, encoding="utf-8")
    rows = pd.DataFrame({"x": [i * i % 61 / 7 for i in range(60)], "y": ["a", "b", "b"] * 20})
    rows.to_csv(folder / "table.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_TRACKING_URI", "PENSTOCK_HOME"):
            patch.delenv(name, raising=False)
        check(load_spec(folder / "spec.toml"), Progress(quiet=True))
    return folder


@pytest.fixture
def folder(checked, tmp_path):
    """Copy it, to change something."""
    return shutil.copytree(checked, tmp_path / "copy")


def steps(folder, *overrides):
    spec = load_spec(folder / "spec.toml", overrides)
    return {step.name: step for step in planned(spec, open_home(spec.folder))}


def test_nothing_is_made_by_asking(tmp_path):
    (tmp_path / "spec.toml").write_text(SPEC, encoding="utf-8")
    (tmp_path / "table.csv").write_text("x,y\n1,a\n", encoding="utf-8")
    found = steps(tmp_path)
    assert found["load"].reason == "never made for this name"
    assert found["train"].reason == "waits for validate, split"
    assert not any(step.reused for step in found.values())
    assert not (tmp_path / "spec.contract.toml").exists()
    assert [p for p in (tmp_path / ".penstock").rglob("*") if p.is_file()] == []


def test_what_did_not_change_is_reused(folder):
    found = steps(folder)
    assert [name for name, step in found.items() if step.reused] == list(BEFORE)
    assert found["load"].reason == "nothing it depends on changed"
    assert found["train"].reason == "never made for this name"


def test_a_changed_setting_is_named_and_runs_only_what_reads_it(folder):
    found = steps(folder, "split.test=0.3")
    assert found["validate"].reason == "changed: setting split.test"
    assert found["split"].reason == "waits for validate"
    assert found["contract"].reused
    assert steps(folder, "train.seed=3")["split"].reused


def test_changed_data_is_named(folder):
    with (folder / "table.csv").open("a") as table:
        table.write("60,a\n")
    found = steps(folder)
    assert found["load"].reason == "changed: input source"
    assert found["analyze"].reason == "waits for load"


def test_a_changed_contract_file_is_named(folder):
    with (folder / "spec.contract.toml").open("a") as contract:
        contract.write("\n# reviewed\n")
    found = steps(folder)
    assert found["contract"].reason == "changed: input contract file"
    assert found["analyze"].reused


def test_changed_code_is_named(folder, monkeypatch):
    import flows.maker

    known = stage.code_digest
    monkeypatch.setattr(
        flows.maker, "code_digest", lambda m: "other" if m == "flows.split" else known(m)
    )
    found = steps(folder)
    assert found["split"].reason == "changed: code"
    assert found["validate"].reused


def test_an_artifact_that_is_gone_is_said_to_be_gone(folder):
    shutil.rmtree(folder / ".penstock" / "cache" / "split")
    assert steps(folder)["split"].reason == "its artifact is gone"


def test_another_name_has_made_nothing_of_its_own_but_shares_what_is_the_same(folder):
    found = steps(folder, "name=q")
    assert found["load"].reused
    assert found["contract"].reason == "never made for this name"
