"""What must hold of a model's answers: "increase age -> not lower risk".

- Every row is asked twice, as it is and with the column moved: a number by one standard deviation
  of the train rows, a flag from false to true (to decrease: from true to false).
- A violation is an answer that moves the forbidden way by more than a hundredth: of probability,
  or of the target's spread. One in twenty rows may; a network is no formula.
- Cells that are missing, or stand at the end already, are not moved and not counted.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from expectations.shares import share

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from expectations.predictions import Predictions

PATTERN = re.compile(
    r"(?P<move>increase|decrease) (?P<column>.+) -> not (?P<never>lower|higher) (?P<what>.+)"
)
TOLERANCE = 0.01
ALLOWED = 0.05
MOST_ROWS = 3_000


@dataclass(frozen=True, kw_only=True)
class Direction:
    """One sentence of the settings, understood."""

    text: str
    move: Literal["increase", "decrease"]
    column: str
    never: Literal["lower", "higher"]
    what: str
    """The target's name, or a class label."""


def parse(text: str) -> Direction:
    """Understand "increase COLUMN -> not lower WHAT"; ValueError where it does not read so."""
    match = PATTERN.fullmatch(text)
    if match is None:
        wanted = 'must read "increase COLUMN -> not lower TARGET" (decrease, higher)'
        raise ValueError(f"a direction {wanted}, however: {text!r}")
    parts: dict[str, Any] = match.groupdict()
    return Direction(text=text, **{name: part.strip() for name, part in parts.items()})


def output(direction: Direction, target: str, classes: Sequence[str]) -> int | None:
    """Which output the sentence is about: a class code, or None for the value of a regression.

    The target's name means the positive class of two; ValueError where it means nothing.
    """
    what = direction.what
    if what in classes:
        return list(classes).index(what)
    if what == target and not classes:
        return None
    if what == target and len(classes) == 2:
        return 1
    known = [*classes, *([target] if len(classes) <= 2 else [])]
    near = difflib.get_close_matches(what, known, n=1, cutoff=0.3)
    hint = f"; the nearest is {near[0]!r}" if near else ""
    raise ValueError(
        f"{direction.text!r}: after 'not {direction.never}' must stand one of "
        f"{', '.join(map(repr, known[:20]))}, however: {what!r}{hint}"
    )


def moved(
    cells: np.ndarray, direction: Direction, *, flag: bool, spread: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the cells of a column (n,) as they stand after the move, and which did move."""
    up = direction.move == "increase"
    if flag:
        able = cells == (0.0 if up else 1.0)
        return np.where(able, 1.0 if up else 0.0, cells), able
    able = np.isfinite(cells)
    return np.where(able, cells + (spread if up else -spread), cells), able


def try_direction(
    answer: Callable[[Mapping[str, np.ndarray], np.ndarray], Predictions],
    feeds: Mapping[str, np.ndarray],
    direction: Direction,
    *,
    column: int,
    flag: bool,
    spread: float,
    output: int | None,
    target_spread: float,
    weight: np.ndarray,
    unit: np.ndarray,
    seed: int = 0,
) -> dict[str, Any]:
    """Move number `column` of the feeds, ask again, and count the answers that moved wrongly.

    `answer(feeds, rows)` predicts the feeds, whose rows are the original rows `rows`.
    """
    rows = np.sort(np.random.default_rng(seed).permutation(len(weight))[:MOST_ROWS])
    cells, able = moved(feeds["numbers"][rows, column], direction, flag=flag, spread=spread)
    rows, cells = rows[able], cells[able]
    step = "to the other value" if flag else f"by {spread:.4g}"
    found: dict[str, Any] = {
        "text": direction.text,
        "column": direction.column,
        "what": direction.what,
        "move": f"{direction.move} {step}",
        "allowed": ALLOWED,
    }
    if not len(rows) or (not flag and not spread > 0):
        nothing = dict.fromkeys(("violations", "share", "low", "high", "largest", "tolerance"))
        sentence = f"{direction.text!r} could not be tried: no test row could be moved"
        return found | {"rows": 0, **nothing, "holds": None, "sentence": sentence}
    before_feed = {block: values[rows] for block, values in feeds.items()}
    after_feed = {block: values.copy() for block, values in before_feed.items()}
    after_feed["numbers"][:, column] = cells
    before, after = answer(before_feed, rows), answer(after_feed, rows)
    change = _change(before, after, output)
    wrong = -change if direction.never == "lower" else change
    tolerance = TOLERANCE * (1.0 if output is not None else target_spread)
    broken = (wrong > tolerance) * 1.0
    return found | _figures(direction, broken, wrong, weight[rows], unit[rows], tolerance)


def _change(before: Predictions, after: Predictions, output: int | None) -> np.ndarray:
    if output is None:
        return after.residual - before.residual  # the true values are the same
    return after.p[:, output] - before.p[:, output]


def _figures(
    direction: Direction,
    broken: np.ndarray,
    wrong: np.ndarray,
    weight: np.ndarray,
    unit: np.ndarray,
    tolerance: float,
) -> dict[str, Any]:
    figure = share(broken, weight=weight, unit=unit)
    value = figure.value or 0.0
    holds = value <= ALLOWED
    sentence = (
        f"{direction.text!r} {'holds' if holds else 'does not hold'}: {int(broken.sum()):,} of "
        f"{len(broken):,} moved rows answer {direction.never} by more than {tolerance:.3g} "
        f"({value:.1%}, at most {ALLOWED:.0%} may)"
    )
    return {
        "rows": len(broken),
        "violations": int(broken.sum()),
        "share": value,
        "low": figure.low,
        "high": figure.high,
        "largest": float(wrong.max()),
        "tolerance": tolerance,
        "holds": holds,
        "sentence": sentence,
    }
