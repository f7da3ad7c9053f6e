"""Words that stand for "missing" ("unknown", "-", "n.a.", NA), and when such a word is a level after all.

- Some words say that a cell is not known whatever the column is about; they are proposed.
- NA is a level where the other levels are codes of its own shape, as countries and regions have
  (AF, EU, NA): then it is left alone, and that is said. "None" often means "no such thing", so it
  stays a level too, and is said.
- One or two texts that occur again and again among numbers are what keeps a column from being numbers.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from flows.candidates import INTEGER, SYMBOLS, TOKENS
from flows.sentinels import Pile

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd

UNKNOWN = re.compile(
    r"(un|not )known|unspecified|undefined|undetermined|not (available|recorded|reported|stated|given|specified|"
    r"applicable)|n\.\s?a\.?|n\.\s?d\.?|no data|nodata|missing|missing value|data missing|null|nan|nil|"
    r"미상|불명|모름|알 ?수 ?없음|결측|미입력|미확인|不明|未知|unbekannt|keine angabe|k\. ?a\.|inconnue?|"
    r"non renseigné|desconocid[oa]|sin datos|sconosciuto|desconhecid[oa]|неизвестно|нет данных",
    re.IGNORECASE,
)
SIGNS = ("-", "--", "---", ".", "..", "*", "**", "#")
NONE = ("none", "no", "nothing", "없음")
CODES = 4  # levels of one shape that make NA one of them
FEW = 3  # times that a text must occur among numbers
STRANGERS = 2  # texts that may keep a column from being numbers
NUMBERS = 10  # different numbers that must be left
SHOWN = 4


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A word that looks like "missing" and stays a level, with the reason."""

    column: str
    token: str
    count: int
    why: str


def words(table: pd.DataFrame, profile: Mapping[str, Any]) -> tuple[list[Pile], list[Kept]]:
    """Return the words that stand for missing in text columns, and those left alone."""
    found: list[Pile] = []
    kept: list[Kept] = []
    for column in profile["columns"]:
        target = column["role"] == "target"
        if column["role"] not in {"feature", "target"} or column["kind"] not in {
            "category",
            "text",
        }:
            continue
        strangers = [] if target else _strangers(column, table)
        if strangers:
            found += strangers
            continue
        levels = dict(column.get("levels") or ())
        for token, count in levels.items():
            others = [level for level in levels if level != token]
            judged = _judged(str(token), [str(level) for level in others])
            if judged is None or not others:
                continue
            name, (missing, why) = column["name"], judged
            if missing:
                found.append(Pile(column=name, token=token, count=count, sure=not target, why=why))
            else:
                kept.append(Kept(column=name, token=token, count=count, why=why))
    return found, kept


def _judged(token: str, others: list[str]) -> tuple[bool, str] | None:
    """Return whether a level means missing, and why; None where it is a word like any other."""
    if UNKNOWN.fullmatch(token) and token not in SYMBOLS:  # which are declared already
        return True, "the word says so"
    if token in SIGNS:
        signs = any(not re.search(r"\w", other) for other in others)
        return (False, "other levels are signs too") if signs else (True, "a sign among words")
    if token.casefold() == "na":
        return _code_or_missing(token, others)
    if token.casefold() == "none" and not any(other.casefold() in NONE for other in others):
        return False, '"none" often means that there is no such thing'
    return None


def _code_or_missing(token: str, others: list[str]) -> tuple[bool, str]:
    alike = sorted(other for other in others if _shape(other) == _shape(token))
    if len(alike) >= CODES and 2 * len(alike) >= len(others):
        return False, f"the others are codes of its shape too ({', '.join(alike[:SHOWN])}, ...)"
    return True, f"{'few' if alike else 'no'} other levels are codes of its shape"


def _shape(text: str) -> str:
    """Return letters as a or A, digits as 0: what codes of one kind share."""
    return re.sub(r"\d", "0", re.sub(r"[^\W\d_]", lambda m: "A" if m[0].isupper() else "a", text))


def _strangers(column: Mapping[str, Any], table: pd.DataFrame) -> list[Pile]:
    """Return the one or two texts that alone keep a text column from being numbers."""
    if "mixed" not in (column.get("flags") or ()):
        return []
    import pandas as pd

    texts = Counter(_texts(pd.Series(table[column["name"]]), column.get("tokens") or ()))
    numbers, others = _sorted_out(texts, column)
    if not others or len(others) > STRANGERS or len(numbers) < NUMBERS:
        return []
    if any(texts[text] < FEW for text in others):
        return []
    whole = "whole numbers" if all(INTEGER.fullmatch(n) for n in numbers) else "numbers"
    why = f"the other {len(numbers):,} different texts of the column are {whole}"
    return [
        Pile(column=column["name"], token=text, count=texts[text], sure=True, why=why)
        for text in others
    ]


def _texts(values: pd.Series, missing: Iterable[str]) -> list[str]:
    present = values.dropna().astype(str).str.strip()
    return [text for text in present.tolist() if text and text not in missing]


def _sorted_out(texts: Mapping[str, int], column: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Return which texts are numbers, as the column would be read, and which are not."""
    import pandas as pd

    from models.served import Column, read_cells

    names = list(texts)
    keys = ("decimal", "thousands", "unit")
    entry = {key: column[key] for key in keys if column.get(key)} | {"name": "-", "kind": "number"}
    _, fault = read_cells(pd.Series(names, dtype=object), Column.of(entry, ()))
    bad = set(np.flatnonzero(fault).tolist())
    others = [name for place, name in enumerate(names) if place in bad and name not in TOKENS]
    return [name for place, name in enumerate(names) if place not in bad], others
