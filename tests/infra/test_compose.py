"""`infra/compose.yaml` and the image: their structure, and the servers' commands as processes.

There is no Docker daemon here, so nothing of it has run as containers.
"""

import contextlib
import os
import re
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
import requests
import yaml

from flows.ports import free_port

REPOSITORY = Path(__file__).resolve().parents[2]
INFRA = REPOSITORY / "infra"
TEXT = (INFRA / "compose.yaml").read_text("utf-8")
COMPOSE = yaml.safe_load(TEXT)
SERVICES = COMPOSE["services"]
EXAMPLE = (INFRA / ".env.example").read_text("utf-8")
DOCKERFILE = (INFRA / "Dockerfile").read_text("utf-8")
VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")
OURS = ("mlflow", "prefect", "worker")


def test_services_wait_for_healthy_ones_that_exist():
    assert set(SERVICES) == {"postgres", *OURS}
    for service in SERVICES.values():
        for name, how in service.get("depends_on", {}).items():
            assert how == {"condition": "service_healthy"}
            assert "test" in SERVICES[name]["healthcheck"]


def test_images_are_pinned_and_services_restart():
    for service in SERVICES.values():
        assert re.fullmatch(r"[\w./-]+:[\w.-]*\d[\w.-]*", service["image"]), service["image"]
        assert service["restart"] == "unless-stopped"
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    assert {SERVICES[name]["image"] for name in OURS} == {f"penstock:{project['version']}"}


def test_every_variable_is_in_the_example_with_the_same_default():
    example = dict(re.findall(r"^(\w+)=(.*)$", EXAMPLE, re.MULTILINE))
    asked = {name: (how, default) for name, how, default in VARIABLE.findall(TEXT)}
    assert set(asked) == set(example)
    for name, (how, default) in asked.items():
        if how == "-":
            assert example[name] == default, name
        else:
            assert (how, default) == ("?", "set it in infra/.env"), name


def test_no_secret_is_in_a_file():
    secret = re.compile(r"(PASSWORD|SECRET|AUTH_STRING)")
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            if secret.search(name):
                assert VARIABLE.fullmatch(value), name
    assert not re.findall(r"^\w*(?:PASSWORD|SECRET|AUTH_STRING)\w*=.+$", EXAMPLE, re.MULTILINE)


def test_nothing_is_bound_beyond_loopback_unless_asked():
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(ports) == 2
    assert all(re.fullmatch(r"\$\{PENSTOCK_BIND:-127\.0\.0\.1\}:(\d+):\1", port) for port in ports)
    assert "ports" not in SERVICES["postgres"]


def test_every_volume_is_named_or_a_file_of_this_folder():
    used = [
        v.rpartition(":")[0] if v.endswith(":ro") else v
        for s in SERVICES.values()
        for v in s.get("volumes", [])
    ]
    sources = {VARIABLE.sub("$", volume).partition(":")[0] for volume in used}
    files = {source for source in sources if source.startswith(".")}
    assert files == {"./databases.sh", "./mlflow-auth.ini"}
    assert all((INFRA / name).is_file() for name in files)
    assert sources - files - {"$"} == set(COMPOSE["volumes"])
    assert os.access(INFRA / "databases.sh", os.X_OK)


def test_the_image_copies_what_is_there_and_runs_as_nobody_special():
    sources = [
        word
        for line in re.findall(r"^COPY (.*) \S+$", DOCKERFILE, re.MULTILINE)
        for word in line.split()
    ]
    assert all((REPOSITORY / source).exists() for source in sources)
    let_in = (REPOSITORY / ".dockerignore").read_text("utf-8").splitlines()
    assert {line[1:] for line in let_in if line.startswith("!")} == set(sources)
    instructions = [line for line in DOCKERFILE.splitlines() if re.match(r"[A-Z]+ ", line)]
    assert re.fullmatch(r"FROM python:3\.11-slim-\w+", instructions[0])
    assert [line for line in instructions if line.startswith("USER")] == ["USER penstock"]
    assert instructions.index("USER penstock") > max(
        i for i, line in enumerate(instructions) if line.startswith("RUN")
    )
    extras = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"][
        "optional-dependencies"
    ]
    assert set(re.findall(r"'\.\[(\w+)\]'", DOCKERFILE)) <= set(extras)


