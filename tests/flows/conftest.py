"""Tiny models for the registry, a real fresh process that questions them, a real MLflow server."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flows.home import open_home, prepare_tracking
from flows.offer import Candidate
from flows.ports import free_port
from flows.publish import publish
from flows.registry import addressed, client
from models import served
from models.examine import Examiner
from models.graph import DOUBLE, FLOAT, INT64, Graph

NAME = '신용\'s "모델"'
SCHEMA = {
    "version": 1, "name": NAME, "task": "binary", "target": "y", "missing": [""],
    "columns": [{"name": "나이", "kind": "number"}],
    "rules": [{"id": "나이.range", "column": "나이", "type": "range", "min": 0, "max": 200}],
    "classes": ["bad", "good"], "class_kind": "text", "numbers": ["나이"], "categories": [],
}  # fmt: skip


def sigmoid(slope):
    """Return a graph: the probability of "good" is a sigmoid of one number."""
    made = Graph()
    number = made.input("numbers", DOUBLE, ("N", 1))
    gap = made.add("Where", made.add("IsNaN", number), made.constant(50.0), number)
    share = made.add("Sigmoid", made.add("Mul", gap, made.constant(slope)))
    both = made.add("Concat", made.add("Sub", made.constant(1.0), share), share, axis=1)
    made.output("probabilities", made.add("Cast", both, to=FLOAT), FLOAT, ("N", 2))
    made.output("label", made.add("ArgMax", both, axis=1, keepdims=0), INT64, ("N",))
    return made.model().SerializeToString()


@pytest.fixture(scope="session")
def graph():
    """The maker of tiny graphs: `graph(slope)` are its bytes."""
    return sigmoid


@pytest.fixture(scope="session")
def examiner():
    with Examiner() as one:
        yield one


class Brisk:
    """The fresh process, asked for answers alone: other tests are about every form of question."""

    def __init__(self, examiner):
        self.examiner = examiner

    def ask(self, command):
        return self.examiner.ask({**command, "whole": False})


class Desk:
    """Publishes models of one home."""

    def __init__(self, home, folder, examiner, name=NAME):
        self.home, self.folder, self.examiner, self.name = home, folder, examiner, name
        self.client = client(home)
        known = self.client.get_experiment_by_name("e")
        place = (
            home.artifacts.as_uri() if home.local_store else None
        )  # else the working directory's
        self.experiment = (
            known.experiment_id
            if known
            else self.client.create_experiment("e", artifact_location=place)
        )

    def candidate(self, mark, slope=0.02, **options):
        folder = self.folder / mark
        folder.mkdir()
        (folder / "graph.onnx").write_bytes(sigmoid(slope))
        (folder / "schema.json").write_text(json.dumps(SCHEMA), encoding="utf-8")
        shutil.copyfile(served.__file__, folder / "served.py")
        rows = pd.DataFrame({"나이": [str(n) for n in np.arange(-30, 30) + 40]})
        (folder / "input_example.json").write_text(rows.head(2).to_json(orient="records"))
        rows.to_parquet(folder / "rows.parquet")
        answers = served.answer(served.open_session(sigmoid(slope)), rows, SCHEMA)
        answers.to_parquet(folder / "expected.parquet")
        options = {
            "name": self.name, "key": mark * 8, "run": f"run-{mark}", "note": "Predicts 나이."
        } | options  # fmt: skip
        return Candidate(
            folder=folder,
            questions={
                "rows": str(folder / "rows.parquet"),
                "expected": str(folder / "expected.parquet"),
                "tolerance": 1e-5,
            },
            tags={"verdict": "promoted", "digest.data": "d" * 64, "reasons": "왜; because"},
            description="Promoted: it is good.",
            about={"task": "binary", "target": "나이"},
            **options,
        )

    def run(self):
        return self.client.create_run(self.experiment).info.run_id

    def publish(self, candidate, examiner=None):
        return publish(self.home, candidate, self.run(), lambda: examiner or self.examiner)

    def copies(self, like, count):
        """Make versions of the files of one that was examined: as it, under keys of their own."""
        self.client.create_registered_model(self.name, tags={"task": "binary"})
        with addressed(self.home):
            for number in range(1, count + 1):
                self.client.create_model_version(
                    self.name,
                    like.source,
                    run_id=like.run_id,
                    model_id=like.source.removeprefix("models:/"),
                    tags={**like.tags, "penstock.key": f"{self.name} {number}"},
                )

    def point(self, **aliases):
        for alias, number in aliases.items():
            self.client.set_registered_model_alias(self.name, alias, str(number))

    def aliases(self, name=None):
        model = self.client.get_registered_model(name or self.name)
        return {alias: int(number) for alias, number in model.aliases.items()}

    def versions(self, name=None):
        name = name or self.name
        return [made for made in self.client.search_model_versions() if made.name == name]

    def version(self, number, name=None):
        return self.client.get_model_version(name or self.name, str(number))

    def models(self):
        return list(self.client.search_logged_models([self.experiment], max_results=1000))


@pytest.fixture(scope="session")
def registry_home(tmp_path_factory):
    """A home with its own database; each test has a name of its own there."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_TRACKING_URI", "PENSTOCK_HOME"):
            patch.delenv(name, raising=False)
        home = open_home(tmp_path_factory.mktemp("publish"))
    prepare_tracking(home)
    return home


