"""Repairing what a killed process has left half done, before anything is built on it.

What is looked for, and what becomes of it:
  a record of a publication whose process is gone      removed, with the model's copy on disk
  a logged model of a run that ended, without version  removed, files too
  a registered model without versions, made by us      removed
  a version that lacks its files' digests or blessing  removed, unless an alias points to it
  two versions of one key                              the lowest stays, the others are removed
  a move of the champion that was begun                finished or abandoned (`champion.py`)
  a version that earned its place and did not get it   gets it, if the champion is still the same

- What a living run is at is never touched: a run is called gone on the evidence of `stale.py`.
- Looking takes no lease; repairing does, and looks again.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flows import promotions
from flows.champion import Move, move_champion, settle
from flows.home import prepare_tracking
from flows.intent import left_behind
from flows.lease import lease
from flows.logged_model import discard
from flows.mlflow_errors import trouble
from flows.registry import client
from flows.stale import why_gone
from flows.versions import (
    COMPARED,
    DUPLICATE,
    EVIDENCE,
    EVIDENCE_RUN,
    HOLD,
    KEY,
    MANIFEST,
    MECHANICAL,
    METRIC,
    RULE,
    RUN,
    only_one,
    standing,
    versions,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from flows.home import Home
    from flows.intent import Intent
    from flows.lease import Check
    from flows.versions import Standing

MOST = 200  # logged models looked at, the newest; the rest were looked at before
NEEDED = (MANIFEST, MECHANICAL)
ENDED = ("FINISHED", "FAILED", "KILLED")


def reconcile(home: Home, name: str, said: Callable[[str], None] = lambda _: None) -> list[str]:
    """Repair or remove every half state of the model `name`; say each and return them.

    Raises:
        Busy: something is to be repaired, and another process held the lease all the time.
        PenstockError: MLflow does not answer.

    """
    if home.embedded and not (home.root / "mlflow.db").is_file():
        found = _forget(home, left_behind(home, name))  # nothing else can be there
    else:
        prepare_tracking(home)
        try:
            found = _repair(home, name) if _Half.of(home, name).anything else []
        except Exception as error:
            raise trouble(home, error, must="answer") from error
    for line in found:
        said(line)
    return found


@dataclass(frozen=True, kw_only=True)
class _Half:
    """What is half done; found without writing."""

    intents: list[Intent] = field(default_factory=list)
    runs: dict[str, str] = field(default_factory=dict)
    """MLflow runs that ended and left a logged model without a version; why each is known."""
    empty: bool = False
    incomplete: list[Any] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    """Keys of more than one version."""
    begun: bool = False
    earned: Any | None = None

    @property
    def anything(self) -> bool:
        return any(getattr(self, name) for name in self.__dataclass_fields__)

    @classmethod
    def of(cls, home: Home, name: str) -> _Half:
        now, made = standing(home, name), versions(home, name)
        ours = [version for version in made if KEY in version.tags]
        intents = left_behind(home, name)
        twins = [v.tags[KEY] for v in ours if DUPLICATE not in v.tags]
        ended = [entry.state for entry in promotions.entries(now.tags)] if now else []
        return cls(
            intents=intents,
            runs=_spare(home, name, {i.tracking_run: i.why for i in intents}, made),
            empty=bool(now and not made and RUN in now.tags and not ended),
            incomplete=[
                v for v in ours if _incomplete(v) and now and not now.held_by(int(v.version))
            ],
            keys=sorted({key for key in twins if twins.count(key) > 1}),
            begun="begun" in ended,
            earned=_earned(home, now, ours, intents) if now else None,
        )


def _repair(home: Home, name: str) -> list[str]:
    with lease(home, name) as check:
        half, said, writer = _Half.of(home, name), [], client(home)
        said += settle(home, name, check)
        for version in half.incomplete:
            check()
            writer.delete_model_version(name, version.version)
            said.append(f"version {version.version} of {name!r} was never completed: removed")
        for key in half.keys:
            check()
            said += [f"{name!r}: {line}" for line in only_one(home, name, key)[1]]
        if half.earned is not None:
            said += _promote(home, name, half.earned, check)
        if half.empty:
            check()
            writer.delete_registered_model(name)
            said.append(f"the registered model {name!r} had no version: removed")
        for run, why in half.runs.items():
            gone = discard(home, run, keep=())
            said += [
                f"the logged model {model} had no version, and {why}: removed" for model in gone
            ]
    return said + _forget(home, half.intents)


def _forget(home: Home, intents: list[Intent]) -> list[str]:
    """Remove records of publications, and the copies of models that they speak of."""
    said = []
    for intent in intents:
        shutil.rmtree(home.runs / intent.run / "model", ignore_errors=True)
        intent.path.unlink(missing_ok=True)
        said.append(f"run {intent.run} was publishing {intent.name!r}, and {intent.why}: tidied up")
    return said


def _incomplete(version: Any) -> bool:
    return version.status != "READY" or any(name not in version.tags for name in NEEDED)


def _spare(home: Home, name: str, gone: dict[str, str], made: list[Any]) -> dict[str, str]:
    """Return the runs that ended and left a logged model of ours that no version uses."""
    asked = client(home)
    experiment = asked.get_experiment_by_name(name)
    places = {experiment.experiment_id} if experiment else set()
    places |= {asked.get_run(run).info.experiment_id for run in gone if run}
    if not places:
        return {}
    used, found = {version.source for version in made}, {}
    for model in asked.search_logged_models(sorted(places), max_results=MOST):
        run = model.source_run_id
        if KEY in model.tags and run and f"models:/{model.model_id}" not in used:
            why = gone.get(run) or _why_ended(home, run)
            found |= {run: why} if why else {}
    return found


def _why_ended(home: Home, run_id: str) -> str:
    """Say how it is known that a run writes no more; "" where it may."""
    run = client(home).get_run(run_id)
    if run.info.status in ENDED:
        return f"its run has ended as {run.info.status.lower()}"
    if "penstock.process" in run.data.tags:
        return why_gone(run.data.tags, home) or ""
    return ""


def _earned(home: Home, now: Standing, ours: list[Any], intents: list[Intent]) -> Any | None:
    """Return the version whose verdict made it champion, and which was cut off before it was."""
    known = {entry.to for entry in promotions.entries(now.tags)}
    compared = str(now.champion) if now.champion else "none"
    gone = {intent.tracking_run for intent in intents}
    for version in reversed(ours):
        if (
            METRIC in version.tags
            and HOLD not in version.tags
            and int(version.version) not in known
            and version.tags.get(COMPARED) in (compared, "0")
            and not _incomplete(version)
        ):
            run = version.tags.get(EVIDENCE_RUN, version.run_id)
            return version if run in gone or _why_ended(home, run) else None
    return None


def _promote(home: Home, name: str, version: Any, check: Check) -> list[str]:
    now = standing(home, name)
    if now is None or now.champion == int(version.version):
        return []
    move = Move(
        to=int(version.version),
        rule=version.tags.get(RULE, "off"),
        run=version.tags.get(RUN, ""),
        because=version.tags[METRIC],
        evidence=version.tags.get(EVIDENCE, ""),
        previous=now.champion or now.previous,
    )
    if not move_champion(home, name, now, move, check):
        return []
    return [f"version {version.version} of {name!r} had earned its place and was cut off: champion"]
