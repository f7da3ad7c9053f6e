"""What the table looks like: kinds, missing cells, spreads, relations, and what is suspicious.

- Each column is read once, by the reader that training and serving use; `flows/kinds.py` finds
  the kind, `flows/relations.py` how columns relate.
- Counts, quantiles, levels and duplicates rest on all rows; association, `alone` and pairs on a
  seeded sample of at most 100,000 rows, which the profile says.
- Task: as the settings say, else a classification where the target is text, boolean, or at most
  20 distinct whole numbers with at least 5 rows each on average, else a regression.
- Outlier: farther from the median than 10 robust standard deviations (IQR / 1.349).

The shape of `profile.json` (version 1; no NaN, null instead):
    rows, given_rows, text, missing, sampled {rows, seed, for} | null
    task {task, given, reason}
    target {name, kind, missing, untypable, classes [[label, count]], classes_complete,
        label_kind, near_labels [[rare, common]]  |  min, max, mean, std, skew, quantiles, log_hint}
    columns [{name, position, role, kind, seen, given, reason, dtype, missing_tokens, decimal,
        thousands, unit, format, formats, true, false, missing, missing_share, tokens, untypable,
        untypable_examples [[record, value, reason]], distinct, distinct_share, min, max, mean,
        std, skew, quantiles, zeros, negatives, outliers, levels, levels_complete, length,
        characters, zone, histogram, association, alone, flags, hints, suggest}]
    pairs [{a, b, correlation, measure, rows}]
    duplicates {rows, share, features, conflicting, columns [[first, copy]]}
    alarms [{kind, column, message, value}]
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from flows import relations, suspicions
from flows.column_options import reading_of, role_of
from flows.derive_roles import risky
from flows.describe import described, tokens_of
from flows.kinds import infer
from flows.labels import listed, target_profile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pandas as pd

    from flows.candidates import Guess
    from flows.spec import Spec

RESERVED = ("__source__", "__record__", "__given__")
SAMPLE = 100_000
SEED = 0
CLASSES = 20
ROWS_PER_CLASS = 5


@dataclass(kw_only=True)
class Survey:
    """What is carried from column to column."""

    rows: int
    sample: np.ndarray | None
    """Places of the sampled rows; None where all rows are used."""
    columns: list[dict[str, Any]] = field(default_factory=list)
    sampled: dict[str, np.ndarray] = field(default_factory=dict)
    """Feature cells of the sample: float64, or level codes with -1 for missing."""
    digests: dict[str, list[str]] = field(default_factory=dict)
    all_cells: np.ndarray | None = None
    features: np.ndarray | None = None
    wanted: frozenset[str] = frozenset()
    """Columns that formulas use."""
    typed: dict[str, np.ndarray] = field(default_factory=dict)
    """Their cells."""
    target: dict[str, Any] | None = None
    target_cells: np.ndarray | None = None
    classes: int = 0


def analyze(spec: Spec, table_path: Path, out: Path) -> dict[str, Any]:
    """Profile the raw table; write `profile.json` (its shape is above); return a few facts."""
    names, rows, given = _outline(table_path)
    sample = None
    if rows > SAMPLE:
        sample = np.sort(np.random.default_rng(SEED).choice(rows, SAMPLE, replace=False))
    survey = Survey(rows=rows, sample=sample, wanted=_wanted(spec))
    text = True
    for position, (name, values, records) in enumerate(_columns(table_path, names)):
        text &= values.dtype.kind == "O"
        _survey_column(survey, spec, name, position, values, records)
    _survey_formulas(survey, spec, table_path)
    profile = _profile(survey, spec, given, text=text)
    text_form = json.dumps(profile, ensure_ascii=False, indent=1, allow_nan=False)
    (out / "profile.json").write_text(text_form, encoding="utf-8")
    return {
        "rows": rows,
        "columns": len(names),
        "task": profile["task"]["task"],
        "kinds": _counted([column["kind"] for column in survey.columns]),
        "duplicate_rows": profile["duplicates"]["rows"],
        "alarms": [alarm["message"] for alarm in profile["alarms"]],
        "notes": risky(spec.data),
    }


def _wanted(spec: Spec) -> frozenset[str]:
    return frozenset(name for formula in spec.data.formulas for name in formula.uses)


def _survey_formulas(survey: Survey, spec: Spec, table_path: Path) -> None:
    """Profile what formulas make, as if it were in the source."""
    import pandas as pd

    from flows.tables import read_parquet
    from models.served import Formula

    if not spec.data.formulas:
        return
    records = pd.Series(read_parquet(table_path, ["__record__"])["__record__"])
    types = {"boolean": "boolean", "text": "str", "number": "float64"}
    for formula in spec.data.formulas:
        cells = Formula(formula.entry()).cells(survey.typed, survey.rows)
        survey.typed[formula.name] = cells
        values = pd.Series(cells).astype(types[formula.result])  # pyright: ignore[reportArgumentType]
        place = len(survey.columns)
        _survey_column(survey, spec, formula.name, place, values, records)
        survey.columns[-1]["reason"] = f"data.derive: {formula.expression}"


def _counted(words: list[str]) -> dict[str, int]:
    return {word: words.count(word) for word in dict.fromkeys(words)}


def _outline(path: Path) -> tuple[list[str], int, int]:
    """Return the source's column names, the rows, and how many of them are given test rows."""
    import pyarrow.parquet as pq

    from flows.tables import read_parquet

    schema = pq.read_schema(path)
    names = [name for name in schema.names if name not in RESERVED]
    head = read_parquet(
        path, [name for name in ("__given__", "__record__") if name in schema.names]
    )
    given = int(np.sum(head["__given__"].to_numpy())) if "__given__" in head else 0
    return names, pq.read_metadata(path).num_rows, given


