"""Leaks and drift as summary.json and the report show them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from expectations.leaks import TYPES, WORDS

if TYPE_CHECKING:
    from collections.abc import Mapping

SHOWN = 20
NOTHING = {"large": "bad", "notable": "doubt", "small": ""}


def summary_of(parts: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what summary.json says of leaks; None where the run ended before."""
    found, flown = parts.get("leaks"), parts.get("canary")
    if found is None:
        return None
    canary = None
    if flown is not None:
        canary = {key: flown[key] for key in ("rows", "folds", "compared", "notes")}
    return {
        "types": found["types"],
        "findings": [*found["findings"], *(flown or {}).get("findings", ())],
        "unmatched": found["unmatched"],
        "canary": canary,
    }


def section(
    leaks: Mapping[str, Any] | None, drift: Mapping[str, Any] | None
) -> dict[str, Any] | None:
    """Everything that `leaks.html.j2` shows."""
    if not leaks and not drift:
        return None
    found = leaks or {"types": [], "findings": [], "unmatched": [], "canary": None}
    return {
        "sentence": _sentence(found) if leaks else "",
        "types": _types(found),
        "findings": [_finding(each) for each in found["findings"]],
        "unmatched": found["unmatched"],
        "canary": _canary(found["canary"]),
        "drift": _drift(drift) if drift else None,
    }


def _sentence(found: Mapping[str, Any]) -> str:
    count = len(found["findings"])
    accepted = sum(each["accepted"] is not None for each in found["findings"])
    off = [each["type"] for each in found["types"] if each["level"] == "off"]
    text = "Nothing was found." if not count else f"{count} found, {accepted} accepted."
    return text + (f" Not looked for: {', '.join(off)}." if off else "")


def _types(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One line per type, with the canary's findings counted too."""
    counts = dict.fromkeys(TYPES, 0)
    for each in found["findings"]:
        counts[each["type"]] += 1
    return [
        {**each, "words": WORDS[each["type"]], "findings": counts[each["type"]]}
        for each in found["types"]
    ]


def _finding(found: Mapping[str, Any]) -> dict[str, Any]:
    tone = "good" if found["accepted"] else "bad" if found["level"] == "error" else "doubt"
    return {**found, "tone": tone, "word": "accepted" if found["accepted"] else found["level"]}


def _canary(flown: Mapping[str, Any] | None) -> str:
    if not flown:
        return ""
    if not flown["compared"]:
        return "The canary found that something learned had seen rows that judge."
    return (
        f"The canary: with garbage in the rows that judge, none of {flown['compared']:,} learned "
        f"states moved by a bit (on {flown['rows']:,} rows)."
    )


def _drift(found: Mapping[str, Any]) -> dict[str, Any]:
    columns = [
        {**each, "tone": NOTHING[each["size"]] if each["drifted"] else ""}
        for each in found.get("columns", ())
    ]
    area = found.get("roc_auc")
    told = ""
    if area:
        told = f"Rows that came since are told from those it knew with roc_auc {area[0]:.3f}."
    target = found.get("target") or {}
    return {
        "sentence": f"{found['sentence'][:1].upper()}{found['sentence'][1:]}.",
        "told": told,
        "columns": columns[:SHOWN],
        "more": max(len(columns) - SHOWN, 0),
        "gone": list(found.get("gone", ())),
        "new": list(found.get("new", ())),
        "target": target,
        "shares": list(target.get("shares", ()))[:SHOWN],
    }
