"""What both sides of the sweep's benchmark are given: a table, a space, epochs and batches.

- `Case.settings` writes Penstock's settings file, `Case.wish` the same for the peer.
- The networks are plain on both sides: numbers are scaled, and nothing is embedded.
- California housing is read from PENSTOCK_DATA; diabetes comes with scikit-learn.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

RATES = {"lr": (3e-4, 1e-2), "weight_decay": (1e-5, 1e-1), "dropout": (0.0, 0.4)}
"""Ranges that both sides search; the first two by their logarithms."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One table and how it is swept."""

    name: str
    widths: tuple[int, ...]
    depths: tuple[int, ...]
    batch: int
    epochs: int
    trials: int
    pruned: bool = False
    least: int = 1
    """Epochs that every trial is given where the worse are stopped, on both sides."""
    factor: int = 3
    tracking: bool = True
    seed: int = 0

    @property
    def title(self) -> str:
        """Name the case in a table."""
        how = ", pruned" if self.pruned else "" if self.tracking else ", untracked"
        return f"{self.name}{how}"

    def settings(self, folder: Path) -> Path:
        """Write table and settings into `folder`; return the settings file."""
        TABLES[self.name]().to_csv(folder / "table.csv", index=False)
        low_high = [
            f"{name} = {{ low = {low!r}, high = {high!r}, log = {str(low > 0).lower()} }}"
            for name, (low, high) in RATES.items()
        ]
        lines = [
            f'name = "sweep-{self.name}"',
            'task = "regression"',
            '[data]\nsource = "table.csv"\ntarget = "target"',
            "[split]\nfolds = 0",  # one validation side, the same rows on both sides
            f"[train]\nepochs = {self.epochs}\nbatch = {self.batch}\nmembers = 1",
            f'embedding = "none"\nlog_target = false\npatience = {self.epochs}',
            f"seed = {self.seed}",
            f"[sweep]\ntrials = {self.trials}\nhalving = {str(self.pruned).lower()}",
            f"min_epochs = {self.least}\nfactor = {self.factor}",
            "[sweep.space]",
            *low_high,
            f"width = {list(self.widths)}\ndepth = {list(self.depths)}",
        ]
        path = folder / "table.toml"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    def wish(self, *, processes: int, pruner: str | None) -> str:
        """Return what the peer is told, as JSON; cores are shared out among its processes."""
        told: dict[str, Any] = {
            "width": self.widths,
            "depth": self.depths,
            "batch": self.batch,
            "epochs": self.epochs,
            "trials": self.trials,
            "tracking": self.tracking,
            "pruner": pruner,
            "least": self.least,
            "factor": self.factor,
            "processes": processes,
            "threads": max(1, (os.cpu_count() or 1) // processes),
        }
        return json.dumps({**told, **RATES})

    def quick(self) -> Case:
        """Next to no training, on the table that is always there: whether everything works."""
        return replace(DIABETES, pruned=self.pruned, tracking=self.tracking, trials=6, epochs=4)


def california() -> pd.DataFrame:
    """Eight numbers of a district, and what its houses cost."""
    folder = os.environ.get("PENSTOCK_DATA")
    if not folder:
        raise FileNotFoundError("PENSTOCK_DATA names no folder of real tables")
    frame = pd.read_csv(Path(folder) / "california_housing" / "housing.csv")
    frame = frame.drop(columns="ocean_proximity")
    return frame.rename(columns={"median_house_value": "target"})


def diabetes() -> pd.DataFrame:
    """Ten numbers of a patient, and how the disease went on; 442 rows."""
    from sklearn.datasets import load_diabetes

    found: Any = load_diabetes(as_frame=True)
    return found.frame


TABLES = {"california": california, "diabetes": diabetes}
CALIFORNIA = Case(
    name="california", widths=(64, 128), depths=(2, 3), batch=256, epochs=10, trials=32
)
DIABETES = Case(name="diabetes", widths=(16, 32, 64), depths=(2, 3), batch=32, epochs=30, trials=32)
