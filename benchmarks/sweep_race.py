"""Runs one side of the sweep's benchmark: processes that get ready, wait for a word, and report.

- The clock runs from the word until the last process has reported: imports, tables and databases
  are there before it on both sides.
- `others` is what else the machine was busy with meanwhile, in cores: a race is only worth
  reading where it is near 0.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    from benchmarks.sweep_cases import Case

HERE = Path(__file__).resolve().parent
PRUNERS = ("halving", "median")


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a side came to: seconds by wall and CPU, trials, best validation RMSE (standardised)."""

    name: str
    wall_s: float
    cpu_s: float
    trials: int
    pruned: int
    rmse: float
    others: float

    @property
    def rate(self) -> float:
        """Trials per minute."""
        return 60 * self.trials / self.wall_s

    def figures(self) -> dict[str, Any]:
        """Return the figures by name."""
        numbers = {
            "wall_s": self.wall_s,
            "cpu_s": self.cpu_s,
            "trials": self.trials,
            "pruned": self.pruned,
            "trials_per_minute": self.rate,
            "rmse": self.rmse,
            "others": self.others,
        }
        return {f"{self.name}_{key}": value for key, value in numbers.items()}


def ours(case: Case, folder: Path) -> Result:
    """Sweep through Penstock's stages in `folder`; leaves `rows.npz` for the peer there."""
    case.settings(folder)
    wish = {"tracking": case.tracking}
    (folder / "wish.json").write_text(json.dumps(wish), encoding="utf-8")
    return _race("penstock", "sweep_ours.py", folder, 1)


def peer(case: Case, folder: Path, rows: Path, *, processes: int, pruner: str | None) -> Result:
    """Sweep as a competent user would, over the very rows that `ours` has left."""
    folder.mkdir()
    (folder / "rows.npz").write_bytes(rows.read_bytes())
    (folder / "wish.json").write_text(case.wish(processes=processes, pruner=pruner))
    name = f"peer_{processes}_process{'es' if processes > 1 else ''}"
    return _race(f"{name}_{pruner}" if pruner else name, "sweep_peer.py", folder, processes)


def peers(case: Case, folder: Path, rows: Path, *, quick: bool) -> list[Result]:
    """Return the peer's ways to do it; `quick`: one of them, not always the same."""
    pruners = PRUNERS if case.pruned else (None,)
    alone = quick and (case.pruned or not case.tracking)
    ways = [(count, pruner) for count in (1, os.cpu_count() or 1) for pruner in pruners]
    return [
        peer(case, folder / f"{count}-{pruner}", rows, processes=count, pruner=pruner)
        for count, pruner in (ways[:1] if alone else ways[-1:] if quick else ways)
    ]


def middle(results: list[Result]) -> Result:
    """Return the one of median wall time, the slower of two."""
    return sorted(results, key=lambda result: result.wall_s)[len(results) // 2]


def _race(name: str, script: str, folder: Path, processes: int) -> Result:
    """Start, wait until all are ready, give the word, and gather."""
    runners = []
    try:
        for _ in range(processes):  # one after the other: the first makes the databases
            runners.append(_start(script, folder))
            _line(runners[-1], "ready", folder)
        busy, started = _busy(), time.perf_counter()
        for runner in runners:
            runner.stdin.write("go\n")
            runner.stdin.flush()
        told = [json.loads(_line(runner, "{", folder)) for runner in runners]
        wall = time.perf_counter() - started
        cpu = sum(one["cpu_s"] for one in told)
        others = max(0.0, (_busy() - busy - cpu) / wall)
        for runner in runners:
            runner.wait(timeout=120)
    finally:
        for runner in runners:
            runner.kill()
    last = max(told, key=lambda one: one["trials"])
    return Result(
        name=name,
        wall_s=wall,
        cpu_s=cpu,
        trials=last["trials"],
        pruned=last["pruned"],
        rmse=min(one["best"] for one in told) ** 0.5,
        others=others,
    )


def _start(script: str, folder: Path) -> Any:
    """Start one process; what it complains of goes into a file."""
    left_out = ("PREFECT_API_URL", "MLFLOW_TRACKING_URI", "PENSTOCK_HOME")
    environment = {k: v for k, v in os.environ.items() if k not in left_out}
    with (folder / "errors.txt").open("a", encoding="utf-8") as errors:
        return subprocess.Popen(
            [sys.executable, str(HERE / script), str(folder)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )


def _line(runner: Any, start: str, folder: Path) -> str:
    """Return the next line that begins with `start`."""
    for line in runner.stdout:
        if line.startswith(start):
            return line
    raise SystemExit(f"{runner.args}:\n{(folder / 'errors.txt').read_text()[-3000:]}")


def _busy() -> float:
    """Seconds that the machine's cores have been at work, for us and for others."""
    times = psutil.cpu_times()
    return times.user + times.nice + times.system + getattr(times, "steal", 0.0)
