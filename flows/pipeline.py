"""The training flow: from a table and a settings file to a registered model.

- Each line is a stage; a stage whose inputs did not change is reused.
- The final state is named by the verdict: Promoted, Kept, Rejected, Unchanged or Dry run.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed

from flows.progress import Progress
from flows.run import Run
from flows.settings import load_spec
from flows.summary import verdict_markdown

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from prefect.client.schemas.objects import State


def _flow_run_name() -> str:
    from prefect.runtime import flow_run

    return Path(str(flow_run.parameters.get("settings", "penstock"))).stem


@flow(name="penstock", flow_run_name=_flow_run_name, persist_result=False, log_prints=False)
def pipeline(settings: str, overrides: list[str] | None = None, *, quiet: bool = True) -> State:
    """Make a model from the settings file and publish it if it has earned its place."""
    with (
        Progress(quiet=quiet) as progress,
        Run(load_spec(settings, overrides or ()), progress) as run,
    ):
        _stage(run, "load")
        _stage(run, "analyze")
        _stage(run, "contract")
        _stage(run, "engineer")
        _stage(run, "validate")
        _stage(run, "split")
        _stage(run, "train")
        _stage(run, "export")
        _stage(run, "assess")
        _task("judge", run.judge)
        _task("publish", run.publish)
        return _ended(run)


def _stage(run: Run, name: str) -> None:
    """Make one stage as a Prefect task of its name; what it makes stays on disk."""

    def make() -> str:
        return run.make(name).digest

    _task(name, make)


def _task(name: str, work: Callable[[], Any]) -> None:
    made = task(name=name, task_run_name=name, cache_policy=NO_CACHE, persist_result=False)
    made(work)()


def _ended(run: Run) -> State:
    """The flow's final state, with the verdict as a Markdown artifact beside it."""
    key = re.sub(r"[^a-z0-9]+", "-", f"verdict-{run.spec.name}".lower()).strip("-")
    markdown = verdict_markdown(run)
    create_markdown_artifact(markdown, key=key, description=f"Verdict on {run.spec.name}")
    name = run.outcome.replace("_", " ").capitalize()
    return Completed(name=name, message=markdown.splitlines()[0].lstrip("# "), data=run.id)
