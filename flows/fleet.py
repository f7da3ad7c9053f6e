"""The three processes of `penstock up`: a Prefect server, an MLflow server and a worker.

- They serve the home's own databases, so runs with and without them see the same models; the
  frameworks' own variables (MLFLOW_BACKEND_STORE_URI, PREFECT_SERVER_DATABASE_CONNECTION_URL) name
  other databases, and then artifacts go through the MLflow server.
- Loopback, unless both servers ask for credentials.
"""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import secrets
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows import interrupted, ports
from flows.errors import SettingsError
from flows.json_files import read_json, write_json
from flows.ports import is_loopback
from flows.prefect_server import answers, server_command
from flows.supervise import Service

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flows.home import Home

POOL = "penstock"
"""The Prefect work pool that deployments wait in."""
MARK = "PENSTOCK_SERVERS_OF"
"""Set in the environment of the servers and all that they start: the home that they serve."""
FLOW_RUN = "PREFECT__FLOW_RUN_ID"
"""Set by Prefect's worker in the environment of a run's process."""
ANY = ("0.0.0.0", "::")  # noqa: S104 - recognised, never a default
SHOWN = timedelta(seconds=100)
"""A worker that has not shown itself for so long is not well; it should every 30 s."""
OF_SERVERS = ("PREFECT_SERVER_", "MLFLOW_BACKEND_STORE_URI", "PG")
"""What names the servers' databases and their passwords: nothing that a run's code should see."""
SHORTEST_PASSWORD = 12  # MLflow's own rule
SECRETS = ("PREFECT_SERVER_API_AUTH_STRING", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD")


@dataclass(frozen=True, kw_only=True)
class Where:
    """What `up` was asked for."""

    host: str = "127.0.0.1"
    prefect_port: int | None = None
    """None: the port of last time where it is free, else a free one."""
    mlflow_port: int | None = None
    runs: int = 2
    """How many runs the worker has under way at once, those that wait for another included."""

    def check(self) -> None:
        """Raise SettingsError for half a login, strangers without one, or one port for two servers."""
        missing = [name for name in SECRETS if not os.environ.get(name)]
        if SECRETS[1] not in missing and SECRETS[2] in missing:
            raise SettingsError(f"{SECRETS[2]} must be set where {SECRETS[1]} is, or neither")
        if 0 < len(os.environ.get(SECRETS[2], "")) < SHORTEST_PASSWORD:
            msg = f"{SECRETS[2]} must have at least {SHORTEST_PASSWORD} characters, as MLflow wants it"
            raise SettingsError(msg)
        if self.prefect_port is not None and self.prefect_port == self.mlflow_port:
            msg = f"the two servers must have a port each, found {self.mlflow_port} for both"
            raise SettingsError(msg)
        if not is_loopback(self.host) and missing:
            msg = (
                f"servers on {self.host} must ask for credentials, as others can reach them: set "
                f"{', '.join(missing)} in the environment, or leave --host out to stay on this machine"
            )
            raise SettingsError(msg)


class Fleet:
    """The three processes of one home, not yet started."""

    def __init__(self, home: Home, where: Where) -> None:
        """Choose the ports.

        Raises:
            SettingsError: they would be open to strangers, or a port that was asked for is taken.

        """
        where.check()
        self.home, self.where = home, where
        self.ports = _ports(home, where)
        reached = "127.0.0.1" if where.host in ANY else where.host
        reached = f"[{reached}]" if ":" in reached else reached
        self.prefect_url = f"http://{reached}:{self.ports['prefect']}/api"
        self.mlflow_url = f"http://{reached}:{self.ports['mlflow']}"
        self.store = "server" if os.environ.get("MLFLOW_BACKEND_STORE_URI") else "home"
        """Where MLflow keeps artifacts: as files of the home, or behind the server."""

    def prefect(self) -> Service:
        """The Prefect server, with its UI."""
        return Service(
            name="prefect",
            title="Prefect server",
            command=server_command(self.where.host, self.ports["prefect"]),
            environment=self._environment(
                {
                    "PREFECT_API_URL": self.prefect_url,
                    "PREFECT_UI_API_URL": self.prefect_url,
                    "PREFECT_UI_ENABLED": "1",
                    "PREFECT__SERVER_FINAL": "1",
                }
            ),
            healthy=lambda: answers(f"{self.prefect_url}/health"),
            log=self.home.logs / "prefect.log",
        )

    def mlflow(self) -> Service:
        """The MLflow server, with its UI, and with a login where the environment names one."""
        home, host, port = self.home, self.where.host, str(self.ports["mlflow"])
        command = [sys.executable, "-m", "mlflow", "server", "--host", host, "--port", port]
        command += ["--workers", "1", "--artifacts-destination", home.artifacts.as_uri()]
        more = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        if self.store == "home":
            command += ["--default-artifact-root", home.artifacts.as_uri()]
            more["MLFLOW_BACKEND_STORE_URI"] = home.database
        if os.environ.get("MLFLOW_TRACKING_USERNAME"):
            command += ["--app-name", "basic-auth"]
            more |= _login(home)
        return Service(
            name="mlflow",
            title="MLflow server",
            command=command,
            environment=self._environment(more),
            healthy=lambda: answers(f"{self.mlflow_url}/health"),
            log=home.logs / "mlflow.log",
        )

    def worker(self) -> Service:
        """The Prefect worker that takes the runs of deployments, each in a process of its own."""
        made, name = datetime.now(UTC), f"penstock on {platform.node()}"
        command = [sys.executable, "-m", "prefect", "--no-prompt", "worker", "start"]
        command += ["--pool", POOL, "--type", "process", "--install-policy", "never"]
        command += ["--limit", str(self.where.runs), "--name", name]
        return Service(
            name="worker",
            title="worker",
            command=command,
            environment=self._environment(
                {"PREFECT_API_URL": self.prefect_url, "PREFECT_WORKER_QUERY_SECONDS": "2"},
                gone=OF_SERVERS if self.store == "server" else OF_SERVERS[:1],
            ),
            healthy=lambda: interrupted.served(
                self.prefect_url, POOL, name, max(made, datetime.now(UTC) - SHOWN)
            ),
            log=self.home.logs / "worker.log",
        )

    def _environment(self, more: dict[str, str], gone: tuple[str, ...] = ()) -> dict[str, str]:
        """What each has: this interpreter first on the path, this home, the mark."""
        own = {
            MARK: str(self.home.root),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
            "PENSTOCK_HOME": str(self.home.root),
            "PYTHONSAFEPATH": "1",  # what lies in the working directory is not imported
            "PYTHONUNBUFFERED": "1",
        }
        gone += ("PREFECT_API_URL", "MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(gone)}
        return kept | own | more


def _login(home: Home) -> dict[str, str]:
    """What MLflow's own login needs: the first administrator, and a key for its cookies."""
    key, users = home.root / "mlflow-secret", home.root / "mlflow-auth.db"
    for path, text in ((key, secrets.token_hex(32)), (users, "")):
        if not path.exists():
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(text)
    options = home.root / "mlflow-auth.ini"
    options.write_text(
        "[mlflow]\ndefault_permission = READ\n"
        f"database_uri = sqlite:///{users}\n"
        "auth_cache_ttl_seconds = 30\n"  # checking a password takes longer than most answers
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n",
        encoding="utf-8",
    )
    return {
        "MLFLOW_AUTH_CONFIG_PATH": str(options),
        "MLFLOW_AUTH_ADMIN_USERNAME": os.environ["MLFLOW_TRACKING_USERNAME"],
        "MLFLOW_AUTH_ADMIN_PASSWORD": os.environ.get("MLFLOW_TRACKING_PASSWORD", ""),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": key.read_text(encoding="ascii"),
    }


def _ports(home: Home, where: Where) -> dict[str, int]:
    """Return the ports: as asked, else those of last time where they are free, else free ones."""
    place = home.root / "ports.json"
    last: Any = {}
    with contextlib.suppress(OSError, ValueError):
        last = read_json(place)
    asked = {"prefect": where.prefect_port, "mlflow": where.mlflow_port}
    chosen: dict[str, int] = {}
    for name, port in sorted(asked.items(), key=lambda item: item[1] is None):  # as asked, first
        known = last.get(name) if isinstance(last, dict) else None
        if port is not None:
            _bind(where.host, port, f"the {name} server")
            chosen[name] = port
        elif (
            isinstance(known, int)
            and known not in chosen.values()
            and ports.is_free(known, where.host)
        ):
            chosen[name] = known
        else:
            chosen[name] = _another(where.host, chosen)
    write_json(place, chosen)
    return chosen


def _another(host: str, taken: Mapping[str, int]) -> int:
    _bind(host, 0, "the servers")
    while (port := ports.free_port(host)) in taken.values():
        pass
    return port


def _bind(host: str, port: int, who: str) -> None:
    """Raise SettingsError where nothing can listen there."""
    try:
        ports.bind(host, port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            msg = f"port {port} of {host} must be free for {who}; it is in use"
        else:
            where = f"port {port} of {host}" if port else f"the address {host}"
            msg = f"{who} must be able to listen at {where}, but: {error.strerror or error}"
        raise SettingsError(msg) from None
