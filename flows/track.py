"""The MLflow run of a pipeline run: parent, a child per member, curves in one batch each.

- Everything is written by one background thread, in order, off the training loop's path; the
  first write that failed is raised when the run asks for its results.
- The explicit client is used throughout: the fluent API keeps its active run per thread.
- After the first call that failed nothing more is asked of the server, so a server that is away
  costs its patience once.
- System metrics go the same way, beside what a run writes, and never fail it.
"""

from __future__ import annotations

import contextlib
import getpass
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path  # noqa: TC003 - read at run time by the queue's calls
from typing import TYPE_CHECKING, Any

from flows.errors import PenstockError
from flows.experiment import SHORT, guarded
from flows.home import file_name, prepare_tracking
from flows.mlflow_errors import refusals_allowed, status_of, trouble
from flows.mlflow_items import calls, measured, points_of
from flows.once import create_run
from flows.vitals import Vitals, wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from flows.home import Home

    Page = Callable[[str], Mapping[str, str]]
    """Gives the tags of the experiment's page, from the experiment's id."""


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
        self.vitals: Vitals | None = None
        self.run_id = ""
        self.experiment_id = ""

    def start(self, tags: Mapping[str, str], page: Page = lambda _: {}) -> None:
        """Create the experiment where it is new, and the parent run, as of now."""
        self._later(self._start, dict(tags), page, int(time.time() * 1000))

    def _start(self, tags: dict[str, str], page: Page, began: int) -> None:
        from flows.registry import client
        from flows.stale import end_stale, owner

        prepare_tracking(self.home)
        self.client = client(self.home)
        self.experiment_id = self._experiment()
        with contextlib.suppress(OSError, KeyError):  # a user without a name, as in some containers
            tags = {"mlflow.user": getpass.getuser(), **tags}
        tags = {"mlflow.runName": self.run, "mlflow.source.type": "LOCAL", **tags}
        tags |= owner(self.home)
        run = create_run(self.client, self.experiment_id, start_time=began, tags=tags)
        self.run_id = run.info.run_id
        if wanted():
            self.vitals = Vitals(self._vital)
            self.vitals.start()
        with refusals_allowed():  # a page, or another's run, is no reason to fail
            self._page(page, new=True)
            end_stale(self.client, self.experiment_id, self.home, run=self.run)

    def page(self, page: Page) -> None:
        """Bring the experiment's own page up to date; what a person has changed stays."""
        self._later(self._page, page)

    def _page(self, page: Page, *, new: bool = False) -> None:
        kept = self.client.get_experiment(self.experiment_id).tags
        wanted = page(self.experiment_id)
        if new:  # at its start a run may not know yet what an earlier one has found
            wanted = {key: text for key, text in wanted.items() if key not in kept}
        for key, text in guarded(kept, wanted).items():
            self.client.set_experiment_tag(self.experiment_id, key, text)

    def _experiment(self) -> str:
        from mlflow.exceptions import MlflowException

        location = None
        if self.home.local_store:
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

    def metrics(self, values: Mapping[str, float], *, model: str | None = None) -> None:
        """Log the parent's metrics, one value each; `model`: the logged model they are about."""
        points = [(name, value, 0) for name, value in values.items()]
        self._later(self._log, self._parent, points, {}, {}, model)

    def tags(self, values: Mapping[str, str]) -> None:
        """Set tags of the parent."""
        self._later(self._log, self._parent, (), {}, dict(values))

    def later_tags(self, values: Callable[[], Mapping[str, str]]) -> None:
        """Set tags that are known once the run has its id."""
        self._later(lambda: self._log(self._parent, (), {}, dict(values())))

    def curves(self, curves: Mapping[str, Sequence[float | None]]) -> None:
        """Log the parent's curves, a value per epoch or trial; None is left out."""
        self._later(self._log, self._parent, points_of(curves), {}, {})

    def dataset(
        self, *, name: str, digest: str, source: str, profile: str, schema: str | None = None
    ) -> None:
        """Log the data as a dataset input under our own full digest (MLflow's sees 10,000 rows)."""
        self._later(self._dataset, name, digest, source, profile, schema)

    def _dataset(
        self, name: str, digest: str, source: str, profile: str, schema: str | None
    ) -> None:
        import json

        from mlflow.entities import Dataset, DatasetInput, InputTag

        data = Dataset(
            name=name[:500],
            digest=digest[:SHORT],
            source_type="penstock",
            source=json.dumps({"uri": source}),
            profile=profile,
            schema=schema,
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
        child = create_run(self.client, self.experiment_id, tags=tags).info.run_id
        self._log(lambda: child, points_of(curves), parameters, {})
        self.client.set_terminated(child, status="FAILED" if failed else "FINISHED")

    def later(self, call: Callable[..., Any], *arguments: Any) -> None:
        """Do what else is to be written, in its turn, in the background."""
        self._later(call, *arguments)

    def artifact(self, path: Path, folder: str | None = None) -> None:
        """Log a file as it is now."""
        self._later(lambda: self.client.log_artifact(self.run_id, str(path), folder))

    def finish(self, error: BaseException | None = None) -> None:
        """End the parent run by what ended the run; waits for everything written so far."""
        status = status_of(error)
        self._stop_vitals()
        self._later(lambda: self.client.set_terminated(self.run_id, status=status))
        self.settle()

    def check(self) -> None:
        """Raise what has gone wrong so far, without waiting for what is under way.

        Raises:
            PenstockError: the tracking server refused or could not be reached.

        """
        if self.trouble is not None:
            raise self.trouble

    def settle(self) -> None:
        """Wait until all is written.

        Raises:
            PenstockError: the tracking server refused or could not be reached.

        """
        waiting, self.waiting = self.waiting, []
        for call in waiting:
            call.result()
        self.check()

    def close(self) -> None:
        """End the background threads."""
        self._stop_vitals()
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
        except Exception as error:  # noqa: BLE001 - whatever it was, `settle` raises it
            self.trouble = trouble(self.home, error)

    def _stop_vitals(self) -> None:
        if self.vitals is not None:
            self.vitals.stop()

    def _vital(self, points: Sequence[tuple[str, float, int, int]]) -> None:
        with contextlib.suppress(RuntimeError):  # the run has ended meanwhile
            self.pool.submit(self._write_vital, points)

    def _write_vital(self, points: Sequence[tuple[str, float, int, int]]) -> None:
        if self.trouble is not None:
            return
        with contextlib.suppress(Exception):  # the next write that matters says what is wrong
            for call in measured(points):
                self.client.log_batch(self.run_id, **call)

    def _log(
        self,
        run: Callable[[], str],
        points: Sequence[tuple[str, float, int]],
        parameters: Mapping[str, Any],
        tags: dict[str, str],
        model: str | None = None,
    ) -> None:
        for call in calls(points, parameters, tags, model):
            self.client.log_batch(run(), **call)
