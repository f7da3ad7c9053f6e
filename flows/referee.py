"""The referee: the new model beside the one in service, on rows that neither of them has seen.

The order: the judged test rows -> champion and anchor by alias -> rows that either was made from
are left out -> both answer the rest, in a fresh process -> the look is noted in MLflow -> only then
is the bundle written, which shows how they compare.

- Whatever stands against a fair comparison is a doubt with its reason, in `referee.json`.
- Nothing is concluded here: the gate judges the bundle.
"""

from __future__ import annotations

import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows import looks
from flows.bundle import LEAKS, TRAINING, write_bundle
from flows.duel import Case, base_of, enough, leave_out, put_to
from flows.duration import seconds_of
from flows.errors import Doubt
from flows.json_files import read_json
from flows.mlflow_errors import trouble
from flows.opponent import meet
from flows.promotions import anchor
from flows.referee_rows import lines_of
from flows.registry import client
from flows.seen import Today
from flows.sketch import Sketch
from flows.tables import read_parquet
from flows.versions import KEY, RUN, champion

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flows.home import Home
    from flows.opponent import Opponent, Role
    from flows.spec import Spec


def referee(
    spec: Spec,
    home: Home,
    made: Mapping[str, Path],
    examiner: Callable[[], Any],
    *,
    key: str,
    run: str,
    run_id: str,
    folder: Path,
    say: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Compare the new model with the champion and the anchor; write the bundle into `folder`.

    Args:
        spec: the settings.
        home: where models are registered.
        made: the folders of the stages load, validate, split, export and assess.
        examiner: gives the fresh process that is asked.
        key: the idempotency key of what is judged.
        run: Penstock's run id.
        run_id: the MLflow run, which must exist.
        folder: where the bundle goes; its parent must exist.
        say: hears what is under way.

    Returns:
        What `referee.json` holds.

    Raises:
        PenstockError: MLflow does not answer.

    """
    lines = lines_of(spec, made)
    case = Case(spec=spec, made=made, lines=lines, examiner=examiner)
    case.facts |= {"status": "none", "reason": "no version is champion yet", "look": 1, "looks": []}
    case.facts |= {"champion": None, "anchor": None, **lines.facts, "alarms": [], "changes": []}
    case.counts["test"] = len(lines.frame)
    if spec.gate.against_champion == "off" or spec.gate.mode == "disabled":
        case.facts |= {"status": "off", "reason": "the settings ask for no comparison"}
    elif (version := _champion(home, spec.name)) is not None:
        try:
            about = {"key": key, "run": run, "run_id": run_id}
            _compare(case, home, version, **about, say=say or (lambda _: None))
        except Doubt as doubt:
            case.facts |= {"status": "doubt", "reason": str(doubt)}
    evidence, split = made["assess"] / "evidence.json", made["split"]
    facts = {**case.facts, "counts": case.counts}
    also = [made["leaks"] / name for name in (LEAKS, TRAINING) if "leaks" in made]
    parts = {"facts": facts, "rows": lines.frame, "also": also}
    write_bundle(folder, evidence=evidence, split=split, **parts)
    return facts


def _champion(home: Home, name: str) -> Any | None:
    try:
        return champion(home, name)
    except Exception as error:
        raise trouble(home, error, must="say which version is champion") from error


def _compare(
    case: Case,
    home: Home,
    version: Any,
    *,
    key: str,
    run: str,
    run_id: str,
    say: Callable[[str], None],
) -> None:
    case.facts["champion"] = _described(version)
    case.facts["alarms"] = _age(case.spec, version)
    if version.tags.get(KEY) == key:
        case.facts["reason"] = f"version {version.version}, in service, is this very model"
        return
    today = Today(
        raw=read_parquet(case.made["load"] / "table.parquet"),
        schema=read_json(case.made["validate"] / "schema.json"),
    )
    with tempfile.TemporaryDirectory(prefix="penstock-referee-") as place:
        opponents = _opponents(case, home, version, today, Path(place))
        knows = [leave_out(case, opponent, today) for opponent in opponents]
        enough(case)
        for opponent in opponents:
            say(f"asking the {opponent.role}, version {opponent.version.version}")
            put_to(case, opponent, today)
    enough(case)
    units = knows[0].unit[case.lines.row[case.left]]
    case.facts |= _look(home, case.facts, units, key=key, run=run, run_id=run_id)
    case.facts |= {"status": "compared", "reason": "", "margin_base": base_of(case)}


def _described(version: Any) -> dict[str, Any]:
    return {
        "version": int(version.version),
        "key": version.tags.get(KEY),
        "run": version.tags.get(RUN),
        "run_id": version.run_id,
        "created": datetime.fromtimestamp(version.creation_timestamp / 1000, UTC).isoformat(),
        "uri": f"models:/{version.name}/{version.version}",
    }


def _age(spec: Spec, version: Any) -> list[str]:
    """Say that the champion is older than `gate.max_age`."""
    if not spec.gate.max_age:
        return []
    days = (time.time() - version.creation_timestamp / 1000) / 86_400
    if days * 86_400 <= seconds_of(spec.gate.max_age):
        return []
    limit = f'gate.max_age = "{spec.gate.max_age}"'
    return [f"the champion, version {version.version}, is {days:,.0f} days old, more than {limit}"]


def _opponents(case: Case, home: Home, version: Any, today: Today, place: Path) -> list[Opponent]:
    """Return the champion and, where the rule asks for it and it is another version, the anchor."""
    roles: list[tuple[Role, Any]] = [("champion", version)]
    if case.spec.gate.against_champion == "no_worse":
        try:
            held = anchor(home, case.spec.name)
        except Exception as error:
            raise trouble(home, error, must="hand out the log of promotions") from error
        if held is not None and held.version != version.version:
            case.facts["anchor"] = _described(held)
            roles.append(("anchor", held))
    met = []
    for role, each in roles:
        (into := place / role).mkdir()
        serving = case.lines.serving
        met.append(meet(home, each, role, serving=serving, raw=today.raw, into=into))
    return met


def _look(
    home: Home, facts: Mapping[str, Any], units: Any, *, key: str, run: str, run_id: str
) -> dict[str, Any]:
    """Count the looks at these units, and note this one before anybody sees what it comes to."""
    champion_then = str(facts["champion"]["version"])
    about = {"key": key, "champion": champion_then, "scheme": facts["scheme"]}
    before = looks.looks_of(home, _experiment(home, run_id))
    counted = looks.count(before, **about, units=units)
    sketch = Sketch.of(units)
    looks.leave(home, run_id, looks.Look(run=run, number=counted.number, sketch=sketch, **about))
    found = {"look": counted.number, "looks": list(counted.before), "again": counted.again}
    return {**found, "sketch": sketch.to_json()}


def _experiment(home: Home, run_id: str) -> str:
    try:
        return client(home).get_run(run_id).info.experiment_id
    except Exception as error:
        raise trouble(home, error, must="know this run") from error
