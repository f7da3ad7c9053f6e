"""Passwords of the stack: made once, kept for their owner alone, never printed or on a command line.

- `stack.json` is the stack's own memory; `stack.env` is for the shells of clients, and
  `postgres.env` for pg_dump and psql. All three are for their owner's eyes (0600).
- The database roles of MLflow and Prefect own one database each and nothing else.
"""

from __future__ import annotations

import json
import os
import secrets
import shlex
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from binaries import StackError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

USER = "penstock"
"""The administrator of both servers, and PostgreSQL's superuser."""


def _password() -> str:
    return secrets.token_urlsafe(24)


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """What the stack remembers; the port too, so that servers find a database that came back."""

    postgres: str = field(default_factory=_password, repr=False)
    """Password of PostgreSQL's superuser."""
    mlflow_database: str = field(default_factory=_password, repr=False)
    prefect_database: str = field(default_factory=_password, repr=False)
    mlflow: str = field(default_factory=_password, repr=False)
    """Password of MLflow's administrator."""
    prefect: str = field(default_factory=_password, repr=False)
    """Password of the Prefect API."""
    port: int = 0
    """Of PostgreSQL; 0: it never ran."""

    def for_servers(self) -> dict[str, str]:
        """Return the environment in which the servers of `penstock up` use these databases."""
        at = f"127.0.0.1:{self.port}"
        mlflow = f"postgresql+psycopg://mlflow:{self.mlflow_database}@{at}/mlflow"
        prefect = f"postgresql+asyncpg://prefect:{self.prefect_database}@{at}/prefect"
        return {
            "MLFLOW_BACKEND_STORE_URI": mlflow,
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": prefect,
            "PREFECT_SERVER_API_AUTH_STRING": f"{USER}:{self.prefect}",
            **self.for_clients(),
        }

    @property
    def roles(self) -> dict[str, str]:
        """The password of each database, whose owner has its name."""
        return {"mlflow": self.mlflow_database, "prefect": self.prefect_database}

    def for_clients(self) -> dict[str, str]:
        """Return the environment in which both servers let a client in."""
        return {
            "MLFLOW_TRACKING_USERNAME": USER,
            "MLFLOW_TRACKING_PASSWORD": self.mlflow,
            "PREFECT_API_AUTH_STRING": f"{USER}:{self.prefect}",
        }

    def for_tools(self) -> dict[str, str]:
        """Return the environment in which pg_dump, psql and their like work."""
        return {
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.port),
            "PGUSER": USER,
            "PGPASSWORD": self.postgres,
        }


def recall(home: Path) -> Credentials | None:
    """Return what the stack of this home remembers; None: it was never up.

    Raises:
        StackError: the file is there and cannot be read; the databases would be out of reach.

    """
    place = home / "stack.json"
    if not place.exists():
        return None
    try:
        known: dict[str, Any] = json.loads(place.read_text("utf-8"))
        return Credentials(**{f.name: known[f.name] for f in fields(Credentials)})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StackError(
            f"{place} holds the passwords of this stack's databases and cannot be read ({error!r}): "
            "put it back from a backup"
        ) from None


def remember(home: Path, known: Credentials, *, port: int) -> Credentials:
    """Write what the stack remembers, with this port; return it."""
    known = replace(known, port=port)
    for_owner(home / "stack.json", json.dumps(asdict(known), indent=1))
    return known


def write_env(place: Path, what: str, variables: Mapping[str, str]) -> None:
    """Write a file that a shell can source."""
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    for_owner(place, "\n".join([f"# {what}", *lines, ""]))


def for_owner(place: Path, text: str) -> None:
    """Write a file at once and whole, readable by its owner from its first byte on."""
    partial = place.with_name(f"{place.name}.partial")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(place)
