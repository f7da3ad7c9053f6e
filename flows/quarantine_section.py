"""What was set aside, for summary.json and the report: rows by rule, limits, files.

- A refused table has its numbers too: they are what a person needs to see why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

RULES_SHOWN = 30
FILES_SHOWN = 20


def summary_of(
    parts: Mapping[str, Any], aside: Mapping[str, Any] | None, place: str | None
) -> dict[str, Any] | None:
    """Return the summary's `quarantine`; None where the run ended before rows were judged.

    Args:
        parts: the stages' files by name.
        aside: the index of what the run keeps, None where it keeps nothing.
        place: the file of the offences.

    """
    judged = aside or parts.get("validation")
    loaded = parts.get("load") or {}
    if not judged:
        return None
    rows, count = judged["rows"], judged["quarantined"]
    named = ("name", "bytes", "sha256", "rule", "reason")
    files = judged.get("files", loaded.get("bad_parts", []))
    return {
        "rows": count,
        "share": count / rows if rows else 0.0,
        "refused": bool(judged.get("refused")),
        "rules": judged["rules"],
        "limits": judged.get("limits", []),
        "files": [{key: each[key] for key in named} for each in files],
        "path": place,
    }


def section(summary: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the report's block; None where nothing was set aside and nothing limits by name."""
    found = summary.get("quarantine")
    if not found or not (found["rows"] or found["files"]):
        return None
    ordered = sorted(found["rules"].items(), key=lambda pair: -pair[1])
    total = (summary.get("rows") or {}).get("read")
    own = [limit for limit in found["limits"] if limit["name"] != "total"]
    return {
        **found,
        "run": summary.get("run"),
        "rules": [(rule, count, count / total if total else None) for rule, count in ordered],
        "shown": RULES_SHOWN,
        "limits": own,
        "allowed": next((x["allowed"] for x in found["limits"] if x["name"] == "total"), None),
        "files": found["files"][:FILES_SHOWN],
        "more_files": max(len(found["files"]) - FILES_SHOWN, 0),
    }
