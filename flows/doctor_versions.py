"""What is installed: as the constraints say, and nothing that is known to do harm.

- The list of the known bad says why, as a version that pip has chosen looks innocent.
- Schedules need the data of time zones, which an operating system may lack.
"""

from __future__ import annotations

import importlib.metadata
import re
import zoneinfo
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flows.findings import well, wrong

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flows.findings import Finding

CONSTRAINTS = Path(__file__).resolve().parent.parent / "constraints.txt"
NAMED = 10
ZONES = ("UTC", "Asia/Seoul", "Europe/Berlin", "America/New_York")


@dataclass(frozen=True, kw_only=True)
class Bad:
    """Versions that must not be there; `versions` "" means any."""

    name: str
    versions: str
    why: str
    advice: str


KNOWN_BAD = (
    Bad(
        name="fastapi",
        versions=">=0.151.dev0",
        why="Prefect 3.8 ends with a TypeError where it starts a server or a flow",
        advice="pip install 'fastapi<0.151'",
    ),
    Bad(
        name="SQLAlchemy",
        versions=">=2.1.dev0",
        why="the Prefect 3.8 server plans no scheduled run",
        advice="pip install 'sqlalchemy<2.1', then `penstock down` and `penstock up`",
    ),
    Bad(
        name="lightning",
        versions=">=2.6.2,<=2.6.3",
        why="malicious: it steals credentials when it is imported (GHSA-w37p-236h-pfx3)",
        advice="uninstall it at once, and change every credential that this machine has held",
    ),
    Bad(
        name="lightning",
        versions="",
        why="its classes are not those of pytorch_lightning, which refuses them; nothing here needs it",
        advice="pip uninstall lightning",
    ),
    Bad(
        name="pytorch-lightning",
        versions="<2.6.6",
        why="loading a checkpoint can run code that is in it (GHSA-qqmf-gpg7-g8gw)",
        advice="pip install 'pytorch-lightning>=2.6.6,<3'",
    ),
)


def versions() -> Iterator[Finding]:
    """Compare what is installed with the constraints, and with what Penstock requires."""
    if not CONSTRAINTS.is_file():
        advice = "install from a checkout: pip install -c constraints.txt -e ."
        yield wrong("versions", f"{CONSTRAINTS} is missing", advice)
        return
    text = CONSTRAINTS.read_text(encoding="utf-8")
    pinned = dict(re.findall(r"^([\w.-]+)==(\S+)$", text, re.MULTILINE))
    other = []
    for name, version in pinned.items():
        found = _installed(name)
        if found and found.partition("+")[0] != version.partition("+")[0]:
            other.append(f"{name} {found}, not {version}")
    other += [f"{name} is not installed" for name in _required() if not _installed(name)]
    if not other:
        yield well("versions", f"{len(pinned)} packages are as in constraints.txt")
        return
    more = f"; and {len(other) - NAMED} more" if len(other) > NAMED else ""
    advice = "pip install -c constraints.txt -e . in the checkout"
    yield wrong("versions", "; ".join(other[:NAMED]) + more, advice)


def known_bad() -> Iterator[Finding]:
    """Look for each package of the list once; the first that fits is said."""
    from packaging.specifiers import SpecifierSet

    for name in dict.fromkeys(bad.name for bad in KNOWN_BAD):
        found = _installed(name)
        if found is None:
            continue
        fits = (
            bad
            for bad in KNOWN_BAD
            if bad.name == name and SpecifierSet(bad.versions).contains(found, prereleases=True)
        )
        bad = next(fits, None)
        yield wrong(name, f"{found}: {bad.why}", bad.advice) if bad else well(name, found)


def time_zones() -> Iterator[Finding]:
    """Schedules name time zones: their data must be there."""
    absent = []
    for name in ZONES:
        try:
            zoneinfo.ZoneInfo(name)
        except (zoneinfo.ZoneInfoNotFoundError, OSError):
            absent.append(name)
    if absent:
        text = f"no data for {', '.join(absent)}: a schedule's time zone means nothing"
        yield wrong("time zones", text, "pip install tzdata, or the tzdata of the operating system")
        return
    yield well("time zones", "their data is there")


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _required() -> list[str]:
    """The names of what Penstock itself requires; empty where it is not installed."""
    try:
        lines = importlib.metadata.requires("penstock") or []
    except importlib.metadata.PackageNotFoundError:
        return []
    plain = (line for line in lines if ";" not in line)
    return [found[0] for line in plain if (found := re.match(r"[\w.-]+", line))]
