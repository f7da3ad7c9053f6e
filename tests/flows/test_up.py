"""`penstock up`, `deploy` and `down` for real: servers, a clock, a worker, and what is left after."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from datetime import datetime
from pathlib import Path

import psutil
import pytest
from filelock import FileLock

from flows import servers
from flows.fleet import MARK
from flows.supervise import marked

PATIENCE = 240  # seconds that a busy machine may take for one step
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


class Place:
    """A folder with settings and a table, seen as a person at a shell sees it."""

    def __init__(self, folder, settings, frame, **environment):
        self.folder, self.home = folder, folder / ".penstock"
        self.environment = environment
        (folder / "spec.toml").write_text(settings, encoding="utf-8")
        frame.to_csv(folder / "table.csv", index=False)

    def __call__(self, *arguments, check=True, **environment):
        done = subprocess.run(
            [sys.executable, "-m", "flows", *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONSAFEPATH": "1", **self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def up(self, *arguments):
        return json.loads(self("up", "--detach", "--json", *arguments).stdout)

    def api(self, path, **asked):
        url = servers.recorded(self.home)["prefect"] + path
        request = urllib.request.Request(
            url, json.dumps(asked).encode(), {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def flow_runs(self):
        return self.api("/flow_runs/filter", sort="START_TIME_DESC", limit=200)

    def states(self):
        return {run["id"]: run["state_name"] for run in self.flow_runs()}

    def await_(self, what, said):
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if found := what():
                return found
            time.sleep(0.5)
        logs = "\n".join(
            p.read_text(errors="replace")[-3000:] for p in self.home.glob("logs/*.log")
        )
        pytest.fail(f"{said} did not come: {self.states()}\n{logs}")
        return None

    def version(self):
        """The champion's version, asked as a consumer does."""
        code = (
            "import mlflow, sys; mlflow.set_tracking_uri(sys.argv[1]);"
            "c = mlflow.MlflowClient();"
            "print(c.get_model_version_by_alias('작은 표', 'champion').version)"
        )
        found = servers.recorded(self.home)
        asked = [sys.executable, "-c", code, found["mlflow"]]
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
        return int(done.stdout) if done.returncode == 0 else 0

    def left(self):
        return marked(MARK, str(self.home))

    def held(self):
        found = []
        for path in self.home.glob("locks/*.lock"):
            lock = FileLock(path)
            try:
                lock.acquire(timeout=0)
                lock.release()
            except TimeoutError:
                found.append(path.name)
        return found


@pytest.fixture
def place(tmp_path, table, small_settings, monkeypatch):
    monkeypatch.delenv("PREFECT_HOME")
    found = Place(tmp_path, small_settings, table())
    yield found
    found("down", check=False)


def schedule(place, text):
    path = place.folder / "spec.toml"
    settings = re.sub(r"\n\[schedule\].*", "", path.read_text("utf-8"), flags=re.DOTALL)
    path.write_text(f"{settings}\n[schedule]\n{text}\n", encoding="utf-8")


@pytest.mark.long
def test_a_visitor_s_evening(place, table):
    """Two runs arrive on a clock, the data changes between them, everything stops and starts."""
    found = place.up()
    assert servers.alive(found["supervisor"])
    schedule(place, 'interval = "60s"')
    place("deploy", "spec.toml")
    place.await_(lambda: place.version() == 1, "version 1")

    table(rows=300, seed=1).to_csv(place.folder / "table.csv", index=False)
    place.await_(lambda: place.version() == 2, "version 2")

    table(rows=320, seed=2).to_csv(place.folder / "table.csv", index=False)
    place.await_(lambda: "Running" in place.states().values(), "a run under way")
    under_way = [run for run, state in place.states().items() if state == "Running"]
    said = json.loads(place("down", "--json").stdout)
    assert said["were_up"]
    assert not place.left()
    assert not place.held()
    assert not (place.home / "servers.json").exists()

    again = place.up()
    assert again["mlflow"] == found["mlflow"]  # a bookmark stays true
    place.await_(lambda: place.version() == 3, "version 3")
    place.await_(
        lambda: {r["id"]: r["state_type"] for r in place.flow_runs()}[under_way[0]] == "COMPLETED",
        "the end of the run that was cut short",
    )
    assert not {"Failed", "Crashed"} & set(place.states().values())

    place("deploy", "spec.toml", "--remove")
    place("down")
    assert not place.left()
    assert not place.held()


