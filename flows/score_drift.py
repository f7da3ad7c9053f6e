"""Drift of a batch: rows that are scored beside those that the model was trained on.

- A sample of the batch is typed by the model's own reader and counted in the bins of its profile.
- The labels that are answered are compared with those that were trained on: a prior that moved.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from expectations.drift import compared, counted, settled, stability
from flows.drift import sentence, training_profile
from flows.leaks_view import column_of
from flows.tables import frame_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    import pyarrow as pa

    from flows.home import Home

ROWS = 50_000
PER_CHUNK = 10_000
LISTED = 20
LEAST = 30
LABELS = 1_000


def profile_of(home: Home, version: Any) -> tuple[dict[str, Any] | None, str]:
    """Return the profile of a version's training rows, or None and why it is not to be trusted."""
    with tempfile.TemporaryDirectory(prefix="penstock-profile-") as place:
        try:
            return training_profile(home, version, Path(place)), ""
        except Exception as error:  # noqa: BLE001 - rows are scored without it as well
            return None, str(error)


@dataclass(kw_only=True)
class Watch:
    """Keeps a sample of the rows that go by, and counts the labels that are answered."""

    profile: Mapping[str, Any] | None
    """Of the training rows; None where the version has none."""
    schema: Mapping[str, Any]
    """The model's own, by which raw cells are typed."""
    said: str
    """What sentences call the version."""
    parts: list[pd.DataFrame] = field(default_factory=list)
    kept: int = 0
    labels: Counter[str] = field(default_factory=Counter)

    def take(self, rows: pa.Table, answers: pa.Table) -> None:
        """Take note of a chunk of raw rows and of its answers."""
        if self.profile is None:
            return
        if self.profile["target"]["kind"] == "levels":
            found = answers["prediction"].value_counts()
            self.labels.update(
                {
                    _text(p["values"].as_py()): p["counts"].as_py()
                    for p in found
                    if p["values"].is_valid
                }
            )
        room = min(ROWS - self.kept, PER_CHUNK)
        if room <= 0:
            return
        step = max(1, -(-rows.num_rows // room))
        names = [e["name"] for e in self.schema["columns"] if e["name"] in rows.column_names]
        part = frame_of(rows.select(names).take(np.arange(0, rows.num_rows, step)))
        self.parts.append(part)
        self.kept += len(part)

    def found(self) -> dict[str, Any] | None:
        """Return how the batch differs; None where there is nothing to compare."""
        if self.profile is None or self.kept < LEAST:
            return None
        import pandas as pd

        from models.served import read

        typed: Any = read(pd.concat(self.parts, ignore_index=True), self.schema)[0]
        columns: dict[str, dict[str, Any]] = {}
        for name, before in self.profile["columns"].items():
            if name in typed:
                column = column_of(typed[name], "number")
                columns[name] = compared(before, counted(before, column.cells, column.names))
        every = settled(columns)
        drifted = [each["column"] for each in every if each["drifted"]]
        facts = {"rows": [self.profile["rows"], self.kept], "columns": every, "drifted": drifted}
        said = sentence(facts, self.said)
        return {**facts, "columns": every[:LISTED], "labels": self._labels(), "sentence": said}

    def _labels(self) -> dict[str, Any] | None:
        """Compare answered labels with trained ones."""
        if self.profile is None or not self.labels:
            return None
        then = dict(self.profile["target"]["levels"])
        names = list(dict.fromkeys([*then, *self.labels]))[:LABELS]
        old = np.array([then.get(name, 0) for name in names])
        new = np.array([self.labels[name] for name in names])
        psi, chance = stability(old, new)
        shares = [
            [name, float(a), float(b)]
            for name, a, b in zip(names, old / old.sum(), new / new.sum(), strict=True)
        ]
        return {"psi": round(psi, 6), "chance": round(chance, 6), "shares": shares[:LISTED]}


def _text(label: Any) -> str:
    return str(label)
