"""Which candidates answer together, chosen on validation predictions.

- A candidate is a setting of a network with its seed, or a rung of the ladder; its predictions
  cover every validation row and come from fits that have not seen the row.
- Three answers compete: the best single candidate, the plain mean of the seeds of one setting, and
  greedy selection among all. What is compared is cross-fitted: weighed on some parts of the rows,
  scored on the others.
- Of one setting the mean of its seeds is the default; one alone must beat it by one standard
  error. Greedy must beat both by as much.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from models.selection import FLOOR, Scored, pooled, selected, several, single

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["FLOOR", "Choice", "Scored", "choose", "paired", "parts", "row_losses"]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The chosen weights of S candidates and what the choice bought.

    Attributes:
        kind: what answers.
        names: what each candidate is called.
        networks: whether each candidate is a network rather than a rung.
        weights: (S,), summing to 1.
        scores: cross-fitted mean losses by kind.
        single: the best single candidate.
        gain: its cross-fitted loss minus the chosen kind's, with its `standard_error`.
        rung: a rung that is better than the networks asked for, with what it would buy; else None.
    """

    kind: Literal["best", "uniform", "greedy"]
    names: tuple[str, ...]
    networks: np.ndarray
    weights: np.ndarray
    scores: dict[str, float]
    single: str
    gain: float
    standard_error: float
    rung: dict[str, Any] | None = None

    @property
    def kept(self) -> bool:
        """Whether an ensemble answers rather than one candidate."""
        return self.kind != "best"

    @property
    def shares(self) -> dict[str, float]:
        """How the weight divides between networks and rungs."""
        networks = float(self.weights[self.networks].sum())
        return {"networks": networks, "rungs": float(self.weights.sum()) - networks}

    def facts(self) -> dict[str, Any]:
        """Return the choice as plain JSON, the heaviest candidates first."""
        used = [int(i) for i in np.argsort(-self.weights, kind="stable") if self.weights[i] > 0]
        return {
            "kind": self.kind,
            "candidates": len(self.names),
            "chosen": [
                {
                    "name": self.names[i],
                    "part": "network" if self.networks[i] else "rung",
                    "weight": round(float(self.weights[i]), 12),
                }
                for i in used
            ],
            "shares": {part: round(share, 12) for part, share in self.shares.items()},
            "single": self.single,
            "scores": self.scores,
            "gain": self.gain,
            "standard_error": self.standard_error,
            "rung": self.rung,
        }


def parts(rows: int, *, count: int = 5, seed: int = 0) -> np.ndarray:
    """Return a balanced random part (0..count-1) for each of `rows` rows, for cross-fitting."""
    return np.random.default_rng(seed).permutation(rows) % count


def row_losses(predictions: np.ndarray, target: np.ndarray, task: str) -> np.ndarray:
    """Return each row's log loss (probabilities (N, K)) or squared error (values (N,))."""
    if task == "regression":
        return np.square(predictions - target)
    picked = np.take_along_axis(predictions, target[:, None].astype(np.int64), axis=1)[:, 0]
    return -np.log(np.clip(picked, FLOOR, 1.0))


def paired(before: np.ndarray, after: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """Return the weighted mean of `before - after` and its standard error."""
    difference = before - after
    share = weight / weight.sum()
    mean = float(share @ difference)
    return mean, float(np.sqrt(np.square(share) @ np.square(difference - mean)))


def choose(
    scored: Scored,
    names: Sequence[str],
    networks: np.ndarray,
    *,
    part: np.ndarray | None = None,
    only: Literal["greedy", "best"] = "greedy",
    seed: int = 0,
) -> Choice:
    """Choose among the best candidate, the mean of one setting's seeds, and greedy selection.

    Args:
        scored: what the candidates predict, and what they cost. One that costs more than the
            budget alone is left out, unless all do: then the cheapest is what is left.
        names: of the candidates.
        networks: bool (S,), False for rungs.
        part: cross-fitting parts (n,): rows of one identity belong together.
        only: "best" asks for the best single network.
        seed: of the bags.
    """
    part = parts(len(scored.weight)) if part is None else part
    room = _affordable(scored)
    asked = room & networks if only == "best" and (room & networks).any() else room
    places = np.flatnonzero(asked)
    field = scored.only(places)
    pickers: dict[str, Callable[[Scored], np.ndarray]] = {"best": single}
    if only != "best" and len(places) > 1:
        if len(several(field)):
            pickers["uniform"] = pooled
        pickers["greedy"] = lambda cut: selected(cut, seed=seed)
    losses = {kind: _crossfitted(pick, field, part) for kind, pick in pickers.items()}
    alone = single(field)
    kind = _decide(losses, field, int(np.argmax(alone)))
    weights = np.zeros(len(names))
    weights[places] = pickers[kind](field)
    gain, error = paired(losses["best"], losses[kind], field.weight)
    return Choice(
        kind="best" if np.count_nonzero(weights) == 1 else kind,  # pyright: ignore[reportArgumentType]
        names=tuple(names),
        networks=np.asarray(networks, dtype=bool),
        weights=weights,
        scores={k: float(np.average(each, weights=field.weight)) for k, each in losses.items()},
        single=names[int(places[np.argmax(alone)])],
        gain=gain,
        standard_error=error,
        rung=_better_rung(scored, names, room & ~networks, losses["best"], part)
        if only == "best"
        else None,
    )


def _affordable(scored: Scored) -> np.ndarray:
    """Return which candidates fit the budget alone; the cheapest ones where none does."""
    return scored.seconds <= max(scored.budget, float(scored.seconds.min()))


def _decide(losses: dict[str, np.ndarray], field: Scored, alone: int) -> str:
    """Take the mean of a setting's seeds unless one alone is better; greedy only where clearly so.

    One of these very seeds must be better by more than one standard error: the mean varies less
    from one training to the next. So must greedy, as a selection can fool us.
    """
    kind = "best"
    if "uniform" in losses:
        gain, error = paired(losses["best"], losses["uniform"], field.weight)
        seed = np.count_nonzero(field.pools == field.pools[alone]) > 1
        kind = "uniform" if gain > (-error if seed else 0.0) else "best"
    if "greedy" in losses:
        gain, error = paired(losses[kind], losses["greedy"], field.weight)
        kind = "greedy" if gain > error else kind
    return kind


def _crossfitted(
    pick: Callable[[Scored], np.ndarray], scored: Scored, part: np.ndarray
) -> np.ndarray:
    """Return each row's loss (n,) under weights that were picked without its part."""
    values = np.empty(len(part))
    labels = np.unique(part)
    for label in labels:
        inside = part == label
        # With a single part there is nothing to hold out.
        weights = pick(scored.rows(~inside if len(labels) > 1 else inside))
        used = weights > 0
        values[inside] = weights[used] @ scored.values[used][:, inside]
    return scored.losses(values)


def _better_rung(
    scored: Scored, names: Sequence[str], rungs: np.ndarray, losses: np.ndarray, part: np.ndarray
) -> dict[str, Any] | None:
    """Say which rung is better than the single best network by more than a standard error."""
    if not rungs.any():
        return None
    field = scored.only(np.flatnonzero(rungs))
    own = _crossfitted(single, replace(field, budget=np.inf), part)
    gain, error = paired(losses, own, field.weight)
    if gain <= error:
        return None
    name = names[int(np.flatnonzero(rungs)[np.argmax(single(field))])]
    return {"name": name, "gain": gain, "standard_error": error}
