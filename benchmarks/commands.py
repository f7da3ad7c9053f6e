"""Commands as a user gives them, timed, and figures as a reader gets them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parent.parent
PENSTOCK = Path(sys.executable).parent / "penstock"


def timed(command: list[Any], folder: Path) -> tuple[float, str]:
    """Run a command in `folder`, with a home there; return its seconds and standard output.

    Raises:
        SystemExit: it ended with a code that is neither 0 nor 4 (done, but not promoted).

    """
    ours = ("PREFECT_API_URL", "MLFLOW_TRACKING_URI", "PENSTOCK_HOME")
    environment = {k: v for k, v in os.environ.items() if k not in ours}
    environment["PYTHONPATH"] = str(ROOT)
    started = time.perf_counter()
    done = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 4):
        raise SystemExit(f"{command[:3]} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return time.perf_counter() - started, done.stdout


def machine() -> dict[str, Any]:
    """Return what the figures of this process were taken on."""
    return {"machine": f"{os.cpu_count()} cores", "load_average": os.getloadavg()[0]}


def tell(figures: Mapping[str, Any], *, as_json: bool) -> None:
    """Print named figures: one JSON object, or a line of each."""
    if as_json:
        print(json.dumps(figures))
        return
    width = max(map(len, figures), default=0) + 2
    for name, value in figures.items():
        print(f"{name:{width}}{value}")