def _columns(path: Path, names: list[str]) -> Iterator[tuple[str, pd.Series, pd.Series]]:
    import pandas as pd

    from expectations.witnesses import blocks
    from flows.typed_table import TypedTable

    table = TypedTable(path)
    records = table["__record__"]
    for frame in blocks(table, names):
        for name in frame:
            yield str(name), pd.Series(frame[name]), records


def _survey_column(
    survey: Survey, spec: Spec, name: str, position: int, values: pd.Series, records: pd.Series
) -> None:
    defaults, kind = reading_of(spec, name)
    guess, cells, fault = infer(values, defaults, kind)
    if name in survey.wanted:
        survey.typed.setdefault(name, cells.copy())
    role = role_of(spec, name)
    if role == "target" and guess.kind == "boolean" and kind is None and values.dtype.kind != "b":
        guess, cells, fault = infer(values, defaults, "category")  # labels stay as they are written
    column, codes = described(guess, cells, fault, values, records)
    column = {
        "name": name, "position": position, "role": role, "given": kind is not None,
        "dtype": str(values.dtype), **column, **tokens_of(values, cells, fault),
    }  # fmt: skip
    settled = set(defaults["missing"])
    column["missing_tokens"] = [t for t in guess.entry.get("missing", []) if t not in settled]
    if role == "target":
        _survey_target(survey, spec, column, guess, cells, codes)
    suspicions.flag(column, cells, codes, role)
    _remember(survey, column, codes)
    survey.columns.append(column)


