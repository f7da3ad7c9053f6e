"""S3 as a source, through s3fs: files streamed to the home, fetched again only where they changed.

- Credentials and endpoint are those of the environment, as every S3 tool reads them:
  AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_PROFILE, AWS_ENDPOINT_URL.
- `*` in the key names several objects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flows.extras import needed
from flows.failed import away, refuse
from flows.transient import is_transient

if TYPE_CHECKING:
    from pathlib import Path

    from flows.addresses import Address
    from flows.data_spec import DataSpec
    from flows.errors import DataRefused
    from flows.fetched import Place

PASSING = (
    "EndpointConnectionError",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "ConnectionClosedError",
)


def fetch(address: Address, data: DataSpec, place: Place) -> list[tuple[str, Path]]:
    """Return the objects that an address names as files, in order of their keys.

    Raises:
        DataRefused: there is no such object, it may not be read, or the store is away.
        SettingsError: s3fs is not installed.

    """
    del data
    s3fs = needed("s3fs", "s3", "s3:// sources")
    store: Any = s3fs.S3FileSystem(skip_instance_cache=True, use_listings_cache=False)
    wanted = address.url.removeprefix("s3://").partition("?")[0]
    pattern = any(c in wanted for c in "*[")
    try:
        keys = sorted(store.glob(wanted)) if pattern else [wanted]
        found = [_one(store, key, address, place, many=pattern) for key in keys]
    except Exception as error:  # noqa: BLE001 - botocore makes its classes as it runs
        refusal = _refused(address, error)
    else:
        if found:
            return found
        refusal = _absent(address)
    raise refusal


def _refused(address: Address, error: Exception) -> DataRefused:
    if isinstance(error, FileNotFoundError):
        return _absent(address)
    said = address.safe(f"{type(error).__name__}: {error}")
    message = f"{address.shown} could not be fetched: {said}"
    if isinstance(error, PermissionError):
        advice = "see AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment"
        return refuse("source.permission", message, advice)
    if is_transient(error) or type(error).__name__ in PASSING:
        return away(message)
    return refuse("source.s3", message, "see the AWS_ variables of the environment")


def _absent(address: Address) -> DataRefused:
    message = f"{address.key}: there is no object {address.shown}"
    return refuse("source.missing", message, "correct the bucket or the key")


def _one(store: Any, key: str, address: Address, place: Place, *, many: bool) -> tuple[str, Path]:
    facts = store.info(key)
    if facts.get("type") == "directory":
        raise FileNotFoundError(key)
    path = place.path(key if not many else key.replace("/", "__"))
    shown = key.rpartition("/")[2] if many else address.shown
    marks = {"etag": facts.get("ETag"), "size": facts.get("size")}
    kept = place.known(path)
    if marks["etag"] and kept and {n: kept.get(n) for n in marks} == marks:
        return shown, path
    store.get_file(key, str(place.draft(path)))
    return shown, place.keep(path, **marks)
