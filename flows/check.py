"""Everything short of training: what `penstock check` does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flows.home import open_home
from flows.maker import Maker
from flows.stages import BEFORE_TRAINING, read_json

if TYPE_CHECKING:
    from flows.progress import Progress
    from flows.spec import Spec


def check(spec: Spec, progress: Progress) -> dict[str, Any]:
    """Make all stages before training; return the facts and one sentence.

    Raises:
        SettingsError: the settings or the contract are wrong.
        DataRefused: the data cannot be read or breaks the contract.

    """
    maker = Maker(spec, open_home(spec.folder), progress)
    try:
        for stage in BEFORE_TRAINING:
            maker.make(stage.name)
    finally:
        maker.remember()
    validation = read_json(maker.made["validate"].path / "validation.json")
    split = read_json(maker.made["split"].path / "split.json")
    profile = read_json(maker.made["analyze"].path / "profile.json")
    rows = {side: counts.get("rows") for side, counts in split["counts"].items()}
    judged = [w["message"] for w in validation.get("warnings", [])]
    for alarm in profile.get("alarms", []):
        progress.say(f"  alarm: {alarm['message']}")
    for warning in judged:
        progress.warn(warning)
    warnings = list(progress.warnings)
    sides = ", ".join(f"{n:,} {side}" for side, n in rows.items() if n is not None)
    return {
        "name": spec.name,
        "rows": validation["rows"],
        "quarantined": validation["quarantined"],
        "sides": rows,
        "warnings": warnings,
        "alarms": profile.get("alarms", []),
        "contract": dict(maker.made["contract"].facts),
        "sentence": f"{spec.name}: ready to train; {validation['rows']:,} rows read, "
        f"{validation['quarantined']:,} quarantined, {sides}",
    }
