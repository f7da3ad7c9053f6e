"""What summary.json says of the comparison: with whom, on which rows, at which look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flows.run import Run


def gate_of(run: Run) -> dict[str, Any] | None:
    """Return the comparison's facts and every finding; None where the run ended before."""
    if run.verdict is None:
        return None
    known = run.referee
    return {
        "status": known["status"],
        "reason": known.get("reason", ""),
        "champion": _version(known.get("champion")),
        "anchor": _version(known.get("anchor")),
        "look": known.get("look", 1),
        "counts": dict(known.get("counts", {})),
        "matched": known.get("matched"),
        "changes": list(known.get("changes", ())),
        "alarms": list(known.get("alarms", ())),
        "findings": [finding.to_json() for finding in run.verdict.findings],
    }


def _version(described: dict[str, Any] | None) -> int | None:
    return int(described["version"]) if described else None
