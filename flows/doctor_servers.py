"""Whether the servers are there: those that the environment names, and those of `penstock up`.

- Each is asked for something that needs credentials where it wants any; a 401 names the variables.
- Processes that nobody keeps any more are leftovers of a killed `up`.
- Asked without the frameworks: an installation in which they fail is what the doctor is for.
"""

from __future__ import annotations

import base64
import configparser
import contextlib
import json
import os
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from flows import interrupted, servers
from flows.findings import well, wrong
from flows.fleet import MARK
from flows.mlflow_errors import LOGIN, public
from flows.supervise import marked

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from flows.findings import Finding
    from flows.home import Home

ANSWER_SECONDS = 5.0
SEEN = timedelta(seconds=120)
"""A worker shows itself every 30 s."""
PREFECT, MLFLOW = "PREFECT_API_URL", "MLFLOW_TRACKING_URI"
TITLES = {"prefect": "Prefect server", "mlflow": "MLflow server", "worker": "worker"}
UP = "`penstock down`, then `penstock up`"


@dataclass(frozen=True, kw_only=True)
class Kind:
    """How a server of a kind is asked."""

    title: str
    page: str
    """What it gives to those who may ask, and to nobody else."""
    body: Mapping[str, Any] | None
    refused: str
    """What to do after a 401."""
    forbidden: str
    """What to do after a 403."""


KINDS = {
    PREFECT: Kind(
        title="Prefect server",
        page="/admin/version",
        body=None,
        refused="set PREFECT_API_AUTH_STRING to the user:password of the server's own "
        "PREFECT_SERVER_API_AUTH_STRING (or PREFECT_API_KEY for a key)",
        forbidden="ask whoever keeps the server for the right to read",
    ),
    MLFLOW: Kind(
        title="MLflow server",
        page="/api/2.0/mlflow/experiments/search",
        body={"max_results": 1},
        refused=f"set {' and '.join(LOGIN)} to the name and password of one of its users",
        forbidden="if it refuses the name that it is called by, start it with that name in "
        "MLFLOW_SERVER_ALLOWED_HOSTS; else ask for the right to read",
    ),
}


def named(home: Home) -> Iterator[Finding]:
    """Ask the servers that the environment names."""
    for name, address in ((MLFLOW, home.tracking_uri), (PREFECT, home.prefect_url)):
        theirs = (home.servers or {}).get("mlflow" if name == MLFLOW else "prefect")
        if address and address != theirs and address.startswith(("http://", "https://")):
            advice = f"start it, or unset {name} to do without it"
            yield _answers(name, KINDS[name], address, advice)


def kept(home: Home) -> Iterator[Finding]:
    """See to the servers of `penstock up`: its own process, the three it keeps, their answers."""
    up = servers.recorded(home.root) or {}
    if not servers.alive(up.get("supervisor")):
        yield from _left(home, up)
        return
    number = up["supervisor"]["pid"]
    if up.get("starting"):
        yield well("penstock up", f"its servers are coming up, started by process {number}")
        return
    yield well("penstock up", f"its servers are kept by process {number}")
    processes = up.get("processes") or {}
    for name, title in TITLES.items():
        if not servers.alive(processes.get(name)):
            text = "its process has ended; `penstock up` starts it again within a minute"
            yield wrong(title, text, f"if it stays away, see {home.logs / f'{name}.log'}; {UP}")
    for name, key in ((PREFECT, "prefect"), (MLFLOW, "mlflow")):
        advice = f"see {home.logs / f'{key}.log'}; {UP}"
        yield _answers(TITLES[key], KINDS[name], str(up.get(key)), advice)


