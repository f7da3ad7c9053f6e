"""HTTP(S) as a source: streamed to a file of the home, patiently.

- A request that fails for a moment is tried again with waits that double; Retry-After is heeded.
- One file is fetched again only where the server says that it changed (ETag, Last-Modified).
- A JSON list becomes JSON lines; pages are `flows/http_pages.py`'s.
"""

from __future__ import annotations

import json
import logging
import re
import time
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from expectations.failure import shown
from flows.addresses import with_environment
from flows.duration import seconds_of
from flows.failed import away, refuse
from flows.transient import STATUSES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx

    from flows.addresses import Address
    from flows.data_spec import DataSpec
    from flows.fetched import Place

FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0  # seconds
PIECE = 1 << 20  # bytes
JSON_LINES = re.compile(r"ndjson|jsonl|json-seq|x-json-stream")
ENDINGS = {
    "text/csv": ".csv",
    "text/tab-separated-values": ".tsv",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
    "application/vnd.apache.parquet": ".parquet",
}


def fetch(address: Address, data: DataSpec, place: Place) -> list[tuple[str, Path]]:
    """Return the one file that an address gives.

    Raises:
        DataRefused: the server refuses or is away, or a page is not what the settings say.

    """
    with Session(address, data) as session:
        if data.http.next or data.http.page:
            from flows.http_pages import paged

            return [(address.shown, paged(session, place))]
        return [(address.shown, _single(session, place))]


class Session:
    """A client that tries again."""

    def __init__(self, address: Address, data: DataSpec) -> None:
        """Ask nothing yet."""
        import httpx

        self.address, self.http = address, data.http
        # At INFO it writes every address with its query, which may hold a token.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        key = "data.http.headers"
        headers = {name: with_environment(text, key) for name, text in data.http.headers.items()}
        self.client = httpx.Client(
            headers=headers, timeout=seconds_of(data.http.timeout), follow_redirects=True,
            max_redirects=5,
        )  # fmt: skip

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close its connections."""
        self.client.close()

    def ask(self, url: str, use: Callable[[httpx.Response], Any], **more: Any) -> Any:
        """Return what `use` makes of the answer; both are tried again where that may help."""
        import httpx

        if urlsplit(url).scheme not in ("http", "https"):
            raise refuse("source.http", f"{self.address.shown} leads to no HTTP address", "see it")
        said = ""
        for left in range(self.http.retries, -1, -1):
            pause = FIRST_WAIT * 2 ** (self.http.retries - left)
            try:
                with self.client.stream("GET", url, **more) as answer:
                    if answer.status_code not in STATUSES:
                        self._refuse_status(answer)
                        return use(answer)
                    said = f"it answered {answer.status_code}"
                    pause = _asked_for(answer, pause)
            except httpx.InvalidURL:
                message = f"{self.address.key} must be an address, {self.address.shown} is not one"
                raise refuse("source.address", message, "correct it") from None
            except httpx.TooManyRedirects:
                message = f"{self.address.shown} leads from redirection to redirection"
                raise refuse("source.http", message, "give the address that it ends at") from None
            except (httpx.TransportError, httpx.DecodingError) as error:
                said = self.address.safe(f"{type(error).__name__}: {error}")
            if left:
                time.sleep(min(pause, LONGEST_WAIT))
        tries = self.http.retries + 1
        raise away(f"{self.address.shown} could not be fetched in {tries} tries: {said}")

    def _refuse_status(self, answer: httpx.Response) -> None:
        status = answer.status_code
        if status < 300 or status == 304:
            return
        advice = {
            401: "give it a login: data.http.headers with ${NAME}, or the address in ${NAME}",
            403: "see whether this login may have it",
            404: "correct the address",
        }.get(status, "ask whoever runs the server")
        message = f"{self.address.shown} answered {status} {answer.reason_phrase}"
        raise refuse("source.http", message, advice)


def _asked_for(answer: httpx.Response, pause: float) -> float:
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isdecimal() else pause


def _single(session: Session, place: Place) -> Path:
    """Fetch one file, unless the server says that the kept one is still what it has."""
    for path in place.folder.glob("*.facts.json"):
        kept = path.with_name(path.name.removesuffix(".facts.json"))
        if facts := place.known(kept):
            marks = {"If-None-Match": facts.get("etag"), "If-Modified-Since": facts.get("modified")}
            headers = {name: mark for name, mark in marks.items() if mark}
            if headers:
                found = session.ask(session.address.url, _keeper(session, place), headers=headers)
                return found or kept
    found = session.ask(session.address.url, _keeper(session, place))
    if found is None:
        message = f"{session.address.shown} answered 304 to a question without conditions"
        raise refuse("source.http", message, "ask whoever runs the server")
    return found


def _keeper(session: Session, place: Place) -> Callable[[httpx.Response], Path | None]:
    def keep(answer: httpx.Response) -> Path | None:
        if answer.status_code == 304:
            return None
        path = place.path(named(answer))
        if is_json(answer):
            path = path.with_name(path.name.removesuffix(".json") + ".jsonl")
            rows = records(parsed(session, answer), session)
            place.draft(path).write_text("".join(lines(rows)), encoding="utf-8")
        else:
            with place.draft(path).open("wb") as stream:
                for piece in answer.iter_bytes(PIECE):
                    stream.write(piece)
        marks = {"etag": answer.headers.get("etag")}
        return place.keep(path, **marks, modified=answer.headers.get("last-modified"))

    return keep


def is_json(answer: httpx.Response) -> bool:
    """Whether a page is one JSON value, and no JSON lines."""
    kind = answer.headers.get("content-type", "").lower()
    path = urlsplit(str(answer.url)).path.lower()
    return ("json" in kind and not JSON_LINES.search(kind)) or path.endswith(".json")


def parsed(session: Session, answer: httpx.Response) -> Any:
    """Return the JSON of an answer, or refuse it."""
    try:
        return json.loads(answer.read())
    except ValueError as error:
        message = f"{session.address.shown} must answer JSON, however: {error}"
        raise refuse("source.json", message, "ask whoever runs the server") from None


def records(page: Any, session: Session) -> list[Any]:
    """Return the rows of a JSON page, or refuse it."""
    found = at(page, session.http.records) if session.http.records else page
    if isinstance(found, list):
        return found
    where = f"data.http.records = {session.http.records!r}" if session.http.records else "the page"
    keys = ", ".join(map(shown, list(page)[:10])) if isinstance(page, dict) else type(page).__name__
    message = f"{session.address.shown}: {where} must be a list of rows, the page holds {keys}"
    raise refuse("source.json", message, 'say where it is: data.http.records = "data.items"')


def at(page: Any, dotted: str) -> Any:
    """Return what stands at a place such as `data.items`; None where there is nothing."""
    for key in dotted.split("."):
        page = page.get(key) if isinstance(page, dict) else None
    return page


def lines(rows: list[Any]) -> Iterator[str]:
    """Yield rows as JSON lines."""
    for row in rows:
        yield json.dumps(row, ensure_ascii=False) + "\n"


def named(answer: httpx.Response) -> str:
    """Return a name whose ending says what the content is."""
    path = urlsplit(str(answer.url)).path
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    ending = ".jsonl" if JSON_LINES.search(kind) else ENDINGS.get(kind, "")
    if ending and not PurePosixPath(path.lower().removesuffix(".gz")).suffix:
        path += ending
    return path or "rows"
