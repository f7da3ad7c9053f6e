"""Sources that are not files of this machine: their addresses, and what may be said of them.

- An address may come from the environment, written `${NAME}`; then it may hold a password, and
  wherever it is shown the name of the variable stands for it. One with a password in it that is
  written out in the settings is refused.
- Query strings are never shown: they hold tokens.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from flows.failed import refuse

ADDRESS = re.compile(
    r"(?P<what>sql:|feed:)?(?P<url>(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://.*)", re.DOTALL
)
VARIABLE = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where a source lies."""

    scheme: str
    """http, https, ftp, ftps, s3, sql, ..."""
    url: str
    """The whole address; it may hold a password and is never shown."""
    shown: str
    """What messages and provenance call it."""
    feed: bool = False
    """Whether it is to be read as RSS or Atom."""
    key: str = "data.source"

    def safe(self, text: str) -> str:
        """Return a library's text without anything secret of this address."""
        parts = urlsplit(self.url)
        secrets = {self.url, parts.query, parts.password or "", unquote(parts.password or "")}
        for secret in sorted((s for s in secrets if len(s) > 2), key=len, reverse=True):
            text = text.replace(secret, "***").replace(quote(secret), "***")
        text = re.sub(r"//[^/\s@]*@", "//***@", text)
        return re.sub(r"(https?://[^\s?'\"]*)\?[^\s'\"]*", r"\1?***", " ".join(text.split()))[:300]


def with_environment(text: str, key: str) -> str:
    """Put the values of environment variables, written ${NAME}, into a text."""

    def value(named: re.Match[str]) -> str:
        found = os.environ.get(named[1])
        if found is None:
            message = f"{key} names the environment variable {named[1]}, which is not set"
            raise refuse("source.environment", message, f"set {named[1]}, or write the path itself")
        return found

    return VARIABLE.sub(value, text)


def address_of(entry: str, key: str) -> Address | None:
    """Return the address that an entry of the settings names; None for what is on this machine.

    Raises:
        DataRefused: it holds a password, or a variable that it names is not set.

    """
    found = ADDRESS.fullmatch(with_environment(entry, key).strip())
    if not found:
        return None
    what, url, scheme = found["what"], found["url"], found["scheme"].lower()
    written = ADDRESS.fullmatch(entry.strip())
    if written and not VARIABLE.search(entry) and _has_password(url):
        advice = 'put the whole address into the environment and write source = "${NAME}"'
        message = f"{key} must not hold a password, found {public(url)}"
        raise refuse("source.secret", message, advice)
    shown = _named(entry) if VARIABLE.search(entry) else f"{what or ''}{public(url)}"
    kind = "sql" if what == "sql:" else scheme
    return Address(scheme=kind, url=url, shown=shown, feed=what == "feed:", key=key)


def _named(entry: str) -> str:
    """Return an entry as written: variables by name, and no query."""
    return re.sub(r"//[^/@]*@", "//***@", entry).split("?")[0]


def public(url: str) -> str:
    """Return an address without user, password and query."""
    return re.sub(r"//[^/@]*@", "//***@", url).split("?")[0]


def _has_password(url: str) -> bool:
    return re.match(r"[A-Za-z0-9+.-]+://[^/@]*@", url) is not None
