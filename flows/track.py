"""The MLflow run of a pipeline run: parent, a child per member, curves in one batch each.

- Everything is written by one background thread, in order, off the training loop's path; the
  first write that failed is raised when the run asks for its results.
- The explicit client is used throughout: the fluent API keeps its active run per thread.
- Metric names take a few characters only, so other names are slugged and the map is kept.
"""

from __future__ import annotations

import re
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path  # noqa: TC003 - read at run time by the queue's calls
from typing import TYPE_CHECKING, Any

from flows.errors import PenstockError
from flows.home import prepare_tracking

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from flows.home import Home

PARAMETERS_PER_CALL = 100
METRICS_PER_CALL = 1000
LONGEST_PARAMETER = 500
LONGEST_TAG = 5000


def metric_name(name: str) -> str:
    """Return `name` with what MLflow refuses in metric names replaced."""
    return re.sub(r"[^\w\-. /]", "_", name, flags=re.ASCII)


class Tracker:
    """Writes one pipeline run into MLflow in the background."""

    def __init__(self, home: Home, name: str, run: str) -> None:
        """Start the background thread; `run` is Penstock's own run id."""
        self.home, self.name, self.run = home, name, run
        self.pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="mlflow")
        self.waiting: list[Future[Any]] = []
        self.client: Any = None
        self.run_id = ""
        self.experiment_id = ""

    def start(self, tags: Mapping[str, str]) -> None:
        """Create the experiment where it is new, and the parent run."""
        self._later(self._start, dict(tags))

    def _start(self, tags: dict[str, str]) -> None:
        from mlflow.tracking import MlflowClient

        prepare_tracking(self.home)
        self.client = MlflowClient(tracking_uri=self.home.tracking_uri)
        self.experiment_id = self._experiment()
        tags = {"mlflow.runName": self.run, "mlflow.source.type": "PROJECT", **tags}
        run = self.client.create_run(self.experiment_id, tags=tags)
        self.run_id = run.info.run_id

    def _experiment(self) -> str:
        known = self.client.get_experiment_by_name(self.name)
        if known is not None:
            if known.lifecycle_stage == "deleted":
                msg = f"the MLflow experiment {self.name!r} is deleted; restore it or choose another name"
                raise PenstockError(msg)
            return known.experiment_id
        location = None
        if self.home.embedded:
            folder = self.home.artifacts / re.sub(r"[^\w.-]", "_", self.name)
            location = folder.as_uri()
        return self.client.create_experiment(self.name, artifact_location=location)

    def parameters(self, values: Mapping[str, Any]) -> None:
        """Log parameters; long values are cut, as the whole settings are an artifact."""
        self._later(self._log, self._parent, (), _parameters(values), {})

    def metrics(self, values: Mapping[str, float]) -> None:
        """Log the parent's metrics, one value each."""
        self._later(self._log, self._parent, [(n, v, 0) for n, v in values.items()], [], {})

    def tags(self, values: Mapping[str, str]) -> None:
        """Set tags of the parent."""
        self._later(self._log, self._parent, (), [], dict(values))

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
        self._log(lambda: child, points, _parameters(parameters), {})
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
            try:
                call.result()
            except PenstockError:
                raise
            except Exception as error:
                msg = f"MLflow at {public(self.home.tracking_uri)} must take what a run writes: {_short(error)}"
                raise PenstockError(msg) from error

    def close(self) -> None:
        """End the background thread."""
        self.pool.shutdown(wait=True, cancel_futures=True)

    def _parent(self) -> str:
        return self.run_id

    def _later(self, call: Callable[..., Any], *arguments: Any) -> None:
        self.waiting.append(self.pool.submit(call, *arguments))

    def _log(
        self,
        run: Callable[[], str],
        points: Sequence[tuple[str, float, int]],
        parameters: Sequence[Any],
        tags: dict[str, str],
    ) -> None:
        from mlflow.entities import Metric, RunTag

        now = int(time.time() * 1000)
        metrics = [
            Metric(metric_name(name), float(value), now, step)
            for name, value, step in points
            if value is not None
        ]
        labels = [RunTag(key, value[:LONGEST_TAG]) for key, value in tags.items()]
        first = max(
            1, -(-len(metrics) // METRICS_PER_CALL), -(-len(parameters) // PARAMETERS_PER_CALL)
        )
        for i in range(first):
            self.client.log_batch(
                run(),
                metrics=metrics[i * METRICS_PER_CALL : (i + 1) * METRICS_PER_CALL],
                params=parameters[i * PARAMETERS_PER_CALL : (i + 1) * PARAMETERS_PER_CALL],
                tags=labels if i == 0 else [],
            )


def _parameters(values: Mapping[str, Any]) -> list[Any]:
    from mlflow.entities import Param

    return [Param(metric_name(k), str(v)[:LONGEST_PARAMETER]) for k, v in values.items()]


def _short(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}"


def public(uri: str) -> str:
    """A URI without credentials."""
    return re.sub(r"//[^/@]*@", "//***@", uri)
