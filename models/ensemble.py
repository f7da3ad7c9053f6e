"""Which members answer together, chosen on validation predictions.

- A candidate is one setting and seed whose predictions cover every validation row.
- Three answers compete: the best single candidate, the plain mean of all, and Caruana's greedy
  selection with replacement (Caruana et al., ICML 2004), started from the best few.
- What is compared is cross-fitted: selected on some parts of the rows, scored on the others.
- The mean is the default; one alone, or greedy, must beat it by one standard error.
- A candidate may have holes where a member failed; the mean of the others stands in there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

START = 3  # most candidates that greedy selection starts from
ROUNDS = 30  # most picks, repeats counted
FLOOR = 1e-7  # least probability that a log loss sees: float32 cannot tell 1 - p below it


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The chosen weights of S candidates and what the choice bought.

    `weights` (S,) sum to 1; `scores` are cross-fitted mean losses by kind; `gain` is the best
    single candidate's cross-fitted loss minus the chosen kind's, `standard_error` belongs to it.
    `kept` says whether more than the best single candidate answers; `holes` counts candidates
    that lack predictions for some validation rows.
    """

    kind: Literal["best", "uniform", "greedy"]
    weights: np.ndarray
    scores: dict[str, float]
    gain: float
    standard_error: float
    holes: int = 0

    @property
    def kept(self) -> bool:
        """Whether an ensemble answers rather than one candidate."""
        return self.kind != "best"

    def facts(self) -> dict[str, Any]:
        """Return the choice as plain JSON."""
        return {
            "kind": self.kind,
            "weights": [round(float(weight), 12) for weight in self.weights],
            "scores": self.scores,
            "gain": self.gain,
            "standard_error": self.standard_error,
            "holes": self.holes,
        }


def parts(rows: int, *, count: int = 5, seed: int = 0) -> np.ndarray:
    """Return a balanced random part (0..count-1) for each of `rows` rows, for cross-fitting."""
    return np.random.default_rng(seed).permutation(rows) % count


def blend(predictions: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Average (S, N, ...) over candidates by `weights` (S,), as the exported graph does.

    Where a candidate is NaN the others share its weight (equally, if they had none); a row that no
    candidate covers is NaN.
    """
    shares = member_weights(weights, np.stack([_covered(values) for values in predictions], axis=1))
    total = np.zeros(predictions.shape[1:])
    # One candidate at a time: a (S, N, K) temporary of float64 can be gigabytes.
    for values, share in zip(predictions, shares.T, strict=True):
        used = share > 0
        total[used] += values[used] * share[used].reshape(-1, *([1] * (values.ndim - 1)))
    total[shares.sum(axis=1) == 0] = np.nan
    return total


def member_weights(weights: np.ndarray, alive: np.ndarray) -> np.ndarray:
    """Spread `weights` (S,) over the living members of each fold (or row), `alive` (F, S).

    Rows of the result sum to 1; where every chosen candidate is dead the living share equally;
    where none lives the row is 0.
    """
    spread = np.where(alive, weights, 0.0)
    spread = np.where(spread.sum(axis=1, keepdims=True) > 0, spread, alive.astype(np.float64))
    mass = spread.sum(axis=1, keepdims=True)
    return np.divide(spread, mass, out=np.zeros_like(spread), where=mass > 0)


def row_losses(predictions: np.ndarray, target: np.ndarray, task: str) -> np.ndarray:
    """Return each row's log loss (probabilities (N, K)) or squared error (values (N,))."""
    if task == "regression":
        return np.square(predictions - target)
    picked = np.take_along_axis(predictions, target[:, None].astype(np.int64), axis=1)[:, 0]
    return -np.log(np.clip(picked, FLOOR, 1.0))


def greedy(
    predictions: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray,
    *,
    task: str,
    part: np.ndarray | None = None,
    limit: int | None = None,
    only: Literal["greedy", "best"] = "greedy",
) -> Choice:
    """Choose among the best candidate, the mean of all, and greedy selection.

    `predictions` are probabilities (S, N, K) or values (S, N), NaN where a candidate has none;
    `target` is class codes or values (N,), `weight` (N,). `part` (N,) are the cross-fitting parts
    (rows of one identity belong together). At most `limit` candidates get a weight; `only="best"`
    asks for the best single candidate. Raises ValueError where no row has a prediction.
    """
    scored, rows, holes = _scored(predictions, target, task)
    limit = min(limit or len(scored), len(scored))
    weight = np.asarray(weight, dtype=np.float64)[rows]
    part = parts(len(weight)) if part is None else np.asarray(part)[rows]
    loss = _loss_of(np.asarray(target)[rows], task)

    pickers: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "best": lambda mask: _single(loss, scored, weight, mask),
        "uniform": lambda mask: _uniform(loss, scored, weight, mask, limit),
        "greedy": lambda mask: _greedy(loss, scored, weight, mask, limit),
    }
    if only == "best" or len(scored) == 1 or limit == 1:
        pickers = {"best": pickers["best"]}
    everything = np.ones(len(weight), dtype=bool)
    losses = {kind: _crossfitted(pick, loss, scored, part) for kind, pick in pickers.items()}
    scores = {kind: float(np.average(each, weights=weight)) for kind, each in losses.items()}
    kind = _decide(losses, scores, weight)
    gain, error = paired(losses["best"], losses[kind], weight)
    return Choice(
        kind=kind,  # pyright: ignore[reportArgumentType] - a key of `pickers`
        weights=pickers[kind](everything),
        scores=scores,
        gain=gain,
        standard_error=error,
        holes=holes,
    )


