"""How numbers are centred and scaled, by name; what is learned is learned from train cells.

| name | centre | one unit |
|---|---|---|
| `robust` | median | the middle half's width, else half the range |
| `standard` | mean | standard deviation |
| `minmax` | the range's middle | half the range |
| `quantile` | as `robust`, then by rank among train cells: evenly spread, of deviation 1 | |

A column without width says nothing: its factor is 0. What lies far out is clipped smoothly whatever
the name (`squash`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from models.bins import position

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

CLIP = 3.0
FAR = 1e6  # scaled values beyond this are held here, so that squares stay finite
RANKS = 64  # pieces of the line from values to ranks
EVEN = 12**0.5  # times a share of the way through, of deviation 1


def robust(cells: np.ndarray) -> tuple[float, float]:
    """Return median and width of finite cells (N,)."""
    low, q1, median, q3, high = np.quantile(cells, [0, 0.25, 0.5, 0.75, 1])
    return median, q3 - q1 if q3 > q1 else (high - low) / 2


def standard(cells: np.ndarray) -> tuple[float, float]:
    """Return mean and standard deviation, taken from the range's middle to lose no digits."""
    middle = cells.min() / 2 + cells.max() / 2
    apart = cells - middle
    return middle + apart.mean(), apart.std()


def minmax(cells: np.ndarray) -> tuple[float, float]:
    """Return the range's middle and half its width."""
    return cells.min() / 2 + cells.max() / 2, cells.max() / 2 - cells.min() / 2


SCALES: dict[str, Callable[[np.ndarray], tuple[float, float]]] = {
    "robust": robust,
    "standard": standard,
    "minmax": minmax,
    "quantile": robust,
}


def learn(
    numbers: np.ndarray, rows: np.ndarray | None = None, *, scale: str, clip: float
) -> dict[str, np.ndarray]:
    """Return what train rows say, arrays (n,); column by column, so that no table is copied.

    `median`, `center`, `factor` (0: nothing to say), `lacking`, and `least` and `most`, beyond which
    cells are held: the quantiles `clip` and 1 - `clip`, infinite with `clip` 0.

    Args:
        numbers: (N, n), NaN where missing.
        rows: bool (N,), the train rows; None: all.
        scale: a key of SCALES.
        clip: share of cells at either end.
    """
    n = numbers.shape[1]
    median, center, factor = np.zeros(n), np.zeros(n), np.zeros(n)
    least, most = np.full(n, -np.inf), np.full(n, np.inf)
    lacking = np.zeros(n, dtype=bool)
    for j in range(n):
        cells = numbers[:, j] if rows is None else numbers[:, j][rows]
        lacking[j] = np.isnan(cells).any()
        cells = cells[np.isfinite(cells)]
        if not len(cells):
            continue
        with np.errstate(over="ignore", invalid="ignore"):
            median[j] = np.nan_to_num(np.quantile(cells, 0.5), posinf=0.0, neginf=0.0)
        if clip:
            least[j], most[j] = np.quantile(cells, [clip, 1 - clip])
            cells = np.clip(cells, least[j], most[j])
        center[j], factor[j] = measured(cells, scale)
    return {
        "median": median, "center": center, "factor": factor, "lacking": lacking,
        "least": least, "most": most,
    }  # fmt: skip


def measured(cells: np.ndarray, scale: str) -> tuple[float, float]:
    """Return the centre of finite cells (N,) and one over their unit, 0 where they have no width."""
    with np.errstate(over="ignore", invalid="ignore"):  # cells near the largest float
        center, width = np.nan_to_num(SCALES[scale](cells), posinf=0.0, neginf=0.0)
    return center, 1 / width if width > 0 and np.isfinite(1 / width) else 0.0


def squash(moved: Tensor, factor: Tensor) -> Tensor:
    """Clip scaled numbers smoothly to within (-3, 3), as RealMLP does; 0 where the factor is 0."""
    scaled = torch.where(factor > 0, moved, torch.zeros_like(moved)).clamp(-FAR, FAR)
    return scaled / torch.sqrt(1.0 + (scaled / CLIP) ** 2)


def ranks(scaled: Tensor, low: Tensor, gain: Tensor) -> Tensor:
    """Scaled float32 (F, N, n) -> how far through the train cells it lies, around 0, in deviations.

    `low` and `gain` (F, n, B) are bins between quantiles; beyond the last one nothing grows.
    """
    pieces = (gain > 0).sum(dim=2).unsqueeze(1)
    share = position(scaled, low, gain) / pieces.clamp(min=1) - 0.5
    return EVEN * share * (pieces > 0)
