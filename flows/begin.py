"""`penstock init`: settings and a proposed contract from the data, and what was decided.

- Of a large source (`flows/glance.py`) no contract is written: whoever reads all of it, a check or
  the first run, proposes one from all rows.
"""

from __future__ import annotations

import tempfile
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

    from flows.glance import Glance
    from flows.propose import Proposal
    from flows.propose_source import Asked
    from flows.spec import Spec

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
    stages made for this are the run's own, which reuses them. Of a large source the rows that were
    looked at are judged, and no contract is written.

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
    with tempfile.TemporaryDirectory() as place:
        proposal = propose(
            source, target, test=test, names=columns, name=name, folder=folder, asked=asked,
            place=Path(place),
        )  # fmt: skip
        settings.write_text(proposal.settings_text, encoding="utf-8")
        contract.unlink(missing_ok=True)
        spec = load_spec(settings)
        try:
            if proposal.glance is None:
                said = _judged(spec, folder)
            else:
                said = _rehearsed(spec, proposal, proposal.glance, Path(place))
        except DataRefused as error:
            wrote = f"wrote {settings.name}"
            wrote += f" and {contract.name}" if contract.exists() else ""
            seen = "".join(f"\nseen: {warning}" for warning in proposal.warnings)
            msg = f"{wrote}, but a run would end here: {error}{seen}"
            raise DataRefused(msg, error.failures) from None
    return {
        "settings": settings.name,
        "contract": contract.name if contract.exists() else None,
        "decisions": [*proposal.decisions, *(line for line in said if line)],
        "warnings": proposal.warnings,
    }


def _judged(spec: Spec, folder: Path) -> list[str | None]:
    """Make the stages that judge the table; say what they found."""
    maker = Maker(spec, open_home(folder), Progress(quiet=True))
    for stage in ("load", "analyze", "contract", "engineer", "validate"):
        maker.make(stage)
    checked = read_json(maker.made["validate"].path / "validation.json")
    return [_set_aside(checked), detectable(spec, checked)]


def _rehearsed(spec: Spec, proposal: Proposal, glance: Glance, place: Path) -> list[str | None]:
    """Judge the rows that were looked at; say what was found, and who proposes the contract."""
    from flows.propose_rows import NAME
    from flows.rehearse import in_all, rehearsed

    checked = rehearsed(spec, glance, proposal.profile, place / NAME, place)
    later = (
        f"contract: {spec.contract_path.name} will be proposed from all rows, by "
        "`penstock check` or the first run"
    )
    return [_set_aside(checked), detectable(spec, in_all(checked, glance.rows)), later]


def _set_aside(checked: Mapping[str, Any]) -> str:
    """Say how many rows a run would set aside, and by which rules."""
    rules = sorted(checked["rules"].items(), key=lambda pair: -pair[1])
    if not rules:
        return ""
    listed = ", ".join(f"{shown(rule, 40)} {count:,}" for rule, count in rules[:RULES])
    more = f", and {len(rules) - RULES} more rules" if len(rules) > RULES else ""
    return f"set aside: {checked['quarantined']:,} of {checked['rows']:,} rows: {listed}{more}"
