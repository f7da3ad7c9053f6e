"""What a formula may call: names, what they take and give, and what to say of others.

- `models/served.py` has the functions themselves, under the same names; a test holds them together.
"""

from __future__ import annotations

import difflib

ANY, NUMBER, BOOLEAN, TEXT, DATE = "anything", "number", "boolean", "text", "date"
LIST, PLAIN, WORD = "list of plain values", "plain number", "plain text"
SAME = "same"  # as the first value


SIGNATURES: dict[str, tuple[str, tuple[tuple[str, str], ...], int]] = {
    **dict.fromkeys(
        ("abs", "sign", "sqrt", "log", "log10", "log1p", "exp", "floor", "ceil"),
        (NUMBER, (("x", NUMBER),), 1),
    ),
    "round": (NUMBER, (("x", NUMBER), ("digits", PLAIN)), 1),
    "clip": (NUMBER, (("x", NUMBER), ("lower", NUMBER), ("upper", NUMBER)), 2),
    "minimum": (NUMBER, (("x", NUMBER), ("y", NUMBER)), 2),
    "maximum": (NUMBER, (("x", NUMBER), ("y", NUMBER)), 2),
    "number": (NUMBER, (("x", ANY),), 1),
    "text": (TEXT, (("x", ANY),), 1),
    "where": (SAME, (("test", BOOLEAN), ("yes", ANY), ("no", ANY)), 3),
    "fillna": (SAME, (("x", ANY), ("value", ANY)), 2),
    "isin": (BOOLEAN, (("x", ANY), ("values", LIST)), 2),
    "between": (BOOLEAN, (("x", ANY), ("left", ANY), ("right", ANY)), 3),
    "isna": (BOOLEAN, (("x", ANY),), 1),
    "notna": (BOOLEAN, (("x", ANY),), 1),
    **dict.fromkeys(("str.lower", "str.upper", "str.strip"), (TEXT, (("x", TEXT),), 1)),
    "str.len": (NUMBER, (("x", TEXT),), 1),
    **dict.fromkeys(
        ("str.contains", "str.startswith", "str.endswith"),
        (BOOLEAN, (("x", TEXT), ("part", WORD)), 2),
    ),
    **dict.fromkeys(
        ("dt.year", "dt.month", "dt.day", "dt.weekday", "dt.hour", "dt.days"),
        (NUMBER, (("x", DATE),), 1),
    ),
}
"""Name -> what it gives, its parameters (name, what it takes), and how many it must have."""
NAMED = {"clip": ("lower", "upper"), "round": ("digits",)}
"""Parameters that may be given by name; the interpreter has them under these."""
OTHER_WORDS = {
    "dt.dayofweek": "dt.weekday", "dt.day_of_week": "dt.weekday", "min": "minimum",
    "max": "maximum", "isnull": "isna", "notnull": "notna", "lower": "str.lower",
    "len": "str.len", "str.length": "str.len", "if": "where", "ifelse": "where", "np.where": "where",
    "np.log": "log", "np.abs": "abs", "float": "number", "int": "floor", "astype": "number",
}  # fmt: skip
ACROSS = (
    "mean", "sum", "median", "std", "var", "rank", "shift", "diff", "cumsum", "count", "quantile",
    "mode", "groupby", "rolling", "pct_change", "ffill", "bfill", "nunique", "zscore",
)  # fmt: skip


def unknown(name: str) -> str:
    """Say what to write for a function that there is not."""
    if name.rpartition(".")[2] in ACROSS:
        return (
            "which looks at other rows; a formula sees one row, so that a served model can "
            "have it (what is learned from many rows is learned in training)"
        )
    near = OTHER_WORDS.get(name) or next(
        iter(difflib.get_close_matches(name, SIGNATURES, n=1, cutoff=0.5)), None
    )
    listed = ", ".join(SIGNATURES)
    return f"which is none of {listed}" + (f"; did you mean {near}?" if near else "")
