"""What to do about cells that do not fit their kind, told from the cells themselves.

- The first pattern that most of the cells share decides; without one the general advice stands.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from expectations.failure import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

LOOKED_AT = 200  # cells
MOST = 0.5  # share of the cells that must agree

NUMBERS = (
    (r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?", 'commas between digits: set thousands = ","'),
    (r"[+-]?\d{1,3}(\.\d{3})+,\d+", 'European numbers: set decimal = "," and thousands = "."'),
    (r"[+-]?\d*,\d+", 'decimal commas: set decimal = ","'),
    (r"[+-]?\d{1,3}([ '\u2019\u00a0\u202f]\d{3})+([.,]\d+)?", "marks between digits: set thousands"),
    (r"[+-]?(inf|infinity|1e\d{3,})", "infinite numbers: correct the source"),
    (r"[+-]?\d{16,}", 'integers beyond 2^53 lose digits: declare kind = "category" or "text"'),
    (r"[+-]?[\d.,]+ *%", 'percent signs: set unit = "%" in [data.columns.NAME] of the settings'),
    (r"[\u20a9$\u20ac\u00a3\u00a5] *[\d.,]+|[\d.,]+ *[\u20a9$\u20ac\u00a3\u00a5\uc6d0]",
     "currency signs: set unit in [data.columns.NAME] of the settings, or strip them at the source"),
    (r"[+-]?[\d.,]+ *[^\W\d_]{1,4}", "units after the number: set unit in [data.columns.NAME] of the settings"),
)  # fmt: skip
DATES = (
    (r"\d{1,2}[/.-]\d{1,2}[/.-]\d{2,4}.*", 'say which is the day: set format, such as "%d/%m/%Y"'),
    (r"\d{5}(\.0)?", "Excel serial dates: export the column as ISO dates"),
    (r"\d{8}", 'set format = "%Y%m%d"'),
    (r"\d{9,13}", 'epoch seconds: declare kind = "integer"'),
)
MISSING = (r"(n/?a|n\.a\.|none|null|nan|nil|missing|unknown|\?+|-+|\.+|#n/a)", "add to missing")


def advise(kind: str, cells: Sequence[str]) -> str:
    """Return one sentence of advice for `cells` that are no `kind`.

    >>> advise("number", ["1,5", "2,75"])
    'decimal commas: set decimal = ","'
    """
    texts = [str(cell).strip() for cell in cells[:LOOKED_AT]]
    if texts:
        for pattern, said in (MISSING, *_patterns(kind)):
            hits = [t for t in texts if re.fullmatch(pattern, t, flags=re.IGNORECASE)]
            if len(hits) > MOST * len(texts):
                tokens = ", ".join(shown(repr(t), 20) for t in dict.fromkeys(hits[:3]))
                return f"{tokens}: add to missing" if said == MISSING[1] else said
    general = {
        "boolean": "name the words in true = [...] and false = [...]",
        "date": "set the column's format, or correct the cells",
        "integer": 'declare kind = "number" where fractions are right, else correct the cells',
    }
    advice = general.get(kind, "correct the cells, or declare another kind")
    return f"{advice} ([columns.NAME] of the contract, or [data.columns.NAME] of the settings)"


def _patterns(kind: str) -> tuple[tuple[str, str], ...]:
    if kind in ("number", "integer"):
        return NUMBERS
    return DATES if kind == "date" else ()
