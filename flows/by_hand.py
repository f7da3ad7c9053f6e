"""What a person does to the registry: roll back, release, promote against the verdict.

- Whatever is put in service answers in a fresh process first, with every file as it was
  registered; each move is in the log, with who and why.
- `rollback` holds the version that it takes out of service: a run of the same data, settings and
  code does not bring it back before `release`.
- `promote` overrides the verdict and not the mechanical blessing.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows import promotions
from flows.champion import Move, move_champion, settle
from flows.errors import ArtifactRefused, Busy, PenstockError
from flows.lease import lease
from flows.registry import addressed, resolve
from flows.verify import fetched
from flows.versions import HOLD, MECHANICAL, METRIC, retag, standing, version_of, versions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flows.home import Home
    from flows.versions import Standing

LOADS = 60.0  # seconds; the most that a model may take to load and answer one row


@dataclass(frozen=True, kw_only=True)
class Moved:
    """What a person has done."""

    name: str
    version: int
    before: int | None
    sentence: str


def rollback(home: Home, name: str, because: str = "") -> Moved:
    """Put `previous` back in service and hold what it replaces.

    Raises:
        ArtifactRefused: a file of `previous` was changed, or it does not answer.
        PenstockError: there is no `previous`.
        Busy: another process was publishing all the time, or moved the champion meanwhile.

    """
    version = _previous(home, name)
    _answers(home, version)
    with addressed(home), lease(home, name) as check:
        settle(home, name, check)
        now = _now(home, name)
        if now.previous != int(version.version):
            raise Busy(f"`previous` of {name!r} was moved meanwhile; look, and run again")
        why = because or "rolled back"
        earlier = _earlier(home, name, now, int(version.version))
        move = Move(
            to=int(version.version), rule="rollback", because=why, previous=earlier, hold=True
        )
        _moved(move_champion(home, name, now, move, check), name)
    held = f"; version {now.champion} is held until `penstock release '{name}/{now.champion}'`"
    return Moved(
        name=name,
        version=int(version.version),
        before=now.champion,
        sentence=f"{name}: version {version.version} is champion again{held if now.champion else ''}",
    )


def promote(home: Home, what: str, because: str) -> Moved:
    """Put a version, "NAME/3" or "NAME@challenger", in service against or without a verdict.

    Raises:
        ArtifactRefused: it was never examined, a file was changed, or it does not answer.
        PenstockError: no such version, it is the champion, or no reason is given.
        Busy: another process was publishing all the time, or moved the champion meanwhile.

    """
    if not because.strip():
        raise PenstockError("an override must say why: because is empty")
    version = resolve(home, what)
    name, number = version.name, int(version.version)
    if MECHANICAL not in version.tags:
        msg = (
            f"{name} version {number} must have answered in a fresh process; it has no {MECHANICAL}"
        )
        raise ArtifactRefused(msg)
    _answers(home, version)
    with addressed(home), lease(home, name) as check:
        settle(home, name, check)
        now = _now(home, name)
        if now.champion == number:
            raise PenstockError(f"{name} version {number} is champion already")
        marks: dict[str, str | None] = {METRIC: f"by hand: {because}", HOLD: None}
        retag(home, version_of(home, name, number), marks)
        move = Move(
            to=number, rule="by hand", because=because, previous=now.champion or now.previous
        )
        _moved(move_champion(home, name, now, move, check), name)
    was = f", version {now.champion} is previous" if now.champion else ""
    said = f"{name}: version {number} is champion by hand{was}"
    return Moved(name=name, version=number, before=now.champion, sentence=said)


def release(home: Home, what: str) -> Moved:
    """Let a version that a rollback holds be promoted again by a verdict.

    Raises:
        PenstockError: no such version, or it is not held; says which are.

    """
    version = resolve(home, what)
    name, number = version.name, int(version.version)
    if HOLD not in version.tags:
        held = [f"{name}/{v.version}" for v in versions(home, name) if HOLD in v.tags]
        msg = f"{name}/{number} must be held to be released; held: {', '.join(held) or 'none'}"
        raise PenstockError(msg)
    with addressed(home), lease(home, name):
        marks: dict[str, str | None] = {
            HOLD: None,
            "penstock.released": f"{promotions.who()}, held: {version.tags[HOLD]}",
        }
        retag(home, version, marks)
    said = f"{name}: version {number} may be promoted again by its next verdict"
    return Moved(name=name, version=number, before=None, sentence=said)


def _previous(home: Home, name: str) -> Any:
    now = standing(home, name)
    if now is None:
        return resolve(home, name)  # says what there is
    if now.previous is None or now.previous == now.champion:
        msg = (
            f"a rollback needs a version behind {name}@previous, and there is none; "
            f"`penstock promote '{name}/N' --because ...` puts any version in service"
        )
        raise PenstockError(msg)
    version = version_of(home, name, now.previous)
    if version is None:
        raise PenstockError(f"version {now.previous} of {name}, its `previous`, was deleted")
    return version


def _earlier(home: Home, name: str, now: Standing, version: int) -> int | None:
    """Return what was in service before `version` was: what a second rollback would go to."""
    for entry in reversed(promotions.entries(now.tags)):
        if entry.state == "done" and entry.to == version and entry.rule != "rollback":
            found = version_of(home, name, entry.before) if entry.before else None
            return entry.before if found is not None and HOLD not in found.tags else None
    return None


def _now(home: Home, name: str) -> Standing:
    now = standing(home, name)
    if now is None:
        raise PenstockError(f"the registered model {name!r} was deleted meanwhile")
    return now


def _moved(moved: bool, name: str) -> None:
    if not moved:
        raise Busy(f"the champion of {name!r} was moved meanwhile; look, and run again")


def _answers(home: Home, version: Any) -> None:
    """Refuse a version whose files were changed, or that does not answer in a fresh process."""
    from models.examine import ExamineError, Examiner

    said = f"{version.name} version {version.version}"
    with Examiner() as examiner, tempfile.TemporaryDirectory(prefix="penstock-") as scratch:
        folder = fetched(home, version)  # while the process gets ready
        rows = Path(scratch, "rows.parquet")
        _example(folder).to_parquet(rows)
        asked = {
            "do": "answer",
            "model": str(folder),
            "rows": str(rows),
            "out": str(Path(scratch, "answers.parquet")),
        }
        try:
            answer = examiner.ask(asked, timeout=LOADS)
        except ExamineError as error:
            raise ArtifactRefused(f"{said} must answer in a fresh process: {error}") from None
    if not answer["ok"]:
        found = "; ".join(_details(answer))
        raise ArtifactRefused(f"{said} must answer in a fresh process, however: {found}")


def _details(answer: dict[str, Any]) -> Iterator[str]:
    for check in answer.get("checks", [answer]):
        yield str(check.get("detail") or check.get("error") or check)


def _example(folder: Path) -> Any:
    """The rows that travel with a model; a row of missing cells where none do."""
    import pandas as pd

    given = folder / "input_example.json"
    if given.is_file():
        kept = json.loads(given.read_text(encoding="utf-8"))
        if isinstance(kept, dict) and "columns" in kept:
            return pd.DataFrame(kept["data"], columns=kept["columns"])
    (schema,) = folder.rglob("schema.json")
    columns = json.loads(schema.read_text(encoding="utf-8"))["columns"]
    return pd.DataFrame({column["name"]: [None] for column in columns}, dtype=object)
