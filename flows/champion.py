"""Moving `champion`, the one thing that changes what answers: all or nothing, and in the log.

The order, under the lease: entry "begun" -> the champion still as compared -> `previous` ->
`champion` -> entry "done". Whoever comes after a kill settles what was begun.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flows import promotions
from flows.errors import ArtifactRefused
from flows.promotions import Entry
from flows.registry import client
from flows.verify import fetched
from flows.versions import HOLD, MECHANICAL, METRIC, retag, standing, version_of

if TYPE_CHECKING:
    from flows.home import Home
    from flows.lease import Check
    from flows.versions import Standing

BY_HAND = ("by hand", "rollback")


@dataclass(frozen=True, kw_only=True)
class Move:
    """A wish to make a version the champion."""

    to: int
    rule: str
    run: str = ""
    because: str = ""
    evidence: str = ""
    previous: int | None = None
    """What `previous` is to become; None: none."""
    hold: bool = False
    """Whether the version that goes is held until `release`."""


def entry_for(now: Standing, move: Move) -> Entry:
    """Return the log's next entry."""
    written = promotions.entries(now.tags)
    return Entry(
        seq=written[-1].seq + 1 if written else 1,
        before=now.champion,
        to=move.to,
        rule=move.rule,
        run=move.run,
        because=move.because,
        evidence=move.evidence,
        previous=move.previous,
        previous_before=now.previous,
    )


def move_champion(home: Home, name: str, now: Standing, move: Move, check: Check) -> bool:
    """Make a version the champion, unless another is by now than `now` says; return whether.

    The caller holds the lease, and has settled what others had begun.
    """
    writer, entry = client(home), entry_for(now, move)
    check()
    promotions.write(writer, name, entry)
    if move.hold and now.champion is not None:
        hold(home, name, now.champion, move.because)
    if not _still(home, name, entry):
        return _abandoned(home, name, entry, "another version had become champion meanwhile")
    _point(home, name, "previous", entry.previous)
    check()
    if not _still(home, name, entry):
        return _abandoned(home, name, entry, "another version had become champion meanwhile")
    writer.set_registered_model_alias(name, "champion", str(entry.to))
    return _closed(home, name, entry)


def settle(home: Home, name: str, check: Check) -> list[str]:
    """Finish or abandon what a process has begun and not ended; say what was done.

    The caller holds the lease, so nobody alive is at it.
    """
    now, said = standing(home, name), []
    for entry in promotions.entries(now.tags) if now else []:
        if entry.state == "begun":
            check()
            said.append(_settled(home, name, entry))
    return said


def _settled(home: Home, name: str, entry: Entry) -> str:
    now, writer = standing(home, name), client(home)
    at = now.champion if now else None
    what = f"entry {entry.seq} of the log of {name!r}, version {entry.to} as champion"
    if at not in (entry.to, entry.before):
        _abandoned(home, name, entry, f"version {at} had become champion meanwhile")
        return f"{what}, was cut short, and another has become champion since: abandoned"
    if at == entry.before and (doubt := _unfit(home, name, entry)):
        _abandoned(home, name, entry, doubt)
        return f"{what}, was cut short and is abandoned: {doubt}"
    if entry.rule == "rollback" and entry.before is not None:
        hold(home, name, entry.before, entry.because)
    _point(home, name, "previous", entry.previous)
    if at != entry.to:
        writer.set_registered_model_alias(name, "champion", str(entry.to))
    promotions.close(writer, name, entry, "done")
    return f"{what}, was cut short: finished"


def _unfit(home: Home, name: str, entry: Entry) -> str:
    """Say why a version must not become champion now; "" where it may."""
    version = version_of(home, name, entry.to)
    if version is None or version.status != "READY":
        return f"version {entry.to} is gone"
    if MECHANICAL not in version.tags:
        return f"version {entry.to} has not answered in a fresh process"
    if METRIC not in version.tags and entry.rule not in BY_HAND:
        return f"version {entry.to} has no verdict that promotes it"
    if HOLD in version.tags:
        return f"version {entry.to} is held"
    try:
        fetched(home, version)
    except ArtifactRefused as error:
        return str(error)
    return ""


def hold(home: Home, name: str, version: int, because: str) -> None:
    """Keep the key of a version from being promoted again until it is released."""
    found = version_of(home, name, version)
    if found is not None and HOLD not in found.tags:
        facts = {"because": because, "who": promotions.who()}
        retag(home, found, {HOLD: json.dumps(facts, ensure_ascii=False)})


def _still(home: Home, name: str, entry: Entry) -> bool:
    """Whether the champion is the one that the entry says, and the entry is ours."""
    now = standing(home, name)
    last = promotions.entries(now.tags)[-1] if now else None
    ours = last is not None and last.mark == entry.mark and last.state == "begun"
    return bool(now and ours and now.champion == entry.before)


def _closed(home: Home, name: str, entry: Entry) -> bool:
    """Mark the entry as done; give the place back where the lease was lost in the last instant."""
    now = standing(home, name)
    written = promotions.entries(now.tags) if now else []
    last = written[-1] if written else entry
    if last.mark == entry.mark and last.state != "abandoned":
        promotions.close(client(home), name, entry, "done")
        return True
    done = [each.to for each in written if each.state == "done"]
    _point(home, name, "champion", done[-1] if done else None)
    return False


def _abandoned(home: Home, name: str, entry: Entry, because: str) -> bool:
    """Mark the entry, and put `previous` back where this attempt alone has moved it."""
    now = standing(home, name)
    if now is None or _state(now, entry) != "begun":  # somebody has settled it since
        return False
    moved = now.previous == entry.previous != entry.previous_before
    if moved and now.champion == entry.before:
        _point(home, name, "previous", entry.previous_before)
    promotions.close(client(home), name, entry, "abandoned", because)
    return False


def _state(now: Standing, entry: Entry) -> str:
    written = (each for each in promotions.entries(now.tags) if each.mark == entry.mark)
    return next((each.state for each in written), "gone")


def _point(home: Home, name: str, alias: str, version: int | None) -> None:
    """Point an alias to a version, or remove it, where it is not so already."""
    now: Any = standing(home, name)
    at = now.aliases.get(alias)
    if version is None and at is not None:
        client(home).delete_registered_model_alias(name, alias)
    elif version is not None and at != version:
        client(home).set_registered_model_alias(name, alias, str(version))
