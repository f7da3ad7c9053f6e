"""The canary's run: garbage on judged rows, through the real reader, table and fit, once per code.

- Three looks: raw rows through the reader (test rows spoilt: other rows are typed as before), the
  table of training (test rows spoilt: not a bit of it differs), and every fold's fit (judged rows
  spoilt: `models/canary.py`).
- It is a statement about code and settings, so it is made anew when these change, not when rows do;
  on at most ROWS rows, which is enough to move a mean, a median, a bin or a vocabulary.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from expectations.leaks import Leak, judged
from flows.canary_code import asked
from flows.json_files import read_json
from flows.leaks import accepted, levels
from flows.leaks_refusal import refuse
from flows.tables import read_parquet, write_parquet
from flows.training import settings_of, training_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from flows.spec import Spec

ROWS = 2_000
TEST_ROWS = 500
NAMED = 6
EARLY = 4
BATCH = 8_192


def canary(
    spec: Spec, schema: Mapping[str, Any], made: Mapping[str, Path], out: Path, say: Any
) -> dict[str, Any]:
    """Let the canary fly; write canary.json; return a few facts.

    Args:
        spec: the settings.
        schema: the reading schema.
        made: folders of the stages load, validate and split.
        out: an existing folder.
        say: hears how far it is.

    Raises:
        DataRefused: something that is learned has seen rows that judge.

    """
    with tempfile.TemporaryDirectory(prefix="penstock-canary-") as place:
        found, facts = _looks(spec, schema, made, Path(place), say)
    findings = judged(found, levels(spec), accepted(spec))
    facts |= {"version": 1, "findings": [each.to_json() for each in findings]}
    text = json.dumps(facts, ensure_ascii=False, indent=1, allow_nan=False)
    (out / "canary.json").write_text(text, encoding="utf-8")
    refuse(spec, findings, facts["rows"])
    return {
        "findings": len(findings),
        "compared": facts["compared"],
        "say": "" if findings else f"{facts['compared']:,} learned states did not move",
        "warnings": facts["notes"]
        + [f"leak: {each.leak.said}" for each in findings if not each.accepted],
    }


def _looks(
    spec: Spec, schema: Mapping[str, Any], made: Mapping[str, Path], place: Path, say: Any
) -> tuple[list[Leak], dict[str, Any]]:
    from threadpoolctl import threadpool_limits

    from models.canary import compared, learned, moved, taken

    book = read_parquet(made["split"] / "ledger.parquet")
    rows = _chosen(book)
    say("replacing judged rows by garbage")
    read = _reader(schema, made["load"] / "table.parquet", book, rows)
    whole, spoilt = (
        _table(spec, schema, made, book, rows, place, spoil=spoil) for spoil in (False, True)
    )
    tabled = compared(whole[0], spoilt[0]) + ([] if whole[1] == spoilt[1] else ["labels"])
    table, settings = taken(whole[0], ROWS), settings_of(spec, len(whole[1]))
    with threadpool_limits(limits=1):  # sums in one order
        changed = moved(table, settings)
        states = len(learned(_single(table), settings)) if not changed else 0
    by_hand, notes = asked(spec)
    leaks = [*by_hand, *_from_reader(read), *_from_table(tabled), *_from_fit(changed)]
    facts = {"rows": len(rows), "compared": states, "folds": int(table.fold.max()) + 1}
    return leaks, {**facts, "notes": notes}


def _single(table: Any) -> Any:
    from dataclasses import replace

    return replace(table, fold=np.where(table.fold == 0, 0, -1))


def _chosen(book: pd.DataFrame) -> np.ndarray:
    """Places in the ledger: a sample of every side, each class of rows by chance."""
    random, parts = np.random.default_rng(0), []
    for side, most in (("train", ROWS), ("validation", ROWS // 2), ("test", TEST_ROWS)):
        places = np.flatnonzero((book["side"] == side).to_numpy())
        early = places[: EARLY * most]  # so that a long table is read no further
        parts.append(random.permutation(early)[:most])
    return np.sort(np.concatenate(parts))


def rows_at(path: Path, places: np.ndarray) -> pd.DataFrame:
    """Return the rows of a Parquet file at ascending places; reads no further than the last."""
    import pandas as pd
    import pyarrow.parquet as pq

    parts, start = [], 0
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        for batch in file.iter_batches(batch_size=BATCH):
            stop = start + batch.num_rows
            inside = places[(places >= start) & (places < stop)] - start
            if len(inside):
                parts.append(batch.take(inside).to_pandas())
            start = stop
            if start > places[-1]:
                break
    return pd.concat(parts, ignore_index=True)


# ------------------------------------------------------------------ the reader


def _reader(
    schema: Mapping[str, Any], table: Path, book: pd.DataFrame, rows: np.ndarray
) -> list[str]:
    """Return the columns whose typed cells in other rows move with the raw cells of test rows."""
    from models.canary import levels as shuffled
    from models.served import read

    lines = book.iloc[rows]
    raw: Any = rows_at(table, lines["row"].to_numpy())
    test = (lines["side"] == "test").to_numpy()
    random, spoilt = np.random.default_rng(1), raw.copy()
    for name in raw.columns:
        if name.startswith("__"):
            continue
        cells = raw[name].to_numpy(object, copy=True)
        if raw[name].dtype.kind in "if":
            cells = raw[name].to_numpy(np.float64, copy=True)
            cells[test] = random.permutation(cells[test]) * 1000
        elif raw[name].dtype.kind == "b":
            cells[test] = random.permutation(cells[test])
        else:
            cells[test] = _texts(cells[test], random, shuffled)
        spoilt[name] = cells if cells.dtype.kind == "f" else _as(cells, raw[name])
    before, after = (read(frame, schema)[0].loc[~test] for frame in (raw, spoilt))
    return [str(name) for name in before if not before[name].equals(after[name])]


def _texts(cells: np.ndarray, random: np.random.Generator, shuffled: Any) -> np.ndarray:
    """Numbers a thousandfold, dates among themselves, other texts shuffled, missing and new."""
    texts = ["" if cell is None or cell != cell else str(cell) for cell in cells]  # noqa: PLR0124
    if any("-" in t[1:] or ":" in t or "/" in t for t in texts[:20]):
        return random.permutation(np.array(texts, dtype=object))
    plain = [t.replace(".", "", 1).lstrip("-").isdigit() for t in texts]
    if sum(plain) > len(texts) / 2:
        return np.array([f"{t}000" if p else t for t, p in zip(texts, plain, strict=True)], object)
    return shuffled(np.array(texts, dtype=object), random)


def _as(cells: np.ndarray, like: pd.Series) -> Any:
    import pandas as pd

    try:
        return pd.Series(cells, dtype=like.dtype)
    except (TypeError, ValueError):  # a typed source may not hold garbage
        return like


def _from_reader(columns: Sequence[str]) -> list[Leak]:
    if not columns:
        return []
    said = (
        f"the reader must type each row by itself, but with other test rows train rows read "
        f"differently in {', '.join(columns[:NAMED])}"
    )
    return [_leak("preprocessing", "reader", said, list(columns))]


# ------------------------------------------------------------- table and fit


def _table(
    spec: Spec,
    schema: Mapping[str, Any],
    made: Mapping[str, Path],
    book: pd.DataFrame,
    rows: np.ndarray,
    place: Path,
    *,
    spoil: bool,
) -> tuple[Any, list[str]]:
    """Return what training would see of the chosen rows, with or without garbage in test rows."""
    lines = book.iloc[rows]
    clean = rows_at(made["validate"] / "clean.parquet", rows)
    if not np.array_equal(clean["__row__"].to_numpy(), lines["row"].to_numpy()):
        raise AssertionError("ledger and clean rows must be in one order")
    if spoil:
        clean = _spoilt(clean, schema["target"], (lines["side"] == "test").to_numpy())
    folder = place / ("spoilt" if spoil else "whole")
    folder.mkdir()
    write_parquet(clean, folder / "clean.parquet")
    write_parquet(lines.reset_index(drop=True), folder / "ledger.parquet")
    (folder / "split.json").write_text(
        json.dumps(read_json(made["split"] / "split.json"), ensure_ascii=False), encoding="utf-8"
    )
    table, _, labels = training_table(
        spec, schema, folder / "clean.parquet", folder / "ledger.parquet"
    )
    return table, labels


def _spoilt(clean: pd.DataFrame, target: str, test: np.ndarray) -> pd.DataFrame:
    """Put garbage into the typed cells of test rows."""
    from models.canary import garbage, levels

    random, found = np.random.default_rng(2), clean.copy()
    for name in clean.columns:
        if name.startswith("__"):
            continue
        cells = clean[name].to_numpy(copy=True)
        if cells.dtype.kind == "f":
            cells[test] = garbage(cells[test][:, None], random)[:, 0]
            found[name] = cells
        elif cells.dtype.kind == "O" and name != target:
            texts = np.array(["" if c is None or c != c else c for c in cells[test]], object)  # noqa: PLR0124
            spoilt = levels(texts, random)
            cells[test] = [None if text == "" else text for text in spoilt]
            found[name] = cells
        else:
            cells[test] = random.permutation(cells[test])
            found[name] = cells
    return found


def _from_table(names: Sequence[str]) -> list[Leak]:
    if not names:
        return []
    said = (
        f"training must not see test rows, but with other test rows its {', '.join(names[:NAMED])} "
        "differ"
    )
    return [_leak("preprocessing", "table", said, list(names))]


def _from_fit(moved: Sequence[Any]) -> list[Leak]:
    leaks = []
    for kind, selected in (("preprocessing", False), ("selection", True)):
        names = list(dict.fromkeys(m.name for m in moved if m.selected == selected))
        if not names:
            continue
        more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
        said = (
            "with garbage in the rows that a fold judges, what it learned from the others moved: "
            f"{', '.join(names[:NAMED])}{more}"
        )
        leaks.append(_leak(kind, "canary", said, names))
    return leaks


def _leak(kind: str, how: str, said: str, names: list[str]) -> Leak:
    return Leak(
        type=kind,
        kind=how,
        sure=True,
        sentence=said,
        numbers={"states": names[:50]},
        advice="fit on the rows of `table.train(fold)` alone",
        droppable=False,
    )
