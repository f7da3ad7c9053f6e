"""Leaks: what the rows, the sides and the columns show before anything is learned.

- Every detector of `expectations/leaks_*.py` is asked, each column read once; `leaks.json` has the
  findings, what they rest on and what was accepted, `training.json` a profile of the train rows,
  which travels with the model so that later rows can be compared with it.
- A finding that is sure, or of a type whose level is "error", refuses the data unless the settings
  accept it with a reason. All are said at once, with the lines that end them.
"""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING, Any

from expectations.drift import profile_of, settled
from expectations.leaks import TYPES, WORDS, Accepted, judged, unmatched
from flows.errors import SettingsError
from flows.leaks_columns import gathered
from flows.leaks_refusal import refuse
from flows.leaks_rows import late_columns, sides_of
from flows.leaks_view import view_of
from flows.tables import names_in

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from expectations.leaks import Judged, Leak
    from flows.leaks_columns import Found
    from flows.leaks_view import View
    from flows.spec import Spec

CANARY = ("preprocessing", "selection")
"""Types whose findings about rows are the canary's."""
LISTED = 50  # columns whose sides are compared in leaks.json


def leaks(
    spec: Spec, schema: Mapping[str, Any], made: Mapping[str, Path], out: Path, say: Any
) -> dict[str, Any]:
    """Look for leaks; write leaks.json and training.json; return a few facts.

    Args:
        spec: the settings.
        schema: the reading schema.
        made: folders of the stages load, engineer, validate and split.
        out: an existing folder.
        say: hears how far it is.

    Raises:
        DataRefused: a leak that is not accepted.
        SettingsError: `leaks.accept` names a column that the table does not have.

    """
    view = view_of(spec, schema, made["validate"] / "clean.parquet", made["split"])
    _known(spec, schema, made["load"] / "table.parquet")
    found = gathered(spec, view, say)
    everything = [*found.leaks, *sides_of(spec, view, found, made), *late_columns(spec, view, made)]
    findings = judged(everything, levels(spec), accepted(spec))
    facts = described(spec, view, found, everything, findings)
    _write(out / "leaks.json", facts)
    _write(out / "training.json", _training(view, found))
    refuse(spec, findings, len(view.book.row))
    return {
        "findings": len(findings),
        "accepted": sum(each.accepted is not None for each in findings),
        "say": f"{len(findings):,} suspected" if findings else "",
        "warnings": [f"leak: {each.leak.said}" for each in findings if each.accepted is None]
        + facts["unmatched"],
    }


def levels(spec: Spec) -> dict[str, Any]:
    """Return the settings' level of each type."""
    return {name: getattr(spec.leaks, name) for name in TYPES}


def accepted(spec: Spec) -> list[Accepted]:
    """Return what the settings accept."""
    return [Accepted(type=a.type, column=a.column, reason=a.reason) for a in spec.leaks.accept]


def _known(spec: Spec, schema: Mapping[str, Any], table: Path) -> None:
    """Refuse an acceptance of a column that is not there."""
    names = [*names_in(table), *(entry["name"] for entry in schema.get("formulas", ()))]
    for each in spec.leaks.accept:
        if each.column is not None and each.column not in names:
            near = difflib.get_close_matches(each.column, names, n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            msg = f"{spec.path}: leaks.accept: no column is named {each.column!r}{hint}"
            raise SettingsError(msg)


def described(
    spec: Spec, view: View, found: Found, everything: list[Leak], findings: list[Judged]
) -> dict[str, Any]:
    """Return what leaks.json holds."""
    counts = dict.fromkeys(TYPES, 0)
    for each in findings:
        counts[each.leak.type] += 1
    own = [a for a in accepted(spec) if a.column is not None or a.type not in CANARY]
    left = unmatched(everything, own)
    said = [
        f"leaks.accept: nothing of the type {a.type} was found{_about(a)} any more" for a in left
    ]
    return {
        "version": 1,
        "rows": {"fitted": int(view.book.fitted.sum()), "test": int(view.book.judged.sum())},
        "sampled": len(view.sample) if len(view.sample) < view.book.fitted.sum() else None,
        "types": [
            {"type": n, "words": WORDS[n], "level": levels(spec)[n], "findings": counts[n]}
            for n in TYPES
        ],
        "findings": [each.to_json() for each in findings],
        "unmatched": said,
        "sides": settled(found.sides)[:LISTED],
    }


def _about(found: Accepted) -> str:
    return f" about {found.column!r}" if found.column else ""


def _training(view: View, found: Found) -> dict[str, Any]:
    """Return the profile of the train rows that later rows are compared with."""
    target = view.target
    return {
        "version": 1,
        "rows": int(view.train.sum()),
        "columns": found.profiles,
        "target": {
            "name": target.name,
            **profile_of(target.cells[view.train], view.labels or None),
        },
    }


def _write(path: Path, values: Mapping[str, Any]) -> None:
    text = json.dumps(values, ensure_ascii=False, indent=1, allow_nan=False)
    path.write_text(text, encoding="utf-8")
