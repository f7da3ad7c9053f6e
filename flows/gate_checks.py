"""What the gate looks at beside the metrics: slices, rates, coverage, disturbances, directions.

- Slices are defined on train and validation rows and searched on validation predictions; the test
  rows only fill them in.
- Rows are moved and disturbed as the graph takes them; the graph itself answers.
- `slices`, `robustness` and what the settings ask for: `fairness`, `conformal`,
  `direction_tests`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from flows.disturb import directions, robustness
from flows.slice_columns import level_texts, searched, slice_frame

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from flows.sides import Judged, Side
    from flows.spec import Spec

SLICE_RESAMPLES = 200
MOST_SLICES = 150
BINS_FROM = 12  # distinct numbers of a fairness column that are still levels


def checks(
    spec: Spec,
    known: Judged,
    session: Any,
    sides: Mapping[str, Side],
    metric: str,
    clean: Path,
    table: Path,
) -> dict[str, Any]:
    """Everything but the metrics, as parts of evidence.json."""
    from expectations.intervals import codes_of

    # Units as numbers: they are told apart once per slice.
    sides = {n: replace(side, identity=codes_of(side.identity)[0]) for n, side in sides.items()}
    test, seed = sides["test"], spec.train.seed
    if not len(test.row):
        return {}
    whole = slice_frame(spec, known.schema, clean, table, known.row)
    places = {"seen": np.flatnonzero(known.side != "test")}
    places |= {name: known.at(side.row) for name, side in sides.items()}
    frames = {name: whole.iloc[at].reset_index(drop=True) for name, at in places.items()}
    found: dict[str, Any] = {"slices": _slices(spec, known, sides, metric, frames)}
    if spec.gate.fairness:
        found["fairness"] = _fairness(spec, known, test, frames)
    if spec.gate.conformal is not None:
        found["conformal"] = _conformal(spec, sides, found["slices"]["definitions"], frames)
    found["robustness"] = robustness(known, session, test, seed)
    if spec.gate.directions:
        found["direction_tests"] = directions(spec, known, session, test)
    return found


# ------------------------------------------------------------------- slices


def _slices(
    spec: Spec,
    known: Judged,
    sides: Mapping[str, Side],
    metric: str,
    frames: Mapping[str, pd.DataFrame],
) -> dict[str, Any]:
    """Definitions, and the model's own metric in each on both sides, those worst off first."""
    from expectations.slices import declared, members

    gate = spec.gate
    definitions = declared(gate.slices, frames["seen"], min_support=gate.min_support)
    left_out = max(len(definitions) - MOST_SLICES, 0)
    definitions = definitions[:MOST_SLICES]
    if gate.find_slices:
        definitions += _searched(spec, known, sides["validation"], metric, frames, definitions)
    whole = {name: _measured(side, metric, spec.train.seed) for name, side in sides.items()}
    told: dict[str, dict[str, Any]] = {d["name"]: {} for d in definitions}
    for name, side in sides.items():
        for slice_name, mask in members(definitions, frames[name]).items():
            told[slice_name][name] = _measured(side.take(mask), metric, spec.train.seed)
    found = [
        {
            "name": d["name"],
            "found": d["found"],
            **told[d["name"]],
            "harm": _harm(metric, told[d["name"]]["test"], whole["test"]),
        }
        for d in definitions
    ]
    found.sort(key=lambda entry: _order(entry, gate.min_support))
    return {
        "metric": metric,
        "min_support": gate.min_support,
        "definitions": definitions,
        "whole": whole,
        "found": found,
        "left_out": left_out,
        "uncut": _uncut(gate.slices, definitions),
    }


def _uncut(wanted: Sequence[Sequence[str]], definitions: Sequence[Mapping[str, Any]]) -> list[str]:
    """The declared columns and combinations that gave no slice with support."""
    cut = {tuple(c["column"] for c in d["conditions"]) for d in definitions}
    return [" and ".join(names) for names in wanted if tuple(names) not in cut]


def _order(entry: Mapping[str, Any], min_support: int) -> tuple[bool, float]:
    """Those with enough test rows first, by harm."""
    harm = -np.inf if entry["harm"] is None else entry["harm"]
    return entry["test"]["rows"] < min_support, -harm


def _searched(
    spec: Spec,
    known: Judged,
    side: Side,
    metric: str,
    frames: Mapping[str, pd.DataFrame],
    declared: Sequence[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """The worst slices of the validation rows that are not declared anyway."""
    from expectations.metrics import METRICS, PER_ROW
    from expectations.worst_slices import worst

    columns = [name for name in searched(known.schema) if name in frames["validation"]]
    loss = side.found.loss
    if metric in PER_ROW:
        loss = PER_ROW[metric](side.found)
        loss = -loss if METRICS[metric].direction == "max" else loss
    found = worst(
        frames["validation"].loc[:, columns],
        loss,
        side.weight,
        min_support=spec.gate.min_support,
        seed=spec.train.seed,
    )
    taken = {entry["name"] for entry in declared}
    return [entry for entry in found if entry["name"] not in taken]


def _measured(side: Side, metric: str, seed: int) -> dict[str, Any]:
    """Rows and the metric with its interval; without a value where it is undefined."""
    from flows.sides import measured

    nothing: dict[str, Any] = dict.fromkeys(("value", "low", "high"))
    found = measured(side, [metric], seed, SLICE_RESAMPLES).get(metric, nothing)
    return {"rows": len(side.row), **{key: found[key] for key in nothing}}


def _harm(metric: str, inside: Mapping[str, Any], whole: Mapping[str, Any]) -> float | None:
    """By how much the metric is worse inside than over all test rows."""
    from expectations.metrics import METRICS

    if inside["value"] is None or whole["value"] is None:
        return None
    sign = 1.0 if METRICS[metric].direction == "max" else -1.0
    return sign * (whole["value"] - inside["value"])


# ------------------------------------------------------- rates and coverage


def _fairness(
    spec: Spec, known: Judged, test: Side, frames: Mapping[str, pd.DataFrame]
) -> list[dict[str, Any]]:
    from expectations.cuts import cuts
    from expectations.fairness import fairness

    parts: dict[str, list[dict[str, Any]] | None] = {}
    for name in spec.gate.fairness:
        cells = frames["seen"].loc[:, name]
        amount = cells.dtype.kind in "fiuM" and cells.nunique() > BINS_FROM
        parts[name] = cuts(cells, min_support=spec.gate.min_support) if amount else None
    texts = {name: level_texts(frames["test"].loc[:, name], parts[name]) for name in parts}
    found = fairness(
        test.found,
        texts,
        weight=test.weight,
        unit=test.identity,
        min_support=spec.gate.min_support,
        classes=known.classes,
        seed=spec.train.seed,
    )
    return [{**entry, "parts": parts[entry["column"]]} for entry in found]


def _conformal(
    spec: Spec,
    sides: Mapping[str, Side],
    definitions: Sequence[Mapping[str, Any]],
    frames: Mapping[str, pd.DataFrame],
) -> dict[str, Any]:
    from expectations.conformal import conformal
    from expectations.slices import members

    validation, test = sides["validation"], sides["test"]
    inside = members(definitions, frames["test"])
    return conformal(
        validation.found,
        validation.weight,
        test.found,
        coverage=spec.gate.conformal or 0.0,
        weight=test.weight,
        unit=test.identity,
        slices={n: mask for n, mask in inside.items() if mask.sum() >= spec.gate.min_support},
    )
