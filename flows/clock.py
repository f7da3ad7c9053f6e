"""What a schedule means to a run: when it was due, what it does beside another, how long it may take."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from prefect.context import FlowRunContext
from prefect.utilities.timeout import timeout

from flows.duration import seconds_of
from flows.errors import OutOfTime

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flows.spec import Spec


def asked_by(spec: Spec) -> dict[str, Any]:
    """Return `overlap` and `due` of `flows.run.Run`: a run without a deployment has neither.

    One that is started again has no `due`: it is not skipped for what it has once looked at.
    """
    context = FlowRunContext.get()
    asked = context.flow_run if context else None
    if asked is None or asked.deployment_id is None:
        return {}
    again = asked.run_count > 1  # by hand, or cut short: what has looked since is no reason
    due = asked.expected_start_time if asked.auto_scheduled and not again else None
    return {"overlap": spec.schedule.overlap, "due": due}


@contextlib.contextmanager
def time_limit(spec: Spec) -> Iterator[None]:
    """End a run of a deployment that takes longer than `schedule.timeout`.

    Raises:
        OutOfTime: it did.

    """
    limit = spec.schedule.timeout if asked_by(spec) else None
    if limit is None:
        yield
        return
    try:
        with timeout(seconds_of(limit), timeout_exc_type=_EndedError):
            yield
    except _EndedError:
        msg = f"a run of {spec.name!r} must end within schedule.timeout = {limit!r}, and did not"
        raise OutOfTime(msg) from None


class _EndedError(TimeoutError):
    """Raised in the run by the clock."""
