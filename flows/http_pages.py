"""A source of many HTTP pages as one file: the next page's address, or pages that are counted.

- Rows of JSON pages become JSON lines; further pages of text lose a header that they repeat.
- All pages or none: a page that is away, a circle, or more pages than allowed is a refusal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urljoin, urlsplit

from expectations.failure import shown
from flows.failed import refuse
from flows.source_http import at, is_json, lines, named, parsed, records

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

    from flows.fetched import Place
    from flows.source_http import Session


def paged(session: Session, place: Place) -> Path:
    """Fetch all pages into one file.

    Raises:
        DataRefused: there is no page, one of them cannot be had, or there are too many.

    """
    pages = _pages(session)
    first = next(pages, None)
    if first is None:
        raise refuse("source.http", f"{session.address.shown} has no page", "see data.http")
    answer, content = first
    path = place.path(named(answer))
    text = not is_json(answer)
    if not text:
        path = path.with_name(path.name.removesuffix(".json") + ".jsonl")
    header = _header(content) if text else None
    with place.draft(path).open("wb") as stream:
        stream.write(_ended(content))
        for _, more in pages:
            stream.write(_ended(_without(header, more)))
    return place.keep(path)


def _header(content: bytes) -> bytes:
    return content.partition(b"\n")[0].strip()


def _without(header: bytes | None, content: bytes) -> bytes:
    if header is None or _header(content) != header:
        return content
    return content.partition(b"\n")[2]


def _ended(content: bytes) -> bytes:
    return content if content.endswith(b"\n") or not content else content + b"\n"


def _pages(session: Session) -> Iterator[tuple[httpx.Response, bytes]]:
    """Yield each page's answer with its rows, as JSON lines or as text."""
    http, url = session.http, session.address.url
    seen, header = {url}, b""
    for number in range(http.pages + 1):
        more = {"params": _counted(url, http.page, http.first + number)} if http.page else {}
        answer, content, onward = session.ask(url, lambda found: _page(session, found), **more)
        if http.page and content.strip() in (b"", header):
            return
        if number == http.pages:
            break
        yield answer, content
        header = header or (b"" if is_json(answer) else _header(content))
        if http.next and onward is None:
            return
        url = url if onward is None else _onward(session, urljoin(str(answer.url), onward), seen)
    message = f"{session.address.shown} has more than {http.pages:,} pages"
    raise refuse("source.pages", message, "raise data.http.pages, or ask for less")


def _counted(url: str, name: str, number: int) -> dict[str, Any]:
    return dict(parse_qsl(urlsplit(url).query, keep_blank_values=True)) | {name: number}


def _onward(session: Session, url: str, seen: set[str]) -> str:
    """Refuse a circle, and to take the login of one server to another."""
    if url in seen:
        message = f"{session.address.shown} names a next page that was read before"
        raise refuse("source.pages", message, "ask whoever runs the server")
    seen.add(url)
    mine, theirs = urlsplit(session.address.url), urlsplit(url)
    if (theirs.scheme, theirs.hostname, theirs.port) != (mine.scheme, mine.hostname, mine.port):
        message = f"{session.address.shown} names a next page on {shown(theirs.hostname)}"
        raise refuse("source.pages", message, "pages must lie on the server of the first")
    return url


def _page(session: Session, answer: httpx.Response) -> tuple[httpx.Response, bytes, str | None]:
    onward = None
    if session.http.next == "link":
        onward = (answer.links.get("next") or {}).get("url")
    if not is_json(answer):
        return answer, answer.read(), onward
    page = parsed(session, answer)
    if session.http.next and session.http.next != "link":
        found = at(page, session.http.next)
        onward = str(found) if found else None
    return answer, "".join(lines(records(page, session))).encode(), onward
