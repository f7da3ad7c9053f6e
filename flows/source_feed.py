"""RSS and Atom feeds as a source: one row per entry.

- Columns: id, title, link, author, published, updated, summary, tags; texts without markup, times
  in UTC. A feed holds its newest entries only, so who wants all of them keeps each day's.
"""

from __future__ import annotations

import datetime as dt
import html
import re
from typing import TYPE_CHECKING, Any

from expectations.failure import shown
from flows import columnar, diagnose
from flows.delimited import Piece, unreadable
from flows.extras import needed
from flows.typed_cells import columns_of

if TYPE_CHECKING:
    import time

MARKUP = re.compile(r"<[^>]*>")


def read_feed(content: bytes, name: str) -> Piece:
    """Return the entries of a feed.

    Raises:
        DataRefused: the document is no feed, or is broken.
        PenstockError: feedparser is not installed.

    """
    feedparser = needed("feedparser", "feeds", "RSS and Atom feeds")
    found = feedparser.parse(content, sanitize_html=True, resolve_relative_uris=False)
    broken = found.get("bozo_exception") if found.get("bozo") else None
    if not found.get("version") or (broken is not None and not _harmless(broken)):
        why = f"it is broken XML: {shown(str(broken), 200)}" if broken else "it is no RSS or Atom"
        advice = "give the address of the feed itself, or make the file again"
        raise unreadable([diagnose.failure("file.feed", name, why, advice)], name)
    rows = [_row(entry) for entry in found.entries]
    if failures := diagnose.no_rows(len(rows), name):
        raise unreadable(failures, name)
    cells = {key: [row[key] for row in rows] for key in rows[0]}
    return columnar.from_arrow(columns_of(cells), name)


def _harmless(broken: Exception) -> bool:
    """Whether it is only that the document was served under another type or encoding."""
    return type(broken).__name__ in ("CharacterEncodingOverride", "NonXMLContentType")


def _row(entry: Any) -> dict[str, Any]:
    return {
        "id": entry.get("id") or entry.get("link"),
        "title": _text(entry.get("title")),
        "link": entry.get("link"),
        "author": entry.get("author"),
        "published": _moment(entry.get("published_parsed")),
        "updated": _moment(entry.get("updated_parsed")),
        "summary": _text(entry.get("summary")),
        "tags": "; ".join(t.get("term") or "" for t in entry.get("tags") or ()) or None,
    }


def _text(marked: str | None) -> str | None:
    if marked is None:
        return None
    return " ".join(html.unescape(MARKUP.sub(" ", marked)).split()) or None


def _moment(parsed: time.struct_time | None) -> dt.datetime | None:
    return None if parsed is None else dt.datetime(*parsed[:6], tzinfo=dt.UTC)
