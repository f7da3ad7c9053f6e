"""`penstock contract`: real tables, real files, the real command line."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from expectations.contract import Contract
from flows.cli import app
from flows.errors import DataRefused
from flows.home import open_home
from flows.maker import Maker
from flows.past_runs import past_runs
from flows.progress import Progress
from flows.settings import load_spec

SETTINGS = """
name = "ages"
[data]
source = "t.csv"
target = "y"
id = "k"
max_fraction = 0.9
"""


def rows(count=120, *, oldest=80, towns=("a", "b"), **more):
    draw = np.random.default_rng(0)
    age = draw.integers(18, oldest, count)
    age[0] = oldest
    return pd.DataFrame(
        {
            "k": [f"K-{i}" for i in range(count)],
            "age": age,
            "town": np.array(towns)[np.arange(count) % len(towns)],
            **{name: np.array(values)[np.arange(count) % len(values)] for name, values in more.items()},
            "y": np.where(draw.random(count) < 0.5, "p", "q"),
        }
    )  # fmt: skip


@pytest.fixture
def place(tmp_path, monkeypatch):
    (tmp_path / "s.toml").write_text(SETTINGS, encoding="utf-8")
    rows().to_csv(tmp_path / "t.csv", index=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def penstock(*words, code=0):
    done = CliRunner().invoke(app, ["contract", *words])
    assert done.exit_code == code, done.output
    return json.loads(done.stdout) if "--json" in words else done.output


def contract(place):
    return Contract.load(place / "s.contract.toml")


def make(place, *stages):
    spec = load_spec(place / "s.toml")
    maker = Maker(spec, open_home(spec.folder), Progress(quiet=True))
    for stage in stages or ("load", "analyze", "contract", "engineer", "validate"):
        maker.make(stage)
    return maker


def validation(place):
    return json.loads((make(place).made["validate"].path / "validation.json").read_text("utf-8"))


@pytest.mark.slow
def test_a_contract_lives_from_its_proposal_to_its_second_version(place):
    assert "proposed s.contract.toml; every rule warns" in penstock("propose", "s.toml")
    text = (place / "s.contract.toml").read_text("utf-8")
    assert "# seen 18 to 80; half of that span is left" in text
    (place / "s.contract.toml").write_text(
        text.replace('[columns."age"]', '# from the register\n[columns."age"]  # years'), "utf-8"
    )
    assert penstock("diff", "s.toml", "--json")["differs"] is False
    done = penstock("accept", "s.toml", "--by", "ann", "--json")
    assert (done["version"], done["what"]) == (1, ["everything"])

    rows(oldest=180, towns=("a", "b", "c"), fare=(1.5, 2.5)).to_csv(place / "t.csv", index=False)
    before = (place / "s.contract.toml").read_text("utf-8")
    found = penstock("diff", "s.toml", "--json", code=5)
    assert [(c["rule"], c["what"], c["binds"]) for c in found["changes"]] == [
        ("age.range", "wider", True),
        ("town.levels", "new levels", True),
        ("fare.column", "new column", False),
    ]
    assert (place / "s.contract.toml").read_text("utf-8") == before
    said = penstock("propose", "s.toml")
    assert "age.range: wider: max 120 -> max 270" in said
    assert "seen 18 to 180; the rule binds, rows beyond it are set aside" in said

    held = validation(place)  # what was accepted still binds
    assert held["rules"]["town.levels"] == 40
    penstock("accept", "s.toml", "--rule", "town.levels", "--because", "a new town")
    assert "town.levels" not in validation(place)["rules"]
    assert contract(place).severity("fare", "range") == "warning"
    penstock("accept", "s.toml")
    assert contract(place).number == 3
    assert validation(place)["rules"] == {}
    text = (place / "s.contract.toml").read_text("utf-8")
    assert "# from the register" in text
    assert "# years" in text
    facts = make(place).made["contract"].facts
    assert (facts["version"], facts["edited"], facts["digest"]) == (
        3,
        False,
        contract(place).digest(),
    )


def test_a_proposal_alone_makes_no_stage_after_the_contract_run_again(place):
    penstock("propose", "s.toml")
    penstock("accept", "s.toml")
    rows(oldest=180).to_csv(place / "t.csv", index=False)
    first = make(place).made["contract"]
    penstock("propose", "s.toml")
    assert make(place).made["contract"].digest == first.digest


def test_the_table_is_read_as_the_contract_says(place):
    table = rows()
    table.loc[::10, "age"] = -999
    table.to_csv(place / "t.csv", index=False)
    penstock("propose", "s.toml")
    text = (place / "s.contract.toml").read_text("utf-8")
    low = contract(place).columns["age"].min
    assert low < -999
    text = text.replace(f"min = {low}\n", 'min = 0\nmissing = ["-999"]\n', 1)
    (place / "s.contract.toml").write_text(text, "utf-8")
    assert penstock("diff", "s.toml", "--json")["changes"] == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("accept", "s.toml"), "there is no contract at"),
        (("diff", "s.toml"), "`penstock contract propose` makes one"),
    ],
)
def test_without_a_contract_the_next_command_is_named(place, words, said):
    done = CliRunner().invoke(app, ["contract", *words])
    assert done.exit_code == 2
    assert said in done.stderr


def test_a_rule_that_is_not_there_is_one_message_and_exit_code_2(place):
    penstock("propose", "s.toml")
    before = (place / "s.contract.toml").read_bytes()
    done = CliRunner().invoke(app, ["contract", "accept", "s.toml", "--rule", "age.rang"])
    assert done.exit_code == 2
    assert "did you mean age.range?" in done.stderr
    assert (place / "s.contract.toml").read_bytes() == before


def remember(place, name, count, newest=None, outcome="kept"):
    folder = open_home(place).runs / name
    folder.mkdir(parents=True)
    summary = {
        "name": "ages",
        "started": "2026-01-01T00:00:00Z",
        "rows": {"read": count, "train": None if outcome == "refused" else count},
        "contract": {"newest": newest},
    }
    (folder / "summary.json").write_text(json.dumps(summary), encoding="utf-8")


def test_a_table_that_shrank_against_earlier_runs_is_refused_once_that_is_accepted(place):
    penstock("propose", "s.toml")
    rows(seen=("2020-01-01", "2020-01-02")).to_csv(place / "t.csv", index=False)
    penstock("propose", "s.toml")
    for number, count in enumerate((120, 130, 5, 125)):
        remember(place, f"run{number}", count, outcome="refused" if count == 5 else "kept")
    (open_home(place).runs / "run9").mkdir()
    (open_home(place).runs / "run9" / "summary.json").write_text("{", encoding="utf-8")
    assert [run["rows"] for run in past_runs(open_home(place), "ages")] == [120, 130, 125]
    assert "[history] added" in penstock("propose", "s.toml")
    contract_file = place / "s.contract.toml"
    fresh = '\n[freshness]\ncolumn = "seen"\nmax_age = "1d"\n'
    contract_file.write_text(contract_file.read_text("utf-8") + fresh, "utf-8")
    rows(60, seen=("2020-01-01", "2020-01-02")).to_csv(place / "t.csv", index=False)
    maker = make(place)
    assert any("at least 62 rows, 50% fewer" in text for text in maker.progress.warnings)
    penstock("accept", "s.toml")
    with pytest.raises(DataRefused, match=r"table\.rows_history(.|\n)*table\.freshness"):
        make(place)
    assert maker.made["contract"].facts["newest"] == "2020-01-02"
