"""What MLflow's errors mean for the person who must act, without a secret and on one line.

- MLflow's own text of a refused login is a page of advice; ours names the two variables.
"""

from __future__ import annotations

import contextlib
import os
import re
from http import HTTPStatus
from typing import TYPE_CHECKING

from flows.errors import PenstockError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flows.home import Home

LOGIN = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD")


def status_of(error: BaseException | None) -> str:
    """MLflow's word for how a run ended; a signal or Ctrl-C is not a failure of the run."""
    if error is None:
        return "FINISHED"
    return "FAILED" if isinstance(error, Exception) else "KILLED"


def trouble(home: Home, error: Exception, *, must: str = "take what a run writes") -> PenstockError:
    """Return what a failed call to MLflow means for the person who must act."""
    if isinstance(error, PenstockError):
        return error
    where = public(home.tracking_uri)
    text = f"MLflow at {where} must {must}, but: {short(error)}"
    if _http_status(error) == HTTPStatus.UNAUTHORIZED:
        unset = [name for name in LOGIN if not os.environ.get(name)]
        found = f"{' and '.join(unset)} not set" if unset else "not those of a user it knows"
        text = (
            f"MLflow at {where} must be given the name and password of one of its users in "
            f"{' and '.join(LOGIN)}, found: {found} (401)"
        )
    said = PenstockError(text)
    said.__cause__ = error
    return said


@contextlib.contextmanager
def refusals_allowed() -> Iterator[None]:
    """Let pass that a server which answers does not want something done; one that is away is said.

    Asking on would cost the patience with a server that is away a second time.
    """
    try:
        yield
    except Exception as error:
        if (_http_status(error) or 0) >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise


def _http_status(error: Exception) -> int | None:
    """The status that a server answered with; a store that is no server has none."""
    answer = getattr(error, "response", None)
    if answer is not None:
        return getattr(answer, "status_code", None)
    status = getattr(error, "get_http_status_code", None)
    return status() if status else None


def short(error: Exception) -> str:
    """Return an error of a framework on one line, bounded."""
    text = public(" ".join(str(error).split()))
    return f"{type(error).__name__}: {text[:300]}"


def public(text: str) -> str:
    """Return a URI, or a text that quotes some, without credentials."""
    return re.sub(r"//[^/\s]*@", "//***@", text)
