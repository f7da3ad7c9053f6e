"""What repeated looks at the same rows cost: the k-th comparison gets its share of one alpha.

- The shares 6 / (pi^2 k^2) add up to one over all looks, so that the chance of ever promoting an
  equal model on these rows stays below alpha, however many nights follow.
- Only looks at overlapping rows count together; what overlaps is told by who keeps the rows.
"""

from __future__ import annotations

import math

FIRST = 6 / math.pi**2
"""What the first look gets of alpha; the k-th gets this over k squared."""


def tail_at(look: int, alpha: float) -> float:
    """The chance of error, on one side, that look number `look` (from 1) may take.

    Raises:
        ValueError: `look` is below 1, or `alpha` lies outside 0..0.5.

    """
    if look < 1:
        raise ValueError(f"a look is counted from 1, however: {look}")
    if not 0 < alpha <= 0.5:
        raise ValueError(f"alpha must lie above 0 and be at most 0.5, however: {alpha:g}")
    return FIRST * alpha / look**2


def spent(looks: int, alpha: float) -> float:
    """How much of alpha `looks` comparisons have taken together."""
    return sum(tail_at(look, alpha) for look in range(1, looks + 1))
