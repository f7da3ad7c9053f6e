"""Which failures may pass by themselves: a source or a server that is away for a moment."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

PASSING = {
    errno.EAGAIN,
    errno.EBUSY,
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
    errno.EINTR,
    errno.EIO,
    errno.ENETDOWN,
    errno.ENETUNREACH,
    errno.ESTALE,
    errno.ETIMEDOUT,
}
NAMES = {
    "MaxRetryError",
    "NetworkError",
    "OperationalError",
    "RemoteProtocolError",
    "TimeoutException",
}
"""Classes of HTTP and database libraries that mean the same, by name: none is imported for this."""
STATUSES = (408, 429, 500, 502, 503, 504)
"""What a server answers that is busy, or starts again."""


def is_transient(error: BaseException) -> bool:
    """Whether `error`, or one that it came of, may pass by itself."""
    return any(_passes(found) for found in _chain(error))


def _passes(error: BaseException) -> bool:
    if isinstance(error, (ConnectionError, TimeoutError)):
        return True
    if isinstance(error, socket.gaierror):
        return error.errno == socket.EAI_AGAIN
    if isinstance(error, OSError) and error.errno in PASSING:
        return True
    names = {kind.__name__ for kind in type(error).__mro__}
    if "MlflowException" in names:
        return any(f"error code {status}" in str(error) for status in STATUSES)
    return not names.isdisjoint(NAMES) or _status(error) in STATUSES


def _status(error: BaseException) -> int | None:
    """What an HTTP server answered, as the libraries keep it."""
    answer = getattr(error, "response", None)
    return getattr(answer, "status_code", None) or getattr(error, "code", None)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def retried(_task: Any, _run: Any, state: Any) -> bool:
    """Prefect's question whether a task that failed is tried again."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, BaseException) and is_transient(error)
