"""What the gate asks of a model: `[gate]` of the settings, as far as judging needs it.

- A margin is an amount in the metric's own unit or a share such as "2%" of the champion's value;
  both are said with the settings line that they came from.
- Rules travel as JSON beside the evidence, so that a stored judgement can be repeated.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal

from expectations.looks import tail_at
from expectations.metrics import DEFAULT_METRIC, METRICS, lookup
from expectations.verdict import number

if TYPE_CHECKING:
    from collections.abc import Mapping

BOUNDED_MARGIN, UNBOUNDED_MARGIN = 0.005, "2%"
BOUNDED_DROP, UNBOUNDED_DROP = 0.05, "10%"


@dataclass(frozen=True, kw_only=True)
class Amount:
    """A distance in a metric, and the settings line that asked for it."""

    value: float
    setting: str


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What a model must reach; `[gate]` of the settings, where each key is explained."""

    metric: str | None = None
    """The metric that decides; None: roc_auc, log_loss or rmse by task."""
    floors: Mapping[str, float] = field(default_factory=dict)
    """Metric -> the least it may be on the test rows; for an error or a cost: the most."""
    floors_lower: Mapping[str, float] = field(default_factory=dict)
    """The same for the bound of the interval that speaks against the model."""
    against_champion: Literal["better", "no_worse", "off"] = "no_worse"
    margin: float | str | None = None
    """None: 0.005 of a metric between 0 and 1, else "2%"."""
    confidence: float = 0.95
    """Of a comparison, on one side, over all looks together."""
    on_inconclusive: Literal["keep", "promote"] = "keep"
    min_referee: int = 50
    """The fewest referee rows, and units, that a comparison may rest on."""
    slice_drop: float | str | None = None
    """None: 0.05 of a metric between 0 and 1, else "10%"."""
    min_support: int = 50
    calibration: Literal["no_worse", "off"] = "no_worse"
    robustness: Mapping[str, float] = field(default_factory=dict)
    """Disturbance -> the least share of answers that must stay stable under it."""

    def __post_init__(self) -> None:
        """Refuse metrics that do not exist, naming the nearest, and amounts that are none."""
        named = (*([self.metric] if self.metric else []), *self.floors, *self.floors_lower)
        for name in named:
            lookup(name)
        for key in ("margin", "slice_drop"):
            _share_of(getattr(self, key), key)
        if not 0.5 <= self.confidence < 1:
            message = (
                f"gate.confidence must be at least 0.5 and below 1, however: {self.confidence}"
            )
            raise ValueError(message)

    @classmethod
    def of(cls, gate: Any) -> Rules:
        """Take what judging needs from an object with the attributes of `[gate]`."""
        return cls(**{each.name: getattr(gate, each.name) for each in fields(cls)})

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Rules:
        """Take rules back from what `to_json` gave; ValueError names what is not known here."""
        unknown = set(stored) - {each.name for each in fields(cls)}
        if unknown:
            names = ", ".join(sorted(unknown))
            raise ValueError(f"rules must have keys that this version knows, however: {names}")
        return cls(**stored)

    def tail(self, look: int) -> float:
        """The chance of error, on one side, that look number `look` may take."""
        return tail_at(look, 1 - self.confidence)

    def margin_in(self, metric: str, base: float) -> Amount:
        """How much worse a model may be in `metric`, where the champion's value is `base`."""
        return _amount("margin", self.margin, (BOUNDED_MARGIN, UNBOUNDED_MARGIN), metric, base)

    def drop_in(self, metric: str, base: float) -> Amount:
        """The drop in a slice that must not go unseen."""
        return _amount("slice_drop", self.slice_drop, (BOUNDED_DROP, UNBOUNDED_DROP), metric, base)


def deciding_metric(task: str, rules: Rules) -> str:
    """The metric that decides for this task; ValueError where the settings name another task's."""
    name = rules.metric or DEFAULT_METRIC[task]
    fits(name, task, "gate.metric")
    return name


def fitting(task: str, rules: Rules) -> None:
    """Refuse, before anything is trained, rules that name another task's metrics (ValueError)."""
    deciding_metric(task, rules)
    for key in ("floors", "floors_lower"):
        for name in getattr(rules, key):
            fits(name, task, f"gate.{key}")


def fits(name: str, task: str, key: str) -> None:
    """Refuse a metric of another task (ValueError)."""
    if task not in lookup(name).tasks:
        known = ", ".join(n for n, m in METRICS.items() if task in m.tasks)
        message = f"{key} must be a metric of a {task} task ({known}), however: {name!r}"
        raise ValueError(message)


def _amount(
    key: str,
    given: float | str | None,
    defaults: tuple[float, str],
    metric: str,
    base: float,
) -> Amount:
    left_out = defaults[0] if lookup(metric).bounded else defaults[1]
    asked = left_out if given is None else given
    share = _share_of(asked, key)
    value = float(asked) if share is None else share * abs(base)
    line = (
        f"gate.{key} = {asked:g}" if isinstance(asked, float | int) else f'gate.{key} = "{asked}"'
    )
    if share is not None:
        line += f" of {number(base)}"
    return Amount(value=value, setting=line + (", the default" if given is None else ""))


def _share_of(asked: float | str | None, key: str) -> float | None:
    """The share that "2%" names; None for a plain amount."""
    if isinstance(asked, str):
        try:
            share = float(asked.strip().removesuffix("%")) / 100
        except ValueError:
            share = math.nan
        if asked.strip().endswith("%") and share >= 0 and math.isfinite(share):
            return share
    elif asked is None or (asked >= 0 and math.isfinite(asked)):
        return None
    raise ValueError(f'gate.{key} must be 0 or more, or a share such as "2%", however: {asked!r}')
