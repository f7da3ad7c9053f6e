"""Files that appear whole or not at all: written beside their place, made durable, put there.

- A kill leaves what was there before, and a hidden draft that `doctor` finds.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from flows.stage import file_digest

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa


def place_table(table: pa.Table, place: Path) -> None:
    """Write a table as Parquet with page checksums."""
    import pyarrow.parquet as pq

    draft = _draft(place)
    try:
        pq.write_table(table, draft, compression="zstd", write_page_checksum=True)
        flush(draft)
        draft.replace(place)
    finally:
        draft.unlink(missing_ok=True)


def place_copy(source: Path, place: Path, digest: str = "") -> None:
    """Copy a file whole or not at all; not where its content is not the one of `digest`."""
    draft = _draft(place)
    try:
        shutil.copyfile(source, draft)
        if digest and file_digest(draft) != digest:
            return
        flush(draft)
        draft.replace(place)
    finally:
        draft.unlink(missing_ok=True)


def _draft(place: Path) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    return place.with_name(f".{place.name}.{os.getpid()}.part")


def flush(path: Path) -> None:
    """Make a file or a folder durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
