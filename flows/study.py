"""The Optuna study of a sweep: asked in batches, told results, resumed where it was killed.

- Every trial is asked with a sampler seeded by (seed, number), so what a resumed study asks is
  what an undisturbed one would have asked.
- A trial that was asked and not told is taken up again, with its number and its parameters.
- The pruner prunes nothing: the halving does, on the population.
- One process keeps a study at a time: the sweep's lock is held, and the journal needs none.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import optuna
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from flows.errors import PenstockError, SettingsError
from flows.mlflow_errors import public
from flows.sampler import quietly, sampler_of

if TYPE_CHECKING:
    from pathlib import Path

    from flows.space import Space

DIGEST, ASKED = "penstock.digest", "penstock.parameters"
DONE = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One trial that the study asks for."""

    number: int
    parameters: dict[str, Any]
    told: bool


class Study:
    """A study in a journal file or a database."""

    def __init__(
        self,
        place: Path | str,
        *,
        name: str,
        digest: str,
        space: Space,
        sampler: str = "tpe",
        seed: int = 0,
    ) -> None:
        """Open or create the study.

        Args:
            place: the journal file, or an Optuna database URL.
            name: the study's name.
            digest: of all that decides what is asked and how it is judged.
            space: what is searched.
            sampler: "tpe", "random", "qmc" or "gp".
            seed: of the sampler.

        Raises:
            SettingsError: the name is another study's.
            PenstockError: the database does not answer.

        """
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.space, self.kind, self.seed = space, sampler, seed
        try:
            self.study = optuna.create_study(
                storage=_storage(place),
                study_name=name,
                direction="minimize",
                load_if_exists=True,
                sampler=optuna.samplers.RandomSampler(seed=seed),
                pruner=optuna.pruners.NopPruner(),
            )
        except SettingsError:
            raise
        except Exception as error:
            if not isinstance(place, str):
                raise
            msg = (
                f"sweep.storage: the database {public(place)} must keep the study {name!r}, found: "
                f"{type(error).__name__}: {public(str(error))}"
            )
            raise PenstockError(msg) from None
        self._claim(name, digest)

    def flush(self) -> None:
        """Have the disk confirm what was told, before anything rests on it."""
        backend = getattr(self.study._storage, "_backend", None)  # noqa: SLF001 - we have put it there
        if isinstance(backend, Journal):
            backend.flush()

    def _claim(self, name: str, digest: str) -> None:
        """Refuse a study that other settings or data have made; enqueue what is tried first."""
        known = self.study.user_attrs.get(DIGEST)
        trials = self.study.get_trials(deepcopy=False)
        if known != digest and (known is not None or trials):
            msg = (
                f"sweep.study: the study {name!r} must be of these settings and this data, found one "
                f"of others (digest {str(known)[:12]}, here {digest[:12]}); choose another name, "
                "or leave sweep.study out"
            )
            raise SettingsError(msg)
        self.study.set_user_attr(DIGEST, digest)
        for values in self.space.first[len(trials) :]:
            if values:
                self.study.enqueue_trial(values)

    # ------------------------------------------------------------------ asking

    def asked(self) -> list[Asked]:
        """Return all trials asked so far, by number; one cut off in the asking is asked to its end."""
        found = []
        for trial in self.study.get_trials(deepcopy=False):
            if trial.state == TrialState.WAITING:
                continue
            parameters = trial.user_attrs.get(ASKED)
            if parameters is None:
                parameters = self._suggest(trial.number)
            told = trial.state in DONE
            found.append(Asked(number=trial.number, parameters=parameters, told=told))
        return found

    def ask(self, count: int) -> list[Asked]:
        """Ask for `count` more trials; what is told later changes nothing about them."""
        return [self._ask() for _ in range(count)]

    def _ask(self) -> Asked:
        trials = self.study.get_trials(deepcopy=False)
        waiting = [t.number for t in trials if t.state == TrialState.WAITING]
        self._sampler(min(waiting, default=len(trials)))
        with quietly():
            trial = self.study.ask()
            parameters = self.space.suggest(trial)
        trial.set_user_attr(ASKED, parameters)
        return Asked(number=trial.number, parameters=parameters, told=False)

    def _suggest(self, number: int) -> dict[str, Any]:
        self._sampler(number)
        with quietly():
            trial = self._trial(number)
            parameters = self.space.suggest(trial)
        trial.set_user_attr(ASKED, parameters)
        return parameters

    def _trial(self, number: int) -> optuna.trial.Trial:
        frozen = self.study.get_trials(deepcopy=False)[number]
        return optuna.trial.Trial(self.study, frozen._trial_id)  # noqa: SLF001 - Optuna's own way

    def _sampler(self, number: int) -> None:
        self.study.sampler = sampler_of(self.kind, self.seed, number, self.space)

    # ----------------------------------------------------------------- telling

    def tell(
        self, number: int, state: str, score: float | None, *, at: int = 0, reason: str = ""
    ) -> None:
        """Tell how a trial ended: "finished", "pruned" (its score after `at` epochs) or "failed"."""
        if self.study.get_trials(deepcopy=False)[number].state in DONE:
            return
        self.study.sampler = optuna.samplers.RandomSampler(seed=0)  # nothing is asked here
        trial = self._trial(number)
        if reason:
            trial.set_user_attr("reason", reason)
        with quietly():
            if state == "finished" and score is not None:
                self.study.tell(trial, score)
            elif state == "pruned" and score is not None:
                trial.report(score, at)
                self.study.tell(trial, state=TrialState.PRUNED)
            else:
                self.study.tell(trial, state=TrialState.FAIL)


class Journal(JournalFileBackend):
    """Optuna's journal file, for one owner who holds a lock of its own.

    Optuna's lock would outlive an owner that is killed; and it has the disk confirm each of the
    ten lines that a trial takes, which is as long as small networks take to train. Here the disk
    confirms a batch.
    """

    def __init__(self, path: Path) -> None:
        """Cut off what a kill has left of a line, as it would stop every later reader."""
        self.path = path
        if path.is_file():
            os.truncate(path, path.read_bytes().rfind(b"\n") + 1)
        super().__init__(str(path))

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Write lines; a process that is killed does not lose them."""
        lines = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
        with self.path.open("ab") as stream:
            stream.write(lines.encode())

    def flush(self) -> None:
        """Have the disk confirm all that was written."""
        with self.path.open("ab") as stream:
            os.fsync(stream.fileno())


def _storage(place: Path | str) -> optuna.storages.BaseStorage:
    if isinstance(place, str):
        return optuna.storages.get_storage(_with_environment(place))
    return optuna.storages.JournalStorage(Journal(place))


def _with_environment(place: str) -> str:
    def value(named: re.Match[str]) -> str:
        found = os.environ.get(named[1])
        if found is None:
            msg = f"sweep.storage names the environment variable {named[1]}, which is not set"
            raise SettingsError(msg)
        return found

    return re.sub(r"\$\{(\w+)\}", value, place)
