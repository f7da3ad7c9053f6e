"""Rows that no honest table holds, and honest rows in odd clothes: what a model is tried with.

- Seeded, so that a model that failed once fails again.
- Part of the fresh process (`models/questions.py`): nothing of this repository is needed.
"""

from __future__ import annotations

import datetime as dt
import decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import pandas as pd

UNSEEN = "\u2047 unseen level"
ODD = (
    None, "", "  ", UNSEEN, "nan", "1e400", "-inf", "1_000", "0x10", "\0", "'; DROP TABLE x; --",
    "x" * 10_000, "\U0001f9ca", "2262-13-45", -0.0, 1e308, -1e308, float("nan"), float("inf"),
    10**30, -(10**5000), True, decimal.Decimal("1E+500"), dt.date(1, 1, 1), b"\xff", [1], {"a": 1},
)  # fmt: skip
EVERY = 3
"""One row in so many is left as it is."""
NUMERIC = ("number", "integer")


def disturbed(rows: pd.DataFrame, *, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Return rows of which most hold an odd cell or several, and which of them do."""
    import numpy as np

    draw = np.random.default_rng(seed)
    changed = rows.astype(object)
    spoilt = np.arange(len(rows)) % EVERY != 0
    for row in np.flatnonzero(spoilt):
        count = int(draw.integers(1, min(3, len(rows.columns)) + 1))
        for column in draw.choice(len(rows.columns), count, replace=False):
            changed.iat[row, int(column)] = ODD[int(draw.integers(len(ODD)))]  # noqa: PD009 - a list is one cell here
    return changed, spoilt


def whole_numbers(
    rows: pd.DataFrame, kinds: Mapping[str, str]
) -> tuple[list[pd.DataFrame], list[str]]:
    """Return rows with all numbers rounded, as integers, floats, nullable and text; and which."""
    import pandas as pd

    names = []
    frames = [rows.copy() for _ in range(4)]
    for name in (name for name in rows.columns if kinds.get(name) in NUMERIC):
        numbers: Any = pd.to_numeric(rows[name], errors="coerce")
        if numbers.isna().all() or numbers.abs().max() > 2**53:
            continue
        names.append(name)
        filled = numbers.fillna(numbers.median()).round()
        forms = (
            filled.astype("int64"),
            filled.astype("float64"),
            filled.astype("Int64"),
            filled.astype("int64").astype(str),
        )
        for frame, form in zip(frames, forms, strict=True):
            frame[name] = form
    return frames, names


def as_numbers(cells: Any) -> Any:
    """Return cells as numbers of the narrowest fitting type; None where text would be lost."""
    import pandas as pd

    blank = cells.isna() | (cells.astype(str).str.strip() == "")
    numbers: Any = pd.to_numeric(cells, errors="coerce")
    if pd.api.types.is_bool_dtype(cells) or (numbers.isna() != blank).any() or blank.all():
        return None
    texts = cells[~blank].astype(str).str.strip()
    if all(text == str(int(number)) for text, number in zip(texts, numbers[~blank], strict=True)):
        return numbers.astype("Int64") if blank.any() else numbers.astype("int64")
    prints = (str(float(number)) for number in numbers[~blank])
    return numbers.astype("Float64") if all(map(str.__eq__, texts, prints)) else None


def cells_of(answers: pd.DataFrame, names: list[str]) -> np.ndarray:
    """Return columns of answers as float64, NaN where there is none."""
    return answers[names].astype("float64").to_numpy()


def finite_rows(numbers: np.ndarray) -> np.ndarray:
    """Return which rows hold finite numbers only."""
    import numpy as np

    return np.array(np.isfinite(numbers).all(axis=1))
