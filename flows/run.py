"""One run: its stages made or reused, its verdict, what it publishes and what it leaves behind.

- Whatever ends a run, `summary.json`, the report and the MLflow run say how and why.
- The flow in `pipeline.py` says in which order; here is what each step does.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from flows import quarantine_store, runpage
from flows.errors import DataRefused, PenstockError
from flows.history import history
from flows.home import open_home, set_aside
from flows.json_files import read_json, write_json
from flows.lease import refuse_without
from flows.maker import Maker
from flows.reconcile import reconcile
from flows.retention import retire
from flows.signing import refuse_bad_key
from flows.stage import code_digest, digest_of, installed_versions
from flows.stages import TRAINING, settings_digest
from flows.summary import parts_of_report, summarize
from flows.turns import one_run_at_a_time
from flows.verdict import ENDS
from models import helper

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from expectations.gate import Verdict
    from flows.progress import Progress
    from flows.publish import Published
    from flows.spec import Spec
    from flows.stage import Artifact
    from flows.sweep_track import Trials
    from flows.turns import Overlap


RACES = 3
"""How often a model is judged again because another became champion meanwhile."""


class Run:
    """The state of one run; a context manager that records how it ended."""

    def __init__(
        self,
        spec: Spec,
        progress: Progress,
        *,
        overlap: Overlap = "refuse",
        due: datetime | None = None,
    ) -> None:
        """Open the home; nothing is written for this run before it is entered.

        `overlap` says what becomes of it while another run of the name is under way, `due` when
        its schedule wanted it.
        """
        self.spec, self.progress = spec, progress
        self.overlap: Overlap = overlap
        self.due = due
        self.home = open_home(spec.folder)
        self.id = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"
        self.folder = self.home.runs / self.id
        self.bundle = self.folder / "gate"
        self.maker = Maker(spec, self.home, progress)
        self.maker.before_work = self._prepare
        self.maker.on_trials = self._track_trials
        self.made = self.maker.made
        self.aside: dict[str, Any] | None = None
        """What of the source was set aside, as `quarantine_store.keep` says it."""
        self.referee: dict[str, Any] = {}
        self.drift: dict[str, Any] | None = None
        """How the train rows differ from the champion's; None before it is known, or without one."""
        self.verdict: Verdict | None = None
        self.published: Published | None = None
        self.outcome = "failed"
        self.started = datetime.now(UTC)
        self._clock = time.monotonic()
        self._examiner: Any = None
        self._trials: Trials | None = None

    def __enter__(self) -> Self:
        """Take the lock of the name and open the MLflow run."""
        from flows.track import Tracker

        if self.spec.gate.mode != "dry_run":
            refuse_without(self.home)
            refuse_bad_key()
        with contextlib.ExitStack() as held:
            turn = one_run_at_a_time(
                self.home, self.spec.name, self.overlap, self.due, self.progress.say
            )
            held.enter_context(turn)
            self.started, self._clock = datetime.now(UTC), time.monotonic()
            if aside := set_aside(self.spec.folder, self.home):
                self.progress.warn(aside)
            self.folder.mkdir(parents=True)
            self.tracker = Tracker(self.home, self.spec.name, self.id)
            held.callback(self.tracker.close)
            self._held = held.pop_all()
        runpage.begin(self)
        self.tracker.later(reconcile, self.home, self.spec.name, self.progress.warn)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        """Leave summary, report and a finished MLflow run, however the run ended."""
        try:
            if error is not None:
                self.outcome = "refused" if isinstance(error, DataRefused) else "failed"
            self._leave(error)
        finally:
            helper.dismiss()
            if self._examiner is not None:
                self._examiner.close()
            self._held.close()

    @property
    def seconds(self) -> float:
        """How long the run has taken so far."""
        return round(time.monotonic() - self._clock, 3)

    # ------------------------------------------------------------------ stages

    def make(self, name: str) -> Artifact:
        """Make or reuse one stage."""
        with quarantine_store.kept_for(self, name):
            artifact = self.maker.make(name)
        if name == "sweep":
            self.trials.end(read_json(artifact.path / "sweep.json"))
        elif name == "train":
            runpage.members(self.tracker, artifact.path)
        return artifact

    @property
    def trials(self) -> Trials:
        """The sweep's trials in MLflow."""
        if self._trials is None:
            from flows.sweep_track import Trials

            self._trials = Trials(self.tracker, self.maker.parts["sweep"].key)
        return self._trials

    def _track_trials(self, trials: Sequence[Mapping[str, Any]]) -> None:
        self.tracker.check()  # a server that has gone away ends a sweep early
        self.trials.write(trials)

    def _prepare(self, stage: str) -> None:
        """Let processes that will be needed get ready while others work."""
        self.tracker.check()
        if self.spec.search is not None and stage not in TRAINING:
            helper.warm(self.spec.execution.helpers)
        if stage in ("sweep", "train"):
            self.tracker.settle()  # a server that is away is said before hours are spent
        if stage == "train":
            _ = self.examiner

    # ----------------------------------------------------------------- verdict

    @property
    def examiner(self) -> Any:
        """The fresh process that questions the model; it warms up while the networks train."""
        if self._examiner is not None and not self._examiner.alive:
            self._examiner.close()  # what it was asked about has ended it; others are asked anew
            self._examiner = None
        if self._examiner is None:
            from models.examine import Examiner

            self._examiner = Examiner()
        return self._examiner

    @property
    def key(self) -> str:
        """The idempotency key of what this run would publish."""
        return digest_of(
            {
                "data": self.made["load"].digest,
                "contract": self.made["contract"].digest,
                "settings": settings_digest(self.spec),
                "code": code_digest("flows.pipeline"),
                "versions": installed_versions(),
            }
        )

    def judge(self) -> Verdict:
        """Compare with what is in service, and ask the gate."""
        from flows.judging import judge_bundle
        from flows.referee import referee

        self.progress.begin("judge")
        began = time.monotonic()
        self.tracker.settle()  # what others left half done is settled, and the run exists
        made = {name: artifact.path for name, artifact in self.made.items()}
        self.referee = referee(
            self.spec,
            self.home,
            made,
            lambda: self.examiner,
            key=self.key,
            run=self.id,
            run_id=self.tracker.run_id,
            folder=self.bundle,
            say=self.progress.step,
        )
        for line in (*self.referee["alarms"], *self.referee["changes"]):
            self.progress.warn(line)
        if self.drift is None and self.referee.get("champion"):
            from flows.drift import against_champion

            self.drift = against_champion(self.spec, self.home, made, key=self.key)
        self.verdict = judge_bundle(self.spec, self.bundle)
        self.progress.done(
            "judge", time.monotonic() - began, reused=False, text=self.verdict.outcome
        )
        return self.verdict

    def publish(self) -> str:
        """Publish by the verdict; return how the run ended.

        Where another version became champion since the comparison, it is compared with that one.
        """
        verdict = self.verdict or self.judge()
        if self.spec.gate.mode == "dry_run":
            self.outcome = "dry_run"
            return self.outcome
        made = self._publish()
        for _ in range(RACES):
            if not made.raced:
                break
            verdict = self.judge()
            made = self._publish()
        self.published = made
        self.outcome = ENDS[verdict.outcome]
        if self.outcome == "promoted" and "champion" not in made.aliases:
            self.outcome = "kept"  # held after a rollback, or overtaken again and again
        elif self.outcome == "promoted" and made.unchanged and not made.moved:
            self.outcome = "unchanged"
        return self.outcome

    def _publish(self) -> Published:
        from flows.offering import candidate
        from flows.publish import publish

        self.progress.begin("publish")
        began = time.monotonic()
        self.tracker.settle()  # the run must exist before a model can belong to it
        made = publish(self.home, candidate(self), self.tracker.run_id, lambda: self.examiner)
        for line in (*made.said, *([made.held] if made.held else [])):
            self.progress.warn(line)
        text = f"{made.name} version {made.version}: {', '.join(made.aliases) or 'no alias'}"
        self.progress.done("publish", time.monotonic() - began, reused=False, text=text)
        return made

    # ----------------------------------------------------------- what is left

    def _leave(self, error: BaseException | None) -> None:
        """Write summary and report, finish the MLflow run, and tidy the home."""
        summary = summarize(self, error)
        write_json(self.folder / "summary.json", summary)
        self._report(summary)
        self.maker.remember()
        try:
            runpage.finish(self, summary, error)
        except PenstockError as trouble:
            if error is None:
                raise
            if trouble is not error:
                self.progress.warn(str(trouble))
        keep = self.spec.keep
        sizes = {"gigabytes": keep.gigabytes, "quarantine": keep.gigabytes}
        for gone in retire(self.home, days=keep.days, **sizes):
            self.progress.say(f"  removed by [keep]: {gone}")

    def _report(self, summary: dict[str, Any]) -> None:
        from flows.report import report

        try:
            parts = parts_of_report(self)
            if self.published is not None:
                parts["history"] = history(self.home, self.spec.name)
            report(summary, parts, self.folder / "report.html")
        except Exception as error:  # noqa: BLE001 - a page that fails must not hide the run's own end
            self.progress.warn(f"the report could not be written: {type(error).__name__}: {error}")
