"""Figures of the sweep: against Optuna, Lightning and MLflow as a competent user would write them.

- Both sides in one run, on the same rows and values, space, epochs and batches; the peer as one
  process with all cores' threads and as one process per core, and the better of the two counts.
- `ratio`: California, 32 trials, nothing pruned; `ratio_pruned`: 64 trials, the worse stopped on
  both sides; `ratio_small`: diabetes, `_untracked` without MLflow on both sides. Each is the peer's
  seconds over ours; `*_rmse_over`: our best validation RMSE over the best of all peers, less 1.
- `bound_fraction`: see `sweep_growth.py`. `tracking_share`: seconds with MLflow over those without,
  less 1, on California with a minute of training.
- `python benchmarks/sweep.py [--only NAME] [--rounds N] [--json]`; `--only quality [--seeds N]
  [--table NAME] [--budget 10m]` is the table of `sweep_quality.py`, which takes hours and is made
  only when asked for. `--smoke`: whether everything works, on the smallest table.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import signal
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from benchmarks.sweep_cases import CALIFORNIA, DIABETES, Case
from benchmarks.sweep_race import Result, middle, ours, peers

if TYPE_CHECKING:
    from collections.abc import Callable

MINUTE = 65.0
"""Seconds of training that `tracking_share` is measured over, at least."""
BARS = {
    "ratio": 6.0,
    "ratio_pruned": 6.0,
    "ratio_small": 10.0,
    "ratio_small_untracked": 20.0,
    "bound_fraction": 0.4,
}
LEADS, SIDES = ("", "pruned_", "small_", "small_untracked_"), ("penstock_", "peer_")
LIMITS = {"rmse_over": 0.01, "pruned_rmse_over": 0.01, "tracking_share": 0.1}


class Bench:
    """Runs races in a folder, each case once: parts may share them."""

    def __init__(self, folder: Path, *, smoke: bool, rounds: int) -> None:
        """Measure each side `rounds` times."""
        self.folder, self.smoke, self.rounds = folder, smoke, 1 if smoke else rounds
        self.shown: list[tuple[str, Result]] = []
        self._ours: dict[Case, Result] = {}
        self._peers: dict[Case, list[Result]] = {}
        self._rows: dict[str, Path] = {}

    def ours(self, case: Case) -> Result:
        """Return Penstock's result, the middle one of the rounds."""
        case = case.quick() if self.smoke else case
        if case not in self._ours:
            places = [self._place("ours") for _ in range(self.rounds)]
            self._ours[case] = middle([ours(case, place) for place in places])
            self._rows[case.name] = places[0] / "rows.npz"
            self.shown.append((case.title, self._ours[case]))
        return self._ours[case]

    def peers(self, case: Case) -> list[Result]:
        """Return the peer's ways, the quickest first; `ours` must have left the rows."""
        case = case.quick() if self.smoke else case
        if case not in self._peers:
            rows = self._rows[case.name]
            found = [
                peers(case, self._place("peer"), rows, quick=self.smoke) for _ in range(self.rounds)
            ]
            every = [middle(list(way)) for way in zip(*found, strict=True)]
            self._peers[case] = sorted(every, key=lambda result: result.wall_s)
            self.shown += [(case.title, result) for result in self._peers[case]]
        return self._peers[case]

    def _place(self, name: str) -> Path:
        place = self.folder / f"{name}-{len(list(self.folder.iterdir()))}"
        place.mkdir()
        return place

    def ratio(self, case: Case, text: str = "") -> dict[str, Any]:
        """Race both sides over a case."""
        mine = self.ours(case)
        others = self.peers(case)
        lead = f"{text}_" if text else ""
        figures: dict[str, Any] = {
            f"ratio_{text}" if text else "ratio": others[0].wall_s / mine.wall_s,
            f"{lead}rmse_over": mine.rmse / min(other.rmse for other in others) - 1,
        }
        for result in (mine, *others):
            figures |= {f"{lead}{name}": value for name, value in result.figures().items()}
        return figures

    def small(self) -> dict[str, Any]:
        """Diabetes with tracking on both sides, and without."""
        untracked = replace(DIABETES, tracking=False)
        return self.ratio(DIABETES, "small") | self.ratio(untracked, "small_untracked")

    def tracking(self) -> dict[str, Any]:
        """What MLflow costs over a minute of training; the two take turns."""
        rate = self.ours(CALIFORNIA).rate
        wanted = math.ceil(max(CALIFORNIA.trials, rate * MINUTE / 60) / 32) * 32
        case = replace(CALIFORNIA, trials=wanted)
        without = self.ours(replace(case, tracking=False))
        tracked = self.ours(case)
        return {
            "tracking_share": tracked.wall_s / without.wall_s - 1,
            "tracking_trials": tracked.trials,
            "tracking_with_s": tracked.wall_s,
            "tracking_without_s": without.wall_s,
        }

    def growth(self) -> dict[str, Any]:
        """Cost per trial as the population grows."""
        from benchmarks.sweep_growth import growth

        return growth(smoke=self.smoke, rounds=self.rounds)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    names = ("ratio", "pruned", "small", "growth", "tracking", "quality")
    parser.add_argument("--only", choices=names, action="append", help="this part; may be repeated")
    parser.add_argument("--rounds", type=int, default=1, help="how often; the middle one counts")
    parser.add_argument("--seeds", type=int, default=5, help="split seeds of the quality table")
    parser.add_argument("--table", action="append", help="of the quality table; may be repeated")
    parser.add_argument("--budget", default="10m", help="of each sweep of the quality table")
    parser.add_argument("--smoke", action="store_true", help="whether everything works")
    parser.add_argument("--json", action="store_true", help="one JSON object of named figures")
    wish = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends what it has started, too
    figures = machine()
    with tempfile.TemporaryDirectory(prefix="penstock-sweep-") as place:
        bench = Bench(Path(place), smoke=wish.smoke, rounds=wish.rounds)
        parts: dict[str, Callable[[], dict[str, Any]]] = {
            "ratio": lambda: bench.ratio(CALIFORNIA),
            "pruned": lambda: bench.ratio(replace(CALIFORNIA, trials=64, pruned=True), "pruned"),
            "small": bench.small,
            "growth": bench.growth,
            "tracking": bench.tracking,
            "quality": lambda: quality(Path(place), wish),
        }
        for name in wish.only or names[:-1]:
            try:
                figures |= parts[name]()
            except FileNotFoundError as missing:
                figures[f"{name}_skipped"] = str(missing)
    figures["load_after"] = load()
    print(json.dumps(figures, indent=1) if wish.json else text(figures, bench.shown))


