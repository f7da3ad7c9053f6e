"""What a version has earned, as its tags say it; and what keeps it from what its verdict gave it.

- The mechanical blessing is written once, with the version; the metric blessing with each verdict,
  as a later one about the same key replaces it.
- A version that stands back, because it is held or because the champion changed under it, is
  tagged as kept, and says why.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flows.offer import ANY
from flows.signing import signature
from flows.versions import (
    COMPARED,
    HOLD,
    KEY,
    MANIFEST,
    MECHANICAL,
    METRIC,
    RULE,
    RUN,
    SIGNATURE,
    VERDICT,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flows.logged_model import Blessed
    from flows.offer import Candidate
    from flows.versions import Standing

LONGEST = 4000  # characters of a tag
FIGURES = f"{MECHANICAL}.figures"

Tags = dict[str, str | None]
"""Tags to set; None removes one."""


@dataclass(frozen=True, kw_only=True)
class Hindrance:
    """Why a version does not become champion although its verdict says so; empty: nothing."""

    raced: bool = False
    held: str = ""
    because: str = ""


def hindrance(candidate: Candidate, now: Standing, known: Any | None) -> Hindrance:
    """Say what keeps a candidate, or the version that it is already, from becoming champion."""
    if not candidate.promote or (known is not None and int(known.version) == now.champion):
        return Hindrance()
    if known is not None and HOLD in known.tags:
        what = f"{candidate.name}/{known.version}"
        held = f"it was rolled back and is held; `penstock release '{what}'` lets it be promoted"
        return Hindrance(held=held, because=held)
    if candidate.compared_with not in (ANY, now.champion):
        return raced(candidate, now.champion)
    return Hindrance()


def raced(candidate: Candidate, found: int | None) -> Hindrance:
    """The champion is another than the one that the candidate was compared with."""
    compared = f"version {candidate.compared_with}" if candidate.compared_with else "no champion"
    became = f"version {found}" if found else "none"
    because = f"it was compared with {compared}, and {became} is champion by now"
    return Hindrance(raced=True, because=because)


def own_tags(candidate: Candidate, blessed: Blessed) -> Tags:
    """Return the tags that a version gets once: whose it is, its files, how it answered."""
    manifest = dict(blessed.manifest)
    signed = signature(model=candidate.name, key=candidate.key, manifest=manifest)
    return {
        RUN: candidate.run,
        MECHANICAL: _sentence(blessed.examined),
        FIGURES: json.dumps(blessed.examined.get("figures", {}))[:LONGEST],
        KEY: candidate.key,
        MANIFEST: json.dumps(manifest),
        **({SIGNATURE: signed} if signed else {}),
    }


def verdict_tags(candidate: Candidate, against: Hindrance, now: Standing) -> Tags:
    """Return the tags that say what was decided."""
    tags: Tags = {f"penstock.{name}": text[:LONGEST] for name, text in candidate.tags.items()}
    earned = candidate.promote and not against.because
    tags[METRIC] = reasons(candidate)[:LONGEST] if earned else None
    tags[COMPARED] = "none" if candidate.compared_with is None else str(candidate.compared_with)
    tags[RULE] = rule(candidate, now)
    if against.because:
        tags |= {VERDICT: "kept", "penstock.reasons": against.because}
    return tags


def rule(candidate: Candidate, now: Standing) -> str:
    """Return the rule for the log; whoever comes first has won against nobody."""
    return "first" if now.champion is None else candidate.rule


def description(candidate: Candidate, against: Hindrance) -> str:
    """Return what the version's page says."""
    if not against.because:
        return candidate.description
    return f"Kept: {against.because}. Run {candidate.run}."


def reasons(candidate: Candidate) -> str:
    """Return what decided."""
    return candidate.because or candidate.tags.get("reasons") or f"rule {candidate.rule}"


def _sentence(examined: Mapping[str, Any]) -> str:
    checks = examined.get("checks", [])
    return f"passed {sum(bool(c.get('ok')) for c in checks)} of {len(checks)} checks in a fresh process"
