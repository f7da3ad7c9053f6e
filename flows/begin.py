"""`penstock init`: settings and a proposed contract from the data, and what was decided."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from expectations.failure import shown
from flows.detectable import detectable
from flows.errors import DataRefused, SettingsError
from flows.home import open_home
from flows.json_files import read_json
from flows.maker import Maker
from flows.progress import Progress
from flows.settings import load_spec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flows.propose_source import Asked

RULES = 5  # named


def begin(
    source: str,
    *,
    target: str | None,
    test: str | None = None,
    names: str | None = None,
    name: str | None = None,
    force: bool = False,
    asked: Asked | None = None,
) -> dict[str, Any]:
    """Write `<stem>.toml` and `<stem>.contract.toml` in the working directory.

    The table is judged by what was written, so that a run does not begin by refusing it; the
    stages made for this are the run's own, which reuses them.

    Raises:
        SettingsError: the files exist, or the target is no column of the data.
        DataRefused: the data cannot be read, or a run on what was written would be refused.

    """
    from flows.propose import propose, stem_of

    folder = Path.cwd()
    columns = [part.strip() for part in names.split(",")] if names else None
    stem = stem_of(source)
    settings, contract = folder / f"{stem}.toml", folder / f"{stem}.contract.toml"
    taken = [path.name for path in (settings, contract) if path.exists()]
    if taken and not force:
        msg = f"init writes {settings.name} and {contract.name}, but {', '.join(taken)} exists; --force overwrites"
        raise SettingsError(msg)
    proposal = propose(
        source, target, test=test, names=columns, name=name, folder=folder, asked=asked
    )
    settings.write_text(proposal.settings_text, encoding="utf-8")
    contract.unlink(missing_ok=True)
    spec = load_spec(settings)
    maker = Maker(spec, open_home(folder), Progress(quiet=True))
    try:
        for stage in ("load", "analyze", "contract", "engineer", "validate"):
            maker.make(stage)
    except DataRefused as error:
        wrote = f"wrote {settings.name}" + (f" and {contract.name}" if contract.exists() else "")
        seen = "".join(f"\nseen: {warning}" for warning in proposal.warnings)
        msg = f"{wrote}, but a run would end here: {error}{seen}"
        raise DataRefused(msg, error.failures) from None
    checked = read_json(maker.made["validate"].path / "validation.json")
    said = [_set_aside(checked), detectable(spec, checked)]
    return {
        "settings": settings.name,
        "contract": contract.name,
        "decisions": [*proposal.decisions, *(line for line in said if line)],
        "warnings": proposal.warnings,
    }


def _set_aside(checked: Mapping[str, Any]) -> str:
    """Say how many rows a run would set aside, and by which rules."""
    rules = sorted(checked["rules"].items(), key=lambda pair: -pair[1])
    if not rules:
        return ""
    listed = ", ".join(f"{shown(rule, 40)} {count:,}" for rule, count in rules[:RULES])
    more = f", and {len(rules) - RULES} more rules" if len(rules) > RULES else ""
    return f"set aside: {checked['quarantined']:,} of {checked['rows']:,} rows: {listed}{more}"
