"""How a model stands to one other: the interval, the margin, and the sentence with both.

- What would have changed the finding is worked out from the same interval: the margin at which it
  turns, and the units that would tell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from expectations.compare import Difference, Told, compare
from expectations.metrics import METRICS
from expectations.power import units_needed
from expectations.verdict import Finding, at_least, at_most, counted, number, numbers_of, span

if TYPE_CHECKING:
    from expectations.evidence import Rows
    from expectations.gate_rules import Amount, Rules
    from expectations.predictions import Predictions
    from expectations.verdict import Outcome

BETTER = 'gate.against_champion = "better"'


def stands(
    rows: Rows, metric: str, rules: Rules, other: Predictions, name: str, look: int, by: str
) -> Finding:
    """Say how the challenger stands to `other`, called `name`, at this look; the finding is `by`."""
    found = compare(
        rows.challenger,
        other,
        metric,
        weight=rows.weight,
        unit=rows.codes,
        block=rows.block,
        tail=rules.tail(look),
    )
    told = found.told
    if told is None:
        what = "has no interval" if found.value is not None else "is undefined"
        reason = (
            f"not compared with {name}: {metric} {what} on {counted(found.rows, 'referee row')}"
        )
        return Finding(outcome="inconclusive", reason=reason, by=by, numbers=numbers_of(found))
    margin = rules.margin_in(metric, champions_value(rows, metric))
    standing = _Standing(found=found, told=told, margin=margin, other=name, look=look, by=by)
    return standing.better() if rules.against_champion == "better" else standing.no_worse()


def champions_value(rows: Rows, metric: str) -> float:
    """The champion's metric on the referee rows."""
    weight = rows.weight[None, :].astype(np.float64)
    return float(METRICS[metric].function(rows.champion, weight)[0])


@dataclass(frozen=True, kw_only=True)
class _Standing:
    found: Difference
    told: Told
    margin: Amount
    other: str
    look: int
    by: str

    def no_worse(self) -> Finding:
        margin, low, high = self.margin.value, self.told.low, self.told.high
        asked = f"{number(margin)} ({self.margin.setting})"
        if low > -margin:
            turns = f"with gate.margin = {at_most(-low)} or less it would not be promoted"
            otherwise = "and it would pass as better too" if low > 0 else turns
            won = "better" if low > 0 else "no_worse"
            return self._finding(
                "promote", f"no worse than {self.other} within {asked}", otherwise, won=won
            )
        # A hair above, since the bound must lie strictly inside the margin.
        passes = f"gate.margin = {at_least(-low * (1 + 1e-9))} or more"
        if high < -margin:
            otherwise = f"it would take {passes} to promote it"
            return self._finding(
                "reject", f"worse than {self.other} by more than {asked}", otherwise
            )
        needed = units_needed(self.found, margin)
        said = f"not shown to be no worse than {self.other} within {asked}, nor to be worse"
        otherwise = f"with {passes} it would be promoted{self._more(needed, 'equal')}"
        return self._finding("inconclusive", said, otherwise, needed=needed)

    def better(self) -> Finding:
        value, low, high = self.told.value, self.told.low, self.told.high
        if low > 0:
            otherwise = f"a gain of {at_most(value - low)} or less would not have told"
            said = f"better than {self.other} ({BETTER})"
            return self._finding("promote", said, otherwise, won="better")
        wide = at_least(-low * (1 + 1e-9))
        passes = f'gate.against_champion = "no_worse" and gate.margin = {wide} or more'
        if high < 0:
            otherwise = f"it would take {passes} to promote it"
            return self._finding("reject", f"worse than {self.other} ({BETTER})", otherwise)
        needed = units_needed(self.found, max(value, self.margin.value))
        said = f"not shown to be better than {self.other} ({BETTER})"
        gain = f"better by {number(max(value, self.margin.value))}"
        otherwise = f"with {passes} it would be promoted{self._more(needed, gain)}"
        return self._finding("inconclusive", said, otherwise, needed=needed)

    def _more(self, needed: int | None, kind: str) -> str:
        if needed is None:
            return ""
        if needed <= self.found.units:
            return f", and since {needed:,} units would show a model that is {kind}, more need not tell"
        return f", and about {needed:,} units would show a model that is {kind}"

    def _finding(
        self,
        outcome: Outcome,
        said: str,
        otherwise: str,
        *,
        needed: int | None = None,
        won: str | None = None,
    ) -> Finding:
        numbers = numbers_of(
            self.found,
            against=self.other,
            look=self.look,
            margin=self.margin.value,
            needed=needed,
            setting=BETTER if BETTER in said else self.margin.setting,
            won=won,
        )
        reason = f"{self._interval()}: {said}"
        return Finding(
            outcome=outcome, reason=reason, by=self.by, otherwise=otherwise, numbers=numbers
        )

    def _interval(self) -> str:
        found, told = self.found, self.told
        on = counted(found.rows, "row")
        on += "" if found.units == found.rows else f" of {counted(found.units, 'unit')}"
        return (
            f"{found.metric} {number(told.challenger)} against {number(told.champion)} of "
            f"{self.other}, gain {number(told.value)} ({span(told.low, told.high)}, each bound "
            f"{100 * (1 - found.tail):.4g} % sure at look {self.look}) on {on}"
        )
