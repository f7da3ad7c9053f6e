"""Running the flows from the command line: server, imports, flow, and what it left.

- The Prefect server comes up while this process imports what the stages that have to run need.
"""

from __future__ import annotations

import gc
import importlib
import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.errors import PenstockError
from flows.home import find_home, open_home
from flows.json_files import read_json
from flows.plan import planned
from flows.prefect_server import PrefectServer
from flows.registry import resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flows.home import Home
    from flows.spec import Spec

HEAVY = {
    "validate": ("expectations.check",),
    "train": ("models.fit",),
    "assess": ("sklearn.ensemble",),
}
"""Modules worth importing while the server starts, by the stage that needs them."""


def launch(
    spec: Spec, overrides: Sequence[str], *, quiet: bool
) -> tuple[dict[str, Any], BaseException | None]:
    """Run the flow; return the run's summary, and the error that ended it where one did.

    Raises:
        PenstockError: the run could not begin.

    """
    if spec.search is not None and spec.execution.runner == "dask":
        from flows.dask_client import require

        require()  # before minutes are spent on what comes first
    home = open_home(spec.folder)
    known = {path.name for path in home.runs.glob("*")}
    error = against_prefect(
        home, lambda: _import_ahead(spec, home), lambda: _flow(spec, overrides, quiet=quiet)
    )
    return _summary_of(home.runs, known, spec, error), error


def _import_ahead(spec: Spec, home: Any) -> None:
    """Import what the stages that have to run need, while the server starts.

    The garbage collector finds nothing in half a million objects that all stay; without it, and
    with them out of its sight afterwards, a tenth of the time is saved.
    """
    gc.disable()
    try:
        for name in ("pandas", "pyarrow.parquet", "mlflow.tracking", "flows.pipeline"):
            importlib.import_module(name)
        for step in planned(spec, home):
            if not step.reused:
                for name in HEAVY.get(step.name, ()):
                    importlib.import_module(name)
    finally:
        gc.freeze()
        gc.enable()


def _quiet() -> None:
    """Keep the frameworks' chatter out of a run's own words; their warnings are for us."""
    warnings.filterwarnings("ignore", module=r"mlflow\.|pydantic\.|prefect\.")
    warnings.filterwarnings("ignore", message=r".*Add type hints to the `predict` method")
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    logging.getLogger("alembic").setLevel(logging.WARNING)


def launch_scoring(
    model: str, source: str, out: Path, *, spec: Path | None = None, quiet: bool = False
) -> dict[str, Any]:
    """Run the scoring flow; return its summary.

    Raises:
        PenstockError: what ended it.

    """
    folder = spec.absolute().parent if spec else Path.cwd()
    if not find_home(folder).root.is_dir():
        resolve(find_home(folder), model)  # says that there is none, and makes none
    home, settings = open_home(folder), str(spec.absolute()) if spec else None

    def prepare() -> None:
        resolve(home, model)  # a wrong name is said before the server is up
        for name in ("mlflow.pyfunc", "pyarrow.csv", "pyarrow.parquet", "flows.scoring"):
            importlib.import_module(name)

    def call() -> Any:
        from flows.scoring import scoring

        state = scoring(model, source, str(out), settings, quiet=quiet, return_state=True)
        return state.result(raise_on_failure=False)

    result = against_prefect(home, prepare, call)
    if isinstance(result, BaseException):
        raise result
    return result


def against_prefect(home: Home, prepare: Callable[[], None], call: Callable[[], Any]) -> Any:
    """Return what `call` returns, with the home's Prefect server, or one of our own, as the API.

    `prepare` runs while the server starts.
    """
    with PrefectServer(home) as server:
        prepare()
        server.wait()
        _quiet()
        from prefect.settings import (
            PREFECT_API_URL,
            PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
            temporary_settings,
        )

        # The heartbeat thread sleeps in steps of a second and is joined at the end: a second per run.
        settings: Any = {PREFECT_API_URL: server.url, PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}
        with temporary_settings(settings):
            try:
                return call()
            finally:
                _deliver_events()


def _flow(spec: Spec, overrides: Sequence[str], *, quiet: bool) -> BaseException | None:
    """Call the flow; return the error that ended it."""
    from flows.pipeline import pipeline

    state = pipeline(str(spec.path), list(overrides), quiet=quiet, return_state=True)
    if state.is_completed():
        return None
    result = state.result(raise_on_failure=False)
    return result if isinstance(result, BaseException) else PenstockError(str(state.message))


def _deliver_events() -> None:
    """Let Prefect's own record of the run reach the server before the server ends."""
    from prefect.events.worker import EventsWorker

    EventsWorker.drain_all(timeout=5)


def _summary_of(
    runs: Path, known: set[str], spec: Spec, error: BaseException | None
) -> dict[str, Any]:
    """The summary that the flow just left; an error before the run began is raised."""
    new = sorted(
        (p for p in runs.glob("*/summary.json") if p.parent.name not in known), reverse=True
    )
    for path in new:
        summary = read_json(path)
        if summary["name"] == spec.name:
            return {**summary, "folder": str(path.parent)}
    if error is not None:
        raise error
    msg = f"the run of {spec.name!r} left no summary in {runs}"
    raise PenstockError(msg)
