"""One run: its stages made or reused, its verdict, what it publishes and what it leaves behind.

- Whatever ends a run, `summary.json`, the report and the MLflow run say how and why.
- The flow in `pipeline.py` says in which order; here is what each step does.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from flows import runpage
from flows.errors import DataRefused, PenstockError, SettingsError
from flows.home import open_home, set_aside
from flows.json_files import read_json, write_json
from flows.maker import Maker
from flows.retention import retire
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
        self.maker = Maker(spec, self.home, progress)
        self.maker.before_work = self._prepare
        self.maker.on_trials = self._track_trials
        self.made = self.maker.made
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
        artifact = self.maker.make(name)
        if name == "validate":
            self._keep_quarantine(artifact)
        elif name == "sweep":
            self.trials.end(read_json(artifact.path / "sweep.json"))
        elif name == "train":
            self._track_members(artifact)
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

    def _keep_quarantine(self, validated: Artifact) -> None:
        if validated.facts.get("quarantined"):
            place = self.home.quarantine / self.spec.name / f"{self.id}.parquet"
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(validated.path / "quarantined.parquet", place)

    def _track_members(self, trained: Artifact) -> None:
        curves = read_json(trained.path / "curves.json")
        fitted = read_json(trained.path / "fitted.json")
        settings = fitted.get("settings", {})
        own = [member for member in curves["members"] if member.get("trial") is None]
        for member in own:  # those of the sweep are there as trials
            self.tracker.member(
                name=f"fold {member['fold']} seed {member['seed']}",
                parameters={**settings, "fold": member["fold"], "member_seed": member["seed"]},
                curves={runpage.LOSS[side]: member[side] for side in runpage.LOSS},
                tags={
                    "penstock.stopped": str(member.get("stopped")),
                    "penstock.best_epoch": str(member.get("best_epoch")),
                    "penstock.weight": str(member.get("weight")),
                },
                failed=bool(member.get("failed")),
            )

    # ----------------------------------------------------------------- verdict

    @property
    def examiner(self) -> Any:
        """The fresh process that questions the model; it warms up while the networks train."""
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
        """Ask the gate."""
        from expectations.gate import Rules, judge

        gate = self.spec.gate
        evidence = read_json(self.made["assess"].path / "evidence.json")
        try:
            self.verdict = judge(evidence, Rules(metric=gate.metric, floors=gate.floors))
        except ValueError as error:
            msg = f"{self.spec.path}: gate: {error}"
            raise SettingsError(msg) from None
        return self.verdict

    def publish(self) -> str:
        """Publish by the verdict; return how the run ended."""
        from flows.publish import publish
        from flows.summary import candidate

        verdict = self.verdict or self.judge()
        if self.spec.gate.mode == "dry_run":
            self.outcome = "dry_run"
            return self.outcome
        self.progress.begin("publish")
        began = time.monotonic()
        self.tracker.settle()  # the run must exist before a model can belong to it
        asked = candidate(self)
        self.published = publish(self.home, asked, self.tracker.run_id, lambda: self.examiner)
        self.outcome = ENDS[verdict.outcome]
        if self.published.unchanged and self.outcome == "promoted" and not self.published.moved:
            self.outcome = "unchanged"
        text = f"{self.published.name} version {self.published.version}: {self.outcome}"
        self.progress.done("publish", time.monotonic() - began, reused=False, text=text)
        return self.outcome

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
        for gone in retire(self.home, days=self.spec.keep.days, gigabytes=self.spec.keep.gigabytes):
            self.progress.say(f"  removed by [keep]: {gone}")

    def _report(self, summary: dict[str, Any]) -> None:
        from flows.report import report

        try:
            report(summary, parts_of_report(self), self.folder / "report.html")
        except Exception as error:  # noqa: BLE001 - a page that fails must not hide the run's own end
            self.progress.warn(f"the report could not be written: {type(error).__name__}: {error}")
