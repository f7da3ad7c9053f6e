"""What a run shows on a real Prefect server: name, final state, artifacts, lines; what it tries again."""

import json
import logging
import re
import time

import pytest

from flows import pipeline
from flows.errors import Busy, DataRefused
from flows.home import open_home
from flows.shown import _key
from flows.turns import one_run_at_a_time

FLAKY = """
from pathlib import Path
import pandas as pd
here = Path(__file__).parent

def frame():
    with (here / "calls").open("a") as calls:
        calls.write("x")
    if (here / "calls").stat().st_size < {well}:
        raise {error}
    return pd.read_csv(here / "table.csv")
"""


@pytest.fixture
def home(first_run, prefect_server, monkeypatch):
    monkeypatch.chdir(first_run.folder)
    return first_run


def flow_run(api, summary):
    """The Prefect run that a summary links to."""
    return api.read_flow_run(summary["links"]["prefect"].rpartition("/")[2])


def artifacts(api, flow_run):
    found = api.request(
        "POST",
        "/artifacts/filter",
        json={"artifacts": {"flow_run_id": {"any_": [str(flow_run.id)]}}},
    ).json()
    return {one["key"].partition("-")[0]: one for one in found if one["key"]}


def lines(api, flow_run):
    """The run's own lines, once Prefect has taken them."""
    from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId

    asked = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[flow_run.id]))
    end = time.monotonic() + 30
    while not (found := api.read_logs(asked)) or not any("publish" in f.message for f in found):
        assert time.monotonic() < end
        time.sleep(0.2)
    return found


def test_a_run_is_named_after_its_settings_and_its_time(home, api):
    name = flow_run(api, home.summary).name
    assert re.fullmatch(r"spec 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d", name)


def test_a_promoted_run_ends_completed_under_the_name_of_its_verdict(home, api):
    state = flow_run(api, home.summary).state
    assert (state.type.value, state.name) == ("COMPLETED", "Promoted")
    assert state.message == home.summary["verdict"]["sentence"]


def test_the_verdict_is_an_artifact_and_without_failures_there_is_no_table(home, api):
    found = artifacts(api, flow_run(api, home.summary))
    assert set(found) == {"verdict"}  # and no links where MLflow is no server
    text = found["verdict"]["data"]
    assert text.startswith(f"# {home.summary['verdict']['sentence']}")
    assert "| train |" in text
    assert home.summary["links"]["mlflow"] in text


def test_the_run_s_own_lines_arrive_as_its_log(home, api):
    found = lines(api, flow_run(api, home.summary))
    said = [
        line for line in found if line.message.lstrip().startswith(("load ", "train ", "publish "))
    ]
    assert {line.message.split()[0] for line in said} == {"load", "train", "publish"}
    assert {line.level for line in said} == {logging.INFO}


def test_each_stage_is_a_task_of_its_name(home, api):
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

    asked = FlowRunFilter(id=FlowRunFilterId(any_=[flow_run(api, home.summary).id]))
    end = time.monotonic() + 30  # records of tasks arrive after the run's
    wanted = {stage["name"] for stage in home.summary["stages"]} | {"judge", "publish"}
    while {task.name for task in api.read_task_runs(flow_run_filter=asked)} != wanted:
        assert time.monotonic() < end
        time.sleep(0.2)


def test_a_run_that_changes_nothing_ends_as_unchanged(home, api):
    home.run()
    summary, error = home.run()
    state = flow_run(api, summary).state
    assert error is None
    assert (state.type.value, state.name) == ("COMPLETED", "Unchanged")


@pytest.mark.parametrize(
    ("override", "name"),
    [
        ("gate.mode=dry_run", "Dry run"),
        pytest.param("gate.floors.roc_auc=0.999", "Rejected", marks=pytest.mark.slow),
    ],
)
def test_another_verdict_is_completed_under_its_own_name(home, api, override, name):
    summary, error = home.run(override)
    state = flow_run(api, summary).state
    assert (error, state.type.value, state.name) == (None, "COMPLETED", name)