@pytest.mark.long
def test_runs_beside_the_servers_use_them_and_two_of_a_name_take_turns(place):
    place.up()
    done = place("run", "spec.toml", "--json")
    summary = json.loads(done.stdout)
    mlflow = servers.recorded(place.home)["mlflow"]
    assert summary["links"]["mlflow"].startswith(mlflow)
    assert urllib.request.urlopen(mlflow, timeout=30).status == 200

    place("deploy", "spec.toml", "--set", "train.seed=1", "--now")
    place("deploy", "spec.toml", "--set", "train.seed=1", "--now")
    place.await_(
        lambda: [r["state_type"] for r in place.flow_runs()].count("COMPLETED") == 3, "three runs"
    )
    states = sorted((run["start_time"], run["state_name"]) for run in place.flow_runs())
    assert [state for _, state in states] == ["Promoted", "Promoted", "Unchanged"]
    worked = [json.loads(p.read_text("utf-8")) for p in place.home.glob("runs/*/summary.json")]
    second, third = sorted(worked, key=lambda s: s["started"])[1:]
    began = [datetime.fromisoformat(run["started"]).timestamp() for run in (second, third)]
    assert began[1] >= began[0] + second["seconds"] - 1  # `started` is in whole seconds

    place("down")
    offline = place("run", "spec.toml", "--set", "train.seed=1", "--json")
    assert json.loads(offline.stdout)["verdict"]["outcome"] == "unchanged"


@pytest.mark.long
def test_what_a_kill_leaves_is_found_and_ended(place):
    found = place.up()
    second = place("up", "--detach", check=False)
    assert second.returncode == 1
    assert found["mlflow"] in second.stderr
    place("deploy", "spec.toml", "--now")
    place.await_(lambda: "Running" in place.states().values(), "a run under way")
    worker = found["processes"]["worker"]["pid"]
    os.kill(found["supervisor"]["pid"], signal.SIGKILL)
    os.kill(worker, signal.SIGKILL)
    time.sleep(1)
    assert place.left()
    assert servers.living(place.home) is None

    place.up()
    place.await_(lambda: "Promoted" in place.states().values(), "the run that was killed")
    assert place.version() == 1

    server = servers.recorded(place.home)["processes"]["mlflow"]["pid"]
    os.killpg(server, signal.SIGKILL)
    place.await_(
        lambda: (
            servers.recorded(place.home)["processes"]["mlflow"]["pid"] != server
            and place.version() == 1
        ),
        "the MLflow server, started anew",
    )
    place("down")
    assert not place.left()


@pytest.mark.long
def test_with_credentials_nothing_is_said_without_them_and_none_is_written(place):
    secret, word = "team:pr3fect-word", "mlfl0w-pass-word"
    login = {
        "PREFECT_SERVER_API_AUTH_STRING": secret,
        "MLFLOW_TRACKING_USERNAME": "admin",
        "MLFLOW_TRACKING_PASSWORD": word,
    }
    place.environment = login
    found = place.up()
    for url in (
        f"{found['prefect']}/work_pools/penstock",
        f"{found['mlflow']}/api/2.0/mlflow/users/current",
    ):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(url, timeout=30)
        assert refused.value.code == 401
    place("deploy", "spec.toml", "--now")
    place.await_(lambda: list(place.home.glob("runs/*/summary.json")), "a run")
    summary = json.loads(next(iter(place.home.glob("runs/*/summary.json"))).read_text("utf-8"))
    assert summary["verdict"]["outcome"] == "promoted"

    place.environment = {}
    stranger = place("run", "spec.toml", check=False)
    assert stranger.returncode == 1
    assert "401" in stranger.stderr or "credentials" in stranger.stderr
    seen = [p.read_bytes() for p in place.home.rglob("*") if p.is_file() and p.suffix != ".db"]
    seen += [" ".join(psutil.Process(n).cmdline()).encode() for n in place.left()]
    for text in seen:
        assert word.encode() not in text
        assert secret.encode() not in text
    place.environment = login


@pytest.mark.slow
def test_strangers_are_not_let_in(place):
    done = place("up", "--host", "0.0.0.0", check=False)
    assert done.returncode == 2
    assert "PREFECT_SERVER_API_AUTH_STRING" in done.stderr
    assert not Path(place.home / "servers.json").exists()


@pytest.mark.long
def test_a_run_goes_on_through_a_pause_and_a_new_start_of_its_servers(place):
    found = place.up()
    groups = [found["processes"][name]["pid"] for name in ("prefect", "mlflow")]
    longer = ["--set", "train.epochs=300", "--set", "train.patience=300"]
    run = subprocess.Popen(
        [sys.executable, "-m", "flows", "run", "spec.toml", "--json", *longer],
        cwd=place.folder,
        env={**os.environ, "PYTHONSAFEPATH": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    place.await_(lambda: "Running" in place.states().values(), "a run under way")
    for group in groups:
        os.killpg(group, signal.SIGSTOP)
    time.sleep(15)
    for group in groups:
        os.killpg(group, signal.SIGCONT)
    for group in groups:
        os.killpg(group, signal.SIGKILL)  # `penstock up` starts them anew
    out, err = run.communicate(timeout=PATIENCE)
    assert run.returncode == 0, err
    assert json.loads(out)["verdict"]["outcome"] == "promoted"
    place.await_(lambda: "Promoted" in place.states().values(), "the run's end in Prefect")
    assert place.version() == 1