def _survey_target(
    survey: Survey,
    spec: Spec,
    column: dict[str, Any],
    guess: Guess,
    cells: np.ndarray,
    codes: np.ndarray,
) -> None:
    """Tell the task from the target, and describe it as labels or values."""
    given = spec.task
    labels = column["distinct"]
    textual = guess.kind in {"category", "text", "boolean", "date"}
    few = labels <= CLASSES and labels * ROWS_PER_CLASS <= max(survey.rows - column["missing"], 1)
    whole = (
        not textual and not np.any(codes[~np.isnan(codes)] % 1)
        if codes.dtype.kind == "f"
        else False
    )
    classes = textual or (few and whole) if given is None else given != "regression"
    task = given or (("binary" if labels <= 2 else "multiclass") if classes else "regression")
    if not labels:
        task = given
    survey.target, survey.target_cells, survey.classes = target_profile(
        column, cells, codes, classes=classes, boolean=column["dtype"] in {"bool", "boolean"}
    )
    found = f"{labels:,} different {'whole numbers' if whole else 'numbers'}"
    if textual:
        found = f"{labels:,} labels: {listed(survey.target)}"
    survey.target["task"] = {
        "task": task,
        "given": given is not None,
        "reason": "the settings say so" if given else f"the target has {found}",
    }
    column["seen"] = column["kind"]
    column["kind"] = "category" if classes else "number"


def _remember(survey: Survey, column: dict[str, Any], codes: np.ndarray) -> None:
    """Keep what relations need: the sample of a feature, the hashes of rows and columns."""
    digest = hashlib.blake2b(np.ascontiguousarray(codes).tobytes(), digest_size=16)
    if column["kind"] != "ignored":  # constants equal one another
        key = f"{column['seen']} {digest.hexdigest()} {column['levels'] and column['levels'][0][0]}"
        survey.digests.setdefault(key, []).append(column["name"])
    place = column["position"]
    hashed = relations.cell_hash(codes)
    survey.all_cells = relations.row_hash(survey.all_cells, hashed, place)
    if column["role"] == "feature" and column["kind"] not in {"text", "ignored"}:
        survey.features = relations.row_hash(survey.features, hashed, place)
        rows = survey.sample
        survey.sampled[column["name"]] = codes if rows is None else codes[rows]


def _profile(survey: Survey, spec: Spec, given: int, *, text: bool) -> dict[str, Any]:
    _relate(survey)
    kept = {column["name"] for column in survey.columns if column["role"] == "feature"}
    whole = 0 if survey.all_cells is None else relations.repeated(survey.all_cells, None)[0]
    twins = (0, 0)
    if survey.features is not None:
        twins = relations.repeated(survey.features, survey.target_cells)
    duplicates = {
        "rows": whole,
        "share": round(whole / max(survey.rows, 1), 6),
        "features": twins[0],
        "conflicting": twins[1],
        "columns": [[names[0], copy] for names in survey.digests.values() for copy in names[1:]],
    }
    target = survey.target or {}
    task = target.pop("task", {"task": spec.task, "given": spec.task is not None, "reason": ""})
    relation = ["association", "alone", "pairs"]
    sampled = {"rows": SAMPLE, "seed": SEED, "for": relation} if survey.sample is not None else None
    return {
        "version": 1,
        "rows": survey.rows,
        "given_rows": given,
        "text": text,
        "missing": list(spec.data.missing),
        "sampled": sampled,
        "task": task,
        "target": target or None,
        "columns": survey.columns,
        "pairs": relations.pairs({n: c for n, c in survey.sampled.items() if n in kept}),
        "duplicates": duplicates,
        "alarms": suspicions.alarms(survey.columns, target, duplicates, spec, survey.rows),
    }


def _relate(survey: Survey) -> None:
    """Fill in how strongly each feature goes with the target, on rows that have a target."""
    if survey.target_cells is None:
        return
    target = survey.target_cells if survey.sample is None else survey.target_cells[survey.sample]
    known = ~np.isnan(target)
    values = target[known].astype(np.int64) if survey.classes else target[known]
    if len(values) < 2 or len(np.unique(values)) < 2:
        return
    for column in survey.columns:
        if column["name"] not in survey.sampled:
            continue
        cells = survey.sampled[column["name"]][known]
        bins = relations.binned(cells)
        column["association"] = round(relations.association(bins, values, survey.classes), 6)
        measure, value = relations.alone(cells, bins, values, survey.classes)
        column["alone"] = {"measure": measure, "value": round(value, 6)}
        suspicions.flag_relation(column, cells, values)
