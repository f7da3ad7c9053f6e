"""Sets of codes in chains: a question about a set becomes one about a place along an order.

- Sets of which each contains the one before share one order; few orders serve many sets. First
  fit, the smallest sets first, is no minimum, but near it for the sets that boosting asks about.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence


def chains(sets: Sequence[np.ndarray], codes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Put sets of codes in chains in which each contains the one before.

    Returns each set's chain and step, and `order` (codes, chains): a code's place in a chain is
    the step of the first set that holds it, so that "in the set" is "place <= step".
    """
    if not sets:
        return np.zeros(0, int), np.zeros(0, int), np.zeros((codes, 0))
    distinct, which = np.unique(np.stack(sets), axis=0, return_inverse=True)
    chain, step = np.zeros(len(distinct), int), np.zeros(len(distinct), int)
    tops = np.zeros((0, codes), dtype=bool)  # the largest set of each chain so far
    lengths: list[int] = []
    order = np.zeros((codes, 0))
    for i in np.argsort(distinct.sum(axis=1), kind="stable"):
        inside = np.flatnonzero(~(tops & ~distinct[i]).any(axis=1))
        if len(inside):
            c = int(inside[np.argmax(tops[inside].sum(axis=1))])
            tops[c] = distinct[i]
        else:
            c = len(tops)
            tops = np.concatenate([tops, distinct[i][None]])
            order = np.concatenate([order, np.zeros((codes, 1))], axis=1)
            lengths.append(0)
        chain[i], step[i] = c, lengths[c]
        lengths[c] += 1
        order[:, c] += ~distinct[i]
    return chain[which], step[which], order
