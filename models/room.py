"""Where large arrays live: in memory, or past a limit in files that the system maps into it.

- A file has no name from the start: nothing is left of it however the process ends, and its place
  on the disk is kept when it is made, so that a full disk is an error and no crash.
- Whoever uses an array sees no difference; what is computed is the same to the bit.
"""

from __future__ import annotations

import math
import os
import tempfile
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

LEAST = 1 << 20  # bytes below which an array is always in memory


class Room:
    """Hands out arrays; those beyond `limit` bytes in all are mapped files under `folder`."""

    def __init__(self, folder: Path | None = None, *, limit: int | None = None) -> None:
        """Leave either out, and all arrays are in memory."""
        self.folder, self.limit = folder, limit
        self.taken = self.mapped = 0

    def array(self, shape: tuple[int, ...], dtype: np.dtype | type) -> np.ndarray:
        """Return an array without values yet.

        Raises:
            OSError: there is no place for it on the disk.

        """
        size = math.prod(shape) * np.dtype(dtype).itemsize
        within = self.limit is None or self.taken + size <= self.limit
        if self.folder is None or within or size < LEAST:
            self.taken += size
            return np.empty(shape, dtype)
        self.mapped += size
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=self.folder) as file:
            try:
                os.posix_fallocate(file.fileno(), 0, size)
            except OSError as error:
                message = (
                    f"{self.folder} must have place for {size / 1e9:,.1f} GB of rows made ready for "
                    f"training, which do not fit in memory: {error.strerror}"
                )
                raise OSError(error.errno, message) from error
            return np.memmap(file, dtype=dtype, mode="r+", shape=shape)
