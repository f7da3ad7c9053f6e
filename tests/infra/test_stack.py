import os
import re
import signal
import stat
import subprocess
import sys

import psutil
import pytest
import requests
from binaries import find

from flows import servers
from flows.fleet import MARK
from flows.supervise import marked

SECRETS = ("MLFLOW_TRACKING_PASSWORD", "PREFECT_API_AUTH_STRING", "PGPASSWORD")


def answer(address, login=None, question=None):
    """Ask a server; return the status and what it says."""
    login = tuple(login.split(":", 1)) if login else None
    said = requests.request(
        "GET" if question is None else "POST", address, json=question, auth=login, timeout=30
    )
    return said.status_code, said.text


def questions(env):
    """Return what only a database can answer: of MLflow and of Prefect, each with its login."""
    mlflow = f"{env['MLFLOW_TRACKING_USERNAME']}:{env['MLFLOW_TRACKING_PASSWORD']}"
    at = f"{env['MLFLOW_TRACKING_URI']}/api/2.0/mlflow/experiments/search"
    return {
        "mlflow": (at, mlflow, {"max_results": 10}),
        "prefect": (
            f"{env['PREFECT_API_URL']}/work_pools/filter",
            env["PREFECT_API_AUTH_STRING"],
            {},
        ),
    }


def in_database(stack, database, sql):
    """Ask PostgreSQL itself, with the file for its tools."""
    done = subprocess.run(
        [find().folder / "psql", "--no-psqlrc", "-qAt", "--dbname", database, "--command", sql],
        env=stack.sourced("postgres.env"),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_a_home_that_was_never_up_is_said_so(tmp_path, stack_in):
    stack = stack_in(tmp_path / "home")
    done = stack("status")
    assert (done.returncode, done.stdout) == (1, f"never up in {tmp_path / 'home'}\n")
    assert stack("down").returncode == 0


def test_without_postgres_up_says_what_to_do_and_leaves_no_secret(tmp_path, stack_in):
    done = stack_in(tmp_path / "home")("up", PENSTOCK_POSTGRES=str(tmp_path))
    assert done.returncode == 1
    assert "PENSTOCK_POSTGRES must be the folder of initdb" in done.stderr
    assert not list((tmp_path / "home").iterdir())


def test_servers_on_files_of_their_own_are_left_alone(tmp_path, stack_in):
    home = tmp_path / "home"
    home.mkdir()
    servers.record(home, {"supervisor": servers.identity(os.getpid()), "store": "home"})
    done = stack_in(home)("up")
    assert done.returncode == 1
    assert "are up on files of their own: stop them with `penstock down`" in done.stderr


def test_lost_passwords_are_said_before_anything_is_made(tmp_path, stack_in, binaries):
    data = tmp_path / "home" / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text(f"{binaries.version[0]}\n", encoding="utf-8")
    done = stack_in(tmp_path / "home")("up")
    assert done.returncode == 1
    assert f"stack.json must hold the passwords of {data}" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts PostgreSQL as another user")
def test_a_home_that_postgres_cannot_enter_is_said_with_the_folder(tmp_path, stack_in, binaries):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    tmp_path.chmod(0o755)
    done = stack_in(closed / "home")("up")
    assert done.returncode == 1
    assert re.search(r"that user cannot enter /\S+: choose a home elsewhere", done.stderr)


def test_two_at_once_are_refused(tmp_path, stack_in):
    home = tmp_path / "home"
    home.mkdir()
    lock = (
        "import fcntl, os, sys; fcntl.flock(os.open(sys.argv[1], 0), 2); print(flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", lock, home], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        other.stdout.readline()
        done = stack_in(home)("up")
        other.communicate(b"\n")
    assert done.returncode == 1
    assert "another `stack.py` is at work" in done.stderr


@pytest.mark.slow
def test_both_servers_keep_their_data_in_postgres(stack, postgres_stack):
    done = stack("status")
    assert done.returncode == 0, done.stdout
    assert re.findall(r"^(\w+) +up ", done.stdout, re.MULTILINE) == [
        "PostgreSQL",
        "MLflow",
        "Prefect",
        "worker",
    ]
    assert "Default" in in_database(stack, "mlflow", "SELECT name FROM experiments;")
    assert "penstock" in in_database(stack, "prefect", "SELECT name FROM work_pool;").split()
    assert not list(stack.home.glob("mlflow.db*"))
    assert not list(stack.home.glob("prefect/*.db"))


@pytest.mark.long
@pytest.mark.parametrize("server", ["mlflow", "prefect"])
def test_strangers_are_refused_and_clients_let_in(server, postgres_stack):
    address, login, question = questions(postgres_stack)[server]
    assert answer(address, None, question)[0] == 401
    assert answer(address, f"{login}x", question)[0] == 401
    assert answer(address, login, question)[0] == 200


@pytest.mark.long
def test_secrets_are_for_their_owner_and_on_no_command_line(stack, postgres_stack):
    known = {**postgres_stack, **stack.sourced("postgres.env")}
    words = [known[name].rpartition(":")[2] for name in SECRETS]
    said = "".join(" ".join(p.info["cmdline"] or ()) for p in psutil.process_iter(["cmdline"]))
    said += stack("status").stdout
    said += "".join(p.read_text("utf-8", "replace") for p in (stack.home / "logs").iterdir())
    said += (stack.home / "postgres" / "server.log").read_text("utf-8", "replace")
    assert not [name for name, word in zip(SECRETS, words, strict=True) if word in said]
    holding = [
        path
        for path in stack.home.rglob("*")
        if path.is_file() and any(word.encode() in path.read_bytes() for word in words)
    ]
    assert {path.name for path in holding} == {"stack.env", "stack.json", "postgres.env"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in holding} == {0o600}


@pytest.mark.long
def test_a_second_up_does_nothing(stack, postgres_stack):
    before = servers.living(stack.home)
    done = stack("up")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "already up; nothing was done")
    assert servers.living(stack.home) == before


