"""The run's line to a Dask cluster: reach it, see that its workers will do, keep its words apart.

- Workers must be installed like the run and see its folder; others are refused before anything is
  trained, as they would come to something else, or to nothing.
- What Dask says is written to a file beside the jobs, none of it to the run's output.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import logging
import platform
import warnings
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.dask_cluster import LOG, Cluster
from flows.errors import PenstockError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from distributed import Client

CONNECT = 20.0
"""Seconds in which a scheduler must answer."""
ARRIVE = 60.0
"""Seconds in which a first worker must be there."""
QUIET = {"version": 1, "incremental": True}  # left alone, Dask writes to stderr
ALIKE = ("torch", "numpy", "safetensors")
LOGGERS = ("distributed", "distributed.client", "distributed.gc", "tornado", "tornado.application")


def require() -> None:
    """Refuse to go on without Dask.

    Raises:
        SettingsError: it is not installed.

    """
    try:
        found = importlib.util.find_spec("distributed")
    except ValueError:
        found = None
    if found is None:
        raise SettingsError(
            'execution.runner: "dask" needs the package distributed, which is not installed: '
            "pip install 'penstock[dask]'"
        )


@contextlib.contextmanager
def connected(folder: Path, *, address: str | None, workers: int) -> Iterator[Client]:
    """Reach the scheduler at `address`, or make a cluster of `workers`; logs go into `folder`.

    Raises:
        PenstockError: nothing answers, or the cluster did not come up.

    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(_log(folder / LOG))
        if address is None:
            from distributed.security import Security

            cluster = stack.enter_context(Cluster(folder, workers))
            keys = Security(require_encryption=True, **cluster.keys)
            reached = {"address": cluster.address, "security": keys}
        else:
            reached = {"address": address}
        yield stack.enter_context(_client(reached))


def muster(client: Client, table: Path) -> int:
    """Count the workers; `table` is the file that they must see.

    Raises:
        PenstockError: there are none, or one would train something else, or nothing.

    """
    try:
        client.wait_for_workers(1, timeout=ARRIVE)
    except TimeoutError:
        msg = "the Dask scheduler of execution.address must have a worker, found none"
        raise PenstockError(msg) from None
    wanted = facts(str(table))
    answers: Any = client.run(facts, str(table), on_error="return")
    for worker, found in answers.items():
        if isinstance(found, BaseException):
            raise PenstockError(
                f"Dask workers must be installed like the run, but {worker} cannot answer: "
                f"{type(found).__name__}: {found}"[:500]
            )
        if found["table"] is None:
            raise PenstockError(
                "the sweep's folder must be one that all Dask workers see, under the same path: "
                f"{table} is not there for the worker {worker}"
            )
        other = [f"{k} {found[k]}, not {wanted[k]}" for k in wanted if found[k] != wanted[k]]
        if other:
            raise PenstockError(
                f"Dask workers must be installed like the run, but {worker} has "
                f"{', '.join(other)}; install what the run has and start it again"
            )
    return len(answers)


def facts(table: str) -> dict[str, Any]:
    """Return what must be equal on all workers; called on each."""
    found: dict[str, Any] = {"Python": platform.python_version().rpartition(".")[0]}
    for name in ALIKE:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    found["Penstock's code"] = _code()
    try:
        found["table"] = hashlib.sha256(Path(table).read_bytes()).hexdigest()[:12]
    except OSError:
        found["table"] = None
    return found


@lru_cache
def _code() -> str:
    """Digest the code that trains; once, as a process goes on with the code that it has read."""
    code, root = hashlib.sha256(), Path(__file__).resolve().parent.parent
    for path in [*sorted(root.glob("models/*.py")), *sorted(root.glob("flows/dask_*.py"))]:
        code.update(path.name.encode() + path.read_bytes())
    return code.hexdigest()[:12]


@contextlib.contextmanager
def _client(reached: dict[str, Any]) -> Iterator[Client]:
    from distributed import Client

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"distributed\.")  # we compare versions ourselves
        try:
            client = Client(**reached, timeout=CONNECT, set_as_default=False, name="penstock")
        except (OSError, ValueError, TimeoutError) as error:
            msg = (
                f"execution.address: a Dask scheduler must answer at {reached['address']}, "
                f"found: {str(error)[:200]}"
            )
            raise PenstockError(msg) from error
    try:
        yield client
    finally:
        client.close(timeout=5)


@contextlib.contextmanager
def _log(path: Path) -> Iterator[None]:
    """Send what Dask has to say to a file: the run's output is the run's."""
    import dask.config as settings

    with settings.set(logging=QUIET):
        import distributed  # noqa: F401 - sets its loggers up, once
    file = logging.FileHandler(path, encoding="utf-8")
    file.setLevel(logging.WARNING)
    for name in LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers = [file]
        logger.propagate = False
    try:
        yield
    finally:
        for name in LOGGERS:
            logging.getLogger(name).handlers = [logging.NullHandler()]
        file.close()
