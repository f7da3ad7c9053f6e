"""The same three runs, embedded, on servers over files, and on servers over PostgreSQL."""

import json
import subprocess
import sys

import pandas as pd
import pytest

CONSUMER = """
import json, sys
import mlflow, pandas
rows = pandas.read_csv(sys.argv[1], dtype=str, keep_default_na=False).drop(columns="grade")
model = mlflow.pyfunc.load_model("models:/작은 표@champion")
print(json.dumps(model.predict(rows)["prediction"].tolist(), default=str))
"""


@pytest.fixture(
    params=[
        pytest.param("embedded", marks=pytest.mark.long),
        pytest.param("servers", marks=pytest.mark.long),  # the evening in test_up.py has them too
        pytest.param("postgres", marks=pytest.mark.long),
    ]
)
def way(request, tmp_path, outside):
    """Return how a shell sees its servers: an environment."""
    if request.param == "embedded":
        yield outside
    elif request.param == "postgres":
        yield {**outside, **request.getfixturevalue("postgres_stack")}
    else:
        penstock(outside, tmp_path, "up", "--detach")
        yield outside
        penstock(outside, tmp_path, "down")


def penstock(environment, folder, *arguments, code=0):
    done = subprocess.run(
        [sys.executable, "-m", "flows", *arguments],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


def test_three_runs_end_alike_and_a_consumer_loads_what_they_made(
    way, tmp_path, small_settings, table, summary_schema
):
    folder = tmp_path
    (folder / "spec.toml").write_text(small_settings, encoding="utf-8")
    table().to_csv(folder / "table.csv", index=False)

    def run(*arguments):
        done = penstock(way, folder, "run", "spec.toml", "--json", *arguments)
        summary = json.loads(done.stdout)
        summary_schema.validate({k: v for k, v in summary.items() if k != "folder"})
        return summary

    first, again = run(), run()
    more = pd.concat([table(), table(rows=60, seed=1)])  # data that grows
    more.to_csv(folder / "table.csv", index=False)
    third = run()
    outcomes = [s["verdict"]["outcome"] for s in (first, again, third)]
    assert outcomes == ["promoted", "unchanged", "promoted"]
    assert [s["registered"]["version"] for s in (first, again, third)] == [1, 1, 2]
    assert third["registered"]["aliases"] == ["challenger", "champion"]

    scored = json.loads(
        penstock(way, folder, "score", "작은 표@champion", "table.csv", "out.csv", "--json").stdout
    )
    assert (scored["rows"], scored["bad_rows"]) == (300, 0)
    sentence = json.loads(penstock(way, folder, "why", "작은 표@champion", "--json").stdout)
    assert sentence["outcome"] == "promoted"

    uri = third["links"]["mlflow"]
    uri = uri.partition("/#/")[0] if uri.startswith("http") else uri.partition(" run ")[0]
    consumer = subprocess.run(
        [sys.executable, "-c", CONSUMER, folder / "table.csv"],
        env={**way, "MLFLOW_TRACKING_URI": uri},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert consumer.returncode == 0, consumer.stderr
    assert set(json.loads(consumer.stdout)) == {"yes", "no"}
