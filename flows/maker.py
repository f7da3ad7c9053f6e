"""Makes stages or reuses them, in order; what `run`, `check` and `init` share.

- Knows nothing of Prefect or MLflow: artifacts on disk, progress on the terminal.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from flows.errors import PenstockError, SettingsError, TrainingFailed
from flows.frozen import FrozenSplit
from flows.home import file_name
from flows.json_files import read_json, write_json
from flows.past_runs import fits_in
from flows.progress import Voice
from flows.stage import Artifact, Parts, Store, code_digest, digest_of, installed_versions
from flows.stages import STAGES, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from flows.home import Home
    from flows.progress import Progress
    from flows.spec import Spec


class Maker:
    """Makes the stages of one spec in one home."""

    def __init__(self, spec: Spec, home: Home, progress: Progress) -> None:
        """Make nothing yet."""
        self.spec, self.home, self.progress = spec, home, progress
        self.store = Store(home.cache, progress.warn)
        self.made: dict[str, Artifact] = {}
        self.parts: dict[str, Parts] = {}
        self.before_work: Callable[[str], None] = lambda _: None
        """Called with a stage's name when it has to be made and is not reused."""
        self.on_trials: Callable[[Sequence[Mapping[str, Any]]], None] = lambda _: None
        """Told what became of trials of a sweep, while it goes on."""

    def make(self, name: str) -> Artifact:
        """Make or reuse one stage; the stages that it needs must have been made.

        Raises:
            PenstockError: the stage says what must hold and does not.

        """
        stage = next(s for s in STAGES if s.name == name)
        self.progress.begin(name)
        artifact = self._make(stage)
        if name == "contract" and self._write_proposal(artifact):
            artifact = self._make(stage)  # read back, as every later run will
        elif name == "validate":
            self._gate_fits(artifact)
            fits_in(self.made, self.home, self.spec.name, self.progress.warn)
        elif name == "split":
            split = read_json(artifact.path / "split.json")
            FrozenSplit(self.home.root, self.spec).record(self.made["validate"].digest, split)
            classes = split["counts"]["train"].get("classes") or {}
            self._labels_fit(classes)
            self._sweep_fits(split, regression=not classes)
        for warning in (*artifact.facts.get("notes", ()), *artifact.facts.get("warnings", ())):
            if isinstance(warning, str):
                self.progress.warn(warning)
        text = artifact.facts.get("say", "")
        self.progress.done(name, artifact.seconds, reused=artifact.reused, text=text)
        return artifact

    def _make(self, stage: Stage) -> Artifact:
        earlier = earlier_split(stage, self.spec, self.home, self.made)
        parts = self.parts[stage.name] = stage_parts(stage, self.spec, self.made, earlier)
        seen = (*stage.needed(self.spec), *stage.beside)
        folders = {name: self.made[name].path for name in seen}
        again = folders["checkpoints"] = self.home.checkpoints / stage.name / parts.key[:32]
        progress = self.progress
        spec, say = self.spec, Voice(progress.step, progress.board, self.on_trials)

        def work(out: Path) -> Mapping[str, Any]:
            self.before_work(stage.name)
            if earlier is not None:
                folders["earlier split"] = out.with_name(f"{out.name}-earlier.json")
                write_json(folders["earlier split"], earlier)
            try:
                return stage.call(spec, folders, out, say)
            except RuntimeError as error:
                raise _translated(error) from error
            finally:
                if earlier is not None:
                    folders["earlier split"].unlink(missing_ok=True)

        artifact = self.made[stage.name] = self.store.make(stage.name, parts, work)
        shutil.rmtree(again, ignore_errors=True)  # nothing will go on from there any more
        return artifact

    def _write_proposal(self, contract: Artifact) -> bool:
        """Put a proposed contract beside the settings; False where one is there already."""
        place = self.spec.contract_path
        if place.is_file():
            return False
        try:
            shutil.copyfile(contract.path / "contract.toml", place)
        except OSError as error:
            text = f"the proposed contract could not be written to {place}: {error.strerror}"
            self.progress.warn(text)
            return False
        self.progress.say(f"  proposed a contract: {place}")
        return True

    def _gate_fits(self, validated: Artifact) -> None:
        """Refuse a metric, a floor or a column that does not fit before anything is trained."""
        from expectations.contract import Contract
        from expectations.gate import fitting
        from flows.judging import rules_of
        from flows.slice_columns import known_columns

        schema, rules = read_json(validated.path / "schema.json"), rules_of(self.spec)
        contract = Contract.load(self.made["contract"].path / "contract.toml")
        ignored = [n for n, column in contract.columns.items() if column.role == "ignored"]
        known_columns(self.spec, schema, ignored)
        try:
            fitting(schema["task"], rules)
        except ValueError as error:
            msg = f"{self.spec.path}: gate: {error}"
            raise SettingsError(msg) from None

    def _labels_fit(self, classes: Mapping[str, int]) -> None:
        """Refuse costs, balance and directions that do not fit the labels before anything is trained."""
        from flows.slice_columns import known_answers

        schema = read_json(self.made["validate"].path / "schema.json")
        known_answers(self.spec, schema, classes)
        if self.spec.train.balance != "none" and not classes:
            msg = f"{self.spec.path}: train.balance: a regression has no classes to balance"
            raise SettingsError(msg)
        if self.spec.decision is None:
            return
        from models.decide import cost_matrix

        if not classes:
            msg = f"{self.spec.path}: decision.costs: a regression has no labels to decide between"
            raise SettingsError(msg)
        try:
            cost_matrix(self.spec.decision.costs, sorted(classes))
        except ValueError as error:
            msg = f"{self.spec.path}: {error}"
            raise SettingsError(msg) from None

    def _sweep_fits(self, split: Mapping[str, Any], *, regression: bool) -> None:
        """Refuse a space that does not fit the rows before anything is trained."""
        if self.spec.search is None:
            return
        from flows.sweep_spec import check_table

        rows = split["counts"]["train"]["rows"]
        fold = max(split.get("folds") or [0])  # its rows are held out
        try:
            check_table(self.spec.search, rows=rows - fold, regression=regression)
        except ValueError as error:
            msg = f"{self.spec.path}: sweep.space.{error}"
            raise SettingsError(msg) from None

    def remember(self) -> None:
        """Keep what each stage was made from, so that `plan` can name the next change."""
        path = plan_path(self.home, self.spec)
        path.parent.mkdir(exist_ok=True)
        known = read_json(path) if path.is_file() else {}
        known |= {name: parts.record() for name, parts in self.parts.items()}
        write_json(path, known)


