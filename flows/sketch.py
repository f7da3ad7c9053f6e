"""A small sketch of a set of units, from which its overlap with another set can be told.

- Kept are the size of the set and its smallest salted hashes, at most 256 ("bottom k": Cohen and
  Kaplan, PODC 2007): a sample of the units that every set draws by the same rule, so what two sets
  share is in both samples.
- The other set is known in full, so one of two estimates is taken by the sizes: which part of the
  sketch lies in it, or which part of it, up to the sketch's largest hash, lies in the sketch. Sets
  of up to 256 units are compared exactly.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from flows.identity import mix

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

KEPT = 256
SALT = np.uint64(0x70656E6C6F6F6B73)


@dataclass(frozen=True, kw_only=True)
class Sketch:
    """The size of a set of units and its smallest hashes, ascending."""

    size: int
    hashes: NDArray[np.uint64]

    @classmethod
    def of(cls, units: NDArray[np.uint64]) -> Sketch:
        """Sketch the distinct ones among `units` (64-bit identities or groups)."""
        scattered = _scattered(units)
        return cls(size=len(scattered), hashes=scattered[:KEPT])

    def overlap(self, units: NDArray[np.uint64]) -> float:
        """Estimate which share of the distinct `units` is in the sketched set.

        1.0 where that cannot be told because the sketched set is too much larger.
        """
        others = _scattered(units)
        if not len(others) or not self.size:
            return 0.0
        if self.size <= len(others):
            common = np.isin(self.hashes, others).mean() * self.size / len(others)
            return float(min(common, 1.0))
        told = others if self.size <= KEPT else others[others <= self.hashes[-1]]
        return float(np.isin(told, self.hashes).mean()) if len(told) else 1.0

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values: 2.7 kB at most, for a tag."""
        packed = self.hashes.astype("<u8").tobytes()
        return {"size": self.size, "hashes": base64.b64encode(packed).decode("ascii")}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Sketch:
        """Read what `to_json` wrote; ValueError or KeyError where it is something else."""
        packed = base64.b64decode(values["hashes"], validate=True)
        hashes = np.frombuffer(packed, dtype="<u8").astype(np.uint64)
        size = int(values["size"])
        if len(hashes) != min(size, KEPT):
            raise ValueError(f"{size} units need {min(size, KEPT)} hashes, found {len(hashes)}")
        return cls(size=size, hashes=hashes)


def _scattered(units: NDArray[np.uint64]) -> NDArray[np.uint64]:
    return np.unique(mix(units ^ SALT))
