"""The near end of an examination: start a fresh process, ask it about a model, end it.

- The process is `python -I models/questions.py`; it can be started early, and gets ready while the
  model is being made.
- This file imports the standard library only.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

SCRIPT = Path(__file__).with_name("questions.py")


class ExamineError(RuntimeError):
    """The examining process ended, or did not answer in time."""


class Examiner:
    """A fresh process that questions models; use as a context manager, or call `close`."""

    def __init__(
        self, *, python: str | None = None, environment: dict[str, str] | None = None
    ) -> None:
        """Start the process and return at once; it gets ready while the caller goes on."""
        self._folder = tempfile.TemporaryDirectory(prefix="penstock-examine-")
        self._errors = Path(self._folder.name, "errors.txt").open("w+b")  # noqa: SIM115 - closed by close()
        self._child = subprocess.Popen(  # noqa: S603 - our own script, no shell
            [python or sys.executable, "-I", str(SCRIPT.resolve())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            cwd=self._folder.name,
            env={**os.environ, **_quiet_environment(), **(environment or {})},
        )
        self._rest = b""
        self._ready = False

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process."""
        self.close()

    def ask(self, command: Mapping[str, Any], *, timeout: float = 180.0) -> dict[str, Any]:
        """Send one command (see `questions.examine`) and return the answer.

        Raises ExamineError with the end of what the process wrote where there is no answer.
        """
        until = time.monotonic() + timeout
        if not self._ready:
            self._answer(until)
            self._ready = True
        if self._child.stdin is None:
            raise self._broken("has no input")
        try:
            self._child.stdin.write(json.dumps(dict(command)).encode() + b"\n")
            self._child.stdin.flush()
        except OSError as error:
            raise self._broken("ended before it was asked") from error
        return self._answer(until)

    @property
    def alive(self) -> bool:
        """Whether the process is there to be asked."""
        return self._child.poll() is None

    def close(self) -> None:
        """End this process, and only this one."""
        if self._child.poll() is None:
            self._child.kill()
        self._child.wait()
        for stream in (self._child.stdin, self._child.stdout, self._errors):
            with contextlib.suppress(OSError):
                if stream is not None:
                    stream.close()
        self._folder.cleanup()

    def _answer(self, until: float) -> dict[str, Any]:
        stream = self._child.stdout
        if stream is None:
            raise self._broken("has no output")
        while b"\n" not in self._rest:
            left = until - time.monotonic()
            if left <= 0 or not select.select([stream], [], [], left)[0]:
                raise self._broken("did not answer in time")
            piece = os.read(stream.fileno(), 1 << 16)
            if not piece:
                raise self._broken("ended without an answer")
            self._rest += piece
        line, _, self._rest = self._rest.partition(b"\n")
        return json.loads(line)

    def _broken(self, what: str) -> ExamineError:
        self._errors.flush()
        said = Path(self._folder.name, "errors.txt").read_bytes()[-2000:].decode("utf-8", "replace")
        return ExamineError(
            f"the process that examines the model {what}: {said.strip() or '(silent)'}"
        )


def _quiet_environment() -> dict[str, str]:
    """What the process is told beside the caller's environment."""
    return {
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "PYTHONIOENCODING": "utf-8",
        "PYTHONUTF8": "1",
    }
