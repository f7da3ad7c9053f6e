"""The finding that decided, for whoever reads one sentence: compared with whom, by how much, on what.

- Statistics stay in the reasons; here are the two values, the gain, what it might be at worst and
  what was asked, in that order, and what would have changed the verdict.
- Floors and the dummy have words of their own, beside the metric's value, in `verdict.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from expectations.gate import Finding, Verdict

AGAINST = ("champion", "anchor")
IN_FULL = (
    "champion",
    "anchor",
    "slices",
    "calibration",
    "directions",
    "robustness",
    "floors_lower",
    "mode",
)
"""What decides by a comparison or a check, and not by a value that stands for itself."""
NUMBERS = ("metric", "challenger", "champion", "value", "low", "high", "against", "rows", "setting")


def compared(judged: Verdict, subject: str) -> str:
    """Say what decided where that is a comparison or a check; "" where a value stands for itself."""
    if judged.decided_by not in IN_FULL:
        return ""
    if not judged.findings:
        return f"{subject}: {judged.reasons[0]}"
    first = judged.findings[0]
    if first.by in AGAINST and all(first.numbers.get(key) is not None for key in NUMBERS):
        said = _against(first, subject)
    else:
        said = f"{subject}: {first.reason}"
    needs = first.otherwise if first.outcome != "promote" else ""
    return f"{said}; {needs}" if needs else said


def _against(found: Finding, subject: str) -> str:
    from expectations.verdict import number

    told, gain = found.numbers, found.numbers["value"]
    reach = f"gain {number(gain)}, between {number(told['low'])} and {number(told['high'])}"
    return (
        f"{subject} {_stands(found)} {told['against']}: {told['metric']} "
        f"{number(told['challenger'])} against {number(told['champion'])} on {told['rows']:,} rows "
        f"that neither had seen ({reach}; asked: {told['setting']})"
    )


def _stands(found: Finding) -> str:
    won = found.numbers.get("won")
    better = "better" in str(found.numbers["setting"])
    if found.outcome == "reject":
        return "is worse than"
    doubt = "is not shown to be better than" if better else "may still be worse than"
    if found.outcome == "inconclusive":
        return doubt
    if won == "unsure":
        return f"passes by gate.on_inconclusive, though it {doubt}"
    return "is better than" if won == "better" else "is no worse than"
