"""Everything short of training: what `penstock check` does."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

from expectations.failure import shown
from flows.canary_code import functions
from flows.home import open_home
from flows.json_files import read_json
from flows.maker import Maker
from flows.quarantine_store import forget_refused
from flows.stages import BEFORE_TRAINING, stages_of
from flows.suspicions import of_use

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from flows.progress import Progress
    from flows.spec import Spec

NAMED = 6


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
        # A person's own code is looked at like the rows that it makes.
        if functions(spec) and any(stage.name == "canary" for stage in stages_of(spec)):
            maker.make("canary")
    finally:
        maker.remember()
        forget_refused(maker)  # the rows of a refusal are kept by runs
    validation = read_json(maker.made["validate"].path / "validation.json")
    split = read_json(maker.made["split"].path / "split.json")
    profile = read_json(maker.made["analyze"].path / "profile.json")
    rows = {side: counts.get("rows") for side, counts in split["counts"].items()}
    judged = [judged_as(warning) for warning in validation.get("warnings", [])]
    left_out = ignored(maker.made["contract"].path / "contract.toml", profile)
    if left_out:
        progress.say(f"  left out: {_named(left_out)}")
    if aside := validation["rules"]:
        by_rule = {rule: f"{count:,} row{'s' * (count != 1)}" for rule, count in aside.items()}
        progress.say(f"  set aside: {_named(by_rule)}")
    alarms = of_use(profile, left_out)
    for alarm in (one for one in alarms if one["kind"] != "no_id"):  # the split has said it
        progress.say(f"  alarm: {alarm['message']}")
    for warning in judged:
        progress.warn(warning)
    warnings = list(progress.warnings)
    sides = ", ".join(f"{n:,} {side}" for side, n in rows.items() if n is not None)
    return {
        "name": spec.name,
        "rows": validation["rows"],
        "quarantined": validation["quarantined"],
        "rules": validation["rules"],
        "sides": rows,
        "warnings": warnings,
        "left_out": left_out,
        "alarms": alarms,
        "contract": dict(maker.made["contract"].facts),
        "sentence": f"{spec.name}: ready to train; {validation['rows']:,} rows read, "
        f"{validation['quarantined']:,} quarantined, {sides}",
    }


def judged_as(warning: Mapping[str, Any]) -> str:
    """Say a warning of the contract in one line: column, what must hold, how often it does not."""
    column = f"{shown(warning['column'])}: " if warning["column"] else ""
    counts = f"; {warning['count']:,} of {warning['total']:,} do not" if warning["examples"] else ""
    such = f", such as {shown(warning['examples'][0]['value'])}" if warning["examples"] else ""
    return f"{column}{warning['message']}{counts}{such}"


def ignored(contract: Path, profile: Mapping[str, Any]) -> dict[str, str]:
    """The columns that a contract ignores, with the reason."""
    columns = tomllib.loads(contract.read_text(encoding="utf-8"))["columns"]
    seen = {column["name"]: column["reason"] for column in profile["columns"]}
    return {
        name: seen[name] if column["kind"] == "ignored" else column.get("note") or "as you said"
        for name, column in columns.items()
        if column["role"] == "ignored" and name in seen
    }


def _named(columns: Mapping[str, str]) -> str:
    said = [f"{shown(name, 30)} ({reason})" for name, reason in columns.items()]
    more = f", and {len(said) - NAMED:,} more" if len(said) > NAMED else ""
    return ", ".join(said[:NAMED]) + more