@pytest.mark.long
def test_a_killed_postgres_is_seen_and_mended(stack, postgres_stack):
    before = servers.living(stack.home)
    number = int((stack.home / "postgres/data/postmaster.pid").read_text("utf-8").split()[0])
    os.kill(number, signal.SIGKILL)
    psutil.wait_procs([p for p in psutil.process_iter() if p.pid == number], timeout=30)
    seen = stack("status")
    assert seen.returncode == 1
    assert len(re.findall(r"^(?:PostgreSQL|MLflow|Prefect) +DOWN ", seen.stdout, re.MULTILINE)) == 3
    mended = stack("up")
    assert mended.returncode == 0, mended.stdout + mended.stderr
    assert servers.living(stack.home)["supervisor"] == before["supervisor"]  # it had no need to end
    for address, login, question in questions(postgres_stack).values():
        assert answer(address, login, question)[0] == 200


@pytest.mark.long
def test_down_leaves_nothing_but_the_data_which_the_next_up_finds(stack, postgres_stack):
    (_, mlflow, _), (_, prefect, _) = questions(postgres_stack).values()
    made = f"{postgres_stack['MLFLOW_TRACKING_URI']}/api/2.0/mlflow/experiments/create"
    assert answer(made, mlflow, {"name": "kept"})[0] == 200
    variables = f"{postgres_stack['PREFECT_API_URL']}/variables"
    assert answer(f"{variables}/", prefect, {"name": "kept", "value": 42})[0] == 201

    assert stack("down").returncode == 0
    assert not marked(MARK, str(stack.home))
    assert not [p for p in psutil.process_iter(["cmdline"]) if str(stack.home) in str(p.info)]
    assert not list(stack.home.rglob("*.pid"))
    assert not [path for path in stack.home.rglob("*") if path.is_socket()]
    assert servers.recorded(stack.home) is None
    assert stack("status").returncode == 1

    assert stack("up").returncode == 0
    assert stack.sourced() == postgres_stack  # addresses and credentials stay
    assert '"kept"' in answer(made.replace("create", "search"), mlflow, {"max_results": 10})[1]
    assert answer(f"{variables}/name/kept", prefect)[0] == 200
