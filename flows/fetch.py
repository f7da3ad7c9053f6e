"""FETCHERS: how sources that lie elsewhere come to be files of the home, by the address's scheme.

- A fetcher is one function, `(address, data, place) -> [(name, file)]`; `FETCHERS` is the whole list.
- Within one look at the sources an address is fetched once: `forget` begins a new look.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from flows.failed import refuse
from flows.fetched import Place

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from flows.addresses import Address
    from flows.data_spec import DataSpec

Files = list[tuple[str, "Path"]]
_LOOKED: dict[str, Files] = {}
"""Files by place, of the look that is under way in this process."""


class Fetcher(Protocol):
    """Fetches one kind of address."""

    def __call__(self, address: Address, data: DataSpec, place: Place, /) -> Files:
        """Return the files, each with what provenance calls it.

        Raises:
            DataRefused: nothing is there, it may not be had, or the server is away.

        """
        ...


def _http(address: Address, data: DataSpec, place: Place) -> Files:
    from flows.source_http import fetch

    return fetch(address, data, place)


def _ftp(address: Address, data: DataSpec, place: Place) -> Files:
    from flows.source_ftp import fetch

    return fetch(address, data, place)


def _s3(address: Address, data: DataSpec, place: Place) -> Files:
    from flows.source_s3 import fetch

    return fetch(address, data, place)


def _sql(address: Address, data: DataSpec, place: Place) -> Files:
    from flows.source_sql import fetch

    return fetch(address, data, place)


FETCHERS: Mapping[str, Fetcher] = {
    "http": _http,
    "https": _http,
    "ftp": _ftp,
    "ftps": _ftp,
    "s3": _s3,
    "sql": _sql,
}
"""How each kind of address is fetched."""


def fetch(address: Address, data: DataSpec, folder: Path) -> Files:
    """Return the files of an address; `folder` is that of the settings.

    Raises:
        DataRefused: the address is of no kind that can be fetched, or could not be.

    """
    fetcher = FETCHERS.get(address.scheme)
    if fetcher is None:
        known = ", ".join(f"{scheme}://" for scheme in FETCHERS if scheme != "sql")
        message = f"{address.key} must be a file or an address of {known} (a database: sql:), "
        message += f"found {address.shown}"
        advice = "download it first and give the file's path"
        if address.scheme in ("postgresql", "postgres", "mysql", "sqlite", "mssql", "oracle"):
            advice = f'write "sql:{address.shown}" and data.query'
        raise refuse("source.address", message, advice)
    place = Place(address, folder, _options(data))
    key = str(place.folder)
    if key not in _LOOKED:
        _LOOKED[key] = fetcher(address, data, place)
    return _LOOKED[key]


def forget() -> None:
    """Begin a new look: what is asked for next is fetched again, or found unchanged."""
    _LOOKED.clear()


def _options(data: DataSpec) -> dict[str, Any]:
    return {"query": data.query, "http": data.http.model_dump(), "folder": data.outside}
