"""Statistics of the gate: how often it is wrong over sequences of nights, and what it can see.

- Every figure goes through the real `expectations.gate.judge`, on models whose truth is known.
- `equal_promoted_30_nights`: rule "better", equal models, the same 2,000 test rows, thirty nights:
  share of seeds with any promotion, the worst of accuracy, AUC and RMSE; beside it the same rule at
  95 % that pays for no look (`_unspent`), and "the higher number wins" (`_point_rule`).
- `worse_by_margin_promoted`: the same nights under "no_worse", challengers worse by the margin.
- `year_of_creep_lost_margins`: 365 challengers, each a twentieth of the margin worse than what is in
  service, n = 20,000: the most that any seed lost, in margins; beside it without anchor or spending.
- `two_points_better_promoted_n5000`: rule "better", accuracy, +2 points, discordance .10, first look.
- `slice_drop_caught`, `slice_false_alarm`: 20 slices of 500 rows, discordance .08, a drop of 5 points
  in one of them, or none.
- `python benchmarks/gate.py [--only NAME] [--seeds N] [--json]`; `--only power` is the table of power
  curves, made only when asked for; `--smoke`: whether everything works.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.gate_nights import rules, sequences, years
from benchmarks.gate_slices import DROP, HARMED, referee_rows
from benchmarks.gate_worlds import World, apart, verdict
from expectations.gate import Evidence, Referee, Rules, judge

if TYPE_CHECKING:
    from collections.abc import Callable

    from expectations.gate import Rows, Verdict

LIMITS = {
    "equal_promoted_30_nights": 0.07,
    "worse_by_margin_promoted": 0.07,
    "year_of_creep_lost_margins": 1.0,
    "slice_false_alarm": 0.07,
}
BARS = {"two_points_better_promoted_n5000": 0.9, "slice_drop_caught": 0.8}
UNITS = (300, 1000, 2000, 5000, 20_000)
GAINS = (0.005, 0.01, 0.02, 0.03)
DISCORDANCES = (0.05, 0.10, 0.20)


def promoted(
    seeds: int, *, gain: float = 0.02, discordance: float = 0.10, rows: int = 5000, look: int = 1
) -> float:
    """How often a model that is truly more accurate by `gain` is promoted as better."""
    known = rules("accuracy", "better")
    found = (apart(rows, seed, gain=gain, discordance=discordance) for seed in range(seeds))
    return float(np.mean([verdict(*pair, known, look=look).outcome == "promote" for pair in found]))


def promoted_by_area(seeds: int, *, gain: float, rows: int, look: int = 1) -> float:
    """The same for a model whose AUC is larger by `gain` than .85."""
    known = rules("roc_auc", "better")
    outcomes = []
    for seed in range(seeds):
        world = World("roc_auc", rows, seed)
        judged = verdict(world.model(-gain), world.model(), known, look=look)
        outcomes.append(judged.outcome == "promote")
    return float(np.mean(outcomes))


def slices(seeds: int) -> dict[str, float]:
    """How often a planted drop is caught by name, and how often equal slices raise an alarm."""
    caught = [HARMED in harmed(referee_rows(seed, drop=DROP)) for seed in range(seeds)]
    alarms = [bool(harmed(referee_rows(10**6 + seed))) for seed in range(seeds)]
    return {
        "slice_drop_caught": float(np.mean(caught)),
        "slice_false_alarm": float(np.mean(alarms)),
    }


def harmed(rows: Rows, look: int = 1) -> set[str]:
    """The slices for which the gate rejects the challenger."""
    referee = Referee(status="compared", champion="version 1", look=look, rows=rows)
    known = Rules(metric="accuracy", calibration="off")
    judged = judge(Evidence(task="binary", metrics={}, referee=referee), known)
    return _rejecting(judged)


def _rejecting(judged: Verdict) -> set[str]:
    found = (each for each in judged.findings if each.by == "slices" and each.outcome == "reject")
    return {str(each.numbers["slice"]) for each in found}


def year(seeds: int, *, smoke: bool = False) -> dict[str, Any]:
    """The creep as the gate stops it, and what would pass without one or the other of its parts."""
    ways: dict[str, dict[str, Any]] = {
        "year_of_creep": {},
        "year_of_creep_no_anchor": {"anchored": False},
        "year_of_creep_unspent": {"spent": False},
        "year_of_creep_neither": {"spent": False, "anchored": False},
        "year_of_creep_new_rows_monthly": {"fresh": 30},
    }
    less: dict[str, Any] = {"nights": 20, "rows": 2000} if smoke else {}
    figures: dict[str, Any] = {}
    for name, how in ways.items():
        # What stands beside the gate is far from its limit, and needs fewer seeds.
        found = years(max(seeds // 4, 2) if how else seeds, **how, **less)
        figures |= {f"{name}_lost_margins": found["most"], f"{name}_lost_mean": found["mean"]}
        figures[f"{name}_promotions"] = found["promoted"]
    return figures


def power(seeds: int, *, smoke: bool = False) -> dict[str, Any]:
    """Power of "better" at the first and the thirtieth look, by gain, discordance and rows."""
    units = UNITS[:2] if smoke else UNITS
    table = []
    for gain in GAINS:
        for look in (1, 30):
            for apart_by in DISCORDANCES:
                row: dict[str, Any] = {"metric": f"accuracy, discordance {apart_by:.2f}"}
                row |= {"gain": gain, "look": look}
                row |= {
                    f"{n:,}": promoted(seeds, gain=gain, discordance=apart_by, rows=n, look=look)
                    for n in units
                }
                table.append(row)
            row = {"metric": "AUC .85, scores alike .9", "gain": gain, "look": look}
            row |= {f"{n:,}": promoted_by_area(seeds, gain=gain, rows=n, look=look) for n in units}
            table.append(row)
    return {"power": table}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    names = ("sequences", "year", "gain", "slices", "power")
    parser.add_argument("--only", choices=names, action="append", help="this part; may be repeated")
    parser.add_argument("--seeds", type=int, default=400, help="of every figure but the year's")
    parser.add_argument("--years", type=int, default=40, help="seeds of the year")
    parser.add_argument("--smoke", action="store_true", help="whether everything works")
    parser.add_argument("--json", action="store_true", help="one JSON object of named figures")
    wish = parser.parse_args()
    seeds, smoke = 4 if wish.smoke else wish.seeds, wish.smoke
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "sequences": lambda: sequences(seeds, every=not smoke),
        "year": lambda: year(2 if smoke else wish.years, smoke=smoke),
        "gain": lambda: {"two_points_better_promoted_n5000": promoted(seeds)},
        "slices": lambda: slices(seeds),
        "power": lambda: power(seeds, smoke=smoke),
    }
    figures: dict[str, Any] = {"seeds": seeds}
    for name in wish.only or names[:-1]:
        started = time.perf_counter()
        figures |= parts[name]()
        figures[f"{name}_s"] = round(time.perf_counter() - started, 1)
    print(json.dumps(figures, indent=1) if wish.json else text(figures))


def text(figures: dict[str, Any]) -> str:
    """Word the figures for people, with what must hold."""
    lines = []
    for row in figures.pop("power", []):
        lines += ["".join(f"{name:>28}" if name == "metric" else f"{name:>8}" for name in row)] * (
            not lines
        )
        lines.append(
            "".join(f"{v:>28}" if isinstance(v, str) else f"{v:>8.3g}" for v in row.values())
        )
    for name, by_metric in figures.pop("sequences", {}).items():
        for metric, found in by_metric.items():
            said = ", ".join(f"{rule} {share:.3f}" for rule, share in found.items())
            lines.append(f"{name:<8}{metric:<12}{said}")
    for name, value in figures.items():
        bar = f" (at least {BARS[name]:g})" if name in BARS else ""
        bar = f" (at most {LIMITS[name]:g})" if name in LIMITS else bar
        lines.append(f"{name:<44} {value:.4g}{bar}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
