"""The marks within cells that `init` proposes and a run then holds to: decimal, thousands, the order of dates.

- Each comes with its evidence, counted in the table: how many cells show it, and one of them.
- A mark is only proposed where the cells, or other columns of the table, leave no doubt; where a
  date could be read in two ways and nothing tells, the column is left out with the choice beside it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from expectations.failure import shown
from models.served import bare

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from flows.settings_text import Draft

LEAST = 10  # different dates whose order is believed
DAY_FIRST = re.compile(r"%d.?%m|%d.?%b")
NUMERIC_ORDER = re.compile(r"%[dm][-/.]%[dm]")
FEATURES = {"feature", "time", "target"}


def numbers(draft: Draft, profile: Mapping[str, Any], table: pd.DataFrame) -> list[str]:
    """Declare decimal and thousands marks: for the whole table where all numbers share them."""
    columns = [c for c in profile["columns"] if c["seen"] in ("number", "integer")]
    said: list[str] = []
    for key, default in (("decimal", "."), ("thousands", None)):
        marked = [c for c in columns if c.get(key) not in (None, default)]
        plain = [c for c in columns if c["seen"] == "number" and c.get(key) in (None, default)]
        marks = {c[key] for c in marked}
        if len(marks) == 1 and (key == "thousands" or not plain):
            said += _for_all(draft, key, marked, table)
        else:
            said += [_for_one(draft, key, column, table) for column in marked]
    if draft.data.get("decimal", ".") == draft.data.get("thousands", ""):
        draft.data.pop("thousands")
    return said + _surely_thousands(draft, profile, table)


def _for_all(
    draft: Draft, key: str, marked: list[dict[str, Any]], table: pd.DataFrame
) -> list[str]:
    mark = marked[0][key]
    if key == "thousands" and mark == draft.data.get("decimal", "."):
        return []
    draft.data[key] = mark
    why, others = _seen(table, marked[0]["name"], mark), marked[1:]
    if others:
        names = ", ".join(shown(c["name"], 30) for c in others[:5])
        why += f"; so do cells of {names}{', ...' if len(others) > 5 else ''}"
    draft.why[f"data.{key}"] = why
    return [f"{key}: {mark!r}: {why}"]


def _for_one(draft: Draft, key: str, column: Mapping[str, Any], table: pd.DataFrame) -> str:
    name, mark = column["name"], column[key]
    why = f"{key} {mark!r}: {_seen(table, name, mark)}"
    draft.columns.setdefault(name, {})[key] = mark
    _because(draft, name, why)
    return why


def _seen(table: pd.DataFrame, name: str, mark: str) -> str:
    """Say in how many cells of a column a mark stands, with one of them."""
    texts = _texts(table, name)
    alike = {" ": "[ \u00a0\u202f]", "'": "['\u2019]"}.get(mark, re.escape(mark))
    hits = _where(texts, texts.str.contains(alike))
    example = hits.iloc[0].strip() if len(hits) else ""
    return f"{len(hits):,} of {len(table):,} cells of {shown(name, 30)} have it, such as {shown(example)}"


def _texts(table: pd.DataFrame, name: str) -> pd.Series:
    """Return the cells of a column that are there, as text without the blanks around it."""
    return table[name].dropna().astype(str).str.strip()  # pyright: ignore[reportReturnType]


def _where(texts: pd.Series, chosen: pd.Series) -> pd.Series:
    return texts.loc[chosen.to_numpy(dtype=bool)]


def _because(draft: Draft, name: str, why: str) -> None:
    before = draft.why.get(f"columns.{name}")
    draft.why[f"columns.{name}"] = f"{before}\n{why}" if before else why


def _surely_thousands(draft: Draft, profile: Mapping[str, Any], table: pd.DataFrame) -> list[str]:
    """Read 1,500 as 1500 where other columns of the table write decimals with a point, and so on."""
    doubtful = [
        c for c in profile["columns"]
        if c["role"] in FEATURES and "ambiguous_number" in (c.get("flags") or ())
    ]  # fmt: skip
    said = []
    for column in doubtful:
        name = column["name"]
        texts = _texts(table, name)
        if unit := draft.columns.get(name, {}).get("unit"):
            texts = texts.map(lambda text, unit=unit: bare(text, unit))
        mark = "," if texts.str.contains(",", regex=False).any() else "."
        point = "." if mark == "," else ","
        proof = _proof(profile, table, point)
        grouped = _where(texts, texts.str.contains(mark, regex=False))
        if proof is None or not grouped.str.fullmatch(rf"[+-]?\d{{1,3}}(\{mark}\d{{3}})+").all():
            continue
        draft.columns.setdefault(name, {})["thousands"] = mark
        why = f"thousands {mark!r}: {_seen(table, name, mark)}, and {proof}"
        _because(draft, name, why)
        said.append(why)
    return said


def _proof(profile: Mapping[str, Any], table: pd.DataFrame, point: str) -> str | None:
    """Name a number column that writes decimals with `point`."""
    for column in profile["columns"]:
        if column["seen"] != "number" or (column.get("decimal") or ".") != point:
            continue
        texts = _texts(table, column["name"])
        hits = _where(texts, texts.str.contains(point, regex=False))
        if len(hits):
            return f"{shown(column['name'], 30)} writes decimals with {point!r} ({shown(hits.iloc[0].strip())})"
    return None


def dates(draft: Draft, profile: Mapping[str, Any], table: pd.DataFrame) -> list[str]:
    """Declare the format of every date that is not ISO; leave out what can be read in two ways."""
    columns = [c for c in profile["columns"] if c["role"] in FEATURES]
    plain = [c for c in columns if c["seen"] == "date" and c.get("format") and not c["given"]]
    said = [_format(draft, column["name"], column["format"], table) for column in plain]
    settled = [(column["name"], column["format"]) for column in plain]
    doubtful = [c for c in columns if "ambiguous_date" in (c.get("flags") or ())]
    return said + [_ambiguous(draft, column, settled, table) for column in doubtful]


def _format(draft: Draft, name: str, written: str, table: pd.DataFrame) -> str:
    texts = _texts(table, name)
    why = f"format {shown(written)}: {_day_evidence(texts, written)}"
    draft.columns.setdefault(name, {})["format"] = written
    _because(draft, name, why)
    return f"{shown(name)}: {why}"


def _day_evidence(texts: pd.Series, written: str) -> str:
    """Say what proves the order of day and month: cells whose day is above 12."""
    read = _read(texts, written)
    if NUMERIC_ORDER.search(written):
        beyond = _where(texts, read.dt.day > 12)
        if len(beyond):
            return f"{len(beyond):,} of {len(texts):,} cells have a day above 12, such as {shown(beyond.iloc[0])}"
    fits = int(read.notna().sum())
    example = shown(texts.iloc[0]) if len(texts) else ""
    return f"{fits:,} of {len(texts):,} cells fit it and no other, such as {example}"


def _read(texts: pd.Series, written: str) -> pd.Series:
    import pandas as pd

    parsed = pd.to_datetime(texts, format=written, errors="coerce", utc="%z" in written)
    return pd.Series(parsed)


def _ambiguous(
    draft: Draft, column: Mapping[str, Any], settled: Sequence[tuple[str, str]], table: pd.DataFrame
) -> str:
    name, formats = column["name"], list(column.get("formats") or ())
    found = _in_order(_texts(table, name), formats) or _as_elsewhere(formats, settled)
    if found:
        written, why = found
        said = f"format {shown(written)}: {why}; {' and '.join(f for f in formats if f != written)} would fit too"
        draft.columns.setdefault(name, {})["format"] = written
        _because(draft, name, said)
        return f"{shown(name)}: {said}"
    draft.columns.setdefault(name, {})["kind"] = "ignored"
    choices = "\n".join(f'  format = "{form}"' for form in formats)
    why = "its dates can be read in several ways"
    _because(draft, name, f"{why}; replace the line below by one of\n{choices}")
    return f"{shown(name)}: ignored: {why}: {', '.join(formats)}"


def _in_order(texts: pd.Series, formats: Sequence[str]) -> tuple[str, str] | None:
    """Return the one format with which the rows are in order of time."""
    if texts.nunique() < LEAST:
        return None
    ordered = []
    for written in formats:
        read = _read(texts, written)
        if read.notna().all() and (read.is_monotonic_increasing or read.is_monotonic_decreasing):
            ordered.append(written)
    if len(ordered) != 1:
        return None
    return ordered[0], f"read so, all {len(texts):,} rows are in order of time"


def _as_elsewhere(
    formats: Sequence[str], settled: Sequence[tuple[str, str]]
) -> tuple[str, str] | None:
    """Return the format whose day stands where it surely stands in another column."""
    known = [(name, written) for name, written in settled if NUMERIC_ORDER.search(written)]
    orders = {bool(DAY_FIRST.search(written)) for _, written in known}
    if len(orders) != 1:
        return None
    fitting = [f for f in formats if bool(DAY_FIRST.search(f)) in orders]
    if len(fitting) != 1:
        return None
    return fitting[0], f"{shown(known[0][0])} has its days in that place ({known[0][1]})"