def plan_path(home: Home, spec: Spec) -> Path:
    """Where the parts of a name's stages are remembered."""
    return home.root / "plans" / f"{file_name(spec.name)}.json"


def earlier_split(
    stage: Stage, spec: Spec, home: Home, made: Mapping[str, Artifact]
) -> dict[str, Any] | None:
    """The split that the split stage has to continue; None for every other stage."""
    if stage.name != "split":
        return None
    return FrozenSplit(home.root, spec).before(made["validate"].digest)


def stage_parts(
    stage: Stage, spec: Spec, made: Mapping[str, Artifact], earlier: dict[str, Any] | None
) -> Parts:
    """What a stage's result depends on, given the artifacts that it needs."""
    inputs = {name: made[name].digest for name in stage.needed(spec)} | dict(stage.reads(spec))
    if earlier is not None:
        inputs["earlier split"] = digest_of(earlier)
    return Parts(
        inputs=inputs,
        settings=stage.part(spec),
        code=code_digest(stage.module),
        versions=digest_of(installed_versions()),
    )


def _translated(error: RuntimeError) -> RuntimeError:
    """The models' own word for a fit without a usable member, as one of our errors."""
    if type(error).__name__ == "TrainingFailed" and not isinstance(error, PenstockError):
        return TrainingFailed(str(error))
    return error
