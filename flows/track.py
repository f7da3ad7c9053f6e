"""The MLflow run of a pipeline run: parent, a child per member, curves in one batch each.

- Everything is written by one background thread, in order, off the training loop's path; the
  first write that failed is raised when the run asks for its results.
- The explicit client is used throughout: the fluent API keeps its active run per thread.
- MLflow's keys take a few characters only: another name is slugged, told apart by a digest, and
  the tag `penstock.name.<slug>` keeps it.
- After the first call that failed nothing more is asked of the server, so a server that is away
  costs its patience once.
"""

from __future__ import annotations

import contextlib
import hashlib
import posixpath
import re
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path  # noqa: TC003 - read at run time by the queue's calls
from typing import TYPE_CHECKING, Any

from flows.errors import PenstockError
from flows.home import file_name, prepare_tracking

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from flows.home import Home

METRICS_PER_CALL = 800
ITEMS_PER_CALL = 100
"""Parameters or tags; MLflow takes 100 of each, and 1,000 of all kinds, in one call."""
LONGEST_PARAMETER = 500
LONGEST_TAG = 5000
LONGEST_KEY = 250


def key_of(name: str) -> str:
    """Return `name` where MLflow takes it as a key, else a slug that no other name has."""
    if (
        re.fullmatch(r"[\w\-. /:]{1,250}", name)
        and posixpath.normpath(name) == name
        and not name.startswith(("/", ".."))
        and name != "."
    ):
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    slug = re.sub(r"[^\w\-. ]", "_", name).strip(". ")[: LONGEST_KEY - 20]
    return f"{slug or 'name'}-{digest}"


