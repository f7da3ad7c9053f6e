"""`data.max_fraction`: how many rows may be set aside, in all and by rule or column.

- A number is a share of all rows. A table holds `total` and shares by rule id (`age.range`), by
  column (`age`: any of its rules) or by a pattern of either (`age_*`, `*.range`).
- A limit by name counts the rows that any of its rules sets aside, each row once.
- A name that meets no rule is refused: a limit that limits nothing would only comfort.
"""

from __future__ import annotations

import difflib
import unicodedata
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import numpy as np

    from expectations.failure import Failure

TOTAL, DEFAULT = "total", 0.01
ROUNDING = 1e-9  # 0.29 of 100 rows are 29 rows, and not 28.999999999999996
NAMED = 5


def _checked(value: Any) -> Any:
    """Refuse what is no share of rows, by its name; names in NFC, as columns are read."""
    shares = value if isinstance(value, dict) else {"": value}
    for name, share in shares.items():
        number = isinstance(share, int | float) and not isinstance(share, bool)
        if not number or not 0 <= share < 1:
            where = f"{name!r} " if name else ""
            raise ValueError(
                f"{where}must be a share of the rows, from 0 to below 1, or a table of them such "
                f'as {{ total = 0.01, "age.range" = 0.001 }}, found {share!r}'
            )
    if isinstance(value, dict):
        return {unicodedata.normalize("NFC", str(name)): share for name, share in value.items()}
    return value


Fractions = Annotated[float | dict[str, float], BeforeValidator(_checked)]


def total_of(fractions: float | Mapping[str, float]) -> float:
    """The share of all rows that may be set aside, by whatever rule."""
    if isinstance(fractions, float | int):
        return float(fractions)
    return float(fractions.get(TOTAL, DEFAULT))


@dataclass(frozen=True, kw_only=True)
class Limit:
    """One entry of `data.max_fraction`, and what it met."""

    name: str
    """As it stands in the settings; "total" is that of all rules."""
    allowed: float
    rules: tuple[str, ...]
    """The broken rules that it covers."""
    rows: int
    """Rows that they set aside."""
    total: int
    """Of how many."""

    @property
    def over(self) -> bool:
        """Whether more rows are set aside than may be."""
        return self.rows > (self.allowed + ROUNDING) * self.total

    def headline(self) -> str:
        """What was found and what may be, as one sentence."""
        from expectations.failure import shown

        found = f"{self.rows:,} of {self.total:,} rows ({self.rows / self.total:.2%})"
        if self.name == TOTAL:
            return (
                f"{found} break critical rules, at most {self.allowed:.2%} may be set aside "
                "(data.max_fraction)"
            )
        rules = ", ".join(shown(rule) for rule in self.rules[:NAMED])
        more = f" and {len(self.rules) - NAMED} more" if len(self.rules) > NAMED else ""
        return (
            f"{found} break {rules}{more}, at most {_percent(self.allowed)} may be set aside by "
            f'that (data.max_fraction "{shown(self.name)}")'
        )

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "name": self.name,
            "allowed": self.allowed,
            "rules": list(self.rules),
            "rows": self.rows,
            "over": self.over,
        }


def _percent(share: float) -> str:
    """A limit as it was written: 0.0001 is not 0.00%."""
    return f"{100 * share:.6g}%"


def limits(
    fractions: float | Mapping[str, float],
    known: Mapping[str, str | None],
    broken: Mapping[str, np.ndarray],
    total: int,
) -> list[Limit]:
    """Hold what was found against the limits, that of all rules first.

    Args:
        fractions: `data.max_fraction`.
        known: the column of every rule that could set a row aside, by rule id.
        broken: the rows that each broken critical rule sets aside.
        total: rows of the table.

    Raises:
        ValueError: a name of a limit meets no known rule and no column.

    """
    by_name = {} if isinstance(fractions, float | int) else dict(fractions)
    by_name.pop(TOTAL, None)
    everything = {**known, **{rule: known.get(rule) for rule in broken}}
    found = [_limit(TOTAL, total_of(fractions), broken, broken, total)]
    for name, allowed in by_name.items():
        met = [rule for rule, column in everything.items() if meets(name, rule, column)]
        if not met:
            raise ValueError(_unknown(name, everything))
        found.append(_limit(name, allowed, met, broken, total))
    return found


def idle(
    held: Sequence[Limit], known: Mapping[str, str | None], warned: Collection[str]
) -> list[Failure]:
    """Warn of limits whose rules (`warned`) only warn, so that they set no row aside."""
    from expectations.failure import Failure, shown

    found = []
    for limit in held[1:]:
        met = [rule for rule, column in known.items() if meets(limit.name, rule, column)]
        if met and all(rule in warned for rule in met):
            found.append(
                Failure(
                    rule="data.max_fraction",
                    column=None,
                    count=1,
                    total=1,
                    severity="warning",
                    message=f"the limit {shown(limit.name)} binds nothing: "
                    f"{', '.join(shown(rule) for rule in met[:NAMED])} only warns",
                    advice="accept the contract, or make the rule critical in it",
                )
            )
    return found


def meets(name: str, rule: str, column: str | None) -> bool:
    """Whether a limit's name is, or as a pattern covers, a rule or its column."""
    places = (rule, column) if column is not None else (rule,)
    return name in places or any(fnmatchcase(place, name) for place in places)


def _limit(
    name: str, allowed: float, rules: Sequence[str] | Any, broken: Mapping[str, Any], total: int
) -> Limit:
    import numpy as np

    here = tuple(rule for rule in rules if rule in broken)
    rows = [broken[rule] for rule in here]
    count = len(np.unique(np.concatenate(rows))) if rows else 0
    return Limit(name=name, allowed=allowed, rules=here, rows=count, total=total)


def _unknown(name: str, known: Mapping[str, str | None]) -> str:
    from expectations.failure import shown

    names = [*known, *{column: None for column in known.values() if column is not None}]
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"; did you mean {shown(near[0])}?" if near else ""
    return (
        f"data.max_fraction names {shown(name)}, which is no rule and no column of the contract"
        f"{hint}"
    )