def test_refused_data_ends_failed_with_its_failures_as_a_table(home, table, tmp_path, api):
    frame = table().astype(object)
    frame.loc[:40, "grade"] = None
    frame.to_csv(tmp_path / "bad.csv", index=False)
    summary, error = home.run(f"data.source={tmp_path / 'bad.csv'}")
    assert isinstance(error, DataRefused)
    assert error.exit_code == 3
    ended = flow_run(api, summary)
    assert (ended.state.type.value, ended.state.name) == ("FAILED", "Refused")
    assert ended.state.message == str(error)
    found = artifacts(api, ended)
    rows = json.loads(found["contract"]["data"])
    assert found["contract"]["type"] == "table"
    assert [row["column"] for row in rows] == [f["column"] or "" for f in summary["failures"]]
    assert rows[0]["count"] == "41"
    assert found["verdict"]["data"].startswith("# Refused: 41 of 240 rows")


@pytest.mark.slow
def test_rows_that_were_set_aside_are_a_table_too(home, table, tmp_path, api):
    frame = table().astype(object)
    frame.loc[:1, "크기"] = "많이"
    frame.to_csv(tmp_path / "odd.csv", index=False)
    summary, error = home.run(f"data.source={tmp_path / 'odd.csv'}")
    assert (error, summary["rows"]["quarantined"]) == (None, 2)
    (row,) = json.loads(artifacts(api, flow_run(api, summary))["contract"]["data"])
    assert (row["column"], row["count"]) == ("크기", "2")


def test_a_name_that_is_taken_fails_at_once_and_keeps_its_exit_code(home, api):
    before = {path.name for path in (home.folder / ".penstock" / "runs").iterdir()}
    with (
        one_run_at_a_time(open_home(home.folder), "작은 표"),
        pytest.raises(Busy, match="another run of '작은 표' is under way") as caught,
    ):
        home.run()
    assert caught.value.exit_code == 1
    assert {path.name for path in (home.folder / ".penstock" / "runs").iterdir()} == before


@pytest.fixture
def source(tmp_path, table, monkeypatch):
    """Write a source of the user's that fails until its third call; `load` is retried at once."""
    monkeypatch.setitem(pipeline.RETRIES, "load", [0.01, 0.01])

    def write(error, well=2):
        table().to_csv(tmp_path / "table.csv", index=False)
        (tmp_path / "source.py").write_text(FLAKY.format(error=error, well=well))
        return f"data.source={tmp_path / 'source.py'}:frame"

    return write


def calls(tmp_path):
    return len((tmp_path / "calls").read_text())


def test_a_source_that_is_away_for_a_moment_is_asked_again(home, source, tmp_path):
    small = ("train.members=1", "train.epochs=2", "split.folds=0", "gate.mode=dry_run")
    quiet = [
        f"leaks.{kind}='off'" for kind in ("preprocessing", "selection")
    ]  # the canary calls it too
    summary, error = home.run(source("ConnectionError('away')", well=3), *small, *quiet)
    assert (error, summary["verdict"]["outcome"]) == (None, "dry_run")
    assert calls(tmp_path) == 3


def test_a_source_that_stays_away_refuses_the_run_in_the_end(home, source, tmp_path):
    summary, error = home.run(source("TimeoutError('away')", well=99))
    assert getattr(error, "exit_code", None) == 3
    assert summary["verdict"]["outcome"] == "refused"
    assert "source.py:10: TimeoutError: away" in str(error)
    assert calls(tmp_path) == 1 + len(pipeline.RETRIES["load"])


def test_what_is_wrong_is_said_at_once(home, source, tmp_path):
    summary, error = home.run(source("ValueError('wrong')"))
    assert getattr(error, "exit_code", None) == 3
    assert summary["verdict"]["outcome"] == "refused"
    assert calls(tmp_path) == 1


def test_keys_of_artifacts_are_told_apart_in_any_script():
    names = ["credit", "Credit", "작은 표", "큰 표", "a_b", "a-b", "a--b", "-a", "<b>", "R&D"]
    keys = [_key(name) for name in names]
    assert len(set(keys)) == len(names)
    assert keys[0] == "credit"
    assert all(re.fullmatch(r"[a-z0-9-]+", key) for key in keys)
