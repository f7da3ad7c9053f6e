"""How numbers are centred and scaled, by name; what is learned is learned from train cells.

| name | centre | one unit |
|---|---|---|
| `robust` | median | the middle half's width, else half the range |
| `standard` | mean | standard deviation |
| `minmax` | the range's middle | half the range |
| `quantile` | as `robust`, then by rank among train cells: evenly spread, of deviation 1 | |

A column without width says nothing: its factor is 0. The encoder clips smoothly whatever the name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from models.bins import position

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

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


def learn(numbers: np.ndarray, *, scale: str, clip: float) -> dict[str, np.ndarray]:
    """Return what train rows (N, n) say, arrays (n,).

    `median`, `center`, `factor` (0: nothing to say), `lacking`, and `least` and `most`, beyond which
    cells are held: the quantiles `clip` and 1 - `clip`, infinite with `clip` 0.
    """
    n = numbers.shape[1]
    median, center, factor = np.zeros(n), np.zeros(n), np.zeros(n)
    least, most = np.full(n, -np.inf), np.full(n, np.inf)
    for j in range(n):
        cells = numbers[:, j]
        cells = cells[np.isfinite(cells)]
        if not len(cells):
            continue
        with np.errstate(over="ignore", invalid="ignore"):
            median[j] = np.nan_to_num(np.quantile(cells, 0.5), posinf=0.0, neginf=0.0)
        if clip:
            least[j], most[j] = np.quantile(cells, [clip, 1 - clip])
            cells = np.clip(cells, least[j], most[j])
        with np.errstate(over="ignore", invalid="ignore"):  # cells near the largest float
            center[j], width = np.nan_to_num(SCALES[scale](cells), posinf=0.0, neginf=0.0)
        factor[j] = 1 / width if width > 0 and np.isfinite(1 / width) else 0.0
    lacking = np.asarray(np.isnan(numbers).any(axis=0))
    return {
        "median": median, "center": center, "factor": factor, "lacking": lacking,
        "least": least, "most": most,
    }  # fmt: skip


def ranks(scaled: Tensor, low: Tensor, gain: Tensor) -> Tensor:
    """Scaled float32 (F, N, n) -> how far through the train cells it lies, around 0, in deviations.

    `low` and `gain` (F, n, B) are bins between quantiles; beyond the last one nothing grows.
    """
    pieces = (gain > 0).sum(dim=2).unsqueeze(1)
    share = position(scaled, low, gain) / pieces.clamp(min=1) - 0.5
    return EVEN * share * (pieces > 0)