@pytest.fixture
def desk(registry_home, tmp_path, examiner):
    """Where models are published under one name, which the tests share."""
    return Desk(registry_home, tmp_path, examiner)


@pytest.fixture
def own_desk(registry_home, tmp_path, examiner, request):
    """The same with a name of the test's own."""
    return Desk(
        registry_home,
        tmp_path,
        Brisk(examiner),
        name=re.sub(r"\W", " ", f"{request.node.name} 모델"),
    )


@pytest.fixture(scope="session")
def examined(registry_home, tmp_path_factory, examiner):
    """A version that was published as a run does it."""
    folder = tmp_path_factory.mktemp("examined")
    desk = Desk(registry_home, folder, Brisk(examiner), name="examined")
    desk.publish(desk.candidate("e", promote=True))
    return desk.version(1)


@pytest.fixture
def desk_at(tmp_path, examiner):
    """Make desks elsewhere: `desk_at(home, name)`."""
    return lambda home, name="m": Desk(home, tmp_path, Brisk(examiner), name=name)


class Server:
    """A real `mlflow server` with a database and artifacts in a folder."""

    def __init__(self, folder, *options, **environment):
        self.folder, self.options, self.environment = folder, options, environment
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self):
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
        command += ["--port", str(self.port), "--workers", "1"]
        command += ["--backend-store-uri", f"sqlite:///{self.folder}/server.db"]
        command += ["--artifacts-destination", str(self.folder / "stored"), *self.options]
        quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=os.environ | quiet | {"PATH": path} | self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + 120
        while not self.answers():
            assert self.process.poll() is None, (self.folder / "server.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.2)

    def answers(self):
        with contextlib.suppress(OSError):
            return urllib.request.urlopen(f"{self.url}/health", timeout=2).status == 200
        return False

    def signal(self, number):
        os.killpg(self.process.pid, number)

    def stop(self):
        with contextlib.suppress(ProcessLookupError):
            self.signal(signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def make_mlflow_server():
    """Make MLflow servers, `make_mlflow_server(folder, *options, **environment)`; stopped at the end."""
    made = []

    def make(folder, *options, **environment):
        made.append(Server(folder, *options, **environment))
        made[-1].start()
        return made[-1]

    yield make
    for server in made:
        server.stop()


class Publisher:
    """`publisher.py` as a process: publishes candidates, dies at a commit, waits for a moment."""

    def __init__(self, log):
        quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("publisher.py")],
            env={**os.environ, **quiet, "PYTHONPATH": str(Path(served.__file__).parent.parent)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )

    def wait(self):
        assert self.process.stdout.readline() == "ready\n"

    def ask(self, desk, candidate, **options):
        facts = {name: getattr(candidate, name) for name in candidate.__dataclass_fields__}
        command = {
            "home": str(desk.home.root),
            "tracking_uri": desk.home.tracking_uri,
            "prefect_url": desk.home.prefect_url,
            "run": desk.run(),
            "candidate": facts,
            **options,
        }
        self.process.stdin.write(json.dumps(command, default=str) + "\n")
        self.process.stdin.flush()

    def answer(self):
        return json.loads(self.process.stdout.readline())

    def publish(self, desk, candidate, **options):
        self.ask(desk, candidate, **options)
        return self.answer()

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


def started(folder):
    with (folder / "log").open("wb") as log:
        made = Publisher(log)
        made.wait()
        yield made
        made.close()


@pytest.fixture(scope="session")
def publisher(tmp_path_factory):
    """A process that publishes on command."""
    yield from started(tmp_path_factory.mktemp("publisher"))


@pytest.fixture(scope="session")
def publishers(publisher, tmp_path_factory):
    """Two of them."""
    for other in started(tmp_path_factory.mktemp("publisher")):
        yield [publisher, other]


def registry_is_sound(desk, name, keys):
    """What must hold of a model once all is settled, whatever happened before."""
    from flows.promotions import log

    versions = desk.versions(name)
    assert sorted(v.tags["penstock.key"] for v in versions) == sorted(keys)
    assert all("penstock.blessing.mechanical" in v.tags for v in versions)
    written = log(desk.home, name)
    assert [entry.seq for entry in written] == list(range(1, len(written) + 1))
    assert {entry.state for entry in written} <= {"done", "abandoned"}
    last = [entry for entry in written if entry.state == "done"][-1]
    aliases = desk.aliases(name)
    assert aliases["champion"] == last.to
    assert aliases.get("previous") == last.before
    assert "penstock.blessing.metric" in desk.version(last.to, name).tags
    used = {v.source for v in versions}
    runs = {v.run_id for v in versions}
    ours = [
        m for m in desk.models() if m.source_run_id in runs or m.tags.get("penstock.key") in keys
    ]
    assert {f"models:/{m.model_id}" for m in ours} == used
    assert not list(desk.home.locks.glob("*publish-*"))


@pytest.fixture
def sound():
    """Assert what must hold of a settled model: `sound(desk, name, keys)`."""
    return registry_is_sound
