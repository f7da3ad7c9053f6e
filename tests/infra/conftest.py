"""A real PostgreSQL, and the whole stack on it; skipped with the reason where there is none."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from accounts import unprivileged
from binaries import StackError, find
from postgres import Postgres

from flows.ports import free_port

REPOSITORY = Path(__file__).resolve().parent.parent.parent
FRAMEWORKS = ("MLFLOW_", "PREFECT_", "PENSTOCK_", "PG")


def pytest_collection_modifyitems(items):
    """Keep what uses the one stack of the session in one process."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("infra"))


@pytest.fixture(scope="session")
def binaries():
    """PostgreSQL as it is installed here."""
    try:
        return find()
    except StackError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def open_folder():
    """Make folders that the user of PostgreSQL can enter; pytest's own are for their owner alone."""
    made = []

    def make():
        folder = Path(tempfile.mkdtemp(prefix="stack-"))
        folder.chmod(0o755)
        made.append(folder)
        return folder

    yield make
    for folder in made:
        shutil.rmtree(folder)


class Cluster(Postgres):
    """A PostgreSQL whose superuser is `owner`, with the password `word`."""

    @property
    def port(self):
        return int((self.data / "postmaster.pid").read_text("utf-8").splitlines()[3])

    def ask(self, sql, database="postgres", user="owner", word="word"):
        return self.query(sql, port=self.port, database=database, user=user, password=word)


@pytest.fixture(scope="session")
def make_cluster(binaries, open_folder):
    """Make clusters that are not started yet; whatever still runs is stopped at the end."""
    made = []

    def make():
        folder = open_folder() / "postgres"
        made.append(Cluster(folder, binaries, unprivileged(folder)))
        return made[-1]

    yield make
    for cluster in made:
        cluster.stop()


@pytest.fixture(scope="session")
def cluster(make_cluster):
    """Keep one PostgreSQL running for the session."""
    made = make_cluster()
    made.create("owner", "word")
    made.start(free_port())
    return made


@pytest.fixture(scope="session")
def outside():
    """Return the environment of a shell that knows nothing of any server."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(FRAMEWORKS)}
    return {**kept, "OMP_NUM_THREADS": "1", "NO_COLOR": "1", "DO_NOT_TRACK": "1"}


class Stack:
    """`infra/stack.py` for one home, as a person runs it."""

    def __init__(self, home, outside):
        self.home, self.outside = home, outside

    def __call__(self, command, *options, **more):
        return subprocess.run(
            [sys.executable, REPOSITORY / "infra" / "stack.py", command, *options],
            env={**self.outside, "PENSTOCK_HOME": str(self.home), **more},
            cwd=self.home.parent,
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )

    def sourced(self, name="stack.env"):
        """Return the environment of a shell that has sourced a file of the home."""
        script = f". '{self.home / name}' && env -0"
        done = subprocess.run(
            ["/bin/sh", "-c", script], env=self.outside, capture_output=True, check=True
        )
        return dict(line.split("=", 1) for line in done.stdout.decode().split("\0") if line)


@pytest.fixture
def stack_in(outside):
    """Return the stack of a home: `stack_in(home)("up")`."""
    return lambda home: Stack(home, outside)


@pytest.fixture(scope="session")
def stack(binaries, open_folder, outside):
    """Keep one whole stack up for the session; whoever takes it down brings it up again."""
    made = Stack(open_folder() / "home", outside)
    try:
        done = made("up")
        assert done.returncode == 0, done.stderr
        yield made
    finally:
        made("down")


@pytest.fixture(scope="session")
def postgres_stack(stack):
    """Return the environment that a client of the whole stack needs."""
    return stack.sourced()
