"""What the gate looks at: what a model reached on test rows, and how it stands to the champion.

- `Rows` are the referee rows: known to neither model, with what each of them said of them.
- `Referee` says whether there was anything to compare with, and why not where there was not.
- `Evidence` is a value: judging it twice gives the same verdict.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from expectations.intervals import codes_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from expectations.predictions import Predictions

Status = Literal["none", "compared", "doubt", "off"]


@dataclass(frozen=True, kw_only=True)
class Rows:
    """The N referee rows of a comparison; all parts are in the same order."""

    unit: np.ndarray
    """Group, else identity of each row (N,): what is drawn together and counted once."""
    weight: np.ndarray
    """Weight of each row, float64 (N,)."""
    block: np.ndarray | None = None
    """Code of the contiguous span of time that a row belongs to (N,); None where time is no
    matter."""
    challenger: Predictions
    champion: Predictions
    anchor: Predictions | None = None
    """What the anchor said; None where there is none or it is the champion itself."""
    slices: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Slice -> which rows belong to it, bool (N,)."""
    found: Mapping[str, str] = field(default_factory=dict)
    """Slice -> `declared` or `automatic`; what is not named is declared."""
    levels: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Fairness column -> level of each row as text (N,)."""

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.weight)

    @cached_property
    def codes(self) -> np.ndarray:
        """The units as numbers (N,), which are told apart faster than texts."""
        return codes_of(self.unit)[0]

    @cached_property
    def units(self) -> int:
        """How many units there are."""
        return int(self.codes.max()) + 1 if len(self) else 0


@dataclass(frozen=True, kw_only=True)
class Referee:
    """What came of asking the champion the same questions."""

    status: Status
    """`none`: there is no champion; `compared`: `rows` tell; `doubt`: `reason` says why not;
    `off`: the settings asked for no comparison."""
    reason: str = ""
    champion: str = ""
    """The champion in words, such as "version 3"."""
    anchor: str = ""
    """The last version that won as better or was set by hand; "" where it is the champion."""
    look: int = 1
    """Which look at overlapping referee rows this is, from 1."""
    rows: Rows | None = None
    counts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What is known of a model on the test rows; `Evidence.of` takes it from evidence.json."""

    task: str
    metrics: Mapping[str, Mapping[str, Any]]
    """Metric -> {"value", "low", "high", ...} of the model on the test rows."""
    gains: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Rung -> {"metric", "value", "low", "high"}: how much better the model is, by row."""
    referee: Referee | None = None
    """The comparison with the champion; None where nobody asked for one."""
    checks: Mapping[str, Any] = field(default_factory=dict)
    """What else was tried of the model: `directions`, `robustness`."""
    rows: int | None = None
    """How many test rows the metrics rest on."""
    units: int | None = None
    """How many identities or groups those are."""

    @classmethod
    def of(cls, evidence: Mapping[str, Any], referee: Referee | None = None) -> Evidence:
        """Take what the gate needs from the evidence that `flows.assess` wrote."""
        gains = {rung["name"]: rung["gain"]["test"] for rung in evidence.get("ladder", ())}
        # `directions` of evidence.json says which way each metric is better.
        keys = {"directions": "direction_tests", "robustness": "robustness"}
        checks = {name: evidence[key] for name, key in keys.items() if key in evidence}
        return cls(
            task=evidence["task"],
            metrics=evidence["metrics"]["test"],
            gains=gains,
            referee=referee,
            checks=checks,
            rows=evidence.get("rows", {}).get("test"),
            units=evidence.get("identities", {}).get("test"),
        )
