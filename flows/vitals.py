"""What a run costs its machine, as MLflow's system metrics: processor, memory, disk, network, GPU.

- MLflow's own monitors measure, under MLflow's own names; the thread is ours, because theirs asks
  the server after every sample and keeps the end of a run waiting for a server that is away.
- A point a second in the first minute, then rarer, so that a run of a day stays readable.
- Never fails a run: what cannot be measured or written is left out.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    Point = tuple[str, float, int, int]

SHORTEST, LONGEST = 1.0, 30.0  # seconds between samples
EVENLY = 60.0
"""Samples, about, before the time between two of them begins to grow."""
WRITTEN_EVERY = 10.0
"""Seconds, after a few earlier ones: the last point of a killed run says when it lived."""
PATIENCE = 0.3  # seconds that the end of a run may wait for a measurement under way


def wanted() -> bool:
    """Whether the environment leaves system metrics on; MLflow's own variable turns them off."""
    return os.environ.get("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "").lower() not in ("false", "0")


class Vitals:
    """Samples this machine in a thread of its own until it is stopped."""

    def __init__(self, write: Callable[[list[Point]], None]) -> None:
        """Keep `write`, which takes points (name, value, milliseconds, step) and returns at once."""
        self.write = write
        self.points: list[Point] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="vitals", daemon=True)

    def start(self) -> None:
        """Begin to sample."""
        self._thread.start()

    def stop(self) -> None:
        """End sampling and hand over what is left; may be called again."""
        if self._over.is_set():
            return
        self._over.set()
        self._thread.join(PATIENCE)
        self._hand_over()

    def _watch(self) -> None:
        with contextlib.suppress(Exception):  # a machine that cannot be measured is no reason
            monitors = _monitors()
            began = written = time.monotonic()
            step = 0
            self._over.wait(SHORTEST / 2)  # how busy a processor is takes a moment to measure
            while True:
                self._sample(monitors, step)
                if self._over.is_set():
                    return
                step += 1
                now = time.monotonic()
                if now - written >= min(written - began, WRITTEN_EVERY):
                    written = now
                    self._hand_over()
                self._over.wait(min(max(SHORTEST, (now - began) / EVENLY), LONGEST))

    def _sample(self, monitors: list[Any], step: int) -> None:
        now = int(time.time() * 1000)
        for monitor in monitors:
            monitor.collect_metrics()
            found = monitor.aggregate_metrics()
            monitor.clear_metrics()
            self.points += [(f"system/{name}", float(v), now, step) for name, v in found.items()]

    def _hand_over(self) -> None:
        points, self.points = self.points, []
        if points:
            self.write(points)


def _monitors() -> list[Any]:
    """MLflow's monitors, and the memory of this process; those that this machine cannot have not."""
    from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
    from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
    from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
    from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor

    logging.getLogger("mlflow.system_metrics").setLevel(logging.CRITICAL)
    found: list[Any] = [_OwnMemory()]
    for kind in (CPUMonitor, DiskMonitor, NetworkMonitor, GPUMonitor):
        with contextlib.suppress(Exception):
            monitor = kind()
            monitor.collect_metrics()
            monitor.clear_metrics()
            found.append(monitor)
    return found


class _OwnMemory:
    """What this process holds, which is what a limit on it is compared with."""

    def __init__(self) -> None:
        import psutil

        self.process = psutil.Process()

    def collect_metrics(self) -> None:
        """Measure when asked for the value."""

    def aggregate_metrics(self) -> dict[str, float]:
        """Return resident memory in millions of bytes, as MLflow counts them."""
        return {"process_memory_megabytes": round(self.process.memory_info().rss / 1e6, 1)}

    def clear_metrics(self) -> None:
        """Keep nothing between samples."""
