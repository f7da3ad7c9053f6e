"""The run report: one page, self-contained, that says first how the run ended and then why.

- No script, no font, no request: a content policy in the page forbids what a name might smuggle in.
- Everything is escaped by the template engine; names are shown shortened, with control and
  direction-changing characters spelled out, and isolated from the text around them.
- A section whose material is absent is absent; a refused run has a report too.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expectations.failure import shown
from flows import (
    champion_section,
    gate_section,
    leaks_section,
    quarantine_section,
    sections,
    sweep_section,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jinja2 import Environment

LONGEST_NAME = 80
LONGEST_TEXT = 2_000
NOTHING = "\N{EN DASH}"


def report(summary: Mapping[str, Any], parts: Mapping[str, Any], path: Path) -> None:
    """Write the page about one run to `path`.

    `summary` is summary.json, `parts` the stages' JSON files by name: load, profile, validation,
    split, fitted, curves, export, evidence, history. Any part may be missing.
    """
    settings = summary.get("settings") or {}
    floors = (settings.get("gate") or {}).get("floors") or {}
    compared = summary.get("gate")
    page = _environment().get_template("report.html.j2")
    text = page.render(
        summary=summary,
        verdict=sections.verdict(summary),
        data=sections.data(summary, parts),
        aside=quarantine_section.section(summary),
        leaks=leaks_section.section(summary.get("leaks"), summary.get("drift")),
        sweep=sweep_section.section(summary, parts),
        network=sections.network(parts),
        evidence=sections.evidence(parts, floors),
        champion=champion_section.section(compared, parts.get("history") or ()),
        gate=gate_section.section(parts.get("evidence"), champion_section.slices_of(compared)),
        artifact=_artifact(summary, parts),
        provenance=_provenance(summary, parts),
    )
    # Lone surrogates can reach a name from a file system; they must not stop the page.
    path.write_text(text, encoding="utf-8", errors="backslashreplace")


def _environment() -> Environment:
    from jinja2 import ChainableUndefined, Environment, FileSystemLoader

    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=ChainableUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "num": number,
        "count": count,
        "pct": percent,
        "name": lambda value: shown(value, LONGEST_NAME),
        "text": lambda value: shown(value, LONGEST_TEXT),
        "size": size,
        "seconds": seconds,
        "many": many,
    }
    made.tests["link"] = lambda value: (
        isinstance(value, str) and value.startswith(("http://", "https://"))
    )
    return made


def _artifact(summary: Mapping[str, Any], parts: Mapping[str, Any]) -> dict[str, Any] | None:
    exported, registered = parts.get("export"), summary.get("registered")
    blessings = {k: v for k, v in (summary.get("blessings") or {}).items() if v}
    if not (exported or registered or blessings):
        return None
    exported = exported or {}
    signature = exported.get("signature") or {}
    uri = (registered or {}).get("uri")
    return {
        "exported": exported,
        "inputs": list(signature.get("inputs") or []),
        "outputs": list(signature.get("outputs") or []),
        "registered": registered,
        "blessings": blessings,
        "digest": (summary.get("digests") or {}).get("model"),
        "load": loading(str(uri), summary) if uri else None,
    }


def loading(uri: str, summary: Mapping[str, Any]) -> str:
    """How to load the model, in five lines of Python."""
    columns = [] if not summary.get("target") else [summary["target"]]
    dropped = f".drop(columns={columns!r}, errors='ignore')" if columns else ""
    return "\n".join(
        (
            "import mlflow, pandas",
            f"mlflow.set_tracking_uri({_tracking(summary)!r})",
            f"model = mlflow.pyfunc.load_model({uri!r})",
            f"rows = pandas.read_csv('new.csv', dtype=str, keep_default_na=False){dropped}",
            "print(model.predict(rows))",
        )
    )


def _tracking(summary: Mapping[str, Any]) -> str:
    """The tracking server's address, told by the link to the run."""
    link = str((summary.get("links") or {}).get("mlflow") or "")
    return link.partition("/#/")[0] if link.startswith("http") else link.partition(" run ")[0]


def _provenance(summary: Mapping[str, Any], parts: Mapping[str, Any]) -> dict[str, Any]:
    stages = list(summary.get("stages") or [])
    longest = max((stage.get("seconds") or 0 for stage in stages), default=0) or 1
    digests = {k: v for k, v in (summary.get("digests") or {}).items() if v}
    return {
        "stages": [{**s, "share": (s.get("seconds") or 0) / longest} for s in stages],
        "reused": sum(bool(stage.get("reused")) for stage in stages),
        "digests": digests,
        "versions": summary.get("versions") or {},
        "git": summary.get("git") or {},
        "links": {k: v for k, v in (summary.get("links") or {}).items() if v},
        "settings": _flat(summary.get("settings") or {}),
        "sources": (parts.get("load") or {}).get("parts") or [],
    }


def _flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    lines: list[tuple[str, str]] = []
    for key, value in values.items():
        dotted = f"{prefix}{key}"
        if isinstance(value, dict) and value:
            lines += _flat(value, f"{dotted}.")
        else:
            lines.append((dotted, "" if value is None else str(value)))
    return lines


def number(value: Any, digits: int = 4) -> str:
    """A number for people: `digits` significant ones, thousands marked; text stays text."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return NOTHING
    if isinstance(value, bool) or not isinstance(value, float):
        return shown(f"{value:,}" if type(value) is int else value)
    magnitude = abs(value)
    if magnitude < 1e-12:  # what rounding leaves of nothing
        return "0"
    if magnitude >= 1e15 or magnitude < 1e-4:
        return f"{value:.1e}"
    if magnitude >= 10 ** (digits - 1):
        return (
            f"{value:,.0f}" if magnitude >= 10**digits or value == int(value) else f"{value:,.1f}"
        )
    decimals = digits - 1 - math.floor(math.log10(magnitude))
    return f"{value:.{max(min(decimals, digits + 1), 0)}f}"


def count(value: Any) -> str:
    """A whole number with thousands marked."""
    return f"{value:,}" if isinstance(value, int) else number(value)


def percent(value: Any) -> str:
    """A share as a percentage; what is there but tiny is not shown as 0."""
    if not isinstance(value, int | float) or not math.isfinite(value):
        return NOTHING
    if value == 0:
        return "0 %"
    return f"{100 * value:.1f} %" if value >= 0.0005 else "< 0.1 %"


def size(value: Any) -> str:
    """Bytes as kB or MB."""
    if not isinstance(value, int | float):
        return NOTHING
    for unit, least in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= least:
            return f"{value / least:.3g} {unit}"
    return f"{value:.0f} bytes"


def seconds(value: Any) -> str:
    """A duration."""
    if not isinstance(value, int | float):
        return NOTHING
    if value >= 90:
        return f"{int(value // 60)} min {int(value % 60)} s"
    if value >= 0.1:
        return f"{value:.1f} s"
    return f"{1000 * value:.0f} ms" if value >= 0.01 else f"{1000 * value:.2g} ms"


def many(value: Any, one: str) -> str:
    """A count with its noun: 1 warning, 2 warnings."""
    plural = f"{one[:-1]}ies" if one.endswith("y") else f"{one}s"
    return f"{count(value)} {one if value == 1 else plural}"
