"""Real tables, each by a settings file and nothing else; `make data-tests` runs all of them."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from flows.launch import launch
from flows.score import score
from flows.settings import load_spec

HERE = Path(__file__).parent
QUICK = ("titanic",)
ALL = tuple(sorted(path.stem for path in HERE.glob("*.toml")))


def run(name, folder):
    shutil.copy(HERE / f"{name}.toml", folder)
    return launch(load_spec(folder / f"{name}.toml"), [], quiet=True)


def is_champion(summary, error):
    assert error is None
    assert summary["verdict"]["outcome"] == "promoted", summary["verdict"]["reasons"]
    assert "champion" in summary["registered"]["aliases"]


@pytest.mark.data
@pytest.mark.parametrize("name", sorted(set(ALL) - set(QUICK)))
def test_a_real_table_ends_with_a_champion(name, tmp_path, real_data, prefect_server):
    is_champion(*run(name, tmp_path))


@pytest.mark.ci
def test_titanic_ends_with_a_champion_that_scores_its_unlabelled_file(
    tmp_path, real_data, prefect_server, monkeypatch
):
    is_champion(*run("titanic", tmp_path))
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "scored.csv"
    done = score("titanic@champion", real_data / "titanic" / "test.csv", out)
    scored = pd.read_csv(out)
    assert done["rows"] == len(scored) == 418
    assert set(scored["prediction"].dropna()) == {0, 1}
    assert (scored["status"] == "ok").all()
