"""A model behind MLflow's scoring server: start it on this machine, ask it in JSON, end it.

- The server is a process of its own (`models/scoring.py`) on a port of ours; only it is ended.
- Standard library only: both the examination and `penstock serve` use this file.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import http.client
import json
import math
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable, Mapping, Sequence

SCRIPT = Path(__file__).with_name("scoring.py")
LOOPBACK = "127.0.0.1"
START_SECONDS = 90.0
ANSWER_SECONDS = 60.0
END_SECONDS = 8.0
FORMS = ("dataframe_split", "dataframe_records", "inputs", "instances")
"""The forms of JSON that the server takes."""


class WireError(RuntimeError):
    """The scoring server ended, did not come up in time, or answered with an error."""


class ScoringServer:
    """A scoring server; use as a context manager, or call `close`."""

    def __init__(
        self,
        model: str,
        *,
        host: str = LOOPBACK,
        port: int = 0,
        environment: Mapping[str, str] | None = None,
        log: Any = None,
    ) -> None:
        """Start the server and return at once.

        Args:
            model: URI or path of an MLflow model.
            host: address to listen on.
            port: 0 is any free one; `port` of the instance says which.
            environment: beside the caller's own.
            log: file that its words go to; None: they are kept for an error.

        Raises OSError where nobody can listen there.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.create_server((host, port), family=family) as listening:
            self.host, self.port = host, int(listening.getsockname()[1])
            self._log = log if log is not None else _nameless()
            self.process = subprocess.Popen(  # noqa: S603 - our own script, no shell
                [sys.executable, "-I", str(SCRIPT.resolve()), str(listening.fileno())],
                stdin=subprocess.PIPE,
                stdout=self._log,
                stderr=self._log,
                pass_fds=[listening.fileno()],
                start_new_session=True,  # Ctrl-C is for whoever started it
                env={**os.environ, **(environment or {}), **_named(model)},
            )

    @property
    def url(self) -> str:
        """Where it is asked."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the server."""
        self.close()

    def wait(self, seconds: float = START_SECONDS, stop: threading.Event | None = None) -> float:
        """Return when the server answers, or `stop` is set, with the seconds that it took.

        Raises WireError where it ended, or did not answer in time.
        """
        started = time.monotonic()
        while time.monotonic() - started < seconds:
            if self.process.poll() is not None:
                raise WireError(f"ended with code {self.process.returncode}: {self.heard()}")
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self._get("/ping", timeout=2.0) == 200:
                    return time.monotonic() - started
            if stop is not None and stop.is_set():
                return time.monotonic() - started
            time.sleep(0.05)
        raise WireError(f"did not answer within {seconds:.0f} s: {self.heard()}")

    def _get(self, path: str, *, timeout: float) -> int:
        asked = http.client.HTTPConnection(self._address, self.port, timeout=timeout)
        with contextlib.closing(asked):
            asked.request("GET", path)
            return asked.getresponse().status

    @property
    def _address(self) -> str:
        return {"0.0.0.0": LOOPBACK, "::": "::1"}.get(self.host, self.host)  # noqa: S104 - compared

    def connection(self) -> Connection:
        """Return a connection for many questions."""
        return Connection(self._address, self.port)

    def heard(self) -> str:
        """Return the end of what the server wrote."""
        with contextlib.suppress(OSError, ValueError):
            self._log.seek(0)
            return self._log.read()[-800:].decode("utf-8", "replace").strip() or "(silent)"
        return "(see its log)"

    def close(self) -> None:
        """End this server, and only this one: kindly at first, and in bounded time."""
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(END_SECONDS)
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()


class Connection:
    """A kept-alive connection to a scoring server; a context manager."""

    def __init__(self, host: str, port: int) -> None:
        """Connect with the first question."""
        self._wire = http.client.HTTPConnection(host, port, timeout=ANSWER_SECONDS)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self._wire.close()

    def ask(self, question: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the answers to one JSON question; WireError holds the server's refusal."""
        body = json.dumps(question, ensure_ascii=False, allow_nan=False).encode()
        self._wire.request("POST", "/invocations", body, {"content-type": "application/json"})
        answer = self._wire.getresponse()
        text = answer.read().decode("utf-8", "replace")
        if answer.status != 200:
            raise WireError(f"{answer.status}: {_told(text)}")
        return json.loads(text)["predictions"]


def question_of(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], form: str = "dataframe_split"
) -> dict[str, Any]:
    """Return rows as one of the server's forms of JSON; cells become what JSON can hold."""
    cells = [[plain(cell) for cell in row] for row in rows]
    if form == "dataframe_split":
        return {form: {"columns": list(columns), "data": cells}}
    if form == "inputs":
        return {form: {name: [row[k] for row in cells] for k, name in enumerate(columns)}}
    return {form: [dict(zip(columns, row, strict=True)) for row in cells]}


def plain(cell: Any) -> Any:
    """Return a cell as JSON has it: a date in ISO 8601, a missing one as null."""
    if hasattr(cell, "item"):  # numpy's scalars
        cell = cell.item()
    if cell is None or isinstance(cell, str | bool | int):
        return cell
    if isinstance(cell, float):
        return cell if math.isfinite(cell) else None
    if isinstance(cell, dt.date):
        text = cell.isoformat()
        return None if text == "NaT" else text
    return None if str(cell) in ("NaT", "<NA>") else str(cell)


def _told(text: str) -> str:
    """What an error of MLflow's server says: its message, and the end of its trace, if it has one."""
    with contextlib.suppress(ValueError, AttributeError):
        found = json.loads(text)
        return f"{found.get('message', text)}\n{found.get('stack_trace', '')[-1500:]}"[:3000]
    return text[:2000]


def _named(model: str) -> dict[str, str]:
    """The model, as MLflow's application looks it up; nothing executable may be unpickled."""
    return {
        "__pyfunc_model_path__": model,
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "PYTHONUTF8": "1",
    }


def _nameless() -> Any:
    import tempfile

    return tempfile.TemporaryFile()
