"""The only writer of the model registry: nothing is reachable before it has been questioned.

The order, each step safe to repeat:
  intent on disk -> hash manifest -> the local model examined in a fresh process -> model logged
  -> `models:/m-<id>` examined again -> version found or created under its key -> tags -> aliases.

- The key is the digest of data, settings, code and installed versions: the same run again makes
  no second version.
- `challenger` needs the mechanical blessing alone; `champion` needs the verdict too. The alias
  moves last, and `previous` keeps what was in service.
- A rejected model is a version tagged `rejected`, without the `champion` alias.
"""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flows.errors import ArtifactRefused
from flows.experiment import guarded
from flows.registry import ABSENT, addressed, client
from flows.stage import file_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from flows.home import Home

REQUIREMENTS = ("mlflow", "numpy", "onnxruntime", "pandas")
"""All that a consumer needs, beside Python: no torch, nothing of this repository."""

FILES = {"graph": "graph.onnx", "schema": "schema.json"}


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A fitted model that asks to be published."""

    name: str
    key: str
    """The idempotency key."""
    run: str
    """Penstock's run id."""
    folder: Path
    """Holds graph.onnx, schema.json, served.py and input_example.json."""
    questions: Mapping[str, Any]
    """What the examiner is told: raw rows, expected answers, tolerance."""
    tags: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    """What the version's page says."""
    about: Mapping[str, str] = field(default_factory=dict)
    """Facts of all versions, as tags of the registered model: target, task, metric."""
    note: str = ""
    """What the registered model's page says."""
    promote: bool = False
    """Whether the verdict lets it become the champion."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """Where a model stands after publishing."""

    name: str
    version: int
    uri: str
    model_id: str | None
    """MLflow's id of the logged model; None where it was there already."""
    aliases: tuple[str, ...]
    unchanged: bool
    """Whether the version existed already."""
    moved: bool
    """Whether `champion` points to another version than before."""
    examined: Mapping[str, Any]
    manifest: Mapping[str, str]


def find(home: Home, name: str, key: str) -> Any | None:
    """Return the registered version that has this key, or None."""
    # A filter cannot quote every name, and the key alone is unique.
    found = client(home).search_model_versions(f"tags.`penstock.key` = '{key}'")
    ready = [made for made in found if made.name == name and made.status == "READY"]
    return min(ready, key=lambda version: int(version.version)) if ready else None


def champion(home: Home, name: str) -> Any | None:
    """Return the version behind `models:/<name>@champion`, or None where there is none."""
    from mlflow.exceptions import MlflowException

    try:
        return client(home).get_model_version_by_alias(name, "champion")
    except MlflowException as error:
        if error.error_code not in ABSENT:  # a registry that is away says nothing of a champion
            raise
        return None


def publish(
    home: Home, candidate: Candidate, tracking_run: str, examiner: Callable[[], Any]
) -> Published:
    """Register `candidate` unless its key is registered already, then move the aliases.

    Raises:
        ArtifactRefused: the model did not answer in a fresh process as it must; nothing was
            registered.

    """
    known = find(home, candidate.name, candidate.key)
    manifest = {name: file_digest(candidate.folder / name) for name in sorted(FILES.values())}
    manifest["served.py"] = file_digest(candidate.folder / "served.py")
    intent = home.root / "locks" / f"publish-{candidate.key[:32]}.json"
    intent.write_text(json.dumps({"name": candidate.name, "run": candidate.run}), encoding="utf-8")
    try:
        examined: Mapping[str, Any] = {}
        model_id = None
        if known is None:
            with addressed(home):  # the registry looks the logged model up at the process's own
                examined, model_id = _blessed_model(home, candidate, tracking_run, examiner())
                known = _version(home, candidate, tracking_run, model_id, manifest, examined)
        aliases, moved = _move_aliases(home, candidate, int(known.version))
    finally:
        intent.unlink(missing_ok=True)
    return Published(
        name=candidate.name,
        version=int(known.version),
        model_id=model_id,
        uri=f"models:/{candidate.name}@champion"
        if candidate.promote
        else f"models:/{candidate.name}/{known.version}",
        aliases=aliases,
        unchanged=not examined,
        moved=moved,
        examined=examined,
        manifest=manifest,
    )


def _blessed_model(
    home: Home, candidate: Candidate, tracking_run: str, examiner: Any
) -> tuple[Mapping[str, Any], str]:
    """Examine the model on disk, log it, examine what was logged; return the answers and its id."""
    import mlflow

    local = home.runs / candidate.run / "model"
    shutil.rmtree(local, ignore_errors=True)
    options = _model_options(candidate.folder)
    with _without_advice():
        mlflow.pyfunc.save_model(path=str(local), **options)
    try:
        first = _examine(home, candidate, examiner, str(local), whole=True)
    finally:
        shutil.rmtree(local, ignore_errors=True)
    again = mlflow.start_run(run_id=tracking_run, log_system_metrics=False)
    with again, _without_advice():
        info = mlflow.pyfunc.log_model(name="model", **options)
    # start_run's end marks the run as finished; the pipeline still writes to it and ends it itself.
    client(home).update_run(tracking_run, "RUNNING")
    _examine(home, candidate, examiner, f"models:/{info.model_id}", whole=False)
    return first, str(info.model_id)


