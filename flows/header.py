"""Column names: what is put right and reported, and what is refused.

- Blanks around a name and decomposed letters (NFD, as macOS writes them) are put right; the
  mapping is reported, and two names that become one are refused.
- A first column without a name (the row names of pandas and R) is called column_1, and reported.
- Duplicates, other empty names, names of ours, names with line breaks or of extreme length are refused,
  all at once.
"""

from __future__ import annotations

import unicodedata

from expectations.failure import Example, Failure, shown

RESERVED = ("__source__", "__record__", "__given__", "__row__")
LONGEST_NAME = 200  # characters
FIRST = "column_1"
ADVICE = "correct the header, or give data.names with header = false"


def clean_names(raw: list[str], source: str) -> tuple[list[str], dict[str, str], list[Failure]]:
    """Return the names put right, the mapping of those that changed, and what is wrong."""
    names = [unicodedata.normalize("NFC", name.strip()) for name in raw]
    if len(names) > 1 and not names[0] and FIRST not in names:
        names[0] = FIRST
    renamed = {old: new for old, new in zip(raw, names, strict=True) if old != new}
    failures = [
        *_empty(names, source),
        *_twice(raw, names, source),
        *_bad("names.reserved", _reserved(names), "is a name that Penstock uses itself", names, source),
        *_bad("names.long", [n for n in names if len(n) > LONGEST_NAME],
              f"must have at most {LONGEST_NAME} characters", names, source),
        *_bad("names.control", [n for n in names if not _one_line(n)],
              "must be one line without control characters", names, source),
    ]  # fmt: skip
    return names, renamed, failures


def _one_line(name: str) -> bool:
    return not any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in name)


def _reserved(names: list[str]) -> list[str]:
    return [name for name in names if name in RESERVED]


def _bad(rule: str, bad: list[str], message: str, names: list[str], source: str) -> list[Failure]:
    if not bad:
        return []
    examples = tuple(Example(row=None, value=name, source=source) for name in bad)
    return [
        Failure(
            rule=rule,
            column=None,
            count=len(bad),
            total=len(names),
            message=f"a column name {message}: {', '.join(shown(b) for b in bad[:3])}",
            examples=examples,
            advice=ADVICE,
        )
    ]


def _empty(names: list[str], source: str) -> list[Failure]:
    places = [str(i) for i, name in enumerate(names, start=1) if not name]
    if not places:
        return []
    message = f"every column needs a name, column {', '.join(places[:10])} of the header has none"
    return [
        Failure(
            rule="names.empty",
            column=None,
            count=len(places),
            total=len(names),
            message=message,
            examples=(Example(row=None, value=f"column {places[0]}", source=source),),
            advice=ADVICE,
        )
    ]


def _twice(raw: list[str], names: list[str], source: str) -> list[Failure]:
    places: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        places.setdefault(name, []).append(i)
    failures = []
    for name, where in places.items():
        if len(where) < 2 or not name:
            continue
        spelled = {raw[i] for i in where}
        same = "stands twice in the header" if len(spelled) == 1 else "is visually identical twice"
        columns = " and ".join(str(i + 1) for i in where[:5])
        failures.append(
            Failure(
                rule="names.duplicate",
                column=name,
                count=len(where),
                total=len(names),
                message=f"column names must differ, {shown(name)} {same} (columns {columns})",
                examples=(Example(row=None, value=name, source=source),),
                advice=ADVICE,
            )
        )
    return failures


def near_case(names: list[str]) -> list[str]:
    """Return a warning for each group of names that differ in case only."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(name.casefold(), []).append(name)
    return [
        f"column names differ in case only: {', '.join(shown(n) for n in same)}"
        for same in groups.values()
        if len(same) > 1
    ]
