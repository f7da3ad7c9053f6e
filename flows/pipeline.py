"""The training flow: from a table and a settings file to a registered model.

- Each line is a stage; a stage whose inputs did not change is reused.
- A stage is tried again where that can help, when a source or MLflow is away for a moment, and
  nowhere else: what the contract or the gate has said once, it says again.
- The final state is named by the verdict: Promoted, Kept, Rejected, Unchanged or Dry run; Refused
  is a failure that names what was wrong with the data, and Skipped has left the field to another run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE

from flows.clock import asked_by, time_limit
from flows.errors import DataRefused, Skipped
from flows.progress import Progress
from flows.run import Run
from flows.settings import load_spec
from flows.shown import flow_run_name, refused, show, skipped, verdict
from flows.stages import stages_of
from flows.transient import retried

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from prefect.client.schemas.objects import State

RETRIES: dict[str, list[float]] = {"load": [5, 30], "judge": [5, 30], "publish": [5, 30]}
"""Seconds before a stage is tried again, where what failed may pass by itself."""


@flow(name="penstock", flow_run_name=flow_run_name, persist_result=False, log_prints=False)
def pipeline(settings: str, overrides: list[str] | None = None, *, quiet: bool = True) -> State:
    """Make a model from the settings file and publish it if it has earned its place."""
    spec, log = load_spec(settings, overrides or ()), get_run_logger()
    with Progress(quiet=quiet, also=log.info) as progress:
        run = Run(spec, progress, **asked_by(spec))
        try:
            with run, time_limit(spec):  # from its turn on, and not while it writes down its end
                for stage in stages_of(spec):
                    _stage(run, stage.name)
                _task("judge", run.judge)
                _task("publish", run.publish)
        except Skipped as reason:
            return skipped(reason)
        except DataRefused as error:
            return refused(error)
        finally:
            show(run)
        return verdict(run)


def _stage(run: Run, name: str) -> None:
    """Make one stage as a Prefect task of its name; what it makes stays on disk."""

    def make() -> str:
        return run.make(name).digest

    _task(name, make)


def _task(name: str, work: Callable[[], Any]) -> None:
    made = task(
        name=name,
        task_run_name=name,
        cache_policy=NO_CACHE,
        persist_result=False,
        retries=len(RETRIES.get(name, ())),
        retry_delay_seconds=RETRIES.get(name),
        retry_condition_fn=retried,
    )
    made(work)()
