"""How much memory a table will take, told before it is read, and whether there is so much.

- The head of every part is decoded: what a row takes there, times the rows of the part (Parquet
  says how many; text, by its bytes). `data.only` and `data.sample` count.
- The stages before training read and write by blocks of rows or a few columns at a time: what they
  need grows with the rows (sides, identities) and with the widest columns, hardly with the table.
- What is free: of the machine, of the process's control groups, and of its own limits, the least.
- A part whose rows nobody can know beforehand (a function, a database) counts for nothing.
"""

from __future__ import annotations

import math
import resource
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.part_size import Size, size_of
from flows.parts import refuse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flows.data_spec import DataSpec
    from flows.parts import Part

BLOCKS = 750_000_000
"""Bytes of the rows and columns of a large table that are in memory at once."""
LEAST_SAMPLE = 100  # rows
COPIES = 4.0
"""Of a table that is no larger than a block."""
PER_ROW = 450
"""Bytes of each row for its identity, side, label and what is kept beside."""
PER_CELL = 0.25
"""Bytes of each cell, for what is gathered of all columns."""
LIMITS = ((resource.RLIMIT_AS, "vms"), (resource.RLIMIT_DATA, "data"))
GROUPS = Path("/sys/fs/cgroup")


def refuse_too_large(parts: Sequence[Part], data: DataSpec, *, there: int | None = None) -> None:
    """Refuse a source whose table would not fit in `there` bytes; left out: what memory is free.

    Raises:
        DataRefused: it would not, with the estimate and what would fit.

    """
    size = sum((size_of(part, data) for part in parts), Size())
    there = free() if there is None else there
    needed = needed_for(size, data)
    if not size.rows or needed <= there:
        return
    message = (
        f"{parts[0].key} must fit in memory: about {size.rows:,} rows x {size.columns:,} columns, of "
        f"which the stages before training take about {_up(needed / 1e9, 2)} GB; "
        f"{_down(there / 1e9, 2)} GB are free"
    )
    raise refuse("source.memory", message, _advice(size, data, needed, there))


def needed_for(size: Size, data: DataSpec) -> int:
    """Return the bytes that the stages before training take at most."""
    if not size.rows:
        return 0
    rows = min(size.rows, data.sample or size.rows)
    growing = rows * (PER_ROW + PER_CELL * size.columns)
    return int(_fixed(size) + growing + 3 * size.widest * rows / size.rows)


def _fixed(size: Size) -> int:
    """Return what does not grow with the rows that are used."""
    return int(min(BLOCKS, COPIES * size.bytes) + size.whole)


def _advice(size: Size, data: DataSpec, needed: int, there: int) -> str:
    """Say what would fit, by which setting."""
    advice = [f"give it {_times(needed / max(there, 1))} the memory"]
    used = min(size.rows, data.sample or size.rows)
    room = there - _fixed(size)
    rows = int(used * room / max(needed - _fixed(size), 1))
    if rows >= LEAST_SAMPLE:
        unit = 10 ** (len(str(rows)) - 2)
        advice.append(f"or use a sample of the rows: data.sample = {rows // unit * unit}")
    columns = int((room / used - PER_ROW) / PER_CELL)
    if 1 < columns < size.columns:
        advice.append(f"or name the columns to be read in data.only, at most about {columns:,}")
    if size.whole > there / 2:
        advice.append("or write it as Parquet, CSV or JSON lines, which are read in pieces")
    return "; ".join(advice)


def free() -> int:
    """Return the bytes that this process may still take."""
    import psutil

    found = [int(psutil.virtual_memory().available)]
    found += [most - used for most, used in _groups()]
    process = psutil.Process().memory_info()
    for limit, used in LIMITS:
        most, _ = resource.getrlimit(limit)
        if most != resource.RLIM_INFINITY:
            found.append(most - int(getattr(process, used)))
    return max(min(found), 0)


def allowed() -> int:
    """Return the bytes that this process may have in all, whatever is taken at the moment."""
    import psutil

    found = [int(psutil.virtual_memory().total), *(most for most, _ in _groups())]
    limits = [resource.getrlimit(limit)[0] for limit, _ in LIMITS]
    return min([*found, *(most for most in limits if most != resource.RLIM_INFINITY)])


def _groups() -> Iterator[tuple[int, int]]:
    """Yield limit and use of the process's control groups, without pages of files."""
    for folder, names in _places():
        most, used = (_number(folder / name) for name in names)
        if most is not None:
            yield most, max((used or 0) - _pages(folder / "memory.stat"), 0)


def _places() -> Iterator[tuple[Path, tuple[str, str]]]:
    """Yield the folders of the process's groups, inner and outer, of both kinds of hierarchy."""
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            root, names = GROUPS, ("memory.max", "memory.current")
        elif "memory" in controllers.split(","):
            root, names = GROUPS / "memory", ("memory.limit_in_bytes", "memory.usage_in_bytes")
        else:
            continue
        inner = root / path.strip("/")
        yield from ((f, names) for f in (inner, *inner.parents) if f.is_relative_to(root))


def _number(path: Path) -> int | None:
    """Return a number of a control group; None where there is none, or no limit."""
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _pages(path: Path) -> int:
    """Return the bytes of files that a control group has in memory and can let go."""
    try:
        lines: Any = (line.split() for line in path.read_text(encoding="ascii").splitlines())
    except OSError:
        return 0
    return sum(int(v) for name, v in lines if name in ("active_file", "inactive_file"))


def _times(factor: float) -> str:
    return f"{_up(factor, 1 if factor < 10 else 0)} times"


def _up(number: float, digits: int) -> str:
    """Write a number rounded up: what is short of memory by little is told as short of it."""
    return f"{math.ceil(number * 10**digits) / 10**digits:,.{digits}f}"


def _down(number: float, digits: int) -> str:
    return f"{math.floor(number * 10**digits) / 10**digits:,.{digits}f}"
