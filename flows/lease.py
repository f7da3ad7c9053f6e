"""The right to write the registry entry of one model: one process at a time, on one host or many.

- One host: a lock of the operating system, beside the database; that of a killed process is free
  at once.
- An MLflow server on loopback is this host's too. Any other may be written from several: then it
  is a global concurrency limit of the Prefect server, held as a lease that ends by itself a minute
  after its holder was killed.
- Where several hosts may write and no Prefect server is named, nothing is written.
- The yielded `check` renews the lease, and raises where it was lost: it is called before each write
  that must not come late.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import time
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flows.errors import Busy, PenstockError
from flows.home import file_name
from flows.mlflow_errors import public
from flows.ports import is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from uuid import UUID

    from prefect.client.orchestration import SyncPrefectClient

    from flows.home import Home

    Check = Callable[[], None]

PATIENCE = 180.0  # seconds; two lives of a lease, and more than any publication takes
LIFE = 60.0  # seconds; the shortest that Prefect takes
GLANCE = 0.3  # seconds
SQLITE = "sqlite:///"


@contextlib.contextmanager
def lease(home: Home, name: str, *, patience: float = PATIENCE) -> Iterator[Check]:
    """Hold the right to write what the registry says of `name`; wait for it at most `patience` s.

    Raises:
        Busy: another process held it all the time.
        PenstockError: several hosts may write, and no server keeps them apart.

    """
    refuse_without(home)
    with _on_this_host(_lock_file(home, name), name, patience):
        if _one_host(home) or not home.prefect_url:
            yield lambda: None
        else:
            with _among_hosts(str(home.prefect_url), name, patience) as check:
                yield check


def refuse_without(home: Home) -> None:
    """Refuse a home in which nothing can keep two promoters apart; asks no server."""
    if _one_host(home) or _loopback(home) or home.prefect_url:
        return
    msg = (
        f"MLflow at {public(home.tracking_uri)} may be written from several hosts, so a model is "
        "registered under a lease of the Prefect server that all of them use: set PREFECT_API_URL "
        "(`penstock up` keeps both servers), or unset MLFLOW_TRACKING_URI"
    )
    raise PenstockError(msg)


def _one_host(home: Home) -> bool:
    return home.tracking_uri.startswith(SQLITE)


def _loopback(home: Home) -> bool:
    """Whether MLflow is a server that this host alone reaches."""
    return is_loopback(urlsplit(home.tracking_uri).hostname or "")


def _lock_file(home: Home, name: str) -> Path:
    """Beside the database that is written, as two homes may name the same one.

    A server of this host has it under its address, where all of this user's homes find it.
    """
    if _loopback(home):
        key = hashlib.sha256(f"{urlsplit(home.tracking_uri).port} {os.getuid()}".encode())
        place = Path(tempfile.gettempdir())
        return place / f"penstock-{key.hexdigest()[:16]}-{file_name(name)}.lock"
    if _one_host(home) and not home.embedded:
        database = Path(home.tracking_uri.removeprefix(SQLITE))
        return database.with_name(f".{database.name}.{file_name(name)}.lock")
    return home.locks / f"lease-{file_name(name)}.lock"


@contextlib.contextmanager
def _on_this_host(path: Path, name: str, patience: float) -> Iterator[None]:
    from filelock import FileLock, Timeout

    lock = FileLock(path)
    try:
        lock.acquire(timeout=patience)
    except Timeout:
        raise _busy(name, patience, f"the lock is {path}") from None
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def _among_hosts(url: str, name: str, patience: float) -> Iterator[Check]:
    from flows.interrupted import client

    with client(url) as api:
        held = _Held(api, _acquired(api, f"penstock-{file_name(name)}", name, patience), name)
        try:
            yield held
        finally:
            with contextlib.suppress(Exception):  # it ends by itself
                api.release_concurrency_slots_with_lease(held.number)


def _acquired(api: SyncPrefectClient, limit: str, name: str, patience: float) -> UUID:
    from httpx import HTTPStatusError
    from prefect.client.schemas.responses import ConcurrencyLimitWithLeaseResponse

    _make(api, limit)
    until = time.monotonic() + patience
    while True:
        try:
            answer = api.increment_concurrency_slots_with_lease([limit], 1, "concurrency", LIFE)
            given = ConcurrencyLimitWithLeaseResponse.model_validate(answer.json())
            if given.limits:
                return given.lease_id
            _make(api, limit)  # somebody has deleted it
        except HTTPStatusError as error:
            if error.response.status_code != HTTPStatus.LOCKED:
                raise
        if time.monotonic() >= until:
            advice = f"where nobody does, `prefect gcl update {limit} --active-slots 0` frees it"
            raise _busy(name, patience, f"{advice}, at {public(str(api.api_url))}")
        time.sleep(GLANCE)


def _make(api: SyncPrefectClient, limit: str) -> None:
    """Create the limit of one, unless it is there."""
    from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
    from prefect.exceptions import ObjectAlreadyExists

    with contextlib.suppress(ObjectAlreadyExists):
        api.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=limit, limit=1))


@dataclass(frozen=True)
class _Held:
    """A lease of the Prefect server; calling it renews it, or raises where it was lost."""

    api: SyncPrefectClient
    number: UUID
    name: str

    def __call__(self) -> None:
        from httpx import HTTPStatusError

        try:
            self.api.renew_concurrency_lease(self.number, LIFE)
        except HTTPStatusError as error:
            if error.response.status_code not in (HTTPStatus.GONE, HTTPStatus.NOT_FOUND):
                raise
            msg = (
                f"the lease of {self.name!r} ran out before its registry entry was written, as "
                "when a machine sleeps; nothing more was written, run again"
            )
            raise Busy(msg) from None


def _busy(name: str, patience: float, how: str) -> Busy:
    return Busy(
        f"another process has been publishing {name!r} for {patience:g} s; wait for it to end ({how})"
    )
