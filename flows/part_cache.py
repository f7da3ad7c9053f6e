"""Parsed parts kept in the home, so that a source that grows is parsed where it grew and no more.

- The key is the digest of the part's bytes, the settings that say how it is read, and the code that
  reads it: another content, option or version is another part.
- Pages carry checksums and are verified; a kept part that is damaged is parsed again.
- Only for sources of many parts: a single file is the stage cache's business.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING, Any

from flows.delimited import Piece
from flows.home import root_of
from flows.records import Aside
from flows.sources import SOURCES, Read, digest_of
from flows.stage import code_digest
from flows.stage import digest_of as digest_of_values

if TYPE_CHECKING:
    from pathlib import Path

    from flows.data_spec import DataSpec
    from flows.parts import Part

PARSED = ("text", "jsonl", "excel", "feed")
"""Kinds whose parsing takes longer than reading what was kept."""
OPTIONS = ("separator", "encoding", "quote", "skip_lines", "header", "names", "sheet")
FACTS = b"penstock"


class Parts:
    """Reads the parts of one source, each from what was kept where it can be."""

    def __init__(self, data: DataSpec, folder: Path, *, many: bool) -> None:
        """`folder` is that of the settings; `many` says whether the source has many parts."""
        self.data = data
        self.folder = root_of(folder) / "cache" / "parts" if many else None
        self.kept: set[str] = set()
        """Names of the parts that were not parsed again."""

    def read(self, part: Part) -> Read:
        """Return a part, parsed now or before.

        Raises:
            DataRefused: it cannot be read.

        """
        if self.folder is None or part.kind not in PARSED:
            return SOURCES[part.kind](part, self.data)
        digest = digest_of(part)
        path = self.folder / f"{self._key(part, digest)}.parquet"
        found = _stored(path, digest)
        if found is not None:
            self.kept.add(part.name)
            return found
        read = SOURCES[part.kind](part, self.data)
        if read.digest == digest:  # it did not change meanwhile
            _store(path, read)
        return read

    def _key(self, part: Part, digest: str) -> str:
        options = {name: getattr(self.data, name) for name in OPTIONS}
        code = code_digest("flows.sources")
        return digest_of_values([digest, part.kind, part.name, options, code])[:32]


def _stored(path: Path, digest: str) -> Read | None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path, page_checksum_verification=True)
        facts = json.loads((table.schema.metadata or {})[FACTS])
        os.utime(path)  # retention by last use
    except FileNotFoundError:
        return None
    except (OSError, KeyError, ValueError, pa.ArrowException):
        with contextlib.suppress(OSError):
            path.unlink()
        return None
    if facts["sha256"] != digest or facts["rows"] != table.num_rows:
        return None
    piece = Piece(
        table=table.replace_schema_metadata(None),
        renamed=facts["renamed"],
        notes=tuple(facts["notes"]),
        aside=Aside.from_json(facts["aside"]) if facts["aside"] else None,
    )
    return Read(piece=piece, digest=digest, size=facts["bytes"])


def _store(path: Path, read: Read) -> None:
    """Keep a part, whole or not at all; a home that cannot be written keeps none."""
    import pyarrow.parquet as pq

    piece = read.piece
    facts: dict[str, Any] = {
        "sha256": read.digest, "bytes": read.size, "rows": piece.table.num_rows,
        "renamed": piece.renamed, "notes": list(piece.notes),
        "aside": piece.aside.to_json() if piece.aside else None,
    }  # fmt: skip
    table = piece.table.replace_schema_metadata({FACTS: json.dumps(facts).encode()})
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, draft, compression="zstd", write_page_checksum=True)
        draft.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink()
