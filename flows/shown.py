"""What a run shows in Prefect's UI: its name, its final state, and artifacts with links.

- Artifacts: the verdict in Markdown, failures of the contract as a table, links to the MLflow run
  and to the report inside it. Where MLflow is no server, the verdict says where the files lie.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_table_artifact,
)
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed, Failed

from flows.experiment import run_link
from flows.home import told_apart
from flows.json_files import read_json
from flows.summary import verdict_markdown

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

    from flows.errors import DataRefused, Skipped
    from flows.run import Run

LONGEST = 4000


def flow_run_name() -> str:
    """Return the settings' name and when the run was due, or began."""
    due = flow_run.scheduled_start_time
    stem = Path(str(flow_run.parameters.get("settings", "penstock"))).stem
    return f"{stem} {due.astimezone():%Y-%m-%d %H:%M:%S}"


def verdict(run: Run) -> State:
    """The final state of a run that came to a verdict."""
    summary = read_json(run.folder / "summary.json")
    name = run.outcome.replace("_", " ").capitalize()
    return Completed(name=name, message=summary["verdict"]["sentence"], data=run.id)


def refused(error: DataRefused) -> State:
    """The final state of a run whose data was refused."""
    return Failed(name="Refused", message=str(error)[:LONGEST], data=error)


def skipped(reason: Skipped) -> State:
    """The final state of a run that had nothing to do."""
    return Cancelled(name="Skipped", message=f"Skipped: {reason}", data=reason)


def show(run: Run) -> None:
    """Leave the run's artifacts in Prefect; that some could not be left fails nothing."""
    path = run.folder / "summary.json"
    if not path.is_file():
        return
    summary = read_json(path)
    try:
        _show(run, summary)
    except Exception as error:  # noqa: BLE001 - the run has ended already, well or not
        run.progress.warn(f"Prefect took no artifacts of the run: {type(error).__name__}: {error}")


def _show(run: Run, summary: dict[str, Any]) -> None:
    key = _key(run.spec.name)
    name = run.spec.name
    create_markdown_artifact(
        verdict_markdown(run, summary), key=f"verdict-{key}", description=f"Verdict on {name}"
    )
    if failures := summary["failures"] or _warned(run):
        create_table_artifact(
            [_row(failure) for failure in failures],
            key=f"contract-{key}",
            description=f"Failures of the contract of {name}",
        )
    link = summary["links"]["mlflow"]
    if link.startswith("http"):
        _link(link, "The run in MLflow", f"mlflow-{key}", name)
        ids = (run.tracker.experiment_id, run.tracker.run_id)
        report = run_link(run.home.tracking_uri, *ids, "report.html")
        _link(report, "The report", f"report-{key}", name)


def _link(link: str, text: str, key: str, name: str) -> None:
    create_link_artifact(link, link_text=text, key=key, description=f"{text}, {name}: {link}")


def _warned(run: Run) -> list[dict[str, Any]]:
    """The rules that rows broke, where the run went on without those rows."""
    with contextlib.suppress(KeyError, OSError):
        found = read_json(run.made["validate"].path / "validation.json")
        return [*found.get("failures", []), *found.get("warnings", [])]
    return []


def _row(failure: dict[str, Any]) -> dict[str, Any]:
    plain = {
        k: failure.get(k) for k in ("rule", "column", "severity", "count", "message", "advice")
    }
    return {k: "" if v is None else str(v)[:500] for k, v in plain.items()}


def _key(name: str) -> str:
    """A name of any script as Prefect takes keys: lower-case ASCII, and told from any other."""
    return told_apart(name, re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")).strip("-")