class Containers:
    """The services of compose as plain processes: their commands, their environments, other places."""

    def __init__(self, outside, folder, cluster):
        self.outside, self.folder, self.cluster = outside, folder, cluster
        self.processes = []
        self.values = {name: f"{name.lower()}-0123456789" for name, *_ in VARIABLE.findall(TEXT)}
        self.values |= {
            "PENSTOCK_MLFLOW_HOSTS": "localhost:5000",
            "PREFECT_API_AUTH_STRING": "penstock:a b",
        }
        self.ports = {
            "5000": str(free_port()),
            "4200": str(free_port()),
            "5432": str(cluster.port),
            "8080": str(free_port()),
        }

    def filled(self, text):
        """Fill in variables, and put the places of this machine for those of containers."""
        text = VARIABLE.sub(lambda found: self.values[found[1]], str(text))
        for inside, here in self.ports.items():
            text = text.replace(inside, here)
        text = re.sub(r"http://(?:mlflow|prefect):", "http://127.0.0.1:", text)
        text = text.replace("/etc/penstock", str(INFRA)).replace("/home/penstock", str(self.folder))
        return "127.0.0.1" if text == "postgres" else text

    def start(self, name):
        command = [self.filled(word) for word in SERVICES[name]["command"]]
        environment = {k: self.filled(v) for k, v in SERVICES[name]["environment"].items()}
        self.processes.append(
            subprocess.Popen(
                [Path(sys.executable).parent / command[0], *command[1:]],
                env={**self.outside, **environment, "PREFECT_HOME": str(self.folder / "prefect")},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=(self.folder / f"{name}.log").open("wb"),
                stderr=subprocess.STDOUT,
            )
        )
        return self.processes[-1]

    def wait(self, name, seconds=240):
        """Return when the service is healthy; its process must live as long."""
        deadline = time.monotonic() + seconds
        while not self.healthy(name):
            log = (self.folder / f"{name}.log").read_text("utf-8", "replace")[-3000:]
            assert self.processes[-1].poll() is None, log
            assert time.monotonic() < deadline, log
            time.sleep(2)

    def healthy(self, name):
        """Run the health check of the service."""
        words = [self.filled(word) for word in SERVICES[name]["healthcheck"]["test"]]
        check = [sys.executable, *words[2:]]
        return subprocess.run(check, capture_output=True, timeout=60, check=False).returncode == 0


@pytest.fixture
def containers(make_cluster, outside, tmp_path):
    cluster = make_cluster()
    cluster.create("owner", "word")
    cluster.start(free_port())
    made = Containers(outside, tmp_path, cluster)
    where = {
        "PGHOST": "127.0.0.1",
        "PGPORT": str(cluster.port),
        "PGPASSWORD": "word",
        "POSTGRES_USER": "owner",
    }
    subprocess.run([INFRA / "databases.sh"], env={**outside, **where, **made.values}, check=True)
    yield made
    for process in made.processes:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()
        process.wait()


@pytest.mark.long
def test_the_command_of_mlflow_serves_its_compose_name_to_clients_only(containers):
    user, password = (
        containers.values[f"MLFLOW_TRACKING_{name}"] for name in ("USERNAME", "PASSWORD")
    )
    port = containers.ports["5000"]

    def search(host, login=(user, password)):
        address = f"http://127.0.0.1:{port}/api/2.0/mlflow/experiments/search"
        headers = {"Host": f"{host}:{port}"}
        question = {"max_results": 1}
        return requests.post(
            address, json=question, headers=headers, auth=login, timeout=30
        ).status_code

    for _ in range(2):  # the second time on databases that are there
        process = containers.start("mlflow")
        containers.wait("mlflow")
        assert search("mlflow") == 200
        assert search("localhost") == 200
        assert search("elsewhere.example") == 403
        assert search("mlflow", None) == 401
        process.terminate()
        process.wait(30)
    own = containers.values["MLFLOW_DATABASE_PASSWORD"]
    assert containers.cluster.ask("SELECT username FROM users;", "mlflow", "mlflow", own) == user


@pytest.mark.long
def test_the_commands_of_prefect_and_worker_find_each_other_and_let_nobody_else_in(containers):
    containers.start("prefect")
    containers.wait("prefect")
    address = f"http://127.0.0.1:{containers.ports['4200']}/api/work_pools/filter"
    assert requests.post(address, json={}, timeout=30).status_code == 401
    assert requests.post(address, json={}, auth=("penstock", "a b"), timeout=30).status_code == 200
    own = containers.values["PREFECT_DATABASE_PASSWORD"]
    tables = "SELECT count(*) FROM pg_tables WHERE tablename = 'work_pool';"
    assert containers.cluster.ask(tables, "prefect", "prefect", own) == "1"
    containers.start("worker")
    containers.wait("worker")
    deadline = time.monotonic() + 120
    while not (
        pools := requests.post(address, json={}, auth=("penstock", "a b"), timeout=30).json()
    ):
        assert time.monotonic() < deadline, (containers.folder / "worker.log").read_text("utf-8")
        time.sleep(0.5)
    assert [(pool["name"], pool["type"]) for pool in pools] == [("penstock", "process")]