@contextlib.contextmanager
def _without_advice() -> Iterator[None]:
    """Keep back MLflow's advice to add type hints, which would make it judge rows itself."""
    logger = logging.getLogger("py.warnings")  # where captured warnings go, forced ones too
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _model_options(folder: Path) -> dict[str, Any]:
    import importlib.metadata

    import pandas as pd

    pinned = [f"{name}=={importlib.metadata.version(name)}" for name in REQUIREMENTS]
    schema = json.loads((folder / FILES["schema"]).read_text(encoding="utf-8"))
    example = json.loads((folder / "input_example.json").read_text(encoding="utf-8"))
    return {
        "python_model": str(folder / "served.py"),
        "artifacts": {name: str(folder / file) for name, file in FILES.items()},
        "signature": signature(),
        "input_example": pd.DataFrame(example),
        "pip_requirements": pinned,
        "metadata": {
            "penstock.columns": json.dumps({c["name"]: c["kind"] for c in schema["columns"]}),
            "penstock.contract": schema.get("contract_digest", ""),
            "penstock.task": schema["task"],
        },
    }


def signature() -> Any:
    """Return the model's signature: its one parameter, and no columns.

    A typed signature refuses integers for a double column, categories and nullable types, and one
    of `AnyType` columns walks every cell in Python: 5.4 ms for one row and 3.3 s for 100,000 rows,
    against 1.9 ms and 0.2 s without. The column names and kinds are in the model's metadata, and
    the served reader says what is wrong with a row.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import DataType, ParamSchema, ParamSpec

    return ModelSignature(params=ParamSchema([ParamSpec("on_bad_row", DataType.string, "error")]))


def _examine(
    home: Home, candidate: Candidate, examiner: Any, model: str, *, whole: bool
) -> Mapping[str, Any]:
    """Question a model in the fresh process; `whole` measures its speed too."""
    from models.examine import ExamineError

    asked = {**candidate.questions, "model": model, "tracking_uri": home.tracking_uri}
    try:
        answer = examiner.ask({**asked, "whole": whole})
    except ExamineError as error:
        answer = {"ok": False, "checks": [{"name": "answer", "ok": False, "detail": str(error)}]}
    if not answer["ok"]:
        failed = [check for check in answer["checks"] if not check["ok"]]
        lines = "\n".join(f"  {check['name']}: {check['detail']}" for check in failed[:5])
        msg = (
            "a model is published only when it answers in a fresh process as it was trained; "
            f"{candidate.name} did not, and nothing was registered:\n{lines}"
        )
        raise ArtifactRefused(msg)
    return answer


def _version(
    home: Home,
    candidate: Candidate,
    tracking_run: str,
    model_id: str,
    manifest: Mapping[str, str],
    examined: Mapping[str, Any],
) -> Any:
    writer = client(home)
    _model(writer, candidate)
    tags = {
        **{f"penstock.{name}": value[:4000] for name, value in candidate.tags.items()},
        "penstock.run": candidate.run,
        "penstock.blessing.mechanical": _sentence(examined),
        "penstock.key": candidate.key,
        "penstock.manifest": json.dumps(manifest),
    }
    return writer.create_model_version(
        candidate.name,
        source=f"models:/{model_id}",
        run_id=tracking_run,
        tags=tags,
        description=candidate.description,
        model_id=model_id,
    )


def _model(writer: Any, candidate: Candidate) -> None:
    """Find or create the registered model, and bring its page up to date."""
    from mlflow.exceptions import MlflowException

    try:
        writer.create_registered_model(candidate.name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    known = writer.get_registered_model(candidate.name)
    kept = {**known.tags, **({"description": known.description} if known.description else {})}
    changes = {k: v for k, v in candidate.about.items() if kept.get(k) != v}
    changes |= guarded(kept, {"description": candidate.note} if candidate.note else {})
    if (text := changes.pop("description", None)) is not None:
        writer.update_registered_model(candidate.name, description=text)
    for key, value in changes.items():
        writer.set_registered_model_tag(candidate.name, key, value)


def _sentence(examined: Mapping[str, Any]) -> str:
    checks = examined.get("checks", [])
    return f"passed {sum(bool(c.get('ok')) for c in checks)} of {len(checks)} checks in a fresh process"


def _move_aliases(home: Home, candidate: Candidate, version: int) -> tuple[tuple[str, ...], bool]:
    """Point `challenger`, then `previous`, last of all `champion`; return what the version holds."""
    writer = client(home)
    writer.set_registered_model_alias(candidate.name, "challenger", str(version))
    before = champion(home, candidate.name)
    moved = candidate.promote and (before is None or int(before.version) != version)
    if moved and before is not None:
        writer.set_registered_model_alias(candidate.name, "previous", before.version)
    if moved:
        writer.set_registered_model_alias(candidate.name, "champion", str(version))
    held = writer.get_registered_model(candidate.name).aliases
    return tuple(sorted(alias for alias, number in held.items() if int(number) == version)), moved
