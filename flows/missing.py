"""What `init` declares as missing: texts, words and numbers that stand for nothing, each with its count.

- Texts such as "?" that are a level nowhere are declared for the whole table; everything else for
  the column in which it was found, because -1 can be a value in the next one.
- What is only likely is said, and left to the person.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from expectations.failure import shown
from flows.sentinels import Pile, piles
from flows.stand_ins import words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from flows.settings_text import Draft

NAMED = 5  # columns named in one sentence


def declare(
    draft: Draft, profile: Mapping[str, Any], table: pd.DataFrame
) -> tuple[list[str], list[str]]:
    """Add what stands for missing to the draft; return what was decided, and what may be missing."""
    found, kept = words(table, profile)
    found += piles(table, profile)
    said = _everywhere(draft, profile)
    sure = [pile for pile in found if pile.sure]
    for pile in sure:
        _declare(draft, pile, profile["rows"])
    said += [_sentence(token, sure) for token in dict.fromkeys(pile.token for pile in sure)]
    said += [
        f"missing: {shown(one.token)} in {shown(one.column)} ({one.count:,} cells) stays a level: {one.why}"
        for one in kept
    ]
    return said, [_maybe(pile) for pile in found if not pile.sure]


def _everywhere(draft: Draft, profile: Mapping[str, Any]) -> list[str]:
    """Declare the texts that the profile found to mean missing."""
    counts: dict[str, dict[str, int]] = {}
    for column in profile["columns"]:
        for token in column.get("missing_tokens") or ():
            counts.setdefault(token, {})[column["name"]] = column["tokens"].get(token, 0)
    kept = {
        level
        for column in profile["columns"]
        for level, _ in column.get("levels") or ()
        if level not in (column.get("missing_tokens") or ())
    }
    everywhere = [token for token in counts if token not in kept]
    said = {
        token: f"{shown(token)} in {_listed(list(names.items()))}"
        for token, names in counts.items()
    }
    if everywhere:
        draft.data["missing"] = list(dict.fromkeys(["", *everywhere]))
        cells = "; ".join(said[token] for token in everywhere)
        draft.why["data.missing"] = f"cell texts that stand for nothing: {cells}"
    for token, names in counts.items():
        for name, count in names.items() if token in kept else ():
            _add(draft, name, token, f"{shown(token)} in {count:,} cells; elsewhere it is a level")
    return [f"missing: {text}" for text in said.values()]


def _listed(counts: Sequence[tuple[str, int]]) -> str:
    named = [f"{shown(name, 30)} ({count:,} cells)" for name, count in counts[:NAMED]]
    more = f" and {len(counts) - NAMED:,} more columns" if len(counts) > NAMED else ""
    return ", ".join(named) + more


def _declare(draft: Draft, pile: Pile, rows: int) -> None:
    why = f"{shown(pile.token)} in {pile.count:,} of {rows:,} cells: {pile.why}"
    _add(draft, pile.column, pile.token, why)


def _add(draft: Draft, name: str, token: str, why: str) -> None:
    tokens = draft.columns.setdefault(name, {}).setdefault("missing", [])
    if token not in tokens:
        tokens.append(token)
        before = draft.why.get(f"columns.{name}")
        draft.why[f"columns.{name}"] = f"{before}\n{why}" if before else why


def _sentence(token: str, sure: Sequence[Pile]) -> str:
    same = [pile for pile in sure if pile.token == token]
    counts = _listed([(pile.column, pile.count) for pile in same])
    first = f"{shown(same[0].column, 30)}: " if len(same) > 1 else ""
    return f"missing: {shown(token)} in {counts}: {first}{same[0].why}"


def _maybe(pile: Pile) -> str:
    return (
        f"{shown(pile.token)} in {shown(pile.column)} ({pile.count:,} cells) may stand for missing: "
        f"{pile.why}; if it does, declare it: missing = of [data.columns.{shown(pile.column)}]"
    )