def worker(home: Home) -> Iterator[Finding]:
    """See that a worker of `penstock up` has shown itself to the Prefect server lately."""
    up = home.servers or {}
    pool = up["pool"]
    shown = interrupted.last_shown(str(up["prefect"]), pool).values()
    now = datetime.now(UTC)
    if shown and now - max(shown) < SEEN:
        yield well("worker", f"it takes the runs of the pool {pool!r}")
        return
    last = f"since {max(shown):%Y-%m-%d %H:%M:%S} UTC" if shown else "ever"
    text = f"no worker of the pool {pool!r} has shown itself {last}: no run of a schedule starts"
    yield wrong("worker", text, f"see {home.logs / 'worker.log'}; {UP}")


def _left(home: Home, up: Mapping[str, Any]) -> Iterator[Finding]:
    """What a `penstock up` has left that did not end in order; one that comes up is none."""
    left = sorted(marked(MARK, str(home.root)))
    if not up and (not left or _comes_up(home)):
        return
    text = "`penstock up` has ended out of order"
    if left:
        text += f" and left process {', '.join(map(str, left[:10]))}"
    yield wrong("penstock up", text, "`penstock down` ends what is left; `penstock up` starts anew")


def _comes_up(home: Home) -> bool:
    """Whether a `penstock up` holds the home without having said so yet."""
    from filelock import FileLock, Timeout

    try:
        with FileLock(home.locks / "up.lock", timeout=0):
            return False
    except Timeout:
        return True


def _answers(what: str, kind: Kind, address: str, advice: str) -> Finding:
    """Ask a server for its health, then for something that needs credentials."""
    where, header = _addressed(kind, address)
    said = public(address)
    for page, body in (("/health", None), (kind.page, kind.body)):
        try:
            status = _status(f"{where}{page}", header, body)
        except (OSError, ValueError, HTTPException) as error:
            why = getattr(error, "reason", None) or error
            return wrong(what, f"{said} does not answer ({public(str(why))})", advice)
        if status == HTTPStatus.UNAUTHORIZED:
            text = f"{said} wants credentials (401), and {_given(kind)}"
            return wrong(what, text, kind.refused)
        if status == HTTPStatus.FORBIDDEN:
            return wrong(what, f"{said} refuses to answer (403)", kind.forbidden)
        if status != HTTPStatus.OK:
            text = f"{said} answers {page} with {status}, as no {kind.title} in health does"
            return wrong(what, text, f"see whether the address is right; {advice}")
    return well(what, f"{said} answers")


def _addressed(kind: Kind, address: str) -> tuple[str, dict[str, str]]:
    """Return the address without credentials, and the header that carries them."""
    parts = urlsplit(address.rstrip("/"))
    user, word = (os.environ.get(name) or _stored(name) for name in LOGIN)
    login = f"{user}:{word}" if user else ""
    token = os.environ.get("MLFLOW_TRACKING_TOKEN")
    if kind is KINDS[PREFECT]:
        login, token = os.environ.get("PREFECT_API_AUTH_STRING"), os.environ.get("PREFECT_API_KEY")
    if parts.username:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    where = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    if login:
        return where, {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}
    return where, {"Authorization": f"Bearer {token}"} if token else {}


def _stored(name: str) -> str:
    """What MLflow's own file of credentials says where the environment does not."""
    kept = configparser.ConfigParser(interpolation=None)
    with contextlib.suppress(OSError, RuntimeError, configparser.Error):
        kept.read(Path.home() / ".mlflow" / "credentials", encoding="utf-8")
    return kept.get("mlflow", name.lower(), fallback="")


def _given(kind: Kind) -> str:
    names = LOGIN if kind is KINDS[MLFLOW] else ("PREFECT_API_AUTH_STRING",)
    unset = [name for name in names if not os.environ.get(name)]
    return f"{' and '.join(unset)} not set" if unset else f"not those of {' and '.join(names)}"


def _status(url: str, header: Mapping[str, str], body: Mapping[str, Any] | None) -> int:
    data = None if body is None else json.dumps(body).encode()
    sent = {**header, "Content-Type": "application/json"}
    request = urllib.request.Request(url, data, sent)  # noqa: S310 - http or https, as checked
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:  # noqa: S310
            return answer.status
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
