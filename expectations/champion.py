"""Whether a model may take the champion's place: by one interval, on rows that neither has seen.

- `better`: the lower bound is above 0. `no_worse`: it is above -margin, against the champion and
  against the anchor, the last version that won as better or was set by hand: a year of small losses
  cannot add up. An upper bound on the wrong side rejects; whatever lies between is inconclusive,
  with the units that would tell.
- Under `no_worse` a model whose lower bound is above 0 has won as better, and is said to.
- Whatever kept the two from being compared is a doubt, never a pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from expectations.gate_rules import Rules, deciding_metric
from expectations.standing import stands
from expectations.verdict import NOBODY, Finding, counted

if TYPE_CHECKING:
    from expectations.evidence import Evidence, Referee, Rows

CHAMPION, ANCHOR = "champion", "anchor"
COMPARED = frozenset({"better", "no_worse"})


def champion(evidence: Evidence, rules: Rules) -> list[Finding]:
    """How the model stands to the one in service."""
    referee = evidence.referee
    if referee is None:
        return []
    if referee.status == "none":
        reason = referee.reason or "there is no champion to compare with"
        return [Finding(outcome="promote", reason=reason, by=NOBODY, numbers={"won": "first"})]
    if rules.against_champion not in COMPARED:
        reason = f'not compared with {_name(referee)} (gate.against_champion = "off")'
        return [Finding(outcome="not judged", reason=reason, by=CHAMPION, numbers={"won": "off"})]
    rows = _rows_or_doubt(referee, rules)
    if isinstance(rows, Finding):
        return [rows]
    metric = deciding_metric(evidence.task, rules)
    return [stands(rows, metric, rules, rows.champion, _name(referee), referee.look, CHAMPION)]


def anchor(evidence: Evidence, rules: Rules) -> list[Finding]:
    """How the model stands to the last version that won as better or was set by hand."""
    known = compared(evidence, rules)
    if known is None or rules.against_champion != "no_worse" or not known[0].anchor:
        return []
    referee, rows = known
    name = f"the anchor, {referee.anchor}"
    if rows.anchor is None:
        reason = f"{name}, could not be asked, so a slow loss cannot be told"
        return [Finding(outcome="inconclusive", reason=reason, by=ANCHOR)]
    metric = deciding_metric(evidence.task, rules)
    return [stands(rows, metric, rules, rows.anchor, name, referee.look, ANCHOR)]


def compared(evidence: Evidence, rules: Rules) -> tuple[Referee, Rows] | None:
    """The referee and its rows, where the champion was asked and the rules want it compared."""
    referee = evidence.referee
    if referee is None or referee.status == "none" or rules.against_champion not in COMPARED:
        return None
    rows = _rows_or_doubt(referee, rules)
    return None if isinstance(rows, Finding) else (referee, rows)


def _name(referee: Referee) -> str:
    return referee.champion or "the champion"


def _rows_or_doubt(referee: Referee, rules: Rules) -> Rows | Finding:
    """The referee rows, or why nothing can be told of the champion."""
    if referee.status == "off":
        why = "the run was told not to"
    elif referee.status == "doubt" or referee.rows is None:
        why = referee.reason or "there are no referee rows"
    else:
        units, least = referee.rows.units, rules.min_referee
        if units >= least:
            return referee.rows
        why = (
            f"{counted(len(referee.rows), 'row')} of {counted(units, 'unit')} that neither model "
            f"has seen are too few (gate.min_referee = {least})"
        )
    return Finding(
        outcome="inconclusive",
        reason=f"not compared with {_name(referee)}: {why}",
        by=CHAMPION,
        otherwise='with gate.on_inconclusive = "promote" it would pass all the same',
        numbers={"counts": dict(referee.counts), "look": referee.look},
    )
