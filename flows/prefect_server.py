"""A Prefect server of our own for the length of a run, where the environment names none.

- Prefect would start one too, but only inside the first flow call; started first thing, it comes
  up beside the imports and costs a run far less of its time.
- It ends with the process that started it, also where that one is killed and can end nothing.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
import urllib.request
from http.client import HTTPException
from typing import TYPE_CHECKING, Self

from flows.errors import PenstockError
from flows.home import OWN_PREFECT
from flows.ports import LOOPBACK, free_port

if TYPE_CHECKING:
    from flows.home import Home

START_SECONDS = 120.0
TIED = """
import os, runpy, sys, threading, time
parent = int(sys.argv.pop(1))
def watch():
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(0)
threading.Thread(target=watch, daemon=True).start()
runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
"""
"""A module's program that ends when its parent does; Prefect's own server would stay for ever."""


def server_command(host: str, port: int) -> list[str]:
    """Return the command of a Prefect server; what it serves comes from its environment."""
    command = [sys.executable, "-m", "uvicorn", "--factory", "--host", host, "--port", str(port)]
    command += ["--log-level", "error", "--timeout-graceful-shutdown", "2"]
    return [*command, "prefect.server.api.server:create_app"]


def tied(command: list[str]) -> list[str]:
    """Return `python -m module ...` as a command that ends with this process."""
    python, _, *rest = command
    return [python, "-c", TIED, str(os.getpid()), *rest]


def answers(address: str) -> bool:
    """Whether the page at `address` is there and well."""
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:  # noqa: S310 - our own servers
            return answer.status == 200
    except (HTTPException, OSError):  # nobody, an error, or somebody who speaks no HTTP
        return False


class PrefectServer:
    """A server on a free loopback port; a context manager that ends it."""

    def __init__(self, home: Home) -> None:
        """Start nothing yet."""
        self.home = home
        self.process: subprocess.Popen[bytes] | None = None
        self.url = home.prefect_url or ""

    def __enter__(self) -> Self:
        """Start the server without waiting for it."""
        if self.home.prefect_url:
            return self
        port = free_port()
        self.url = f"http://{LOOPBACK}:{port}/api"
        log = (self.home.root / "prefect-server.log").open("wb")
        ours = {
            "PREFECT_UI_ENABLED": "0",
            "PREFECT__SERVER_EPHEMERAL": "1",
            "PREFECT__SERVER_FINAL": "1",
        }
        self.process = subprocess.Popen(  # noqa: S603 - our own interpreter, no shell
            tied(server_command(LOOPBACK, port)),
            env={**os.environ, **ours},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        return self

    def wait(self) -> None:
        """Return when the server answers, and make it the process's Prefect API.

        Raises:
            PenstockError: it ended, or did not answer in time.

        """
        deadline = time.monotonic() + START_SECONDS
        while not answers(f"{self.url}/health"):
            if self.process and self.process.poll() is not None:
                msg = f"the Prefect server ended with code {self.process.returncode}; see "
                raise PenstockError(msg + str(self.home.root / "prefect-server.log"))
            if time.monotonic() > deadline:
                msg = (
                    f"the Prefect server at {self.url} did not answer within {START_SECONDS:.0f} s"
                )
                raise PenstockError(msg)
            time.sleep(0.05)
        os.environ["PREFECT_API_URL"] = self.url
        if self.process is not None:
            os.environ[OWN_PREFECT] = self.url

    def __exit__(self, *_: object) -> None:
        """End the server that we started, and no other."""
        if self.process is None:
            return
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=5)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.environ.pop("PREFECT_API_URL", None)
        os.environ.pop(OWN_PREFECT, None)
