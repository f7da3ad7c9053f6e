"""Whole files that cannot be read: refused, or set aside by `data.bad_files = "quarantine"`.

- Only files of a source of many parts, and as many as `data.max_bad_files` allows, by count and by
  bytes: a source that is mostly unreadable is no source.
- Never one that is being written, is closed to this user, or is away for a moment: the next try may
  read it, and a run without it would not be the same run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from expectations.failure import shown
from flows.errors import DataRefused
from flows.transient import is_transient

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flows.data_spec import DataSpec
    from flows.parts import Part

TOLD = 5
LONGEST_REASON = 500  # characters
PASSING = ("source.changed", "source.permission", "source.missing")
"""Rules of refusals that say nothing of what is in a file."""
ROUNDING = 1e-9  # 0.1 of 10 parts is one part


def set_aside(
    parts: Sequence[Part], refused: Sequence[tuple[Part, DataRefused]], data: DataSpec
) -> list[dict[str, Any]]:
    """Return what is known of each part that cannot be read, where the settings let it be left out.

    Args:
        parts: all parts of one source.
        refused: those that could not be read, each with why.
        data: the settings, for `bad_files` and `max_bad_files`.

    Returns:
        [{"name", "path", "kind", "sha256", "bytes", "rule", "reason"}], [] where none is bad.

    Raises:
        DataRefused: they must not be left out, or are too many; every one of them is named.

    """
    if not refused:
        return []
    firm = [(part, why) for part, why in refused if not _settable(part, why)]
    if data.bad_files == "refuse" or len(parts) == 1 or firm:
        raise _together(firm or refused)
    found = [_facts(part, why) for part, why in refused]
    sizes = [_size(part) for part in parts]
    count, size = len(found), sum(each["bytes"] for each in found)
    most = data.max_bad_files + ROUNDING
    if count > most * len(parts) or size > most * max(sum(sizes), 1):
        headline = (
            f"{count:,} of {len(parts):,} parts ({count / len(parts):.2%}, and "
            f"{size / max(sum(sizes), 1):.2%} of their bytes) cannot be read, at most "
            f"{100 * data.max_bad_files:.6g}% of parts and bytes may be set aside "
            "(data.max_bad_files)"
        )
        raise _together(refused, headline)
    return found


def said_of(bad: Sequence[dict[str, Any]]) -> list[str]:
    """Say of parts that were set aside which and why, at most five of them."""
    lines = [f"{each['name']} is set aside, it cannot be read: {each['reason']}" for each in bad]
    more = len(lines) - TOLD
    return lines[:TOLD] + ([f"{more} more parts are set aside"] if more > 0 else [])


def _settable(part: Part, why: DataRefused) -> bool:
    """Whether a refusal is about what a file holds, and so would come again."""
    rules = {failure.rule for failure in why.failures}
    is_file = part.path is not None and part.kind != "function"
    return is_file and not rules.intersection(PASSING) and not is_transient(why)


def _together(refused: Sequence[tuple[Part, DataRefused]], headline: str = "") -> DataRefused:
    """Return one refusal for several parts; whether it may pass is seen from the first's cause."""
    said = [headline] if headline else []
    said += [str(why) for _, why in refused[:TOLD]]
    more = len(refused) - TOLD
    if more > 0:
        said.append(f"... and {more} more parts")
    failures = [failure for _, why in refused for failure in why.failures]
    whole = DataRefused("\n".join(said), failures)
    whole.__cause__ = refused[0][1]
    return whole


def _facts(part: Part, why: DataRefused) -> dict[str, Any]:
    from flows.sources import digest_of

    first = why.failures[0] if why.failures else None
    reason = first.message if first else str(why).partition("\n")[0]
    return {
        "name": part.name,
        "path": str(part.path),
        "kind": part.kind,
        "sha256": digest_of(part),
        "bytes": _size(part),
        "rule": first.rule if first else "file",
        "reason": shown(reason, LONGEST_REASON),
    }


def _size(part: Part) -> int:
    return part.path.stat().st_size if part.path else 0
