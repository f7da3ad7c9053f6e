"""Tables on disk: Parquet whose pages carry checksums that are verified when read.

- Without page checksums a flipped bit in a Parquet file reads back silently as another value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd


def write_parquet(frame: pd.DataFrame, path: Path) -> None:
    """Write `frame` to `path` without its index, each page with a CRC."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(frame, preserve_index=False)
    pq.write_table(table, path, compression="zstd", write_page_checksum=True)


def read_parquet(path: Path, columns: list[str] | None = None) -> pd.DataFrame:
    """Read a table that `write_parquet` wrote; a page whose CRC differs raises OSError."""
    import pyarrow.parquet as pq

    return pq.read_table(path, columns=columns, page_checksum_verification=True).to_pandas()
