"""Asks the exported graph about rows that were disturbed, or moved along one column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from flows.derive import feature_kinds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from expectations.predictions import Predictions
    from expectations.stability import Disturbed
    from flows.sides import Judged, Side
    from flows.spec import Spec


def robustness(known: Judged, session: Any, test: Side, seed: int) -> dict[str, Any]:
    """Share of test answers that stay under missing cells, unseen levels and noise."""
    from expectations.stability import stability

    at = known.at(test.row)
    found = stability(
        _answer(known, session, at),
        {block: part[at] for block, part in known.feeds.items()},
        disturbable(known),
        weight=test.weight,
        unit=test.identity,
        seed=seed,
    )
    held = _refused(known.schema)
    skipped = {"missing": sorted(held["present"]), "unseen": sorted(held["levels"])}
    return {
        name: None if figure is None else {**figure, "skipped": skipped.get(name, [])}
        for name, figure in found.items()
    }


def disturbable(known: Judged) -> Disturbed:
    """What may be disturbed: what the model's contract would let pass when it is served."""
    from expectations.importance import places
    from expectations.stability import Disturbed

    schema = known.schema
    everything = places(schema)
    kinds = feature_kinds(schema)
    held = _refused(schema)
    return Disturbed(
        missing={n: at for n, at in everything.items() if n not in held["present"]},
        unseen={
            n: at
            for n, at in everything.items()
            if n not in held["levels"] and all(block == "categories" for block, _ in at)
        },
        noise={n: at for n, at in everything.items() if kinds.get(n) in ("number", "integer")},
        spread=spreads(known),
        target=target_spread(known),
    )


def _refused(schema: Mapping[str, Any]) -> dict[str, set[str]]:
    """Columns whose missing cells, or whose unknown levels, the served model refuses."""
    found: dict[str, set[str]] = {"present": set(), "levels": set()}
    for rule in schema.get("rules", ()):
        if rule.get("severity", "critical") == "critical" and rule["type"] in found:
            found[rule["type"]].add(str(rule["column"]))
    return found


def spreads(known: Judged) -> np.ndarray:
    """Standard deviation of each number on train rows (numbers,); 0 where it has none."""
    numbers = known.feeds.get("numbers")
    if numbers is None:
        return np.zeros(0)
    seen = numbers[known.side == "train"]
    there = np.isfinite(seen)
    count = np.maximum(there.sum(axis=0), 1)
    centre = np.where(there, seen, 0.0).sum(axis=0) / count
    apart = np.where(there, seen - centre, 0.0)
    return np.sqrt((apart**2).sum(axis=0) / count)


def target_spread(known: Judged) -> float:
    """Standard deviation of the target on train rows; 1 for classes."""
    if known.task != "regression":
        return 1.0
    target = known.target[(known.side == "train") & np.isfinite(known.target)]
    return float(target.std()) if len(target) else 1.0


def directions(spec: Spec, known: Judged, session: Any, test: Side) -> list[dict[str, Any]]:
    """What became of each sentence of `gate.directions` on the test rows."""
    from expectations.directions import output, parse, try_direction

    at = known.at(test.row)
    feeds = {block: part[at] for block, part in known.feeds.items()}
    numbers = list(map(str, known.schema.get("numbers") or ()))
    kinds = feature_kinds(known.schema)
    spread, found = spreads(known), []
    for text in spec.gate.directions:
        direction = parse(text)
        column = numbers.index(direction.column)
        tried = try_direction(
            _answer(known, session, at),
            feeds,
            direction,
            column=column,
            flag=kinds.get(direction.column) == "boolean",
            spread=float(spread[column]),
            output=output(direction, str(known.schema["target"]), known.classes),
            target_spread=target_spread(known),
            weight=test.weight,
            unit=test.identity,
            seed=spec.train.seed,
        )
        found.append(tried)
    return found


def _answer(
    known: Judged, session: Any, at: np.ndarray
) -> Callable[[Mapping[str, np.ndarray], np.ndarray], Predictions]:
    from flows.sides import ask

    return lambda feeds, rows: ask(known, session, feeds, at[rows])
