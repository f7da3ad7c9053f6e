"""What a sweep searches and how Optuna is asked for it: published spaces, conditions, first settings.

- The published ranges are those of the families' own papers and code (TabM, MLP with embeddings),
  with widths about the family's default for the size of the table, as a sweep has minutes here.
- A parameter that cannot matter is not asked: `heads` of a family without them, the length of an
  embedding where there is none.
- Numbers are kept to four digits, so that the winner's settings can be written down.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flows.axis import Axis, Floats, Whole, Words
from flows.sweep_spec import FAMILIES, ONLY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import optuna

    from flows.spec import Spec
    from models.settings import TrainSettings

DIGITS = 4
CONDITIONS: dict[str, Callable[[Mapping[str, Any]], bool]] = {
    "heads": lambda chosen: chosen["network"] in ONLY["heads"],
    "number_size": lambda chosen: chosen["embedding"] != "none",
}
"""When a parameter is asked for, given what was chosen before it."""


@dataclass(frozen=True, kw_only=True)
class Space:
    """The axes of a sweep, and the settings that it tries first."""

    axes: Mapping[str, Axis]
    """Axis by parameter, in the order in which they are asked."""
    base: Mapping[str, Any]
    """What stands where nothing was chosen; for the conditions."""
    first: tuple[dict[str, Any], ...]
    """The families' own default settings, as far as the axes hold them."""
    published: bool
    """Whether the axes are the family's own, as the settings name none."""

    @property
    def searched(self) -> tuple[str, ...]:
        """The parameters with more than one value."""
        return tuple(name for name, axis in self.axes.items() if not axis.single)

    def conditional(self) -> bool:
        """Whether some parameters depend on the choice of others."""
        return any(name in CONDITIONS for name in self.searched) and (
            {"network", "embedding"} & set(self.searched) != set()
        )

    def suggest(self, trial: optuna.trial.BaseTrial) -> dict[str, Any]:
        """Return one setting: parameter to value; asks `trial` for what is searched."""
        chosen: dict[str, Any] = {}
        for name, axis in self.axes.items():
            if not CONDITIONS.get(name, lambda _: True)({**self.base, **chosen}):
                continue
            chosen[name] = axis.least if axis.single else _asked(trial, name, axis)
        return chosen

    def described(self) -> dict[str, Any]:
        """Return the axes as one would write them in `[sweep.space]`."""
        return {name: axis.model_dump(mode="json") for name, axis in self.axes.items()}


def space_of(spec: Spec, base: TrainSettings, rows: int) -> Space:
    """Return the space of the settings, or the published one of `train.network`.

    Args:
        spec: settings with a sweep.
        base: the settings of a training that searches nothing.
        rows: mean train rows per fold.

    """
    given = spec.sweep.space if spec.sweep else None
    axes = given.axes if given is not None else published(base, rows)
    families = axes["network"].choices if "network" in axes else (base.network,)
    first = [_default(base, family, rows) for family in families]
    return Space(
        axes=axes,
        base={"network": base.network, "embedding": base.embedding},
        first=tuple(_held(values, axes) for values in first),
        published=given is None,
    )


def published(base: TrainSettings, rows: int) -> dict[str, Axis]:
    """Return the published space of a family, for its own or the given width and batch."""
    width = _default(base, base.network, rows)["width"]
    tabm = base.network == FAMILIES[1]
    found: dict[str, Axis] = {
        "lr": Floats(low=3e-4, high=5e-3 if tabm else 1e-2, log=True),
        "weight_decay": Floats(low=1e-4, high=1e-1, log=True),
        "dropout": Floats(low=0.0, high=0.5),
        "width": Whole(values=(width // 2, width, width + width // 2)),
        "depth": Whole(values=(1, 2, 3)),
    }
    own = {"width": base.width, "depth": base.depth}
    return {name: axis for name, axis in found.items() if own.get(name, "auto") == "auto"}


def resolved(settings: TrainSettings, rows: int) -> dict[str, Any]:
    """Return a setting with every "auto" resolved, by comparable names."""
    plan = settings.plan(rows)
    found: dict[str, Any] = {
        "network": settings.network,
        "optimizer": settings.optimizer,
        "lr": plan.lr,
        "weight_decay": plan.weight_decay,
        "dropout": settings.dropout,
        "width": plan.config.width,
        "depth": plan.config.depth,
        "batch": plan.batch,
        "activation": settings.activation,
        "embedding": settings.embedding,
        "epochs": plan.epochs,
    }
    if settings.embedding != "none":
        found["number_size"] = plan.config.number_size
    if settings.network in ONLY["heads"]:
        found["heads"] = getattr(plan.config, "heads", None)
    if settings.task != "regression":
        found["label_smoothing"] = settings.label_smoothing
        found["class_weight"] = settings.class_weight
    return found


def _default(base: TrainSettings, family: str, rows: int) -> dict[str, Any]:
    from dataclasses import replace

    return resolved(replace(base, network=family), rows)


def _held(values: Mapping[str, Any], axes: Mapping[str, Axis]) -> dict[str, Any]:
    """Return the values that their axes hold and search."""
    return {
        name: values[name]
        for name, axis in axes.items()
        if name in values and not axis.single and _holds(axis, values[name])
    }


def _holds(axis: Axis, value: Any) -> bool:
    if axis.choices:
        return value in axis.choices
    if not isinstance(axis, Floats | Whole) or axis.low is None or axis.high is None:
        return False
    on_grid = axis.step is None or abs((value - axis.low) / axis.step % 1) < 1e-9
    return axis.low <= value <= axis.high and on_grid


def _asked(trial: optuna.trial.BaseTrial, name: str, axis: Axis) -> Any:
    if isinstance(axis, Words) or axis.choices:
        return trial.suggest_categorical(name, axis.choices)
    if isinstance(axis, Whole):
        low, high = axis.least, axis.most
        return trial.suggest_int(name, low, high, step=axis.step or 1, log=axis.log)
    if not isinstance(axis, Floats):
        raise TypeError(type(axis).__name__)
    low, high = axis.least, axis.most
    value = trial.suggest_float(name, low, high, step=axis.step, log=axis.log)
    return min(max(float(f"{value:.{DIGITS}g}"), low), high)
