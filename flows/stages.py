"""The stages of a run, declared: what each needs, which settings it reads, what it calls.

- A stage is a plain function elsewhere; `flows/stage_calls.py` hands it its inputs as folders.
- Order matters: a stage may only need earlier ones.
- The sweep is a stage of those settings that have one; training takes what it left.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flows import stage_calls as calls
from flows.spec import TrainSpec
from flows.stage import digest_of
from flows.sweep_spec import SweepSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flows.spec import Spec


SECTIONS = ("data", "split", "leaks", "features", "train", "decision", "gate")


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage: `call(spec, folders of needed stages, out, say)` returns small facts."""

    name: str
    module: str
    """The module whose source, with all it imports of this repository, is part of the key."""
    needs: tuple[str, ...]
    settings: tuple[str, ...]
    """Dotted parts of the settings that the stage reads; they are part of its key."""
    call: Callable[..., Mapping[str, Any]]
    reads: Callable[[Spec], Mapping[str, str]] = field(default=lambda _: {})
    """Digests by name of what is read beside earlier stages, such as source files."""
    wanted: Callable[[Spec], bool] = field(default=lambda _: True)
    """Whether settings have this stage at all."""
    beside: tuple[str, ...] = ()
    """Earlier stages that it looks at without being about them: no part of its key."""
    also: tuple[str, ...] = ()
    """Stages that are needed too where the settings have them."""

    def needed(self, spec: Spec) -> tuple[str, ...]:
        """The earlier stages that this one needs."""
        return (*self.needs, *(s.name for s in STAGES if s.name in self.also and s.wanted(spec)))

    def part(self, spec: Spec) -> dict[str, Any]:
        """The stage's part of the settings, flat: {"train.seed": 0, ...}."""
        whole = spec.model_dump(mode="json")
        found: dict[str, Any] = {}
        for dotted in self.settings:
            value: Any = whole
            for key in dotted.split("."):
                value = (value or {}).get(key)
            if isinstance(value, dict) and dotted in SECTIONS:
                found |= {f"{dotted}.{key}": inner for key, inner in value.items()}
            else:
                found[dotted] = value
        return found


READING = (
    "data.source",
    "data.target",
    "data.separator",
    "data.encoding",
    "data.quote",
    "data.skip_lines",
    "data.header",
    "data.names",
    "data.outside",
    "data.derive",
    "data.query",
    "data.sheet",
    "data.http",
    "data.last",
    "data.columns_differ",
    "data.only",
    "data.sample",
    "data.bad_files",
    "data.max_bad_files",
    "split.test_source",
)

SEARCHED = tuple(
    f"train.{name}"
    for name in TrainSpec.model_fields
    if name not in ("members", "ensemble", "inference_seconds")  # of the training after the sweep
)
FITTED = tuple(
    f"train.{name}" for name in ("network", "embedding", "balance", "log_target", "seed")
)
CANARY = ("preprocessing", "selection", "accept")
SEARCH = tuple(
    f"sweep.{name}"
    for name in SweepSpec.model_fields
    if name not in ("enabled", "storage", "study")  # where a study is kept changes nothing in it
)
ASSESSED = tuple(
    f"gate.{name}"
    for name in (
        *("metric", "slices", "find_slices", "min_support"),
        *("fairness", "conformal", "directions"),
    )
)

STAGES = (
    Stage(
        name="load",
        module="flows.load",
        needs=(),
        settings=READING,
        call=calls.load,
        reads=calls.sources,
    ),
    Stage(
        name="analyze",
        module="flows.analyze",
        needs=("load",),
        settings=("data", "task"),
        call=calls.analyze,
    ),
    Stage(
        name="contract",
        module="flows.agree",
        needs=("analyze",),
        settings=("name", "task", "data", "split.by", "features.dates"),
        call=calls.contract,
        reads=calls.contract_file,
    ),
    Stage(
        name="engineer",
        module="flows.engineer",
        needs=("load", "contract"),
        settings=("data", "task"),
        call=calls.engineer,
    ),
    Stage(
        name="validate",
        module="flows.validate",
        needs=("load", "engineer", "contract"),
        settings=("data", "task", "split"),
        call=calls.validate,
    ),
    Stage(
        name="split",
        module="flows.split",
        needs=("validate",),
        settings=("data", "task", "split"),
        call=calls.split,
    ),
    Stage(
        name="leaks",
        module="flows.leaks",
        needs=("load", "engineer", "validate", "split"),
        settings=("data", "task", "split", "leaks"),
        call=calls.leaks,
        reads=calls.split_said,
    ),
    Stage(
        name="canary",
        module="flows.canary",
        needs=("contract",),
        beside=("load", "validate", "split"),
        settings=("data", "task", "split", "features", *FITTED, *(f"leaks.{n}" for n in CANARY)),
        call=calls.canary,
        reads=calls.user_code,
        wanted=lambda spec: {spec.leaks.preprocessing, spec.leaks.selection} != {"off"},
    ),
    Stage(
        name="sweep",
        module="flows.sweep",
        needs=("validate", "split"),
        settings=("data", "task", "features", *SEARCHED, *SEARCH),
        call=calls.sweep,
        wanted=lambda spec: spec.search is not None,
    ),
    Stage(
        name="train",
        module="flows.train",
        needs=("validate", "split"),
        also=("sweep",),
        settings=("data", "task", "features", "train", "decision"),
        call=calls.train,
    ),
    Stage(
        name="export",
        module="flows.train",
        needs=("load", "validate", "train"),
        settings=("data", "task", "train", "decision"),
        call=calls.export,
    ),
    Stage(
        name="assess",
        module="flows.assess",
        needs=("load", "validate", "split", "train", "export"),
        settings=(
            *("data", "task", "features.drop_outliers", "train.seed", "decision"),
            *ASSESSED,
        ),
        call=calls.assess,
    ),
)

TRAINING = ("canary", "sweep", "train", "export", "assess")
BEFORE_TRAINING = tuple(s for s in STAGES if s.name not in TRAINING)


def stages_of(spec: Spec) -> tuple[Stage, ...]:
    """Return the stages that the settings have, in order."""
    return tuple(stage for stage in STAGES if stage.wanted(spec))


def settings_digest(spec: Spec) -> str:
    """The digest of the settings that decide what is made: without when, where, and for how long."""
    return digest_of(
        spec.model_dump(mode="json", exclude={"keep", "schedule", "servers", "execution"})
    )
