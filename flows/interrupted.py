"""Runs that the end of the servers cut short, put back into Prefect's queue.

- Stages are resumed by content, so a run that begins again goes on where it was.
- Prefect itself leaves the run of a killed process in Running for good.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun

ENDED = ("COMPLETED", "FAILED", "CANCELLED", "SCHEDULED", "PAUSED")
MOST = 200  # runs looked at; the worker's limit is a handful


@contextlib.contextmanager
def client(url: str) -> Iterator[SyncPrefectClient]:
    """Return a client of the Prefect API at `url`; credentials come from the environment."""
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: url}), get_client(sync_client=True) as asked:
        yield asked


def last_shown(url: str, pool: str) -> dict[str, datetime]:
    """Return when each worker of the pool has shown itself last, by its name."""
    with client(url) as api:
        workers = api.read_workers_for_work_pool(pool)
    return {w.name: w.last_heartbeat_time for w in workers if w.last_heartbeat_time is not None}


def served(url: str, pool: str, worker: str, since: datetime) -> bool:
    """Whether the worker of this name, which takes the runs of the pool, has shown itself since."""
    from httpx import HTTPError
    from prefect.exceptions import PrefectException

    try:
        last = last_shown(url, pool).get(worker)
    except (HTTPError, PrefectException, RuntimeError):
        return False
    return last is not None and last >= since


def under_way(url: str, pool: str) -> list[FlowRun]:
    """Return the pool's runs that a worker has taken and that have not ended."""
    from prefect.client.schemas.filters import (
        FlowRunFilter,
        FlowRunFilterState,
        FlowRunFilterStateType,
        WorkPoolFilter,
        WorkPoolFilterName,
    )
    from prefect.client.schemas.objects import StateType

    taken = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]
    with client(url) as api:
        return api.read_flow_runs(
            flow_run_filter=FlowRunFilter(
                state=FlowRunFilterState(type=FlowRunFilterStateType(any_=taken))
            ),
            work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[pool])),
            limit=MOST,
        )


def requeue(url: str, runs: list[FlowRun], said: Callable[[str], None]) -> None:
    """Put the runs that did not end, and whose process is gone, back into the queue.

    One that somebody was cancelling is cancelled.
    """
    from prefect.exceptions import ObjectNotFound
    from prefect.states import Cancelled, Scheduled

    again = "Its process ended before it did; it goes on where it was."
    with client(url) as api:
        for known in runs:
            with contextlib.suppress(ObjectNotFound):  # somebody has deleted it meanwhile
                run = api.read_flow_run(known.id)
                if _kind(run) in ENDED:
                    continue
                if "CANCELLING" in (_kind(known), _kind(run)):
                    api.set_flow_run_state(run.id, Cancelled(), force=True)
                    said(f"run {run.name!r} was being cancelled; it is")
                    continue
                due = run.expected_start_time  # before what has come due since
                state = Scheduled(scheduled_time=due, name="Resumes", message=again)
                api.set_flow_run_state(run.id, state, force=True)
                said(f"run {run.name!r} was cut short; it goes on when the servers are up")


def _kind(run: FlowRun) -> str:
    return run.state_type.value if run.state_type else ""
