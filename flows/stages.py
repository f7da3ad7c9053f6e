"""The stages of a run, declared: what each needs, which settings it reads, what it calls.

- A stage is a plain function elsewhere; here it gets its inputs as folders and leaves files in one.
- Order matters: a stage may only need earlier ones.
- Heavy imports happen when a stage runs, so a stage that is reused costs nothing but its digest.
- The sweep is a stage of those settings that have one; training takes what it left.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flows.json_files import read_json
from flows.spec import TrainSpec
from flows.stage import digest_of, file_digest
from flows.sweep_spec import SweepSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from flows.spec import Spec


SECTIONS = ("data", "split", "train", "decision", "gate")


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


def _load(spec: Spec, _: Mapping[str, Path], out: Path, say: Any) -> Mapping[str, Any]:
    from flows.load import load, source_digest

    say("reading")
    return load(spec, out, expected=source_digest(spec))


def _sources(spec: Spec) -> Mapping[str, str]:
    from flows.load import source_digest

    found = source_digest(spec)
    if found["volatile"]:  # a function may return something else tomorrow: it is always asked
        return {"source": found["digest"], "source is a function": secrets.token_hex(8)}
    return {"source": found["digest"]}


def _analyze(spec: Spec, made: Mapping[str, Path], out: Path, say: Any) -> Mapping[str, Any]:
    from flows.analyze import analyze

    say("profiling the columns")
    return analyze(spec, made["load"] / "table.parquet", out)


def _contract(spec: Spec, made: Mapping[str, Path], out: Path, _: Any) -> Mapping[str, Any]:
    from flows.agree import agree

    return agree(spec, read_json(made["analyze"] / "profile.json"), out)


def _contract_file(spec: Spec) -> Mapping[str, str]:
    path = spec.contract_path
    return {"contract file": file_digest(path)} if path.is_file() else {}


def _engineer(spec: Spec, made: Mapping[str, Path], out: Path, say: Any) -> Mapping[str, Any]:
    from flows.engineer import engineer

    say("typing the cells")
    schema = read_json(made["contract"] / "schema.json")
    return engineer(spec, schema, made["load"] / "table.parquet", out)


def _validate(spec: Spec, made: Mapping[str, Path], out: Path, say: Any) -> Mapping[str, Any]:
    from expectations.contract import Contract
    from flows.validate import validate

    say("checking the contract")
    contract = Contract.load(made["contract"] / "contract.toml")
    schema = read_json(made["contract"] / "schema.json")
    engineered = made["engineer"]
    return validate(
        spec,
        contract,
        schema,
        engineered / "typed.parquet",
        engineered / "untypable.parquet",
        out,
    )


def _split(spec: Spec, made: Mapping[str, Path], out: Path, say: Any) -> Mapping[str, Any]:
    from flows.split import split

    say("choosing sides")
    earlier = read_json(made["earlier split"]) if "earlier split" in made else None
    schema = read_json(made["validate"] / "schema.json")
    clean = made["validate"] / "clean.parquet"
    return split(spec, clean, out, schema=schema, previous=earlier)


def _sweep(spec: Spec, made: Mapping[str, Path], out: Path, say: Any) -> Mapping[str, Any]:
    from flows.sweep import sweep

    schema = read_json(made["validate"] / "schema.json")
    clean, ledger = made["validate"] / "clean.parquet", made["split"] / "ledger.parquet"
    return sweep(spec, schema, clean, ledger, out, say, checkpoints=made["checkpoints"])


def _train(spec: Spec, made: Mapping[str, Path], out: Path, say: Any) -> Mapping[str, Any]:
    from flows.train import train

    schema = read_json(made["validate"] / "schema.json")
    clean, ledger = made["validate"] / "clean.parquet", made["split"] / "ledger.parquet"
    again, trials = made["checkpoints"], []
    if "sweep" in made:
        from flows.sweep_result import fitted, with_best

        spec, trials = with_best(spec, made["sweep"]), fitted(made["sweep"])
    return train(spec, schema, clean, ledger, out, progress=say, checkpoints=again, sweeps=trials)


def _export(spec: Spec, made: Mapping[str, Path], out: Path, say: Any) -> Mapping[str, Any]:
    from flows.train import export

    say("writing one graph")
    schema = read_json(made["validate"] / "schema.json")
    return export(spec, schema, made["train"], made["load"] / "table.parquet", out)


def _assess(spec: Spec, made: Mapping[str, Path], out: Path, say: Any) -> Mapping[str, Any]:
    from flows.assess import assess

    return assess(
        spec,
        read_json(made["validate"] / "schema.json"),
        made["split"] / "ledger.parquet",
        made["load"] / "table.parquet",
        made["validate"] / "clean.parquet",
        made["train"],
        made["export"],
        out,
        progress=say,
    )


READING = (
    "data.source",
    "data.target",
    "data.separator",
    "data.encoding",
    "data.quote",
    "data.header",
    "data.names",
    "data.outside",
    "split.test_source",
)

SEARCHED = tuple(
    f"train.{name}"
    for name in TrainSpec.model_fields
    if name not in ("members", "ensemble", "inference_seconds")  # of the training after the sweep
)
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
    Stage(name="load", module="flows.load", needs=(), settings=READING, call=_load, reads=_sources),
    Stage(
        name="analyze",
        module="flows.analyze",
        needs=("load",),
        settings=("data", "task"),
        call=_analyze,
    ),
    Stage(
        name="contract",
        module="flows.agree",
        needs=("analyze",),
        settings=("name", "task", "data", "split.by"),
        call=_contract,
        reads=_contract_file,
    ),
    Stage(
        name="engineer",
        module="flows.engineer",
        needs=("load", "contract"),
        settings=("data", "task"),
        call=_engineer,
    ),
    Stage(
        name="validate",
        module="flows.validate",
        needs=("engineer", "contract"),
        settings=("data", "task", "split"),
        call=_validate,
    ),
    Stage(
        name="split",
        module="flows.split",
        needs=("validate",),
        settings=("data", "task", "split"),
        call=_split,
    ),
    Stage(
        name="sweep",
        module="flows.sweep",
        needs=("validate", "split"),
        settings=("data", "task", *SEARCHED, *SEARCH),
        call=_sweep,
        wanted=lambda spec: spec.search is not None,
    ),
    Stage(
        name="train",
        module="flows.train",
        needs=("validate", "split"),
        also=("sweep",),
        settings=("data", "task", "train", "decision"),
        call=_train,
    ),
    Stage(
        name="export",
        module="flows.train",
        needs=("load", "validate", "train"),
        settings=("data", "task", "train", "decision"),
        call=_export,
    ),
    Stage(
        name="assess",
        module="flows.assess",
        needs=("load", "validate", "split", "train", "export"),
        settings=("data", "task", "train.seed", "decision", *ASSESSED),
        call=_assess,
    ),
)

TRAINING = ("sweep", "train", "export", "assess")
BEFORE_TRAINING = tuple(s for s in STAGES if s.name not in TRAINING)


def stages_of(spec: Spec) -> tuple[Stage, ...]:
    """Return the stages that the settings have, in order."""
    return tuple(stage for stage in STAGES if stage.wanted(spec))


def settings_digest(spec: Spec) -> str:
    """The digest of the settings that decide what is made: without when, where, and for how long."""
    return digest_of(
        spec.model_dump(mode="json", exclude={"keep", "schedule", "servers", "execution"})
    )
