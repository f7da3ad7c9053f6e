"""One version of a model behind MLflow's scoring server, on this machine, until told to stop.

- The files are verified first, and served from the copy that was verified; nothing executable is
  unpickled, no other environment is made, no shell is asked.
- The server answers everyone who reaches it: it knows no passwords. So it listens on loopback, and
  on another address only where somebody has said that this is meant.
- It ends with this process, however that ends; other processes are left alone.
"""

from __future__ import annotations

import json
import shlex
import signal
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from flows.errors import PenstockError, SettingsError
from flows.home import find_home
from flows.ports import LOOPBACK, is_loopback
from flows.registry import resolve

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from models.wire import ScoringServer


@dataclass(frozen=True, kw_only=True)
class Serving:
    """A server that is up."""

    model: str
    version: int
    url: str
    example: str
    """A command that asks it about a real row."""

    def to_json(self) -> dict[str, Any]:
        """What `--json` prints."""
        return {
            "model": self.model,
            "version": self.version,
            "url": f"{self.url}/invocations",
            "health": f"{self.url}/ping",
            "example": self.example,
        }


def serve(
    model: str,
    folder: Path,
    *,
    host: str = LOOPBACK,
    port: int = 0,
    anyone: bool = False,
    ready: Callable[[Serving], None] = lambda _: None,
) -> None:
    """Serve a registered model of the home of `folder` until SIGINT or SIGTERM.

    Args:
        model: NAME, NAME@alias or NAME/version.
        folder: where the home is looked for.
        host: address to listen on.
        port: 0 is any free one.
        anyone: whether another address than loopback is meant.
        ready: called once it answers.

    Raises:
        SettingsError: the address is not loopback, and nobody has said that this is meant.
        ArtifactRefused: the model's files are not those that were registered.
        PenstockError: no such model, the port is taken, or the server ended by itself.

    """
    _only_here(host, anyone=anyone)
    from flows.verify import fetched
    from models.wire import ScoringServer, WireError

    home = find_home(folder)
    version = resolve(home, model)
    files = fetched(home, version)
    with _Stop() as stop:
        try:
            server = ScoringServer(str(files), host=host, port=port)
        except OSError as error:
            msg = f"{host}:{port} must be free to listen on: {error.strerror or error}"
            raise PenstockError(msg) from None
        with server:
            try:
                server.wait(stop=stop.asked)
            except WireError as error:
                msg = f"the scoring server of {version.name} version {version.version} {error}"
                raise PenstockError(msg) from None
            if not stop.asked.is_set():
                number = int(version.version)
                example = example_of(server.url, files)
                ready(Serving(model=version.name, version=number, url=server.url, example=example))
                _keep(server, stop)


def _keep(server: ScoringServer, stop: _Stop) -> None:
    """Wait until somebody wants the server to stop; say so where it stopped by itself."""
    while not stop.asked.wait(0.5):
        if server.process.poll() is not None:
            msg = (
                f"the scoring server ended with code {server.process.returncode}: {server.heard()}"
            )
            raise PenstockError(msg)


def _only_here(host: str, *, anyone: bool) -> None:
    if not is_loopback(host) and not anyone:
        msg = (
            f"MLflow's scoring server knows no passwords: whoever reaches {host} could ask the "
            "model. Leave --host out to listen on this machine alone, or add --anyone if that is "
            "meant, as behind a proxy that asks for a password"
        )
        raise SettingsError(msg)


def example_of(url: str, files: Path) -> str:
    """Return a command that asks the server about the row that is kept with the model."""
    try:
        kept = json.loads((files / "input_example.json").read_text(encoding="utf-8"))
        row = dict(zip(kept["columns"], kept["data"][0], strict=True))
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        row = {}
    body = json.dumps({"dataframe_records": [row]}, ensure_ascii=False)
    header = "content-type: application/json"
    return f"curl {url}/invocations -H {shlex.quote(header)} -d {shlex.quote(body)}"


class _Stop:
    """SIGINT and SIGTERM as an event, for as long as the context lasts; in the main thread only."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, *_: object) -> None:
        self.asked.set()
