"""What a sweep came to, in one sentence; knows nothing of Optuna, so a summary costs no import."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

STATES = ("finished", "pruned", "failed")
"""How a trial ends."""


def sentence(found: Mapping[str, Any]) -> str:
    """Say what a sweep came to, in one sentence; takes `sweep.json` or `summary["sweep"]`."""
    best = found["best"]
    error = f" \N{PLUS-MINUS SIGN} {best['error']:.2g}" if best["error"] is not None else ""
    total = sum(found[state] for state in STATES)
    ended = ", ".join(f"{found[state]} {state}" for state in STATES if found[state])
    why = {"budget": ", as long as the budget allowed", "patience": ", no better one in sight"}
    return (
        f"{total} {'trial' if total == 1 else 'trials'} in {found['seconds']:.0f} s"
        f"{why.get(found['stopped'], '')} ({ended}); best is trial {best['number']}, "
        f"{found['unit']} {best['score']:.4g}{error}"
    )
