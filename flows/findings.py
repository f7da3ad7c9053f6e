"""What the doctor says of one thing, and how a look at it is kept within its time.

- A finding that is not well always says what to do.
- A look that fails, or takes too long, is a finding too; what it had found by then is kept.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from flows.mlflow_errors import short

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Finding = dict[str, Any]


def well(what: str, found: str) -> Finding:
    """Say that `what` is as it should be."""
    return {"what": what, "ok": True, "found": found, "advice": None}


def wrong(what: str, found: str, advice: str) -> Finding:
    """Say that `what` is not as it should be, and what to do."""
    return {"what": what, "ok": False, "found": found, "advice": advice}


def looked(what: str, look: Callable[[], Iterable[Finding]], *, seconds: float) -> list[Finding]:
    """Return what `look` finds of `what` within so many seconds."""
    found: list[Finding] = []
    failed: list[Exception] = []

    def work() -> None:
        try:
            for finding in look():
                found.append(finding)  # noqa: PERF402 - what came before a failure is kept
        except Exception as error:  # noqa: BLE001 - whatever it is, it is said
            failed.append(error)

    thread = threading.Thread(target=work, name=f"doctor: {what}", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        text = f"looking at it took longer than {seconds:g} s, and was given up"
        return [*found, wrong(what, text, "look whether the disk or the server behind it hangs")]
    if failed:
        text = f"it could not be looked at: {short(failed[0])}"
        return [*found, wrong(what, text, "see to what the message names, then ask again")]
    return found
