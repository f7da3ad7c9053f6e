"""A Python process of ours that works for this one: how it is started, and how it speaks.

- It runs a module of this repository, is told lines on standard input and says lines on standard
  output; it should end with its input, so that it never outlives whoever started it.
- Ctrl-C is for the run, which ends its children: they are no part of its terminal's group.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parent.parent


def start(
    module: str,
    *arguments: str,
    errors: IO[bytes] | int = subprocess.DEVNULL,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[str]:
    """Start `python -m module arguments`; `errors` takes what it writes to standard error."""
    path = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.Popen(  # noqa: S603 - our own interpreter, no shell
        [sys.executable, "-P", "-m", module, *arguments],
        env={**os.environ, **(environment or {}), "PYTHONPATH": os.pathsep.join(path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        encoding="utf-8",
        start_new_session=True,
    )


def own_voice() -> IO[str]:
    """Return standard output for ourselves: whatever a library prints goes to standard error."""
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return out
