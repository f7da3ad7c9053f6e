"""What answers cost: milliseconds of one row, seconds of many, memory; and whether that is allowed.

- Memory is that of the libraries alone, measured before anything was loaded, and of what loading
  and answering added: what the same process was asked before does not count.
- `ru_maxrss` is of no use: a child inherits its parent's peak; Linux has VmHWM, which can be reset.
- Part of the fresh process (`models/questions.py`): nothing of this repository is needed.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ONE_ROW_TIMES = 100
GIGABYTE = 1e9
STATUS = Path("/proc/self/status")
WORDS = {
    "one_row_ms": ("one_row_ms", 1.0, "one row takes {found:.2f} ms (median of 100)"),
    "one_row_p95_ms": ("one_row_p95_ms", 1.0, "one row in twenty takes {found:.2f} ms or more"),
    "memory_gb": ("peak_memory_bytes", GIGABYTE, "the serving process takes {found:.3f} GB"),
}
"""For each budget: the figure that it bounds, its unit, and how it is said."""
ADVICE = "allow more, or lower train.members or train.inference_seconds"


class Memory:
    """The memory of this process from now on."""

    def __init__(self) -> None:
        """Give back what earlier questions left, and forget the peak so far."""
        gc.collect()
        with contextlib.suppress(OSError, AttributeError):  # another C library than glibc
            ctypes.CDLL(None).malloc_trim(0)
        if STATUS.exists():
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        self.before = resident()

    def added(self) -> int:
        """Return by how many bytes the peak since then is above what was there."""
        return max(peak() - self.before, 0)


def resident(status: Path = STATUS) -> int:
    """Return the bytes of memory that a process holds now."""
    return _status("VmRSS", status) or _largest()


def peak(status: Path = STATUS) -> int:
    """Return the most bytes of memory that a process has held."""
    return _status("VmHWM", status) or _largest()


def _status(name: str, status: Path) -> int:
    if not status.exists():
        return 0
    lines = status.read_text(encoding="utf-8", errors="replace").splitlines()
    found = next((line for line in lines if line.startswith(f"{name}:")), f"{name}: 0")
    return int(found.split()[1]) * 1024


def _largest() -> int:
    import resource

    found = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return found if sys.platform == "darwin" else found * 1024  # macOS counts bytes


def one_row(ask: Callable[[], Any], times: int = ONE_ROW_TIMES) -> dict[str, float]:
    """Return the median and the 95th of 100 of what one row takes, in milliseconds."""
    spent = []
    for _ in range(times):
        started = time.perf_counter()
        ask()
        spent.append((time.perf_counter() - started) * 1e3)
    spent.sort()
    return {
        "one_row_ms": spent[times // 2],
        "one_row_p95_ms": spent[min(times - 1, times * 95 // 100)],
    }


def kept_to(
    budgets: Mapping[str, float | None], figures: Mapping[str, float]
) -> list[dict[str, Any]]:
    """Return a check for each budget that is set; a missed one says figure, budget and setting."""
    checks = []
    for name, most in budgets.items():
        if most is None:
            continue
        figure, unit, words = WORDS[name]
        found = figures[figure] / unit
        held = f"{words.format(found=found)}; gate.{name} = {most:g} allows {'it' if found <= most else 'less'}"
        detail = held if found <= most else f"{held}: {ADVICE}"
        checks.append({"name": f"gate.{name}", "ok": found <= most, "detail": detail})
    return checks
