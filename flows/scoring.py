"""Scoring as a Prefect flow: the same work, seen in the UI.

- Two tasks: the model, found and verified; the rows, answered and written. Nothing is tried again
  by itself: what a source or a model is today, it is in a minute, and the output is all or nothing.
- The final state is Scored, with counts in its message; a refused source or model is a failure.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

from flows.errors import DataRefused
from flows.progress import Progress
from flows.score import Chosen, answer_all, sentence
from flows.scored import check_place

if TYPE_CHECKING:
    from collections.abc import Callable

    from prefect.client.schemas.objects import State

LONGEST = 4000


def flow_run_name() -> str:
    """Return the model and the file that is written."""
    given = flow_run.parameters
    return f"{given.get('model', 'model')} to {Path(str(given.get('out', 'out'))).name}"


@flow(name="penstock-score", flow_run_name=flow_run_name, persist_result=False)
def scoring(
    model: str, source: str, out: str, settings: str | None = None, *, quiet: bool = True
) -> State:
    """Predict the rows of a source with a registered model; every row gets a status."""
    spec, place, log = Path(settings) if settings else None, Path(out), get_run_logger()
    with Progress(quiet=quiet, also=log.info) as progress:
        try:
            check_place(place)
            chosen = _task(progress, "model", lambda: Chosen.of(model, spec))
            done = _task(
                progress,
                "rows",
                lambda: answer_all(chosen, source, place, spec=spec, say=progress.step),
            )
        except DataRefused as error:
            return Failed(name="Refused", message=str(error)[:LONGEST], data=error)
    return Completed(name="Scored", message=sentence(done), data=done)


def _task(progress: Progress, name: str, work: Callable[[], Any]) -> Any:
    progress.begin(name)
    made = task(name=name, task_run_name=name, cache_policy=NO_CACHE, persist_result=False)
    return made(work)()
