"""What is wrong with a table, as bounded facts that a person can act on.

- A failure is one rule: how many of how many, at most five examples with record numbers, advice.
- Bounded by construction: values are shortened and escaped when an `Example` is made, so no
  terminal sequence, newline or ten-megabyte cell reaches a log, a report or an exception.
- `describe` is the one text block that every refusal and warning is printed with.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Severity = Literal["critical", "warning"]

EXAMPLES_KEPT = 5
LONGEST_VALUE = 60  # characters of a cell
LONGEST_MESSAGE = 500  # characters of a sentence of ours, which may quote several names
RULES_SHOWN = 10
EXACT = 1e15  # whole numbers below are written without a fraction
MISSING_TEXTS = {"None", "nan", "NaT", "<NA>"}  # how missing values of pandas print


def shown(value: object, limit: int = LONGEST_VALUE) -> str:
    r"""Return `value` as one printable line of at most `limit` characters.

    Newlines, control and invisible formatting characters appear as `\n`, `\x1b`, `\u202e`;
    a missing value appears as `<missing>`. Applying it twice changes nothing.
    """
    text = value if isinstance(value, str) else str(value)
    if not isinstance(value, str) and text in MISSING_TEXTS:
        return "<missing>"
    head = text[: limit + 1]
    if not head.isprintable():
        head = "".join(c if c.isprintable() else _escaped(c) for c in head)
    if len(text) <= limit and len(head) <= limit:
        return head
    tail = f"... ({len(text):,} characters)" if len(text) > limit else "..."
    return head[: max(limit - len(tail), 0)] + tail


def written(value: object) -> object:
    """Return a cell as a person writes it: a whole number, typed as a float, without a fraction."""
    if isinstance(value, float) and value.is_integer() and abs(value) < EXACT:
        return int(value)
    return value


def _escaped(character: str) -> str:
    if "\ud800" <= character <= "\udfff":
        return f"\\u{ord(character):04x}"
    return character.encode("unicode_escape").decode("ascii")


@dataclass(frozen=True, kw_only=True)
class Example:
    """One cell or row that breaks a rule."""

    row: int | None
    """Record number within the source, from 1; a quoted newline does not count as a record."""
    value: str
    """The cell, shortened and escaped by `shown`."""
    source: str | None = None
    """Name of the part that the record came from."""

    def __post_init__(self) -> None:
        """Bound the value, whoever made it."""
        object.__setattr__(self, "value", shown(self.value))
        object.__setattr__(self, "row", None if self.row is None else int(self.row))

    def __str__(self) -> str:
        """Return for instance `a.csv record 17: -4`."""
        record = "" if self.row is None else f"record {self.row:,}"
        where = " ".join(p for p in (shown(self.source) if self.source else "", record) if p)
        return f"{where}: {self.value}" if where else self.value


@dataclass(frozen=True, kw_only=True)
class Failure:
    """One broken rule of a table, with how often and where."""

    rule: str
    """Rule id, such as `age.range` or `table.rows`."""
    column: str | None
    """The column's exact name; None for a rule of the whole table."""
    count: int
    """How many rows (or columns, for rules about columns) break it."""
    total: int
    """Out of how many; 1 of 1 for a rule about the whole table, such as a mean."""
    message: str
    """What must hold and what was found, as one sentence."""
    severity: Severity = "critical"
    """`critical` diverts rows or refuses the table, `warning` is reported."""
    examples: tuple[Example, ...] = ()
    """The first few offenders; more than five are cut."""
    advice: str = ""
    """What to do about it."""

    def __post_init__(self) -> None:
        """Bound the examples and turn numpy counts into plain ones."""
        object.__setattr__(self, "examples", tuple(self.examples)[:EXAMPLES_KEPT])
        object.__setattr__(self, "count", int(self.count))
        object.__setattr__(self, "total", int(self.total))

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values; `from_json` gives an equal failure back."""
        examples = [{"row": e.row, "value": e.value, "source": e.source} for e in self.examples]
        names = ("rule", "column", "count", "total", "message", "severity")
        return {n: getattr(self, n) for n in names} | {"examples": examples, "advice": self.advice}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Failure:
        """Make the failure that `to_json` described."""
        examples = tuple(Example(**e) for e in values.get("examples", ()))
        return cls(**{**values, "examples": examples})


def located(frame: Any, places: Iterable[int], values: Iterable[object]) -> tuple[Example, ...]:
    """Return the first few cells as examples, by the frame's `__source__` and `__record__`.

    Args:
        frame: a pandas table; without those columns the record is the position, from 1.
        places: row positions.
        values: their cells, as they were read.

    """
    found = []
    for place, value in itertools.islice(zip(places, values, strict=False), EXAMPLES_KEPT):
        record = frame["__record__"].iloc[place] if "__record__" in frame else place + 1
        source = str(frame["__source__"].iloc[place]) if "__source__" in frame else None
        found.append(Example(row=record, value=shown(value), source=source))
    return tuple(found)


def dumps(failures: Iterable[Failure]) -> str:
    """Return failures as JSON text, names of any script readable."""
    return json.dumps([f.to_json() for f in failures], ensure_ascii=False, indent=1)


def loads(text: str) -> list[Failure]:
    """Return the failures that `dumps` wrote."""
    return [Failure.from_json(values) for values in json.loads(text)]


def describe(failures: Sequence[Failure], cap: int = RULES_SHOWN) -> str:
    """Return the failures as a bounded block of text, critical and frequent ones first.

    ```
    age.range, column age: 12 of 1,000
        must lie between 0 and 120
        a.csv record 17: -4
        ... and 11 more
        -> correct the cells, or widen min/max of [columns."age"] in the contract
    ... and 3 more rules
    ```
    """
    ordered = sorted(failures, key=lambda f: (f.severity != "critical", -f.count / max(f.total, 1)))
    blocks = [_block(failure) for failure in ordered[:cap]]
    if len(ordered) > cap:
        left = len(ordered) - cap
        blocks.append(f"... and {left:,} more rule{'s' if left > 1 else ''}")
    return "\n".join(blocks)


def _block(failure: Failure) -> str:
    column = f", column {shown(failure.column)}" if failure.column is not None else ""
    warns = "warning: " if failure.severity == "warning" else ""
    counts = f": {failure.count:,} of {failure.total:,}" if failure.total > 1 else ""
    lines = [f"{warns}{shown(failure.rule)}{column}{counts}"]
    lines.append(f"    {shown(failure.message, LONGEST_MESSAGE)}")
    lines += [f"    {example}" for example in failure.examples]
    left = failure.count - len(failure.examples)
    if failure.examples and left > 0:
        lines.append(f"    ... and {left:,} more")
    if failure.advice:
        lines.append(f"    -> {shown(failure.advice, LONGEST_MESSAGE)}")
    return "\n".join(lines)
