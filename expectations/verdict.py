"""What one rule of the gate says of a model, what all of them come to, and the words for it.

- A finding's sentence holds its numbers and the settings line that asked; `otherwise` says what
  would have changed it. `numbers` holds the same for a machine.
- Some findings decide nothing: a slice too small to be judged is named, never counted as a pass.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from expectations.compare import Difference

Outcome = Literal["promote", "reject", "inconclusive"]
Says = Literal["promote", "reject", "inconclusive", "not judged"]
NOBODY = "none"
DIGITS = 4


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one rule says."""

    outcome: Says
    reason: str
    """One sentence with the numbers, without a full stop."""
    by: str
    """Metric of a floor, rung of the ladder, or `champion`, `anchor`, `slices`, and so on."""
    otherwise: str = ""
    """What would have changed it."""
    numbers: Mapping[str, Any] = field(default_factory=dict)
    """Plain JSON values: metric, value, low, high, rows, units, needed, slice, setting."""

    @property
    def sentence(self) -> str:
        """The reason, and what would have changed it."""
        return f"{self.reason}, {self.otherwise}" if self.otherwise else self.reason

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {**asdict(self), "numbers": dict(self.numbers)}


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The outcome, why, and the one rule that decided."""

    outcome: Outcome
    reasons: tuple[str, ...]
    """Every finding in words, those that decided first."""
    decided_by: str
    """`by` of the first deciding finding; "none" where no rule had anything to say."""
    findings: tuple[Finding, ...] = ()
    """What each rule says, in the order of `reasons`."""
    rule: str = ""
    """By what a promotion stands: `first`, `better`, `no_worse`, `unsure` (the settings promote what
    cannot be told), `off`; "" for any other outcome, and where no champion was asked for."""

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "outcome": self.outcome,
            "reasons": list(self.reasons),
            "decided_by": self.decided_by,
            "rule": self.rule,
            "findings": [finding.to_json() for finding in self.findings],
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Verdict:
        """Take a verdict back from what `to_json` gave."""
        return cls(
            outcome=stored["outcome"],
            reasons=tuple(stored["reasons"]),
            decided_by=stored["decided_by"],
            findings=tuple(Finding(**found) for found in stored.get("findings", ())),
            rule=stored.get("rule", ""),
        )


def numbers_of(found: Difference, **more: Any) -> dict[str, Any]:
    """A difference as the numbers of a finding, with what else belongs to them."""
    return {**found.to_json(), **more}


def number(value: float) -> str:
    """A number for a sentence: four digits that matter."""
    return f"{value:,.0f}" if abs(value) >= 10**DIGITS else f"{value:.{DIGITS}g}"


def span(low: float, high: float) -> str:
    """Two bounds in words."""
    return f"{number(low)} to {number(high)}"


def at_least(value: float) -> str:
    """The next setting of three digits that is not below `value`."""
    return _rounded(value, math.ceil)


def at_most(value: float) -> str:
    """The next setting of three digits that is not above `value`."""
    return _rounded(value, math.floor)


def _rounded(value: float, towards: Any) -> str:
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    places = 2 - math.floor(math.log10(abs(value)))
    return f"{towards(value * 10.0**places) / 10.0**places:.{max(places, 0)}f}"


def counted(number_of: int, unit: str) -> str:
    """A count with its noun."""
    return f"{number_of:,} {unit}" + ("" if number_of == 1 else "s")