def paired(before: np.ndarray, after: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """Return the weighted mean of `before - after` and its standard error."""
    difference = before - after
    share = weight / weight.sum()
    mean = float(share @ difference)
    return mean, float(np.sqrt(np.square(share) @ np.square(difference - mean)))


def _decide(losses: dict[str, np.ndarray], scores: dict[str, float], weight: np.ndarray) -> str:
    """Take the mean unless one alone is clearly better; greedy only where it is clearly better.

    Clearly is by more than one standard error. The mean needs no selection that could fool us,
    and it varies less from one training to the next.
    """
    if len(scores) == 1:
        return "best"
    gain, error = paired(losses["best"], losses["uniform"], weight)
    kind = "uniform" if gain > -error else "best"
    gain, error = paired(losses[kind], losses["greedy"], weight)
    return "greedy" if gain > error else kind


def _covered(values: np.ndarray) -> np.ndarray:
    """Return which rows of (N, ...) are finite throughout."""
    return np.asarray(np.isfinite(values).reshape(len(values), -1).all(axis=1))


def _scored(
    predictions: np.ndarray, target: np.ndarray, task: str
) -> tuple[np.ndarray, np.ndarray, int]:
    """Reduce to what the loss needs, (S, n): the true class's probability, or the value."""
    if task == "regression":
        reduced = np.array(predictions, dtype=np.float64)
    else:
        codes = np.asarray(target, dtype=np.int64)
        reduced = np.asarray(predictions[:, np.arange(len(codes)), codes], dtype=np.float64)
    reduced[~np.isfinite(reduced)] = np.nan
    rows = np.asarray(np.isfinite(reduced).any(axis=0))
    if not rows.any():
        message = "an ensemble needs validation predictions, found: not one finite row"
        raise ValueError(message)
    reduced = reduced[:, rows]
    missing = np.isnan(reduced)
    if missing.any():
        mean = np.nanmean(reduced, axis=0)
        reduced = np.where(missing, mean, reduced)
    return reduced, rows, int(missing.any(axis=1).sum())


def _loss_of(target: np.ndarray, task: str) -> Callable[[np.ndarray], np.ndarray]:
    """Return the loss of (..., n) reduced predictions, elementwise."""
    if task == "regression":
        return lambda values: np.square(values - target)
    return lambda values: -np.log(np.clip(values, FLOOR, 1.0))


def _means(
    loss: Callable[[np.ndarray], np.ndarray],
    scored: np.ndarray,
    weight: np.ndarray,
    mask: np.ndarray,
) -> np.ndarray:
    """Return each candidate's mean loss (S,) on the masked rows."""
    return loss(scored) @ (weight * mask)


def _single(loss: Any, scored: np.ndarray, weight: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """All weight on the candidate with the least loss."""
    weights = np.zeros(len(scored))
    weights[int(np.argmin(_means(loss, scored, weight, mask)))] = 1.0
    return weights


def _uniform(
    loss: Any, scored: np.ndarray, weight: np.ndarray, mask: np.ndarray, limit: int
) -> np.ndarray:
    """Equal weights on the best `limit` candidates, that is on all where the budget allows."""
    weights = np.zeros(len(scored))
    order = np.argsort(_means(loss, scored, weight, mask), kind="stable")
    weights[order[:limit]] = 1.0 / limit
    return weights


def _greedy(
    loss: Any, scored: np.ndarray, weight: np.ndarray, mask: np.ndarray, limit: int
) -> np.ndarray:
    """Add, with replacement, what lowers the loss of the mean most; return the best prefix."""
    # The masked rows' loss is all that is looked at, so everything is cut to them once.
    mass = weight * mask
    order = np.argsort(_means(loss, scored, weight, mask), kind="stable")
    starts = [np.isin(np.arange(len(scored)), order[: i + 1]) for i in range(min(START, limit))]
    losses = [float(loss(start @ scored / start.sum()) @ mass) for start in starts]
    counts = starts[int(np.argmin(losses))].astype(np.float64)
    total = counts @ scored
    best, kept = min(losses), counts.copy()
    for _ in range(ROUNDS):
        open_ = counts > 0 if np.count_nonzero(counts) >= limit else np.ones(len(counts), bool)
        tried = loss((total + scored) / (counts.sum() + 1.0)) @ mass
        pick = int(np.argmin(np.where(open_, tried, np.inf)))
        counts[pick] += 1.0
        total = total + scored[pick]
        if tried[pick] < best:
            best, kept = float(tried[pick]), counts.copy()
    return kept / kept.sum()


def _crossfitted(
    pick: Callable[[np.ndarray], np.ndarray], loss: Any, scored: np.ndarray, part: np.ndarray
) -> np.ndarray:
    """Return each row's loss (n,) under weights that were picked without its part."""
    values = np.empty(scored.shape[1])
    labels = np.unique(part)
    for label in labels:
        inside = part == label
        # With a single part there is nothing to hold out.
        weights = pick(~inside if len(labels) > 1 else inside)
        values[inside] = (weights @ scored)[inside]
    return loss(values)
