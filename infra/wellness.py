"""Whether the databases and the servers are well, asked for what only a working one can answer.

- The /health of both servers says 200 while their database is gone, so they are asked for data.
- Databases are made so that doing it twice changes nothing; SQL with a password is never logged.
"""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

from binaries import StackError
from credentials import USER, Credentials

if TYPE_CHECKING:
    from collections.abc import Mapping

    from postgres import Postgres

ANSWER_SECONDS = 15
MAKE = """
SET log_min_error_statement = panic;
SELECT 'CREATE ROLE {name} LOGIN'
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{name}') \\gexec
ALTER ROLE {name} PASSWORD '{password}';
SELECT 'CREATE DATABASE {name} OWNER {name}'
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{name}') \\gexec
REVOKE ALL ON DATABASE {name} FROM PUBLIC;
"""
QUESTIONS = {
    "mlflow": ("/api/2.0/mlflow/experiments/search", {"max_results": 1}),
    "prefect": ("/work_pools/filter", {"limit": 1}),
}


def make_databases(postgres: Postgres, known: Credentials) -> None:
    """Make the databases and their owners where they are not, with these passwords."""
    sql = "".join(MAKE.format(name=name, password=word) for name, word in known.roles.items())
    postgres.query(sql, port=known.port, database="postgres", user=USER, password=known.postgres)


def database_fault(postgres: Postgres, known: Credentials) -> str:
    """Why a database is out of reach of its server; empty when none is."""
    if postgres.postmaster() is None:
        return "does not run"
    try:
        for name, password in known.roles.items():
            who = {"database": name, "user": name, "password": password}
            postgres.query("SELECT 1;", port=known.port, **who)
    except StackError as error:
        return str(error)
    return ""


def server_fault(name: str, where: Mapping[str, Any], known: Credentials) -> str:
    """Why the server `mlflow` or `prefect` is not well; empty when it is."""
    if name not in where:
        return "does not run"
    path, question = QUESTIONS[name]
    password = known.mlflow if name == "mlflow" else known.prefect
    login = base64.b64encode(f"{USER}:{password}".encode()).decode()
    request = urllib.request.Request(  # noqa: S310 - the address that `penstock up` wrote
        where[name] + path,
        data=json.dumps(question).encode(),
        headers={"Authorization": f"Basic {login}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS):  # noqa: S310
            return ""
    except urllib.error.HTTPError as error:
        return f"answers {error.code} at {where[name]}"
    except OSError as error:
        return f"does not answer at {where[name]}: {getattr(error, 'reason', error)}"
