"""The log of a model's champions: who moved the alias, from what, to what, on which evidence.

- One tag of the registered model per entry, `penstock.log.000001` and on: append-only, and in the
  order of its numbers, not of clocks.
- An entry is written as "begun" before an alias moves and as "done" after; one that was cut short
  is finished or marked "abandoned" by whoever holds the lease next.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import secrets
import socket
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from flows.versions import HOLD, standing, version_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flows.home import Home

PREFIX = "penstock.log."
ANCHORS = ("first", "better", "by hand")
"""Rules under which a version becomes what later ones must not fall behind."""
LONGEST = 1000  # characters of a reason

Rule = str
"""Such as "first", "better", "no_worse", "off", "by hand", "rollback"."""


def who() -> str:
    """Return the person or account that this process works for, and where."""
    name = "unknown"
    with contextlib.suppress(OSError, KeyError):  # a user without a name, as in some containers
        name = getpass.getuser()
    return f"{name}@{socket.gethostname()}"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One move of `champion`."""

    seq: int
    """1, 2, 3 and on, without a gap."""
    before: int | None
    """The version that was champion; None: there was none."""
    to: int
    """The version that becomes it."""
    rule: Rule
    run: str = ""
    """Penstock's run id, where a run moved it."""
    because: str = ""
    """The verdict's reason, or a person's."""
    evidence: str = ""
    """Digest of the bundle that the verdict rests on."""
    previous: int | None = None
    """What `previous` points to afterwards."""
    previous_before: int | None = None
    """What it pointed to."""
    at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    who: str = field(default_factory=who)
    mark: str = field(default_factory=lambda: secrets.token_hex(6))
    """What no other attempt has."""
    state: Literal["begun", "done", "abandoned"] = "begun"

    def to_json(self) -> str:
        """Return the tag's text; `before` is called "from", which Python keeps for itself."""
        facts = asdict(self) | {"because": self.because[:LONGEST]}
        facts = {"seq": facts.pop("seq"), "from": facts.pop("before"), **facts}
        return json.dumps(facts, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Entry:
        """Read a tag's text."""
        facts = json.loads(text)
        known = {name: facts[name] for name in cls.__dataclass_fields__ if name in facts}
        return cls(**known, before=facts["from"])


def entries(tags: Mapping[str, str]) -> list[Entry]:
    """Return the log that a registered model's tags hold, in order."""
    names = sorted(name for name in tags if name.startswith(PREFIX))
    return [Entry.from_json(tags[name]) for name in names]


def log(home: Home, name: str) -> list[Entry]:
    """Return the log of the model `name`; empty where there is no such model."""
    now = standing(home, name)
    return entries(now.tags) if now else []


def write(writer: Any, name: str, entry: Entry) -> None:
    """Write an entry in its place."""
    writer.set_registered_model_tag(name, f"{PREFIX}{entry.seq:06d}", entry.to_json())


def close(
    writer: Any, name: str, entry: Entry, state: Literal["done", "abandoned"], because: str = ""
) -> None:
    """Write how an entry ended."""
    write(writer, name, replace(entry, state=state, because=because or entry.because))


def anchor(home: Home, name: str) -> Any | None:
    """Return the version that must not be fallen behind: the last that won as better.

    That is the last entry whose rule is "first", "better" or "by hand", of a version that is still
    there and not held since a rollback; None where there is none.
    """
    for entry in reversed(log(home, name)):
        if entry.state == "done" and entry.rule in ANCHORS:
            version = version_of(home, name, entry.to)
            if version is not None and HOLD not in version.tags:
                return version
    return None
