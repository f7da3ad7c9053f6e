"""What a column seems to be: the kind that fits its cells, found with the reader itself.

- A kind is proposed from the distinct texts of a sample, then tried on every cell, by
  `models.served`: what is proposed here is what training and serving will read.
- A token such as "?" or "NA" is proposed as missing where it is all that keeps a column from
  being numbers or dates; in text only what cannot be a word ("?", "#N/A") is.
- Codes ("007", digits beyond 2^53) stay text, because they are not amounts.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from flows.candidates import (
    CODE,
    MOSTLY,
    TOKENS,
    Guess,
    Texts,
    find_boolean,
    find_category,
    find_date,
    find_number,
)
from models.served import FAULTS, NUMERIC, Column, bare, read_cells, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

SAMPLE = 5_000  # rows whose distinct texts propose a kind
LEADING_ZERO = re.compile(r"\n\s*0\d+\s*\n")
FINDERS = {
    "boolean": find_boolean,
    "number": find_number,
    "integer": find_number,
    "date": find_date,
}


def infer(
    values: pd.Series, defaults: Mapping[str, Any], kind: str | None = None
) -> tuple[Guess, np.ndarray, np.ndarray]:
    """Return the guess for a raw column, its typed cells, and the fault of each cell.

    Args:
        values: raw cells, text or typed.
        defaults: entry keys from the settings: name, missing, decimal, thousands, replace, format.
        kind: the kind that the settings give; left out: found here.

    """
    guess = _by_type(values, defaults) if kind is None else None
    if guess is None:
        sample = values if len(values) <= SAMPLE else values.iloc[_spread(len(values))]
        guess = _guess(_texts(sample, defaults), kind)
    cells, fault = read_cells(values, Column.of(guess.entry))
    if fault.any() or (guess.kind == "integer" and values.dtype.kind == "O"):
        better = _reconsider(guess, values, fault, defaults, kind)
        if better.entry != guess.entry:
            cells, fault = read_cells(values, Column.of(better.entry))
        guess = better
    return guess, cells, fault


def _spread(rows: int) -> np.ndarray:
    return np.linspace(0, rows - 1, SAMPLE).astype(np.int64)


def _by_type(values: pd.Series, defaults: Mapping[str, Any]) -> Guess | None:
    """Return the guess for a typed column; None where its cells have to be looked at."""
    import pandas as pd

    dtype = values.dtype
    typed = {"f": "number", "i": "integer", "u": "integer", "b": "boolean", "M": "date"}
    kind = typed.get(dtype.kind)
    if kind is None or isinstance(dtype, pd.CategoricalDtype):
        return None
    return Guess(kind=kind, reason=f"the source says {dtype}", entry={**defaults, "kind": kind})


def _texts(values: pd.Series, defaults: Mapping[str, Any]) -> Texts:
    """Count the distinct texts of cells that are not missing, after replacements and without unit."""
    import pandas as pd

    cells, _ = read_cells(values, Column.of({**defaults, "kind": "text"}))
    present = cells[~pd.isna(cells)].tolist()
    if unit := defaults.get("unit"):
        present = [bare(text, unit) for text in present]
    return Texts(counts=Counter(present), defaults=defaults)


def _guess(texts: Texts, kind: str | None) -> Guess:
    """Return the first kind that fits; a kind that is given decides, and keeps what was found."""
    tried = ["boolean", "number", "date"] if kind is None else [kind]
    hints: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    for name in tried:
        found = FINDERS[name](texts) if name in FINDERS and texts.counts else None
        if found is None:
            continue
        if kind in (None, found.kind) or (kind in NUMERIC and found.kind in NUMERIC):
            settled = kind or found.kind
            return replace(found, kind=settled, entry={**found.entry, "kind": settled})
        hints, formats = found.hints, found.formats
    if kind is None:
        return find_category(texts)
    entry = texts.entry(kind)
    reason = "the settings say so"
    return Guess(kind=kind, reason=reason, entry=entry, hints=hints, formats=formats)


def _reconsider(
    guess: Guess,
    values: pd.Series,
    fault: np.ndarray,
    defaults: Mapping[str, Any],
    kind: str | None,
) -> Guess:
    """Look again at a guess from a sample, knowing which of all cells it cannot read."""
    free = kind is None
    if free and (fault.mean() > 1 - MOSTLY or (guess.kind == "integer" and _has_codes(values))):
        return _flagged(_guess(_texts(values, defaults), kind), Texts(counts=Counter()))
    bad = _texts(values.loc[fault > 0], defaults)
    tokens = [text for text in bad.counts if text in TOKENS]
    missing = [*dict.fromkeys([*guess.entry.get("missing", ()), *tokens])]
    guess = replace(guess, entry={**guess.entry, "missing": missing})
    if free and guess.kind == "integer" and len(tokens) < len(bad.counts):
        entry = {**guess.entry, "kind": "number"}
        guess = replace(guess, kind="number", reason="its cells are numbers", entry=entry)
    return _flagged(guess, bad)


def _has_codes(values: pd.Series) -> bool:
    """Whether a text column of whole numbers has one like 007 (any digits, where few differ)."""
    texts = [cell for cell in values.unique() if isinstance(cell, str)]
    if len(texts) < SAMPLE:
        return any(CODE.fullmatch(text.strip()) for text in texts)
    return LEADING_ZERO.search("\n\n".join(["", *texts, ""])) is not None


def _flagged(guess: Guess, bad: Texts) -> Guess:
    """Return the guess, flagged where some texts remain that it cannot read."""
    import pandas as pd

    texts = list(bad.counts)
    _, fault = read_cells(pd.Series(texts, dtype=object), Column.of(guess.entry))
    places = np.flatnonzero(fault)
    if not places.size:
        return guess
    example, reason = shown(texts[places[0]]), FAULTS[int(fault[places[0]])]
    hint = f"{places.size} kind(s) of cells do not fit, such as {example}, which {reason}"
    flags = tuple(sorted({*guess.flags, "mixed"}))
    return replace(guess, flags=flags, hints=(*guess.hints, hint))
