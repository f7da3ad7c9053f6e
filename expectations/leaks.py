"""What a leak is here: one finding with its type, columns or rows, evidence, and what to do.

- Eight types, after Kapoor and Narayanan (Patterns 2023). Detectors are pure functions on arrays, in
  the files `leaks_*.py`; nothing here reads a file.
- A finding is `sure` where chance and an honest table cannot explain it; all others are suspicions.
- A type's level: "auto" refuses what is sure and warns of the rest, "error" refuses both, "warn"
  refuses nothing, "off" does not look. An accepted finding never refuses, and stays in the report.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

from expectations.failure import Failure, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

LeakType = Literal[
    "test_set",
    "preprocessing",
    "selection",
    "duplicates",
    "illegitimate",
    "temporal",
    "dependent",
    "population",
]
Level = Literal["auto", "error", "warn", "off"]
TYPES: tuple[str, ...] = get_args(LeakType)
WORDS = {
    "test_set": "a test set that nothing else uses",
    "preprocessing": "preparation learned on judged rows",
    "selection": "selection made on judged rows",
    "duplicates": "near duplicates across sides",
    "illegitimate": "features that cannot be known",
    "temporal": "the future in the past",
    "dependent": "rows that belong together",
    "population": "test rows of another population",
}
"""Each type as the report calls it."""
COLUMNS_NAMED = 8


@dataclass(frozen=True, kw_only=True)
class Leak:
    """One finding of a detector."""

    type: str
    """One of TYPES."""
    kind: str
    """What was seen, such as "copy" or "made_of"."""
    columns: tuple[str, ...] = ()
    """The columns that it is about; none: it is about rows."""
    sure: bool = False
    """Whether neither chance nor an honest table can explain it."""
    sentence: str
    """What was found, with its numbers."""
    numbers: Mapping[str, Any] = field(default_factory=dict)
    """The evidence, as plain JSON."""
    advice: str = ""
    """What to do, beside dropping the columns or accepting the finding."""
    droppable: bool = True
    """Whether leaving the columns out would end it."""

    @property
    def said(self) -> str:
        """The finding, and what to do in a few words."""
        return "; ".join(filter(None, (self.sentence, self.advice)))


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """A person's word that findings of a type, about a column, are no leak."""

    type: str
    column: str | None
    reason: str

    def covers(self, leak: Leak) -> bool:
        """Whether a finding is meant: of the type, and about the column or about rows."""
        named = self.column in leak.columns if self.column is not None else not leak.columns
        return self.type == leak.type and named


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A finding with what becomes of it."""

    leak: Leak
    level: Literal["error", "warn"]
    accepted: str | None
    """The reason for which it was accepted."""

    @property
    def refuses(self) -> bool:
        """Whether the run must not go on."""
        return self.level == "error" and self.accepted is None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        leak = self.leak
        return {
            "type": leak.type,
            "kind": leak.kind,
            "columns": list(leak.columns),
            "level": self.level,
            "accepted": self.accepted,
            "sentence": leak.sentence,
            "numbers": dict(leak.numbers),
            "advice": advice(leak),
        }


def judged(
    leaks: Iterable[Leak], levels: Mapping[str, Level], accepted: Sequence[Accepted]
) -> list[Judged]:
    """Return what becomes of each finding, the gravest first; types that are off are left out."""
    found = []
    for leak in leaks:
        level = levels.get(leak.type, "auto")
        if level == "off":
            continue
        grave = level == "error" or (level == "auto" and leak.sure)
        reason = next((each.reason for each in accepted if each.covers(leak)), None)
        found.append(Judged(leak=leak, level="error" if grave else "warn", accepted=reason))
    order = {name: place for place, name in enumerate(TYPES)}
    return sorted(found, key=lambda j: (not j.refuses, j.level != "error", order[j.leak.type]))


def unmatched(leaks: Iterable[Leak], accepted: Sequence[Accepted]) -> list[Accepted]:
    """Return the acceptances that no finding needs any more."""
    found = list(leaks)
    return [each for each in accepted if not any(each.covers(leak) for leak in found)]


def advice(leak: Leak) -> str:
    """Say what to do about a finding, with the lines to paste into the settings."""
    lines = [leak.advice] if leak.advice else []
    if leak.columns and leak.droppable:
        lines.append(f"leave out: [data] drop = {_list(leak.columns)}")
    entry = {"type": leak.type, **({"column": leak.columns[0]} if leak.columns else {})}
    pairs = ", ".join(f"{key} = {quoted(value)}" for key, value in entry.items())
    lines.append(f'or accept: [leaks] accept = [{{ {pairs}, reason = "why it is no leak" }}]')
    return "; ".join(lines)


def failure(found: Judged, rows: int) -> Failure:
    """Return a finding as a failure that refuses the data."""
    leak = found.leak
    return Failure(
        rule=f"leaks.{leak.type}.{leak.kind}",
        column=leak.columns[0] if len(leak.columns) == 1 else None,
        count=int(leak.numbers.get("rows", 1)),
        total=rows if "rows" in leak.numbers else 1,
        message=leak.sentence,
        severity="critical" if found.refuses else "warning",
        advice=advice(leak),
    )


def named(columns: Sequence[str]) -> str:
    """Return columns as a short list for a sentence."""
    more = len(columns) - COLUMNS_NAMED
    said = ", ".join(shown(name, 40) for name in columns[:COLUMNS_NAMED])
    return f"{said} and {more:,} more" if more > 0 else said


def quoted(text: str) -> str:
    """Return a text as TOML holds it."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _list(names: Sequence[str]) -> str:
    return f"[{', '.join(quoted(name) for name in names)}]"
