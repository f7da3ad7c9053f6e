"""The production stack without Docker: PostgreSQL, and on it the servers of `penstock up`.

    python infra/stack.py up [options of `penstock up`]
    python infra/stack.py status
    python infra/stack.py down

- The home is PENSTOCK_HOME, else `.penstock` in the working directory; all data stays in it.
- `source <home>/stack.env` gives a shell the addresses and the credentials.
- Every command may be repeated: `up` mends what is down and leaves alone what is up.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accounts import unprivileged
from binaries import StackError, find
from credentials import USER, Credentials, recall, remember, write_env
from postgres import Postgres
from wellness import database_fault, make_databases, server_fault

from flows import servers
from flows.ports import free_port, is_free

if TYPE_CHECKING:
    from collections.abc import Iterator

UP_SECONDS = 300
DOWN_SECONDS = 180
WELL_SECONDS = 60
"""How long servers may take to find a database that has come back."""


def main() -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("command", choices=("up", "down", "status"))
    asked, options = parser.parse_known_args()
    if options and asked.command != "up":
        parser.error(f"`{asked.command}` takes no options, found {' '.join(options)}")
    home = Path(os.environ.get("PENSTOCK_HOME") or ".penstock").expanduser().resolve()
    try:
        if asked.command == "status":
            return status(home)
        home.mkdir(parents=True, exist_ok=True)
        with _alone(home):
            return up(home, options) if asked.command == "up" else down(home)
    except StackError as error:
        print(f"stack: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"stack: {home} must be a folder that we can write: {error}", file=sys.stderr)
        return 1


@contextlib.contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Lock the home's folder itself, so that no file is left that looks like a lock."""
    folder = os.open(home, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise StackError(f"another `stack.py` is at work in {home}: wait for it to end") from None
    finally:
        os.close(folder)


def up(home: Path, options: list[str]) -> int:
    """Bring up what is down, leave alone what is up, and say where everything is."""
    if (servers.living(home) or {}).get("store") == "home":
        raise StackError(
            f"the servers of {home} are up on files of their own: stop them with `penstock down`"
        )
    postgres = _postgres(home)
    began = postgres.postmaster() is None
    known = _postgres_up(home, postgres)
    try:
        fresh = _servers_up(home, known, options)
    except StackError:
        _penstock("down", home, known, DOWN_SECONDS)
        if began:
            postgres.stop()
        raise
    where = servers.living(home)
    if where is None:
        raise StackError(f"the servers ended as soon as they were up; see {home / 'logs'}")
    addresses = {"MLFLOW_TRACKING_URI": where["mlflow"], "PREFECT_API_URL": where["prefect"]}
    clients = {"PENSTOCK_HOME": str(home), **addresses, **known.for_clients()}
    write_env(home / "stack.env", "for the shells of clients: source it", clients)
    if not began and not fresh:
        print("already up; nothing was done")
    return status(home)


def _postgres(home: Path) -> Postgres:
    folder = home / "postgres"
    return Postgres(folder, find(folder / "data"), unprivileged(folder))


def _postgres_up(home: Path, postgres: Postgres) -> Credentials:
    """Make, start and fill PostgreSQL as far as it is not; return what the stack remembers."""
    known = recall(home)
    if known is None:
        if postgres.data.exists():
            raise StackError(f"{home / 'stack.json'} must hold the passwords of {postgres.data}")
        if (home / "mlflow.db").exists():
            print(f"note: runs and models of {home / 'mlflow.db'} are not in these databases")
        known = remember(home, Credentials(), port=free_port())
    postgres.reachable()
    postgres.create(USER, known.postgres)
    if postgres.postmaster() is None:
        if not is_free(known.port):
            known = remember(home, known, port=free_port())
        postgres.start(known.port)
    make_databases(postgres, known)
    write_env(home / "postgres.env", "for pg_dump, psql and their like", known.for_tools())
    return known


def _servers_up(home: Path, known: Credentials, options: list[str]) -> bool:
    """Start the servers where they are down or do not find their database; return whether so."""
    if where := servers.living(home):
        fault = _fault_in_time(where, known)
        if not fault:
            return False
        print(f"the servers are up and not well ({fault}): they are started again")
        _penstock("down", home, known, DOWN_SECONDS)
    _penstock("up", home, known, UP_SECONDS, "--detach", *options)
    return True


def _fault_in_time(where: dict[str, Any], known: Credentials) -> str:
    """What is wrong with the servers after the time that they may take; empty when nothing is."""
    deadline = time.monotonic() + WELL_SECONDS
    while fault := server_fault("mlflow", where, known) or server_fault("prefect", where, known):
        if time.monotonic() > deadline:
            return fault
        time.sleep(0.5)
    return ""


def _penstock(command: str, home: Path, known: Credentials, seconds: int, *options: str) -> None:
    """Run `penstock up` or `down` for this home, with these databases and credentials."""
    gone = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "PREFECT_API_URL")
    kept = {name: value for name, value in os.environ.items() if name not in gone}
    try:
        done = subprocess.run(  # our own interpreter, no shell
            [sys.executable, "-m", "flows", command, *options],
            env={**kept, "PENSTOCK_HOME": str(home), **known.for_servers()},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise StackError(
            f"`penstock {command}` did not end within {seconds} s; see {home / 'logs'}"
        ) from None
    if done.returncode:
        said = f"{done.stdout}{done.stderr}".strip()[-3000:]
        raise StackError(f"`penstock {command}` failed; its logs are in {home / 'logs'}:\n{said}")


def down(home: Path) -> int:
    """Stop the servers, then PostgreSQL; nothing of either is left but its data."""
    known = recall(home)
    if known is None:
        print(f"never up in {home}; nothing was done")
        return 0
    _penstock("down", home, known, DOWN_SECONDS)
    _postgres(home).stop()
    print(f"down; the data stays in {home}")
    return 0


def status(home: Path) -> int:
    """Say what runs and whether it is well; 1 where anything is not."""
    known = recall(home)
    if known is None:
        print(f"never up in {home}")
        return 1
    postgres, where = _postgres(home), servers.living(home) or {}
    worker = servers.alive(where.get("processes", {}).get("worker"))
    table = [
        ("PostgreSQL", f"127.0.0.1:{known.port}", database_fault(postgres, known)),
        ("MLflow", where.get("mlflow", ""), server_fault("mlflow", where, known)),
        ("Prefect", where.get("prefect", ""), server_fault("prefect", where, known)),
        ("worker", where.get("pool", ""), "" if worker else "does not run"),
    ]
    for title, address, fault in table:
        print(f"{title:<11} {f'DOWN  {fault}' if fault else f'up    {address}'}")
    if where:
        print(f"credentials for a shell: source {home / 'stack.env'}")
    return int(any(fault for _, _, fault in table))


if __name__ == "__main__":
    sys.exit(main())