class Tracker:
    """Writes one pipeline run into MLflow in the background."""

    def __init__(self, home: Home, name: str, run: str) -> None:
        """Start the background thread; `run` is Penstock's own run id."""
        self.home, self.name, self.run = home, name, run
        self.pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="mlflow")
        self.waiting: list[Future[Any]] = []
        self.trouble: PenstockError | None = None
        """What the first failed call came to; nothing is asked after it."""
        self.client: Any = None
        self.run_id = ""
        self.experiment_id = ""

    def start(self, tags: Mapping[str, str]) -> None:
        """Create the experiment where it is new, and the parent run."""
        self._later(self._start, dict(tags))

    def _start(self, tags: dict[str, str]) -> None:
        from flows.registry import client

        prepare_tracking(self.home)
        self.client = client(self.home)
        self.experiment_id = self._experiment()
        tags = {"mlflow.runName": self.run, "mlflow.source.type": "PROJECT", **tags}
        run = self.client.create_run(self.experiment_id, tags=tags)
        self.run_id = run.info.run_id

    def _experiment(self) -> str:
        from mlflow.exceptions import MlflowException

        location = None
        if self.home.embedded:
            location = (self.home.artifacts / file_name(self.name)).as_uri()
        known = self.client.get_experiment_by_name(self.name)
        if known is None:
            with contextlib.suppress(MlflowException):  # another host was first: it is found below
                return self.client.create_experiment(self.name, artifact_location=location)
            known = self.client.get_experiment_by_name(self.name)
        if known.lifecycle_stage == "deleted":
            msg = (
                f"the MLflow experiment {self.name!r} is deleted; restore it or choose another name"
            )
            raise PenstockError(msg)
        return known.experiment_id

    def parameters(self, values: Mapping[str, Any]) -> None:
        """Log parameters; long values are cut, as the whole settings are an artifact."""
        self._later(self._log, self._parent, (), dict(values), {})

    def metrics(self, values: Mapping[str, float]) -> None:
        """Log the parent's metrics, one value each."""
        self._later(self._log, self._parent, [(n, v, 0) for n, v in values.items()], {}, {})

    def tags(self, values: Mapping[str, str]) -> None:
        """Set tags of the parent."""
        self._later(self._log, self._parent, (), {}, dict(values))

    def dataset(self, *, name: str, digest: str, source: str, profile: str) -> None:
        """Log the data as a dataset input under our own full digest (MLflow's sees 10,000 rows)."""
        self._later(self._dataset, name, digest, source, profile)

    def _dataset(self, name: str, digest: str, source: str, profile: str) -> None:
        import json

        from mlflow.entities import Dataset, DatasetInput, InputTag

        data = Dataset(
            name=name[:500],
            digest=digest[:36],
            source_type="penstock",
            source=json.dumps({"uri": source}),
            profile=profile,
        )
        tags = [InputTag("mlflow.data.context", "training"), InputTag("penstock.digest", digest)]
        self.client.log_inputs(self.run_id, [DatasetInput(data, tags)])

    def member(
        self,
        *,
        name: str,
        parameters: Mapping[str, Any],
        curves: Mapping[str, Sequence[float]],
        tags: Mapping[str, str],
        failed: bool = False,
    ) -> None:
        """Log one member as a child run: its parameters, every epoch, how it ended."""
        self._later(self._member, name, dict(parameters), dict(curves), dict(tags), failed)

    def _member(
        self,
        name: str,
        parameters: dict[str, Any],
        curves: dict[str, Sequence[float]],
        tags: dict[str, str],
        failed: bool,
    ) -> None:
        tags = {"mlflow.parentRunId": self.run_id, "mlflow.runName": name, **tags}
        child = self.client.create_run(self.experiment_id, tags=tags).info.run_id
        points = [(n, v, i) for n, values in curves.items() for i, v in enumerate(values)]
        self._log(lambda: child, points, parameters, {})
        self.client.set_terminated(child, status="FAILED" if failed else "FINISHED")

    def artifact(self, path: Path, folder: str | None = None) -> None:
        """Log a file as it is now."""
        self._later(lambda: self.client.log_artifact(self.run_id, str(path), folder))

    def finish(self, *, failed: bool) -> None:
        """End the parent run; waits for everything written so far."""
        status = "FAILED" if failed else "FINISHED"
        self._later(lambda: self.client.set_terminated(self.run_id, status=status))
        self.settle()

    def settle(self) -> None:
        """Wait until all is written.

        Raises:
            PenstockError: the tracking server refused or could not be reached.

        """
        waiting, self.waiting = self.waiting, []
        for call in waiting:
            call.result()
        if self.trouble is not None:
            raise self.trouble

    def close(self) -> None:
        """End the background thread."""
        self.pool.shutdown(wait=True, cancel_futures=True)

    def _parent(self) -> str:
        return self.run_id

    def _later(self, call: Callable[..., Any], *arguments: Any) -> None:
        self.waiting.append(self.pool.submit(self._call, call, *arguments))

    def _call(self, call: Callable[..., Any], *arguments: Any) -> None:
        if self.trouble is not None:
            return
        try:
            call(*arguments)
        except PenstockError as error:
            self.trouble = error
        except Exception as error:  # noqa: BLE001 - whatever it was, `settle` raises it
            where = public(self.home.tracking_uri)
            text = f"MLflow at {where} must take what a run writes, but: {short(error)}"
            self.trouble = PenstockError(text)
            self.trouble.__cause__ = error

    def _log(
        self,
        run: Callable[[], str],
        points: Sequence[tuple[str, float, int]],
        parameters: Mapping[str, Any],
        tags: dict[str, str],
    ) -> None:
        from mlflow.entities import Metric, Param, RunTag

        now = int(time.time() * 1000)
        metrics = [
            Metric(key_of(name), float(value), now, step)
            for name, value, step in points
            if value is not None
        ]
        params = [Param(key_of(k), str(v)[:LONGEST_PARAMETER]) for k, v in parameters.items()]
        named = {key_of(name): name for name in (*(p[0] for p in points), *parameters)}
        slugged = {f"penstock.name.{k}"[:LONGEST_KEY]: n for k, n in named.items() if k != n}
        labels = [RunTag(key, value[:LONGEST_TAG]) for key, value in (tags | slugged).items()]
        size = {"metrics": METRICS_PER_CALL, "params": ITEMS_PER_CALL, "tags": ITEMS_PER_CALL}
        items = {"metrics": metrics, "params": params, "tags": labels}
        calls = max(-(-len(items[kind]) // size[kind]) for kind in items)
        for i in range(calls):
            pieces = {k: v[i * size[k] : (i + 1) * size[k]] for k, v in items.items()}
            self.client.log_batch(run(), **pieces)


def short(error: Exception) -> str:
    """Return an error of a framework on one line, bounded."""
    text = public(" ".join(str(error).split()))
    return f"{type(error).__name__}: {text[:300]}"


def public(text: str) -> str:
    """Return a URI, or a text that quotes some, without credentials."""
    return re.sub(r"//[^/\s]*@", "//***@", text)
