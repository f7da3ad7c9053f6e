"""From files to a logged model of MLflow that has answered, before a version can exist.

The order: the model on disk answers in a fresh process -> logged -> its files as they arrived
compared with those that were meant -> `models:/m-<id>` examined in full, as a consumer reaches it.

- A logged model carries the key of what it is for, so that one that a killed process has left can
  be told from one that somebody uses.
"""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.errors import ArtifactRefused
from flows.registry import client
from flows.stage import file_digest
from flows.verify import download, manifest_of
from flows.versions import KEY, RUN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from flows.home import Home
    from flows.publish import Candidate

REQUIREMENTS = ("mlflow", "numpy", "onnxruntime", "pandas")
"""All that a consumer needs, beside Python: no torch, nothing of this repository."""

FILES = {"graph": "graph.onnx", "schema": "schema.json"}
EXECUTED = ("graph.onnx", "schema.json", "served.py")


@dataclass(frozen=True, kw_only=True)
class Blessed:
    """A logged model that has answered as it must."""

    model_id: str
    manifest: Mapping[str, str]
    examined: Mapping[str, Any]


def blessed_model(home: Home, candidate: Candidate, tracking_run: str, examiner: Any) -> Blessed:
    """Examine the model on disk, log it, examine what was logged.

    Raises:
        ArtifactRefused: it did not answer as it must; no logged model is left.

    """
    import mlflow

    local = home.runs / candidate.run / "model"
    shutil.rmtree(local, ignore_errors=True)
    options = _model_options(candidate.folder)
    try:
        with _without_advice():
            mlflow.pyfunc.save_model(path=str(local), **options)
        _examine(home, candidate, examiner, str(local), whole=False)
    finally:
        shutil.rmtree(local, ignore_errors=True)
    try:
        model_id = _logged(home, candidate, tracking_run, options)
        manifest = _as_logged(home, candidate, model_id)
        examined = _examine(home, candidate, examiner, f"models:/{model_id}", whole=True)
    except BaseException:
        with contextlib.suppress(Exception):  # what made it fail is what must be said
            discard(home, tracking_run, keep=())
        raise
    discard(home, tracking_run, keep=(model_id,))  # an answer that was lost leaves a twin
    return Blessed(model_id=model_id, manifest=manifest, examined=examined)


def _logged(home: Home, candidate: Candidate, tracking_run: str, options: dict[str, Any]) -> str:
    from mlflow import pyfunc
    from mlflow.models import Model

    # `pyfunc.log_model` takes no run but the active one, and to end that would mark it as finished:
    # for a moment another host would take it for dead.
    asked = client(home)
    made = asked.create_logged_model(
        asked.get_run(tracking_run).info.experiment_id,
        name="model",
        source_run_id=tracking_run,
        tags={KEY: candidate.key, RUN: candidate.run},
    )
    with _without_advice():
        Model.log(None, pyfunc, run_id=tracking_run, model_id=made.model_id, **options)
    return str(made.model_id)


def _as_logged(home: Home, candidate: Candidate, model_id: str) -> dict[str, str]:
    """Return the manifest of what arrived in the store; what is executed must be what was meant."""
    with tempfile.TemporaryDirectory(prefix="penstock-logged-") as folder:
        download(home, model_id, Path(folder))
        manifest = manifest_of(Path(folder))
    arrived = {name.rpartition("/")[2]: digest for name, digest in manifest.items()}
    for name in EXECUTED:
        if arrived.get(name) != file_digest(candidate.folder / name):
            msg = f"{name} of {candidate.name} must arrive in MLflow's store as it was sent; it did not"
            raise ArtifactRefused(msg)
    return manifest


def discard(home: Home, tracking_run: str, *, keep: Iterable[str]) -> list[str]:
    """Remove the logged models of a run that Penstock made and no version uses; return their ids."""
    asked = client(home)
    run = asked.get_run(tracking_run)
    ours = asked.search_logged_models(
        [run.info.experiment_id], f"source_run_id = '{tracking_run}'", max_results=100
    )
    spare = [made for made in ours if KEY in made.tags and made.model_id not in set(keep)]
    if not spare:
        return []
    used = {v.source for v in asked.search_model_versions(f"run_id = '{tracking_run}'")}
    gone = [made for made in spare if f"models:/{made.model_id}" not in used]
    for made in gone:
        asked.delete_logged_model(made.model_id)
        _remove_files(home, made)
    return [made.model_id for made in gone]


def _remove_files(home: Home, made: Any) -> None:
    """MLflow only marks a logged model as deleted; its files would stay."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    with contextlib.suppress(Exception):  # a store may not let go; the model is unreachable anyway
        place = made.artifact_location
        get_artifact_repository(place, tracking_uri=home.tracking_uri).delete_artifacts()
        if place.startswith("file://") and made.model_id in place:
            from mlflow.utils.file_utils import local_file_uri_to_path

            Path(local_file_uri_to_path(place)).parent.rmdir()


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
            "penstock.contract.version": str(schema.get("contract_version", 0)),
            "penstock.task": schema["task"],
        },
    }


def signature() -> Any:
    """Return the model's signature: its parameters, and no columns.

    A typed signature refuses integers for a double column, categories and nullable types, and one
    of `AnyType` columns walks every cell in Python: 5.4 ms for one row and 3.3 s for 100,000 rows,
    against 1.9 ms and 0.2 s without. The column names and kinds are in the model's metadata, and
    the served reader says what is wrong with a row.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import DataType, ParamSchema, ParamSpec

    wishes = [
        ParamSpec("on_bad_row", DataType.string, "error"),
        ParamSpec("check", DataType.boolean, default=False),
    ]
    return ModelSignature(params=ParamSchema(wishes))


def _examine(
    home: Home, candidate: Candidate, examiner: Any, model: str, *, whole: bool
) -> Mapping[str, Any]:
    """Question a model in the fresh process; `whole` asks in every form and measures its speed."""
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
