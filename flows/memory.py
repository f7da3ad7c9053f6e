"""How much memory a table will take, told before it is read, and whether there is so much.

- The head of every part is decoded: what a row takes there, times the rows of the part (Parquet
  says how many; text, by its bytes), times the copies that the stages before training make.
- What is free: of the machine, of the process's control group, and of its own limit, the least.
- A part whose rows nobody can know beforehand (a function, a database) counts for nothing.
"""

from __future__ import annotations

import resource
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows import text_blocks
from flows.parts import refuse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flows.data_spec import DataSpec
    from flows.parts import Part

HEAD_ROWS = 2_000
COPIES = 4.0
"""Of a table's cells at the peak of the stages before training, measured by benchmarks/scale.py."""
OFFSET = 8  # bytes that a text cell takes beside its text
PACKED = 6  # times that gzip's text unpacks to, where nobody has unpacked it yet
GROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
USED = ("/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory/memory.usage_in_bytes")


@dataclass(frozen=True, kw_only=True)
class Size:
    """What a part, or a whole source, will hold."""

    rows: int = 0
    columns: int = 0
    bytes: int = 0
    """Of its cells in memory."""

    def __add__(self, other: Size) -> Size:
        """Return both, one below the other."""
        columns = max(self.columns, other.columns)
        return Size(rows=self.rows + other.rows, columns=columns, bytes=self.bytes + other.bytes)


def refuse_too_large(parts: Sequence[Part], data: DataSpec, *, there: int | None = None) -> None:
    """Refuse a source whose table would not fit in `there` bytes; left out: what memory is free.

    Raises:
        DataRefused: it would not, with the estimate and what would fit.

    """
    size = sum((size_of(part, data) for part in parts), Size())
    needed, there = size.bytes * COPIES, free() if there is None else there
    if needed <= there:
        return
    share = there / needed
    message = (
        f"{parts[0].key} must fit in memory: about {size.rows:,} rows x {size.columns:,} columns, of "
        f"which the stages before training take about {needed / 1e9:,.1f} GB; {there / 1e9:,.1f} GB "
        "are free"
    )
    advice = (
        f"give it {_times(1 / share)} the memory; or write a source of fewer columns (at most about "
        f"{max(int(size.columns * share), 1):,}) or of a sample of the rows (at most about "
        f"{share:.0%}); float32 instead of float64 numbers in Parquet take half"
    )
    raise refuse("source.memory", message, advice)


def size_of(part: Part, data: DataSpec) -> Size:
    """Estimate what a part will hold; nothing where nobody can know."""
    if part.path is None or part.kind not in MEASURES:
        return Size()
    return MEASURES[part.kind](part, data)


def free() -> int:
    """Return the bytes that this process may still take."""
    import psutil

    found = [int(psutil.virtual_memory().available)]
    for limit, used in zip(GROUPS, USED, strict=True):
        if (most := _number(limit)) is not None:
            found.append(most - (_number(used) or 0))
    own, _ = resource.getrlimit(resource.RLIMIT_AS)
    if own != resource.RLIM_INFINITY:
        found.append(own - int(psutil.Process().memory_info().vms))
    return max(min(found), 0)


def _number(path: str) -> int | None:
    """Return a number of the control group; None where there is none, or no limit."""
    try:
        return int(Path(path).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _parquet(part: Part, data: DataSpec) -> Size:
    """The rows are in the footer, what one takes is seen in the first ones."""
    del data
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(_path(part)) as file:
            rows, columns = file.metadata.num_rows, len(file.schema_arrow)
            head = next(file.iter_batches(batch_size=HEAD_ROWS), None)
    except (pa.ArrowException, OSError):
        return Size()  # whoever reads it says what is wrong
    if head is None or not head.num_rows:
        return Size(rows=rows, columns=columns)
    per_row = sum(_cells(column) for column in head.columns) / head.num_rows
    return Size(rows=rows, columns=columns, bytes=int(per_row * rows))


def _cells(column: Any) -> int:
    """Return the bytes of a column's cells as plain values."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
    text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    return column.nbytes + (OFFSET * len(column) if text else 0)


def _text(part: Part, data: DataSpec) -> Size:
    """By the first block: bytes and cells of a record, and the records that so many bytes hold."""
    blocks = text_blocks.Blocks(_path(part), data)
    try:
        head = next(iter(blocks), b"")
    except text_blocks.Doubtful:
        return Size()
    records = max(head.count(b"\n"), 1)
    first = head.partition(b"\n")[0]
    columns = first.count(data.separator.encode(data.encoding, "ignore") or b",") + 1
    whole = blocks.size * (PACKED if part.gzipped and blocks.bytes_read < blocks.size else 1)
    whole = len(head) if blocks.bytes_read >= blocks.size else whole
    rows = round(whole / len(head) * records) if head else 0
    return Size(rows=rows, columns=columns, bytes=whole + rows * columns * OFFSET)


def _path(part: Part) -> Path:
    if part.path is None:
        raise ValueError(f"{part.name} is no file")
    return part.path


def _times(factor: float) -> str:
    return f"{factor:,.1f} times" if factor < 10 else f"{factor:,.0f} times"


MEASURES = {"parquet": _parquet, "text": _text}
"""How the size of each kind of part is estimated."""
