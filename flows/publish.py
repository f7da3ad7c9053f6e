"""Publishing a model as a database publishes a row: the old state or the new, whatever happens.

The order, each step safe to repeat:
  intent on disk -> the model examined, logged and examined again (`logged_model.py`) -> the bundle
  of evidence logged -> under the lease: what others left is settled, the version found or created
  under its key, its tags, `challenger`, and, if the champion is still the one that was compared
  with, `champion` (`champion.py`).

- The key is the digest of data, settings, code and installed versions: the same run again makes
  no second version.
- `challenger` needs the mechanical blessing alone; `champion` needs the verdict too.
- A rejected model is a version tagged `rejected`, without the `champion` alias.
- A run writes the registry nowhere else; `by_hand.py` is a person's way, and `reconcile.py` repairs
  what a killed process has left. docs/registry.md tells it all.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flows.champion import Move, move_champion, settle
from flows.earned import Hindrance, description, hindrance, own_tags, raced, reasons, rule
from flows.earned import verdict_tags as tags_of
from flows.errors import PenstockError
from flows.experiment import guarded
from flows.intent import intended
from flows.lease import lease
from flows.logged_model import blessed_model, discard
from flows.mlflow_errors import trouble
from flows.offer import ANY, Candidate, Published
from flows.registry import addressed, client
from flows.stage import digest_of
from flows.verify import manifest_of
from flows.versions import (
    EVIDENCE,
    EVIDENCE_RUN,
    MANIFEST,
    RUN,
    champion,
    create,
    find,
    retag,
    standing,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from flows.home import Home
    from flows.lease import Check
    from flows.logged_model import Blessed
    from flows.versions import Standing

__all__ = ["ANY", "Candidate", "Published", "champion", "find", "publish"]


def publish(
    home: Home, candidate: Candidate, tracking_run: str, examiner: Callable[[], Any]
) -> Published:
    """Register `candidate` unless its key is registered already, then move the aliases.

    Raises:
        ArtifactRefused: the model did not answer in a fresh process as it must; nothing was
            registered.
        Busy: another process held the lease all the time.
        PenstockError: MLflow or its store does not take what is written.

    """
    name, key = candidate.name, candidate.key
    try:
        with (
            intended(home, name=name, key=key, run=candidate.run, tracking_run=tracking_run),
            addressed(home),  # the registry looks the logged model up at the process's own
        ):
            blessed = None
            if find(home, name, key) is None:
                blessed = blessed_model(home, candidate, tracking_run, examiner())
            evidence = _evidence(home, candidate, tracking_run)
            with lease(home, name) as check:
                desk = _Desk(home=home, candidate=candidate, run=tracking_run, check=check)
                return desk.register(blessed, evidence)
    except PenstockError:
        raise
    except Exception as error:
        raise trouble(home, error, must="take a model") from error


def _evidence(home: Home, candidate: Candidate, tracking_run: str) -> dict[str, str]:
    """Log the bundle and return the tags that name it."""
    if candidate.evidence is None:
        return {}
    client(home).log_artifacts(tracking_run, str(candidate.evidence), "gate")
    digest = digest_of(manifest_of(candidate.evidence))
    return {EVIDENCE: digest, EVIDENCE_RUN: tracking_run}


@dataclass(frozen=True, kw_only=True)
class _Desk:
    """One candidate before the registry, under the lease."""

    home: Home
    candidate: Candidate
    run: str
    """MLflow's run id."""
    check: Check

    def register(self, blessed: Blessed | None, evidence: dict[str, str]) -> Published:
        """Find or create the version, then point the aliases."""
        home, candidate = self.home, self.candidate
        said = settle(home, candidate.name, self.check)
        _model(home, candidate)
        known = find(home, candidate.name, candidate.key)
        if known is None and blessed is None:
            raise self._deleted(f"the version with key {candidate.key[:12]}")
        if known is not None and blessed is not None:  # another process made it meanwhile
            discard(home, self.run, keep=())
            blessed = None
        now = self._now()
        against = hindrance(candidate, now, known)
        tags = tags_of(candidate, against, now) | evidence
        made: Any = known
        if blessed is not None:
            made, twins = self._create(blessed, tags, against)
            said += twins
        elif int(made.version) != now.champion:  # the champion's own verdict stands
            retag(home, made, tags, description(candidate, against))
        moved, against = self._point(int(made.version), now, against, evidence)
        return self._published(made, blessed, against, moved=moved, said=said)

    def _create(self, blessed: Blessed, tags: dict[str, Any], against: Hindrance) -> Any:
        self.check()
        tags |= own_tags(self.candidate, blessed)
        return create(
            self.home,
            self.candidate.name,
            model_id=blessed.model_id,
            run_id=self.run,
            tags={name: text for name, text in tags.items() if text is not None},
            description=description(self.candidate, against),
        )

    def _point(
        self, version: int, now: Standing, against: Hindrance, evidence: dict[str, str]
    ) -> tuple[bool, Hindrance]:
        """Point `challenger`, then, if nothing hinders it, `champion`; return whether that moved."""
        home, candidate = self.home, self.candidate
        if now.aliases.get("challenger") != version:
            self.check()
            client(home).set_registered_model_alias(candidate.name, "challenger", str(version))
        if not candidate.promote or against.because or now.champion == version:
            return False, against
        move = Move(
            to=version,
            rule=rule(candidate, now),
            run=candidate.run,
            because=reasons(candidate),
            evidence=evidence.get(EVIDENCE, ""),
            previous=now.champion or now.previous,
        )
        if move_champion(home, candidate.name, now, move, self.check):
            return True, against
        late = raced(candidate, self._now().champion)
        made = find(home, candidate.name, candidate.key)
        retag(home, made, tags_of(candidate, late, now), description(candidate, late))
        return False, late

    def _published(
        self,
        made: Any,
        blessed: Blessed | None,
        against: Hindrance,
        *,
        moved: bool,
        said: list[str],
    ) -> Published:
        name, version, now = self.candidate.name, int(made.version), self._now()
        goes = self.candidate.promote and not against.because
        return Published(
            name=name,
            version=version,
            model_id=blessed.model_id if blessed else None,
            uri=f"models:/{name}@champion" if goes else f"models:/{name}/{version}",
            aliases=now.held_by(version),
            unchanged=blessed is None,
            moved=moved,
            examined=blessed.examined if blessed else {},
            manifest=blessed.manifest if blessed else json.loads(made.tags.get(MANIFEST, "{}")),
            raced=against.raced,
            held=against.held,
            champion=now.champion,
            said=tuple(said),
        )

    def _now(self) -> Standing:
        now = standing(self.home, self.candidate.name)
        if now is None:
            raise self._deleted("the registered model")
        return now

    def _deleted(self, what: str) -> PenstockError:
        return PenstockError(f"{what} of {self.candidate.name!r} was deleted meanwhile; run again")


def _model(home: Home, candidate: Candidate) -> None:
    """Find or create the registered model, and bring its page up to date."""
    writer = client(home)
    if standing(home, candidate.name) is None:
        _new_model(writer, candidate)
        return
    known = writer.get_registered_model(candidate.name)
    kept = {**known.tags, **({"description": known.description} if known.description else {})}
    changes = {k: v for k, v in candidate.about.items() if kept.get(k) != v}
    changes |= guarded(kept, {"description": candidate.note} if candidate.note else {})
    if (text := changes.pop("description", None)) is not None:
        writer.update_registered_model(candidate.name, description=text)
    for key, value in changes.items():
        writer.set_registered_model_tag(candidate.name, key, value)


def _new_model(writer: Any, candidate: Candidate) -> None:
    """Create the registered model, whole at once: one without versions can then be told for ours."""
    from mlflow.exceptions import MlflowException

    tags = {**candidate.about, RUN: candidate.run}
    tags |= guarded({}, {"description": candidate.note} if candidate.note else {})
    text = tags.pop("description", None)
    try:
        writer.create_registered_model(candidate.name, tags=tags, description=text)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":  # made, and its answer was lost
            raise
