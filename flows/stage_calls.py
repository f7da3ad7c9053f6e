"""What each stage calls: from the folders of earlier stages to a plain function and its files.

- A call is `(spec, folders of needed stages, out, say)` and returns small facts.
- Heavy imports happen inside, so that a stage that is reused costs nothing but its digest.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from flows.json_files import read_json
from flows.stage import digest_of, file_digest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from flows.spec import Spec


def load(spec: Spec, _: Mapping[str, Path], out: Path, say: Any) -> Mapping[str, Any]:
    """Read the source."""
    from flows.load import load, source_digest

    say("reading")
    return load(spec, out, expected=source_digest(spec))


def sources(spec: Spec) -> Mapping[str, str]:
    """Digests of what the source is made of."""
    from flows.aliases import aliases_of
    from flows.fetch import forget
    from flows.load import source_digest

    forget()  # a new look at what lies elsewhere
    found = source_digest(spec)
    known = {"source": found["digest"]}
    if old := aliases_of(spec.data):
        known["aliases"] = digest_of(old)
    if spec.data.sample:
        known["rows are known by"] = digest_of(spec.data.id)
    if spec.data.only:  # columns with a role are read too
        data = spec.data
        known["columns with a role"] = digest_of([*data.id, data.group, data.time, data.weight])
    if found["volatile"]:  # a function may return something else tomorrow: it is always asked
        known["source is a function"] = secrets.token_hex(8)
    return known


def analyze(spec: Spec, made: Mapping[str, Path], out: Path, say: Any) -> Mapping[str, Any]:
    """Profile the columns."""
    from flows.analyze import analyze

    say("profiling the columns")
    return analyze(spec, made["load"] / "table.parquet", out)


def contract(spec: Spec, made: Mapping[str, Path], out: Path, _: Any) -> Mapping[str, Any]:
    """Agree on the contract."""
    from flows.agree import agree

    return agree(spec, read_json(made["analyze"] / "profile.json"), out)


def contract_file(spec: Spec) -> Mapping[str, str]:
    """The digest of the contract that a person may edit."""
    path = spec.contract_path
    return {"contract file": file_digest(path)} if path.is_file() else {}


def engineer(spec: Spec, made: Mapping[str, Path], out: Path, say: Any) -> Mapping[str, Any]:
    """Type the cells."""
    from flows.engineer import engineer

    say("typing the cells")
    schema = read_json(made["contract"] / "schema.json")
    return engineer(spec, schema, made["load"] / "table.parquet", out)


def validate(spec: Spec, made: Mapping[str, Path], out: Path, say: Any) -> Mapping[str, Any]:
    """Run the contract."""
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
        made["load"] / "table.parquet",
        out,
        refused=made["checkpoints"],
    )


def split(spec: Spec, made: Mapping[str, Path], out: Path, say: Any) -> Mapping[str, Any]:
    """Choose sides."""
    from flows.split import split

    say("choosing sides")
    earlier = read_json(made["earlier split"]) if "earlier split" in made else None
    schema = read_json(made["validate"] / "schema.json")
    clean = made["validate"] / "clean.parquet"
    return split(spec, clean, out, schema=schema, previous=earlier)


def leaks(spec: Spec, made: Mapping[str, Path], out: Path, say: Any) -> Mapping[str, Any]:
    """Look for leaks."""
    from flows.leaks import leaks

    return leaks(spec, read_json(made["validate"] / "schema.json"), made, out, say)


def split_said(spec: Spec) -> Mapping[str, str]:
    """Whether the settings say themselves how rows are split: a random split may be a mistake."""
    return {"split.by is given": str("by" in spec.split.model_fields_set)}


def canary(spec: Spec, made: Mapping[str, Path], out: Path, say: Any) -> Mapping[str, Any]:
    """Replace judged rows by garbage: nothing learned may move."""
    from flows.canary import canary

    return canary(spec, read_json(made["validate"] / "schema.json"), made, out, say)


def user_code(spec: Spec) -> Mapping[str, str]:
    """Digests of the functions of a person's own that the settings name."""
    from flows.canary_code import functions

    return {f"code of {name}": file_digest(path) for name, path, _ in functions(spec)}


def sweep(spec: Spec, made: Mapping[str, Path], out: Path, say: Any) -> Mapping[str, Any]:
    """Search."""
    from flows.sweep import sweep

    schema = read_json(made["validate"] / "schema.json")
    clean, ledger = made["validate"] / "clean.parquet", made["split"] / "ledger.parquet"
    return sweep(spec, schema, clean, ledger, out, say, checkpoints=made["checkpoints"])


def train(spec: Spec, made: Mapping[str, Path], out: Path, say: Any) -> Mapping[str, Any]:
    """Fit."""
    from flows.train import train

    schema = read_json(made["validate"] / "schema.json")
    clean, ledger = made["validate"] / "clean.parquet", made["split"] / "ledger.parquet"
    again, trials = made["checkpoints"], []
    if "sweep" in made:
        from flows.sweep_result import fitted, with_best

        spec, trials = with_best(spec, made["sweep"]), fitted(made["sweep"])
    return train(spec, schema, clean, ledger, out, progress=say, checkpoints=again, sweeps=trials)


def export(spec: Spec, made: Mapping[str, Path], out: Path, say: Any) -> Mapping[str, Any]:
    """Write the graph."""
    from flows.train import export

    say("writing one graph")
    schema = read_json(made["validate"] / "schema.json")
    return export(spec, schema, made["train"], made["load"] / "table.parquet", out)


def assess(spec: Spec, made: Mapping[str, Path], out: Path, say: Any) -> Mapping[str, Any]:
    """Gather the evidence."""
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
