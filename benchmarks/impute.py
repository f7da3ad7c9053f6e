"""Imputers against one another and scikit-learn's, on the same hidden cells of real tables.

- Parts: `mcar`, `mar` and `mnar` masks (`benchmarks/impute_cases.py`), `downstream` accuracy, and
  `seeds`: whether `gain` stays finite and good on as many masks and seeds as `--seeds` says.
- Seconds are CPU seconds of one process: fit and fill. Slow imputers get `--few` masks where no bar
  is asked.
- `--out FILE` keeps a line per measurement; what the file has already is not measured again, so
  that a run that was cut short goes on. Delete it after a change of an imputer.
- Run: `PENSTOCK_DATA=... python -m benchmarks.impute [--parts mcar mar] [--tables spam letter]
  [--imputers mice ...] [--masks 5] [--first 0] [--few 1] [--seeds 20] [--seed-steps 2000]
  [--out FILE] [--json]`.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.commands import tell
from benchmarks.impute_cases import ALL, TABLES, downstream, filled

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PARTS = ("mcar", "mar", "mnar", "downstream", "seeds")
QUICK = ("median", "mice")
BARS = {("mice", "spam"): 0.0515, ("mice", "letter"): 0.115,
        ("masked", "spam"): 0.0475, ("masked", "letter"): 0.078,
        ("gain", "spam"): 0.0528 * 1.05, ("gain", "letter"): 0.126 * 1.05}  # fmt: skip
"""What each must reach on `mcar`, and `gain` on `seeds`."""


@dataclass(frozen=True, kw_only=True)
class Piece:
    """One measurement: everything random in it follows from `seed`."""

    part: str
    table: str
    imputer: str
    seed: int
    steps: int | None = None
    """Of a network's training, where fewer than its default."""

    @property
    def source(self) -> Piece:
        """Return the measurement that answers it: `seeds` are further masks and seeds of `mcar`."""
        return replace(self, part="mcar") if self.part == "seeds" else self

    def measured(self) -> dict[str, Any]:
        """Measure it, as JSON."""
        if self.part == "downstream":
            return downstream(self.table, self.imputer, self.seed)
        options = {} if self.steps is None else {"steps": self.steps}
        return filled(self.table, self.imputer, self.part, self.seed, **options)


def pieces(given: argparse.Namespace) -> Iterator[Piece]:
    """Yield what to measure, part by part."""
    for part in given.parts:
        for table in given.tables:
            for imputer in given.imputers:
                many = given.masks if part == "mcar" or imputer in QUICK else given.few
                steps = None
                if part == "seeds":
                    many, steps = given.seeds if imputer == "gain" else 0, given.seed_steps
                for seed in range(given.first, given.first + many):
                    yield Piece(part=part, table=table, imputer=imputer, seed=seed, steps=steps)


def stored(path: Path | None) -> dict[Piece, dict[str, Any]]:
    """Return what a file of measurements has."""
    found = {}
    if path is not None and path.exists():
        for line in path.read_text("utf-8").splitlines():
            each = json.loads(line)
            found[Piece(**each.pop("piece"))] = each
    return found


def measure(wanted: Sequence[Piece], out: Path | None) -> dict[Piece, dict[str, Any]]:
    """Measure all pieces that `out` has not; a line of it per piece."""
    known = stored(out)
    for piece in (each.source for each in wanted):
        if piece in known:
            continue
        known[piece] = piece.measured()
        if out is not None:
            with out.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"piece": asdict(piece), **known[piece]}) + "\n")
    return {piece: known[piece.source] for piece in wanted}


def summed(part: str, found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return means over masks, and the deviation of the error."""
    seconds = round(float(np.mean([each["seconds"] for each in found])), 2)
    one: dict[str, Any] = {"masks": len(found), "cpu_seconds": seconds}
    if part == "downstream":
        return one | {
            key: round(float(np.mean([each[key] for each in found])), 4)
            for key in ("boosting", "linear")
        }
    errors = [each["rmse"] for each in found]
    one["rmse"] = round(float(np.mean(errors)), 5)
    one["sd"] = round(float(np.std(errors, ddof=1)), 5) if len(errors) > 1 else None
    return one | {"not_finite": sum(not each["finite"] for each in found)}


def figures(measured: dict[Piece, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return named figures, with what must hold beside those of which it is asked."""
    grouped: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for piece, one in measured.items():
        grouped.setdefault((piece.table, piece.part, piece.imputer), []).append(one)
    found = {}
    for (table, part, imputer), each in grouped.items():
        one = summed(part, each)
        whole = all(piece.steps is None for piece in measured if piece.part == part)
        if part in ("mcar", "seeds") and whole and (bar := BARS.get((imputer, table))) is not None:
            one |= {"bar": round(bar, 4), "held": one["rmse"] <= bar and not one["not_finite"]}
        found[f"{table}/{part}/{imputer}"] = one
    return found


def main() -> None:
    """Print a table for people, or one JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=PARTS)
    parser.add_argument("--tables", nargs="+", default=list(TABLES), choices=list(TABLES))
    parser.add_argument("--imputers", nargs="+", default=list(ALL), choices=list(ALL))
    parser.add_argument("--masks", type=int, default=5)
    parser.add_argument("--first", type=int, default=0, help="the first mask's number")
    parser.add_argument(
        "--few", type=int, default=1, help="masks where it is slow and no bar asked"
    )
    parser.add_argument("--seeds", type=int, default=20, help="masks and seeds of gain")
    parser.add_argument("--seed-steps", type=int, help="steps of each of them, if not all")
    parser.add_argument("--out", type=Path, help="a file that keeps every measurement")
    parser.add_argument("--json", action="store_true", help="one JSON object of named figures")
    given = parser.parse_args()
    found = figures(measure(list(pieces(given)), given.out))
    tell(found, as_json=given.json)


if __name__ == "__main__":
    main()
