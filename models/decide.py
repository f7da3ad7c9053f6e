"""From probabilities to one label, by what mistakes cost.

- The decision is a (K, K) matrix: label = argmin(p @ matrix), rows are the truth, columns the
  answer. Without costs the matrix is 1 - I, that is the most likely class.
- With costs the matrix is the costs themselves (the Bayes decision). For two classes a threshold
  found on validation rows replaces the Bayes threshold only where it saves, cross-fitted, more
  than one standard error (Elkan, IJCAI 2001, on why the two are the same thing).
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from models.ensemble import paired, parts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FEWEST = 50  # rows below which no threshold is looked for


@dataclass(frozen=True, kw_only=True)
class Decision:
    """label = argmin(p @ matrix).

    `threshold` (two classes) is the least probability of the second class that answers it.
    `gain` is what the empirical threshold saved per row over the Bayes threshold, cross-fitted,
    in units of cost, `standard_error` belongs to it; both 0 where none was looked for.
    """

    kind: Literal["likeliest", "bayes", "threshold"]
    matrix: np.ndarray
    threshold: float | None = None
    gain: float = 0.0
    standard_error: float = 0.0

    def labels(self, probabilities: np.ndarray) -> np.ndarray:
        """Return the class codes (N,) that (N, K) probabilities lead to."""
        return np.argmin(probabilities @ self.matrix, axis=1)

    def facts(self) -> dict[str, Any]:
        """Return the decision as plain JSON."""
        return {
            "kind": self.kind,
            "matrix": self.matrix.tolist(),
            "threshold": self.threshold,
            "gain": self.gain,
            "standard_error": self.standard_error,
        }


def cost_matrix(costs: Mapping[str, Mapping[str, float]], classes: Sequence[str]) -> np.ndarray:
    """Turn {true label: {predicted label: cost}} into (K, K); the diagonal may be left out.

    Raises ValueError naming every unknown label (with the nearest known one), every missing pair
    and every cost that is negative or not finite.
    """
    names = [str(name) for name in classes]
    wrong = [_unknown(name, names) for name in costs if name not in names]
    matrix = np.zeros((len(names), len(names)))
    for i, truth in enumerate(names):
        row = costs.get(truth, {})
        wrong += [f"costs.{truth}: {_unknown(name, names)}" for name in row if name not in names]
        for j, answer in enumerate(names):
            if i != j and answer not in row:
                wrong.append(f"the cost of answering {answer!r} where {truth!r} is true is missing")
            value = float(row.get(answer, 0.0))
            if not np.isfinite(value) or value < 0:
                wrong.append(f"costs.{truth}.{answer} must be a number of 0 or more, found {value}")
            matrix[i, j] = value
    if not wrong and not np.any(matrix > np.diag(matrix)[:, None]):
        wrong.append("at least one mistake must cost more than the right answer")
    if wrong:
        rest = f" (and {len(wrong) - 10} more)" if len(wrong) > 10 else ""
        message = "decision.costs: " + "; ".join(wrong[:10]) + rest
        raise ValueError(message)
    return matrix


def decision(
    costs: np.ndarray | None,
    probabilities: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray,
    *,
    part: np.ndarray | None = None,
) -> Decision:
    """Choose the decision on cross-fitted validation probabilities (N, K); see the module.

    `costs` is a (K, K) matrix of `cost_matrix`, or None for the most likely class.
    """
    classes = probabilities.shape[1]
    if costs is None:
        threshold = 0.5 if classes == 2 else None
        return Decision(kind="likeliest", matrix=1.0 - np.eye(classes), threshold=threshold)
    bayes = bayes_threshold(costs)
    if bayes is None:
        return Decision(kind="bayes", matrix=costs)
    rows = np.isfinite(probabilities).all(axis=1)
    second, codes = probabilities[rows, 1], np.asarray(target)[rows].astype(np.int64)
    mass = np.asarray(weight, dtype=np.float64)[rows]
    part = parts(len(codes)) if part is None else np.asarray(part)[rows]
    if len(codes) < FEWEST or mass.sum() <= 0:
        return Decision(kind="bayes", matrix=costs, threshold=bayes)
    threshold = np.empty(len(codes))
    for label in np.unique(part):
        out = part != label
        threshold[~out] = _empirical(second[out], codes[out], mass[out], costs, bayes)
    before = costs[codes, (second >= bayes).astype(int)]
    after = costs[codes, (second >= threshold).astype(int)]
    gain, error = paired(before, after, mass)
    if gain <= error:
        return Decision(
            kind="bayes", matrix=costs, threshold=bayes, gain=gain, standard_error=error
        )
    found = _empirical(second, codes, mass, costs, bayes)
    return Decision(
        kind="threshold",
        matrix=np.array([[0.0, found], [1.0 - found, 0.0]]),
        threshold=found,
        gain=gain,
        standard_error=error,
    )


def bayes_threshold(costs: np.ndarray) -> float | None:
    """Return the probability of class 1 from which answering it is cheaper; None unless K = 2.

    None also where one answer is never the cheaper one: a threshold says nothing there.
    """
    if costs.shape != (2, 2):
        return None
    wrong_one, wrong_zero = costs[0, 1] - costs[0, 0], costs[1, 0] - costs[1, 1]
    if wrong_one < 0 or wrong_zero < 0 or wrong_one + wrong_zero == 0:
        return None
    return float(wrong_one / (wrong_one + wrong_zero))


def _empirical(
    second: np.ndarray, codes: np.ndarray, mass: np.ndarray, costs: np.ndarray, bayes: float
) -> float:
    """Return the threshold of least total cost; of equal ones the nearest to the Bayes one."""
    order = np.argsort(second, kind="stable")
    values, truth, share = second[order], codes[order], mass[order]
    # Cost of answering 0 below the cut and 1 from it on, for every cut 0..n.
    as_zero = np.concatenate([[0.0], np.cumsum(share * costs[truth, 0])])
    as_one = np.concatenate([[0.0], np.cumsum((share * costs[truth, 1])[::-1])])[::-1]
    cuts = np.concatenate([[0.0], (values[1:] + values[:-1]) / 2.0, [1.0]])
    allowed = np.concatenate([[True], values[1:] > values[:-1], [True]])
    total = np.where(allowed, as_zero + as_one, np.inf)
    least = total <= total.min() * (1.0 + 1e-12)
    return float(cuts[least][np.argmin(np.abs(cuts[least] - bayes))])


def _unknown(name: str, names: Sequence[str]) -> str:
    """Say that `name` is no label, and which is the nearest."""
    near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.0)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"no class is named {name!r}{hint}"
