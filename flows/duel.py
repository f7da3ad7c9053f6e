"""A comparison being made: rows that an opponent knows are left out, the rest it answers.

- What becomes of every test row is counted, and what stands against a fair comparison is a doubt
  that says what was found, what changed since, and what to do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from expectations.failure import shown
from flows.bundle import columns_of, predictions_of
from flows.errors import Doubt
from flows.json_files import read_json
from flows.opponent import ask
from flows.referee_rows import known_units
from flows.scheme import differences, identity_digest
from flows.seen import seen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from flows.opponent import Opponent
    from flows.referee_rows import Lines
    from flows.seen import Seen, Today
    from flows.spec import Spec

MOST_REFUSED = 0.01
"""Share of rows that an opponent may refuse by its own rules before it is no fair opponent."""
LOST = {"trained": "trained on", "validated": "validated on", "refused": "refused"}


@dataclass(kw_only=True)
class Case:
    """What a comparison is made from, and what it comes to."""

    spec: Spec
    made: Mapping[str, Path]
    """The folders of the stages."""
    lines: Lines
    examiner: Callable[[], Any]
    """Gives the fresh process that is asked."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What `referee.json` will hold."""
    counts: dict[str, int] = field(default_factory=dict)
    """Test rows by what became of them."""

    @property
    def left(self) -> np.ndarray:
        """Which lines are still in, bool (n,)."""
        return self.lines.frame["referee"].to_numpy(bool)


def leave_out(case: Case, opponent: Opponent, today: Today) -> Seen:
    """Take the rows that an opponent was made from out of the comparison.

    Raises:
        Doubt: they cannot be told from today's rows.

    """
    ours = read_json(case.made["split"] / "split.json")["scheme"]
    changes = differences(opponent.book.scheme, ours)
    try:
        knows = seen(opponent.book, today)
    except Doubt as doubt:
        raise Doubt(
            f"identity changed: {opponent.called} cannot be told from today's rows: {doubt}"
        ) from None
    if opponent.role == "champion":
        changes += _without(opponent, today)
        case.facts |= {"changes": changes, "scheme": identity_digest(opponent.book.scheme)}
        case.facts |= {"matched": knows.matched, "expected": knows.expected}
    if knows.matched is not None and knows.matched < case.spec.gate.min_match:
        raise Doubt(_unmatched(case, opponent, knows, changes))
    lines = case.lines
    found = known_units(case.spec, lines, knows.known)
    validated = found & knows.validated[lines.row]
    case.counts[f"{opponent.role}_trained"] = int((found & ~validated).sum())
    case.counts[f"{opponent.role}_validated"] = int(validated.sum())
    lines.frame["referee"] &= ~found
    return knows


def _without(opponent: Opponent, today: Today) -> list[str]:
    """Say which columns it has to do without: its contract lets them be missing."""
    entries = opponent.book.schema["columns"]
    gone = [entry["name"] for entry in entries if entry["name"] not in today.raw]
    return [f"{opponent.called} answers without {shown(name)}, which is gone" for name in gone]


def _unmatched(case: Case, opponent: Opponent, knows: Seen, changes: list[str]) -> str:
    why = "; ".join(changes) or "no setting of the split did, so the rows themselves were replaced"
    return (
        f"identity changed: of the {knows.expected:,} rows behind {opponent.called} that should still "
        f"be there {knows.matched:.1%} are found again, at least {case.spec.gate.min_match:.0%} must be "
        f"(gate.min_match), so what it was trained on cannot be told; what changed since: {why}; "
        "promote a version by hand to begin anew"
    )


def enough(case: Case) -> None:
    """Count the rows that are left.

    Raises:
        Doubt: they are too few.

    """
    units = int(case.lines.frame.loc[case.left, "unit"].nunique())
    case.counts |= {"referee": int(case.left.sum()), "units": units}
    if units >= case.spec.gate.min_referee:
        return
    lost = [
        f"the {role} {word} {count:,}"
        for role in ("champion", "anchor")
        for what, word in LOST.items()
        if (count := case.counts.get(f"{role}_{what}"))
    ]
    changed = f" (since then {'; '.join(changes)})" if (changes := case.facts["changes"]) else ""
    raise Doubt(
        f"too few referee rows: {units:,} units of {case.counts['test']:,} test rows are known to no "
        f"model, at least {case.spec.gate.min_referee} are needed (gate.min_referee)"
        + (f"; of the test rows {', '.join(lost)}{changed}" if lost else "")
        + "; give more rows, or promote by hand"
    )


def put_to(case: Case, opponent: Opponent, today: Today) -> None:
    """Ask an opponent, and note what it said; rows that it refuses are left out and counted.

    Raises:
        Doubt: it does not answer, or refuses too many rows.

    """
    frame, at = case.lines.frame, np.flatnonzero(case.left)
    rows = today.raw.iloc[case.lines.row[at]]
    answers = ask(opponent, rows, case.lines.serving, case.examiner)
    refused = case.counts[f"{opponent.role}_refused"] = int(answers.refused.sum())
    if refused > MOST_REFUSED * len(at):
        raise Doubt(
            f"{opponent.called} refuses {refused:,} of {len(at):,} referee rows by its own rules "
            f"({', '.join(answers.rules)}), more than {MOST_REFUSED:.0%}: it was made for other data "
            "than today's; promote by hand once that is what is wanted"
        )
    for name, values in columns_of(opponent.role, answers.said, answers.label).items():
        whole = np.full(len(frame), -1 if values.dtype.kind == "i" else np.nan, values.dtype)
        whole[at] = values
        frame[name] = whole
    frame.loc[at[answers.refused], "referee"] = False


def base_of(case: Case) -> float | None:
    """The champion's value of the deciding metric on the referee rows."""
    from expectations.metrics import METRICS

    found = predictions_of(case.lines.frame.loc[case.left], "champion", case.facts)
    weight = case.lines.frame.loc[case.left, "weight"].to_numpy(np.float64)
    if found is None:
        return None
    (value,) = METRICS[case.facts["metric"]].function(found, weight[None])
    return float(value) if np.isfinite(value) else None