def quality(folder: Path, wish: argparse.Namespace) -> dict[str, Any]:
    """The quality table."""
    from benchmarks.sweep_quality import TABLES, quality

    names = wish.table or list(TABLES)
    return quality(folder, range(wish.seeds), names=names, budget=wish.budget)


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    name = platform.machine()
    cpus = Path("/proc/cpuinfo")
    if cpus.is_file():
        models = [ln for ln in cpus.read_text().splitlines() if ln.startswith("model name")]
        name = models[0].partition(":")[2].strip() if models else name
    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none"
    found = {"machine": f"{os.cpu_count()} cores, {name}", "gpu": gpu, "torch": torch.__version__}
    return {**found, "load_before": load()}


def load() -> float:
    """The load average of the last minute."""
    return round(os.getloadavg()[0], 2)


def text(figures: dict[str, Any], races: list[tuple[str, Result]]) -> str:
    """Word the figures for people: races, growth, and what must hold."""
    heads = ("wall s", "CPU s", "trials", "pruned", "/min", "RMSE", "others")
    lines = [f"{'case':<24}{'side':<28}" + "".join(f"{head:>9}" for head in heads)]
    for title, r in races:
        row = f"{title:<24}{r.name:<28}{r.wall_s:9.2f}{r.cpu_s:9.2f}{r.trials:9}{r.pruned:9}"
        lines.append(f"{row}{r.rate:9.1f}{r.rmse:9.4f}{r.others:9.2f}")
    lines = lines if races else []
    for place, row in enumerate(figures.pop("growth", [])):
        lines += ["".join(f"{name:>18}" for name in row)] if not place else []
        lines.append("".join(f"{value:>18.4g}" for value in row.values()))
    for name, value in figures.items():
        bar = f" (at least {BARS[name]:g})" if name in BARS else ""
        bar = f" (at most {LIMITS[name]:g})" if name in LIMITS else bar
        if not name.startswith(tuple(f"{lead}{side}" for lead in LEADS for side in SIDES)):
            shown = f"{value:.4g}" if isinstance(value, float) else value
            lines.append(f"{name:<40} {shown}{bar}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
