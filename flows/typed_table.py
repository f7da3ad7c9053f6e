"""A table on disk of which a column is read when it is asked for: what judging needs of a frame.

- Nothing is kept: whoever needs a column twice holds on to it, or pays for it twice.
- Pages carry checksums, which are verified whenever they are read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd


class TypedTable:
    """Columns of a Parquet file by name, as pandas has them; rows count from 0."""

    def __init__(self, path: Path) -> None:
        """Read the footer, and keep the file open."""
        import pyarrow.parquet as pq

        options: Any = {"page_checksum_verification": True, "pre_buffer": False}
        self._file = pq.ParquetFile(path, **options)
        self.columns: list[str] = self._file.schema_arrow.names

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._file.metadata.num_rows

    def __contains__(self, name: object) -> bool:
        """Whether there is a column of that name."""
        return name in self.columns

    @overload
    def __getitem__(self, name: str) -> pd.Series: ...
    @overload
    def __getitem__(self, name: list[str]) -> pd.DataFrame: ...
    def __getitem__(self, name: str | list[str]) -> pd.Series | pd.DataFrame:
        """Read one column, or several as a frame; a damaged page raises OSError."""
        import pandas as pd

        from flows.tables import frame_of

        names = [name] if isinstance(name, str) else list(dict.fromkeys(name))
        if not names:
            return pd.DataFrame(index=pd.RangeIndex(len(self)))
        table = self._file.read(columns=names)  # which takes a dot in a name for nesting
        frame = frame_of(table.select(names).replace_schema_metadata(None))
        return frame[name]
