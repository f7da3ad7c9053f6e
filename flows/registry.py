"""Reading MLflow: a client bound to a home, and which version a person means.

- MLflow keeps one tracking and one registry address per process, and hands both on through the
  environment; here a client names both, and `addressed` puts back what was there.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

from flows.errors import PenstockError
from flows.mlflow_errors import trouble

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlflow.tracking import MlflowClient

    from flows.home import Home

ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
"""MLflow's codes for a name, alias or version that is not there."""


def client(home: Home) -> MlflowClient:
    """Return a client whose runs and models are those of `home`, whatever the process's are."""
    from mlflow.tracking import MlflowClient

    return MlflowClient(tracking_uri=home.tracking_uri, registry_uri=home.tracking_uri)


@contextlib.contextmanager
def addressed(home: Home) -> Iterator[None]:
    """Point the process's MLflow at `home`: loading and logging a model take no client."""
    import mlflow

    names = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")
    before = {name: os.environ.get(name) for name in names}
    mlflow.set_tracking_uri(home.tracking_uri)
    mlflow.set_registry_uri(home.tracking_uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(None)  # pyright: ignore[reportArgumentType]
        mlflow.set_registry_uri(None)  # pyright: ignore[reportArgumentType]
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def resolve(home: Home, model: str) -> Any:
    """Return the version that NAME, NAME@alias, NAME/version or a models:/ URI means.

    Raises:
        PenstockError: there is none, with those that there are; or MLflow does not answer.

    """
    from mlflow.exceptions import MlflowException

    name, at, alias = model.removeprefix("models:/").partition("@")
    name, slash, number = name.partition("/")
    if home.embedded and not (home.root / "mlflow.db").exists():
        raise _absent(home, model, "none")  # asking would make the database
    reader = client(home)
    try:
        if slash:
            return reader.get_model_version(name, number)
        return reader.get_model_version_by_alias(name, alias if at else "champion")
    except MlflowException as error:
        if error.error_code not in ABSENT:
            raise trouble(home, error, must="answer") from None
        raise _absent(home, model, _known(reader, name)) from None


def _absent(home: Home, model: str, known: str) -> PenstockError:
    return PenstockError(
        f"{model!r} must be NAME, NAME@alias or NAME/version of a registered model; "
        f"{home.root} has {known} (PENSTOCK_HOME names another home; "
        f"`penstock why` takes a run of {home.runs} too)"
    )


def _known(reader: MlflowClient, name: str) -> str:
    """The aliases of the named model, or else the models, for an error."""
    models = {model.name: model for model in reader.search_registered_models(max_results=20)}
    if name not in models:
        return ", ".join(sorted(models)) or "none"
    aliases = [f"{name}@{alias}" for alias in sorted(models[name].aliases)]
    return ", ".join(aliases) or f"{name} without an alias"
