"""The kinds that a column's texts could be: each is tried with the reader itself.

- A finder returns a guess or None; a guess may be flagged "mixed" where a few cells do not fit.
- Number marks are only taken where the cells leave no doubt: 1,500 alone could be 1.5 or 1500.
- A date whose day and month could be swapped is never guessed: all fitting formats are listed.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from models.served import Column, read_cells, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MOSTLY = 0.95  # share of cells that must fit for the others to count as errors in the data
FEW = 20  # commonest texts that sort out most date formats
SYMBOLS = ("?", "??", "???", "\\N", "#N/A", "N/A", "n/a", "<NA>", "(null)", "#NULL!", "NaN", "nan")
WORDS = ("NA", "na", "NULL", "null", "Null", "None", "none", "-", "--", "---", ".", "..", "*", "#",
         "missing", "Missing", "unknown", "Unknown", "UNKNOWN", "#VALUE!", "#DIV/0!", "#REF!")  # fmt: skip
TOKENS = frozenset((*SYMBOLS, *WORDS))
PAIRS = (("true", "false"), ("yes", "no"), ("t", "f"), ("y", "n"), ("on", "off"), ("예", "아니오"),
         ("ja", "nein"), ("oui", "non"), ("sí", "no"), ("si", "no"), ("是", "否"))  # fmt: skip
DATES = ("%Y/%m/%d", "%Y.%m.%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%m.%d.%Y", "%d-%m-%Y",
         "%m-%d-%Y", "%d/%m/%y", "%m/%d/%y", "%d.%m.%y", "%y/%m/%d", "%d-%m-%y", "%m-%d-%y",
         "%y-%m-%d", "%Y%m%d", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%b %d, %Y", "%d %B %Y",
         "%B %d, %Y", "%Y년 %m월 %d일", "%Y-%m", "%Y/%m", "%b %Y", "%B %Y")  # fmt: skip
CLOCKS = ("", " %H:%M:%S", " %H:%M", "T%H:%M:%S", " %I:%M %p", " %I:%M:%S %p", " %H:%M:%S%z",
          "T%H:%M:%S%z", " %H:%M:%S.%f")  # fmt: skip
MARKS = ((",", "."), (".", ","), (",", " "), (".", " "), (".", "'"))  # decimal, thousands
CODE = re.compile(r"0\d+|\d{16,}")
DATE_LIKE = re.compile(r"\d{6}|\d\D+\d")
NUMERAL = re.compile("[+-]?[0-9.,' \u00a0\u202f\u2019]*[0-9][0-9.,' \u00a0\u202f\u2019]*")
AMOUNT = re.compile(
    "[+-]?\\s*([^\\W\\d_]{0,3}[$€£¥₩]|EUR|USD|GBP|CHF|JPY|CNY|KRW|INR)?\\s*[+-]?\\d[\\d.,' \u00a0\u202f\u2019]*"
    "((?:%|[^\\W\\d_]{1,4}(?:/[^\\W\\d_]{1,4})?|[$€£¥₩°℃]\\w?)?)"
)
INTEGER = re.compile(r"[+-]?\d+")


@dataclass(frozen=True, kw_only=True)
class Guess:
    """A kind with the way to read it, why, and what a person should know."""

    kind: str
    reason: str
    entry: dict[str, Any]
    """The column's entry for the reading schema: kind, missing, decimal, format, ..."""
    formats: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Texts:
    """The distinct texts of the cells that are not missing, with how often each occurs."""

    counts: Counter[str]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Entry keys that every candidate takes: name, missing, decimal, thousands, replace."""

    def entry(self, kind: str, tokens: Iterable[str] = (), **keys: Any) -> dict[str, Any]:
        """Return a column entry of that kind, with more missing tokens."""
        missing = [*dict.fromkeys([*self.defaults.get("missing", ()), *tokens])]
        return {**self.defaults, "kind": kind, "missing": missing, **keys}

    def misfits(self, entry: Mapping[str, Any]) -> tuple[list[str], list[str]]:
        """Return the texts that the entry cannot read: missing tokens, and others."""
        import pandas as pd

        names = list(self.counts)
        _, fault = read_cells(pd.Series(names, dtype=object), Column.of(entry))
        bad = [names[place] for place in np.flatnonzero(fault)]
        return [t for t in bad if t in TOKENS], [t for t in bad if t not in TOKENS]

    def share(self, texts: Iterable[str]) -> float:
        """Return the share of cells that hold one of the texts."""
        return sum(self.counts[text] for text in texts) / max(sum(self.counts.values()), 1)


def find_boolean(texts: Texts) -> Guess | None:
    """Find a pair of words for true and false, in any case."""
    tokens = [text for text in texts.counts if text in TOKENS]
    words = {text.casefold() for text in texts.counts if text not in tokens}
    for true, false in PAIRS:
        if words == {true, false}:
            said = {
                word: [text for text in texts.counts if text.casefold() == pair]
                for word, pair in (("true", true), ("false", false))
            }
            reason = f"its cells are {shown(said['true'][0])} or {shown(said['false'][0])}"
            return Guess(
                kind="boolean", reason=reason, entry=texts.entry("boolean", tokens, **said)
            )
    return None


def find_number(texts: Texts) -> Guess | None:
    """Find numbers: as the settings write them, else with another decimal or thousands mark."""
    if any(CODE.fullmatch(text) for text in texts.counts):
        return None
    for marks in ({}, *_other_marks(texts)):
        tokens, others = texts.misfits(texts.entry("number", **marks))
        if len(tokens) + len(others) == len(texts.counts) or texts.share(others) > 1 - MOSTLY:
            continue
        guess = Guess(
            kind="number",
            reason="its cells are numbers",
            entry=texts.entry("number", tokens, **marks),
            hints=(_marks_hint(marks, texts),) if marks else (),
            flags=("mixed",) if others else (),
        )
        plain = [text for text in texts.counts if text not in tokens]
        if not marks and all(INTEGER.fullmatch(text) for text in plain):
            entry = texts.entry("integer", tokens)
            return replace(guess, kind="integer", reason="its cells are whole numbers", entry=entry)
        return guess
    return None


def _other_marks(texts: Texts) -> list[dict[str, Any]]:
    """Return the decimal and thousands marks that the cells leave no doubt about."""
    cells = [text for text in texts.counts if NUMERAL.fullmatch(text)]
    joined = "".join(cells).translate(str.maketrans("\u00a0\u202f\u2019", "  '"))
    found: list[dict[str, Any]] = []
    for point, group in MARKS:
        if group in joined and _surely_grouped(cells, point, group):
            found.append({"decimal": point, "thousands": group})
        elif point == "," and point in joined and group not in joined:
            marked = [text for text in cells if point in text]
            if any(not re.fullmatch(r"[+-]?[1-9]\d{0,2},\d{3}", text) for text in marked):
                found.append({"decimal": point, "thousands": None})
    return found


def _surely_grouped(cells: list[str], point: str, group: str) -> bool:
    """Whether `group` can only separate thousands in these numerals."""
    mark = {" ": "[ \u00a0\u202f]", "'": "['\u2019]"}.get(group, re.escape(group))
    grouped = [text for text in cells if re.search(mark, text)]
    whole = re.compile(rf"[+-]?\d{{1,3}}({mark}\d{{3}})+({re.escape(point)}\d*)?")
    if not grouped or not all(whole.fullmatch(text) for text in grouped):
        return False
    if group not in ".," or any(len(re.findall(mark, t)) > 1 or point in t for t in grouped):
        return True
    short = [text for text in cells if group not in text]  # 1,500 beside 999, but no 1500
    return bool(short) and all(len(text.lstrip("+-").split(point)[0]) <= 3 for text in short)


def _marks_hint(marks: Mapping[str, Any], texts: Texts) -> str:
    mark = marks["thousands"] or marks["decimal"]
    example = next((text for text in texts.counts if mark in text), "")
    names = [f'decimal = "{marks["decimal"]}"'] if marks["decimal"] != "." else []
    names += [f'thousands = "{marks["thousands"]}"'] if marks["thousands"] else []
    return f"read with {' and '.join(names)}: it has cells like {shown(example)}"


def find_date(texts: Texts) -> Guess | None:
    """Find the one date format that fits every cell; a flagged category where several do."""
    few = Texts(counts=Counter(dict(texts.counts.most_common(FEW))), defaults=texts.defaults)
    if sum(bool(DATE_LIKE.search(text)) for text in few.counts) * 2 < len(few.counts):
        return None
    fitting: dict[str | None, list[str]] = {}
    for written in (None, *(day + clock for clock in CLOCKS for day in DATES)):
        entry = texts.entry("date", format=written)
        tokens, others = few.misfits(entry)
        if others or len(tokens) == len(few.counts):
            continue
        tokens, others = texts.misfits(entry)
        if not others:
            fitting[written] = tokens
            if written is None:
                break
    formats = tuple(written for written in fitting if written)
    if not fitting or ("%Y%m%d" in formats and len(texts.counts) < FEW):
        return None
    if len(fitting) > 1 and not _agree(texts, list(fitting)):
        hint = f"its dates fit {' and '.join(map(shown, formats))}: declare the format"
        return Guess(
            kind="category",
            reason="its dates are ambiguous",
            entry=texts.entry("category"),
            formats=formats,
            flags=("ambiguous_date",),
            hints=(hint,),
        )
    written, tokens = next(iter(fitting.items()))
    said = shown(written) if written else "ISO 8601"
    entry = texts.entry("date", tokens, format=written)
    return Guess(kind="date", reason=f"its cells are dates ({said})", entry=entry)


def _agree(texts: Texts, formats: list[str | None]) -> bool:
    """Whether all formats give the same dates, as %b and %B do for "May"."""
    import pandas as pd

    cells = pd.Series(list(texts.counts), dtype=object)
    columns = [Column.of(texts.entry("date", format=written)) for written in formats]
    read = [read_cells(cells, column)[0] for column in columns]
    return all(np.array_equal(read[0], other, equal_nan=True) for other in read[1:])


def unit_of(texts: Iterable[str]) -> str | None:
    """Return the one sign that stands beside all these numbers, as in 12.5 % or $1,200.00."""
    found = [AMOUNT.fullmatch(text) for text in texts]
    signs = {(match[1] or "", match[2]) for match in found if match}
    before, behind = next(iter(signs)) if all(found) and len(signs) == 1 else ("", "")
    return None if before and behind else before or behind or None


def find_category(texts: Texts) -> Guess:
    """Take the texts as they are, with hints where they look like something else."""
    symbols = [text for text in texts.counts if text in SYMBOLS]
    symbols = symbols if len(symbols) < len(texts.counts) else []
    flags, hints = [], []
    if words := [text for text in texts.counts if text in WORDS]:
        hints.append(f"{shown(words[0])} is kept as a level; declare it in missing if it is none")
    if any(CODE.fullmatch(text) for text in texts.counts):
        flags.append("code")
        hints.append("its digits are a code, not an amount: it stays text")
    else:
        tokens, others = texts.misfits(texts.entry("number"))
        if (
            others
            and len(tokens) + len(others) < len(texts.counts)
            and texts.share(others) < MOSTLY
        ):
            flags.append("mixed")
            hints.append(f"some cells are numbers, others are not, such as {shown(others[0])}")
        elif others and all(re.fullmatch(r"[+-]?\d[\d.,]*", text) for text in others):
            flags.append("ambiguous_number")
            hints.append(f"{shown(others[0])} could have a decimal or a thousands mark: say which")
        elif others and unit_of(others):
            flags.append("unit")
            hints.append(f"{shown(others[0])} is a number with a sign beside it: it stays text")
    entry = texts.entry("category", symbols)
    return Guess(
        kind="category",
        reason="its cells are text",
        entry=entry,
        flags=tuple(flags),
        hints=tuple(hints),
    )
