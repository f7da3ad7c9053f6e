"""A model's versions so far: what each came to, its verdict, and which were in service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flows import promotions
from flows.versions import VERDICT, standing, versions

if TYPE_CHECKING:
    from flows.home import Home

METRIC = "penstock.metric"
"""The tag that holds the leading metric on the test rows, such as "roc_auc=0.801"."""
LAST = 40


def history(home: Home, name: str) -> list[dict[str, Any]]:
    """Return {"version", "metric", "value", "verdict", "promoted"} of the newest versions."""
    now = standing(home, name)
    if now is None:
        return []
    moved = {entry.to for entry in promotions.entries(now.tags) if entry.state == "done"}
    return [
        {
            "version": int(version.version),
            "verdict": version.tags.get(VERDICT, ""),
            "promoted": int(version.version) in moved,
            **_measured(version.tags.get(METRIC, "")),
        }
        for version in versions(home, name)[-LAST:]
    ]


def _measured(text: str) -> dict[str, Any]:
    metric, _, value = text.partition("=")
    try:
        return {"metric": metric, "value": float(value)}
    except ValueError:
        return {"metric": metric, "value": None}
